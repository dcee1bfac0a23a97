"""Dags that call people, for the system tests, which kill, clear and backfill their tasks."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

from airflow.sdk import DAG, get_current_context, task
from holding import Held

from airflow_provider_opencx.operators.call import OpenCXPlaceCallOperator

ONE = "+14155550100"
SEVERAL = [f"+1415555010{number}" for number in range(1, 6)]
MANY = [f"+1415555{number}" for number in range(2000, 2200)]

KILLED = (
    "while_it_lists",
    "before_the_request",
    "before_the_request_is_handled",
    "after_the_request_was_handled",
    "before_the_outcome_is_recorded",
    "after_the_outcome_is_recorded",
    "before_the_task_ends",
)

KILLED_IN_A_LIST = (
    "list_between_two_people",
    "list_after_a_request_was_handled",
)

OVER = {"start_date": datetime(2026, 1, 1), "end_date": datetime(2026, 1, 31)}
"""Days that are over, so that a schedule starts nothing by itself."""


class HeldCallOperator(Held, OpenCXPlaceCallOperator):
    """Calls people, and lets a test hold it before and after everything that it records."""


CALLS = {"agent_name": "Caller", "calling_hours": None, "retry_delay": timedelta(seconds=1)}

with DAG("calls_killed", schedule=None, start_date=datetime(2026, 1, 1)):
    for killed in KILLED:
        HeldCallOperator(task_id=killed, phone_number=ONE, opencx_conn_id=f"calls_{killed}", retries=2, **CALLS)
    for killed in KILLED_IN_A_LIST:
        HeldCallOperator(task_id=killed, contacts=SEVERAL, opencx_conn_id=f"calls_{killed}", retries=2, **CALLS)

with DAG("calls_outlived", schedule=None, start_date=datetime(2026, 1, 1)):
    for outliving in ("before_the_record", "before_the_request"):
        HeldCallOperator(task_id=outliving, phone_number=ONE, opencx_conn_id=f"opencx_{outliving}", retries=2, **CALLS)

with DAG("calls_cleared", schedule=None, start_date=datetime(2026, 1, 1)):
    OpenCXPlaceCallOperator(task_id="one", phone_number=ONE, opencx_conn_id="calls_cleared", **CALLS)
    OpenCXPlaceCallOperator(task_id="several", contacts=SEVERAL, opencx_conn_id="calls_cleared", **CALLS)


@task
def people_of_file() -> list[str]:
    """Return the people in the file that this run is for."""
    people: list[str] = json.loads(Path(get_current_context()["dag_run"].conf["file"]).read_text())
    return people


with DAG("calls_mapped", schedule=None, start_date=datetime(2026, 1, 1)):
    # A task that waits longer than a minute for what another one has called fails, and is tried again.
    HeldCallOperator.partial(task_id="call", opencx_conn_id="calls_mapped", retries=5, **CALLS).expand(
        phone_number=people_of_file()
    )

with DAG("calls_backfilled", schedule="@daily", catchup=False, max_active_runs=8, **OVER):
    for allowed in (False, True):
        OpenCXPlaceCallOperator(
            task_id="allowed" if allowed else "not_allowed",
            phone_number=ONE,
            allow_backfill=allowed,
            opencx_conn_id="calls_allowed" if allowed else "calls_backfilled",
            **CALLS,
        )

with DAG("calls_switched", schedule=None, start_date=datetime(2026, 1, 1)):
    OpenCXPlaceCallOperator(
        task_id="call", contacts=MANY, max_contacts=len(MANY), opencx_conn_id="calls_switched", retries=2, **CALLS
    )

with DAG("calls_without_switch", schedule=None, start_date=datetime(2026, 1, 1)):
    OpenCXPlaceCallOperator(task_id="one", phone_number=ONE, opencx_conn_id="calls_without_switch", retries=2, **CALLS)
    OpenCXPlaceCallOperator(
        task_id="several", contacts=SEVERAL, opencx_conn_id="calls_without_switch", retries=2, **CALLS
    )
