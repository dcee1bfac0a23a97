"""Tests under a real scheduler that the Dag that is scheduled on the asset of a number reads it from the event."""

from __future__ import annotations

from typing import Any

from airflow_standalone import AirflowStandalone, wait_for

from airflow_provider_opencx.assets import phone_number_asset
from airflow_provider_opencx.simulator import Simulator

NUMBER, PUBLISH = "opencx_renewals_number", "opencx_publish_number"


def test_number_starts_the_dag_that_publishes_it(airflow: AirflowStandalone, simulator: Simulator) -> None:
    airflow.unpause(PUBLISH)

    def published() -> dict[str, Any] | None:
        runs = airflow.call("GET", f"/dags/{PUBLISH}/dagRuns")["dag_runs"]
        return next((run for run in runs if run["state"] in ("success", "failed")), None)

    producer = airflow.run_dag(NUMBER, within=120)
    run = wait_for(f"end of {PUBLISH}", published, within=120)
    assert (run["state"], run["run_type"]) == ("success", "asset_triggered")
    path = f"/dags/{PUBLISH}/dagRuns/{run['dag_run_id']}/upstreamAssetEvents"
    [event] = airflow.call("GET", path)["asset_events"]
    [agent] = [agent for agent in simulator.agents() if agent["name"] == "Renewals"]
    assert event["uri"] == phone_number_asset("Renewals").uri
    assert (event["source_dag_id"], event["source_run_id"]) == (NUMBER, producer)
    assert event["extra"] == {key: agent[key] for key in ("id", "name", "phone_number")}
    assert agent["phone_number"]
    assert airflow.call("GET", "/variables/renewals_number")["value"] == agent["phone_number"]
