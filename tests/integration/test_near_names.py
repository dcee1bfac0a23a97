"""Tests that no second agent is created by mistake with a name that looks like that of another agent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_opencx.exceptions import OpenCXNearNameError, OpenCXPlanRefusedError
from airflow_provider_opencx.operators.phone_agent import (
    OpenCXCreatePhoneAgentOperator,
    OpenCXPlanPhoneAgentsOperator,
    OpenCXSyncPhoneAgentsOperator,
    OpenCXUpdatePhoneAgentOperator,
    OpenCXUpsertPhoneAgentOperator,
)
from airflow_provider_opencx.simulator import Simulator
from airflow_provider_opencx.visible_text import in_quotes

EXISTING = "Ann's spring-offer"
RETYPED = {
    "letter case": "Ann's Spring-offer",
    "two blanks": "Ann's  spring-offer",
    "no-break space": "Ann's\N{NO-BREAK SPACE}spring-offer",
    "zero-width space": "Ann's \N{ZERO WIDTH SPACE}spring-offer",
    "en dash": "Ann's spring\N{EN DASH}offer",
    "typographic apostrophe": "Ann\N{RIGHT SINGLE QUOTATION MARK}s spring-offer",
}
CREATING: Mapping[str, Callable[[str], Any]] = {
    "create": lambda name: (OpenCXCreatePhoneAgentOperator, {"name": name}),
    "upsert": lambda name: (OpenCXUpsertPhoneAgentOperator, {"name": name}),
    "sync": lambda name: (OpenCXSyncPhoneAgentsOperator, {"agents": [{"name": EXISTING}, {"name": name}]}),
    "plan": lambda name: (OpenCXPlanPhoneAgentsOperator, {"agents": [{"name": EXISTING}, {"name": name}]}),
}


@pytest.fixture
def run(dag: DAG, run_dag: Callable[..., Any]) -> Callable[..., tuple[str, list[BaseException]]]:
    """Runs one task to its end, and returns its state and its errors."""

    def run(operator: Any, **arguments: Any) -> tuple[str, list[BaseException]]:
        errors: list[BaseException] = []

        def remember(context: Any) -> None:
            errors.append(context["exception"])

        with dag:
            operator(
                task_id="task",
                retries=1,
                retry_delay=timedelta(0),
                on_failure_callback=remember,
                on_retry_callback=remember,
                **arguments,
            )
        return run_dag(dag).state, errors

    return run


@pytest.mark.parametrize("retyped", RETYPED.values(), ids=RETYPED)
@pytest.mark.parametrize("how", CREATING)
def test_retyped_name_makes_no_second_agent(
    how: str, retyped: str, run: Callable[..., tuple[str, list[BaseException]]], simulator: Simulator
) -> None:
    simulator.add_agent(EXISTING, type="outbound")
    operator, arguments = CREATING[how](retyped)
    state, [error] = run(operator, **arguments)
    assert state == "failed"
    assert isinstance(error, OpenCXPlanRefusedError)
    assert in_quotes(retyped) in str(error)
    assert f"phone agent {EXISTING!r} (pa_000001), whose name differs only in " in str(error)
    assert simulator.writes == []


@pytest.mark.parametrize("retyped", RETYPED.values(), ids=RETYPED)
@pytest.mark.parametrize("how", ["create", "upsert", "sync"])
def test_near_name_that_is_allowed_is_created_once(
    how: str,
    retyped: str,
    run: Callable[..., tuple[str, list[BaseException]]],
    simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    simulator.add_agent(EXISTING, type="outbound")
    operator, arguments = CREATING[how](retyped)
    assert run(operator, allow_near_name=True, **arguments) == ("success", [])
    assert [agent["name"] for agent in simulator.agents()] == [EXISTING, retyped]
    assert f"is created although there is phone agent {EXISTING!r}" in caplog.text


def test_two_near_names_of_a_fleet_are_created_only_where_that_is_allowed(
    run: Callable[..., tuple[str, list[BaseException]]], simulator: Simulator
) -> None:
    fleet = [{"name": EXISTING}, {"name": RETYPED["two blanks"]}]
    state, [error] = run(OpenCXSyncPhoneAgentsOperator, agents=fleet)
    assert state == "failed"
    assert "are both declared, and differ only in blanks" in str(error)
    assert simulator.writes == []


def test_two_near_names_of_a_fleet_can_be_allowed(
    run: Callable[..., tuple[str, list[BaseException]]], simulator: Simulator
) -> None:
    fleet = [{"name": EXISTING}, *({"name": name} for name in RETYPED.values())]
    assert run(OpenCXSyncPhoneAgentsOperator, agents=fleet, allow_near_name=True) == ("success", [])
    assert [agent["name"] for agent in simulator.agents()] == [EXISTING, *RETYPED.values()]


def test_update_of_a_retyped_name_says_which_is_meant(
    run: Callable[..., tuple[str, list[BaseException]]], simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_opencx.phone_agents.reconcile.FIND_NAME_AFTER", ())
    simulator.add_agent(EXISTING)
    _, [error] = run(OpenCXUpdatePhoneAgentOperator, agent_name=RETYPED["en dash"], first_message="Hi")
    assert f"Did you mean phone agent {EXISTING!r} (pa_000001), whose name differs only in the dash?" in str(error)
    assert not isinstance(error, OpenCXNearNameError)
