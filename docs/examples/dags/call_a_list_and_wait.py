"""The people of a list are called in one task; a task for each who was called waits for the conversation."""

from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_opencx.operators.call import OpenCXPlaceCallOperator
from airflow_provider_opencx.sensors.conversation import OpenCXConversationSensor


@task
def called(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return who was called, and when: the arguments of a sensor for each."""
    return [
        {"phone_number": result["phone_number"], "since": result["called_at"]}
        for result in results
        if result["status"] == "called"
    ]


with DAG(
    "call_a_list_and_wait",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
):
    call = OpenCXPlaceCallOperator(
        task_id="call",
        agent_name="Appointment reminder",
        contacts=["+14155550101", "+14155550102", "+14155550103"],
        do_not_call=["+14155550102"],
    )
    OpenCXConversationSensor.partial(
        task_id="conversation",
        deferrable=True,
        timeout=timedelta(hours=6),
        soft_fail=True,
    ).expand_kwargs(called(call.output))
