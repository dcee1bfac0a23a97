"""Phone agents, whose phone numbers appear, disappear and change over time."""

from __future__ import annotations

from airflow_provider_opencx.simulator.resources.phone_agents.admin import ADMIN_ROUTES
from airflow_provider_opencx.simulator.resources.phone_agents.handlers import HANDLERS

__all__ = ["ADMIN_ROUTES", "HANDLERS"]
