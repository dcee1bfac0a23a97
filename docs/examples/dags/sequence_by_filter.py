"""The service selects whom a sequence calls: every contact that was created since a day."""

from datetime import datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_opencx.operators.phone_agent import OpenCXUpsertPhoneAgentOperator
from airflow_provider_opencx.operators.sequence import (
    OpenCXCreateSequenceOperator,
    OpenCXStartSequenceOperator,
    phone_step,
)

NEW_CONTACTS = {
    "or": [
        {
            "and": [
                {
                    "type": "contacts_created_at_between",
                    "after": "{{ params.since }}",
                    "before": None,
                }
            ]
        }
    ]
}

with DAG(
    "sequence_by_filter",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    params={"since": "2026-01-01T00:00:00Z"},
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
        name="Welcome",
        steps=[phone_step(agent.output), phone_step(agent.output, delay=timedelta(days=2))],
        filter=NEW_CONTACTS,
        unchecked=True,
    )
    start = OpenCXStartSequenceOperator(
        task_id="start",
        sequence_id=sequence.output,
        unknown_zone="America/New_York",
        unchecked=True,
    )
