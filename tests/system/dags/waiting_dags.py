"""Dags in which tasks wait, for the system tests."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG, task

from airflow_provider_opencx.operators.phone_agent import OpenCXUpsertPhoneAgentOperator
from airflow_provider_opencx.sensors.phone_number import OpenCXPhoneNumberSensor

WITHOUT_A_WORKER = 200
FROM_A_WORKER = 8
POLL_INTERVAL = 5.0
NO_WORKER = {"start_from_trigger": True, "end_from_trigger": True}

# On a machine slow enough, Airflow may still fail a task that resumes: these Dags are about waiting, and try again.
RETRYING = {"retries": 3, "retry_delay": timedelta(seconds=1)}

with DAG("two_hundred_waiting", schedule=None, start_date=datetime(2026, 1, 1)):
    for number in range(WITHOUT_A_WORKER):
        OpenCXPhoneNumberSensor(
            task_id=f"await_{number}",
            agent_name=f"waiting {number}",
            poke_interval=POLL_INTERVAL,
            timeout=1800,
            **NO_WORKER,
        )

with DAG("deferred_by_workers", schedule=None, start_date=datetime(2026, 1, 1), default_args=RETRYING):
    OpenCXPhoneNumberSensor.partial(
        task_id="await_number", deferrable=True, poke_interval=POLL_INTERVAL, timeout=1800
    ).expand(agent_name=[f"waiting {number}" for number in range(FROM_A_WORKER)])

with DAG("every_mode", schedule=None, start_date=datetime(2026, 1, 1), default_args=RETRYING):
    agent = OpenCXUpsertPhoneAgentOperator(task_id="agent", name="in every mode", language="en")

    @task
    def number_of(agent: dict[str, object]) -> object:
        return agent["phone_number"]

    for mode, arguments in {
        "poke": {"mode": "poke", "poke_interval": 2},
        # Airflow fails a task that comes back before its scheduler has heard that it went, so it must not be soon.
        "reschedule": {"mode": "reschedule", "poke_interval": 20},
        "deferrable": {"deferrable": True, "poke_interval": 2},
        "end_from_trigger": {"end_from_trigger": True, "poke_interval": 2},
        "no_worker": {**NO_WORKER, "poke_interval": 2},
    }.items():
        template = "{{ ti.xcom_pull('agent', map_indexes=-1)['id'] }}"
        one = OpenCXPhoneNumberSensor(task_id=mode, agent_id=template, timeout=600, **arguments)
        many = OpenCXPhoneNumberSensor(task_id=f"{mode}_many", agent_id=[template] * 2, timeout=600, **arguments)
        agent >> many >> one
        if mode == "no_worker":
            number_of(one.output)

    OpenCXUpsertPhoneAgentOperator(
        task_id="upsert_waits",
        name="with its number",
        wait_for_phone_number=True,
        deferrable=True,
        poke_interval=2,
        timeout=600,
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
    OpenCXUpsertPhoneAgentOperator(
        task_id="upsert_waits",
        name="without a number",
        wait_for_phone_number=True,
        deferrable=True,
        poke_interval=1,
        timeout=30,
        retries=1,
        retry_delay=timedelta(seconds=1),
    )
    OpenCXPhoneNumberSensor(
        task_id="execution_timeout",
        agent_name="nobody",
        deferrable=True,
        poke_interval=1,
        timeout=1800,
        execution_timeout=timedelta(seconds=20),
        retries=1,
        retry_delay=timedelta(seconds=1),
    )
    # Two have this name, and the connection has a key that is rejected: errors take a worker, and mean what they mean.
    OpenCXPhoneNumberSensor(task_id="ambiguous", agent_name="twice", poke_interval=1, **NO_WORKER)
    OpenCXPhoneNumberSensor(
        task_id="rejected", agent_name="nobody", opencx_conn_id="opencx_rejected", soft_fail=True, **NO_WORKER
    )
