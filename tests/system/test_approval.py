"""Tests the example of an approved fleet: a real Airflow runs it, and its REST API answers it."""

from __future__ import annotations

import pytest
import yaml
from airflow_standalone import EXAMPLE_DAGS, AirflowStandalone, wait_for

from airflow_provider_opencx.simulator import Simulator

DAG_ID = "opencx_approved_fleet"
FLEET = yaml.safe_load((EXAMPLE_DAGS / "approved_fleet.yaml").read_text())["agents"]


def asked(airflow: AirflowStandalone, run_id: str) -> str:
    """Wait until a person is asked, and return what is shown to them.

    Airflow fails a task that is answered before its scheduler has heard that the worker let go of it; no person is that
    quick.
    """

    def question() -> str | None:
        details = airflow.call("GET", f"/dags/{DAG_ID}/dagRuns/{run_id}/hitlDetails")["hitl_details"]
        return f"{details[0]['subject']}\n{details[0]['body']}" if details else None

    def heard() -> bool | None:
        told = ("Received executor event", "task_id='approve'", run_id)
        return any(all(part in line for part in told) for line in airflow.log_file.read_text().splitlines()) or None

    shown = wait_for("question to a person", question, within=120)
    wait_for("scheduler that knows of it", heard, within=120)
    return shown


def answer(airflow: AirflowStandalone, run_id: str, option: str) -> None:
    path = f"/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances/approve/-1/hitlDetails"
    airflow.call("PATCH", path, {"chosen_options": [option], "params_input": {}})


def states(airflow: AirflowStandalone, run_id: str) -> dict[str, str]:
    return {ti["task_id"]: ti["state"] for ti in airflow.task_instances(DAG_ID, run_id)}


@pytest.fixture
def fleet_that_differs(simulator: Simulator) -> list[str]:
    """The fleet as declared, but for the first agent's greeting; the ids."""
    ids = []
    for declared in FLEET:
        codes = declared["language"]
        language = codes if isinstance(codes, list) else [codes]
        agent = simulator.add_agent(**{**declared, "type": "outbound", "language": language})
        ids.append(str(agent["id"]))
    simulator.change_agent(ids[0], first_message="Changed by hand")
    return ids


def test_approval_applies_plan_and_skips_when_unchanged(airflow: AirflowStandalone, simulator: Simulator) -> None:
    run_id = airflow.start_dag(DAG_ID)
    shown = asked(airflow, run_id)
    print(shown)
    assert "3 to create, 0 to update, 0 unchanged; 0 not declared" in shown
    assert all(f"#### `{agent['name']}` will be created" in shown for agent in FLEET)
    assert all(f"first message: `{agent['first_message']}`" in shown for agent in FLEET)
    assert simulator.writes == []
    answer(airflow, run_id, "Approve")
    assert airflow.end_state(DAG_ID, run_id, within=120) == "success"
    assert [agent["name"] for agent in simulator.agents()] == [declared["name"] for declared in FLEET]
    assert airflow.xcom(DAG_ID, run_id, "apply") == simulator.agents()

    simulator.forget_requests()
    again = airflow.run_dag(DAG_ID, within=120)
    assert states(airflow, again) == {
        "plan": "success",
        "anything_to_do": "success",
        "approve": "skipped",
        "apply": "skipped",
    }
    assert simulator.writes == []


def test_approval_rejection_writes_nothing(
    airflow: AirflowStandalone, simulator: Simulator, fleet_that_differs: list[str]
) -> None:
    run_id = airflow.start_dag(DAG_ID)
    assert "first message: from `Changed by hand` to " in asked(airflow, run_id)
    answer(airflow, run_id, "Reject")
    assert airflow.end_state(DAG_ID, run_id, within=120) == "success"
    assert states(airflow, run_id)["apply"] == "skipped"
    assert simulator.writes == []


def test_approval_expires_when_agents_change(
    airflow: AirflowStandalone, simulator: Simulator, fleet_that_differs: list[str]
) -> None:
    run_id = airflow.start_dag(DAG_ID)
    asked(airflow, run_id)
    simulator.change_agent(fleet_that_differs[0], first_message="Changed once more")
    answer(airflow, run_id, "Approve")
    assert airflow.end_state(DAG_ID, run_id, within=120) == "failed"
    [apply] = [ti for ti in airflow.task_instances(DAG_ID, run_id) if ti["task_id"] == "apply"]
    assert (apply["state"], apply["try_number"]) == ("failed", 1)
    log = "\n".join(airflow.task_log(DAG_ID, run_id, "apply"))
    assert "changed since the plan was approved" in log
    assert "first message: from “Changed once more” to " in log
    assert simulator.writes == []

    # Cleared, the run would show its first plan and carry out another.
    airflow.call(
        "POST",
        f"/dags/{DAG_ID}/clearTaskInstances",
        {
            "dry_run": False,
            "dag_run_id": run_id,
            "task_ids": ["plan"],
            "include_downstream": True,
            "only_failed": False,
        },
    )
    wait_for("second end", lambda: states(airflow, run_id)["approve"] == "failed" or None, within=120)
    assert "Start a new Dag run." in "\n".join(airflow.task_log(DAG_ID, run_id, "approve", try_number=2))
    assert airflow.end_state(DAG_ID, run_id, within=60) == "failed"
    assert simulator.writes == []
