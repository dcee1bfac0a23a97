"""The conversations of each hour, as a file of JSON lines in object storage."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_opencx.transfers.opencx_to_object_storage import OpenCXToObjectStorageOperator

with DAG(
    "conversations_each_hour",
    schedule=CronDataIntervalTimetable("@hourly", timezone="UTC"),
    start_date=datetime(2026, 1, 1),
    catchup=False,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5)},
):
    OpenCXToObjectStorageOperator(
        task_id="extract",
        resource="conversations",
        object_storage_path="{{ var.value.opencx_files }}/{{ data_interval_start | ts_nodash }}.jsonl.gz",
    )
