"""Dags for an Airflow with several workers. Each Dag has a service of its own."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_opencx.operators.phone_agent import OpenCXUpsertPhoneAgentOperator

# On a machine slow enough, Airflow may fail a task before it begins.
RETRYING = {"retries": 3, "retry_delay": timedelta(seconds=1)}

with DAG("paced", schedule=None, start_date=datetime(2026, 1, 1), default_args=RETRYING):
    at_once = OpenCXUpsertPhoneAgentOperator.partial(
        task_id="agent", opencx_conn_id="opencx_paced", max_active_tis_per_dag=None
    ).expand(name=["Monday", "Tuesday", "Wednesday"])
    # Who asks a Redis in the same instant as others may be let through with them: this one asks when they are done.
    at_once >> OpenCXUpsertPhoneAgentOperator(task_id="one_more", name="Thursday", opencx_conn_id="opencx_paced")

with DAG("killed", schedule=None, start_date=datetime(2026, 1, 1), default_args=RETRYING):
    OpenCXUpsertPhoneAgentOperator(
        task_id="agent",
        name="Appointment reminder",
        language=["en", "es"],
        opencx_conn_id="opencx_killed",
    )

with DAG("unlimited", schedule="@daily", start_date=datetime(2026, 1, 1), catchup=False, default_args=RETRYING):
    OpenCXUpsertPhoneAgentOperator(
        task_id="agent",
        name="Appointment reminder",
        opencx_conn_id="opencx_unlimited",
        max_active_tis_per_dag=None,  # nothing but the lock keeps its runs from creating at the same time
    )
