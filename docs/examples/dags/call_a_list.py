"""The people of a file are called in one task, but for those of a do-not-call list."""

from datetime import datetime, timedelta

from airflow.sdk import DAG, task

from airflow_provider_opencx.operators.call import OpenCXPlaceCallOperator


@task
def not_called(results: list[dict]) -> list[str]:
    """Return who was not called, and why."""
    return [f"{result['phone_number']}: {result['reason']}" for result in results if result["status"] != "called"]


with DAG(
    "call_a_list",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
):
    call = OpenCXPlaceCallOperator(
        task_id="call",
        agent_name="Appointment reminder",
        contacts="people.csv",
        do_not_call="{{ var.value.do_not_call }}",
        calling_hours={"mon-fri": "09:00-20:00", "sat": "10:00-14:00"},
        max_contacts=50,
    )
    not_called(call.output)
