"""Tests the operators in Dags: declarations are checked, rendered, mapped, created once and returned as plain JSON."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG, task

from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.operators.phone_agent import (
    OpenCXCreatePhoneAgentOperator,
    OpenCXUpdatePhoneAgentOperator,
    OpenCXUpsertPhoneAgentOperator,
)
from airflow_provider_opencx.sensors.phone_number import OpenCXPhoneNumberSensor
from airflow_provider_opencx.simulator import LoseResponse, Respond, Simulator
from airflow_provider_opencx.simulator.responses import error_body

WRITING_OPERATORS = pytest.mark.parametrize(
    "operator", [OpenCXCreatePhoneAgentOperator, OpenCXUpsertPhoneAgentOperator], ids=["create", "upsert"]
)


@pytest.mark.parametrize("generation", ["2024", "2025", "2026"])
def test_operators_work_with_every_generation(
    generation: str, dag: DAG, run_dag: Callable[..., Any], simulator: Simulator
) -> None:
    simulator.generation = generation
    simulator.provision_after = "2reads"
    with dag:
        agent = OpenCXUpsertPhoneAgentOperator(
            task_id="upsert", name="Reminder", language="de", first_message="Hallo", voice_id="voice_bruno"
        )
        changed = OpenCXUpdatePhoneAgentOperator(
            task_id="update",
            agent_id="{{ ti.xcom_pull('upsert')['id'] }}",
            first_message="Guten Tag",
            language=["fr"],
        )
        awaited = OpenCXPhoneNumberSensor(task_id="await", agent_name="Reminder", poke_interval=0, deferrable=True)
        agent >> changed >> awaited
    run = run_dag(dag)
    assert run.state == "success"
    result = run.xcom("await")
    assert (result["name"], result["language"], result["first_message"]) == ("Reminder", ["fr"], "Guten Tag")
    assert result["phone_number"].startswith("+1")
    assert len(simulator.agents()) == 1


@WRITING_OPERATORS
@pytest.mark.parametrize("field", ["language", "instructions", "action_ids", "data_collection_fields"])
def test_operators_refuse_list_of_which_a_template_made_text(
    field: str, operator: Any, dag: DAG, run_dag: Callable[..., Any], simulator: Simulator
) -> None:
    errors: list[BaseException] = []

    def remember(context: Any) -> None:
        errors.append(context["exception"])

    fields: dict[str, Any] = {field: "{{ params.wanted }}"}
    with dag:
        operator(
            task_id="agent",
            name="a",
            params={"wanted": ["en", "fr"]},
            retries=2,
            on_retry_callback=remember,
            on_failure_callback=remember,
            **fields,
        )
    assert run_dag(dag).states("agent") == ["failed"]
    [error] = errors
    assert f"{field} of phone agent 'a': the template is a list that has become text" in str(error)
    assert simulator.writes == []


@WRITING_OPERATORS
def test_operators_write_nothing_in_second_run(
    operator: Any, dag: DAG, run_dag: Callable[..., Any], simulator: Simulator
) -> None:
    with dag:
        operator(task_id="agent", name="a", language=["en", "es"], first_message="Hi")
    first, second = run_dag(dag), run_dag(dag)
    assert first.xcom("agent") == second.xcom("agent")
    assert len(simulator.writes) == 1


@WRITING_OPERATORS
def test_operators_create_one_agent_if_response_is_lost(
    operator: Any, dag: DAG, run_dag: Callable[..., Any], simulator: Simulator
) -> None:
    simulator.fail("createPhoneAgent", LoseResponse())
    with dag:
        operator(task_id="agent", name="a")
    run = run_dag(dag)
    assert (run.state, run.tries("agent")) == ("success", 1)
    assert run.xcom("agent")["id"] == simulator.agents()[0]["id"]
    assert len(simulator.agents()) == 1


@WRITING_OPERATORS
@pytest.mark.parametrize("empty_lists", [7, 9, 12, 15], ids="{} lists do not show it".format)
def test_operators_retry_finds_agent_of_earlier_try(
    empty_lists: int, operator: Any, dag: DAG, run_dag: Callable[..., Any], simulator: Simulator
) -> None:
    class AppearsLater(LoseResponse):
        async def respond(self, call: Any, handle: Any) -> Any:
            dropped = await super().respond(call, handle)
            simulator.fail("listPhoneAgents", Respond(200, []), times=empty_lists)
            return dropped

    simulator.fail("createPhoneAgent", AppearsLater())
    with dag:
        operator(task_id="agent", name="a", retries=1, retry_delay=timedelta(0))
    run = run_dag(dag)
    assert (run.state, run.tries("agent")) == ("success", 2)
    assert (len(simulator.agents()), simulator.count("createPhoneAgent")) == (1, 1)


@pytest.mark.parametrize(
    ("fault", "tries"),
    [
        (Respond(401, error_body(401, "No")), 1),
        (Respond(403, error_body(403, "No")), 1),
        (Respond(404, error_body(404, "No")), 1),
        (Respond(503), 3),
    ],
    ids=str,
)
def test_upsert_retries_only_transient_errors(
    fault: Respond, tries: int, dag: DAG, run_dag: Callable[..., Any], simulator: Simulator
) -> None:
    simulator.fail("listPhoneAgents", fault, times=None)
    with dag:
        OpenCXUpsertPhoneAgentOperator(task_id="agent", name="a", retries=2, retry_delay=timedelta(0))
    run = run_dag(dag)
    assert (run.state, run.tries("agent")) == ("failed", tries)


def test_upsert_accepts_templates_in_every_field(dag: DAG, run_dag: Callable[..., Any], simulator: Simulator) -> None:
    with dag:

        @task
        def languages() -> list[str]:
            return ["en", "fr"]

        OpenCXUpsertPhoneAgentOperator(
            task_id="agent",
            name="Campaign {{ dag_run.conf['number'] }}",
            language=languages(),
            first_message="{{ params.greeting }}",
            use_org_knowledgebase="{{ true }}",
            handoff_phone_number="{{ '+1 415 555 0100' }}",
            params={"greeting": "Hi"},
        )
    run = run_dag(dag, conf={"number": 7})
    assert run.state == "success"
    assert simulator.writes[0].body == {
        "name": "Campaign 7",
        "type": "outbound",
        "language": ["en", "fr"],
        "first_message": "Hi",
        "use_org_knowledgebase": True,
        "handoff_phone_number": "+14155550100",
    }
    rendered = run.rendered("agent")
    assert rendered.keys() == {"agent", "opencx_conn_id"}
    assert rendered["agent"]["name"] == "Campaign 7"
    assert rendered["agent"]["handoff_phone_number"] == "+1 415 555 0100"


def test_upsert_maps_over_fleet_with_expand_kwargs(dag: DAG, run_dag: Callable[..., Any], simulator: Simulator) -> None:
    fleet = [{"name": "a", "language": "de"}, {"name": "b", "first_message": None}, {"name": "c", "action_ids": []}]
    with dag:

        @task
        def read_fleet() -> list[dict[str, Any]]:
            return fleet

        OpenCXUpsertPhoneAgentOperator.partial(task_id="agent", voice_id="voice_celia").expand_kwargs(read_fleet())
    run = run_dag(dag)
    assert run.states("agent") == ["success"] * 3
    assert [agent["name"] for agent in run.xcoms("agent")] == ["a", "b", "c"]
    assert sorted((write.body for write in simulator.writes), key=lambda body: body["name"]) == [
        {"name": "a", "type": "outbound", "language": ["de"], "voice_id": "voice_celia"},
        {"name": "b", "type": "outbound", "first_message": None, "voice_id": "voice_celia"},
        {"name": "c", "type": "outbound", "actionIds": [], "voice_id": "voice_celia"},
    ]


def test_upsert_fails_only_wrong_mapped_agent(dag: DAG, run_dag: Callable[..., Any], simulator: Simulator) -> None:
    with dag:
        OpenCXUpsertPhoneAgentOperator.partial(task_id="agent", retries=3).expand_kwargs(
            [{"name": "a"}, {"name": "b", "language": ["ar", "en"]}]
        )
    run = run_dag(dag)
    assert run.states("agent") == ["success", "failed"]
    assert [agent["name"] for agent in simulator.agents()] == ["a"]


def test_upsert_returns_plain_json(dag: DAG, run_dag: Callable[..., Any], simulator: Simulator) -> None:
    simulator.set_actions([{"id": "x", "name": "Book appointment"}])
    with dag:
        OpenCXUpsertPhoneAgentOperator(task_id="agent", name="a", action_ids=["x"])
    agent = run_dag(dag).xcom("agent")
    assert agent == simulator.agents()[0]
    assert agent["actionIds"] == ["x"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"name": ""}, "name: must not be empty"),
        ({"name": "{{ fine }}", "language": ["tr", "en"]}, "language: 'tr' must be the only language"),
        ({"name": "a", "handoff_phone_number": "911"}, "handoff_phone_number: '911' must begin with +"),
        ({"name": "a", "type": "sideways"}, "type: "),
        ({"name": "a", "on_mismatch": "shrug"}, "on_mismatch: must be 'fail' or 'warn'"),
        ({"name": "a", "opencx_conn_id": ""}, "opencx_conn_id: must be the id of a connection"),
        ({"name": "a", "opencx_conn_id": None}, "opencx_conn_id: must be the id of a connection"),
    ],
)
@WRITING_OPERATORS
def test_operators_refuse_wrong_argument_at_parse_time(
    operator: Any, arguments: dict[str, Any], says: str, dag: DAG
) -> None:
    with dag, pytest.raises(OpenCXArgumentError) as wrong:
        operator(task_id="my_agent", **arguments)
    assert str(wrong.value).startswith("Task 'my_agent': ")
    assert says in str(wrong.value)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"agent_id": "1"}, "give at least one field to change"),
        ({"first_message": "Hi"}, "give either agent_id or agent_name"),
        ({"first_message": "Hi", "agent_id": "1", "agent_name": "a"}, "and not both"),
        ({"first_message": "Hi", "agent_id": ""}, "agent_id: must be a string that is not empty"),
        ({"agent_id": "{{ x }}"}, "give at least one field to change"),
        ({"new_name": " ", "agent_id": "1"}, "new_name: must not be empty"),
        (
            {"first_message": "Hi", "agent_id": {"name": "a"}},
            r"write agent_id=agent\.output, or agent_id=agent\.output\['id'\]",
        ),
        (
            {"first_message": "Hi", "agent_name": {"id": "1"}},
            r"write agent_id=agent\.output, or agent_name=agent\.output\['name'\]",
        ),
    ],
)
def test_update_refuses_wrong_argument_at_parse_time(arguments: dict[str, Any], says: str, dag: DAG) -> None:
    with dag, pytest.raises(OpenCXArgumentError, match=f"Task 'my_agent': .*{says}"):
        OpenCXUpdatePhoneAgentOperator(task_id="my_agent", **arguments)


def test_create_refuses_unknown_if_exists_at_parse_time(dag: DAG) -> None:
    with dag, pytest.raises(OpenCXArgumentError, match="if_exists: must be 'adopt' or 'fail'"):
        OpenCXCreatePhoneAgentOperator(task_id="my_agent", name="a", if_exists="replace")  # type: ignore[arg-type]  # the mistake under test


def test_upsert_template_field_keeps_written_values(dag: DAG) -> None:
    with dag:
        operator = OpenCXUpsertPhoneAgentOperator(
            task_id="agent", name=" a ", language="de", action_ids=None, handoff_phone_number="+1 415 555 0100"
        )
    assert operator.agent == {
        "name": " a ",
        "language": "de",
        "action_ids": None,
        "handoff_phone_number": "+1 415 555 0100",
    }
