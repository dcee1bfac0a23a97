"""A Dag whose tasks make every possible decision, and wait in each way that this Airflow has."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG, chain

from airflow_provider_opencx.operators.phone_agent import (
    OpenCXCreatePhoneAgentOperator,
    OpenCXSyncPhoneAgentsOperator,
    OpenCXUpdatePhoneAgentOperator,
    OpenCXUpsertPhoneAgentOperator,
)
from airflow_provider_opencx.sensors.phone_number import OpenCXPhoneNumberSensor
from airflow_provider_opencx.triggers.start import STARTS

WAYS = {
    "poke": {"poke_interval": 2},
    "reschedule": {"poke_interval": 25, "mode": "reschedule"},
    "deferred": {"poke_interval": 2, "deferrable": True},
    "ended_in_triggerer": {"poke_interval": 2, "end_from_trigger": True},
}
if STARTS:
    WAYS["no_worker"] = {"poke_interval": 2, "start_from_trigger": True, "end_from_trigger": True}

# On a machine slow enough, Airflow may fail a task that comes back from the triggerer.
with DAG(
    "logged",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    default_args={"retries": 3, "retry_delay": timedelta(seconds=1)},
):
    lost = OpenCXUpsertPhoneAgentOperator(task_id="lost", name="new", language="en")
    lost >> [
        OpenCXPhoneNumberSensor(task_id=way, agent_name="new", timeout=900, **arguments)
        for way, arguments in WAYS.items()
    ]
    lost >> OpenCXPhoneNumberSensor(task_id="several", agent_name=["old", "new"], poke_interval=2, timeout=900)
    chain(
        lost,
        OpenCXCreatePhoneAgentOperator(task_id="created", name="other", language="en"),
        OpenCXCreatePhoneAgentOperator(task_id="adopted", name="other", language="en"),
        OpenCXCreatePhoneAgentOperator(task_id="adopted_as_it_is", name="other", language="fr"),
        OpenCXUpdatePhoneAgentOperator(task_id="updated", agent_name="other", first_message="Hi", language="es"),
        OpenCXUpsertPhoneAgentOperator(task_id="unchanged", name="other", first_message="Hi"),
        OpenCXSyncPhoneAgentsOperator(
            task_id="fleet",
            agents=[{"name": "other", "language": "de"}, {"name": "new"}, {"name": "newest", "language": "en"}],
        ),
    )
