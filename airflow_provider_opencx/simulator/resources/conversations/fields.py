"""Checks the fields of conversations that tests set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jsonschema import Draft202012Validator

from airflow_provider_opencx.simulator.contract import Contract, validation_errors
from airflow_provider_opencx.simulator.json_values import Json, JsonObject
from airflow_provider_opencx.simulator.resources.conversations.conversation import DEFAULTS, Conversation
from airflow_provider_opencx.simulator.resources.conversations.moments import Precision, moment
from airflow_provider_opencx.simulator.resources.conversations.outcomes import item

FIELDS = frozenset({*DEFAULTS, "ticket_number"})
"""The fields that can be given, beside the times and the events."""


def checked(fields: Mapping[str, Json], contract: Contract) -> JsonObject:
    """Return fields of a conversation as they were given, or raise a ValueError."""
    if unknown := sorted(fields.keys() - FIELDS):
        raise ValueError(f"A conversation has no field {', '.join(unknown)}.")
    _check({"id": "ses_000001", **fields}, contract, "ChatSessionDto")
    return dict(fields)


def checked_events(events: Sequence[JsonObject], contract: Contract) -> list[JsonObject]:
    """Return events as they were given, or raise a ValueError. Their ids and times may be missing."""
    for event in events:
        if unknown := sorted(event.keys() - {"id", "created_at", "event"}):
            raise ValueError(f"An event has no field {', '.join(unknown)}.")
        _check({"created_at": "", **event}, contract, "ChatHistoryItemDto")
    return list(events)


def checked_time(name: str, time: str) -> int:
    """Return a time, or raise a ValueError."""
    read = moment(time)
    if read is None or read < 0:
        raise ValueError(f"{name} is a time in ISO 8601, not {time!r}.")
    return read


def history_items(
    conversation: Conversation, before: Sequence[JsonObject], events: Sequence[JsonObject], precision: Precision
) -> tuple[JsonObject, ...]:
    """Return a history as the API shows it.

    :param before: what is in it already
    :param events: what comes after that; an event without a time is of the last change of the conversation
    """
    added = [
        {**item(conversation, index, conversation.updated_at, {}, precision), **event}
        for index, event in enumerate(events, start=len(before))
    ]
    return (*before, *added)


def _check(value: JsonObject, contract: Contract, schema: str) -> None:
    if errors := validation_errors(Draft202012Validator(contract.schemas[schema]), value):
        raise ValueError("; ".join(errors))
