"""An agent for each city that another task returns, and its number: mapped tasks, with a log and retries each."""

from datetime import datetime, timedelta

from airflow.sdk import DAG, task

from airflow_provider_opencx.operators.phone_agent import OpenCXUpsertPhoneAgentOperator
from airflow_provider_opencx.sensors.phone_number import OpenCXPhoneNumberSensor


@task
def declare() -> list[dict[str, str]]:
    """Return the arguments of each task to come."""
    greetings = {"Boston": "Hello, Boston!", "Austin": "Howdy, Austin!"}
    return [
        {
            "name": f"Clinic, {city}",
            "first_message": greeting,
        }
        for city, greeting in greetings.items()
    ]


with DAG(
    "mapped_agents",
    schedule=None,
    start_date=datetime(2026, 1, 1),
):
    agents = OpenCXUpsertPhoneAgentOperator.partial(
        task_id="agent",
        language="en",
        retries=2,
        retry_delay=timedelta(minutes=1),
        map_index_template="{{ task.agent['name'] }}",
    ).expand_kwargs(declare())
    OpenCXPhoneNumberSensor.partial(
        task_id="number",
        deferrable=True,
        poke_interval=10,
        map_index_template="{{ task.agent_id['name'] }}",
    ).expand(agent_id=agents.output)
