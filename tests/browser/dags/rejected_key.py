"""A Dag with a task whose key OpenCX rejects, for the test that reads its log."""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import DAG

from airflow_provider_opencx.operators.phone_agent import OpenCXUpsertPhoneAgentOperator

with DAG("rejected_key", schedule=None, start_date=datetime(2026, 1, 1), tags=["opencx"]):
    OpenCXUpsertPhoneAgentOperator(
        task_id="appointment_reminder", name="Appointment reminder", opencx_conn_id="opencx_rejected", retries=3
    )
