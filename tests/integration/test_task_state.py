"""Tests that a task keeps its creates in Airflow's own task state store."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG, get_current_context, task

from airflow_provider_opencx.intents import Intent
from airflow_provider_opencx.operators.phone_agent import (
    OpenCXCreatePhoneAgentOperator,
    OpenCXSyncPhoneAgentsOperator,
    OpenCXUpsertPhoneAgentOperator,
)
from airflow_provider_opencx.simulator import Respond, Simulator
from airflow_provider_opencx.task_state import intents_of

DECLARED: dict[str, tuple[Any, dict[str, Any]]] = {
    "create": (OpenCXCreatePhoneAgentOperator, {"name": "a"}),
    "upsert": (OpenCXUpsertPhoneAgentOperator, {"name": "a"}),
    "sync": (OpenCXSyncPhoneAgentsOperator, {"agents": [{"name": "a"}, {"name": "b"}]}),
}


@pytest.fixture(autouse=True)
def has_state_store(airflow_version: tuple[int, ...]) -> None:
    if airflow_version < (3, 3):
        pytest.skip("Airflow has a task state store from 3.3 on")


def recorded(dag: DAG) -> dict[str, Any]:
    """Return what the tasks of a Dag have recorded, by the names of agents."""
    from airflow.models.task_state_store import TaskStateStoreModel
    from airflow.utils.session import create_session
    from pydantic_core import from_json
    from sqlalchemy import select

    with create_session() as session:
        rows = session.scalars(select(TaskStateStoreModel.value).where(TaskStateStoreModel.dag_id == dag.dag_id))
        return {name: intent for row in rows for name, intent in from_json(row).items()}


def test_intents_of_a_try_are_found_by_the_next(dag: DAG, run_dag: Callable[..., Any]) -> None:
    @task(retries=2, retry_delay=timedelta(0))
    def create() -> list[object]:
        context = get_current_context()
        intents, is_retry = intents_of(context)
        assert intents is not None
        found = intents.read(["a", "b"])
        try_number = context["ti"].try_number
        if try_number == 1:
            intents.write({"a": Intent(1.5), "b": Intent(2.0, "pa_000001")})
            raise RuntimeError("the first try ends here")
        if try_number == 2:
            intents.delete(["a"])
            raise RuntimeError("the second try ends here")
        intents.delete(["b"])
        return [is_retry, {name: [intent.sent_at, intent.agent_id] for name, intent in found.items()}]

    with dag:
        create()
    run = run_dag(dag)
    assert (run.state, run.tries("create")) == ("success", 3)
    assert run.xcom("create") == [False, {"b": [2.0, "pa_000001"]}]
    assert recorded(dag) == {}


@pytest.mark.parametrize("declared", DECLARED)
def test_create_is_recorded_while_it_is_under_way(
    declared: str, dag: DAG, run_dag: Callable[..., Any], simulator: Simulator
) -> None:
    operator, arguments = DECLARED[declared]
    under_way: list[dict[str, Any]] = []

    class Recorded(Respond):
        async def respond(self, call: Any, handle: Any) -> Any:
            under_way.append(recorded(dag))
            return handle(call)

    simulator.fail("createPhoneAgent", Recorded(200), times=None)
    with dag:
        operator(task_id="agents", **arguments)
    assert run_dag(dag).state == "success"
    created = [agent["name"] for agent in simulator.agents()]
    assert len(under_way) == len(created)
    for name, intents in zip(created, under_way, strict=True):
        assert intents[name]["sent_at"] > 0
    assert recorded(dag) == {}
