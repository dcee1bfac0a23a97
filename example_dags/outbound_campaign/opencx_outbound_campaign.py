"""An outbound campaign: what the agent knows, the agent, its number, a sequence of calls, an approval, the calls.

A sequence is OpenCX's own campaign: the service calls its people, step by step. The run prepares the sequence, and
asks among the Dag run's required actions. After the approval it waits for the calling hours, starts the sequence, and
ends when the sequence has ended. The task `result` returns how many people that were, and when.

**To stop a campaign**, cancel the sequence in the OpenCX dashboard. A rejected approval starts nothing.

**When a task has failed**, read the last error in its log, do what it says, and clear the task. A sequence is started
at most once, however often the run is cleared. `preview` and `approve` refuse a second time: what was approved is what
is started. For other people, start a new Dag run.

Before the first run:

- the people of `people.csv` are contacts in OpenCX: a sequence reaches nobody else;
- the Variable `opencx_do_not_call` holds the numbers that must not be called, as a JSON list; `[]` is nobody;
- the connection `opencx_default` allows calls (its extra `allow_calls`).

The numbers in the file are fictional: put in your own. Consent, and the law where the people are, remain your duty.

It has no schedule, so that a run starts when you trigger it. Required actions came with Airflow 3.1. On Airflow 3.0
this file is an import error that says so.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import DAG, task

from airflow_provider_opencx.operators.phone_agent import OpenCXUpsertPhoneAgentOperator
from airflow_provider_opencx.operators.sequence import (
    OpenCXCreateSequenceOperator,
    OpenCXStartSequenceOperator,
    phone_step,
)
from airflow_provider_opencx.operators.training import OpenCXSyncTrainingScenariosOperator
from airflow_provider_opencx.sensors.calling_hours import OpenCXCallingHoursSensor
from airflow_provider_opencx.sensors.phone_number import OpenCXPhoneNumberSensor
from airflow_provider_opencx.sensors.sequence import OpenCXSequenceSensor

PEOPLE = "people.csv"  # beside this file
DO_NOT_CALL = "{{ var.value.opencx_do_not_call }}"
HOURS = {"mon-fri": "09:00-20:00", "sat": "10:00-14:00"}


def only_once(context: dict) -> None:
    """Refuse to show or ask again in a run that was cleared: others would be called than those who were approved."""
    if context["ti"].try_number > 1:
        raise AirflowFailException("A cleared run has what was approved. Start a new Dag run for other people.")


@task(multiple_outputs=True, pre_execute=only_once, retries=0)
def preview(sequence: dict, agent: dict, calling_hours: dict[str, str]) -> dict[str, object]:
    """Say what the sequence would do, and hand on the sequence as it is shown. Nothing is sent."""
    from airflow_provider_opencx.campaigns.sequences.preview import preview_sequence

    return preview_sequence(sequence, agent, calling_hours=calling_hours).as_dict()


@task
def result(sequence: dict, people: int) -> dict[str, object]:
    """Return what was done: for how many people, when, and step by step."""
    steps = [{time: step.get(time) for time in ("started_at", "ended_at")} for step in sequence["steps"]]
    times = {time: sequence[time] for time in ("started_at", "ended_at")}
    return {"sequence_id": sequence["id"], "people": people, **times, "steps": steps}


with DAG(
    dag_id="opencx_outbound_campaign",
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

    knowledge = OpenCXSyncTrainingScenariosOperator(
        task_id="knowledge", scenarios="training/", collection="outbound_campaign", variables={"GYM": "Acme Gym"}
    )
    agent = OpenCXUpsertPhoneAgentOperator(
        task_id="agent",
        name="Membership renewal",
        language="en",
        first_message="Hello, this is Acme Gym. I am calling about your membership.",
        training_scenarios=["How we call about renewals", "Renewal offer"],
    )
    number = OpenCXPhoneNumberSensor(
        task_id="number", agent_id=agent.output, deferrable=True, poke_interval=10, timeout=timedelta(hours=6)
    )
    # It calls nobody before it is started. Everybody on the do-not-call list is left out here already.
    sequence = OpenCXCreateSequenceOperator(
        task_id="sequence",
        name="Membership renewal",
        steps=[phone_step(number.output)],
        contacts_from=PEOPLE,
        do_not_call=DO_NOT_CALL,
        calling_hours=HOURS,
    )
    shown = preview(sequence.output, number.output, calling_hours=HOURS)
    approve = ApprovalOperator(
        task_id="approve",
        subject="Outbound campaign: {{ ti.xcom_pull('preview')['summary'] }}",
        body="{{ ti.xcom_pull('preview')['markdown'] }}",
        response_timeout=timedelta(days=2),
        pre_execute=only_once,
        retries=0,
    )
    # An approval may come at night. The zones are those of the people who are left. The start checks the hours again.
    hours = OpenCXCallingHoursSensor(
        task_id="hours",
        zones=sequence.output["zones"],
        calling_hours=HOURS,
        deferrable=True,
        timeout=timedelta(days=3),
    )
    # From the preview and not from the create: it refuses a sequence that is not the one that was shown.
    start = OpenCXStartSequenceOperator(
        task_id="start", sequence_id=shown["sequence"], do_not_call=DO_NOT_CALL, calling_hours=HOURS
    )
    ended = OpenCXSequenceSensor(
        task_id="ended",
        sequence_id=start.output,
        until="ended",
        deferrable=True,
        poke_interval=10,
        timeout=timedelta(days=1),
    )
    knowledge >> agent
    shown >> approve >> hours >> start
    result(ended.output, shown["people"])
