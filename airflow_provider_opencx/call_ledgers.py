"""Where a task keeps its ledger of calls: object storage of the author's, or Airflow's task state store.

The task state store is there since Airflow 3.3. Its rows belong to a run, a task and a map index, and survive retries
and clears, unless ``[state_store] clear_on_success`` deletes them: a worker may not see that setting of the API server.
"""

from __future__ import annotations

import hashlib
import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

from airflow.providers.common.compat.sdk import conf

from airflow_provider_opencx.campaigns.ledger import Entry, Ledger, NoLedger, ObjectLedger, digest
from airflow_provider_opencx.exceptions import OpenCXContactsChangedError, OpenCXLedgerError

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.execution_time.context import TaskStateStoreAccessor
    from pydantic import JsonValue

    from airflow_provider_opencx.campaigns.ledger import FileSystem
    from airflow_provider_opencx.resources.calls import Callee

OncePer: TypeAlias = Literal["run", "ever"]
"""How long a record counts: in its Dag run, or for all runs that keep their records in the same place."""

_BEGUN = "begun"
"""The slot that shows that the others were not deleted."""

_PEOPLE = "people"
"""The slot that lists the people of all others."""

_CALLED_KEY = "opencx_called"
"""The XCom by which the tasks that are mapped over one list see whom the others call."""

_TOLD_WITHIN = 60.0
_LOOK_AGAIN_AFTER = 0.5

_BEGUN = frozenset(("running", "restarting"))
_FAILED = frozenset(("failed", "up_for_retry"))
"""States of a task whose XComs Airflow has deleted when it began."""

_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")

log = logging.getLogger(__name__)


def ledger_of(context: Context, *, ledger_path: str | None, once_per: OncePer) -> tuple[Ledger, bool]:
    """Return the ledger of a task, and whether no record means that nothing was sent.

    :param context: the context of its task instance.
    :param ledger_path: the object storage path of the author's; ``None`` is Airflow's task state store, where there is
        one, or else nothing.
    :param once_per: how long a record counts.
    """
    if ledger_path is not None:
        return _object_ledger(context, ledger_path, once_per), True
    store = context.get("task_state_store")
    is_later_try = _is_later_try(context)
    if store is None:
        return NoLedger(), not (is_later_try or context.get("task_reschedule_count"))
    ledger = TaskStateLedger(store, lists_people=is_mapped(context))
    if not conf.getboolean("state_store", "clear_on_success", fallback=False):
        return ledger, True
    return ledger, ledger.was_begun() or not is_later_try


def _is_later_try(context: Context) -> bool:
    """Return whether the task has been tried before: after an error, a killed worker or a clear."""
    task_instance = context.get("ti")
    return task_instance is not None and task_instance.try_number > 1


def is_mapped(context: Context) -> bool:
    """Return whether the task is one of several that are mapped over a list."""
    task_instance = context.get("ti")
    return task_instance is not None and task_instance.map_index is not None and task_instance.map_index >= 0


class TaskStateLedger:
    """Keeps records in Airflow's task state store, for ever.

    :param store: the store of the task, ``context["task_state_store"]``.
    :param lists_people: whether it keeps a list of all people as well, for the tasks that are mapped beside this one.
    """

    def __init__(self, store: TaskStateStoreAccessor, *, lists_people: bool = False) -> None:
        self._store = store
        self._lists_people = lists_people

    def read(self, slot: str) -> Entry | None:
        """Return the record of a slot, ``None`` if there is none."""
        value = self._get(slot)
        return None if value is None else Entry.from_json(value)

    def begin(self, slot: str, entry: Entry, *, after: Entry | None) -> Entry | None:
        """Record an intent. Of the tries of a task instance, Airflow lets only the last one write."""
        recorded = self.read(slot)
        if recorded is not None and recorded != after:
            return recorded
        if self._lists_people:
            self._set(_PEOPLE, [*sorted({*self.people(), entry.to})])
        self._set(slot, entry.as_json())
        if self.read(slot) != entry:
            raise _not("found after it was written", None)
        return None

    def finish(self, slot: str, entry: Entry) -> None:
        """Record an outcome."""
        self._set(slot, entry.as_json())

    def forget(self, slot: str, *, after: Entry | None) -> None:
        """Delete a record, or put the one back that was there before."""
        if after is not None:
            self._set(slot, after.as_json())
            return
        try:
            self._store.delete(_key(slot))
        except Exception as error:
            raise _not("deleted", error) from error

    def was_begun(self) -> bool:
        """Return whether an earlier try has begun this ledger, and begin it: after a success, Airflow may delete it."""
        was_begun = self._get(_BEGUN) is not None
        if not was_begun:
            self._set(_BEGUN, value=True)
        return was_begun

    def people(self) -> list[str]:
        """Return the digests of all people whom tries of this task were about to call."""
        people = self._get(_PEOPLE)
        return [str(each) for each in people] if isinstance(people, list) else []

    def _get(self, slot: str) -> JsonValue:
        try:
            return self._store.get(_key(slot))
        except Exception as error:
            raise _not("read", error) from error

    def _set(self, slot: str, value: JsonValue) -> None:
        from airflow.sdk.execution_time.context import NEVER_EXPIRE

        try:
            self._store.set(_key(slot), value, retention=NEVER_EXPIRE)
        except Exception as error:
            raise _not("written", error) from error


