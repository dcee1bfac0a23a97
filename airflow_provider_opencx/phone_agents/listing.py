"""Reads the list of agents, and does not believe one read where much hangs on it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from airflow_provider_opencx.phone_agents.plan import PhoneAgents
from airflow_provider_opencx.resources.phone_agents import list_phone_agents

if TYPE_CHECKING:
    from airflow_provider_opencx.client.client import OpenCXClient

READ_AGAIN_AFTER = 5.0
"""Seconds after which two lists that contradict each other are followed by a third."""

STALE_AFTER = 10.0
"""Seconds after which the list is read again before a create, for what others create without taking turns.

The wait of a create for the rate limit comes on top.
"""

LAGS_FOR = 300.0
"""Seconds for which a list may not show an agent that was created."""


def list_agents(client: OpenCXClient) -> PhoneAgents:
    """List the agents, to search them."""
    listed_at = time.monotonic()
    return PhoneAgents(list_phone_agents(client), listed_at)


def list_until(
    client: OpenCXClient, found: Callable[[PhoneAgents], object], pauses: Sequence[float], agents: PhoneAgents
) -> PhoneAgents:
    """Read the list until it shows what is looked for, or was read once after each pause; return the last one.

    :param found: whether a list shows it.
    :param pauses: seconds before each read.
    :param agents: the list that was read before.
    """
    for seconds in pauses:
        if found(agents):
            break
        time.sleep(seconds)
        agents = list_agents(client)
    return agents


def list_again(client: OpenCXClient, before: PhoneAgents, names: Collection[str]) -> PhoneAgents:
    """Return a second list, before some names are created.

    Where it does not show all of them, and it contradicts the first one, or one of the two is empty, a third follows:
    then all that the two show is returned.

    :param before: the first list.
    :param names: what is to be created.
    """
    agents = list_agents(client)
    agree = len(agents) and len(before) and not (agents.lacks_most_of(before) or before.lacks_most_of(agents))
    if agree or all(map(agents.named, names)):
        return agents
    time.sleep(READ_AGAIN_AFTER)
    return list_agents(client).with_those_of(agents)


def fresh(client: OpenCXClient, agents: PhoneAgents) -> PhoneAgents:
    """Return the list; if it is stale, what it and another one show."""
    return list_agents(client).with_those_of(agents) if is_stale(agents) else agents


def is_stale(agents: PhoneAgents) -> bool:
    """Return whether a list was read too long ago to write on its word."""
    return time.monotonic() - agents.listed_at > STALE_AFTER
