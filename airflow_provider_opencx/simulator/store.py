"""The agents that exist, of every organization, in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from threading import RLock

from airflow_provider_opencx.simulator.json_values import Json, JsonObject
from airflow_provider_opencx.simulator.provisioning import Provisioning
from airflow_provider_opencx.simulator.voices import DEFAULT_VOICE

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
    waits_for_number: bool
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
    """Keeps the agents in the order of their creation, and gives them their numbers when these are due."""

    def __init__(self, clock: Callable[[], float], provisioning: Provisioning) -> None:
        self._clock = clock
        self._provisioning = provisioning
        self._agents: dict[str, Agent] = {}
        self._reads: Counter[str] = Counter()
        self._sequence = count(1)
        self._numbers = count(1)
        self._lock = RLock()

    @property
    def provisioning(self) -> Provisioning:
        """When agents get their numbers; it holds for those that wait already, too."""
        return self._provisioning

    @provisioning.setter
    def provisioning(self, provisioning: Provisioning) -> None:
        with self._lock:
            for agent in self._agents.values():
                self._settled(agent)
            self._provisioning = provisioning

    def agents(self, organization: str) -> list[Agent]:
        """Return the agents of an organization as they are now, without this counting as a read."""
        with self._lock:
            own = [agent for agent in self._agents.values() if agent.org_id == organization]
            return [self._settled(agent) for agent in own]

    def read(self, organization: str) -> list[Agent]:
        """Return the agents of an organization, as one read of its list."""
        with self._lock:
            agents = self.agents(organization)
            self._reads[organization] += 1
            return agents

    def create(self, organization: str, members: Mapping[str, Json]) -> Agent:
        """Add an agent; one that is given a phone number, be it None, does not wait for one."""
        waits = "phone_number" not in members
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
                waits_for_number=waits,
                created_at=now,
                updated_at=now,
                created_at_clock=self._clock(),
                created_at_read=self._reads[organization],
            )
            self._agents[agent.id] = agent
            return self._settled(agent)

    def find(self, organization: str, agent_id: str) -> Agent:
        """Return one agent of an organization."""
        with self._lock:
            agent = self._agent(agent_id)
            if agent.org_id != organization:
                raise UnknownAgentError(agent_id)
            return self._settled(agent)

    def change(self, agent_id: str, members: Mapping[str, Json]) -> Agent:
        """Change members of an agent; the others stay as they are."""
        own = _known(members)
        with self._lock:
            agent = self._settled(self._agent(agent_id))
            return self._put(replace(agent, members={**agent.members, **own}, updated_at=_timestamp()))

    def give_number(self, agent_id: str, number: str | None = None) -> Agent:
        """Give an agent a number, its next one if none is named."""
        with self._lock:
            agent = self._agent(agent_id)
            number = number or f"+1555{next(self._numbers):07d}"
            return self._put(replace(agent, phone_number=number, waits_for_number=False, updated_at=_timestamp()))

    def remove(self, agent_id: str) -> None:
        """Take an agent away."""
        with self._lock:
            self._agent(agent_id)
            del self._agents[agent_id]

    def _agent(self, agent_id: str) -> Agent:
        try:
            return self._agents[agent_id]
        except KeyError:
            raise UnknownAgentError(agent_id) from None

    def _settled(self, agent: Agent) -> Agent:
        seconds = self._clock() - agent.created_at_clock
        reads = self._reads[agent.org_id] - agent.created_at_read
        if agent.waits_for_number and self._provisioning.is_due(seconds, reads):
            return self.give_number(agent.id)
        return agent

    def _put(self, agent: Agent) -> Agent:
        self._agents[agent.id] = agent
        return agent


def _known(members: Mapping[str, Json]) -> JsonObject:
    """Check the names, and put the default in the place of a null where an agent never has one."""
    if unknown := sorted(members.keys() - DEFAULTS.keys()):
        raise ValueError(f"An agent has no member {', '.join(unknown)}.")
    return {
        name: DEFAULTS[name] if value is None and isinstance(DEFAULTS[name], bool) else value
        for name, value in members.items()
    }


def _timestamp() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
