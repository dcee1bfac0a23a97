"""Runs when a phone agent gets, changes or loses its phone number, or is removed, and says so in a sentence each.

Airflow's triggerer polls the service each minute, once for all who watch or wait over the connection. It keeps a run of
this Dag for each change that it sees; several changes may share a run, so the task loops over them. An event can arrive
twice where a triggerer was killed, with the same ``event_id``: a task that must not act twice remembers these.

A message to a team, a new value in a CRM or a pause of a campaign takes the place of the log here.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_opencx.triggers.phone_agent_events import OpenCXPhoneAgentEventTrigger

SENTENCES = {
    "number_assigned": "{agent_name} can be reached at {phone_number}.",
    "number_changed": "{agent_name} can be reached at {phone_number}, and no longer at {previous_phone_number}.",
    "number_lost": "{agent_name} has lost its number {previous_phone_number}.",
    "agent_removed": "{agent_name} is not in the list any more.",
}

phone_numbers = Asset(
    name="opencx_phone_numbers",
    watchers=[AssetWatcher(name="changes", trigger=OpenCXPhoneAgentEventTrigger(events=set(SENTENCES)))],
)

with DAG(
    dag_id="opencx_number_events",
    schedule=[phone_numbers],
    start_date=datetime(2026, 1, 1),
    catchup=False,
    doc_md=__doc__,
    tags=["opencx"],
):

    @task
    def tell(triggering_asset_events: Mapping[Asset, Any] | None = None) -> list[str]:
        """Log a sentence for each event of this run, and return them all."""
        sentences = []
        for events in (triggering_asset_events or {}).values():
            for event in events:
                payload = event.extra["payload"]
                sentence = SENTENCES[payload["event"]].format(**payload)
                logging.getLogger(__name__).info(sentence)
                sentences.append(sentence)
        return sentences

    tell()
