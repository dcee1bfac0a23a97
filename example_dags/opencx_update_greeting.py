"""The greeting of one agent, changed with the time of the day: only what differs is sent.

The agent is the one of ``opencx_outbound_agent.py``, which must have run before.

When the Dag is unpaused, Airflow starts the last run that was due.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_opencx.operators.phone_agent import OpenCXUpdatePhoneAgentOperator

with DAG(
    dag_id="opencx_update_greeting",
    schedule="0 6,18 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=2)},
    doc_md=__doc__,
    tags=["opencx"],
):
    OpenCXUpdatePhoneAgentOperator(
        task_id="greet",
        agent_name="Appointment reminder",
        first_message=(
            "Good {{ 'morning' if dag_run.run_after.hour < 12 else 'evening' }}, I am calling about your appointment."
        ),
    )
