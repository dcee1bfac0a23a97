"""A sequence that somebody starts in the dashboard; the Dag goes on when all of its steps are over."""

from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_provider_opencx.sensors.sequence import OpenCXSequenceSensor

with DAG(
    "wait_for_sequence",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    params={"sequence_id": Param("", type="string", description="The id of the sequence")},
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
):
    ended = OpenCXSequenceSensor(
        task_id="ended",
        sequence_id="{{ params.sequence_id }}",
        until="ended",
        deferrable=True,
        poke_interval=300,
        timeout=timedelta(days=3),
    )

    @task
    def report(sequence: dict[str, Any]) -> str:
        """Say when it was over."""
        return f"{sequence['name']}: {len(sequence['steps'])} steps, over at {sequence['ended_at']}"

    report(ended.output)
