"""An alarm that goes off where an agent is not as declared any more: it reads, and writes nothing."""

from datetime import datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_opencx.operators.phone_agent import OpenCXPlanPhoneAgentsOperator

with DAG(
    "drift_alarm",
    schedule="@hourly",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
):
    OpenCXPlanPhoneAgentsOperator(
        task_id="compare",
        agents="fleet.yaml",
        fail_on_changes=True,
    )
