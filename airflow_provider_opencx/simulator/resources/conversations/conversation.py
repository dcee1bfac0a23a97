"""A conversation, and its history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from airflow_provider_opencx.simulator.json_values import Json, JsonObject
from airflow_provider_opencx.simulator.resources.conversations.moments import Precision, written

PHONE = "phone_voice"
"""The channel of calls."""

DEFAULTS: Mapping[str, Json] = MappingProxyType(
    {
        "status": "open",
        "ai_closure_type": None,
        "sentiment": None,
        "channel": {"type": PHONE},
        "contact": None,
        "language": None,
        "assignee_id": None,
        "custom_data": None,
        "team": None,
        "handoff": None,
        "ticketing_system": None,
    }
)
"""The fields of a conversation of which nothing is said. Its ticket number is its own number."""


class UnknownConversationError(LookupError):
    """There is no such conversation."""


@dataclass(frozen=True, eq=False, slots=True)
class Conversation:
    """A conversation at one moment. It is immutable: a changed one is another object with the same id.

    :param number: a number that is higher than those of conversations that were added before
    :param fields: what the API shows, where that is not the default; many conversations may share them
    :param contact: the contact, if it is not among the fields; many conversations may share it
    :param events: what was said and done; None is what is usually said in one that ends like this one
    """

    id: str
    org_id: str
    number: int
    created_at: int
    updated_at: int
    fields: Mapping[str, Json]
    contact: JsonObject | None = None
    events: tuple[JsonObject, ...] | None = None

    def field(self, name: str) -> Json:
        """Return one of the fields that have a default."""
        return self.fields.get(name, DEFAULTS[name])

    @property
    def channel_type(self) -> Json:
        """The channel; None if there is none."""
        channel = self.field("channel")
        return channel.get("type") if isinstance(channel, dict) else None

    @property
    def is_handed_off(self) -> bool:
        """Whether a person took the conversation over."""
        return self.field("handoff") is not None

    def all_fields(self, precision: Precision) -> JsonObject:
        """Return what the API shows."""
        return {
            "id": self.id,
            "ticket_number": self.number,
            **DEFAULTS,
            "contact": self.contact,
            **self.fields,
            "created_at": written(self.created_at, precision),
            "updated_at": written(self.updated_at, precision),
        }
