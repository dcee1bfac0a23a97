"""Finds what Airflow renders as a Jinja template, and checks it while a Dag is parsed."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from typing import TYPE_CHECKING

from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.visible_text import identifier, in_quotes, visible_repr

# Jinja is imported where it is used: most arguments hold no template.
if TYPE_CHECKING:
    from airflow.sdk import DAG
    from jinja2 import Environment

_PLAIN = (bool, int, float, date, timedelta, type(None))
_MARKS = {"variable_start_string": "{{", "block_start_string": "{%", "comment_start_string": "{#"}
_MARKS_OF_LINES = ("line_statement_prefix", "line_comment_prefix")

WRITE_BRACES = (
    "Airflow renders text in double braces. To send the braces unchanged, write {% raw %}{{ name }}{% endraw %},"
    " or {{ '{{ name }}' }}, or airflow.sdk.literal('{{ name }}'); nothing in a fleet file is rendered."
)
"""The ways to write braces that the service, and not Airflow, is to read."""


def marks_of(dag: DAG | None) -> tuple[str, ...]:
    """Return what a template begins with in the texts of a Dag; it may have other marks than Jinja's own.

    :param dag: the Dag, ``None`` where it is not known.
    """
    options = (dag.jinja_environment_kwargs if dag is not None else None) or {}
    marks = [str(options.get(name) or default) for name, default in _MARKS.items()]
    return (*marks, *(str(options[name]) for name in _MARKS_OF_LINES if options.get(name)))


def has_no_template(value: object, marks: Sequence[str] = tuple(_MARKS.values())) -> bool:
    """Return whether a value reaches the task unchanged: no Jinja, XComArg or other reference anywhere in it.

    :param value: an argument of an operator, or a part of one.
    :param marks: what a template begins with, see :func:`marks_of`.
    """
    try:
        return _has_no_template(value, marks)
    except RecursionError:
        return True  # what is nested without end is for the check that follows to refuse


def _has_no_template(value: object, marks: Sequence[str]) -> bool:
    if isinstance(value, str):
        return not any(mark in value for mark in marks)
    if isinstance(value, Mapping):
        return all(_has_no_template(part, marks) for item in value.items() for part in item)
    if isinstance(value, list | tuple):
        return all(_has_no_template(part, marks) for part in value)
    return isinstance(value, _PLAIN)


def check_templates(where: str, value: object, environment: Environment) -> None:
    """Check that every template in a value can be parsed.

    :param where: the argument, for the message.
    :param value: its value.
    :param environment: the Dag's own, where the Dag is known: it may have other marks, filters and extensions.
    :raises OpenCXArgumentError: naming what is wrong with the first one that cannot, and the ways to write braces.
    """
    if isinstance(value, str):
        _check_template(where, value, environment)
    elif isinstance(value, Mapping):
        for name, part in value.items():
            key = identifier(str(name))
            check_templates(f"{where}.{key}" if where else key, part, environment)
    elif isinstance(value, list | tuple):
        for part in value:
            check_templates(where, part, environment)


def _check_template(where: str, text: str, environment: Environment) -> None:
    from jinja2 import TemplateSyntaxError, nodes

    try:
        tree = environment.parse(text)
    except TemplateSyntaxError as wrong:
        problem = f"{visible_repr(str(wrong.message).rstrip('.'), 200)}, in line {wrong.lineno}"
    else:
        filters = {
            f"filter is named {in_quotes(node.name)}"
            for node in tree.find_all(nodes.Filter)
            if node.name not in environment.filters
        }
        tests = {
            f"test is named {in_quotes(node.name)}"
            for node in tree.find_all(nodes.Test)
            if node.name not in environment.tests
        }
        if not filters | tests:
            return
        problem = f"no {min(filters | tests)}"
    raise OpenCXArgumentError(f"{where}: the template cannot be parsed: {problem}. {WRITE_BRACES}")


@contextmanager
def task_named(task_id: str) -> Generator[None]:
    """Put the task's id before the message of an ``OpenCXArgumentError``: Airflow's import error has only that."""
    try:
        yield
    except OpenCXArgumentError as wrong:
        raise OpenCXArgumentError(f"Task {in_quotes(task_id)}: {wrong}") from None
