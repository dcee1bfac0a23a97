"""A task that comes back when the service asks it to: Airflow 3.3 and later."""

from datetime import datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_opencx.operators.phone_agent import OpenCXUpsertPhoneAgentOperator
from airflow_provider_opencx.retry_policy import opencx_retry_policy

with DAG(
    "patient_retries",
    schedule=None,
    start_date=datetime(2026, 1, 1),
):
    OpenCXUpsertPhoneAgentOperator(
        task_id="agent",
        name="Appointment reminder",
        retries=3,
        retry_delay=timedelta(minutes=5),
        retry_policy=opencx_retry_policy(),
    )
