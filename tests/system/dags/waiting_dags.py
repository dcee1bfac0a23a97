"""Dags in which tasks wait, for the system tests."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_opencx.operators.phone_agent import OpenCXUpsertPhoneAgentOperator
from airflow_provider_opencx.sensors.phone_number import OpenCXPhoneNumberSensor

WAITING_TASKS = 50
POLL_INTERVAL = 5.0

# On a machine slow enough, Airflow may still fail a task that resumes: these Dags are about waiting, and try again.
RETRYING = {"retries": 3, "retry_delay": timedelta(seconds=1)}

with DAG("fifty_waiting", schedule=None, start_date=datetime(2026, 1, 1), default_args=RETRYING):
    OpenCXPhoneNumberSensor.partial(
        task_id="await_number", deferrable=True, poke_interval=POLL_INTERVAL, timeout=1800
    ).expand(agent_name=[f"waiting {number}" for number in range(WAITING_TASKS)])

with DAG("every_mode", schedule=None, start_date=datetime(2026, 1, 1), default_args=RETRYING):
    agent = OpenCXUpsertPhoneAgentOperator(task_id="agent", name="in every mode", language="en")
    for mode, arguments in {
        "poke": {"mode": "poke", "poke_interval": 2},
        # Airflow fails a task that comes back before its scheduler has heard that it went, so it must not be soon.
        "reschedule": {"mode": "reschedule", "poke_interval": 20},
        "deferrable": {"deferrable": True, "poke_interval": 2},
    }.items():
        agent >> OpenCXPhoneNumberSensor(
            task_id=mode, agent_id="{{ ti.xcom_pull('agent')['id'] }}", timeout=600, **arguments
        )

with DAG("deferred_timeouts", schedule=None, start_date=datetime(2026, 1, 1)):
    for soft_fail in (False, True):
        OpenCXPhoneNumberSensor(
            task_id=f"soft_fail_{soft_fail}",
            agent_name="nobody",
            deferrable=True,
            poke_interval=1,
            timeout=30,
            soft_fail=soft_fail,
            retries=2,
        )
