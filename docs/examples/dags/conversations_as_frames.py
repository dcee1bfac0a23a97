"""Conversations, contacts and agents as data frames, by the hook and from an extracted file."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, task

from airflow_provider_opencx.transfers.opencx_to_object_storage import OpenCXToObjectStorageOperator

DAY = datetime(2026, 3, 1, tzinfo=UTC)


@task
def sentiments() -> dict[str, int]:
    """Count what people felt: conversations, with pandas."""
    import pandas

    from airflow_provider_opencx.hooks.opencx import OpenCXHook

    found = OpenCXHook().iterate_conversations(channel_type="phone_voice", updated_after=DAY)
    frame = pandas.DataFrame(conversation.as_dict() for conversation in found)
    return frame["sentiment"].value_counts().to_dict()


@task
def contacts_without_name() -> int:
    """Count who has no name: contacts, with polars."""
    import polars

    from airflow_provider_opencx.hooks.opencx import OpenCXHook

    contacts = OpenCXHook().list_contacts()
    frame = polars.DataFrame([contact.as_dict() for contact in contacts], infer_schema_length=None)
    return frame["name"].null_count() if contacts else 0


@task
def agents_without_number() -> list[str]:
    """Name those that cannot call yet: agents, with pandas."""
    import pandas

    from airflow_provider_opencx.hooks.opencx import OpenCXHook

    frame = pandas.DataFrame(agent.as_dict() for agent in OpenCXHook().list_phone_agents())
    return frame[frame["phone_number"].isna()]["name"].to_list()


@task
def by_status(path: str) -> dict[str, int]:
    """Count how conversations ended: an extracted file, with pandas."""
    import pandas
    from airflow.sdk import ObjectStoragePath

    with ObjectStoragePath(path).open("rb") as file:
        frame = pandas.read_json(file, lines=True, compression="gzip")
    return frame["status"].value_counts().to_dict()


@task
def last_change(path: str) -> str:
    """Say when something was changed last: an extracted file, with polars."""
    import polars
    from airflow.sdk import ObjectStoragePath

    with ObjectStoragePath(path).open("rb") as file:
        frame = polars.read_ndjson(file, infer_schema_length=None)
    return frame["updated_at"].max()


with DAG("conversations_as_frames", schedule=None, start_date=datetime(2026, 1, 1)):
    sentiments()
    contacts_without_name()
    agents_without_number()
    extract = OpenCXToObjectStorageOperator(
        task_id="extract",
        resource="conversations",
        object_storage_path="{{ var.value.opencx_files }}/conversations.jsonl.gz",
        updated_after=DAY,
        updated_before=DAY + timedelta(days=1),
        on_empty="skip",  # an empty file has no columns
    )
    by_status(extract.output["path"])
    last_change(extract.output["path"])
