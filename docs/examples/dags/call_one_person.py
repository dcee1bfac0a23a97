"""One person is called, by an agent that is kept as declared and has its number."""

from datetime import datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_opencx.operators.call import OpenCXPlaceCallOperator
from airflow_provider_opencx.operators.phone_agent import OpenCXUpsertPhoneAgentOperator

with DAG(
    "call_one_person",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    params={"phone_number": "+14155550100"},
):
    agent = OpenCXUpsertPhoneAgentOperator(
        task_id="agent",
        name="Appointment reminder",
        language="en",
        wait_for_phone_number=True,
        timeout=timedelta(minutes=10),
    )
    call = OpenCXPlaceCallOperator(
        task_id="call",
        agent_id=agent.output,
        phone_number="{{ params.phone_number }}",
    )
