"""The phone agents of every organization, in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from itertools import count
from threading import RLock

from airflow_provider_opencx.simulator.json_values import Json, JsonObject
from airflow_provider_opencx.simulator.list_view import History
from airflow_provider_opencx.simulator.resources.phone_agents.progression import Event, PendingSteps, Progression
from airflow_provider_opencx.simulator.resources.voices import DEFAULT_VOICE, Voices
from airflow_provider_opencx.simulator.service import Service
from airflow_provider_opencx.simulator.timestamps import timestamp

DEFAULTS: Mapping[str, Json] = {
    "name": None,
    "type": "inbound",
    "language": None,
    "accent": None,
    "handoff_phone_number": None,
    "speed": None,
    "interruptible": True,
    "actionIds": None,
    "instructions": None,
    "data_collection_fields": None,
    "data_collection_webhook_url": None,
    "model": "oppie-vox",
    "voice_id": DEFAULT_VOICE,
    "first_message": "Hello?",
    "provider_external_id": None,
    "flow": None,
    "manual_mode": False,
    "custom_llm": None,
    "use_org_knowledgebase": False,
    "background_noise_preset": None,
    "recording_enabled": False,
    "stt_keyterms": [],
    "stt_model": None,
    "tts_speed_pct": None,
    "failover_transfer_destination_id": None,
}
"""The fields of an agent in every generation, and what they are unless a request sets them."""


class UnknownAgentError(LookupError):
    """There is no such agent."""


@dataclass(frozen=True, eq=False)
class Agent:
    """An agent at one moment. It is immutable: a changed agent is another object with the same id."""

    id: str
    org_id: str
    sequence: int
    fields: Mapping[str, Json]
    phone_number: str | None
    created_at: str
    updated_at: str
    created_at_clock: float
    created_at_read: int

    @property
    def language(self) -> list[str] | None:
        """The codes of its languages; None if no request has set them."""
        language = self.fields["language"]
        if isinstance(language, list):
            return [str(code) for code in language]
        return None if language is None else [str(language)]

    def all_fields(self) -> JsonObject:
        """Return the fields of every generation."""
        return {
            **self.fields,
            "id": self.id,
            "org_id": self.org_id,
            "phone_number": self.phone_number,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }


class Store:
    """Keeps the agents in the order of their creation, and applies the steps of their progressions when they are due.

    :param service: the service whose state it is
    """

    def __init__(self, service: Service) -> None:
        self._clock = service.clock
        self._voices = service.state(Voices)
        self._progression = Progression.parse("now")  # until PhoneAgentControls sets its own
        self._agents: dict[str, Agent] = {}
        self._histories: dict[str, History[Agent]] = {}  # also of removed agents
        self._pending: dict[str, PendingSteps] = {}
        self._untouched: set[str] = set()  # agents that follow the common progression, before its first step
        self._reads: Counter[str] = Counter()
        self._sequence = count(1)
        self._numbers = count(1)
        self._lock = RLock()

    @property
    def progression(self) -> Progression:
        """The progression of agents that have none of their own.

        A new one also applies, from their creation on, to existing agents for which no step has occurred yet.
        """
        return self._progression

    @progression.setter
    def progression(self, progression: Progression) -> None:
        with self._lock:
            self._apply_all_due()
            self._progression = progression
            for agent in self._agents.values():
                if agent.id in self._untouched:
                    self._pending[agent.id] = progression.start(agent.created_at_clock, agent.created_at_read)

    def agents(self, organization: str) -> list[Agent]:
        """Return the agents of an organization. This does not count as a read of its list."""
        with self._lock:
            self._apply_all_due()
            return [agent for agent in self._agents.values() if agent.org_id == organization]

    def count_read(self, organization: str) -> None:
        """Count a read of an organization's list."""
        with self._lock:
            self._apply_all_due()
            self._reads[organization] += 1
            # Steps that are due after this read occur now, not when somebody looks the next time.
            self._apply_all_due()

    def histories(self, organization: str) -> list[History[Agent]]:
        """Return what the agents of an organization are and were, also the removed ones. This does not count as a read.

        What happens to an agent at the time of its creation is part of its first version.
        """
        with self._lock:
            self._apply_all_due()
            return [history for history in self._histories.values() if history.latest.org_id == organization]

    def create(self, organization: str, fields: Mapping[str, Json], progression: Progression | None = None) -> Agent:
        """Add an agent.

        :param fields: its fields; with a ``phone_number``, even None, it does not follow the common progression
        :param progression: a progression of its own
        """
        number = fields.get("phone_number")
        stored = _known_fields({name: value for name, value in fields.items() if name != "phone_number"})
        with self._lock:
            sequence = next(self._sequence)
            now = timestamp()
            agent = Agent(
                id=f"pa_{sequence:06d}",
                org_id=organization,
                sequence=sequence,
                fields={**DEFAULTS, "voice_id": self._voices.default(organization), **stored},
                phone_number=None if number is None else str(number),
                created_at=now,
                updated_at=now,
                created_at_clock=self._clock(),
                created_at_read=self._reads[organization],
            )
            self._agents[agent.id] = agent
            self._histories[agent.id] = History(((agent.created_at_clock, agent),))
            if progression is None and "phone_number" not in fields:
                self._untouched.add(agent.id)
                progression = self._progression
            if progression is not None:
                self._pending[agent.id] = progression.start(agent.created_at_clock, agent.created_at_read)
            self._apply_due(agent.id)
            created = self._agents.get(agent.id, agent)
            history = self._histories[agent.id]
            self._histories[agent.id] = replace(history, versions=((agent.created_at_clock, created),))
            return created

    def find(self, agent_id: str, organization: str | None = None) -> Agent:
        """Return an agent, or raise an UnknownAgentError.

        :param organization: only find an agent of this organization
        """
        with self._lock:
            self._apply_due(agent_id)
            agent = self._agents.get(agent_id)
            if agent is None or organization not in (None, agent.org_id):
                raise UnknownAgentError(agent_id)
            return agent

    def change(self, agent_id: str, fields: Mapping[str, Json]) -> Agent:
        """Change some fields of an agent."""
        changed = _known_fields(fields)
        with self._lock:
            agent = self.find(agent_id)
            changed_agent = replace(agent, fields={**agent.fields, **changed}, updated_at=timestamp(agent.updated_at))
            return self._put(changed_agent, self._clock())

    def undo(self, agent_id: str) -> None:
        """Take back the last change of an agent, or its creation, as if it had never been."""
        with self._lock:
            history = self._histories[agent_id]
            if earlier := history.versions[:-1]:
                self._histories[agent_id] = replace(history, versions=earlier)
                self._agents[agent_id] = earlier[-1][1]
            else:
                self._end_progression(agent_id)
                del self._histories[agent_id]
                self._agents.pop(agent_id, None)

    def give_number(self, agent_id: str, number: str | None = None) -> Agent:
        """Give an agent a number and end its progression.

        :param number: None is the next free number
        """
        with self._lock:
            agent = self.find(agent_id)
            self._end_progression(agent_id)
            return self._set_number(agent, number or self._next_number(), self._clock())

    def take_number(self, agent_id: str) -> Agent:
        """Take an agent's number away and end its progression."""
        with self._lock:
            agent = self.find(agent_id)
            self._end_progression(agent_id)
            return self._set_number(agent, None, self._clock())

    def progress(self, agent_id: str, progression: Progression) -> Agent:
        """Start a progression of an agent's own now."""
        with self._lock:
            agent = self.find(agent_id)
            self._end_progression(agent_id)
            self._pending[agent_id] = progression.start(self._clock(), self._reads[agent.org_id])
            self._apply_due(agent_id)
            return self._agents.get(agent_id, agent)

    def remove(self, agent_id: str) -> None:
        """Remove an agent."""
        with self._lock:
            self.find(agent_id)
            self._remove(agent_id, self._clock())

    def _apply_all_due(self) -> None:
        for agent_id in list(self._pending):
            self._apply_due(agent_id)

    def _apply_due(self, agent_id: str) -> None:
        while pending := self._pending.get(agent_id):
            if not pending.steps:
                del self._pending[agent_id]
                return
            agent = self._agents[agent_id]
            due = pending.next_event(self._clock(), self._reads[agent.org_id])
            if due is None:
                return
            event, rest = due
            self._pending[agent_id] = rest
            self._untouched.discard(agent_id)
            self._apply(event, agent, rest.time)

    def _apply(self, event: Event, agent: Agent, time: float) -> None:
        match event:
            case "gone":
                self._remove(agent.id, time)
            case "lost":
                self._set_number(agent, None, time)
            case "changed":
                self._set_number(agent, self._next_number(), time)
            case "given" if agent.phone_number is None:
                self._set_number(agent, self._next_number(), time)

    def _set_number(self, agent: Agent, number: str | None, time: float) -> Agent:
        return self._put(replace(agent, phone_number=number, updated_at=timestamp(agent.updated_at)), time)

    def _put(self, agent: Agent, time: float) -> Agent:
        self._agents[agent.id] = agent
        self._histories[agent.id] = self._histories[agent.id].followed_by(time, agent)
        return agent

    def _next_number(self) -> str:
        return f"+1555{next(self._numbers):07d}"

    def _remove(self, agent_id: str, time: float) -> None:
        self._end_progression(agent_id)
        self._histories[agent_id] = replace(self._histories[agent_id], removed_at=time)
        del self._agents[agent_id]

    def _end_progression(self, agent_id: str) -> None:
        self._pending.pop(agent_id, None)
        self._untouched.discard(agent_id)


def check_field_names(names: Set[str]) -> None:
    """Raise a ValueError for fields that no generation's agents have."""
    if unknown := sorted(names - DEFAULTS.keys()):
        raise ValueError(f"An agent has no field {', '.join(unknown)}.")


def _known_fields(fields: Mapping[str, Json]) -> JsonObject:
    """Check the names, and replace null by the default where an agent never has null."""
    check_field_names(fields.keys())
    return {
        name: DEFAULTS[name] if value is None and isinstance(DEFAULTS[name], bool) else value
        for name, value in fields.items()
    }
