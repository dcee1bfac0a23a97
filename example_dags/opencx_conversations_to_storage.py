"""Each hour, the calls of the hour as a file of JSON lines in object storage.

A call leaves a conversation behind: its status, its sentiment, the contact. This Dag writes those that were changed in
the hour of its run, such as ``20260301T120000.jsonl.gz`` for what was changed from 12:00 to 13:00. A conversation that
is changed once more is in a later file again: whoever loads the files keeps the newest row of each id, as
``opencx_conversations_in_duckdb`` does, which begins as soon as there is a new file.

The default folder is on this machine. Put in one of your own, such as ``s3://aws_default@my-bucket/conversations``;
Airflow's provider for the storage must be installed.

When the Dag is unpaused, Airflow starts the last run that was due. Older hours are a backfill: each run writes the file
of its own hour, and a repeated run writes the same one.
"""

from __future__ import annotations

import tempfile
from datetime import datetime, timedelta
from pathlib import Path

from airflow.sdk import DAG, Asset, Param
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_opencx.transfers.opencx_to_object_storage import OpenCXToObjectStorageOperator

with DAG(
    dag_id="opencx_conversations_to_storage",
    # With "@hourly", runs have empty data intervals, which is Airflow's default since version 3.
    schedule=CronDataIntervalTimetable("0 * * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5)},
    params={"folder": Param(str(Path(tempfile.gettempdir()) / "opencx_conversations"), type="string")},
    doc_md=__doc__,
    tags=["opencx"],
):
    OpenCXToObjectStorageOperator(
        task_id="extract",
        resource="conversations",
        channel_type="phone_voice",  # calls alone
        object_storage_path="{{ params.folder }}/{{ data_interval_start | ts_nodash }}.jsonl.gz",
        deferrable=True,  # waits for the last changes of the hour, and takes no worker for it
        outlets=[Asset("opencx_conversations")],
    )
