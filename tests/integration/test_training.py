"""Tests the operators for training scenarios, against the simulator."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_opencx.exceptions import (
    OpenCXArgumentError,
    OpenCXDraftError,
    OpenCXDriftError,
    OpenCXFleetError,
    OpenCXFleetFileError,
    OpenCXFleetPermanentError,
    OpenCXGuardError,
    OpenCXNotFoundError,
    OpenCXPlanChangedError,
    OpenCXPlanRefusedError,
)
from airflow_provider_opencx.hooks.opencx import OpenCXHook
from airflow_provider_opencx.operators.training import (
    OpenCXPlanTrainingScenariosOperator,
    OpenCXSyncTrainingScenariosOperator,
)
from airflow_provider_opencx.simulator import (
    CloseBeforeHandling,
    EmptyList,
    IgnoreFields,
    IncompleteList,
    LoseResponse,
    Respond,
    Simulator,
    StaleList,
)

REFUND = {"key": "refund", "title": "Refund policy", "content": "Refund within 30 days."}
DELAY = {"key": "delay", "title": "Delayed order", "content": "Say sorry.", "channels": ["phone_voice"]}
WRITES = ("createTraining", "updateTraining", "toggleTrainingDraft")


def sync(scenarios: object = (REFUND, DELAY), **how: Any) -> Any:
    operator = OpenCXSyncTrainingScenariosOperator(task_id="sync", scenarios=scenarios, **how)
    return operator.execute({})


def plan(scenarios: object = (REFUND, DELAY), **how: Any) -> Any:
    return OpenCXPlanTrainingScenariosOperator(task_id="plan", scenarios=scenarios, **how).execute({})


def writes(simulator: Simulator) -> int:
    return sum(map(simulator.count, WRITES))


def test_scenarios_are_created_once_and_kept_as_declared(simulator: Simulator) -> None:
    created = sync()
    assert [scenario["title"] for scenario in created] == ["Refund policy", "Delayed order"]
    assert created[1]["restricted_to_channels"] == ["phone_voice"]
    assert created[0]["metadata"] == {"airflow_key": "refund", "airflow_collection": "default"}
    assert sync() == created
    assert writes(simulator) == 2
    [renamed, _] = sync([{**REFUND, "title": "Refunds"}, DELAY])
    assert (renamed["id"], renamed["title"]) == (created[0]["id"], "Refunds")
    assert (writes(simulator), len(simulator.training())) == (3, 2)


def test_update_keeps_what_is_not_declared(simulator: Simulator) -> None:
    [created] = sync([REFUND])
    others = {"directory_id": "dir", "restricted_to_segments": ["vip"], "start_time": "2026-01-01T00:00:00Z"}
    simulator.update_training(created["id"], metadata={**created["metadata"], "crm": 7}, **others)
    [updated] = sync([{**REFUND, "content": "Refund within 14 days.", "metadata": {"team": "a"}}])
    assert {name: updated[name] for name in others} == others
    assert updated["metadata"] == {**created["metadata"], "crm": 7, "team": "a"}
    assert updated["content"] == "Refund within 14 days."


@pytest.mark.parametrize("edit", [{"content": "By a person."}, {"title": "By a person"}])
def test_edit_that_is_not_published_is_overwritten_only_if_asked(simulator: Simulator, edit: dict[str, str]) -> None:
    [created] = sync([REFUND])
    simulator.edit_training(created["id"], **edit)
    assert sync([REFUND])[0]["id"] == created["id"]  # is as declared, so nothing is sent
    changed = [{**REFUND, "content": "Refund within 14 days."}]
    with pytest.raises(OpenCXPlanRefusedError, match="has an edit in the dashboard that is not published"):
        sync(changed)
    assert (writes(simulator), simulator.training()[0]["draft_content"] is None) == (
        1,
        "draft_content" not in edit and False,
    )
    assert sync(changed, on_draft="overwrite")[0]["content"] == "Refund within 14 days."


def test_edit_between_plan_and_write_is_not_overwritten(simulator: Simulator) -> None:
    [created] = sync([REFUND])
    hook = OpenCXHook()
    spec = OpenCXSyncTrainingScenariosOperator(task_id="x", scenarios=[{**REFUND, "content": "New."}])
    planned = spec._plan(is_retry=False)
    simulator.edit_training(created["id"], content="By a person.")
    with pytest.raises(OpenCXFleetPermanentError, match="an update would overwrite it") as error:
        hook.apply_training_plan(planned)
    assert "refund" in error.value.failures
    assert simulator.training()[0]["draft_content"] == "By a person."


def test_removed_scenario_stays_or_becomes_a_draft(simulator: Simulator) -> None:
    sync()
    assert "1 of the collection not declared" in plan([REFUND])["summary"]
    assert [each["is_draft"] for each in simulator.training()] == [False, False]
    planned = plan([REFUND], on_removed="draft")
    assert [(step["key"], step["action"], step["removed"]) for step in planned["training_scenarios"]] == [
        ("refund", "unchanged", False),
        ("delay", "update", True),
    ]
    assert [each["title"] for each in sync([REFUND], on_removed="draft")] == ["Refund policy"]
    assert [each["is_draft"] for each in simulator.training()] == [False, True]
    before = writes(simulator)
    sync([REFUND], on_removed="draft")
    assert writes(simulator) == before
    assert [each["is_draft"] for each in sync()] == [False, False]  # it is declared again


def test_what_others_made_is_never_touched(simulator: Simulator) -> None:
    own = simulator.create_training("Their own", "x")
    sync([REFUND], collection="a")
    sync([{**DELAY, "key": "refund"}], collection="b", on_removed="draft")
    assert [each["title"] for each in simulator.training()] == ["Their own", "Refund policy", "Delayed order"]
    assert simulator.training()[0] == own
    with pytest.raises(OpenCXPlanRefusedError, match="It belongs to the collection 'a'"):
        sync([REFUND], collection="c")


def test_scenario_of_the_title_is_adopted_only_if_asked(simulator: Simulator) -> None:
    own = simulator.create_training(REFUND["title"], "By hand.", metadata={"crm": 1})
    with pytest.raises(OpenCXPlanRefusedError, match="take it over with adopt='by_title'"):
        sync([REFUND])
    [adopted] = sync([REFUND], adopt="by_title")
    assert (adopted["id"], adopted["content"]) == (own["id"], REFUND["content"])
    assert adopted["metadata"] == {"crm": 1, "airflow_key": "refund", "airflow_collection": "default"}
    assert sync([REFUND])[0]["id"] == own["id"]
    simulator.create_training(DELAY["title"], "a")
    simulator.create_training(DELAY["title"], "b")
    with pytest.raises(OpenCXPlanRefusedError, match="2 training scenarios are titled 'Delayed order'"):
        sync([DELAY], adopt="by_title")
    sync([DELAY], adopt="never")
    assert len(simulator.training()) == 4


def test_renamed_file_is_no_second_scenario(simulator: Simulator) -> None:
    sync([REFUND])
    with pytest.raises(OpenCXPlanRefusedError, match="declare it with key: refund"):
        sync([{**REFUND, "key": "refunds"}])
    assert len(simulator.training()) == 1


@pytest.mark.parametrize("operation", ["createTraining", "updateTraining"])
@pytest.mark.parametrize("fault", [LoseResponse(), Respond(500), Respond(200, ""), Respond(200, "<html>")])
def test_write_of_unknown_outcome_is_never_sent_twice(simulator: Simulator, operation: str, fault: Any) -> None:
    if operation == "updateTraining":
        sync([{**REFUND, "content": "Old."}])
    simulator.fail(operation, fault)
    with suppress(OpenCXFleetError):
        sync([REFUND])
    assert simulator.count(operation) == 1
    if not isinstance(fault, LoseResponse):
        return
    assert [each["content"] for each in simulator.training()] == [REFUND["content"]]


@pytest.mark.parametrize(
    "fault", [EmptyList(), IncompleteList(), StaleList(3600), StaleList(3600, of="creates"), Respond(200, "[]")]
)
def test_one_list_that_lies_makes_no_second_scenario(simulator: Simulator, fault: Any) -> None:
    sync()
    simulator.fail("listTrainings", fault, times=2)
    assert len(sync()) == 2
    assert len(simulator.training()) == 2


def test_service_that_does_not_filter_is_read_whole(simulator: Simulator) -> None:
    sync()
    simulator.fail("listTrainings", Respond(200, '{"items": [], "total": 0, "limit": 100, "offset": 0}'), times=2)
    before = writes(simulator)
    assert len(sync()) == 2
    assert writes(simulator) == before


def test_service_without_metadata_gets_one_scenario_and_no_more(simulator: Simulator) -> None:
    simulator.fail("createTraining", IgnoreFields("metadata"), times=None)
    with pytest.raises(OpenCXFleetPermanentError, match="does not show the key"):
        sync()
    assert simulator.count("createTraining") == 1


def test_service_of_an_earlier_form_is_refused_before_the_first_write(simulator: Simulator) -> None:
    simulator.create_training("Of the dashboard", "x")
    simulator.generation = "2025"
    with pytest.raises(OpenCXPlanRefusedError, match="lists training scenarios in the form of 2025"):
        sync()
    simulator.generation = "2024"
    with pytest.raises(OpenCXNotFoundError, match="GET /training"):
        sync()
    assert writes(simulator) == 0


def test_refused_create_is_not_repeated_and_does_not_hold_up_others(simulator: Simulator) -> None:
    simulator.fail("createTraining", CloseBeforeHandling())
    with pytest.raises(OpenCXFleetError, match="1 of 2 training scenarios are not as declared; the others are"):
        sync()
    assert [each["title"] for each in simulator.training()] == ["Delayed order"]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"max_creates": 1}, "would create 2 training scenarios in .* and max_creates allows 1"),
        ({"expected_org_id": "org_9"}, "organization 'org_9' is expected, and this is organization 'org_000001'"),
    ],
)
def test_guards_hold_before_the_first_write(simulator: Simulator, how: dict[str, Any], message: str) -> None:
    simulator.add_agent("anybody")
    with pytest.raises(OpenCXGuardError, match=message):
        sync(**how)
    assert writes(simulator) == 0
    assert len(sync(max_creates=2, expected_org_id="org_000001")) == 2


def test_approved_plan_is_applied_and_no_other(simulator: Simulator) -> None:
    approved = plan()
    assert approved["training_scenarios"][0]["action"] == "create"
    simulator.create_training("Something else", "x")
    assert len(sync(approved_plan=approved)) == 2
    assert len(sync(approved_plan=approved)) == 2  # is done
    with pytest.raises(OpenCXPlanChangedError, match="changed since the plan was approved: 'refund'"):
        sync([{**REFUND, "content": "Other."}, DELAY], approved_plan=approved)
    with pytest.raises(OpenCXArgumentError, match="must be what OpenCXPlanTrainingScenariosOperator returned"):
        sync(approved_plan={"agents": []})


def test_drift_alarm_names_what_differs(simulator: Simulator) -> None:
    created = sync()
    assert plan(fail_on_changes=True)["changes"] == 0
    simulator.update_training(created[0]["id"], content="By a person.")
    with pytest.raises(OpenCXDriftError, match=r"1 of 2 training scenarios are not as declared: 'refund' \(content\)"):
        plan(fail_on_changes=True)


def test_draft_is_published_when_it_is_declared_so(simulator: Simulator) -> None:
    [draft] = sync([{**REFUND, "draft": True}])
    assert (draft["is_draft"], draft["current_version"]) == (True, None)
    [changed] = sync([{**REFUND, "draft": True, "content": "Later."}])
    assert (changed["is_draft"], changed["content"]) == (True, "Later.")
    [published] = sync([REFUND])
    assert (published["is_draft"], published["content"], published["id"]) == (False, REFUND["content"], draft["id"])


def test_files_beside_the_dag_are_read_when_the_task_runs(simulator: Simulator, tmp_path: Path) -> None:
    with pytest.raises(OpenCXFleetFileError, match=r"is not the path of a \.md file, nor of a folder"):
        sync(str(tmp_path / "later"))
    (tmp_path / "later").mkdir()
    (tmp_path / "later/refund.md").write_text("---\ntitle: Refund of ${SHOP}\n---\nAsk {{ them }}.\n")
    [created] = sync(tmp_path / "later", variables={"SHOP": "Acme"})
    assert (created["title"], created["content"]) == ("Refund of Acme", "Ask {{ them }}.")
    assert created["metadata"]["airflow_key"] == "refund"


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"scenarios": [{"key": "a", "title": "A"}]}, r"scenarios: number 1 \('A'\): content: is required"),
        ({"scenarios": "fleet.yaml"}, "'fleet.yaml' is not the path of a .md file"),
        ({"scenarios": [REFUND], "adopt": "title"}, "adopt: must be None or 'by_title' or 'never'"),
        ({"scenarios": [REFUND], "on_draft": "skip"}, "on_draft: must be 'fail' or 'overwrite'"),
        ({"scenarios": [REFUND], "on_removed": "delete"}, "on_removed: must be 'keep' or 'draft'"),
        ({"scenarios": [REFUND], "collection": "a b"}, "collection: must be up to 200 letters"),
        ({"scenarios": [REFUND], "variables": {"A": "b"}}, "variables: fill"),
        ({"scenarios": [REFUND], "max_creates": -1}, "max_creates"),
        ({"scenarios": [REFUND], "on_mismatch": "ignore"}, "on_mismatch: must be"),
        ({"scenarios": [{**REFUND, "content": "{{ x"}]}, "content: the template cannot be parsed"),
    ],
)
def test_wrong_argument_is_an_error_while_the_dag_is_parsed(how: dict[str, Any], message: str) -> None:
    with pytest.raises(OpenCXArgumentError, match=message):
        OpenCXSyncTrainingScenariosOperator(task_id="sync", **how)


def test_secret_of_the_connection_is_no_knowledge(simulator: Simulator) -> None:
    key = OpenCXHook().get_conn().settings.api_key.reveal()
    with pytest.raises(OpenCXArgumentError, match=r"content of training scenario 'Refund policy'.*holds a secret"):
        sync([{**REFUND, "content": f"The key is {key}."}])
    assert simulator.requests == []


def test_draft_error_is_a_refusal() -> None:
    assert issubclass(OpenCXDraftError, OpenCXPlanRefusedError)
