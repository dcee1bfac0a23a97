"""Dags whose tasks fail in every possible way, for the test that then searches for the key."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_opencx.operators.phone_agent import OpenCXUpsertPhoneAgentOperator
from airflow_provider_opencx.sensors.phone_number import OpenCXPhoneNumberSensor

with DAG("failing", schedule=None, start_date=datetime(2026, 1, 1)):
    for conn_id in ("opencx_default", "opencx_rejected", "opencx_unreachable", "opencx_broken"):
        OpenCXUpsertPhoneAgentOperator(
            task_id=f"upsert_{conn_id}", name="a", opencx_conn_id=conn_id, retries=1, retry_delay=timedelta(0)
        )
        for deferrable in (False, True):
            OpenCXPhoneNumberSensor(
                task_id=f"await_{conn_id}_{'deferred' if deferrable else 'poked'}",
                agent_name="a",
                opencx_conn_id=conn_id,
                deferrable=deferrable,
                poke_interval=0.2,
                timeout=60,
            )
