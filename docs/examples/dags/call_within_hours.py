"""One task waits until everybody may be called; the calls come after it."""

from datetime import datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_opencx.operators.call import OpenCXPlaceCallOperator
from airflow_provider_opencx.sensors.calling_hours import OpenCXCallingHoursSensor

PEOPLE = ["+12125550101", "+14155550102"]  # New York, San Francisco
HOURS = {"mon-fri": "09:00-20:00"}

with DAG(
    "call_within_hours",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
):
    hours = OpenCXCallingHoursSensor(
        task_id="hours",
        contacts=PEOPLE,
        calling_hours=HOURS,
        deferrable=True,
        timeout=timedelta(days=4),
    )
    call = OpenCXPlaceCallOperator(
        task_id="call",
        agent_name="Appointment reminder",
        contacts=PEOPLE,
        calling_hours=HOURS,
    )
    hours >> call
