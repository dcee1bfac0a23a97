"""An agent that is made once, and then belongs to the people who change it in the dashboard."""

from datetime import datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_opencx.operators.phone_agent import OpenCXCreatePhoneAgentOperator

with DAG(
    "create_agent",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
):
    OpenCXCreatePhoneAgentOperator(
        task_id="agent",
        name="Front desk",
        type="inbound",
        language="en",
    )
