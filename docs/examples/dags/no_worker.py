"""An agent whose number is awaited without a worker: Airflow 3.3, or 3.0 with an agent_name that is no template."""

from datetime import datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_opencx.operators.phone_agent import OpenCXUpsertPhoneAgentOperator
from airflow_provider_opencx.sensors.phone_number import OpenCXPhoneNumberSensor

with DAG(
    "no_worker",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
):
    agent = OpenCXUpsertPhoneAgentOperator(
        task_id="agent",
        name="Appointment reminder",
        language="en",
    )
    number = OpenCXPhoneNumberSensor(
        task_id="number",
        agent_id="{{ ti.xcom_pull('agent', map_indexes=-1)['id'] }}",
        start_from_trigger=True,
        end_from_trigger=True,
    )
    agent >> number
