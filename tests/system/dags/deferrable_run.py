"""A Dag whose tasks wait in the triggerer, in each way that this Airflow has."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow import __version__
from airflow.sdk import DAG, task

from airflow_provider_opencx.operators.phone_agent import OpenCXUpsertPhoneAgentOperator
from airflow_provider_opencx.sensors.phone_number import OpenCXPhoneNumberSensor

NAME = "on every Airflow"
WAYS = {"worker": {"deferrable": True}, "end_from_trigger": {"end_from_trigger": True}}
if not __version__.startswith(("3.1.", "3.2.")):
    WAYS["no_worker"] = {"start_from_trigger": True, "end_from_trigger": True}


@task
def number_of(agent: dict[str, object]) -> object:
    """Do what a task does that starts the calls: take the number of an agent."""
    return agent["phone_number"]


# On a machine slow enough, Airflow may fail a task that resumes: this Dag is about waiting, and tries again.
with DAG(
    "deferrable_run",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    default_args={"retries": 3, "retry_delay": timedelta(seconds=1)},
):
    agent = OpenCXUpsertPhoneAgentOperator(task_id="agent", name=NAME, language="en")
    for way, arguments in WAYS.items():
        awaited = OpenCXPhoneNumberSensor(
            task_id=f"await_{way}", agent_name=NAME, poke_interval=2, timeout=600, **arguments
        )
        agent >> awaited
        number_of.override(task_id=f"number_{way}")(awaited.output)
