"""Contacts: people with a number, an e-mail address and a name, whom sequences call."""

from __future__ import annotations

from airflow_provider_opencx.simulator.resources.contacts.admin import ADMIN_ROUTES
from airflow_provider_opencx.simulator.resources.contacts.handlers import HANDLERS

__all__ = ["ADMIN_ROUTES", "HANDLERS"]
