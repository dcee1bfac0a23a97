"""A fleet whose plan is refused where it does more than expected, or is for another organization."""

from datetime import datetime

from airflow.sdk import DAG

from airflow_provider_opencx.operators.phone_agent import OpenCXSyncPhoneAgentsOperator

with DAG("guarded_fleet", schedule="@daily", start_date=datetime(2026, 1, 1), catchup=False):
    OpenCXSyncPhoneAgentsOperator(
        task_id="sync",
        agents="fleet.yaml",
        max_creates=5,
        max_updates=20,
        expected_org_id="{{ var.value.opencx_org_id }}",
    )
