"""Tests that the examples of the pages about calls do what the pages say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_opencx.simulator import Simulator

ADA, GRACE, EDSGER = (f"+1415555010{digit}" for digit in (1, 2, 3))
IN_NEW_YORK = "+12125550101"
AT_ANY_TIME = "00:00-24:00"


@pytest.fixture
def load(examples: Path, read_dag: Callable[[Path], Any]) -> Callable[[str], Any]:
    """Parses the file of a Dag as Airflow does, and returns the Dag, with hours that hold whenever the test runs."""

    def load(dag_id: str) -> Any:
        dag = read_dag(examples / "dags" / f"{dag_id}.py")
        for task in dag.tasks:
            if task.task_type == "OpenCXConversationSensor":
                continue
            if task.is_mapped:
                task.partial_kwargs["calling_hours"] = AT_ANY_TIME
            else:
                task.calling_hours = AT_ANY_TIME
        return dag

    return load


def called(simulator: Simulator) -> list[str | None]:
    return [dialed.phone_number for dialed in simulator.dialed()]


def test_docs_dag_calls_one_person(
    load: Callable[[str], Any], run_dag: Callable[..., Any], opencx_default: Simulator
) -> None:
    dag = load("call_one_person")
    assert opencx_default.requests == []
    assert str(run_dag(dag).state) == "success"
    assert called(opencx_default) == ["+14155550100"]
    assert str(run_dag(dag, phone_number=ADA).state) == "success"
    assert called(opencx_default) == ["+14155550100", ADA]


def test_docs_dag_calls_the_people_of_a_file_but_those_of_the_list(
    load: Callable[[str], Any], run_dag: Callable[..., Any], opencx_default: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    opencx_default.add_agent("Appointment reminder", type="outbound")
    monkeypatch.setenv("AIRFLOW_VAR_DO_NOT_CALL", f"{GRACE}\n+4930555010")
    run = run_dag(load("call_a_list"))
    assert str(run.state) == "success"
    assert called(opencx_default) == [ADA, EDSGER]
    assert returned(run, "not_called") == [[f"{GRACE}: is on the do-not-call list"]]


def test_docs_dag_calls_each_person_in_a_task(
    load: Callable[[str], Any], run_dag: Callable[..., Any], opencx_default: Simulator
) -> None:
    opencx_default.add_agent("Appointment reminder", type="outbound")
    run = run_dag(load("call_each_person"))
    states = {ti.rendered_map_index: str(ti.state) for ti in run.get_task_instances() if ti.task_id == "call"}
    assert states == {ADA: "success", GRACE: "skipped", EDSGER: "success"}
    assert sorted(map(str, called(opencx_default))) == [ADA, EDSGER]


def test_docs_dag_waits_for_the_hours_before_it_calls(
    load: Callable[[str], Any], run_dag: Callable[..., Any], opencx_default: Simulator
) -> None:
    opencx_default.add_agent("Appointment reminder", type="outbound")
    assert str(run_dag(load("call_within_hours")).state) == "success"
    assert called(opencx_default) == [IN_NEW_YORK, GRACE]


def test_docs_dag_calls_and_waits_for_the_conversation(
    load: Callable[[str], Any], run_dag: Callable[..., Any], opencx_default: Simulator
) -> None:
    opencx_default.add_agent("Appointment reminder", type="outbound")
    opencx_default.leave_conversations(after=0, closed_after=0)
    dag = load("call_and_wait")
    assert opencx_default.requests == []
    run = run_dag(dag, phone_number=ADA)
    assert str(run.state) == "success"
    [conversation] = opencx_default.conversations()
    assert returned(run, "conversation") == [conversation]
    assert returned(run, "report") == [f"{conversation['id']}: closed_resolved, happy"]


def test_docs_dag_calls_a_list_and_waits_for_each_conversation(
    load: Callable[[str], Any], run_dag: Callable[..., Any], opencx_default: Simulator
) -> None:
    opencx_default.add_agent("Appointment reminder", type="outbound")
    opencx_default.leave_conversations(after=0)
    run = run_dag(load("call_a_list_and_wait"))
    assert str(run.state) == "success"
    assert [each["contact"]["phone_number"] for each in returned(run, "conversation")] == [ADA, EDSGER]


def test_docs_dag_calls_nobody_a_second_time_in_another_run(
    load: Callable[[str], Any],
    run_dag: Callable[..., Any],
    opencx_default: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    opencx_default.add_agent("Appointment reminder", type="outbound")
    monkeypatch.setenv("AIRFLOW_VAR_SPRING_OFFER_CALLS", str(tmp_path / "calls"))
    first, second = (run_dag(load("call_once_ever")) for _ in range(2))
    assert called(opencx_default) == [ADA, GRACE]
    assert returned(first, "call") == returned(second, "call")
    for kind in ("intent", "outcome"):
        assert len([*(tmp_path / "calls").rglob(f"*.{kind}.json")]) == 2
    assert not any(GRACE in file.read_text() for file in (tmp_path / "calls").rglob("*.json"))


def returned(run: Any, task_id: str) -> list[Any]:
    """What a task returned, as it lies in the database; of a mapped one, in the order of its indexes."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        query = select(XComModel.value).where(XComModel.run_id == run.run_id, XComModel.task_id == task_id)
        query = query.where(XComModel.key == "return_value").order_by(XComModel.map_index)
        return [*session.scalars(query)]
