"""A fleet that a file beside this one declares."""

from datetime import datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_opencx.operators.phone_agent import OpenCXSyncPhoneAgentsOperator

with DAG(
    "fleet_from_file",
    schedule=None,
    start_date=datetime(2026, 1, 1),
):
    OpenCXSyncPhoneAgentsOperator(
        task_id="fleet",
        agents="fleet.yaml",
        retries=2,
        retry_delay=timedelta(minutes=1),
    )
