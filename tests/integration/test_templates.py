"""Tests templates: what is rendered, what it becomes, what is refused, and that other text stays as it was written."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from airflow.sdk import DAG, TaskGroup, task

from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.operators.phone_agent import (
    OpenCXSyncPhoneAgentsOperator,
    OpenCXUpdatePhoneAgentOperator,
    OpenCXUpsertPhoneAgentOperator,
)
from airflow_provider_opencx.sensors.phone_number import OpenCXPhoneNumberSensor
from airflow_provider_opencx.simulator import Simulator

API_KEY = "ocx_live_templates-s3cret"
RunDag = Callable[..., Any]

WITHOUT_TEMPLATE: dict[str, object] = {
    "voice_id": "007",
    "first_message": '"Hello"',
    "instructions": ["1", "None", "line\n", "a\r\nb", " [1] "],
    "handoff_phone_number": "+14155550100",
    "action_ids": ["123", "{'a': 1}"],
    "accent": "True\n",
    "custom_llm": "{\n}\r\n",
    "flow": {"node": "1", "t": "None", "deep": [{"zip": "94107", "text": "x\n"}]},
}
"""Texts that Airflow's rendering would change, in one Dag or in another: none of them holds a template."""


def upsert(fields: dict[str, object]) -> None:
    OpenCXUpsertPhoneAgentOperator(task_id="agent", name="2026", **fields)  # type: ignore[arg-type]


def partial(fields: dict[str, object]) -> None:
    OpenCXUpsertPhoneAgentOperator.partial(task_id="agent", **fields).expand(name=["2026"])


def expanded(fields: dict[str, object]) -> None:
    OpenCXUpsertPhoneAgentOperator.partial(task_id="agent").expand_kwargs([{"name": "2026", **fields}])


def expanded_from_task(fields: dict[str, object]) -> None:
    @task
    def rows() -> list[dict[str, object]]:
        return [{"name": "2026", **fields}]

    OpenCXUpsertPhoneAgentOperator.partial(task_id="agent").expand_kwargs(rows())


def sync(fields: dict[str, object]) -> None:
    OpenCXSyncPhoneAgentsOperator(task_id="agent", agents=[{"name": "2026", **fields}])


def sync_of_task(fields: dict[str, object]) -> None:
    @task
    def fleet() -> list[dict[str, object]]:
        return [{"name": "2026", **fields}]

    OpenCXSyncPhoneAgentsOperator(task_id="agent", agents=fleet())  # type: ignore[arg-type]


def update(fields: dict[str, object]) -> None:
    created = OpenCXUpsertPhoneAgentOperator(task_id="created", name="2026")
    created >> OpenCXUpdatePhoneAgentOperator(task_id="agent", agent_name="2026", **fields)  # type: ignore[arg-type]


IN_EVERY_WAY = pytest.mark.parametrize(
    "declare", [upsert, partial, expanded, expanded_from_task, sync, sync_of_task, update]
)
IN_EVERY_DAG = pytest.mark.parametrize("native", [False, True], ids=["ordinary", "native"])


def written(simulator: Simulator) -> dict[str, Any]:
    """Return what was written to the one agent, by the names of the arguments."""
    body = {name: value for write in simulator.writes for name, value in write.body.items()}
    return {{"actionIds": "action_ids"}.get(name, name): value for name, value in body.items()}


@pytest.fixture
def generation() -> str:
    """The one that takes the most fields."""
    return "2025"


@pytest.fixture
def simulator(generation: str, connect: Callable[[str, str], None]) -> Iterator[Simulator]:
    with Simulator(api_keys=(API_KEY,), requests_per_minute=None, generation=generation) as running:
        # The texts under test are ids as well.
        running.set_voices([{"voice_id": voice_id, "name": voice_id} for voice_id in ("default", "007", "2026")])
        running.set_actions([{"id": each, "name": each} for each in ("123", "{'a': 1}", "2026", "002026", "1", "2")])
        connect(running.url, API_KEY)
        yield running


@pytest.fixture
def dag(dag: DAG, request: pytest.FixtureRequest) -> DAG:
    """The test's Dag, native where the test says so."""
    native = getattr(request.node, "callspec", None) and request.node.callspec.params.get("native")
    dag.render_template_as_native_obj = bool(native)
    return dag


