"""A Dag that plans a fleet, with which the page of agents compares, and creates a sequence, which the page shows."""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import DAG

from airflow_provider_opencx.operators.phone_agent import OpenCXPlanPhoneAgentsOperator
from airflow_provider_opencx.operators.sequence import OpenCXCreateSequenceOperator

with DAG(
    "support_fleet", schedule=None, start_date=datetime(2026, 1, 1), tags=["opencx"], params={"agent_id": "pa_000001"}
):
    OpenCXPlanPhoneAgentsOperator(
        task_id="plan",
        agents=[
            {"name": "Appointment reminder", "type": "outbound", "language": ["en", "es"]},
            {"name": "Front desk", "type": "inbound", "first_message": "Welcome to Acme. How can I help?"},
            {"name": "Returns", "type": "inbound", "language": "en"},
            {"name": "Spring offer", "type": "outbound", "language": "en"},
            {"name": "Warranty", "type": "inbound"},
        ],
    )
    OpenCXCreateSequenceOperator(
        task_id="reminders",
        name="Appointment reminders",
        steps=[
            {"action": {"type": "call", "data": {"phone_agent_id": "{{ params.agent_id }}"}}, "delay_in_minutes": 0},
            {"action": {"type": "call", "data": {"phone_agent_id": "{{ params.agent_id }}"}}, "delay_in_minutes": 60},
        ],
        contacts_from=["+14155550123"],
        unchecked=True,
    )
