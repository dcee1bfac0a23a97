"""A sequence that must not go on when its run is over is canceled at the end of the run."""

from datetime import datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_opencx.operators.sequence import (
    OpenCXCancelSequenceOperator,
    OpenCXCreateSequenceOperator,
    OpenCXStartSequenceOperator,
    phone_step,
)
from airflow_provider_opencx.sensors.phone_number import OpenCXPhoneNumberSensor
from airflow_provider_opencx.sensors.sequence import OpenCXSequenceSensor

with DAG(
    "sequence_with_teardown",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
):
    agent = OpenCXPhoneNumberSensor(task_id="agent", agent_name="Appointment reminder", timeout=timedelta(hours=1))
    sequence = OpenCXCreateSequenceOperator(
        task_id="sequence",
        name="Reminders of today",
        steps=[phone_step(agent.output)],
        contacts_from="people.csv",
    )
    start = OpenCXStartSequenceOperator(task_id="start", sequence_id=sequence.output)
    ended = OpenCXSequenceSensor(
        task_id="ended",
        sequence_id=start.output,
        deferrable=True,
        timeout=timedelta(hours=4),
    )
    cancel = OpenCXCancelSequenceOperator(task_id="cancel", sequence_id=sequence.output)
    ended >> cancel.as_teardown(setups=sequence)
