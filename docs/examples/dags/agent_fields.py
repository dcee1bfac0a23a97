"""An agent with more of its fields, some of them from the Dag run."""

from datetime import datetime, timedelta

from airflow.sdk import DAG, Param

from airflow_provider_opencx.operators.phone_agent import OpenCXUpsertPhoneAgentOperator

with DAG(
    "agent_fields",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    params={"offer": Param("20 % off", type="string")},
):
    OpenCXUpsertPhoneAgentOperator(
        task_id="agent",
        name="Spring offer, German",
        language="de",
        first_message="Guten Tag! Bis Ostern: {{ params.offer }}.",
        handoff_phone_number="+49 30 555010",
        use_org_knowledgebase=True,
        action_ids=[],  # may call no action; None would mean: every one
    )
