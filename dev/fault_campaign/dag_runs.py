"""Takes Airflow's part where tasks call people: Dag runs, mapped tasks, tries, clears, and what a task stores."""

from __future__ import annotations

import contextvars
import json
import math
import tempfile
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from airflow.sdk import BaseOperator
from airflow.sdk.bases.operator import ExecutorSafeguard
from airflow.sdk.exceptions import AirflowRescheduleException, AirflowSkipException
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_opencx.campaigns.ledger import ObjectLedger, digests
from airflow_provider_opencx.client.client import _holds_locks
from airflow_provider_opencx.resources.calls import Callee
from fault_campaign.attempts import Attempt, begin_attempt, retry_delay
from fault_campaign.dags import DagScenario, DagTask
from fault_campaign.stage import Stage
from fault_campaign.wire import Killed, Wire

MOST_RESCHEDULES = 20
"""A task that comes back more often is taken for one that does not end."""

PAUSE = 900.0
"""Seconds after which a worker that was paused goes on, at the most."""

_LOOK_AGAIN_AFTER = 5.0
"""Seconds after which a task whose upstream task has not ended looks again."""

_OPEN = (None, "running", "up_for_retry", "up_for_reschedule")
"""States of a task that is to run."""


@dataclass(eq=False)
class DagRun:
    """One run of the Dag.

    :param clears: how often it was cleared.
    :param instances: its task instances, by task and map index; one that a shorter list has no more stays, unused.
    """

    run_id: str
    run_type: str
    clears: int = 0
    instances: dict[tuple[str, int], Instance] = field(default_factory=dict)


@dataclass(eq=False)
class Instance:
    """A task instance.

    :param map_index: -1 if the task is not mapped.
    :param people: whom it is about now.
    :param tries: how often it was tried.
    :param most: the number of the last try that may have another after it.
    :param turn: counts its tries and those that took one over: Airflow lets the last one write.
    :param kept: what it has in the task state store.
    :param state: its state, as Airflow calls it.
    :param comes_back: how often its try came back.
    :param returned_by: the try that has returned what it hands on.
    :param tried: its newest try.
    """

    task: DagTask
    map_index: int
    people: Sequence[str]
    tries: int = 0
    most: int = -1
    turn: int = 0
    kept: dict[str, Any] = field(default_factory=dict)
    xcoms: dict[str, Any] = field(default_factory=dict)
    state: str | None = None
    comes_back: int = 0
    returned_by: DagTry | None = None
    tried: DagTry | None = None

    @property
    def is_silent(self) -> bool:
        """Whether it was about to call somebody, and its last try died before it told the other mapped tasks so."""
        return "opencx_call.people" in self.kept and "opencx_called" not in self.xcoms

    @property
    def has_lost_somebody(self) -> bool:
        """Whether it is silent, and somebody whom it was about to call stands in another place of the list now."""
        own = {name for number in self.people for name in digests(Callee(number))}
        return self.is_silent and not own.issuperset(self.kept["opencx_call.people"])


@dataclass(eq=False)
class DagTry:
    """One try of a task instance.

    :param people: whom it is about.
    :param number: the number of the try.
    :param turn: see :class:`Instance`.
    :param clears: how often its Dag run had been cleared.
    :param began: when it began, in seconds of the stage.
    :param ended: when it ended.
    :param given_by: the try of the upstream task that has returned what it is given; ``None`` without such a task.
    :param seen_unknown: the records from which it saw that somebody may have been called, before it recorded anything
        itself: the person, and the number of the record.
    :param noted: what a part of the campaign notes of it.
    :param is_final: whether its task has ended with it.
    :param is_over: whether another one took its task over before it ended: Airflow does not look at what it says.
    """

    run: DagRun
    instance: Instance
    people: Sequence[str]
    number: int
    turn: int
    clears: int
    attempt: Attempt
    began: float
    ended: float = math.inf
    given_by: DagTry | None = None
    seen_unknown: set[tuple[str, str]] = field(default_factory=set)
    written: set[str] = field(default_factory=set)
    noted: dict[str, Any] = field(default_factory=dict)
    is_final: bool = False
    is_over: bool = False

    @property
    def task(self) -> DagTask:
        """The task that it is a try of."""
        return self.instance.task

    @property
    def given(self) -> Any:
        """What the upstream task has returned; ``None`` without such a task."""
        return None if self.given_by is None else self.given_by.attempt.result

    @property
    def results(self) -> Sequence[Mapping[str, Any]]:
        """What it says of people."""
        return self.task.people_in(self.attempt.result)

    @property
    def described(self) -> str:
        """What sentences call it."""
        index = "" if self.instance.map_index < 0 else f"[{self.instance.map_index}]"
        return f"try {self.number} of {self.task.task_id}{index} ({self.task.kind}) in {self.run.run_id}"


