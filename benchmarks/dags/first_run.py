"""A Dag that creates agents in three ways: mapped upserts one at a time, mapped upserts in parallel, and one sync."""

from __future__ import annotations

import os
from datetime import datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_opencx.operators.phone_agent import OpenCXSyncPhoneAgentsOperator, OpenCXUpsertPhoneAgentOperator

NAMES = [f"agent {number}" for number in range(int(os.environ.get("FIRST_RUN_AGENTS", "30")))]
RETRYING = {"retries": 3, "retry_delay": timedelta(minutes=1)}

for dag_id, limit in {"one_at_a_time": {}, "side_by_side": {"max_active_tis_per_dag": None}}.items():
    with DAG(dag_id, schedule=None, start_date=datetime(2026, 1, 1), default_args=RETRYING):
        OpenCXUpsertPhoneAgentOperator.partial(
            task_id="agent", language="en", opencx_conn_id=f"opencx_{dag_id}", **limit
        ).expand(name=NAMES)

with DAG("one_sync", schedule=None, start_date=datetime(2026, 1, 1), default_args=RETRYING):
    OpenCXSyncPhoneAgentsOperator(
        task_id="agents",
        agents=[{"name": name, "language": "en"} for name in NAMES],
        opencx_conn_id="opencx_one_sync",
    )
