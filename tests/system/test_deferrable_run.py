"""The same Dag on the oldest and on the newest Airflow: an agent is made, awaited in the triggerer, and handed on."""

from __future__ import annotations

from airflow import __version__
from airflow_standalone import AirflowStandalone

from airflow_provider_opencx.simulator import Simulator


def test_deferrable_run_returns_agent_with_number(airflow: AirflowStandalone, simulator: Simulator) -> None:
    simulator.provision_after = "5s"
    run_id = airflow.run_dag("deferrable_run", within=400)
    [agent] = simulator.agents()
    assert str(agent["phone_number"]).startswith("+1")
    ways = ["worker", "end_from_trigger"]
    if not __version__.startswith(("3.1.", "3.2.")):
        ways.append("no_worker")
    for way in ways:
        assert airflow.xcom("deferrable_run", run_id, f"await_{way}") == agent, way
        assert airflow.xcom("deferrable_run", run_id, f"number_{way}") == agent["phone_number"], way
    assert {request.operation for request in simulator.writes} == {"createPhoneAgent"}
