"""Tests what tasks return: an agent, its fields, and agents that other tasks have returned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import XCom
from airflow.sdk import DAG, task

from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.operators.phone_agent import (
    OpenCXCreatePhoneAgentOperator,
    OpenCXPlanPhoneAgentsOperator,
    OpenCXSyncPhoneAgentsOperator,
    OpenCXUpdatePhoneAgentOperator,
    OpenCXUpsertPhoneAgentOperator,
)
from airflow_provider_opencx.sensors.phone_number import OpenCXPhoneNumberSensor
from airflow_provider_opencx.simulator import Simulator

from .sensors import MODES

RETURN_ONE: dict[str, Callable[..., Any]] = {
    "create": lambda **how: OpenCXCreatePhoneAgentOperator(name="a", **how),
    "upsert": lambda **how: OpenCXUpsertPhoneAgentOperator(name="a", **how),
    "update": lambda **how: OpenCXUpdatePhoneAgentOperator(agent_name="a", first_message="Hi", **how),
    **{
        mode: lambda arguments=arguments, **how: OpenCXPhoneNumberSensor(
            agent_name="a", poke_interval=0, **arguments, **how
        )
        for mode, arguments in MODES.items()
    },
}


@task
def join(agent_id: str, name: str, phone_number: str) -> str:
    """Return what was handed on, as text."""
    return f"{agent_id} {name} {phone_number}"


@pytest.mark.parametrize("returns_one", RETURN_ONE.values(), ids=RETURN_ONE)
def test_result_hands_on_id_name_and_number(
    returns_one: Callable[..., Any], dag: DAG, run_dag: Callable[..., Any], simulator: Simulator
) -> None:
    agent = simulator.add_agent("a", type="outbound")
    simulator.give_number(str(agent["id"]))
    with dag:
        one = returns_one(task_id="agent")
        join(one.output["id"], one.output["name"], one.output["phone_number"])
    run = run_dag(dag)
    [agent] = simulator.agents()
    parts = {key: agent[key] for key in ("id", "name", "phone_number")}
    assert run.pushed("agent") == {"return_value": agent, **parts}
    assert run.xcom("join") == " ".join(map(str, parts.values()))


def test_result_without_number_hands_on_id_and_name(
    dag: DAG, run_dag: Callable[..., Any], simulator: Simulator
) -> None:
    simulator.provision_after = "never"
    with dag:
        OpenCXUpsertPhoneAgentOperator(task_id="agent", name="a")
    assert run_dag(dag).pushed("agent").keys() == {"return_value", "id", "name"}


@pytest.mark.parametrize("returns_one", RETURN_ONE.values(), ids=RETURN_ONE)
def test_result_is_not_pushed_without_do_xcom_push(
    returns_one: Callable[..., Any], dag: DAG, run_dag: Callable[..., Any], simulator: Simulator
) -> None:
    simulator.add_agent("a", type="outbound")
    with dag:
        returns_one(task_id="agent", do_xcom_push=False)
    run = run_dag(dag)
    assert (run.state, run.pushed("agent")) == ("success", {})


def test_result_of_several_agents_is_the_list_alone(
    dag: DAG, run_dag: Callable[..., Any], simulator: Simulator
) -> None:
    with dag:
        fleet = OpenCXSyncPhoneAgentsOperator(task_id="fleet", agents=[{"name": "a"}])
        OpenCXPhoneNumberSensor(task_id="numbers", agent_id=fleet.output, poke_interval=0)
    run = run_dag(dag)
    assert run.pushed("fleet").keys() == {"return_value", "plan", "phone_numbers"}
    assert run.pushed("numbers") == {"return_value": simulator.agents()}


@pytest.mark.parametrize("how", ["create", "poke", "deferrable"])
def test_result_works_with_multiple_outputs(
    how: str, dag: DAG, run_dag: Callable[..., Any], simulator: Simulator, airflow_version: tuple[int, ...]
) -> None:
    if airflow_version < (3, 1):
        pytest.skip("multiple_outputs may hold null since Airflow 3.1")
    simulator.add_agent("a", type="outbound", language="de")
    with dag:
        RETURN_ONE[how](task_id="agent", multiple_outputs=True)
    run = run_dag(dag)
    [agent] = simulator.agents()
    assert run.state == "success"
    assert run.pushed("agent") == {"return_value": agent, **agent}


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_agent_is_taken_as_another_task_returned_it(
    mode: dict[str, Any], dag: DAG, run_dag: Callable[..., Any], simulator: Simulator
) -> None:
    with dag:
        agent = OpenCXUpsertPhoneAgentOperator(task_id="agent", name="a")
        fleet = OpenCXSyncPhoneAgentsOperator(task_id="fleet", agents=[{"name": "b"}, {"name": "c"}])
        changed = OpenCXUpdatePhoneAgentOperator(task_id="update", agent_id=agent.output, new_name="new")
        OpenCXPhoneNumberSensor(task_id="one", agent_id=changed.output, poke_interval=0, **mode)
        OpenCXPhoneNumberSensor(task_id="all", agent_id=fleet.output, poke_interval=0, **mode)
        OpenCXPhoneNumberSensor(task_id="by_name", agent_name=changed.output["name"], poke_interval=0, **mode)
        pulled = "{{ ti.xcom_pull('update', key='id') }}"
        changed >> OpenCXPhoneNumberSensor(task_id="pulled", agent_id=pulled, poke_interval=0, **mode)
        OpenCXPhoneNumberSensor(task_id="mixed", agent_id=[agent.output["id"], changed.output], poke_interval=0, **mode)
    run = run_dag(dag)
    by_name = {agent["name"]: agent for agent in simulator.agents()}
    assert by_name.keys() == {"new", "b", "c"}
    assert run.xcom("one") == run.xcom("by_name") == run.xcom("pulled") == by_name["new"]
    assert run.xcom("all") == [by_name["b"], by_name["c"]]
    assert run.xcom("mixed") == [by_name["new"]] * 2


def test_agent_of_mapped_task_is_handed_to_mapped_tasks(
    dag: DAG, run_dag: Callable[..., Any], simulator: Simulator
) -> None:
    with dag:
        agents = OpenCXUpsertPhoneAgentOperator.partial(task_id="agents").expand(name=["a", "b"])
        sensor = OpenCXPhoneNumberSensor.partial(poke_interval=0, task_id="by_agent")
        by_agent = sensor.expand(agent_id=agents.output)
        sensor = OpenCXPhoneNumberSensor.partial(poke_interval=0, task_id="by_id")
        sensor.expand(agent_id=agents.output.map(lambda a: a["id"]))
        OpenCXPhoneNumberSensor(task_id="in_one", agent_id=by_agent.output, poke_interval=0)
    run = run_dag(dag)
    assert run.state == "success"
    by_name = sorted(simulator.agents(), key=lambda agent: str(agent["name"]))
    assert run.xcoms("by_agent") == run.xcoms("by_id") == run.xcom("in_one") == by_name


@pytest.mark.parametrize(
    ("selector", "says"),
    [
        ({"agent_id": {"name": "a"}}, r"agent_id=agent\.output, or agent_id=agent\.output\['id'\]"),
        ({"agent_id": {"id": 5}}, r"agent_id=agent\.output, or agent_id=agent\.output\['id'\]"),
        ({"agent_id": {"id": ""}}, "agent_id: must be a string that is not empty"),
        ({"agent_id": ["1", {}]}, r"agent_id=agent\.output, or .* \(element 1 of the sequence\)"),
        ({"agent_name": {"id": "1", "name": "a"}}, r"agent_id=agent\.output, or agent_name=agent\.output\['name'\]"),
        ({"agent_name": [{"id": "1"}]}, r"agent_id=agent\.output, or agent_name=agent\.output\['name'\]"),
    ],
)
def test_agent_that_selects_nothing_is_refused(
    selector: dict[str, Any], says: str, dag: DAG, run_dag: Callable[..., Any], simulator: Simulator
) -> None:
    errors: list[BaseException] = []
    with dag:
        with pytest.raises(OpenCXArgumentError, match=f"Task 'number': .*{says}"):
            OpenCXPhoneNumberSensor(task_id="number", **selector)

        @task
        def hand_on(value: Any) -> Any:
            return value

        OpenCXPhoneNumberSensor(
            task_id="rendered",
            **{argument: hand_on(value) for argument, value in selector.items()},
            on_failure_callback=lambda context: errors.append(context["exception"]),
        )
    assert run_dag(dag).states("rendered") == ["failed"]
    with pytest.raises(OpenCXArgumentError, match=says):
        raise errors[0]
    assert simulator.requests == []


def test_connection_is_a_template(
    dag: DAG, run_dag: Callable[..., Any], simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    monkeypatch.setenv("AIRFLOW_CONN_TEAM_A", os.environ["AIRFLOW_CONN_OPENCX_DEFAULT"])
    monkeypatch.delenv("AIRFLOW_CONN_OPENCX_DEFAULT")
    connected: dict[str, Any] = {"opencx_conn_id": "{{ params.team }}", "params": {"team": "team_a"}}
    fleet = [{"name": "a", "first_message": "Hi"}]
    with dag:
        created = OpenCXCreatePhoneAgentOperator(task_id="create", name="a", **connected)
        upserted = OpenCXUpsertPhoneAgentOperator(task_id="upsert", name="a", **connected)
        updated = OpenCXUpdatePhoneAgentOperator(
            task_id="update", agent_id=created.output, first_message="Hi", **connected
        )
        plan = OpenCXPlanPhoneAgentsOperator(task_id="plan", agents=fleet, fail_on_changes=True, **connected)
        sync = OpenCXSyncPhoneAgentsOperator(task_id="sync", agents=fleet, approved_plan=plan.output, **connected)
        sensors = [
            OpenCXPhoneNumberSensor(task_id=f"{mode}_number", agent_name="a", poke_interval=0, **how, **connected)
            for mode, how in MODES.items()
        ]
        created >> upserted >> updated >> plan >> sync >> sensors
    run = run_dag(dag)
    assert run.state == "success"
    assert run.xcom("plan")["connection"] == "team_a"


def test_result_of_earlier_try_is_deleted_with_its_parts(
    dag: DAG, run_dag: Callable[..., Any], simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    deleted: list[str] = []
    monkeypatch.setattr(XCom, "delete", lambda key, **_: deleted.append(key))
    with dag:
        sensor = OpenCXPhoneNumberSensor(task_id="number", agent_name="a")
    sensor._delete_earlier_result(
        {"ti": type("Instance", (), dict.fromkeys(["task_id", "dag_id", "run_id", "map_index"]))}
    )
    assert deleted == ["return_value", "id", "name", "phone_number"]
