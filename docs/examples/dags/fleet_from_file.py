"""A fleet that a file beside this one declares; the parameter dry_run shows what would be done to it."""

from datetime import datetime, timedelta

from airflow.sdk import DAG, Param

from airflow_provider_opencx.operators.phone_agent import OpenCXSyncPhoneAgentsOperator

with DAG(
    "fleet_from_file",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    max_active_runs=1,
    params={"dry_run": Param(False, type="boolean")},
):
    OpenCXSyncPhoneAgentsOperator(
        task_id="fleet",
        agents="fleet.yaml",
        dry_run="{{ params.dry_run }}",
        retries=2,
        retry_delay=timedelta(minutes=1),
    )
