"""A task for each person that another task returns: with a log, retries and a state of its own."""

from datetime import datetime, timedelta

from airflow.sdk import DAG, task

from airflow_provider_opencx.operators.call import OpenCXPlaceCallOperator


@task
def people() -> list[str]:
    """Return the numbers to call."""
    return ["+14155550101", "+14155550102", "+14155550103"]


with DAG(
    "call_each_person",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
):
    OpenCXPlaceCallOperator.partial(
        task_id="call",
        agent_name="Appointment reminder",
        do_not_call=["+14155550102"],
        max_active_tis_per_dagrun=5,
        map_index_template="{{ task.phone_number }}",
    ).expand(phone_number=people())
