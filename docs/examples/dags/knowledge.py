"""What agents know, planned, approved by nobody, and kept as declared."""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import DAG

from airflow_provider_opencx.operators.phone_agent import OpenCXSyncPhoneAgentsOperator
from airflow_provider_opencx.operators.training import OpenCXSyncTrainingScenariosOperator

with DAG("knowledge", schedule="@daily", start_date=datetime(2026, 1, 1), catchup=False):
    knowledge = OpenCXSyncTrainingScenariosOperator(
        task_id="knowledge",
        scenarios=[
            {"key": "refund-policy", "title": "Refund policy", "content": "Refund within 30 days."},
            {"key": "late-order", "title": "Late order", "content": "Say sorry.", "channels": ["phone_voice"]},
        ],
        collection="shop",
    )
    agents = OpenCXSyncPhoneAgentsOperator(
        task_id="agents",
        agents=[{"name": "Front desk", "voice": "Aria", "training_scenarios": ["Refund policy", "Late order"]}],
    )
    knowledge >> agents
