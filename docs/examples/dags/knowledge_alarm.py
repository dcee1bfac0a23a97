"""An alarm where somebody changed what agents know."""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import DAG

from airflow_provider_opencx.operators.training import OpenCXPlanTrainingScenariosOperator

with DAG("knowledge_alarm", schedule="@hourly", start_date=datetime(2026, 1, 1), catchup=False):
    OpenCXPlanTrainingScenariosOperator(
        task_id="compare",
        scenarios=[{"key": "refund-policy", "title": "Refund policy", "content": "Refund within 30 days."}],
        collection="shop",
        fail_on_changes=True,
    )
