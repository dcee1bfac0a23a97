"""Tests one Dag on the oldest and newest Airflow: it creates an agent, waits in the triggerer, and returns it."""

from __future__ import annotations

from airflow import __version__
from airflow_standalone import AirflowStandalone, wait_for

from airflow_provider_opencx.simulator import Simulator

API_KEY = "ocx_live_s3cret-of-the-system-tests"


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


def test_triggerer_reads_several_connections_of_the_database_at_once(
    airflow: AirflowStandalone, simulator: Simulator
) -> None:
    # A triggerer has to ask Airflow for these, while it asks for other things, from within its event loop.
    for number in range(4):
        stored = {"connection_id": f"stored_{number}", "conn_type": "opencx", "host": simulator.url}
        airflow.call("POST", "/connections", {**stored, "password": API_KEY})
    simulator.provision_after = "never"
    agent = simulator.add_agent("on every Airflow")
    run_id = airflow.start_dag("stored_connections")
    wait_for("four polls", lambda: simulator.count("listPhoneAgents") >= 4 or None, within=200)
    simulator.give_number(str(agent["id"]))
    assert airflow.end_state("stored_connections", run_id, within=200) == "success"
    [agent] = simulator.agents()
    for number in range(4):
        assert airflow.xcom("stored_connections", run_id, f"await_{number}") == agent
    written = [path for path in airflow.home.rglob("*.log*") if path.is_file()]
    assert [str(path) for path in written if API_KEY.encode() in path.read_bytes()] == []
