"""Lets mapped tasks of one list tell each other whom they have called, or are about to call.

The records of a task are its own, and its XComs are what other tasks can read of it.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from airflow_provider_opencx.call_ledgers import TaskStateLedger, is_cleared, is_mapped
from airflow_provider_opencx.campaigns.ledger import Ledger, ObjectLedger, digests
from airflow_provider_opencx.exceptions import OpenCXContactsChangedError, OpenCXLedgerError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_opencx.resources.calls import Callee

_KEY = "opencx_called"
"""The XCom in which a task publishes its people for the other tasks."""

_TOLD_WITHIN = 60.0
"""Seconds within which a task that has begun must publish its people."""

_LOOK_AGAIN_AFTER = 0.5

_BEGUN = frozenset(("running", "restarting"))
_FAILED = frozenset(("failed", "up_for_retry"))
"""States of a task whose XComs Airflow has deleted when it began."""

log = logging.getLogger(__name__)


def tell_other_tasks(context: Context, ledger: Ledger, people: Sequence[Callee] = ()) -> None:
    """Publish the people whom this mapped task has called, or is about to call, for the other tasks of the list.

    Airflow deletes the XComs of a task when the task begins again. So the people are published again first, before
    anything can fail, and once more when it is known who is to be called.

    :param context: the context of the task instance.
    :param ledger: its ledger; one that all tasks share makes this needless.
    :param people: whom it is to call.
    """
    if not _is_alone(context, ledger):
        return
    instance = context["ti"]
    called: list[str] = []
    if isinstance(ledger, TaskStateLedger):
        called = ledger.people()
        ledger.check_current()
    # Keep existing values: they may be from a newer try, if this one was paused and taken over.
    told = [to for index, people in _told(context).items() if index == instance.map_index for to in people]
    own = sorted({*called, *told, *(name for callee in people for name in digests(callee))})
    instance.xcom_push(key=_KEY, value={"map_index": instance.map_index, "people": own})


def check_other_tasks(context: Context, ledger: Ledger, people: Sequence[Callee]) -> Callable[[Callee], None]:
    """Publish the people whom this mapped task calls, and return a check for people whom other tasks call.

    Each task has its own state. When a run is cleared and its list has changed, a person may have moved from the task
    that called to another task, which has no record of the call. So each task publishes in an XCom whom it has called,
    or is about to call. If a person is published by two tasks, neither calls. If a task has begun and has not published
    yet, this task waits for it, because it may have called before the run was cleared.

    :param context: the context of the task instance.
    :param ledger: its ledger; one that all tasks share needs no check.
    :param people: whom it is to call.
    :return: raises ``OpenCXContactsChangedError`` for a person whom another task has called, or is to call.
    :raises OpenCXLedgerError: if another task does not publish in time; nothing was sent.
    """
    if not _is_alone(context, ledger):
        return lambda callee: None
    tell_other_tasks(context, ledger, people)
    claimed = Counter(to for claim in _told_by_all(context).values() for to in claim)

    def check(callee: Callee) -> None:
        if any(claimed[name] > 1 for name in digests(callee)):
            raise OpenCXContactsChangedError(
                f"{callee.label}: nothing was sent, because another mapped task of this run has called this person, or"
                " is to call: the list has this person twice, or it changed since. List everybody once, and start a new"
                " Dag run for a new list; with ledger_path, all tasks share one record."
            )

    return check


def keep_people(context: Context, ledger: Ledger, people: Sequence[Callee]) -> None:
    """Record the people whom a task reaches by a sequence or the like, so that later tries can publish them.

    :param context: the context of the task instance.
    :param ledger: its ledger; one that all tasks share makes this needless.
    :param people: whom it is to call.
    """
    if _is_alone(context, ledger) and isinstance(ledger, TaskStateLedger):
        ledger.add_people(name for callee in people for name in digests(callee))


def _is_alone(context: Context, ledger: Ledger) -> bool:
    """Return whether the task is mapped over a list, and its records, if it has any, are not those of all tasks."""
    return is_mapped(context) and not isinstance(ledger, ObjectLedger)


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
    for claim in instance.xcom_pull(task_ids=[instance.task_id], key=_KEY) or ():
        match claim:
            case {"map_index": int() as index, "people": list() as people}:
                told[index] = list(map(str, people))
    return told


def _may_have_called(context: Context) -> list[int]:
    """Return the map indexes of the tasks that may have called somebody, and whose XComs may be gone.

    A task that waits for a worker still has its XComs, if it had any. If the run was never cleared, its list has not
    changed, so a try that ended before it published anything is no reason to stop the calls.
    """
    instance = context["ti"]
    states = _BEGUN | _FAILED if is_cleared(context) else _BEGUN
    all_states = instance.get_task_states(
        dag_id=instance.dag_id, task_ids=[instance.task_id], run_ids=[instance.run_id]
    ).get(instance.run_id, {})
    by_index = {name.removeprefix(f"{instance.task_id}_"): state for name, state in all_states.items()}
    return [int(index) for index, state in by_index.items() if index.isdigit() and state in states]
