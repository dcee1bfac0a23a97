"""A greeting that another task writes: of the agent, only that field is changed."""

from datetime import datetime, timedelta

from airflow.sdk import DAG, task

from airflow_provider_opencx.operators.phone_agent import OpenCXUpdatePhoneAgentOperator


@task
def greeting() -> str:
    """Return what the agent is to say today."""
    return "Hello! Our clinic is closed today."


with DAG(
    "update_agent",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
):
    OpenCXUpdatePhoneAgentOperator(
        task_id="greet",
        agent_name="Front desk",
        first_message=greeting(),
    )
