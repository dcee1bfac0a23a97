"""Tests that every argument of an operator or sensor arrives, in each way in which a Dag can give it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal, get_args

import pytest
from airflow.sdk import DAG, BaseOperator, BaseSensorOperator

from airflow_provider_opencx.airflow_arguments import BaseOperatorArguments, BaseSensorArguments
from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.hooks.opencx import OpenCXHook
from airflow_provider_opencx.operators import phone_agent
from airflow_provider_opencx.operators.phone_agent import (
    OpenCXCreatePhoneAgentOperator,
    OpenCXPlanPhoneAgentsOperator,
    OpenCXSyncPhoneAgentsOperator,
    OpenCXUpdatePhoneAgentOperator,
    OpenCXUpsertPhoneAgentOperator,
)
from airflow_provider_opencx.sensors.phone_number import OpenCXPhoneNumberSensor

NEEDED: dict[type[BaseOperator], dict[str, Any]] = {
    OpenCXCreatePhoneAgentOperator: {"name": "a"},
    OpenCXUpsertPhoneAgentOperator: {"name": "a"},
    OpenCXUpdatePhoneAgentOperator: {"agent_name": "a", "first_message": "Hi"},
    OpenCXPlanPhoneAgentsOperator: {"agents": "fleet.yaml"},
    OpenCXSyncPhoneAgentsOperator: {"agents": "fleet.yaml"},
    OpenCXPhoneNumberSensor: {"agent_name": "a"},
}
"""Each class, and what it cannot do without."""

AIRFLOW_NEWER_THAN_3_0 = {"retry_policy": (3, 3), "render_template_as_native_obj": (3, 2)}
"""Airflow's arguments that not every supported Airflow has, and the first that does."""


def own_arguments(operator: type[BaseOperator]) -> list[inspect.Parameter]:
    parameters = inspect.signature(operator.__init__).parameters.values()
    return [parameter for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]


EVERY_ARGUMENT = pytest.mark.parametrize(
    ("operator", "argument"),
    [
        pytest.param(operator, argument, id=f"{operator.__name__}-{argument.name}")
        for operator in NEEDED
        for argument in own_arguments(operator)
    ],
)


def a_value_of(argument: inspect.Parameter) -> Any:
    """Return a value that the argument takes while a Dag is parsed, and that is not its default."""
    if argument.name == "start_from_trigger":
        return False  # what it takes to be True is in the tests of tasks that start in the triggerer
    if argument.annotation == "bool":
        return not argument.default
    if argument.annotation.startswith("Literal["):
        choices = get_args(eval(argument.annotation, {"Literal": Literal}))
        return next(choice for choice in choices if choice != argument.default)
    if argument.annotation.startswith("int | "):
        return 7
    if argument.annotation.startswith("timedelta | float"):
        return 7.0
    return "{{ params.value }}"


def given(dag: DAG, operator: type[BaseOperator], argument: str, value: Any) -> BaseOperator:
    return operator(task_id="task", dag=dag, **{**NEEDED[operator], argument: value})


def given_by_dag(dag: DAG, operator: type[BaseOperator], argument: str, value: Any) -> BaseOperator:
    dag.default_args = {argument: value}
    return operator(task_id="task", dag=dag, **{k: v for k, v in NEEDED[operator].items() if k != argument})


def given_to_partial(dag: DAG, operator: type[BaseOperator], argument: str, value: Any) -> BaseOperator:
    arguments = {**NEEDED[operator], argument: value}
    mapped = operator.partial(task_id="task", dag=dag, **arguments).expand(doc=["a", "b"])
    return mapped.unmap({"doc": "a"})


def given_to_expand(dag: DAG, operator: type[BaseOperator], argument: str, value: Any) -> BaseOperator:
    needed = {k: v for k, v in NEEDED[operator].items() if k != argument}
    mapped = operator.partial(task_id="task", dag=dag, **needed).expand(**{argument: [value]})
    return mapped.unmap({argument: value})


@pytest.fixture
def dag() -> DAG:
    return DAG("arguments", schedule=None, start_date=datetime(2026, 1, 1))


