"""Tests the arguments of the fleet operators that take templates: variables, agents to ignore, and guards."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.operators.phone_agent import OpenCXPlanPhoneAgentsOperator, OpenCXSyncPhoneAgentsOperator
from airflow_provider_opencx.simulator import Simulator

FLEET = """\
variables: {GREETING: Hello.}
agents:
  - name: Room ${ROOM}
    first_message: ${GREETING}
"""


@pytest.fixture
def fleet(tmp_path: Path) -> str:
    path = tmp_path / "fleet.yaml"
    path.write_text(FLEET)
    return str(path)


@pytest.mark.parametrize("native", [False, True])
def test_variable_of_a_template_is_text_in_every_dag(
    native: bool, fleet: str, run_dag: Callable[..., Any], simulator: Simulator
) -> None:
    with DAG(
        "variables", start_date=datetime(2026, 1, 1), params={"room": "007"}, render_template_as_native_obj=native
    ):
        sync = OpenCXSyncPhoneAgentsOperator(task_id="sync", agents=fleet, variables={"ROOM": "{{ params.room }}"})
    assert run_dag(sync.dag).state == "success"
    assert [(agent["name"], agent["first_message"]) for agent in simulator.agents()] == [("Room 007", "Hello.")]


@pytest.mark.parametrize("native", [False, True])
def test_guard_of_a_template_is_a_number_in_every_dag(
    native: bool, run_dag: Callable[..., Any], simulator: Simulator
) -> None:
    with DAG("guards", start_date=datetime(2026, 1, 1), params={"most": 1}, render_template_as_native_obj=native):
        sync = OpenCXSyncPhoneAgentsOperator(
            task_id="sync", agents=[{"name": "A"}, {"name": "B"}], max_creates="{{ params.most }}", retries=0
        )
    assert run_dag(sync.dag).state == "failed"
    assert not simulator.writes
    assert run_dag(sync.dag, conf={"most": 2}).state == "success"
    assert len(simulator.agents()) == 2


def test_agents_that_file_and_task_ignore_are_not_reported(
    tmp_path: Path, run_dag: Callable[..., Any], simulator: Simulator
) -> None:
    for name in ("A", "Test 1", "Sandbox", "Front desk"):
        simulator.add_agent(name, type="outbound")
    path = tmp_path / "fleet.yaml"
    path.write_text("agents: [{name: A}]\nignore: Test *\n")
    with DAG("ignored", start_date=datetime(2026, 1, 1)):
        plan = OpenCXPlanPhoneAgentsOperator(task_id="plan", agents=str(path), ignore=["{{ 'Sandbox' }}"])
    shown = run_dag(plan.dag).xcom("plan")
    assert [agent["name"] for agent in shown["undeclared"]] == ["Front desk"]
    assert shown["ignored"] == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"agents": [{"name": "A"}], "variables": {"ROOM": "1"}},
        {"agents": "fleet.yaml", "variables": {"ROOM": ["1"]}},
        {"agents": "fleet.yaml", "variables": ["ROOM"]},
        {"agents": "fleet.yaml", "ignore": 5},
        {"agents": "fleet.yaml", "max_creates": -1},
        {"agents": "fleet.yaml", "max_updates": "some"},
        {"agents": "fleet.yaml", "expected_org_id": " "},
    ],
)
def test_wrong_argument_is_an_error_while_the_dag_is_parsed(wrong: dict[str, Any]) -> None:
    with pytest.raises(OpenCXArgumentError, match=f"{[*wrong][-1]}: "):
        OpenCXSyncPhoneAgentsOperator(task_id="sync", **wrong)
