"""Keeps the connection's secrets out of the declarations of agents."""

from __future__ import annotations

from collections.abc import Iterable

from airflow_provider_opencx.client.settings import ClientSettings
from airflow_provider_opencx.reconciliation.secrets import check_fields
from airflow_provider_opencx.resources.phone_agents import PhoneAgentChanges
from airflow_provider_opencx.visible_text import in_quotes


def check_no_secret(declared: Iterable[PhoneAgentChanges], settings: ClientSettings) -> None:
    """Check that no declaration holds the API key, or the password of the Redis, in any field.

    Responses are read without them, so that an agent with a part of one in its name would never be found again.

    :param declared: the declarations, before anything is sent or stored.
    :param settings: those of the client, with its secrets.
    :raises OpenCXArgumentError: naming the agent and the field, and never the secret.
    """
    for changes in declared:
        not_sent = changes.model_dump(include=set(changes.not_sent), exclude_unset=True)  # shown in plans and messages
        label = f"phone agent {in_quotes(changes.name)}" if changes.name else ""
        check_fields({**not_sent, **changes.declared_fields}, label, settings)
