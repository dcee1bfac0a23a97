"""Keeps the connection's secrets out of declarations: an agent would say the key to whoever it calls."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import JsonValue

from airflow_provider_opencx.client.settings import ClientSettings
from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.resources.phone_agents import PhoneAgentChanges
from airflow_provider_opencx.secret import Secret
from airflow_provider_opencx.visible_text import identifier, in_quotes


def check_no_secret(declared: Iterable[PhoneAgentChanges], settings: ClientSettings) -> None:
    """Check that no declaration holds the API key, or the password of the Redis, in any field.

    Responses are read without them, so that an agent with a part of one in its name would never be found again.

    :param declared: the declarations, before anything is sent or stored.
    :param settings: those of the client, with its secrets.
    :raises OpenCXArgumentError: naming the agent and the field, and never the secret.
    """
    secrets = settings.secrets
    for changes in declared:
        not_sent = changes.model_dump(include=set(changes.not_sent), exclude_unset=True)  # shown in plans and messages
        for field, value in {**not_sent, **changes.declared_fields}.items():
            if _holds([field, value], secrets):
                name = _without(changes.name or "", secrets)
                of_agent = f" of phone agent {in_quotes(name)}" if name else ""
                raise OpenCXArgumentError(
                    f"{identifier(_without(field, secrets))}{of_agent}: holds a secret of {settings.name}, or a part"
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
