"""An agent calls people from a Dag: each at most once, and only whom and when it may."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_opencx.operators.call import OpenCXPlaceCallOperator
from airflow_provider_opencx.simulator import LoseResponse, Simulator

PEOPLE = ["+14155550101", "+14155550102", "+14155550103"]


@pytest.fixture
def agent(simulator: Simulator) -> Any:
    return simulator.add_agent("Caller", type="outbound")


def called(simulator: Simulator) -> list[str | None]:
    return [dialed.phone_number for dialed in simulator.dialed()]


def test_a_person_is_called(dag: Any, run_dag: Callable[..., Any], simulator: Simulator, agent: Any) -> None:
    with dag:
        OpenCXPlaceCallOperator(task_id="call", agent_name="Caller", phone_number=PEOPLE[0], calling_hours=None)
    run = run_dag(dag)
    assert run.state == "success"
    assert called(simulator) == PEOPLE[:1]
    assert run.xcom("call")["status"] == "called"


def test_people_of_a_list_are_called(dag: Any, run_dag: Callable[..., Any], simulator: Simulator, agent: Any) -> None:
    with dag:
        OpenCXPlaceCallOperator(task_id="call", agent_name="Caller", contacts=[*PEOPLE, PEOPLE[0]], calling_hours=None)
    run = run_dag(dag)
    assert called(simulator) == PEOPLE
    assert [each["status"] for each in run.xcom("call")] == ["called"] * 3


def test_mapped(dag: Any, run_dag: Callable[..., Any], simulator: Simulator, agent: Any) -> None:
    with dag:
        OpenCXPlaceCallOperator.partial(task_id="call", agent_name="Caller", calling_hours=None).expand(
            phone_number=PEOPLE
        )
    run = run_dag(dag)
    assert called(simulator) == PEOPLE
    assert [each["status"] for each in run.xcoms("call")] == ["called"] * 3


def test_lost(dag: Any, run_dag: Callable[..., Any], simulator: Simulator, agent: Any) -> None:
    simulator.fail("makeOutboundCall", LoseResponse())
    with dag:
        OpenCXPlaceCallOperator(
            task_id="call", agent_name="Caller", contacts=PEOPLE, calling_hours=None, retries=2, retry_delay=0
        )
    run = run_dag(dag)
    assert run.state == "failed"
    assert called(simulator) == PEOPLE
    assert run.tries("call") == 1