@IN_EVERY_DAG
@IN_EVERY_WAY
def test_what_holds_no_template_arrives_as_written(
    declare: Callable[[dict[str, object]], None], native: bool, dag: DAG, run_dag: RunDag, simulator: Simulator
) -> None:
    with dag:
        declare(WITHOUT_TEMPLATE)
    assert run_dag(dag).state == "success"
    assert {**written(simulator), "type": None} == {"name": "2026", "type": None, **WITHOUT_TEMPLATE}


@IN_EVERY_DAG
@pytest.mark.parametrize("declare", [upsert, partial, expanded, sync, update])
def test_text_that_holds_template_stays_text(
    declare: Callable[[dict[str, object]], None], native: bool, dag: DAG, run_dag: RunDag, simulator: Simulator
) -> None:
    dag.params["text"] = "2026"
    dag.params["phone"] = "+14155550100"
    with dag:
        declare(
            {
                "voice_id": "{{ params.text }}",
                "first_message": '"{{ params.text }}"\n',
                "accent": "a\r\n{{ params.text }}\r\n",
                "handoff_phone_number": "{{ params.phone }}",
                "action_ids": ["{{ params.text }}", "00{{ params.text }}"],
            }
        )
    assert run_dag(dag).state == "success"
    arrived = written(simulator)
    assert arrived["voice_id"] == "2026"
    assert arrived["first_message"] == '"2026"\n'
    assert arrived["accent"] == "a\r\n2026\r\n"
    assert arrived["handoff_phone_number"] == "+14155550100"
    assert arrived["action_ids"] == ["2026", "002026"]


VALUES: list[tuple[str, str, object]] = [
    ("2026", "language", ["en", "fr"]),
    ("2026", "action_ids", []),
    ("2025", "data_collection_fields", ["name"]),
    ("2025", "interruptible", False),
    ("2025", "speed", 1.5),
    ("2025", "flow", {"a": [1, None]}),
    ("2025", "flow", "2026"),
]


@pytest.mark.parametrize("native", [True])
@pytest.mark.parametrize(("generation", "field", "value"), VALUES)
def test_what_is_no_text_stays_what_it_is_in_native_dag(
    generation: str, field: str, value: object, native: bool, dag: DAG, run_dag: RunDag, simulator: Simulator
) -> None:
    dag.params["value"] = value
    with dag:
        upsert({field: "{{ params.value }}"})
    assert run_dag(dag).state == "success"
    assert written(simulator)[field] == value


@pytest.mark.parametrize("native", [True])
def test_sensor_takes_list_in_native_dag(native: bool, dag: DAG, run_dag: RunDag, simulator: Simulator) -> None:
    dag.params["names"] = ["a", "b"]
    with dag:
        fleet = OpenCXSyncPhoneAgentsOperator(task_id="fleet", agents=[{"name": "a"}, {"name": "b"}])
        number = OpenCXPhoneNumberSensor(task_id="number", agent_name="{{ params.names }}", poke_interval=1)
        fleet >> number
    run = run_dag(dag)
    assert [agent["name"] for agent in run.xcom("number")] == ["a", "b"]


@IN_EVERY_DAG
def test_template_in_data_of_another_task_is_not_rendered(
    native: bool, dag: DAG, run_dag: RunDag, simulator: Simulator
) -> None:
    message = 'Hi {{ name | default("you") }}, key {{ conn.opencx_default.password }}, {# not gone #} {{ broken'
    with dag:
        expanded_from_task({"first_message": message, "instructions": [message], "flow": {"text": message}})
    assert run_dag(dag).state == "success"
    arrived = written(simulator)
    assert arrived["first_message"] == message
    assert arrived["instructions"] == [message]
    assert arrived["flow"] == {"text": message}


def test_template_beside_data_of_another_task_is_rendered(dag: DAG, run_dag: RunDag, simulator: Simulator) -> None:
    dag.default_args = {"accent": "{{ 2 + 2 }}"}
    with dag, TaskGroup("group", default_args={"custom_llm": "{{ 3 + 3 }}"}):

        @task
        def rows() -> list[dict[str, object]]:
            return [{"name": "{{ ds }}"}]

        OpenCXUpsertPhoneAgentOperator.partial(task_id="agent", first_message="{{ 1 + 1 }}").expand_kwargs(rows())
    assert run_dag(dag).state == "success"
    assert written(simulator) == {
        "name": "{{ ds }}",
        "type": "outbound",
        "first_message": "2",
        "accent": "4",
        "custom_llm": "6",
    }


WAYS_TO_WRITE_BRACES = {
    "raw": "{% raw %}Hi {{ name }}{% endraw %}",
    "text": "Hi {{ '{{ name }}' }}",
}


