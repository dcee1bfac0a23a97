"""Conversations of calls and messages, which the API calls chat sessions."""

from __future__ import annotations

from airflow_provider_opencx.simulator.resources.conversations.admin import ADMIN_ROUTES
from airflow_provider_opencx.simulator.resources.conversations.handlers import HANDLERS

__all__ = ["ADMIN_ROUTES", "HANDLERS"]
