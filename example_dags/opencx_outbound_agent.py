"""One outbound agent, kept as declared every day, and its phone number awaited.

The first run creates the agent. Later runs change what differs from this file, and write nothing if nothing does.
``first_message`` is left out, and so left as it is: ``opencx_update_greeting.py`` writes it.

When the Dag is unpaused, Airflow starts the last run that was due.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_opencx.operators.phone_agent import OpenCXUpsertPhoneAgentOperator
from airflow_provider_opencx.sensors.phone_number import OpenCXPhoneNumberSensor

with DAG(
    dag_id="opencx_outbound_agent",
    schedule="@daily",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=2)},
    doc_md=__doc__,
    tags=["opencx"],
):
    agent = OpenCXUpsertPhoneAgentOperator(
        task_id="appointment_reminder",
        name="Appointment reminder",
        language=["en", "es"],
        handoff_phone_number="+14155550100",
        use_org_knowledgebase=True,
    )
    OpenCXPhoneNumberSensor(
        task_id="await_number",
        agent_id=agent.output,
        deferrable=True,
        poke_interval=30,
        timeout=timedelta(hours=6),
    )