_try: ContextVar[DagTry] = ContextVar("dag_try")
"""The try that a worker is at."""


def current_try() -> DagTry:
    """Return the try that this worker is at."""
    return _try.get()


class Scheduler:
    """Plays Airflow's part: tries task instances until they end.

    :param operator_of: returns the operator of a try, given a folder for records.
    :param folder: a folder for records.
    :param tried: called with each try that has ended.
    """

    def __init__(
        self,
        run: DagScenario,
        stage: Stage,
        wire: Wire,
        *,
        draws: Random,
        counted: Counter[str],
        operator_of: Callable[[DagTry, str], BaseOperator],
        folder: str,
        tried: Callable[[DagTry], None],
    ) -> None:
        self._run = run
        self._stage = stage
        self._wire = wire
        self._draws = draws
        self._counted = counted
        self._operator_of = operator_of
        self._folder = folder
        self._tried = tried
        self._is_calm = False

    def calm(self) -> None:
        """Let nothing happen to workers and records from now on."""
        self._is_calm = True

    @contextmanager
    def watched(self) -> Generator[None]:
        """Let records meet faults, and note what each try sees."""
        begin = ObjectLedger.__init__

        def begun(ledger: ObjectLedger, open_storage: Callable[[], tuple[Any, str]], label: str) -> None:
            def open_flaky() -> tuple[Any, str]:
                storage, path = open_storage()
                return _Storage(storage, self), path

            begin(ledger, open_flaky, label)

        with patch.object(ObjectLedger, "__init__", begun):
            yield

    def play(self, run: DagRun, instance: Instance) -> list[Attempt]:
        """Try an instance until it succeeds, fails for good, is skipped, or somebody takes it over.

        :return: its tries; none if its upstream task did not succeed.
        """
        if not self._succeeds_upstream(run, instance):
            return []
        if instance.tries > instance.most:  # it is new, or cleared
            instance.most = instance.tries + instance.task.retries
        attempts: list[Attempt] = []
        instance.tries += 1
        instance.comes_back = 0
        while True:
            tried = self._try_once(run, instance)
            attempts.append(tried.attempt)
            if instance.turn != tried.turn:
                tried.is_over = True
                self._tried(tried)
                return attempts
            delay = self._delay_after(tried)
            tried.is_final = delay is None
            if tried.attempt.error is None and self._run.clears_on_success:
                instance.kept.clear()
            self._tried(tried)
            if delay is None:
                return attempts
            self._stage.sleep(delay)
            if not isinstance(tried.attempt.error, AirflowRescheduleException):
                instance.tries += 1
                instance.comes_back = 0

    def _succeeds_upstream(self, run: DagRun, instance: Instance) -> bool:
        """Wait for the upstream task of an instance, and return whether it succeeds; there may be none.

        If it does not succeed, this sets the state of the instance.
        """
        upstream = run.instances.get((instance.task.upstream or "", -1))
        while upstream is not None and upstream.state in _OPEN:
            self._stage.sleep(_LOOK_AGAIN_AFTER)
        if upstream is None or upstream.state == "success":
            return True
        instance.state = "skipped" if upstream.state == "skipped" else "upstream_failed"
        return False

    def _delay_after(self, tried: DagTry) -> float | None:
        """Set the state of an instance after a try; return the seconds until its next try, or ``None``."""
        instance, error = tried.instance, tried.attempt.error
        if isinstance(error, AirflowRescheduleException):
            instance.comes_back += 1
            if instance.comes_back > MOST_RESCHEDULES:
                raise AssertionError(f"{tried.described} comes back again and again")
            instance.state = "up_for_reschedule"
            return max(0.0, error.reschedule_date.timestamp() - self._stage.now)
        if error is None or isinstance(error, AirflowSkipException):
            instance.state = "success" if error is None else "skipped"
            return None
        delay = retry_delay(error, tried.number, instance.most, instance.task.retry_delay)
        instance.state = "failed" if delay is None else "up_for_retry"
        return delay

    @contextmanager
    def meeting_faults(self, done: str) -> Generator[None]:
        """Let something go wrong before or after an operation on records.

        :param done: what is done: ``"read"``, ``"written"`` or ``"deleted"``.
        """
        self._stage.sleep(self._draws.uniform(0.0, 3.0) if self._happens(0.3) else 0.0)
        self._disturb(done)
        if self._happens(self._run.storage_rate):
            self._fail(f"a record is not {done}")
        yield
        self._disturb(done)
        if done != "read" and self._happens(self._run.storage_rate / 2):
            self._fail(f"a record is {done}, and nobody hears of it")

    def _fail(self, what: str) -> None:
        self._counted[what] += 1
        raise OSError("the store at https://key:ocx_live_fault-campaign@store does not respond")

    def _happens(self, rate: float) -> bool:
        return not self._is_calm and self._draws.random() < rate

    def _disturb(self, done: str) -> None:
        """Kill the worker, or pause it until another one has taken its task over and ended it."""
        if self._happens(self._run.fault_rate / (30 if done == "read" else 8)):
            self._counted["worker killed at a record"] += 1
            raise Killed
        tried = _try.get()
        is_first = tried.turn == tried.instance.turn
        if is_first and tried.turn < 10 and self._happens(self._run.takeover_rate):
            self._counted["worker paused, its task taken over"] += 1
            if tried.number > tried.instance.most:  # no retry is left: somebody has cleared the task
                tried.run.clears += 1
            another = contextvars.copy_context()
            another.run(_holds_locks.set, False)
            another.run(self.play, tried.run, tried.instance)
            self._stage.sleep(self._draws.uniform(0.0, PAUSE))

    def _try_once(self, run: DagRun, instance: Instance) -> DagTry:
        instance.turn += 1
        attempt = Attempt(instance.tries, [])
        upstream = run.instances.get((instance.task.upstream or "", -1))
        given_by = None if upstream is None else upstream.returned_by
        tried = DagTry(
            run,
            instance,
            list(instance.people),
            instance.tries,
            instance.turn,
            run.clears,
            attempt,
            began=self._stage.now,
            given_by=given_by,
        )
        instance.state, instance.tried = "running", tried
        instance.xcoms.clear()
        token = _try.set(tried)
        begin_attempt(attempt)
        with self._wire.recorded() as attempt.sent:
            try:
                self._stage.sleep(self._draws.choice((0.0, 2.0, 30.0)))
                if self._happens(self._run.fault_rate / 15):
                    self._counted["worker killed"] += 1
                    raise Killed
                self._execute(tried)
            except (Exception, Killed) as error:
                attempt.error = error
        tried.ended = self._stage.now
        attempt.seconds = tried.ended - tried.began
        _try.reset(token)
        return tried

    def _execute(self, tried: DagTry) -> None:
        operator = self._operator_of(tried, self._folder)
        ExecutorSafeguard.tracker.set(operator)  # as Airflow's task runner does
        returned = operator.execute(self._context_of(tried))  # type: ignore[arg-type]  # as much of it as is asked for
        if tried.task.result_key == "return_value":
            tried.attempt.result = json.loads(json.dumps(returned))
            if tried.turn == tried.instance.turn:
                tried.instance.returned_by = tried

    def _context_of(self, tried: DagTry) -> Mapping[str, Any]:
        run, instance = tried.run, tried.instance
        of_task = [other for key, other in sorted(run.instances.items()) if key[0] == tried.task.task_id]

        def push(key: str, value: Any) -> None:
            self._stage.sleep(0)
            instance.xcoms[key] = json.loads(json.dumps(value))
            if key == tried.task.result_key:
                tried.attempt.result = instance.xcoms[key]

        def pull(*, task_ids: Sequence[str], key: str) -> list[Any]:
            self._stage.sleep(0)
            return [other.xcoms[key] for other in of_task if key in other.xcoms] or [None]

        def states(**_: object) -> dict[str, dict[str, str | None]]:
            self._stage.sleep(0)
            return {run.run_id: {f"{each.task.task_id}_{each.map_index}": each.state for each in of_task}}

        context = {
            "ti": SimpleNamespace(
                dag_id=self._run.dag_id,
                run_id=run.run_id,
                task_id=tried.task.task_id,
                map_index=instance.map_index,
                try_number=tried.number,
                xcom_push=push,
                xcom_pull=pull,
                get_ti_count=lambda **_: len(of_task),
                get_task_states=states,
            ),
            "dag_run": SimpleNamespace(run_id=run.run_id, run_type=run.run_type, clear_number=run.clears),
            "task_reschedule_count": instance.comes_back,
        }
        if not tried.task.has_state_store:
            return context
        return {**context, "task_state_store": _StateStore(tried, self)}


