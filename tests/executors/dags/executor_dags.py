"""Dags for an Airflow with several workers. Each has a service of its own."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_opencx.operators.phone_agent import OpenCXUpsertPhoneAgentOperator

# On a machine slow enough, Airflow may fail a task before it begins.
RETRYING = {"retries": 3, "retry_delay": timedelta(seconds=1)}

with DAG("paced", schedule=None, start_date=datetime(2026, 1, 1), default_args=RETRYING):
    OpenCXUpsertPhoneAgentOperator.partial(task_id="agent", opencx_conn_id="opencx_paced").expand(
        name=["Monday", "Tuesday", "Wednesday", "Thursday"]
    )

with DAG("killed", schedule=None, start_date=datetime(2026, 1, 1), default_args=RETRYING):
    OpenCXUpsertPhoneAgentOperator(
        task_id="agent",
        name="Appointment reminder",
        language=["en", "es"],
        opencx_conn_id="opencx_killed",
    )