def tell_other_tasks(context: Context, ledger: Ledger, people: Sequence[Callee] = ()) -> None:
    """Tell the tasks that are mapped over one list whom this one has called, and is to call.

    Airflow deletes what a task has told when the task begins again. So it is told again before anything else, which may
    fail, and once more when it is known who is to be called.

    :param context: the context of the task instance.
    :param ledger: its ledger; one that all tasks share makes this needless.
    :param people: whom it is to call.
    """
    own_ledger = _own_ledger(context, ledger)
    if own_ledger is not None:
        instance = context["ti"]
        own = sorted({*own_ledger.people(), *map(digest, people)})
        instance.xcom_push(key=_CALLED_KEY, value={"map_index": instance.map_index, "people": own})


def check_other_tasks(context: Context, ledger: Ledger, people: Sequence[Callee]) -> Callable[[Callee], None]:
    """Tell the tasks that are mapped over one list whom this one calls, and return a check whom others call.

    The state of a task is its own. When a run is cleared and its list has changed, a person may have moved from the
    task that called to another one, which has no record of it. So each task says in an XCom whom it has called, or is
    to call; whoever finds a person there twice, calls neither. A task that has begun and has not said it yet is waited
    for: it may be the one that called before the run was cleared.

    :param context: the context of the task instance.
    :param ledger: its ledger; one that all tasks share needs no check.
    :param people: whom it is to call.
    :return: raises ``OpenCXContactsChangedError`` for a person whom another task has called, or is to call.
    :raises OpenCXLedgerError: if another task does not say it in time; nothing was sent.
    """
    if _own_ledger(context, ledger) is None:
        return lambda callee: None
    tell_other_tasks(context, ledger, people)
    claimed = Counter(to for claim in _told_by_all(context).values() for to in claim)

    def check(callee: Callee) -> None:
        if claimed[digest(callee)] > 1:
            raise OpenCXContactsChangedError(
                f"{callee.label}: nothing was sent, because another mapped task of this run has called this person, or"
                " is to call: the list has this person twice, or it changed since. List everybody once, and start a new"
                " Dag run for a new list; with ledger_path, all tasks share one record."
            )

    return check


def _own_ledger(context: Context, ledger: Ledger) -> TaskStateLedger | None:
    """Return the ledger of a task that is mapped over a list, if it is of this task alone."""
    return ledger if is_mapped(context) and isinstance(ledger, TaskStateLedger) else None


def _told_by_all(context: Context) -> dict[int, list[str]]:
    """Return whom each mapped task has called, or is to call, by its map index."""
    give_up_at = time.monotonic() + _TOLD_WITHIN
    waits = False
    while True:
        told = _told(context)
        silent = [index for index in _may_have_called(context) if index not in told]
        if not silent:
            return told
        other = f"{context['ti'].task_id}[{silent[0]}]"
        if time.monotonic() > give_up_at:
            raise OpenCXLedgerError(
                f"Nothing was sent, because {other}, another mapped task of this run, has not said yet whom it has"
                " called. Another try may succeed; where that task has failed, clear it as well."
            )
        if not waits:
            log.info("%s has not said yet whom it has called. Waiting for it before anybody is called.", other)
        waits = True
        time.sleep(_LOOK_AGAIN_AFTER)


def _told(context: Context) -> dict[int, list[str]]:
    instance = context["ti"]
    told: dict[int, list[str]] = {}
    for claim in instance.xcom_pull(task_ids=[instance.task_id], key=_CALLED_KEY) or ():
        match claim:
            case {"map_index": int() as index, "people": list() as people}:
                told[index] = list(map(str, people))
    return told


def _may_have_called(context: Context) -> list[int]:
    """Return the map indexes of the tasks that may have called somebody, and whose XComs may be gone.

    A task that waits for a worker has its XComs, if it ever had any. Where the run has never been cleared, its list is
    the one that it began with, so a try that ended before it told anything is no reason to call nobody.
    """
    instance = context["ti"]
    states = _BEGUN if getattr(context["dag_run"], "clear_number", 1) == 0 else _BEGUN | _FAILED
    all_states = instance.get_task_states(
        dag_id=instance.dag_id, task_ids=[instance.task_id], run_ids=[instance.run_id]
    ).get(instance.run_id, {})
    by_index = {name.removeprefix(f"{instance.task_id}_"): state for name, state in all_states.items()}
    return [int(index) for index, state in by_index.items() if index.isdigit() and state in states]


def _key(slot: str) -> str:
    return f"opencx_call.{slot}"


def _not(done: str, error: Exception | None) -> OpenCXLedgerError:
    reason = "" if error is None else f" ({type(error).__name__})"
    return OpenCXLedgerError(
        f"Airflow's task state store: the record of a call could not be {done}{reason}. Another try may succeed."
    )


def _object_ledger(context: Context, ledger_path: str, once_per: OncePer) -> ObjectLedger:
    def open_storage() -> tuple[FileSystem, str]:
        from airflow.providers.common.compat.sdk import ObjectStoragePath

        path = ObjectStoragePath(ledger_path)
        for part in parts:
            path = path / part
        return path.fs, path.path.rstrip("/")

    parts = ["ever"] if once_per == "ever" else _parts_of_run(context)
    return ObjectLedger(open_storage, f"ledger_path {ledger_path!r}")


def _parts_of_run(context: Context) -> list[str]:
    """Return the folders of a task in a run: readable, and no two alike."""
    instance = context["ti"]
    return [
        f"{_UNSAFE.sub('_', name)[:80]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
        for name in (instance.dag_id, instance.run_id, instance.task_id)
    ]
