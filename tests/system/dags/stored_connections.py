"""A Dag whose tasks wait in the triggerer, each over a connection that only Airflow's database has."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_opencx.sensors.phone_number import OpenCXPhoneNumberSensor

# On a machine slow enough, Airflow may fail a task that resumes: this Dag is about waiting, and tries again.
with DAG(
    "stored_connections",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    default_args={"retries": 3, "retry_delay": timedelta(seconds=1)},
):
    for number in range(4):
        OpenCXPhoneNumberSensor(
            task_id=f"await_{number}",
            agent_name="on every Airflow",
            end_from_trigger=True,
            poke_interval=2,
            timeout=600,
            opencx_conn_id=f"stored_{number}",
        )
