"""Tests the ledger of calls: what a record decides, and that records are kept, found, or known to be unknown."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fsspec
import pytest
from fsspec import AbstractFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_opencx.call_ledgers import TaskStateLedger, ledger_of
from airflow_provider_opencx.campaigns.ledger import Decision, Entry, Ledger, NoLedger, ObjectLedger, decide, digests
from airflow_provider_opencx.exceptions import OpenCXArgumentError, OpenCXLedgerError
from airflow_provider_opencx.resources.calls import Callee

[ADA], [BOB] = digests(Callee("+14155550101")), digests(Callee("+14155550102"))
INTENT = Entry(ADA, "2026-11-29T10:00:00.000+00:00", "try 1")
DONE = Entry(ADA, "2026-11-29T10:00:00.000+00:00", "try 1", {"agent_id": "pa_1", "response": {"success": True}})
ODD = Entry.from_json({"something": "else"})


@pytest.mark.parametrize(
    ("entry", "to", "decisions"),
    [
        (None, ADA, ("send", "send", "send")),
        (DONE, ADA, ("known", "known", "known")),
        (INTENT, ADA, ("unknown", "skip", "send")),
        (ODD, ADA, ("unknown", "skip", "send")),
        (DONE, BOB, ("changed", "changed", "changed")),
        (INTENT, BOB, ("changed", "changed", "changed")),
    ],
)
def test_decision(entry: Entry | None, to: str, decisions: tuple[Decision, Decision, Decision]) -> None:
    assert tuple(decide(entry, to, on_unknown) for on_unknown in ("fail", "skip", "repeat")) == decisions


def test_digest_tells_people_apart_and_shows_no_number() -> None:
    people = [Callee("+14155550101"), Callee("+14155550102"), Callee(None, "c1"), Callee(None, "+14155550101")]
    assert len({name for each in people for name in digests(each)}) == 4
    assert "4155550101" not in ADA
    assert digests(Callee("+1 (415) 555-0101", "c1")) == [ADA, *digests(Callee(None, "c1"))]


@pytest.mark.parametrize("entry", [INTENT, DONE])
def test_a_record_survives_json(entry: Entry) -> None:
    assert Entry.from_json(json.loads(json.dumps(entry.as_json()))) == entry


def test_a_record_holds_a_response_of_many_levels() -> None:
    response: list[Any] = []
    for _ in range(2 * sys.getrecursionlimit()):
        response = [response]
    outcome: Any = Entry(ADA, "now", "try 1", {"response": response}).as_json()["outcome"]
    assert outcome["response"] is response


@pytest.mark.parametrize("value", [None, 5, [], {}, {**DONE.as_json(), "outcome": "yes"}, {**DONE.as_json(), "to": 1}])
def test_what_cannot_be_read_counts_as_a_call_of_unknown_outcome(value: object) -> None:
    assert decide(Entry.from_json(value), ADA, "fail") == "unknown"


class StateStore:
    """Stands in for Airflow's task state store; ``broken`` names the operations that fail."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.retentions: list[Any] = []
        self.broken: set[str] = set()

    def _check(self, operation: str) -> None:
        if operation in self.broken:
            raise ConnectionError("the API server is away; its token is s3cret")

    def get(self, key: str, default: Any = None) -> Any:
        self._check("get")
        return self.values.get(key, default)

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        self._check("set")
        self.retentions.append(retention)
        if "lose" not in self.broken:
            self.values[key] = json.loads(json.dumps(value))

    def delete(self, key: str) -> None:
        self._check("delete")
        self.values.pop(key, None)


def local(tmp_path: Path) -> Ledger:
    return ObjectLedger(lambda: (fsspec.filesystem("file"), str(tmp_path / "calls")), "the folder")


def in_memory(tmp_path: Path) -> Ledger:
    return ObjectLedger(lambda: (fsspec.filesystem("memory"), str(tmp_path)), "the memory")


def in_task_state(tmp_path: Path) -> Ledger:
    pytest.importorskip("airflow.sdk.execution_time.context", reason="Airflow 3.3 or later").NEVER_EXPIRE  # noqa: B018
    return TaskStateLedger(StateStore())  # type: ignore[arg-type]


KEPT = [local, in_memory, *([in_task_state] if "NEVER_EXPIRE" in __import__("airflow.sdk").sdk.__all__ else [])]
NEEDS_TASK_STATE = pytest.mark.skipif(in_task_state not in KEPT, reason="Airflow 3.3 has the first task state store")


