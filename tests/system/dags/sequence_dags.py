"""Dags with sequences, for the system tests, which kill, clear and backfill their tasks."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from airflow.sdk import DAG, task
from holding import Held

from airflow_provider_opencx.operators.sequence import (
    OpenCXAddContactsToSequenceOperator,
    OpenCXCancelSequenceOperator,
    OpenCXCreateSequenceOperator,
    OpenCXStartSequenceOperator,
    phone_step,
)
from airflow_provider_opencx.sensors.sequence import OpenCXSequenceSensor

PEOPLE = [f"+1415555060{number}" for number in range(1, 4)]
FIVE = [f"+1415555070{number}" for number in range(1, 6)]

AGENT, SEQUENCE = "pa_000001", "seq_000001"
"""The first that each simulator has."""

CREATED = (
    "create_before_the_request",
    "create_after_the_request_was_handled",
    "create_that_is_not_found",
    "create_after_the_record",
)

STARTED = (
    "start_before_the_record",
    "start_before_the_request",
    "start_before_the_request_is_handled",
    "start_after_the_request_was_handled",
    "start_that_is_not_shown",
    "start_before_the_outcome_is_recorded",
    "start_after_the_outcome_is_recorded",
)

ENROLLED = (
    "enrol_before_the_records",
    "enrol_between_two_records",
    "enrol_before_the_request",
    "enrol_between_two_slices",
    "enrol_after_a_request_was_handled",
    "enrol_between_two_outcomes",
)

OVER = {"start_date": datetime(2026, 1, 1), "end_date": datetime(2026, 1, 31)}
"""Days that are over, so that a schedule starts nothing by itself."""


class HeldBriefly(Held):
    """Lets a test hold a task; reads again soon where the provider looks for two minutes whether a sequence begins."""

    def execute(self, context: Any) -> Any:
        """Pause for moments only; this process runs no other task."""
        from airflow_provider_opencx.campaigns.sequences import reading

        reading.time = SimpleNamespace(sleep=lambda seconds: time.sleep(min(seconds, 0.05)))  # type: ignore[assignment]
        return super().execute(context)


class HeldCreateOperator(HeldBriefly, OpenCXCreateSequenceOperator):
    """Creates a sequence, and can be held."""


class HeldStartOperator(HeldBriefly, OpenCXStartSequenceOperator):
    """Starts a sequence, and can be held."""


class HeldAddContactsOperator(HeldBriefly, OpenCXAddContactsToSequenceOperator):
    """Adds people to a sequence, and can be held."""


TRIED_AGAIN: dict[str, Any] = {"calling_hours": None, "retries": 2, "retry_delay": timedelta(seconds=1)}
CREATES: dict[str, Any] = {"name": "Reminder", "steps": [phone_step(AGENT)], **TRIED_AGAIN}


def named_in(path: str) -> str:
    """Return the id of the sequence that a file names."""
    return Path(path).read_text()


with DAG("sequences_created", schedule=None, start_date=datetime(2026, 1, 1)):
    for killed in CREATED:
        conn_id = f"sequences_{killed}"
        made = HeldCreateOperator(task_id=killed, contacts_from=PEOPLE, opencx_conn_id=conn_id, **CREATES)
        OpenCXStartSequenceOperator(
            task_id=f"{killed}_then_start", sequence_id=made.output, opencx_conn_id=conn_id, **TRIED_AGAIN
        )

with DAG("sequences_started", schedule=None, start_date=datetime(2026, 1, 1)):
    for killed in STARTED:
        HeldStartOperator(task_id=killed, sequence_id=SEQUENCE, opencx_conn_id=f"sequences_{killed}", **TRIED_AGAIN)

with DAG("sequences_enrolled", schedule=None, start_date=datetime(2026, 1, 1)):
    for killed in ENROLLED:
        HeldAddContactsOperator(
            task_id=killed,
            sequence_id=SEQUENCE,
            contacts=FIVE,
            batch_size=2,
            opencx_conn_id=f"sequences_{killed}",
            **TRIED_AGAIN,
        )

with DAG(
    "sequences_cleared",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    default_args={"opencx_conn_id": "sequences_cleared"},
):
    create = OpenCXCreateSequenceOperator(task_id="create", contacts_from="{{ dag_run.conf['file'] }}", **CREATES)
    start = OpenCXStartSequenceOperator(task_id="start", sequence_id=create.output, **TRIED_AGAIN)
    OpenCXSequenceSensor(task_id="ended", sequence_id=start.output, until="ended", poke_interval=0.5, timeout=600)

with DAG("sequences_named", schedule=None, start_date=datetime(2026, 1, 1), user_defined_macros={"named_in": named_in}):
    OpenCXStartSequenceOperator(
        task_id="start",
        sequence_id="{{ named_in(dag_run.conf['file']) }}",
        opencx_conn_id="sequences_named",
        **TRIED_AGAIN,
    )

with DAG("sequences_backfilled", schedule="@daily", catchup=False, max_active_runs=8, **OVER):
    for allowed in (False, True):
        name = "allowed" if allowed else "backfilled"
        conn_id = f"sequences_{name}"
        made = OpenCXCreateSequenceOperator(
            task_id=f"create_{name}", contacts_from=PEOPLE, opencx_conn_id=conn_id, **CREATES
        )
        OpenCXStartSequenceOperator(
            task_id=f"start_{name}",
            sequence_id=made.output,
            allow_backfill=allowed,
            opencx_conn_id=conn_id,
            **TRIED_AGAIN,
        )

with DAG(
    "sequences_without_switch",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    default_args={"opencx_conn_id": "sequences_without_switch"},
):
    OpenCXCreateSequenceOperator(task_id="create", contacts_from=PEOPLE, **CREATES)
    OpenCXStartSequenceOperator(task_id="start", sequence_id=SEQUENCE, **TRIED_AGAIN)


@task
def fail() -> None:
    """Fail, as a task between the start and the end of a campaign may."""
    raise ValueError("The campaign cannot go on.")


with DAG(
    "sequences_torn_down",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    default_args={"opencx_conn_id": "sequences_torn_down"},
):
    twice = [phone_step(AGENT), phone_step(AGENT, delay=timedelta(hours=1))]
    create = OpenCXCreateSequenceOperator(task_id="create", contacts_from=PEOPLE, **CREATES | {"steps": twice})
    start = OpenCXStartSequenceOperator(task_id="start", sequence_id=create.output, **TRIED_AGAIN)
    cancel = OpenCXCancelSequenceOperator(task_id="cancel", sequence_id=create.output)
    start >> fail() >> cancel.as_teardown(setups=create)
