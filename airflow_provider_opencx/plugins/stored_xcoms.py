"""Reads plans of fleets, and sequences, that tasks have stored as XComs in Airflow's database.

Every query takes the newest few, and the values are read as they lie there: no backend is asked, and none of Airflow's
objects is made of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache

from airflow.models.renderedtifields import RenderedTaskInstanceFields
from airflow.models.taskinstance import TaskInstance
from airflow.models.taskinstancekey import TaskInstanceKey
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from pydantic import JsonValue
from sqlalchemy import ColumnElement, and_, func, select

from airflow_provider_opencx.plugins.last_plan import LastPlan, TaskOfPlan, plain_value
from airflow_provider_opencx.reconciliation.organization import Organization
from airflow_provider_opencx.xcoms import NUMBERS_KEY, SEQUENCE_KEYS

RETURN_KEY = "return_value"
PLAN_KEY = "plan"
"""The key under which a sync has its plan; a task that only plans returns it."""

MOST_TASKS = 200
"""Tasks of fleets among which the last plan is looked for, the newest first."""

MOST_PLANS = 50
"""Plans that are read, until one is for the connection."""

MOST_SEQUENCES = 50
"""Sequences that are shown, the newest first."""

MOST_SEQUENCE_TASKS = 1000
"""Tasks among which they are looked for, the newest first: those of all connections, and of all Dags."""

_AT_ONCE = 100
"""Tasks of one query."""

SEQUENCE_TASKS = ("OpenCXCreateSequenceOperator", "OpenCXStartSequenceOperator", "OpenCXSequenceSensor")
"""The classes whose tasks return a sequence, and leave its id as a separate XCom."""

_SAME_ORDER = (XComModel.dag_id, XComModel.run_id, XComModel.task_id, XComModel.map_index)
"""The order of what was left at the same time."""

MayRead = Callable[[str], bool]
"""Returns whether the user may read what the tasks of a Dag have left."""


@dataclass(frozen=True)
class StoredSequence:
    """A sequence as a task has returned it.

    :param sequence: the sequence, by the service's names of fields.
    :param task: the task.
    :param seen_at: when.
    """

    sequence: Mapping[str, JsonValue]
    task: TaskOfPlan
    seen_at: datetime


def last_plan(here: Organization, before: datetime, may_read: MayRead) -> LastPlan | None:
    """Return the newest plan of a fleet for an organization, ``None`` if there is none that the user may see.

    :param here: the organization, as the connection shows it.
    :param before: when its agents were read. A later plan, and what a sync has written since, are not in what was read.
    :param may_read: returns whether the user may read what the tasks of a Dag have left.
    """
    may_read = cache(may_read)
    last: LastPlan | None = None
    plans = 0
    for dag_id, task_id, map_index, newest in _tasks_of_fleets(before):
        if plans >= MOST_PLANS or (last is not None and newest < last.made_at):
            break
        if not may_read(dag_id):
            continue
        for plan in _newest_plans(dag_id, task_id, map_index, before):
            plans += 1
            if plan.is_for(here):
                last = plan if last is None or plan.made_at > last.made_at else last
                break
    return last


def sequences_of(conn_id: str, may_read: MayRead) -> list[StoredSequence]:
    """Return the sequences that tasks have returned over a connection, each as it was seen last, the newest first.

    :param conn_id: the connection, as the tasks name it.
    :param may_read: returns whether the user may read what the tasks of a Dag have left.
    """
    may_read = cache(may_read)
    found: dict[str, StoredSequence] = {}
    for key, seen_at in _tasks_with_a_sequence():
        if len(found) == MOST_SEQUENCES:
            break
        task = TaskOfPlan(key.dag_id, key.run_id, key.task_id, key.map_index)
        if may_read(task.dag_id) and _conn_id_of(key) == conn_id:
            sequence = plain_value(_value(task, RETURN_KEY))
            if isinstance(sequence, dict) and isinstance(sequence.get("id"), str):
                found.setdefault(sequence["id"], StoredSequence(sequence, task, seen_at))
    return list(found.values())


@lru_cache(maxsize=64)
def _tasks_of_fleets(before: datetime) -> list[tuple[str, str, int, datetime]]:
    """Return the tasks that have planned for a fleet, and when last: each keeps the phone numbers that it has seen.

    They are looked for once for all who see what was read at a time: Airflow 3.4 has no index for it.
    """
    newest = func.max(XComModel.timestamp)
    query = (
        select(XComModel.dag_id, XComModel.task_id, XComModel.map_index, newest)
        .where(XComModel.key == NUMBERS_KEY, XComModel.timestamp <= before)
        .group_by(XComModel.dag_id, XComModel.task_id, XComModel.map_index)
        .order_by(newest.desc())
        .limit(MOST_TASKS)
    )
    with create_session() as session:
        return [(dag_id, task_id, map_index, seen_at) for dag_id, task_id, map_index, seen_at in session.execute(query)]


def _newest_plans(dag_id: str, task_id: str, map_index: int, before: datetime) -> Iterator[LastPlan]:
    """Yield the plans of a task, the newest first: a sync has pushed it, and so has a task that failed because of it.

    Others have returned it. The runs of a task may be for several organizations.
    """
    for run_id, key, made_at in _newest(dag_id, task_id, map_index, before):
        task = TaskOfPlan(dag_id, run_id, task_id, map_index)
        written_at = _pushed_at(task, RETURN_KEY) if key == PLAN_KEY else None
        plan = _plan_of(task, key, made_at, written_at)
        if plan is not None:
            yield plan


@lru_cache(maxsize=64)
def _plan_of(task: TaskOfPlan, key: str, made_at: datetime, written_at: datetime | None) -> LastPlan | None:
    """Return the plan of an XCom. It is kept: a plan for a thousand agents takes a while to read."""
    return LastPlan.of_xcom(_value(task, key), task, made_at, written_at)


def _newest(dag_id: str, task_id: str, map_index: int, before: datetime) -> list[tuple[str, str, datetime]]:
    """Return the newest XComs of a task that may be plans: the runs, the keys, and when they were pushed."""
    query = (
        select(XComModel.run_id, XComModel.key, XComModel.timestamp)
        .where(XComModel.dag_id == dag_id, XComModel.task_id == task_id, XComModel.map_index == map_index)
        .where(XComModel.key.in_((PLAN_KEY, RETURN_KEY)), XComModel.timestamp <= before)
        .order_by(XComModel.timestamp.desc())
        .limit(MOST_PLANS)
    )
    with create_session() as session:
        return [(run_id, key, made_at) for run_id, key, made_at in session.execute(query)]


def _tasks_with_a_sequence() -> Iterator[tuple[TaskInstanceKey, datetime]]:
    """Return the task instances that have returned a sequence, the newest first."""
    for offset in range(0, MOST_SEQUENCE_TASKS, _AT_ONCE):
        tasks = _some_with_a_sequence(offset)
        yield from tasks
        if len(tasks) < _AT_ONCE:
            return


def _some_with_a_sequence(offset: int) -> list[tuple[TaskInstanceKey, datetime]]:
    query = (
        select(
            XComModel.dag_id,
            XComModel.task_id,
            XComModel.run_id,
            TaskInstance.try_number,
            XComModel.map_index,
            XComModel.timestamp,
        )
        .join(
            TaskInstance,
            and_(
                XComModel.dag_id == TaskInstance.dag_id,
                XComModel.run_id == TaskInstance.run_id,
                XComModel.task_id == TaskInstance.task_id,
                XComModel.map_index == TaskInstance.map_index,
            ),
        )
        .where(XComModel.key == SEQUENCE_KEYS[0], TaskInstance.operator.in_(SEQUENCE_TASKS))
        .order_by(XComModel.timestamp.desc(), *_SAME_ORDER)
        .offset(offset)
        .limit(_AT_ONCE)
    )
    with create_session() as session:
        rows = session.execute(query).all()
    return [
        (TaskInstanceKey(dag_id, task_id, run_id, try_number, map_index), seen_at)
        for dag_id, task_id, run_id, try_number, map_index, seen_at in rows
    ]


def _conn_id_of(key: TaskInstanceKey) -> str | None:
    """Return the connection that a task named, as Airflow has kept its rendered fields."""
    rendered: object = RenderedTaskInstanceFields.get_templated_fields(key)
    conn_id = rendered.get("opencx_conn_id") if isinstance(rendered, dict) else None
    return conn_id if isinstance(conn_id, str) else None


def _value(task: TaskOfPlan, key: str) -> object:
    with create_session() as session:
        value: object = session.scalar(select(XComModel.value).where(_of_task(task, key)).limit(1))
    return value


def _pushed_at(task: TaskOfPlan, key: str) -> datetime | None:
    with create_session() as session:
        return session.scalar(select(XComModel.timestamp).where(_of_task(task, key)).limit(1))


def _of_task(task: TaskOfPlan, key: str) -> ColumnElement[bool]:
    return and_(
        XComModel.dag_id == task.dag_id,
        XComModel.run_id == task.run_id,
        XComModel.task_id == task.task_id,
        XComModel.map_index == task.map_index,
        XComModel.key == key,
    )
