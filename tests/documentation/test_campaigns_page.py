"""Tests that the examples of the page about campaigns do what the page says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_opencx.simulator import Simulator

ADA, GRACE, EDSGER = PEOPLE = [f"+1415555010{digit}" for digit in (1, 2, 3)]
AT_ANY_TIME = "00:00-24:00"
A_YEAR = 366 * 24 * 3600.0


@pytest.fixture
def load(examples: Path, read_dag: Callable[[Path], Any]) -> Callable[[str], Any]:
    """Parses the file of a Dag as Airflow does, and returns the Dag, with hours that hold whenever the test runs."""

    def load(dag_id: str) -> Any:
        dag = read_dag(examples / "dags" / f"{dag_id}.py")
        for task in dag.tasks:
            if hasattr(task, "calling_hours"):
                task.calling_hours = AT_ANY_TIME
            if task.task_id == "ended":
                task.poke_interval = 0.05
        return dag

    return load


@pytest.fixture
def organization(opencx_default: Simulator, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    """An organization that has an agent with a number, and the people of the file as contacts."""
    opencx_default.add_agent("Appointment reminder", type="outbound")
    for number in PEOPLE:
        opencx_default.add_contact(number)
    opencx_default.step_takes = 0.05
    opencx_default.forget_requests()
    monkeypatch.setenv("AIRFLOW_VAR_DO_NOT_CALL", GRACE)
    return opencx_default


def called(simulator: Simulator) -> list[str]:
    return sorted(str(dialed.phone_number) for dialed in simulator.dialed())


def states(run: Any) -> dict[str, str]:
    return {instance.task_id: str(instance.state) for instance in run.get_task_instances()}


def test_docs_sequence_calls_the_people_of_a_file_once_but_those_of_the_list(
    load: Callable[[str], Any], run_dag: Callable[..., Any], organization: Simulator
) -> None:
    assert str(run_dag(load("sequence_of_calls")).state) == "success"
    assert called(organization) == [ADA, EDSGER]
    [sequence] = organization.sequences()
    assert (sequence["status"], sequence["is_continuous"]) == ("complete", False)
    assert organization.started() == [sequence["id"]]


def test_docs_sequence_by_filter_calls_twice_whom_the_service_selects(
    load: Callable[[str], Any], run_dag: Callable[..., Any], organization: Simulator
) -> None:
    run = run_dag(load("sequence_by_filter"), since="2999-01-01T00:00:00Z")
    assert str(run.state) == "success"
    organization.advance(A_YEAR)
    assert called(organization) == []
    assert str(run_dag(load("sequence_by_filter")).state) == "success"
    organization.advance(A_YEAR)
    assert called(organization) == sorted([*PEOPLE, *PEOPLE])  # one for each step


def test_docs_teardown_cancels_a_sequence_that_goes_on_and_leaves_one_that_has_ended(
    load: Callable[[str], Any], run_dag: Callable[..., Any], organization: Simulator
) -> None:
    run = run_dag(load("sequence_with_teardown"))
    assert (str(run.state), states(run)["cancel"]) == ("success", "success")
    organization.step_takes = "60m"
    dag = load("sequence_with_teardown")
    dag.get_task("ended").timeout = 0.2
    dag.get_task("ended").retries = 0
    run = run_dag(dag)
    assert (states(run)["ended"], states(run)["cancel"]) == ("failed", "success")
    assert [sequence["status"] for sequence in organization.sequences()] == ["complete", "canceled"]


def test_docs_sequence_is_canceled_by_hand(
    load: Callable[[str], Any], run_dag: Callable[..., Any], organization: Simulator
) -> None:
    condition = {"type": "contacts_phone_number_in", "phone_number_in": [ADA]}
    step = {"action": {"type": "make_phone_calls", "data": {"aiPhoneAgentId": "pa_000001"}}, "delay_in_minutes": 60}
    sequence = organization.create_sequence(filter={"or": [{"and": [condition]}]}, steps=[step], is_continuous=False)
    organization.start_sequence(str(sequence["id"]))
    assert str(run_dag(load("sequence_cancel"), sequence_id=sequence["id"]).state) == "success"
    organization.advance(A_YEAR)
    assert called(organization) == []


def test_docs_people_are_added_once_but_those_of_the_list(
    load: Callable[[str], Any], run_dag: Callable[..., Any], organization: Simulator
) -> None:
    step = {"action": {"type": "make_phone_calls", "data": {"aiPhoneAgentId": "pa_000001"}}}
    organization.continuous_begin = False
    everybody = {"or": [{"and": [{"type": "all_contacts"}]}]}
    sequence = organization.create_sequence(filter=everybody, steps=[step], is_continuous=True)
    assert str(run_dag(load("sequence_add_people"), sequence_id=sequence["id"]).state) == "success"
    organization.advance(A_YEAR)
    assert called(organization) == [ADA, EDSGER]