@IN_EVERY_DAG
@pytest.mark.parametrize("way", WAYS_TO_WRITE_BRACES)
def test_braces_can_be_written(way: str, native: bool, dag: DAG, run_dag: RunDag, simulator: Simulator) -> None:
    with dag:
        upsert({"first_message": WAYS_TO_WRITE_BRACES[way]})
    assert run_dag(dag).state == "success"
    assert written(simulator)["first_message"] == "Hi {{ name }}"


def test_braces_can_be_written_as_literal(dag: DAG, run_dag: RunDag, simulator: Simulator) -> None:
    sdk = pytest.importorskip("airflow.sdk")
    if not hasattr(sdk, "literal"):
        pytest.skip("this Airflow has no literal()")
    with dag:
        upsert({"first_message": sdk.literal("Hi {{ name }}")})
    assert run_dag(dag).state == "success"
    assert written(simulator)["first_message"] == "Hi {{ name }}"


UNPARSABLE = [
    '{{"now" | date: "%A"}}',
    "Hi {{ name",
    "{% if x %}Hi",
    "Hi {{ name | no_such_filter }}",
    "Hi {% if name is no_such_test %}you{% endif %}",
]


@pytest.mark.parametrize("text", UNPARSABLE)
@pytest.mark.parametrize("declare", [upsert, partial, sync, update])
def test_template_that_cannot_be_parsed_is_error_while_dag_is_parsed(
    declare: Callable[[dict[str, object]], None], text: str, dag: DAG
) -> None:
    with dag, pytest.raises(OpenCXArgumentError) as wrong:
        declare({"first_message": text})
    message = str(wrong.value)
    assert message.startswith("Task 'agent': ")
    assert "first_message: the template cannot be parsed: " in message
    assert "{% raw %}" in message


def test_template_is_judged_with_environment_of_dag(run_dag: RunDag, simulator: Simulator) -> None:
    with DAG(
        "own_environment",
        schedule=None,
        start_date=datetime(2026, 1, 1),
        user_defined_filters={"shout": lambda text: text.upper()},
        user_defined_macros={"greeting": "hello"},
        jinja_environment_kwargs={"variable_start_string": "[[", "variable_end_string": "]]"},
    ) as dag:
        upsert({"first_message": "[[ greeting | shout ]] {{ name }}", "type": "[['outbound']]"})
    assert run_dag(dag).state == "success"
    assert written(simulator)["first_message"] == "HELLO {{ name }}"


REFUSED: list[tuple[dict[str, object], str]] = [
    (
        {"first_message": "Hi {{ customer_name }}"},
        "first_message of phone agent '2026': the template cannot be rendered",
    ),
    ({"first_message": "{{ 1 / 0 }}"}, "first_message of phone agent '2026': the template cannot be rendered"),
    ({"first_message": "{{ none }}"}, "first_message of phone agent '2026': the template has become None"),
    ({"first_message": "{{ ti.xcom_pull('gone') }}"}, "has become None"),
    ({"action_ids": "{{ ti.xcom_pull('gone') }}"}, "action_ids of phone agent '2026': the template has become None"),
    ({"use_org_knowledgebase": "{{ none }}"}, "has become None"),
    ({"speed": "{{ none }}"}, "has become None"),
    ({"first_message": "{{ params.list }}"}, "first_message of phone agent '2026': the template is a list"),
    ({"first_message": "Hi {{ none }},\n"}, "first_message of phone agent '2026': the template has become None"),
    ({"first_message": "{{ params.list }}\n"}, "first_message of phone agent '2026': the template is a list"),
    ({"first_message": "{{ {'a': 1} }}"}, "first_message of phone agent '2026': the template is a mapping"),
    ({"first_message": "{{ params.list | map('upper') }}"}, "the template is not text, but of the type generator"),
    ({"first_message": "{{ macros.uuid }}"}, "the template is not text, but of the type module"),
]


