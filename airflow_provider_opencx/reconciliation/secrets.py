"""Keeps the connection's secrets out of declarations, because an agent would say the key to the people it calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from airflow_provider_opencx.client.settings import ClientSettings
from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.secret import Secret
from airflow_provider_opencx.visible_text import identifier


def check_fields(fields: Mapping[str, JsonValue], label: str, settings: ClientSettings) -> None:
    """Check that no field holds the API key, or the password of the Redis.

    Responses are read without them, so that an item with a part of one in its name would never be found again.

    :param fields: what is declared: name to value, before anything is sent or stored.
    :param label: what messages call the item; empty if it has no name.
    :param settings: those of the client, with its secrets.
    :raises OpenCXArgumentError: naming the item and the field, and never the secret.
    """
    secrets = settings.secrets
    for field, value in fields.items():
        if _holds([field, value], secrets):
            of_item = f" of {_without(label, secrets)}" if label else ""
            raise OpenCXArgumentError(
                f"{identifier(_without(field, secrets))}{of_item}: holds a secret of {settings.name}, or a part"
                " of one: its API key, or the password of its Redis. Nothing was sent. A template that reads the"
                " connection ({{ conn... }}) has put it there, or a text was copied from the wrong place."
            )


def _holds(value: JsonValue, secrets: Sequence[Secret]) -> bool:
    if isinstance(value, str):
        return any(secret.is_in(value) for secret in secrets)
    if isinstance(value, dict):
        return _holds([*value, *value.values()], secrets)
    return isinstance(value, list) and any(_holds(part, secrets) for part in value)


def _without(text: str, secrets: Sequence[Secret]) -> str:
    for secret in secrets:
        text = secret.masked(text)
    return text