@pytest.mark.parametrize("make", KEPT)
def test_records_are_kept(make: Callable[[Path], Ledger], tmp_path: Path) -> None:
    ledger = make(tmp_path)
    assert ledger.read("a") is None
    assert ledger.begin("a", INTENT, after=None) is None
    assert ledger.read("a") == INTENT
    ledger.finish("a", DONE)
    assert ledger.read("a") == DONE
    assert ledger.read("b") is None
    ledger.begin("b", INTENT, after=None)
    ledger.forget("b", after=None)
    assert ledger.read("b") is None


@pytest.mark.parametrize("make", [local, in_memory])
def test_of_two_who_record_an_intent_one_gets_the_record_of_the_other(
    make: Callable[[Path], Ledger], tmp_path: Path
) -> None:
    first, second = make(tmp_path), make(tmp_path)
    assert first.begin("a", INTENT, after=None) is None
    assert second.begin("a", Entry(ADA, "later", "try 2"), after=None) == INTENT
    first.finish("a", DONE)
    assert second.begin("a", Entry(ADA, "later", "try 2"), after=None) == DONE


@pytest.mark.parametrize("make", KEPT)
def test_a_repetition_is_a_record_of_its_own(make: Callable[[Path], Ledger], tmp_path: Path) -> None:
    ledger, again = make(tmp_path), Entry(ADA, "later", "try 2")
    ledger.begin("a", INTENT, after=None)
    assert ledger.begin("a", again, after=INTENT) is None
    assert ledger.read("a") == again
    ledger.forget("a", after=INTENT)
    assert ledger.read("a") == INTENT
    ledger.begin("a", again, after=INTENT)
    ledger.finish("a", DONE)
    assert ledger.read("a") == DONE


@pytest.mark.parametrize("make", [local, in_memory])
def test_of_two_who_repeat_a_call_one_gets_the_record_of_the_other(
    make: Callable[[Path], Ledger], tmp_path: Path
) -> None:
    first, second = make(tmp_path), make(tmp_path)
    first.begin("a", INTENT, after=None)
    again = Entry(ADA, "later", "try 2")
    assert first.begin("a", again, after=INTENT) is None
    assert second.begin("a", Entry(ADA, "later", "try 3"), after=INTENT) == again
    first.finish("a", DONE)
    assert second.begin("a", Entry(ADA, "later", "try 3"), after=INTENT) == DONE


