"""A fleet that the Dag declares, and its numbers awaited in one task."""

from datetime import datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_opencx.operators.phone_agent import OpenCXSyncPhoneAgentsOperator
from airflow_provider_opencx.sensors.phone_number import OpenCXPhoneNumberSensor

GREETINGS = {"en": "Hello!", "de": "Guten Tag!", "fr": "Bonjour !"}
AGENTS = [
    {
        "name": f"Reminder, {code}",
        "language": code,
        "first_message": greeting,
    }
    for code, greeting in GREETINGS.items()
]

with DAG(
    "fleet_in_the_dag",
    schedule=None,
    start_date=datetime(2026, 1, 1),
):
    fleet = OpenCXSyncPhoneAgentsOperator(
        task_id="fleet",
        agents=AGENTS,
        retries=2,
        retry_delay=timedelta(minutes=1),
    )
    OpenCXPhoneNumberSensor(
        task_id="numbers",
        agent_id=fleet.output,
        deferrable=True,
    )
