"""Reads the agents to export more than once, because an agent missing in one response would be missing in the file."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from airflow_provider_opencx.exceptions import (
    OpenCXError,
    OpenCXNotFoundError,
    OpenCXPermissionError,
    OpenCXResponseError,
)
from airflow_provider_opencx.phone_agents.export.by_name import NamesInUse
from airflow_provider_opencx.phone_agents.listing import list_agents
from airflow_provider_opencx.phone_agents.named import Names
from airflow_provider_opencx.phone_agents.plan import PhoneAgents
from airflow_provider_opencx.phone_agents.resolution import read_names
from airflow_provider_opencx.reconciliation.listing import READ_AGAIN_AFTER
from airflow_provider_opencx.resources.phone_agents import IDS_BY_NAMES, PhoneAgent
from airflow_provider_opencx.resources.voices import list_voices

if TYPE_CHECKING:
    from airflow_provider_opencx.client.client import OpenCXClient

_MOST_READS = 4
_CHANGES_BY_ITSELF = {"phone_number", "updated_at"}
"""Fields that change without anybody who edits the agent."""


def read_agents(client: OpenCXClient) -> PhoneAgents:
    """List the agents until two lists in a row agree, and return the last one.

    :raises OpenCXResponseError: if they do not; another try may find them in agreement.
    """
    before = list_agents(client)
    for read in range(1, _MOST_READS):
        if read > 1:
            time.sleep(READ_AGAIN_AFTER)
        agents = list_agents(client)
        if _content(agents) == _content(before):
            return agents
        before = agents
    raise OpenCXResponseError(
        f"The list of agents was read {_MOST_READS} times, and was another one each time, so an export of it could be"
        " incomplete. Nothing was written. Export again when nobody changes agents."
    )


def read_voice_names(client: OpenCXClient) -> dict[str, str]:
    """Return the names of the voices by their ids; nothing where the voices cannot be read."""
    try:
        voices = list_voices(client)
    except OpenCXError:
        return {}
    return {voice.voice_id: voice.name for voice in voices if voice.voice_id and voice.name}


def read_names_in_use(client: OpenCXClient, agents: PhoneAgents) -> NamesInUse:
    """Return the names of what agents refer to by id: each list is read once, and only where one of them does.

    A list that the service does not have, or the key may not read, becomes a remark.
    """
    known: dict[str, Names] = {}
    remarks: list[str] = []
    for by_name, by_id in IDS_BY_NAMES.items():
        if any(getattr(agent, by_id) for agent in agents):
            try:
                known[by_name] = read_names(client, by_name)
            except (OpenCXNotFoundError, OpenCXPermissionError) as error:
                remarks.append(f"{by_id} is not written by name. {error}")
    return NamesInUse(known, tuple(remarks))


def _content(agents: PhoneAgents) -> tuple[dict[str, object], tuple[str, ...]]:
    """Return what two lists of the same agents have in common, in any order."""
    return {agent.id: _fields(agent) for agent in agents}, tuple(sorted(agents.unreadable))


def _fields(agent: PhoneAgent) -> tuple[object, ...]:
    shown = agent.model_dump(exclude=_CHANGES_BY_ITSELF, exclude_unset=True)
    return shown, dict(agent.unreadable)
