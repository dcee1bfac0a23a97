"""Agents packed small, for a process that holds all of an organization and is asked for few."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from airflow_provider_opencx.phone_agents.plan import PhoneAgents, has_number
from airflow_provider_opencx.resources.phone_agents import PhoneAgent, normalize_name

PackedAgent: TypeAlias = tuple[str, str | None, bool, str]
"""An agent's id, its name, whether it has its number, and the whole of it as JSON."""


def pack(item: object) -> PackedAgent:
    """Return an agent of a decoded response packed.

    :raises OpenCXResponseError: if it is not an agent.
    """
    agent = PhoneAgent.from_response(item)
    return agent.id, agent.name, has_number(agent), json.dumps(item)


class PackedAgents(PhoneAgents):
    """All agents of an organization, each of which is read again when it is asked for.

    Ten thousand agents are some hundred thousand Python objects. Made anew with each poll, they set off Python's
    garbage collector, which stops every thread of the process while it scans all objects.
    Packed they are strings, which it does not scan. Whether an agent is there, and ready, is known without parsing it.

    :param agents: the agents, as listed; of those with one id, the last counts.
    """

    def __init__(self, agents: Iterable[PackedAgent]) -> None:
        super().__init__(())
        self._packed = {packed[0]: packed for packed in agents}
        self._ids: dict[str, tuple[str, ...]] = {}
        for agent_id, name, _, _ in self._packed.values():
            if name is not None:
                key = normalize_name(name)
                self._ids[key] = (*self._ids.get(key, ()), agent_id)

    def with_id(self, agent_id: str) -> PhoneAgent | None:
        """Return the agent of an id, ``None`` if there is none."""
        packed = self._packed.get(agent_id)
        return None if packed is None else PhoneAgent.from_response(json.loads(packed[3]))

    def named(self, name: str) -> list[PhoneAgent]:
        """Return the agents of a name; nothing says that the service keeps names unique."""
        return [agent for agent in map(self.with_id, self.ids_named(name)) if agent is not None]

    def ids_named(self, name: str) -> Sequence[str]:
        """Return the ids of the agents of a name, without parsing the agents."""
        return self._ids.get(normalize_name(name), ())

    def has_id(self, agent_id: str) -> bool:
        """Return whether there is an agent of an id."""
        return agent_id in self._packed

    def is_ready(self, agent_id: str) -> bool:
        """Return whether there is an agent of an id, and it has its number."""
        packed = self._packed.get(agent_id)
        return packed is not None and packed[2]
