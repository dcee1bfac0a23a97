"""A campaign that keeps one agent as declared, waits for its number, and hands the number on."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG, task

from airflow_provider_opencx.operators.phone_agent import OpenCXUpsertPhoneAgentOperator
from airflow_provider_opencx.sensors.phone_number import OpenCXPhoneNumberSensor

with DAG(
    "my_campaign",
    schedule="@daily",
    start_date=datetime(2026, 1, 1),
    catchup=False,
) as dag:
    agent = OpenCXUpsertPhoneAgentOperator(
        task_id="agent",
        name="Appointment reminder",
        language=["en", "es"],
        first_message="Hello, I am calling about your appointment.",
        retries=2,
        retry_delay=timedelta(minutes=1),
    )
    number = OpenCXPhoneNumberSensor(
        task_id="number",
        agent_id=agent.output,
        deferrable=True,
        poke_interval=30,
    )

    @task
    def announce(name: str, phone_number: str) -> str:
        """Say who calls, and from where."""
        return f"{name} calls from {phone_number}"

    announce(agent.output["name"], number.output["phone_number"])
