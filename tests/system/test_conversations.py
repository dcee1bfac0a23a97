"""Tests the example Dags of conversations under a real scheduler: the file of an hour starts the Dag that loads it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow_standalone import AirflowStandalone, wait_for

from airflow_provider_opencx.simulator import Simulator

TO_STORAGE, IN_DUCKDB = "opencx_conversations_to_storage", "opencx_conversations_in_duckdb"
SETTLES_WITHIN = 300
"""Seconds after an hour in which the task waits, if the test begins then."""


@pytest.fixture
def unpaused(airflow: AirflowStandalone) -> Iterator[AirflowStandalone]:
    """The running Airflow, whose scheduler runs both Dags as long as the test takes."""
    for dag_id in (IN_DUCKDB, TO_STORAGE):
        airflow.unpause(dag_id)
    yield airflow
    for dag_id in (TO_STORAGE, IN_DUCKDB):
        airflow.call("PATCH", f"/dags/{dag_id}", {"is_paused": True})


@pytest.fixture
def calls(simulator: Simulator) -> None:
    """A call each ten minutes and nothing else, so that six are in the last hour whenever that ends."""
    for conversation in simulator.conversations():
        simulator.remove_conversation(str(conversation["id"]))
    for number in range(13):
        time = (datetime.now(UTC) - number * timedelta(minutes=10)).isoformat()
        simulator.add_conversation(created_at=time, status="closed_resolved", sentiment="happy")


def test_conversations_of_an_hour_start_the_dag_that_loads_them(calls: None, unpaused: AirflowStandalone) -> None:
    def loaded() -> dict[str, Any] | None:
        runs = unpaused.call("GET", f"/dags/{IN_DUCKDB}/dagRuns")["dag_runs"]
        return next((run for run in runs if run["state"] in ("success", "failed")), None)

    run = wait_for(f"end of {IN_DUCKDB}", loaded, within=SETTLES_WITHIN + 180)
    assert (run["state"], run["run_type"]) == ("success", "asset_triggered")
    run_id = run["dag_run_id"]
    [event] = unpaused.call("GET", f"/dags/{IN_DUCKDB}/dagRuns/{run_id}/upstreamAssetEvents")["asset_events"]
    assert event["source_dag_id"] == TO_STORAGE
    extra = event["extra"]
    assert extra == unpaused.xcom(TO_STORAGE, event["source_run_id"], "extract")
    start, end = (datetime.fromisoformat(extra[bound]) for bound in ("updated_after", "updated_before"))
    assert (end - start, end.minute, extra["count"]) == (timedelta(hours=1), 0, 6)
    assert Path(extra["path"]).name == f"{start:%Y%m%dT%H%M%S}.jsonl.gz"
    assert unpaused.xcom(IN_DUCKDB, run_id, "load") == 6
    days = unpaused.xcom(IN_DUCKDB, run_id, "per_day")
    assert sum(day["calls"] for day in days) == sum(day["closed"] for day in days) == 6
    log = json.dumps(unpaused.task_events(IN_DUCKDB, run_id, "per_day"), ensure_ascii=False)
    assert all(column in log for column in ("resolved_percent", days[0]["day"]))
