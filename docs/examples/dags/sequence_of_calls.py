"""The people of a file are called by a sequence. The run ends when the sequence has ended."""

from datetime import datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_opencx.operators.phone_agent import OpenCXUpsertPhoneAgentOperator
from airflow_provider_opencx.operators.sequence import (
    OpenCXCreateSequenceOperator,
    OpenCXStartSequenceOperator,
    phone_step,
)
from airflow_provider_opencx.sensors.sequence import OpenCXSequenceSensor

with DAG(
    "sequence_of_calls",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
):
    agent = OpenCXUpsertPhoneAgentOperator(
        task_id="agent",
        name="Appointment reminder",
        language="en",
        wait_for_phone_number=True,
        timeout=timedelta(minutes=10),
    )
    sequence = OpenCXCreateSequenceOperator(
        task_id="sequence",
        name="Reminders of this week",
        steps=[phone_step(agent.output)],
        contacts_from="people.csv",
        do_not_call="{{ var.value.do_not_call }}",
    )
    start = OpenCXStartSequenceOperator(
        task_id="start",
        sequence_id=sequence.output,
        do_not_call="{{ var.value.do_not_call }}",
    )
    ended = OpenCXSequenceSensor(
        task_id="ended",
        sequence_id=start.output,
        until="ended",
        deferrable=True,
        timeout=timedelta(days=1),
    )
