"""Tests how many tasks of an operator the scheduler runs at once, over all runs of a Dag and its backfills."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator, TaskGroup

from airflow_provider_opencx.operators.phone_agent import (
    LEFT_OUT,
    OpenCXCreatePhoneAgentOperator,
    OpenCXPlanPhoneAgentsOperator,
    OpenCXSyncPhoneAgentsOperator,
    OpenCXUpdatePhoneAgentOperator,
    OpenCXUpsertPhoneAgentOperator,
)

MAPPED_OVER: dict[type[BaseOperator], dict[str, list[Any]]] = {
    OpenCXCreatePhoneAgentOperator: {"name": ["a", "b"]},
    OpenCXUpsertPhoneAgentOperator: {"name": ["a", "b"]},
    OpenCXUpdatePhoneAgentOperator: {"agent_name": ["a", "b"], "first_message": ["Hi"]},
    OpenCXPlanPhoneAgentsOperator: {"agents": ["a.yaml", "b.yaml"]},
    OpenCXSyncPhoneAgentsOperator: {"agents": ["a.yaml", "b.yaml"]},
}

CREATES = (OpenCXCreatePhoneAgentOperator, OpenCXUpsertPhoneAgentOperator, OpenCXSyncPhoneAgentsOperator)
WAITS = {"wait_for_phone_number": True}

BY_DEFAULT = [
    *((operator, {}, 1) for operator in CREATES),
    (OpenCXUpsertPhoneAgentOperator, {"wait_for_phone_number": False}, 1),
    (OpenCXUpsertPhoneAgentOperator, WAITS, None),
    (OpenCXUpsertPhoneAgentOperator, {**WAITS, "deferrable": True}, None),
    (OpenCXUpsertPhoneAgentOperator, {**WAITS, "max_active_tis_per_dag": LEFT_OUT}, None),
    (OpenCXUpdatePhoneAgentOperator, {}, None),
    (OpenCXPlanPhoneAgentsOperator, {}, None),
]

Arguments = Mapping[str, Any]
Make = Callable[[type[BaseOperator], DAG, TaskGroup, Arguments], object]


def plain(operator: type[BaseOperator], dag: DAG, group: TaskGroup, arguments: Arguments) -> None:
    needed = {name: values[0] for name, values in MAPPED_OVER[operator].items()}
    operator(task_id="task", dag=dag, task_group=group, **needed, **arguments)


def mapped(operator: type[BaseOperator], dag: DAG, group: TaskGroup, arguments: Arguments) -> None:
    operator.partial(task_id="task", dag=dag, task_group=group, **arguments).expand(**MAPPED_OVER[operator])


@pytest.fixture(params=[plain, mapped])
def limit(request: pytest.FixtureRequest, in_scheduler: Callable[[Any, str], Any]) -> Callable[..., int | None]:
    """Returns the limit that the scheduler reads of a task, plain or mapped."""
    make: Make = request.param

    def limit(
        operator: type[BaseOperator], *, dag: Arguments | None = None, group: Arguments | None = None, **arguments: Any
    ) -> int | None:
        owner = DAG("at_once", schedule=None, start_date=datetime(2026, 1, 1), default_args=dict(dag or {}))
        inner = TaskGroup("group", dag=owner, default_args=dict(group or {}))
        make(operator, owner, inner, arguments)
        return in_scheduler(owner, "group.task").max_active_tis_per_dag

    return limit


@pytest.mark.parametrize(("operator", "arguments", "at_once"), BY_DEFAULT)
def test_tasks_that_create_run_one_at_a_time(
    operator: type[BaseOperator], arguments: Arguments, at_once: int | None, limit: Callable[..., int | None]
) -> None:
    assert limit(operator, **arguments) == at_once
    assert limit(operator, dag=arguments) == at_once
    assert limit(operator, group=arguments) == at_once
    assert limit(operator, default_args=dict(arguments)) == at_once


@pytest.mark.parametrize("at_once", [None, 3])
@pytest.mark.parametrize(
    ("operator", "arguments"), [*((operator, {}) for operator in CREATES), (OpenCXUpsertPhoneAgentOperator, WAITS)]
)
def test_limit_of_tasks_that_create_is_what_was_written(
    operator: type[BaseOperator], arguments: Arguments, at_once: int | None, limit: Callable[..., int | None]
) -> None:
    written, other = {"max_active_tis_per_dag": at_once}, {"max_active_tis_per_dag": 5}
    assert limit(operator, **arguments, **written) == at_once
    assert limit(operator, dag={**arguments, **written}) == at_once
    assert limit(operator, dag={**arguments, **other}, group=written) == at_once
    assert limit(operator, dag=other, group=other, **arguments, default_args=written) == at_once
    assert limit(operator, dag=other, group=other, **arguments, **written) == at_once
