"""One person is called; the Dag goes on when the conversation of the call is closed."""

from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_opencx.operators.call import OpenCXPlaceCallOperator
from airflow_provider_opencx.sensors.conversation import OpenCXConversationSensor

with DAG(
    "call_and_wait",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    params={"phone_number": "+14155550100"},
):
    call = OpenCXPlaceCallOperator(
        task_id="call",
        agent_name="Appointment reminder",
        phone_number="{{ params.phone_number }}",
    )
    conversation = OpenCXConversationSensor(
        task_id="conversation",
        phone_number=call.output["phone_number"],
        since=call.output["called_at"],
        until="closed",
        deferrable=True,
        timeout=timedelta(hours=6),
        soft_fail=True,
    )

    @task
    def report(conversation: dict[str, Any]) -> str:
        """Say how the conversation ended."""
        return f"{conversation['id']}: {conversation['status']}, {conversation['sentiment']}"

    report(conversation.output)
