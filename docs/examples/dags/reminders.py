"""One agent, kept as declared every day, and its phone number awaited."""

from datetime import datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_opencx.operators.phone_agent import OpenCXUpsertPhoneAgentOperator
from airflow_provider_opencx.sensors.phone_number import OpenCXPhoneNumberSensor

with DAG(
    "reminders",
    schedule="@daily",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
):
    agent = OpenCXUpsertPhoneAgentOperator(
        task_id="agent",
        name="Appointment reminder",
        language=["en", "es"],
        first_message="Hello!",
    )
    number = OpenCXPhoneNumberSensor(
        task_id="number",
        agent_id=agent.output,
        deferrable=True,
        poke_interval=10,
    )
