"""Tests that one agent that cannot be read completely stops no other task of the organization."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_opencx.exceptions import OpenCXError, OpenCXResponseError
from airflow_provider_opencx.operators.phone_agent import OpenCXUpsertPhoneAgentOperator
from airflow_provider_opencx.sensors.phone_number import OpenCXPhoneNumberSensor
from airflow_provider_opencx.simulator import Respond, Simulator

GOOD = {"id": "1", "name": "good", "type": "outbound", "phone_number": "+15550000001"}
ODD = [
    {**GOOD, "id": "2", "name": "odd", "handoff_phone_number": 5},
    {**GOOD, "id": "2", "name": "odd", "language": [None]},
    {**GOOD, "id": "2", "name": "odd", "phone_number": ["+1"]},
    {**GOOD, "id": "2", "name": 5},
    {**GOOD, "id": None},
    None,
    "text",
]
EVERY_ODD_ITEM = pytest.mark.parametrize("odd", ODD, ids=lambda odd: str(odd)[:60])


@pytest.fixture
def errors() -> list[BaseException]:
    return []


@pytest.fixture
def arguments(errors: list[BaseException]) -> dict[str, Any]:
    def remember(context: Any) -> None:
        errors.append(context["exception"])

    return {"retries": 1, "retry_delay": timedelta(0), "on_failure_callback": remember, "on_retry_callback": remember}


@EVERY_ODD_ITEM
def test_other_tasks_go_on(
    odd: object,
    dag: DAG,
    run_dag: Callable[..., Any],
    simulator: Simulator,
    errors: list[BaseException],
    arguments: dict[str, Any],
) -> None:
    simulator.fail("listPhoneAgents", Respond(200, [odd, GOOD]), times=None)
    with dag:
        upsert = OpenCXUpsertPhoneAgentOperator(task_id="upsert", name="good", **arguments)
        for deferrable in (False, True):
            sensor = OpenCXPhoneNumberSensor(
                task_id=f"sensor_{deferrable}", agent_name="good", deferrable=deferrable, **arguments
            )
            upsert >> sensor
    assert run_dag(dag).state == "success"
    assert errors == []


@pytest.mark.parametrize("odd", ODD[3:], ids=str)
def test_no_agent_is_created_beside_what_may_be_it(
    odd: object,
    dag: DAG,
    run_dag: Callable[..., Any],
    simulator: Simulator,
    errors: list[BaseException],
    arguments: dict[str, Any],
) -> None:
    simulator.fail("listPhoneAgents", Respond(200, [odd, GOOD]), times=None)
    with dag:
        OpenCXUpsertPhoneAgentOperator(task_id="upsert", name="new", **arguments)
    assert run_dag(dag).state == "failed"
    assert [type(error) for error in errors] == [OpenCXResponseError] * 2
    assert all(isinstance(error, OpenCXError) and not error.is_permanent for error in errors)
    assert "Whether an agent is named 'new' is not known" in str(errors[0])
    assert simulator.writes == []
