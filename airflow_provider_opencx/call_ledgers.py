"""Chooses where a task keeps its ledger of calls: in object storage, or in Airflow's task state store.

The task state store is there since Airflow 3.3. Its rows belong to a run, a task and a map index, and survive retries
and clears, unless ``[state_store] clear_on_success`` deletes them: a worker may not see that setting of the API server.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import conf

from airflow_provider_opencx.campaigns.ledger import Entry, Ledger, NoLedger, ObjectLedger
from airflow_provider_opencx.exceptions import OpenCXLedgerError
from airflow_provider_opencx.storage_paths import storage_path
from airflow_provider_opencx.visible_text import in_quotes

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.execution_time.context import TaskStateStoreAccessor
    from pydantic import JsonValue

    from airflow_provider_opencx.campaigns.ledger import FileSystem, OncePer

_BEGUN = "begun"
"""The slot that shows that the others were not deleted."""

_CURRENT = "current"
"""The slot that a try writes to see whether it is the last one."""

_PEOPLE = "people"
"""The slot that lists the people of all others."""

_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")


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
    if is_later_try:
        # After a clear, a person may have moved here from a mapped task whose success deleted its records.
        may_have_moved = is_mapped(context) and is_cleared(context)
        return ledger, ledger.was_begun() and not may_have_moved
    ledger.mark_begun()
    return ledger, True


def _is_later_try(context: Context) -> bool:
    """Return whether the task may have been tried before: after an error, a killed worker or a clear.

    The first try of a mapped task may follow a clear as well: its list has grown, and a person moved to its place.
    """
    task_instance = context.get("ti")
    is_later = task_instance is not None and task_instance.try_number > 1
    return is_later or (is_mapped(context) and is_cleared(context))


def is_cleared(context: Context) -> bool:
    """Return whether the Dag run was cleared after it had ended."""
    dag_run = context.get("dag_run")
    return dag_run is not None and bool(getattr(dag_run, "clear_number", 0))


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
        self.add_people([entry.to])
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

    def mark_begun(self) -> None:
        """Note in a first try that the records are all there: after a success, Airflow may delete them with it."""
        if not self.was_begun():
            self._set(_BEGUN, value=True)

    def was_begun(self) -> bool:
        """Return whether a first try has begun these records, and nobody has deleted them since."""
        return self._get(_BEGUN) is not None

    def check_current(self) -> None:
        """Check that no other worker has taken the task over: Airflow lets only the last try write.

        What an older try reads is nothing, even if something is there.

        :raises OpenCXLedgerError: if it cannot write.
        """
        self._set(_CURRENT, value=True)

    def add_people(self, people: Iterable[str]) -> None:
        """Note people before anything is sent by which they are called, where other tasks ask for them.

        :param people: their digests.
        """
        if self._lists_people:
            self._set(_PEOPLE, [*sorted({*self.people(), *people})])

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


def _key(slot: str) -> str:
    return f"opencx_call.{slot}"


def _not(done: str, error: Exception | None) -> OpenCXLedgerError:
    reason = "" if error is None else f" ({type(error).__name__})"
    return OpenCXLedgerError(
        f"Airflow's task state store: the record of a call could not be {done}{reason}. Another try may succeed."
    )


def _object_ledger(context: Context, ledger_path: str, once_per: OncePer) -> ObjectLedger:
    def open_storage() -> tuple[FileSystem, str]:
        path = storage_path(ledger_path, label)
        for part in parts:
            path = path / part
        return path.fs, path.path.rstrip("/")

    label = f"ledger_path {in_quotes(ledger_path)}"
    parts = ["ever"] if once_per == "ever" else _parts_of_run(context)
    return ObjectLedger(open_storage, label)


def _parts_of_run(context: Context) -> list[str]:
    """Return the folders of a task in a run: readable, and no two alike."""
    instance = context["ti"]
    return [
        f"{_UNSAFE.sub('_', name)[:80]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
        for name in (instance.dag_id, instance.run_id, instance.task_id)
    ]
