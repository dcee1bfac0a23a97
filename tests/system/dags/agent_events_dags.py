"""A Dag that runs for the events of phone agents."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_opencx.triggers.phone_agent_events import OpenCXPhoneAgentEventTrigger

agents = Asset(
    "phone_agents",
    watchers=[AssetWatcher(name="changes", trigger=OpenCXPhoneAgentEventTrigger("opencx_watched", poll_interval=2))],
)

with DAG("agent_events", schedule=[agents], start_date=datetime(2026, 1, 1), catchup=False):

    @task
    def seen(triggering_asset_events: Mapping[Asset, Any] | None = None) -> list[dict[str, Any]]:
        """Return the events of this run."""
        return [event.extra["payload"] for events in (triggering_asset_events or {}).values() for event in events]

    seen()
