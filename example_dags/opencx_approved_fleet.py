"""A fleet that is changed only after a person has seen what would change: plan, approve, apply.

The plan is shown in words among the Dag run's required actions. The task ``apply`` does what was
approved and nothing else: it refuses if the agents, or the file that declares them, changed meanwhile. Where nothing
would change, nobody is asked.

It has no schedule, so that a run starts when you trigger it. With one, Airflow also starts the last run that was missed
when the Dag is unpaused, and yours waits behind that one's approval (``max_active_runs``).

Required actions came with Airflow 3.1. On Airflow 3.0 this file, and no other, is an import error that says so.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import DAG, task

from airflow_provider_opencx.operators.phone_agent import (
    OpenCXPlanPhoneAgentsOperator,
    OpenCXSyncPhoneAgentsOperator,
)

FLEET = "approved_fleet.yaml"  # beside this file


@task.short_circuit
def anything_to_do(plan: dict[str, object]) -> bool:
    """Go on only where the plan has changes."""
    return bool(plan["changes"])


def ask_only_once(context: dict) -> None:
    """Refuse to ask again in a run that was cleared: Airflow would show the plan of the first time."""
    if context["ti"].try_number > 1:
        raise AirflowFailException("A cleared run shows the plan that it was first asked about. Start a new Dag run.")


with DAG(
    dag_id="opencx_approved_fleet",
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

    plan = OpenCXPlanPhoneAgentsOperator(task_id="plan", agents=FLEET)
    approve = ApprovalOperator(
        task_id="approve",
        subject="Phone agents: {{ ti.xcom_pull('plan')['summary'] }}",
        body="{{ ti.xcom_pull('plan')['markdown'] }}",
        response_timeout=timedelta(days=2),
        pre_execute=ask_only_once,
        retries=0,
    )
    apply = OpenCXSyncPhoneAgentsOperator(task_id="apply", agents=FLEET, approved_plan=plan.output)
    anything_to_do(plan.output) >> approve >> apply
