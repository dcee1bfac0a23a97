"""Reads the list of agents, to search them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from airflow_provider_opencx.phone_agents.plan import PhoneAgents
from airflow_provider_opencx.resources.phone_agents import list_phone_agents

if TYPE_CHECKING:
    from airflow_provider_opencx.client.client import OpenCXClient


def list_agents(client: OpenCXClient) -> PhoneAgents:
    """List the agents, to search them."""
    listed_at = time.monotonic()
    return PhoneAgents(list_phone_agents(client), listed_at)
