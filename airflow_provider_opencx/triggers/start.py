"""Checks whether this Airflow can start a task in the triggerer."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from airflow import __version__ as airflow_version
from airflow.triggers.base import BaseTrigger, StartTriggerArgs

from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.templates import has_no_template
from airflow_provider_opencx.text import listed
from airflow_provider_opencx.visible_text import identifier, in_quotes, visible_repr

# Jinja is imported where it is used: few tasks start in the triggerer.
if TYPE_CHECKING:
    from datetime import timedelta

    from airflow.sdk import DAG
    from jinja2 import nodes

RENDERS = hasattr(BaseTrigger, "render_template_fields")
"""Whether this Airflow renders templates in the triggerer; since 3.3, which also made starting there work again."""

STARTS = RENDERS or airflow_version.startswith("3.0.")
"""Whether this Airflow starts tasks in the triggerer: 3.1 and 3.2 take the arguments for it, and ignore them."""


def check_start(dag: DAG | None = None, /, **arguments: object) -> None:
    """Check that a task with these templated arguments can start in the triggerer of this Airflow.

    :param dag: the task's Dag, if known.
    :raises OpenCXArgumentError: if it cannot; the message says why and what to do.
    """
    if not STARTS:
        raise OpenCXArgumentError(
            f"start_from_trigger: Airflow {airflow_version} cannot start a task in the triggerer (3.0 and 3.3 can); use"
            " deferrable=True"
        )
    for name, value in arguments.items():
        if not _is_text(value):
            raise OpenCXArgumentError(
                f"{name}: with start_from_trigger, Airflow does not hand on what another task returns; give a string,"
                " or a list of strings, or use deferrable=True"
            )
        for template in _templates(value):
            problem = template_problem(
                template,
                macros=(dag and dag.user_defined_macros) or (),
                filters=(dag and dag.user_defined_filters) or (),
            )
            if problem:
                raise OpenCXArgumentError(f"{name}: {problem}, or use deferrable=True")


def template_problem(template: str, *, macros: Collection[str] = (), filters: Collection[str] = ()) -> str | None:
    """Return why the triggerer of this Airflow cannot render a template, and what to do; ``None`` where it can.

    It renders with Airflow's filters and context, but without what the Dag adds to Jinja: the triggerer has the Dag as
    the database holds it.

    :param template: the text of the template.
    :param macros: the names in the Dag's ``user_defined_macros``.
    :param filters: the names in the Dag's ``user_defined_filters``.
    """
    if not RENDERS:
        return (
            f"Airflow {airflow_version} renders no template in the triggerer (3.3 does); with start_from_trigger,"
            " give the value itself"
        )
    from airflow.sdk.definitions._internal.templater import Templater
    from jinja2 import TemplateSyntaxError, meta, nodes

    try:
        tree = Templater().get_template_env().parse(template)
        if not all(map(_gives_map_indexes, tree.find_all(nodes.Call))):
            return (
                "in the triggerer, Airflow serves xcom_pull only where map_indexes is given; write"
                " \"{{ ti.xcom_pull('agent', map_indexes=-1)['id'] }}\" (-1: not a mapped task)"
            )
        if unknown := {used.name for used in tree.find_all(nodes.Filter)}.intersection(filters):
            return _not_in_triggerer(unknown, "user_defined_filters")
        if unknown := meta.find_undeclared_variables(tree).intersection(macros):
            return _not_in_triggerer(unknown, "user_defined_macros")
    except TemplateSyntaxError as wrong:
        problem = visible_repr(str(wrong.message).rstrip("."), 200)
        return f"the triggerer cannot read the template {in_quotes(template)}: {problem}; correct it"
    return None


def start_trigger_args(arguments: Mapping[str, Any], next_method: str, timeout: timedelta) -> StartTriggerArgs:
    """Return what Airflow starts a task in the triggerer with.

    :param arguments: the arguments of the trigger, except those that differ when no worker starts it.
    :param next_method: the name of the operator's method that continues in a worker, if one has to.
    :param timeout: the time after which Airflow ends the wait.
    """
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in arguments.items()}
    return StartTriggerArgs(
        trigger_cls="airflow_provider_opencx.triggers.phone_number.OpenCXPhoneNumberTrigger",
        trigger_kwargs={**plain, "started_by_worker": False},
        next_method=next_method,
        timeout=timeout,
    )


def _templates(value: object) -> list[str]:
    texts = value if isinstance(value, list | tuple) else [value]
    return [text for text in texts if isinstance(text, str) and not has_no_template(text)]


def _gives_map_indexes(call: nodes.Call) -> bool:
    """Return whether a call is none of xcom_pull, or one for certain map indexes.

    The triggerer does not handle the message that xcom_pull sends otherwise, and the task would wait for ever.
    """
    from jinja2 import nodes

    callee = getattr(call.node, "attr", getattr(call.node, "name", None))
    given = [keyword.value for keyword in call.kwargs if keyword.key == "map_indexes"]
    return callee != "xcom_pull" or (bool(given) and given != [nodes.Const(None)])


def _not_in_triggerer(names: Iterable[str], where: str) -> str:
    return (
        f"the triggerer renders without the Dag's {where}: {listed([*map(identifier, sorted(names))])}; write the value"
        " itself, take it from params"
    )


def _is_text(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(isinstance(element, str) for element in value)
    return value is None or isinstance(value, str)
