"""A run that nobody schedules by intervals says which time it is for. Who reads its folder follows the manifest."""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import DAG, ObjectStoragePath, task

from airflow_provider_opencx.transfers.opencx_to_object_storage import OpenCXToObjectStorageOperator


@task
def count_rows(folder: str) -> int:
    """Read a folder: the manifest lists the parts, by their names in the folder."""
    import json

    manifest = json.loads((ObjectStoragePath(folder) / "manifest.json").read_text())
    rows = 0
    for part in manifest["parts"]:
        with (ObjectStoragePath(folder) / part["path"]).open("rb") as lines:
            rows += sum(1 for _ in lines)
    return rows


with DAG("conversations_since_yesterday", schedule=None, start_date=datetime(2026, 1, 1)):
    extract = OpenCXToObjectStorageOperator(
        task_id="extract",
        resource="conversations",
        updated_after="{{ (dag_run.run_after - macros.timedelta(days=1)).isoformat() }}",
        updated_before="{{ (dag_run.run_after - macros.timedelta(minutes=5)).isoformat() }}",
        object_storage_path="{{ var.value.opencx_files }}/{{ dag_run.run_after.isoformat() }}/",
    )
    count_rows(extract.output["path"])
