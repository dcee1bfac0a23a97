"""Agents packed small, for a process that holds all of an organization and is asked for few."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from airflow_provider_opencx.api.models import PhoneAgent, normalize_name
from airflow_provider_opencx.reconcile import PhoneAgents

PackedAgent: TypeAlias = tuple[str, str | None, str]
"""An agent's id, its name, and the whole of it as JSON."""


def pack(agent: PhoneAgent) -> PackedAgent:
    """Return an agent packed."""
    return agent.id, agent.name, agent.model_dump_json(by_alias=True)


class PackedAgents(PhoneAgents):
    """All agents of an organization, each of which is read again when it is asked for.

    Ten thousand agents are some hundred thousand Python objects. Made anew with each poll, they set off Python's
    garbage collector, which stops every thread of the process while it looks through all that the process holds.
    Packed they are strings, of which it takes no notice.

    :param agents: the agents, as listed; of those with one id, the last counts.
    :param earlier: the agents of the poll before: what was read of them, and is the same still, is not read again.
    """

    def __init__(self, agents: Iterable[PackedAgent], earlier: PackedAgents | None = None) -> None:
        super().__init__(())
        names: dict[str, str | None] = {}
        self._json: dict[str, str] = {}
        for agent_id, name, json in agents:
            names[agent_id] = name
            self._json[agent_id] = json
        self._ids: dict[str, tuple[str, ...]] = {}
        for agent_id, name in names.items():
            if name is not None:
                key = normalize_name(name)
                self._ids[key] = (*self._ids.get(key, ()), agent_id)
        # A copy, because this may run in a thread beside those that read.
        read = dict(earlier._read) if earlier else {}
        self._read: dict[str, PhoneAgent] = {
            agent_id: agent
            for agent_id, agent in read.items()
            if earlier and self._json.get(agent_id) == earlier._json[agent_id]
        }

    def with_id(self, agent_id: str) -> PhoneAgent | None:
        """Return the agent of an id, ``None`` if there is none."""
        if agent_id not in self._read and agent_id in self._json:
            self._read[agent_id] = PhoneAgent.model_validate_json(self._json[agent_id])
        return self._read.get(agent_id)

    def named(self, name: str) -> list[PhoneAgent]:
        """Return the agents of a name; nothing says that the service keeps names unique."""
        found = map(self.with_id, self._ids.get(normalize_name(name), ()))
        return [agent for agent in found if agent is not None]