class _StateStore:
    """Stands in for Airflow's task state store, which a try that was taken over can no more write."""

    def __init__(self, tried: DagTry, scheduler: Scheduler) -> None:
        self._tried = tried
        self._scheduler = scheduler

    def get(self, key: str, default: Any = None) -> Any:
        with self._scheduler.meeting_faults("read"):
            value = None if self._is_over() else self._tried.instance.kept.get(key)
        if isinstance(value, dict) and "to" in value and key not in self._tried.written:
            _note(self._tried, (value["to"], ""), is_unknown=value["outcome"] is None)
        return default if value is None else value

    def set(self, key: str, value: Any, *, retention: timedelta | None = None) -> None:
        with self._scheduler.meeting_faults("written"):
            self._check()
            self._tried.instance.kept[key] = json.loads(json.dumps(value))
            self._tried.written.add(key)

    def delete(self, key: str) -> None:
        with self._scheduler.meeting_faults("deleted"):
            self._check()
            self._tried.instance.kept.pop(key, None)

    def _is_over(self) -> bool:
        return self._tried.turn != self._tried.instance.turn

    def _check(self) -> None:
        if self._is_over():
            raise RuntimeError("404: the task instance is not found")


class _Storage:
    """An fsspec file system that fails now and then."""

    def __init__(self, storage: Any, scheduler: Scheduler) -> None:
        self._storage = storage
        self._scheduler = scheduler

    def makedirs(self, path: str, exist_ok: bool) -> None:
        with self._scheduler.meeting_faults("written"):
            self._storage.makedirs(path, exist_ok=exist_ok)

    def pipe_file(self, path: str, value: bytes, mode: str) -> object:
        with self._scheduler.meeting_faults("written"):
            return self._storage.pipe_file(path, value, mode=mode)

    def cat_file(self, path: str) -> bytes:
        with self._scheduler.meeting_faults("read"):
            content: bytes = self._storage.cat_file(path)
        person, number, kind, _ = path.rpartition("/")[2].split(".")
        _note(_try.get(), (person, number), is_unknown=kind == "intent")
        return content

    def rm_file(self, path: str) -> None:
        with self._scheduler.meeting_faults("deleted"):
            self._storage.rm_file(path)

    def invalidate_cache(self, path: str | None = None) -> None:
        self._storage.invalidate_cache(path)


