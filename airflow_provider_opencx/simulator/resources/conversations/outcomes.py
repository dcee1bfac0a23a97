"""The ends and messages of conversations: varied, and always the same for the same number."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_provider_opencx.simulator.json_values import Json, JsonObject
from airflow_provider_opencx.simulator.list_view import History
from airflow_provider_opencx.simulator.resources.conversations.conversation import Conversation
from airflow_provider_opencx.simulator.resources.conversations.moments import SECOND, Precision, written

_LANGUAGES = ("en", "en", "de", "en", "es", "fr", "ar")
_SECONDS_BETWEEN_EVENTS = 2

_ENDINGS: tuple[Mapping[str, Json], ...] = (
    {"status": "closed_resolved", "ai_closure_type": "resolved", "sentiment": "happy"},
    {"status": "closed_resolved", "ai_closure_type": "assumed_resolved", "sentiment": "neutral"},
    {
        "status": "closed_unresolved",
        "ai_closure_type": "handed_off",
        "sentiment": "angry",
        "handoff": {"summary": "Asked for a person.", "sentiment": "angry"},
        "team": {"id": "team_000001", "name": "Support", "description": None},
    },
    {"status": "closed_resolved", "ai_closure_type": "resolved", "sentiment": "neutral"},
    {"status": "closed_unresolved", "ai_closure_type": None, "sentiment": "neutral"},
)

_VARIANTS: tuple[Mapping[str, Json], ...] = tuple(
    {**_ENDINGS[number % len(_ENDINGS)], "language": _LANGUAGES[number % len(_LANGUAGES)]}
    for number in range(len(_ENDINGS) * len(_LANGUAGES))
)


def ending(number: int) -> Mapping[str, Json]:
    """Return the fields with which a conversation is closed: status, closure, sentiment, language, perhaps a handoff.

    :param number: from 1 on; each number has its ending
    """
    return _VARIANTS[(number - 1) % len(_VARIANTS)]


def history(conversation: Conversation, precision: Precision) -> list[JsonObject]:
    """Return the events of a conversation as the API shows them, oldest first."""
    if conversation.events is not None:
        return list(conversation.events)
    return [
        item(conversation, index, conversation.created_at + index * _SECONDS_BETWEEN_EVENTS * SECOND, event, precision)
        for index, event in enumerate(_usual_events(conversation))
    ]


def events_of(conversation: History[Conversation], precision: Precision) -> list[History[tuple[int, JsonObject]]]:
    """Return the events of a conversation, oldest first: each with its number, and since when it is there."""
    lengths = [(time, len(history(version, precision))) for time, version in conversation.versions]
    return [
        History(((next(time for time, length in lengths if length >= number), (number, event)),))
        for number, event in enumerate(history(conversation.latest, precision), start=1)
    ]


def item(conversation: Conversation, index: int, time: int, event: JsonObject, precision: Precision) -> JsonObject:
    """Return an item of a history.

    :param index: its place in the history, from 0 on
    """
    created_at = written(time, precision)
    return {"id": f"msg_{conversation.number:06d}_{index + 1:03d}", "created_at": created_at, "event": event}


def _usual_events(conversation: Conversation) -> list[JsonObject]:
    events = [_said("ai", "AI", "Hello! Have you got a minute?"), _said("user", None, "Yes, go ahead.")]
    if conversation.field("status") == "open":
        return events
    if conversation.is_handed_off:
        return [*events, _said("user", None, "I want to talk to a person."), _done("handoff")]
    if conversation.field("status") == "closed_resolved":
        return [*events, _said("user", None, "That is all, thank you."), _done("ai_resolved_issue")]
    return [*events, _said("user", None, "I have no time now.")]


def _said(sender: str, name: str | None, text: str) -> JsonObject:
    return {
        "type": "message",
        "sender": {"type": sender, "name": name},
        "content": {"type": "text", "text": text},
        "attachments": [],
        "context": {},
    }


def _done(kind: str) -> JsonObject:
    return {"type": kind, "sender": {"type": "ai", "name": "AI"}, "content": None, "attachments": [], "context": {}}
