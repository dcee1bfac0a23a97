"""Tests training scenarios, actions and voices by name, so that one declaration serves two organizations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_opencx.exceptions import (
    OpenCXArgumentError,
    OpenCXNotFoundError,
    OpenCXPermissionError,
    OpenCXPlanRefusedError,
    OpenCXResponseError,
)
from airflow_provider_opencx.operators.phone_agent import (
    OpenCXCreatePhoneAgentOperator,
    OpenCXPlanPhoneAgentsOperator,
    OpenCXSyncPhoneAgentsOperator,
    OpenCXUpdatePhoneAgentOperator,
    OpenCXUpsertPhoneAgentOperator,
)
from airflow_provider_opencx.simulator import AlterItems, Respond, Simulator

CALLS = {"channels": ["phone_voice"]}
NAMES: dict[str, Any] = {
    "training_scenarios": ["Greeting", "Refund policy"],
    "actions": ["Look up order"],
    "voice": "Bruno",
}


@pytest.fixture
def ids(simulator: Simulator) -> dict[str, Any]:
    """What an organization has, and the ids of it by the fields of an agent."""
    refund, greeting = (simulator.create_training(title, "x")["id"] for title in ("Refund policy", "Greeting"))
    order, _ = simulator.set_actions([{"name": "Look up order", "enabled_on_channel": CALLS}, {"name": "Other"}])
    return {"instructions": [greeting, refund], "actionIds": [order["id"]], "voice_id": "voice_bruno"}


def shown(agent: dict[str, Any], ids: dict[str, Any]) -> dict[str, Any]:
    return {field: agent[field] for field in ids}


OPERATORS = {
    "create": lambda **how: OpenCXCreatePhoneAgentOperator(task_id="a", name="A", **how),
    "upsert": lambda **how: OpenCXUpsertPhoneAgentOperator(task_id="a", name="A", **how),
    "update": lambda **how: OpenCXUpdatePhoneAgentOperator(task_id="a", agent_name="A", **how),
    "sync": lambda **how: OpenCXSyncPhoneAgentsOperator(task_id="a", agents=[{"name": "A", **how}]),
}


@pytest.fixture(params=OPERATORS)
def operator(request: pytest.FixtureRequest, simulator: Simulator) -> Iterator[Any]:
    if request.param == "update":
        simulator.add_agent("A", type="outbound")
    return OPERATORS[request.param]


def run(operator: Any) -> dict[str, Any]:
    result = operator.execute({})
    return result[0] if isinstance(result, list) else result


def test_names_become_ids_in_every_operator(operator: Any, simulator: Simulator, ids: dict[str, Any]) -> None:
    assert shown(run(operator(**NAMES)), ids) == ids
    writes = len(simulator.writes)
    run(operator(**NAMES))
    assert len(simulator.writes) == writes
    assert [simulator.count(name) for name in ("listActions", "listPhoneVoices", "listTrainings")] == [2, 2, 4]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"training_scenarios": ["Refund polcy"]},
            r"No training scenario is named 'Refund polcy'\. There are 'Refund policy', 'Greeting'",
        ),
        ({"actions": ["Look"]}, r"No action is named 'Look'\. There are 'Look up order', 'Other'"),
        ({"voice": "Xenia"}, r"No voice is named 'Xenia'"),
        ({"training_scenarios": ["Twice"]}, "2 training scenarios are named 'Twice': .* Write instructions, and which"),
    ],
)
def test_missing_or_ambiguous_name_is_refused_before_the_first_write(
    fields: dict[str, Any], message: str, operator: Any, simulator: Simulator, ids: dict[str, Any]
) -> None:
    for _ in range(2):
        simulator.create_training("Twice", "x")
    with pytest.raises(OpenCXPlanRefusedError, match=message):
        run(operator(**fields))
    assert simulator.writes == []


@pytest.mark.parametrize(
    ("fields", "field", "value"),
    [
        ({"training_scenarios": []}, "instructions", []),
        ({"training_scenarios": None}, "instructions", None),
        ({"actions": []}, "actionIds", []),
        ({"actions": None}, "actionIds", None),
    ],
)
def test_empty_and_null_arrive_without_a_list(
    fields: dict[str, Any], field: str, value: Any, operator: Any, simulator: Simulator
) -> None:
    assert run(operator(first_message="Hi", **fields))[field] == value
    assert [simulator.count(name) for name in ("listActions", "listTrainings")] == [0, 0]


def test_scenario_that_was_just_made_is_waited_for(simulator: Simulator, ids: dict[str, Any]) -> None:
    simulator.fail("listTrainings", Respond(200, '{"items": [{"id": "1", "title": "Other"}]}'), times=2)
    assert run(OPERATORS["upsert"](**NAMES))["instructions"] == ids["instructions"]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Respond(403, {"statusCode": 403, "message": "No scope", "error": "Forbidden"}), OpenCXPermissionError),
        (Respond(404, {"statusCode": 404, "message": "Route GET:/training not found"}), OpenCXNotFoundError),
        (AlterItems(5), OpenCXResponseError),
    ],
)
def test_list_that_cannot_be_read_says_what_needs_it(
    fault: Any, error: type[Exception], simulator: Simulator, ids: dict[str, Any]
) -> None:
    simulator.fail("listTrainings", fault, times=None)
    with pytest.raises(error, match="training") as raised:
        run(OPERATORS["upsert"](**NAMES))
    if error is not OpenCXResponseError:
        assert "instructions, with ids, needs no list" in str(raised.value)
    assert simulator.writes == []


def test_plan_shows_names_and_ids_and_warns_of_what_calls_cannot_use(simulator: Simulator) -> None:
    draft = simulator.create_training("Draft", "x", is_draft=True)["id"]
    simulator.create_training("Mail", "x", restricted_to_channels=["email"])
    simulator.set_actions([{"name": "New"}])
    names = {"training_scenarios": ["Draft", "Mail"], "actions": ["New"]}
    plan = OpenCXPlanPhoneAgentsOperator(task_id="plan", agents=[{"name": "A", **names}]).execute({})
    assert [warning.split(" (")[0] + warning.partition(")")[2] for warning in plan["warnings"]] == [
        "The training scenario 'Draft' is a draft, which no agent uses; change that in the OpenCX dashboard.",
        "The training scenario 'Mail' is restricted to email, and not for calls; change that in the OpenCX dashboard.",
        "The action 'New' is not enabled on the channel of calls, phone_voice; change that in the OpenCX dashboard.",
    ]
    assert "ATTENTION: what agents name may not work on the phone" in plan["markdown"]
    assert f"`Draft ({draft})`" in plan["markdown"]
    OpenCXSyncPhoneAgentsOperator(task_id="sync", agents=[{"name": "A", **names}], approved_plan=plan).execute({})


@pytest.mark.parametrize("operator", ["create", "upsert", "update"], indirect=True)
def test_operator_of_one_agent_logs_what_calls_cannot_use(
    operator: Any, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    simulator.create_training("Draft", "x", is_draft=True)
    run(operator(training_scenarios=["Draft"]))
    levels = [record.levelname for record in caplog.records if "is a draft, which no agent uses" in record.message]
    assert levels == ["WARNING"]


def test_null_voice_is_left_to_the_service(operator: Any, simulator: Simulator) -> None:
    run(operator(voice=None, first_message="Hi"))
    assert simulator.writes[-1].body.get("voice_id", "") is None  # type: ignore[union-attr]
    assert simulator.count("listPhoneVoices") == 0


def test_approval_is_of_the_ids_and_not_of_the_names(simulator: Simulator, ids: dict[str, Any]) -> None:
    agents = [{"name": "A", **NAMES}]
    plan = OpenCXPlanPhoneAgentsOperator(task_id="plan", agents=agents).execute({})
    simulator.remove_training(ids["instructions"][0])
    simulator.create_training("Greeting", "Another one.")
    with pytest.raises(OpenCXPlanRefusedError, match="changed since the plan was approved"):
        OpenCXSyncPhoneAgentsOperator(task_id="sync", agents=agents, approved_plan=plan).execute({})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"voice": "Bruno", "voice_id": "voice_bruno"}, "voice and voice_id say the same"),
        ({"actions": ["a"], "actionIds": ["b"]}, "actions and action_ids say the same"),
        ({"training_scenarios": ["a"], "instructions": ["b"]}, "training_scenarios and instructions say the same"),
        ({"training_scenarios": "['a', 'b']"}, "training_scenarios: must be a list, and is text that was one"),
        ({"actions": [" "]}, "actions: must not be empty"),
    ],
)
def test_wrong_names_are_an_error_while_the_dag_is_parsed(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(OpenCXArgumentError, match=message):
        OPERATORS["sync"](**fields)