def _note(tried: DagTry, record: tuple[str, str], *, is_unknown: bool) -> None:
    """Note what a try reads of a person."""
    (tried.seen_unknown.add if is_unknown else tried.seen_unknown.discard)(record)


def clear(run: DagRun, instances: Sequence[Instance]) -> None:
    """Clear some task instances of a run: each has its retries anew, and what it keeps stays."""
    run.clears += 1
    for instance in instances:
        instance.most = -1
        instance.state = None


@contextmanager
def records() -> Generator[str]:
    """Give a folder for records, and an empty file system in memory that Airflow's object storage knows."""
    memory = MemoryFileSystem()
    memory.store.clear()
    attach("memory", fs=memory)
    with tempfile.TemporaryDirectory(prefix="calls-") as folder:
        yield folder


def expand(run: DagRun, task: DagTask, people: Sequence[str]) -> list[Instance]:
    """Return the instances of a task in a run for a list, new ones and old ones."""
    wanted = {-1: list(people)} if task.form != "mapped" else {index: [each] for index, each in enumerate(people)}
    for map_index, whom in wanted.items():
        instance = run.instances.setdefault((task.task_id, map_index), Instance(task, map_index, whom))
        instance.people = whom
    for (task_id, map_index), instance in run.instances.items():
        if task_id == task.task_id and map_index not in wanted:
            instance.state = "removed"
    return [run.instances[task.task_id, map_index] for map_index in wanted]
