"""What can be checked while a Dag is parsed: every argument that holds no template."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager

from airflow_provider_opencx.exceptions import OpenCXArgumentError

_PLAIN = (bool, int, float, type(None))
_JINJA = ("{{", "{%", "{#")


def has_no_template(value: object) -> bool:
    """Return whether a value reaches the task unchanged: no Jinja, XComArg or other reference anywhere in it."""
    try:
        return _has_no_template(value)
    except RecursionError:
        return True  # what is nested without end is for the check that follows to refuse


def _has_no_template(value: object) -> bool:
    if isinstance(value, str):
        return not any(mark in value for mark in _JINJA)
    if isinstance(value, Mapping):
        return all(_has_no_template(part) for item in value.items() for part in item)
    if isinstance(value, list | tuple):
        return all(_has_no_template(part) for part in value)
    return isinstance(value, _PLAIN)


@contextmanager
def task_named(task_id: str) -> Generator[None]:
    """Put the task's id before the message of an ``OpenCXArgumentError``: Airflow's import error has only that."""
    try:
        yield
    except OpenCXArgumentError as wrong:
        raise OpenCXArgumentError(f"Task {task_id!r}: {wrong}") from None
