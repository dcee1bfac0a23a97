"""Tests what a task records of the creates that it sends, so that its next try knows about them."""

from __future__ import annotations

import json
import time
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_opencx.exceptions import OpenCXCoordinationError
from airflow_provider_opencx.intents import Intent
from airflow_provider_opencx.task_state import TaskStateIntents, intents_of

SENT = {"a": Intent(1_000.5), "b": Intent(2_000.0, "pa_000001")}


class StateStore:
    """Airflow's task state store: values of JSON by their keys. It fails while ``fails``."""

    def __init__(self, **values: object) -> None:
        self.stored = {key: json.dumps(value) for key, value in values.items()}
        self.fails = False
        self.reads = 0

    def get(self, key: str, default: object = None) -> object:
        self._check()
        self.reads += 1
        return json.loads(self.stored[key]) if key in self.stored else default

    def set(self, key: str, value: object, *, retention: object = None) -> None:
        self._check()
        self.stored[key] = json.dumps(value)

    def delete(self, key: str) -> None:
        self._check()
        self.stored.pop(key, None)

    def _check(self) -> None:
        if self.fails:
            raise RuntimeError("API_SERVER_ERROR")


def context(store: StateStore | None, try_number: int = 1, reschedules: int = 0) -> Any:
    made: dict[str, object] = {"ti": SimpleNamespace(try_number=try_number), "task_reschedule_count": reschedules}
    return made if store is None else made | {"task_state_store": store}


@pytest.fixture
def store() -> StateStore:
    return StateStore()


@pytest.fixture
def intents(store: StateStore) -> TaskStateIntents:
    return intents_in(store)


def intents_in(store: StateStore) -> TaskStateIntents:
    """What the next try of a task finds."""
    intents, is_retry = intents_of(context(store, try_number=2))
    assert isinstance(intents, TaskStateIntents)
    assert not is_retry, "the store knows"
    return intents


@pytest.mark.parametrize(("made", "is_retry"), [({}, False), (context(None), False), (context(None, 2), True)])
def test_task_without_state_store_knows_only_its_try(made: Any, is_retry: bool) -> None:
    assert intents_of(made) == (None, is_retry)


def test_intents_are_found_by_next_try(store: StateStore, intents: TaskStateIntents) -> None:
    assert intents.read(["a", "b"]) == {}
    intents.write({"a": Intent(1.0)})
    intents.write(SENT)
    assert intents.read(["a", "b", "c"]) == intents_in(store).read(["a", "b", "c"]) == SENT
    intents.delete(["a", "c"])
    assert intents.read(["a", "b"]) == intents_in(store).read(["a", "b"]) == {"b": SENT["b"]}
    intents.delete(["b"])
    assert store.stored == {}


def test_intents_are_read_once(store: StateStore, intents: TaskStateIntents) -> None:
    for _ in range(3):
        intents.write(SENT)
        intents.read(SENT)
        intents.delete(["a"])
    assert store.reads == 1


def test_intents_that_cannot_be_recorded_stop_the_create(store: StateStore, intents: TaskStateIntents) -> None:
    intents.write({"b": SENT["b"]})
    store.fails = True
    with pytest.raises(OpenCXCoordinationError, match="'a' is about to be created, so nothing") as stopped:
        intents.write({"a": SENT["a"]})
    assert not stopped.value.is_permanent
    store.fails = False
    assert intents.read(["a", "b"]) == intents_in(store).read(["a", "b"]) == {"b": SENT["b"]}


def test_intents_that_cannot_be_deleted_go_with_the_next_write(
    store: StateStore, intents: TaskStateIntents, caplog: pytest.LogCaptureFixture
) -> None:
    intents.write(SENT)
    store.fails = True
    intents.delete(["a"])
    assert "did not delete" in caplog.text
    assert intents.read(SENT) == {"b": SENT["b"]}
    store.fails = False
    assert intents_in(store).read(SENT) == SENT
    intents.write({"c": Intent(3.0)})
    assert intents_in(store).read(["a", "b", "c"]) == {"b": SENT["b"], "c": Intent(3.0)}


@pytest.mark.parametrize(("try_number", "reschedules"), [(1, 0), (2, 0), (1, 1)])
def test_intents_that_cannot_be_read_are_those_of_a_retry(
    try_number: int, reschedules: int, store: StateStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.fails = True
    intents, is_retry = intents_of(context(store, try_number, reschedules))
    assert is_retry == (try_number > 1 or reschedules > 0)
    assert "could not be read" in caplog.text
    # A create that is sent all the same is still recorded: the try after this one would take its absence for knowledge.
    assert intents is not None
    with pytest.raises(OpenCXCoordinationError):
        intents.write(SENT)
    store.fails = False
    intents.write(SENT)
    assert intents_in(store).read(SENT) == SENT


@pytest.mark.parametrize("value", [[], ["a"], "a", 5, True])
def test_intents_of_unknown_shape_are_those_of_a_retry(value: object) -> None:
    store = StateStore(opencx_creates=value)
    intents, is_retry = intents_of(context(store))
    assert intents is not None
    assert is_retry
    intents.write(SENT)
    assert intents_in(store).read(SENT) == SENT


@pytest.mark.parametrize(
    "value",
    [
        None,
        "then",
        [],
        {},
        {"sent_at": 1.0},
        {"sent_at": "1.0", "agent_id": None},
        {"sent_at": True, "agent_id": None},
        {"sent_at": float("nan"), "agent_id": None},
        {"sent_at": 1.0, "agent_id": 5},
    ],
)
def test_intent_of_unknown_shape_counts_as_one_of_now(value: object) -> None:
    before = time.time()
    recorded = intents_in(StateStore(opencx_creates={"a": value, "b": {"sent_at": 2000, "agent_id": "pa_000001"}}))
    assert recorded.read(["b"]) == {"b": SENT["b"]}
    intent = recorded.read(["a"])["a"]
    assert before <= intent.sent_at <= time.time()
    assert intent.agent_id is None
