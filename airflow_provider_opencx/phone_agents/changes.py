"""Finds the changes of phone agents between a record and a list. Pure.

The record is plain JSON, and small: of each agent its name, its number, and a short digest of each field that is not
null. So it says which fields have changed, and holds none of their values.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from threading import Lock
from typing import NamedTuple, TypeAlias
from weakref import WeakKeyDictionary

from pydantic import JsonValue

from airflow_provider_opencx.normalization import normalize_name
from airflow_provider_opencx.phone_agents.events import AgentEvent
from airflow_provider_opencx.phone_agents.plan import (
    DOCUMENTED_DEFAULTS,
    PhoneAgents,
    comparable_form,
    has_number,
)
from airflow_provider_opencx.phone_numbers import normalize_phone_number
from airflow_provider_opencx.resources.phone_agents import PhoneAgent

FIELDS = (
    "type",
    "voice_id",
    "language",
    "first_message",
    "instructions",
    "handoff_phone_number",
    "use_org_knowledgebase",
    "action_ids",
    "speed",
    "interruptible",
    "model",
    "accent",
    "flow",
    "manual_mode",
    "custom_llm",
    "data_collection_fields",
    "data_collection_webhook_url",
    "background_noise_preset",
    "recording_enabled",
    "stt_keyterms",
    "stt_model",
    "tts_speed_pct",
    "failover_transfer_destination_id",
)
"""The fields whose changes are changes of an agent, beside its name. Times of changes, for example, are none."""

_VERSION = 1
_UNKNOWN = "?"

Payload: TypeAlias = dict[str, JsonValue]
"""An event as plain JSON."""

_PAYLOAD = {
    "event_id",
    "event",
    "opencx_conn_id",
    "org_id",
    "agent_id",
    "agent_name",
    "phone_number",
    "previous_phone_number",
    "fields",
    "seen_at",
}


class RecordedAgent(NamedTuple):
    """The recorded state of an agent.

    :param name: its name, ``None`` without one.
    :param number: its phone number without spacing, empty without one.
    :param digests: a digest of each of the ``FIELDS``, in their order: empty for null, ``"?"`` where it was never read.
    """

    name: str | None
    number: str
    digests: tuple[str, ...]


@dataclass(frozen=True)
class Record:
    """The recorded agents of an organization, and the changes that may not be stored yet.

    :param epoch: a random text that no other baseline has.
    :param revision: how many records with changes there were since the baseline.
    :param org_id: the organization, ``None`` if no list has shown it.
    :param agents: the agents, by their ids.
    :param pending: the events of changes that are recorded, and that Airflow may not have stored.
    """

    epoch: str
    revision: int
    org_id: str | None
    agents: Mapping[str, RecordedAgent]
    pending: tuple[Payload, ...] = ()

    def as_json(self) -> dict[str, JsonValue]:
        """Return it as plain JSON, for :meth:`from_json`."""
        return {
            "version": _VERSION,
            "epoch": self.epoch,
            "revision": self.revision,
            "org_id": self.org_id,
            "fields": list(FIELDS),
            "agents": {
                agent_id: [agent.name, agent.number, ",".join(agent.digests).rstrip(",")]
                for agent_id, agent in self.agents.items()
            },
            "pending": list(self.pending),
        }

    @classmethod
    def from_json(cls, stored: object) -> Record:
        """Return the record that was stored; a field that its version did not know counts as never read.

        :raises ValueError: if it is not such a record; the message says why.
        """
        if not isinstance(stored, dict) or stored.get("version") != _VERSION:
            raise ValueError(f"it is no record of version {_VERSION}")
        try:
            fields = [str(field) for field in stored["fields"]]
            agents = {str(agent_id): _recorded(agent, fields) for agent_id, agent in stored["agents"].items()}
            pending = tuple(map(_pending, stored["pending"]))
            org_id = None if stored["org_id"] is None else str(stored["org_id"])
            return cls(str(stored["epoch"]), int(stored["revision"]), org_id, agents, pending)
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as wrong:
            raise ValueError(f"a part of it is missing, or is something else ({type(wrong).__name__})") from None


def _recorded(stored: object, fields: Sequence[str]) -> RecordedAgent:
    if not isinstance(stored, list):
        raise TypeError
    name, number, joined = stored
    if not isinstance(name, str | None) or not isinstance(number, str) or not isinstance(joined, str):
        raise TypeError
    digests = joined.split(",")
    by_field = dict(zip(fields, [*digests, *[""] * (len(fields) - len(digests))], strict=True))
    return RecordedAgent(name, number, tuple(by_field.get(field, _UNKNOWN) for field in FIELDS))


def _pending(stored: object) -> Payload:
    if not isinstance(stored, dict) or stored.keys() != _PAYLOAD:
        raise TypeError
    return stored


@dataclass(frozen=True)
class Change:
    """One change of one agent.

    :param event: what has happened.
    :param agent_id: to which agent.
    :param before: the agent as it was recorded; ``None`` if it is new.
    :param after: the agent as it is; ``None`` if it is gone.
    :param fields: the names of the fields that have changed, for ``agent_changed``.
    """

    event: AgentEvent
    agent_id: str
    before: RecordedAgent | None
    after: RecordedAgent | None
    fields: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """The names that the agent has, and had before."""
        return [agent.name for agent in (self.before, self.after) if agent is not None and agent.name is not None]

    def event_id(self, record: Record) -> str:
        """Return an id that is the same for the same change, found once more against the same record.

        :param record: what the change was found against.
        """
        what = [self._compared(self.before), self._compared(self.after)]
        return _hash([record.epoch, record.revision, self.agent_id, self.event, *what], size=16).hex()

    def _compared(self, agent: RecordedAgent | None) -> object:
        if agent is None or self.event.startswith("number_"):
            return None if agent is None else agent.number
        return [agent.name, agent.digests] if self.event == "agent_changed" else ""

    def payload(self, record: Record, conn_id: str, org_id: str | None, seen_at: str) -> Payload:
        """Return the event as plain JSON.

        :param record: what the change was found against.
        :param conn_id: the connection.
        :param org_id: the organization, if known.
        :param seen_at: when it was seen, in ISO 8601.
        """
        agent = self.after or self.before
        tells_previous = self.event in ("number_lost", "number_changed", "agent_removed") and self.before is not None
        return {
            "event_id": self.event_id(record),
            "event": self.event,
            "opencx_conn_id": conn_id,
            "org_id": org_id,
            "agent_id": self.agent_id,
            "agent_name": agent.name if agent else None,
            "phone_number": (self.after.number if self.after else None) or None,
            "previous_phone_number": (self.before.number or None) if tells_previous and self.before else None,
            "fields": list(self.fields),
            "seen_at": seen_at,
        }


@dataclass(frozen=True)
class Watched:
    """Which changes are events.

    :param conn_id: the connection, for the events.
    :param events: what can happen.
    :param names: to agents of which names; ``None`` for all.
    """

    conn_id: str
    events: frozenset[str]
    names: frozenset[str] | None

    def wants(self, change: Change) -> bool:
        """Return whether a change is an event: an agent that gets or loses one of the names has it in one list."""
        return change.event in self.events and (
            self.names is None or not self.names.isdisjoint(map(normalize_name, change.names))
        )


def baseline(agents: PhoneAgents, epoch: str, earlier: Record | None = None) -> Record:
    """Return a record of what a list shows, without any change.

    :param epoch: a random text.
    :param earlier: the record whose place it takes, if there is one.
    """
    recorded = {agent.id: _as_before(shown, agent, None) for agent, shown in _shown_of(agents)}
    if earlier is None:
        return Record(epoch, 0, organization_of(agents), recorded)
    return Record(epoch, earlier.revision + 1, organization_of(agents), recorded, earlier.pending)


def organization_of(agents: PhoneAgents) -> str | None:
    """Return the organization that the agents of a list show; ``None`` if none does, or they show several.

    An agent that shows none says nothing of the others.
    """
    shown = _organizations_of(agents)
    return shown.pop() if len(shown) == 1 else None


def is_of_another_organization(record: Record, agents: PhoneAgents) -> bool:
    """Return whether a list is certainly that of another organization than the recorded one."""
    shown = _organizations_of(agents)
    return record.org_id is not None and bool(shown) and record.org_id not in shown


def _organizations_of(agents: PhoneAgents) -> set[str]:
    return {agent.org_id for agent in agents if isinstance(agent.org_id, str)}


def missing_from(agents: PhoneAgents, record: Record) -> list[str]:
    """Return the ids of the recorded agents that a list certainly does not show."""
    if agents.unreadable:
        return []  # it may be one of those
    return [agent_id for agent_id in record.agents if agents.with_id(agent_id) is None]


def find_changes(
    record: Record, agents: PhoneAgents, gone: Collection[str], watched: Watched, seen_at: str
) -> tuple[list[Payload], Record]:
    """Return the events that a list shows, and what to record. Without a change, the record is the same object.

    :param record: what was recorded.
    :param agents: the list.
    :param gone: the ids of the agents that were missing long enough that they are removed.
    :param watched: which changes are events.
    :param seen_at: when the list was read, in ISO 8601.
    """
    org_id = organization_of(agents) or record.org_id
    after = dict(record.agents)
    for agent, shown in _shown_of(agents):
        after[agent.id] = _as_before(shown, agent, record.agents.get(agent.id))
    for agent_id in gone:
        after.pop(agent_id, None)
    if after == record.agents:
        return [], record if org_id == record.org_id else replace(record, org_id=org_id)
    changes = [
        change
        for agent_id in {**record.agents, **after}
        for change in _changes(agent_id, record.agents.get(agent_id), after.get(agent_id))
    ]
    events = [change.payload(record, watched.conn_id, org_id, seen_at) for change in filter(watched.wants, changes)]
    pending = (*record.pending, *events)
    return events, replace(record, revision=record.revision + 1, org_id=org_id, agents=after, pending=pending)


def _changes(agent_id: str, before: RecordedAgent | None, after: RecordedAgent | None) -> Iterator[Change]:
    if before == after:
        return
    if before is None:
        yield Change("agent_created", agent_id, before, after)
    had, has = (agent.number if agent else "" for agent in (before, after))
    if had != has:
        event: AgentEvent = "number_changed" if had and has else "number_assigned" if has else "number_lost"
        yield Change(event, agent_id, before, after)
    if after is None:
        yield Change("agent_removed", agent_id, before, after)
    if before is not None and after is not None and (fields := _changed_fields(before, after)):
        yield Change("agent_changed", agent_id, before, after, fields)


def _changed_fields(before: RecordedAgent, after: RecordedAgent) -> tuple[str, ...]:
    names = [None if name is None else normalize_name(name) for name in (before.name, after.name)]
    changed = ["name"] if names[0] != names[1] else []
    for field, old, new in zip(FIELDS, before.digests, after.digests, strict=True):
        if old != new and _UNKNOWN not in (old, new):
            changed.append(field)
    return tuple(changed)


_shown: WeakKeyDictionary[PhoneAgents, list[tuple[PhoneAgent, RecordedAgent]]] = WeakKeyDictionary()
_shown_lock = Lock()


def _shown_of(agents: PhoneAgents) -> list[tuple[PhoneAgent, RecordedAgent]]:
    """Return what to record of each agent, made once for all who watch one list."""
    with _shown_lock:
        if agents not in _shown:
            _shown[agents] = [(agent, _of(agent)) for agent in agents]
        return _shown[agents]


def _of(agent: PhoneAgent) -> RecordedAgent:
    number = normalize_phone_number(agent.phone_number or "") if has_number(agent) else ""
    return RecordedAgent(agent.name, number, tuple(_digest(field, getattr(agent, field)) for field in FIELDS))


def _as_before(shown: RecordedAgent, agent: PhoneAgent, before: RecordedAgent | None) -> RecordedAgent:
    """Return what to record of an agent: a field that cannot be read is as it was."""
    if not agent.unreadable:
        return shown
    old = before or RecordedAgent(None, "", (_UNKNOWN,) * len(FIELDS))
    return RecordedAgent(
        old.name if "name" in agent.unreadable else shown.name,
        old.number if "phone_number" in agent.unreadable else shown.number,
        tuple(
            was if field in agent.unreadable else now
            for field, was, now in zip(FIELDS, old.digests, shown.digests, strict=True)
        ),
    )


def _digest(field: str, value: JsonValue) -> str:
    """Return four characters for a value, the same for all values of one meaning; none for null and for its default."""
    if value is None or (field in DOCUMENTED_DEFAULTS and value == DOCUMENTED_DEFAULTS[field]):
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # 1.0 and 1 are one number
    return base64.urlsafe_b64encode(_hash(comparable_form(field, value), size=3)).decode()


def _hash(value: object, size: int) -> bytes:
    return blake2b(json.dumps(value, sort_keys=True, separators=(",", ":")).encode(), digest_size=size).digest()
