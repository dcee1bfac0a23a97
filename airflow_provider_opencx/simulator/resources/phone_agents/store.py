"""The agents that exist, of every organization, in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from threading import RLock

from airflow_provider_opencx.simulator.json_values import Json, JsonObject
from airflow_provider_opencx.simulator.resources.phone_agents.progression import Course, Event, Progression
from airflow_provider_opencx.simulator.resources.voices import DEFAULT_VOICE

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
"""What an agent is where its creator said nothing: the members of every generation."""


class UnknownAgentError(LookupError):
    """There is no such agent."""


@dataclass(frozen=True, eq=False)
class Agent:
    """An agent at one moment. It never changes: to change an agent is to put another of the same id in its place."""

    id: str
    org_id: str
    sequence: int
    members: Mapping[str, Json]
    phone_number: str | None
    created_at: str
    updated_at: str
    created_at_clock: float
    created_at_read: int

    @property
    def language(self) -> list[str] | None:
        """The codes of its languages; None where nobody has said."""
        language = self.members["language"]
        if isinstance(language, list):
            return [str(code) for code in language]
        return None if language is None else [str(language)]

    def all_members(self) -> JsonObject:
        """Return every member that any generation shows."""
        return {
            **self.members,
            "id": self.id,
            "org_id": self.org_id,
            "phone_number": self.phone_number,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }


class Store:
    """Keeps the agents in the order of their creation, and lets happen to their numbers what is due."""

    def __init__(self, clock: Callable[[], float], progression: Progression) -> None:
        self._clock = clock
        self._progression = progression
        self._agents: dict[str, Agent] = {}
        self._courses: dict[str, Course] = {}
        self._untouched: set[str] = set()
        self._reads: Counter[str] = Counter()
        self._sequence = count(1)
        self._numbers = count(1)
        self._lock = RLock()

    @property
    def progression(self) -> Progression:
        """What becomes of the number of an agent that has no progression of its own.

        Set, it holds from their creation on for those to which nothing has happened yet, too.
        """
        return self._progression

    @progression.setter
    def progression(self, progression: Progression) -> None:
        with self._lock:
            self._settle_all()
            self._progression = progression
            for agent in self._agents.values():
                if agent.id in self._untouched:
                    self._courses[agent.id] = progression.begin(agent.created_at_clock, agent.created_at_read)

    def agents(self, organization: str) -> list[Agent]:
        """Return the agents of an organization as they are now, without this counting as a read."""
        with self._lock:
            self._settle_all()
            return [agent for agent in self._agents.values() if agent.org_id == organization]

    def read(self, organization: str) -> list[Agent]:
        """Return the agents of an organization, as one read of its list."""
        with self._lock:
            agents = self.agents(organization)
            self._reads[organization] += 1
            # What is due after this read happens now, and not only when somebody looks.
            self._settle_all()
            return agents

    def create(self, organization: str, members: Mapping[str, Json], progression: Progression | None = None) -> Agent:
        """Add an agent.

        One that is given a phone number, be it None, has a progression only if it is given that too.
        """
        number = members.get("phone_number")
        own = _known({name: value for name, value in members.items() if name != "phone_number"})
        with self._lock:
            sequence = next(self._sequence)
            now = _timestamp()
            agent = Agent(
                id=f"pa_{sequence:06d}",
                org_id=organization,
                sequence=sequence,
                members={**DEFAULTS, **own},
                phone_number=None if number is None else str(number),
                created_at=now,
                updated_at=now,
                created_at_clock=self._clock(),
                created_at_read=self._reads[organization],
            )
            self._agents[agent.id] = agent
            if progression is None and "phone_number" not in members:
                self._untouched.add(agent.id)
                progression = self._progression
            if progression is not None:
                self._courses[agent.id] = progression.begin(agent.created_at_clock, agent.created_at_read)
            self._settle(agent.id)
            return self._agents.get(agent.id, agent)

    def find(self, agent_id: str, organization: str | None = None) -> Agent:
        """Return one agent: of an organization, if one is named."""
        with self._lock:
            self._settle(agent_id)
            agent = self._agents.get(agent_id)
            if agent is None or organization not in (None, agent.org_id):
                raise UnknownAgentError(agent_id)
            return agent

    def change(self, agent_id: str, members: Mapping[str, Json]) -> Agent:
        """Change members of an agent; the others stay as they are."""
        own = _known(members)
        with self._lock:
            agent = self.find(agent_id)
            return self.put(replace(agent, members={**agent.members, **own}, updated_at=_timestamp()))

    def put(self, agent: Agent) -> Agent:
        """Put an agent in the place of the one that has its id."""
        with self._lock:
            self._agents[agent.id] = agent
            return agent

    def give_number(self, agent_id: str, number: str | None = None) -> Agent:
        """Give an agent a number, its next one if none is named; its progression is over."""
        with self._lock:
            agent = self.find(agent_id)
            self._end_course(agent_id)
            return self._numbered(agent, number or self._next_number())

    def take_number(self, agent_id: str) -> Agent:
        """Take an agent's number away; its progression is over."""
        with self._lock:
            agent = self.find(agent_id)
            self._end_course(agent_id)
            return self._numbered(agent, None)

    def progress(self, agent_id: str, progression: Progression) -> Agent:
        """Let an agent begin a progression of its own now."""
        with self._lock:
            agent = self.find(agent_id)
            self._end_course(agent_id)
            self._courses[agent_id] = progression.begin(self._clock(), self._reads[agent.org_id])
            self._settle(agent_id)
            return self._agents.get(agent_id, agent)

    def remove(self, agent_id: str) -> None:
        """Take an agent away."""
        with self._lock:
            self.find(agent_id)
            self._remove(agent_id)

    def _settle_all(self) -> None:
        for agent_id in list(self._courses):
            self._settle(agent_id)

    def _settle(self, agent_id: str) -> None:
        while course := self._courses.get(agent_id):
            if not course.steps:
                del self._courses[agent_id]
                return
            agent = self._agents[agent_id]
            step = course.next_step(self._clock(), self._reads[agent.org_id])
            if step is None:
                return
            event, self._courses[agent_id] = step
            self._untouched.discard(agent_id)
            self._happen(agent, event)

    def _happen(self, agent: Agent, event: Event) -> None:
        match event:
            case "gone":
                self._remove(agent.id)
            case "lost":
                self._numbered(agent, None)
            case "changed":
                self._numbered(agent, self._next_number())
            case "given" if agent.phone_number is None:
                self._numbered(agent, self._next_number())

    def _numbered(self, agent: Agent, number: str | None) -> Agent:
        return self.put(replace(agent, phone_number=number, updated_at=_timestamp()))

    def _next_number(self) -> str:
        return f"+1555{next(self._numbers):07d}"

    def _remove(self, agent_id: str) -> None:
        self._end_course(agent_id)
        del self._agents[agent_id]

    def _end_course(self, agent_id: str) -> None:
        self._courses.pop(agent_id, None)
        self._untouched.discard(agent_id)


def check_names(members: Set[str]) -> None:
    """Raise a ValueError for members that no agent of any generation has."""
    if unknown := sorted(members - DEFAULTS.keys()):
        raise ValueError(f"An agent has no member {', '.join(unknown)}.")


def _known(members: Mapping[str, Json]) -> JsonObject:
    """Check the names, and put the default in the place of a null where an agent never has one."""
    check_names(members.keys())
    return {
        name: DEFAULTS[name] if value is None and isinstance(DEFAULTS[name], bool) else value
        for name, value in members.items()
    }


def _timestamp() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