def test_a_folder_without_links_keeps_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(source: object, to: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    first, second = local(tmp_path), local(tmp_path)
    assert first.begin("a", INTENT, after=None) is None
    assert second.begin("a", Entry(ADA, "later", "try 2"), after=None) == INTENT


def test_nothing_but_records_is_left_in_a_folder(tmp_path: Path) -> None:
    ledger = local(tmp_path)
    ledger.begin("a", INTENT, after=None)
    ledger.finish("a", DONE)
    assert sorted(path.name for path in (tmp_path / "calls").iterdir()) == ["a.0.intent.json", "a.0.outcome.json"]


@pytest.mark.parametrize("left", [b"", b"{", b'{"to": 1}'])
def test_half_a_record_counts_as_an_intent(left: bytes, tmp_path: Path) -> None:
    ledger = local(tmp_path)
    ledger.read("a")
    (tmp_path / "calls" / "a.0.intent.json").write_bytes(left)
    assert decide(ledger.read("a"), ADA, "fail") == "unknown"
    assert ledger.begin("a", INTENT, after=None) is not None


def test_of_many_who_record_an_intent_at_once_one_does(tmp_path: Path) -> None:
    """fsspec looks whether there is a file, and then writes it."""
    tasks = 8
    ready = threading.Barrier(tasks)

    def records(task: int) -> int:
        ledger = local(tmp_path)
        ledger.read("a")
        begun = 0
        for slot in range(50):
            ready.wait()
            begun += ledger.begin(str(slot), Entry(ADA, "now", str(task)), after=None) is None
        return begun

    with ThreadPoolExecutor(tasks) as threads:
        assert sum(threads.map(records, range(tasks))) == 50


class LookingFirst(MemoryFileSystem):
    """A storage that has nothing of its own to create an object only where there is none."""

    pipe_file = AbstractFileSystem.pipe_file


def test_records_are_kept_in_s3(s3: str) -> None:
    for once_per in ("run", "ever"):
        first, _ = ledger_of(context(run_id="run 1"), ledger_path=s3, once_per=once_per)  # type: ignore[arg-type]
        second, _ = ledger_of(context(2, run_id="run 1"), ledger_path=s3, once_per=once_per)  # type: ignore[arg-type]
        assert (first.read(ADA), second.read(ADA)) == (None, None)
        with ThreadPoolExecutor() as threads:
            begun = [*threads.map(lambda ledger: ledger.begin(ADA, INTENT, after=None), [first, second])]
        assert sorted(begun, key=str) == [INTENT, None]
        first.finish(ADA, DONE)
        assert (first.read(ADA), second.read(ADA)) == (DONE, DONE)


def test_a_storage_that_looks_before_it_writes_is_refused(tmp_path: Path) -> None:
    storage: Any = LookingFirst(skip_instance_cache=True)
    with pytest.raises(OpenCXArgumentError, match="cannot keep a record"):
        ObjectLedger(lambda: (storage, str(tmp_path)), "sftp://host/calls").read("a")


class Overwriting(MemoryFileSystem):
    """A storage that creates an object also where there is one."""

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> Any:
        return super().pipe_file(path, value, mode="overwrite", **kwargs)


def test_a_storage_that_overwrites_is_refused_at_first_use(tmp_path: Path) -> None:
    storage = Overwriting(skip_instance_cache=True)
    with pytest.raises(OpenCXArgumentError, match="cannot keep a record"):
        ObjectLedger(lambda: (storage, str(tmp_path)), "s3://bucket").read("a")
    assert storage.find(str(tmp_path)) == []


class Broken(MemoryFileSystem):
    """A storage of which some operations fail."""

    broken: tuple[str, ...] = ()

    def __getattribute__(self, name: str) -> Any:
        if name != "broken" and name in super().__getattribute__("__dict__").get("broken", ()):
            raise PermissionError("denied; the key is s3cret")
        return super().__getattribute__(name)


@pytest.mark.parametrize(
    ("broken", "use"),
    [
        ("cat_file", lambda ledger: ledger.read("a")),
        ("pipe_file", lambda ledger: ledger.begin("a", INTENT, after=None)),
        ("pipe_file", lambda ledger: ledger.finish("other", DONE)),
        ("pipe_file", lambda ledger: ledger.forget("other", after=None)),
    ],
)
def test_a_storage_that_cannot_be_used_is_an_error(
    broken: str, use: Callable[[Ledger], object], tmp_path: Path
) -> None:
    storage = Broken(skip_instance_cache=True)
    ledger = ObjectLedger(lambda: (storage, str(tmp_path)), "the bucket")
    ledger.begin("other", INTENT, after=None)
    storage.broken = (broken,)
    with pytest.raises(OpenCXLedgerError) as caught:
        use(ledger)
    assert "s3cret" not in str(caught.value)
    assert not caught.value.is_permanent


@NEEDS_TASK_STATE
@pytest.mark.parametrize(
    ("broken", "use"),
    [
        ("get", lambda ledger: ledger.read("a")),
        ("set", lambda ledger: ledger.begin("a", INTENT, after=None)),
        ("lose", lambda ledger: ledger.begin("a", INTENT, after=None)),
        ("set", lambda ledger: ledger.finish("a", DONE)),
        ("delete", lambda ledger: ledger.forget("a", after=None)),
    ],
)
def test_a_task_state_store_that_cannot_be_used_is_an_error(broken: str, use: Callable[[Ledger], object]) -> None:
    store = StateStore()
    store.broken = {broken}
    with pytest.raises(OpenCXLedgerError) as caught:
        use(TaskStateLedger(store))  # type: ignore[arg-type]
    assert "s3cret" not in str(caught.value)


@NEEDS_TASK_STATE
def test_records_in_the_task_state_store_never_expire() -> None:
    from airflow.sdk.execution_time.context import NEVER_EXPIRE

    store = StateStore()
    ledger = TaskStateLedger(store)  # type: ignore[arg-type]
    ledger.begin("a", INTENT, after=None)
    ledger.finish("a", DONE)
    assert store.retentions
    assert all(retention is NEVER_EXPIRE for retention in store.retentions)
    assert "4155550101" not in json.dumps(store.values)


def context(try_number: int = 1, *, store: object = None, run_id: str = "run", map_index: int = -1) -> Any:
    instance = SimpleNamespace(try_number=try_number, dag_id="dag", task_id="call", run_id=run_id, map_index=map_index)
    return {"ti": instance, **({} if store is None else {"task_state_store": store})}


@pytest.mark.parametrize(
    ("has_store", "ledger_path", "clear_on_success", "kind", "second_try_may_send"),
    [
        (True, None, False, TaskStateLedger, True),
        pytest.param(True, None, True, TaskStateLedger, False, marks=NEEDS_TASK_STATE),
        (False, None, False, NoLedger, False),
        (True, "memory://calls", True, ObjectLedger, True),
        (False, "memory://calls", False, ObjectLedger, True),
    ],
)
def test_which_ledger_a_task_has(
    has_store: bool,
    ledger_path: str | None,
    clear_on_success: bool,
    kind: type,
    second_try_may_send: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW__STATE_STORE__CLEAR_ON_SUCCESS", str(clear_on_success))
    for try_number, may_send in ((1, True), (2, second_try_may_send)):
        store = StateStore() if has_store else None
        ledger, is_complete = ledger_of(context(try_number, store=store), ledger_path=ledger_path, once_per="run")
        assert (type(ledger), is_complete) == (kind, may_send)


@NEEDS_TASK_STATE
def test_where_airflow_deletes_records_after_a_success_a_retry_may_send_and_a_clear_may_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW__STATE_STORE__CLEAR_ON_SUCCESS", "True")
    store = StateStore()

    def may_send(try_number: int) -> bool:
        return ledger_of(context(try_number, store=store), ledger_path=None, once_per="run")[1]

    assert may_send(1)
    assert may_send(2)
    store.values.clear()  # the second try has succeeded
    assert not may_send(3)
    assert not may_send(4)  # that the third one has looked makes no record of what the second one sent


def test_a_storage_that_airflow_does_not_know_is_not_tried_again() -> None:
    ledger, _ = ledger_of(context(), ledger_path="nothing://bucket", once_per="run")
    with pytest.raises(OpenCXArgumentError, match="ledger_path 'nothing://bucket': Airflow knows no such storage"):
        ledger.read(ADA)


@NEEDS_TASK_STATE
@pytest.mark.parametrize("clear_number", [0, 1])
def test_after_a_clear_a_person_may_come_from_a_mapped_task_whose_records_were_deleted(
    clear_number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__STATE_STORE__CLEAR_ON_SUCCESS", "True")
    store = StateStore()
    ledger_of(context(1, store=store, map_index=2), ledger_path=None, once_per="run")
    again = {**context(2, store=store, map_index=2), "dag_run": SimpleNamespace(clear_number=clear_number)}
    assert ledger_of(again, ledger_path=None, once_per="run")[1] is (clear_number == 0)  # type: ignore[arg-type]


def test_without_a_ledger_a_task_that_comes_back_in_the_same_try_may_not_send() -> None:
    back = {**context(1), "task_reschedule_count": 1}
    assert ledger_of(back, ledger_path=None, once_per="run")[1] is False  # type: ignore[arg-type]


def test_a_record_under_a_path_counts_in_its_run_or_ever(tmp_path: Path) -> None:
    path = f"file://{tmp_path}"
    for once_per, is_found in (("run", False), ("ever", True)):
        first, _ = ledger_of(context(run_id="run 1"), ledger_path=path, once_per=once_per)  # type: ignore[arg-type]
        second, _ = ledger_of(context(run_id="run/1"), ledger_path=path, once_per=once_per)  # type: ignore[arg-type]
        again, _ = ledger_of(context(2, run_id="run 1"), ledger_path=path, once_per=once_per)  # type: ignore[arg-type]
        first.begin(ADA, INTENT, after=None)
        assert again.read(ADA) == INTENT
        assert (second.read(ADA) is not None) is is_found


@pytest.mark.parametrize("make", [local, in_memory])
def test_a_call_counts_whatever_becomes_of_the_intent_of_another_try(
    make: Callable[[Path], Ledger], tmp_path: Path
) -> None:
    first, second = make(tmp_path), make(tmp_path)
    first.begin("a", INTENT, after=None)
    second.begin("a", Entry(ADA, "later", "try 2"), after=INTENT)
    second.finish("a", DONE)
    first.forget("a", after=None)
    assert second.read("a") == DONE
    assert first.begin("a", INTENT, after=None) == DONE


@pytest.mark.parametrize(("map_index", "clear_number", "may_send"), [(-1, 1, True), (2, 0, True), (2, 1, False)])
def test_without_a_ledger_a_new_task_of_a_cleared_run_may_not_send(
    map_index: int, clear_number: int, may_send: bool
) -> None:
    """The list of a cleared run may have grown, and a person who was called moved to a new place in it."""
    new = {**context(1, map_index=map_index), "dag_run": SimpleNamespace(clear_number=clear_number)}
    assert ledger_of(new, ledger_path=None, once_per="run")[1] is may_send  # type: ignore[arg-type]
