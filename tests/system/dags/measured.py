"""A Dag that waits for an agent in a worker and in the triggerer."""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import DAG

from airflow_provider_opencx.operators.phone_agent import OpenCXUpsertPhoneAgentOperator
from airflow_provider_opencx.sensors.phone_number import OpenCXPhoneNumberSensor

NAME = "Secret name"

with DAG("measured", schedule=None, start_date=datetime(2026, 1, 1)):
    agent = OpenCXUpsertPhoneAgentOperator(task_id="agent", name=NAME, language="en")
    agent >> [
        OpenCXPhoneNumberSensor(task_id="poke", agent_name=NAME, poke_interval=1),
        OpenCXPhoneNumberSensor(
            task_id="deferred", agent_name=NAME, poke_interval=1, deferrable=True, end_from_trigger=True
        ),
    ]
