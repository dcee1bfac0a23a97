"""Training scenarios, with drafts, versions, and metadata that the list filters by."""

from __future__ import annotations

from airflow_provider_opencx.simulator.resources.training.admin import ADMIN_ROUTES
from airflow_provider_opencx.simulator.resources.training.handlers import HANDLERS

__all__ = ["ADMIN_ROUTES", "HANDLERS"]
