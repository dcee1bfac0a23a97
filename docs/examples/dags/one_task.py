"""One task that keeps an agent as declared and waits for its number, and another that uses the number."""

from datetime import datetime, timedelta

from airflow.sdk import DAG, task

from airflow_provider_opencx.operators.phone_agent import OpenCXUpsertPhoneAgentOperator

with DAG(
    "one_task",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
):
    agent = OpenCXUpsertPhoneAgentOperator(
        task_id="agent",
        name="Appointment reminder",
        language=["en", "es"],
        wait_for_phone_number=True,
        timeout=timedelta(hours=6),
        deferrable=True,
    )

    @task
    def announce(number: str) -> str:
        """Say where the calls come from."""
        return f"Reminders come from {number}"

    announce(agent.output["phone_number"])
