"""Tests that mapped tasks of one list tell each other whom they have called, before anybody is called."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import airflow.sdk
import pytest

from airflow_provider_opencx import mapped_calls
from airflow_provider_opencx.call_ledgers import TaskStateLedger
from airflow_provider_opencx.campaigns.ledger import NoLedger, digests
from airflow_provider_opencx.exceptions import OpenCXContactsChangedError, OpenCXLedgerError
from airflow_provider_opencx.mapped_calls import check_other_tasks, keep_people, tell_other_tasks
from airflow_provider_opencx.resources.calls import Callee

CALLED, OTHER = Callee("+14155550100"), Callee("+14155550101")


class Tasks:
    """The mapped tasks of a run, as the one with index 1 sees them: their states, and what they have told."""

    def __init__(self, states: dict[int, str], *, clear_number: int = 1) -> None:
        self.states = states
        self.told: dict[int, Any] = {}
        self.clear_number = clear_number
        self.when_it_looks: Callable[[], None] = lambda: None

    @property
    def context(self) -> Any:
        return {"ti": self, "dag_run": SimpleNamespace(clear_number=self.clear_number)}

    dag_id, run_id, task_id, map_index = "campaign", "run", "call", 1

    def xcom_push(self, key: str, value: Any) -> None:
        self.told[self.map_index] = value

    def xcom_pull(self, task_ids: list[str], key: str) -> list[Any]:
        return list(self.told.values())

    def get_task_states(self, **which: Any) -> dict[str, dict[str, str]]:
        states = {f"call_{index}": state for index, state in {**self.states, 1: "running"}.items()}
        self.when_it_looks()
        return {"run": states}

    def other_tells(self) -> None:
        self.told[0] = {"map_index": 0, "people": digests(CALLED)}


class Store(dict[str, Any]):
    """A task state store."""

    def set(self, key: str, value: Any, retention: object) -> None:
        self[key] = value


@pytest.fixture
def store() -> Store:
    if "NEVER_EXPIRE" not in airflow.sdk.__all__:
        pytest.skip("Airflow 3.3 has the first task state store")
    return Store()


@pytest.fixture
def ledger(store: Store) -> TaskStateLedger:
    return TaskStateLedger(store)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped_calls, "_LOOK_AGAIN_AFTER", 0.0)
    monkeypatch.setattr(mapped_calls, "_TOLD_WITHIN", 0.05)


@pytest.mark.parametrize("clear_number", [0, 1])
def test_task_that_has_begun_is_waited_for(ledger: TaskStateLedger, clear_number: int) -> None:
    tasks = Tasks({0: "running"}, clear_number=clear_number)
    tasks.when_it_looks = tasks.other_tells
    check = check_other_tasks(tasks.context, ledger, [CALLED])
    with pytest.raises(OpenCXContactsChangedError, match="another mapped task of this run has called this person"):
        check(CALLED)
    check(OTHER)


def test_task_that_tells_nothing_lets_nobody_be_called(ledger: TaskStateLedger) -> None:
    with pytest.raises(OpenCXLedgerError, match=r"Nothing was sent, because call\[0\], .*, has not said yet whom"):
        check_other_tasks(Tasks({0: "running"}).context, ledger, [CALLED])


@pytest.mark.parametrize("state", ["failed", "up_for_retry"])
def test_failure_before_a_task_told_anything_matters_once_the_run_was_cleared(
    ledger: TaskStateLedger, state: str
) -> None:
    with pytest.raises(OpenCXLedgerError):
        check_other_tasks(Tasks({0: state}).context, ledger, [CALLED])
    check_other_tasks(Tasks({0: state}, clear_number=0).context, ledger, [CALLED])(CALLED)


@pytest.mark.parametrize("state", [None, "scheduled", "queued", "skipped", "removed"])
def test_task_that_has_not_begun_is_not_waited_for(ledger: TaskStateLedger, state: str) -> None:
    check_other_tasks(Tasks({0: state}).context, ledger, [CALLED])(CALLED)


def test_task_that_begins_again_tells_at_once_whom_it_has_called(ledger: TaskStateLedger, store: Store) -> None:
    store["opencx_call.people"] = digests(CALLED)
    tasks = Tasks({})
    tell_other_tasks(tasks.context, ledger)
    assert tasks.told == {1: {"map_index": 1, "people": digests(CALLED)}}


def test_task_that_begins_again_tells_at_once_of_whom_it_has_made_a_sequence(store: Store) -> None:
    """The list may have changed since: others do not make another sequence of these people."""
    ledger = TaskStateLedger(store, lists_people=True)  # type: ignore[arg-type]
    keep_people(Tasks({}).context, ledger, [CALLED])
    later = Tasks({})
    tell_other_tasks(later.context, ledger)
    assert later.told == {1: {"map_index": 1, "people": digests(CALLED)}}


def test_contact_who_is_twice_in_a_list_with_two_numbers_is_not_called(ledger: TaskStateLedger) -> None:
    tasks = Tasks({0: "success"})
    tasks.told[0] = {"map_index": 0, "people": digests(Callee(CALLED.phone_number, "c1"))}
    person = Callee(OTHER.phone_number, "c1")
    check = check_other_tasks(tasks.context, ledger, [person])
    with pytest.raises(OpenCXContactsChangedError):
        check(person)


def test_nobody_who_is_twice_in_a_list_is_called_where_there_are_no_records() -> None:
    tasks = Tasks({0: "success"}, clear_number=0)
    tasks.other_tells()
    with pytest.raises(OpenCXContactsChangedError):
        check_other_tasks(tasks.context, NoLedger(), [CALLED])(CALLED)


def test_older_try_that_was_taken_over_tells_nothing(ledger: TaskStateLedger, store: Store) -> None:
    """Airflow lets it read nothing and write nothing; but what it told would stand in place of what is so."""

    def refuse(key: str, value: Any, retention: object) -> None:
        raise RuntimeError("404: the task instance is not found")

    store.set = refuse  # type: ignore[method-assign]
    tasks = Tasks({})
    tasks.told[1] = {"map_index": 1, "people": digests(CALLED)}
    with pytest.raises(OpenCXLedgerError):
        tell_other_tasks(tasks.context, ledger)
    assert tasks.told[1]["people"] == digests(CALLED)


def test_older_try_that_is_taken_over_before_it_tells_takes_back_nothing(ledger: TaskStateLedger, store: Store) -> None:
    tasks = Tasks({})
    newer = {"map_index": 1, "people": digests(CALLED)}
    checked = ledger.check_current

    def checked_and_taken_over() -> None:
        checked()
        tasks.told[1] = newer

    ledger.check_current = checked_and_taken_over  # type: ignore[method-assign]
    tell_other_tasks(tasks.context, ledger)
    assert tasks.told[1] == newer
