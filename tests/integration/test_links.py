"""Tests the link from a task to its agent: on Airflow's page of agents, or in the dashboard of OpenCX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from airflow.sdk import DAG

from airflow_provider_opencx.operators.call import OpenCXPlaceCallOperator
from airflow_provider_opencx.operators.phone_agent import (
    OpenCXCreatePhoneAgentOperator,
    OpenCXPlanPhoneAgentsOperator,
    OpenCXSyncPhoneAgentsOperator,
    OpenCXUpdatePhoneAgentOperator,
    OpenCXUpsertPhoneAgentOperator,
)
from airflow_provider_opencx.operators.sequence import (
    OpenCXCancelSequenceOperator,
    OpenCXCreateSequenceOperator,
    OpenCXStartSequenceOperator,
    phone_step,
)
from airflow_provider_opencx.sensors.phone_number import OpenCXPhoneNumberSensor
from airflow_provider_opencx.simulator import Simulator

PAGE = "http://airflow.example.com/team/opencx/connections/opencx_default"
DASHBOARD = "https://app.example.com/agents/{id}?tab=calls"
OF_ONE_AGENT: dict[str, Callable[..., Any]] = {
    "create": lambda: OpenCXCreatePhoneAgentOperator(task_id="task", name="Renewals"),
    "upsert": lambda: OpenCXUpsertPhoneAgentOperator(task_id="task", name="Renewals"),
    "update": lambda: OpenCXUpdatePhoneAgentOperator(task_id="task", agent_name="Renewals", first_message="Hi"),
    "poke": lambda: OpenCXPhoneNumberSensor(task_id="task", agent_name="Renewals", poke_interval=0),
    "deferrable": lambda: OpenCXPhoneNumberSensor(
        task_id="task", agent_name="Renewals", poke_interval=0, deferrable=True
    ),
    "call": lambda: OpenCXPlaceCallOperator(
        task_id="task", agent_name="Renewals", phone_number="+14155550101", calling_hours=None
    ),
}
needs_page = pytest.mark.skipif(
    __import__("airflow").__version__.startswith("3.0."), reason="Airflow 3.0 has no views of plugins"
)


@pytest.fixture
def page_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__OPENCX__AGENTS_PAGE", "True")
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "http://airflow.example.com/team/")


@pytest.fixture
def agent_id(simulator: Simulator) -> str:
    agent = simulator.add_agent("Renewals", type="outbound")
    simulator.give_number(str(agent["id"]))
    return str(agent["id"])


@needs_page
@pytest.mark.usefixtures("page_on")
@pytest.mark.parametrize("task", OF_ONE_AGENT.values(), ids=OF_ONE_AGENT)
def test_task_is_linked_to_its_agent_on_the_page(
    task: Callable[..., Any], agent_id: str, dag: DAG, run_dag: Callable[..., Any], set_extra: Callable[..., None]
) -> None:
    set_extra(dashboard_url=DASHBOARD)
    with dag:
        task()
    assert run_dag(dag).link("task", "OpenCXPhoneAgentLink") == f"{PAGE}/agents?agent_id={agent_id}"


@pytest.mark.parametrize("task", OF_ONE_AGENT.values(), ids=OF_ONE_AGENT)
def test_task_is_linked_to_the_dashboard_where_the_page_is_off(
    task: Callable[..., Any], agent_id: str, dag: DAG, run_dag: Callable[..., Any], set_extra: Callable[..., None]
) -> None:
    set_extra(dashboard_url=DASHBOARD)
    with dag:
        task()
    assert run_dag(dag).link("task", "OpenCXPhoneAgentLink") == DASHBOARD.replace("{id}", agent_id)


def test_task_has_no_link_where_there_is_neither(agent_id: str, dag: DAG, run_dag: Callable[..., Any]) -> None:
    with dag:
        OpenCXUpsertPhoneAgentOperator(task_id="task", name="Renewals")
    assert run_dag(dag).link("task", "OpenCXPhoneAgentLink") == ""


@needs_page
@pytest.mark.usefixtures("page_on")
@pytest.mark.parametrize("operator", [OpenCXPlanPhoneAgentsOperator, OpenCXSyncPhoneAgentsOperator])
def test_task_for_a_fleet_is_linked_to_all_agents(
    operator: Callable[..., Any], agent_id: str, dag: DAG, run_dag: Callable[..., Any]
) -> None:
    with dag:
        operator(task_id="task", agents=[{"name": "Renewals"}])
    assert run_dag(dag).link("task", "OpenCXPhoneAgentLink") == f"{PAGE}/agents"


@needs_page
@pytest.mark.usefixtures("page_on")
def test_task_that_failed_is_linked_to_the_agent_that_it_was_given(
    simulator: Simulator, dag: DAG, run_dag: Callable[..., Any]
) -> None:
    simulator.provision_after = "never"
    waits = {"poke_interval": 0, "timeout": 0}
    with dag:
        OpenCXPhoneNumberSensor(task_id="given", agent_id="pa ü/1", **waits)
        OpenCXPhoneNumberSensor(task_id="many", agent_id=["pa_1", "pa_2"], **waits)
        OpenCXUpsertPhoneAgentOperator(task_id="made", name="Renewals", wait_for_phone_number=True, **waits)
        OpenCXPhoneNumberSensor(task_id="not_rendered", agent_id="{{ 1 / 0 }}", **waits)
        OpenCXPhoneNumberSensor(task_id="connection", agent_id="pa_1", opencx_conn_id="{{ 1 / 0 }}", **waits)
    run = run_dag(dag)
    assert run.state == "failed"
    [agent] = simulator.agents()
    links = {task_id: run.link(task_id, "OpenCXPhoneAgentLink") for task_id in ("given", "many", "made")}
    assert links == {
        "given": f"{PAGE}/agents?agent_id={quote('pa ü/1', safe='').replace('%20', '+')}",
        "many": f"{PAGE}/agents",
        "made": f"{PAGE}/agents?agent_id={agent['id']}",
    }
    assert run.link("not_rendered", "OpenCXPhoneAgentLink") == f"{PAGE}/agents"
    assert run.link("connection", "OpenCXPhoneAgentLink") == ""


@needs_page
@pytest.mark.usefixtures("page_on")
def test_task_is_linked_to_its_sequence(
    agent_id: str, simulator: Simulator, dag: DAG, run_dag: Callable[..., Any]
) -> None:
    simulator.add_contact("+14155550101")
    with dag:
        made = OpenCXCreateSequenceOperator(
            task_id="made", name="Spring", steps=[phone_step(agent_id)], contacts_from=["+14155550101"]
        )
        started = OpenCXStartSequenceOperator(task_id="started", sequence_id=made.output, calling_hours=None)
        started >> OpenCXCancelSequenceOperator(task_id="canceled", sequence_id=made.output)
    run = run_dag(dag)
    sequence_id = run.xcom("made")["id"]
    links = {run.link(task_id, "OpenCXSequenceLink") for task_id in ("made", "started", "canceled")}
    assert links == {f"{PAGE}/sequences/{sequence_id}"}


def test_mapped_task_that_fails_before_its_arguments_are_known_fails_for_that_alone(
    dag: DAG, run_dag: Callable[..., Any], simulator: Simulator
) -> None:
    with dag:
        OpenCXSyncPhoneAgentsOperator.partial(task_id="task", agents=[{"name": "Renewals"}]).expand(
            approved_plan=[None]
        )
    run = run_dag(dag)
    assert run.states("task") == ["failed"]
    assert simulator.writes == []


def test_wrong_connection_gives_no_link_and_no_second_error(
    dag: DAG,
    run_dag: Callable[..., Any],
    set_extra: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
    simulator: Simulator,
) -> None:
    set_extra(timeout="never", dashboard_url=DASHBOARD)
    with dag:
        OpenCXPhoneNumberSensor(task_id="task", agent_id="pa_1", poke_interval=0)
    run = run_dag(dag)
    assert run.state == "failed"
    assert run.link("task", "OpenCXPhoneAgentLink") == ""
    assert "operator extra link" not in caplog.text
