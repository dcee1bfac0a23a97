"""Sequences: campaigns in steps, which call the contacts that a filter selects."""

from __future__ import annotations

from airflow_provider_opencx.simulator.resources.sequences.admin import ADMIN_ROUTES
from airflow_provider_opencx.simulator.resources.sequences.handlers import HANDLERS

__all__ = ["ADMIN_ROUTES", "HANDLERS"]
