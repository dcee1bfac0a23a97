"""An agent that several Dags declare: a pool with one slot lets one of them at a time."""

from datetime import datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_opencx.operators.phone_agent import OpenCXUpsertPhoneAgentOperator

with DAG(
    "one_pool",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
):
    OpenCXUpsertPhoneAgentOperator(
        task_id="agent",
        name="Appointment reminder",
        pool="opencx_reminders",
    )