@IN_EVERY_DAG
@pytest.mark.parametrize(("fields", "says"), REFUSED, ids=str)
def test_template_that_fails_is_refused_for_good(
    fields: dict[str, object],
    says: str,
    native: bool,
    dag: DAG,
    run_dag: RunDag,
    simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    dag.params["list"] = ["a", "b"]
    with dag:
        OpenCXUpsertPhoneAgentOperator(
            task_id="agent",
            name="2026",
            retries=2,
            retry_delay=timedelta(0),
            **fields,  # type: ignore[arg-type]
        )
    run = run_dag(dag)
    assert (run.state, run.tries("agent")) == ("failed", 1)
    assert says in caplog.text
    assert simulator.writes == []


NEEDS_TEXT = [
    pytest.param(OpenCXUpsertPhoneAgentOperator, {"name": "{{ none }}"}, "name: the template has become None"),
    pytest.param(
        OpenCXUpsertPhoneAgentOperator, {"name": "{{ ti.xcom_pull('gone') }}"}, "name: the template has become None"
    ),
    pytest.param(
        OpenCXUpsertPhoneAgentOperator, {"name": "a", "language": "{{ params.list }}"}, "is a list that has become text"
    ),
    pytest.param(
        OpenCXUpsertPhoneAgentOperator, {"name": "a", "flow": "{{ params.agent }}"}, "is a mapping that has become text"
    ),
    pytest.param(
        OpenCXUpsertPhoneAgentOperator,
        {"name": "a", "flow": {"deep": ["{{ params.list }}"]}},
        "flow.deep of phone agent 'a': the template is a list that has become text",
    ),
    pytest.param(OpenCXPhoneNumberSensor, {"agent_id": "{{ params.list }}"}, "agent_id: the template is a list"),
    pytest.param(OpenCXPhoneNumberSensor, {"agent_name": "{{ none }}"}, "agent_name: the template has become None"),
    pytest.param(OpenCXPhoneNumberSensor, {"agent_id": "{{ params.agent }}"}, "agent_id: the template is a mapping"),
    pytest.param(OpenCXSyncPhoneAgentsOperator, {"agents": "{{ params.list }}"}, "agents: the template is a list"),
    pytest.param(
        OpenCXSyncPhoneAgentsOperator, {"agents": [{"name": "{{ none }}"}]}, "name: the template has become None"
    ),
    pytest.param(
        OpenCXUpsertPhoneAgentOperator,
        {"name": "a", "opencx_conn_id": "{{ none }}"},
        "opencx_conn_id of phone agent 'a': the template has become None",
    ),
]


@pytest.mark.parametrize(("operator", "arguments", "says"), NEEDS_TEXT)
def test_list_or_none_that_became_text_is_refused_for_good(
    operator: Any,
    arguments: dict[str, object],
    says: str,
    dag: DAG,
    run_dag: RunDag,
    simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    dag.params.update({"list": ["en", "fr"], "agent": {"id": "pa_1"}})
    with dag:
        operator(task_id="agent", retries=2, retry_delay=timedelta(0), **arguments)
    run = run_dag(dag)
    assert (run.state, run.tries("agent")) == ("failed", 1)
    assert says in caplog.text
    assert simulator.writes == []


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("Hi {{ customer_name | default('there') }}, {{ ds }}", "Airflow knows no variable 'customer_name'."),
        ("Hello {# greet by name #} there.", "a comment is left out of the text."),
    ],
)
def test_what_is_likely_meant_for_the_service_is_warned_of(
    text: str, warning: str, dag: DAG, run_dag: RunDag, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    with dag, caplog.at_level(logging.WARNING):
        upsert({"first_message": text})
    assert run_dag(dag).state == "success"
    assert f"first_message of phone agent '2026': {warning}" in caplog.text


@pytest.mark.parametrize("values", [["{{ 1 }}", "{{ 2 }}"], ("{{ 1 }}", "{{ 2 }}")], ids=["list", "tuple"])
def test_sequence_of_templates_is_rendered(
    values: Sequence[str], dag: DAG, run_dag: RunDag, simulator: Simulator
) -> None:
    with dag:
        upsert({"action_ids": values})
    assert run_dag(dag).state == "success"
    assert written(simulator)["action_ids"] == ["1", "2"]


def test_field_of_a_subclass_is_left_to_airflow(dag: DAG, run_dag: RunDag, simulator: Simulator) -> None:
    class Greeting(OpenCXUpsertPhoneAgentOperator):
        template_fields: Sequence[str] = (*OpenCXUpsertPhoneAgentOperator.template_fields, "greetings")

        def __init__(self, *, greetings: dict[str, str], **kwargs: Any) -> None:
            self.greetings = greetings
            super().__init__(**kwargs)

        def execute(self, context: Any) -> Any:
            self.agent["first_message"] = self.greetings["en"]
            return super().execute(context)

    with dag:
        Greeting(task_id="agent", name="{{ 1 + 1 }}", greetings={"en": "Hello {{ 1 + 2 }}"})
    assert run_dag(dag).state == "success"
    assert (written(simulator)["name"], written(simulator)["first_message"]) == ("2", "Hello 3")
