"""An agent's phone number starts the Dag that publishes it.

``opencx_renewals_number`` makes sure that the agent exists and has its number, and then updates the asset of the
number. The event of the asset has the agent's ``id``, ``name`` and ``phone_number``. ``opencx_publish_number`` is
scheduled on the asset, reads the number from the event, and keeps it in the Airflow Variable ``renewals_number``, where
a web page or another Dag finds it.

The two Dags share nothing but the asset, so they may belong to two teams. The first one updates the asset with each
run, whether the number is new or not: publishing the same number again does no harm.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Variable, task

from airflow_provider_opencx.assets import phone_number_asset
from airflow_provider_opencx.operators.phone_agent import OpenCXUpsertPhoneAgentOperator

NUMBER = phone_number_asset("Renewals")

with DAG(
    dag_id="opencx_renewals_number",
    schedule="@daily",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5)},
    doc_md=__doc__,
    tags=["opencx"],
):
    OpenCXUpsertPhoneAgentOperator(
        task_id="agent",
        name="Renewals",
        first_message="Hello! Your contract ends soon. May I tell you what we offer?",
        wait_for_phone_number=True,
        deferrable=True,
        outlets=[NUMBER],
    )

with DAG(
    dag_id="opencx_publish_number",
    schedule=[NUMBER],
    start_date=datetime(2026, 1, 1),
    catchup=False,
    doc_md=__doc__,
    tags=["opencx"],
):

    @task
    def publish(triggering_asset_events: Any = None) -> None:
        """Keep the newest number; a run may have several events."""
        for event in triggering_asset_events.get(NUMBER, ()):
            Variable.set("renewals_number", event.extra["phone_number"])

    publish()
