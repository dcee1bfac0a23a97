"""A Dag of which several runs wait at once, and a Dag whose task is killed while it creates."""

from __future__ import annotations

import os
import signal
import time
from datetime import datetime, timedelta

from airflow.sdk import DAG, get_current_context, task

from airflow_provider_opencx.intents import Intent
from airflow_provider_opencx.operators.phone_agent import OpenCXUpsertPhoneAgentOperator
from airflow_provider_opencx.task_state import intents_of

with DAG("waiting_upserts", schedule=None, start_date=datetime(2026, 1, 1), max_active_runs=8):
    for way, deferrable in {"in_worker": False, "deferred": True}.items():
        # On a machine slow enough, Airflow may fail a task that comes back from the triggerer.
        OpenCXUpsertPhoneAgentOperator(
            task_id=way,
            name=way,
            wait_for_phone_number=True,
            deferrable=deferrable,
            poke_interval=2,
            timeout=900,
            retries=3,
            retry_delay=timedelta(seconds=1),
        )


@task(retries=1, retry_delay=timedelta(seconds=1))
def create() -> dict[str, object]:
    """Record a create and die before its response, once; return what the next try knows of it."""
    intents, is_retry = intents_of(get_current_context())
    assert intents is not None
    found = intents.read(["a", "b"])
    if not found:
        intents.write({"a": Intent(time.time())})
        os.kill(os.getpid(), signal.SIGKILL)
    return {"found": list(found), "is_retry": is_retry}


with DAG("killed_create", schedule=None, start_date=datetime(2026, 1, 1)):
    create()
