"""A call for each row of a file, after a person has seen how many people that is, and within the calling hours.

The run waits for the agent, reads ``follow_up_calls.csv`` beside this file, and asks among the Dag run's required
actions. After the approval it waits for the calling hours, and calls. Those who were approved are called, whatever the
file says by then; the do-not-call list is read once more. Whoever was called is not called again in this run, however
often its task is retried or cleared.

Before the first run:

- ``opencx_outbound_agent`` has made the agent;
- the Variable ``opencx_do_not_call`` holds the numbers that must not be called, as a JSON list; ``[]`` is nobody;
- the connection ``opencx_default`` allows calls (its extra ``allow_calls``).

The numbers in the file are fictional: put in your own. Consent, and the law where the people are, remain your duty.

It has no schedule, so that a run starts when you trigger it. Required actions came with Airflow 3.1. On Airflow 3.0
this file is an import error that says so.
"""

from __future__ import annotations

import csv
from datetime import datetime, timedelta
from pathlib import Path

from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import DAG, Variable, task

from airflow_provider_opencx.operators.call import OpenCXPlaceCallOperator
from airflow_provider_opencx.sensors.calling_hours import OpenCXCallingHoursSensor
from airflow_provider_opencx.sensors.phone_number import OpenCXPhoneNumberSensor

PEOPLE = Path(__file__).with_name("follow_up_calls.csv")
DO_NOT_CALL = "opencx_do_not_call"
HOURS = {"mon-fri": "09:00-20:00", "sat": "10:00-14:00"}


def only_once(context: dict) -> None:
    """Refuse to read or ask again in a run that was cleared: others would be called than those who were approved."""
    if context["ti"].try_number > 1:
        raise AirflowFailException("A cleared run has the list that was approved. Start a new Dag run for a new list.")


@task(multiple_outputs=True, pre_execute=only_once, retries=0)
def preview(agent: dict, calling_hours: dict[str, str]) -> dict[str, object]:
    """Read who is to be called, and say what the calls would be. Nothing is sent."""
    from airflow_provider_opencx.campaigns.preview import preview_calls

    with PEOPLE.open(encoding="utf-8-sig", newline="") as file:
        people = [row["phone_number"] for row in csv.DictReader(file, strict=True)]
    do_not_call = Variable.get(DO_NOT_CALL, deserialize_json=True)
    return preview_calls(agent, people, do_not_call=do_not_call, calling_hours=calling_hours).as_dict()


@task.short_circuit
def anybody_to_call(people: int) -> bool:
    """Go on only where somebody would be called."""
    return people > 0


with DAG(
    dag_id="opencx_follow_up_calls",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=2)},
    doc_md=__doc__,
    tags=["opencx"],
):
    # Not at the top, where the Dag processor of Airflow 3.0 imports it ahead of the file, and ends with the error.
    from airflow.providers.standard.operators.hitl import ApprovalOperator

    agent = OpenCXPhoneNumberSensor(
        task_id="agent", agent_name="Appointment reminder", mode="reschedule", timeout=timedelta(hours=1)
    )
    shown = preview(agent.output, calling_hours=HOURS)
    approve = ApprovalOperator(
        task_id="approve",
        subject="Follow-up calls: {{ ti.xcom_pull('preview')['summary'] }}",
        body="{{ ti.xcom_pull('preview')['markdown'] }}",
        response_timeout=timedelta(days=2),
        pre_execute=only_once,
        retries=0,
    )
    hours = OpenCXCallingHoursSensor(
        task_id="hours", contacts=shown["contacts"], calling_hours=HOURS, deferrable=True, timeout=timedelta(days=3)
    )
    call = OpenCXPlaceCallOperator(
        task_id="call",
        agent_id=shown["agent_id"],
        contacts=shown["contacts"],
        do_not_call=f"{{{{ var.value.{DO_NOT_CALL} }}}}",
        calling_hours=HOURS,
    )
    anybody_to_call(shown["to_call"]) >> approve >> hours >> call