@pytest.mark.filterwarnings("ignore:Task .* was never mapped")
@pytest.mark.parametrize("give", [given, given_by_dag, given_to_partial, given_to_expand])
@EVERY_ARGUMENT
def test_argument_reaches_operator(
    operator: type[BaseOperator], argument: inspect.Parameter, give: Callable[..., Any], dag: DAG
) -> None:
    value = a_value_of(argument)
    if argument.name == "max_active_tis_per_dag" and give is given_to_expand:
        with pytest.raises(TypeError, match="unmappable"):  # the scheduler needs it before
            give(dag, operator, argument.name, value)
        return
    task = give(dag, operator, argument.name, value)
    field = {"new_name": "name"}.get(argument.name, argument.name)
    fields = getattr(task, "agent", {})
    assert (fields[field] if field in fields else getattr(task, argument.name)) == value


@EVERY_ARGUMENT
def test_argument_that_is_templated_is_a_template_field(
    operator: type[BaseOperator], argument: inspect.Parameter, dag: DAG
) -> None:
    task: Any = given(dag, operator, argument.name, a_value_of(argument))
    is_templated = "XComArg" in argument.annotation
    is_field = argument.name in {"name", "new_name"} or argument.name in getattr(task, "agent", {})
    assert is_templated == (is_field or argument.name in operator.template_fields)


def test_arguments_of_all_classes_are_tested() -> None:
    public = {cls for name, cls in vars(phone_agent).items() if name.startswith("OpenCX") and name.endswith("Operator")}
    assert NEEDED.keys() == public | {OpenCXPhoneNumberSensor}


@pytest.mark.parametrize("operator", [OpenCXCreatePhoneAgentOperator, OpenCXUpsertPhoneAgentOperator])
def test_argument_name_is_required(operator: type[BaseOperator], dag: DAG) -> None:
    with pytest.raises(TypeError, match="missing keyword argument 'name'"):
        operator(task_id="task", dag=dag)


@pytest.mark.parametrize("operator", NEEDED)
def test_argument_that_nobody_knows_is_refused(operator: type[BaseOperator], dag: DAG) -> None:
    with pytest.raises(TypeError, match="langauge"):
        operator(task_id="task", dag=dag, **NEEDED[operator], langauge="en")
    with pytest.raises(TypeError, match="langauge"):
        operator.partial(task_id="task", dag=dag, langauge="en")


@pytest.mark.parametrize(
    ("arguments", "base"),
    [
        (BaseOperatorArguments, [BaseOperator]),
        (BaseSensorArguments, [BaseOperator, BaseSensorOperator]),
    ],
)
def test_airflow_arguments_are_those_of_this_airflow(
    arguments: Any, base: list[type[BaseOperator]], airflow_version: tuple[int, ...]
) -> None:
    of_airflow = {argument.name for cls in base for argument in own_arguments(cls)}
    not_here = {name for name, since in AIRFLOW_NEWER_THAN_3_0.items() if airflow_version < since}
    assert arguments.__annotations__.keys() - not_here == of_airflow
    assert not_here <= arguments.__annotations__.keys()


@pytest.mark.parametrize("operator", NEEDED)
def test_hook_is_one_for_the_whole_task(operator: type[BaseOperator], dag: DAG) -> None:
    task: Any = given(dag, operator, "opencx_conn_id", "another")
    assert isinstance(task.hook, OpenCXHook)
    assert task.hook is task.hook
    assert task.hook.opencx_conn_id == "another"


@pytest.mark.parametrize("operator", NEEDED)
def test_hook_of_templated_connection_is_made_when_it_is_rendered(operator: type[BaseOperator], dag: DAG) -> None:
    task: Any = given(dag, operator, "opencx_conn_id", "{{ params.conn_id }}")
    with pytest.raises(OpenCXArgumentError, match=r"opencx_conn_id: .* is not rendered yet"):
        _ = task.hook
    task.opencx_conn_id = ""
    with pytest.raises(OpenCXArgumentError, match="opencx_conn_id: must be the id of a connection"):
        _ = task.hook
    task.opencx_conn_id = "rendered"
    assert task.hook.opencx_conn_id == "rendered"


@pytest.mark.parametrize("operator", NEEDED)
@pytest.mark.parametrize("conn_id", ["", " ", None, 5, ["opencx_default"]])
def test_connection_that_is_no_id_is_refused_at_parse_time(
    operator: type[BaseOperator], conn_id: Any, dag: DAG
) -> None:
    with pytest.raises(OpenCXArgumentError, match="Task 'task': opencx_conn_id: must be the id of a connection"):
        given(dag, operator, "opencx_conn_id", conn_id)
