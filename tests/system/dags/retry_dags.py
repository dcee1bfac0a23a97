"""A Dag whose task retries when the service asks it to, for the system tests."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_opencx.operators.phone_agent import OpenCXUpsertPhoneAgentOperator
from airflow_provider_opencx.retry_policy import opencx_retry_policy

with DAG("asked_to_wait", schedule=None, start_date=datetime(2026, 1, 1)):
    OpenCXUpsertPhoneAgentOperator(
        task_id="agent",
        name="Appointment reminder",
        retries=1,
        retry_delay=timedelta(hours=1),
        retry_policy=opencx_retry_policy(),
    )
