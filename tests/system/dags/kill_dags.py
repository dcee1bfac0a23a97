"""Dags whose tasks the system tests kill. Each task that declares something has a service of its own."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_opencx.operators.phone_agent import OpenCXUpsertPhoneAgentOperator
from airflow_provider_opencx.operators.training import OpenCXSyncTrainingScenariosOperator
from airflow_provider_opencx.sensors.phone_number import OpenCXPhoneNumberSensor

KILLED = (
    "while_it_lists",
    "before_the_create_is_handled",
    "before_a_create_that_is_handled_late",
    "after_the_create_was_handled",
    "while_it_lists_again",
    "after_the_update_was_handled",
    "with_its_worker",
)

KILLED_WITH_KNOWLEDGE = (
    "knowledge_while_it_lists",
    "knowledge_before_the_create_is_handled",
    "knowledge_after_the_create_was_handled",
    "knowledge_while_it_lists_again",
    "knowledge_before_the_update_is_handled",
    "knowledge_after_the_update_was_handled",
)

WAITING_TASKS = 100

with DAG("killed", schedule=None, start_date=datetime(2026, 1, 1)):
    for killed in KILLED:
        OpenCXUpsertPhoneAgentOperator(
            task_id=killed,
            name="Appointment reminder",
            language=["en", "es"],
            first_message="Hello!",
            opencx_conn_id=f"opencx_{killed}",
            retries=1,
            retry_delay=timedelta(seconds=1),
        )

    for killed in KILLED_WITH_KNOWLEDGE:
        OpenCXSyncTrainingScenariosOperator(
            task_id=killed,
            scenarios=[{"key": "refund-policy", "title": "Refund policy", "content": "Refund within 30 days."}],
            opencx_conn_id=f"opencx_{killed}",
            retries=1,
            retry_delay=timedelta(seconds=1),
        )

with DAG("hundred_waiting", schedule=None, start_date=datetime(2026, 1, 1)):
    # On a machine slow enough, Airflow may still fail a task that resumes: this Dag is about waiting, and tries again.
    OpenCXPhoneNumberSensor.partial(
        task_id="await_number",
        deferrable=True,
        poke_interval=2,
        timeout=1800,
        opencx_conn_id="opencx_hundred_waiting",
        retries=3,
        retry_delay=timedelta(seconds=1),
    ).expand(agent_name=[f"waiting {number}" for number in range(WAITING_TASKS)])
