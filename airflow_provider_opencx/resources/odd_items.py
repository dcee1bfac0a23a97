"""Warns about items of a list that cannot be read."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

from airflow_provider_opencx.client.operation import Operation
from airflow_provider_opencx.client.pagination import Listed
from airflow_provider_opencx.resources.models import ResourceModel

MOST_WARNINGS = 10
"""Items of one list that are warned of one by one."""

log = logging.getLogger(__name__)

_Resource = TypeVar("_Resource", bound=ResourceModel)


def warn_of_odd_items(operation: Operation, items: Listed[_Resource], label: Callable[[_Resource], str]) -> None:
    """Warn of each item that cannot be read, or not in full; of the same one a process warns once.

    :param operation: the operation that returned the list.
    :param items: the list.
    :param label: returns what a message calls an item that can be read.
    """
    odd = [item for item in items if item.unreadable]
    warnings = [f"{label(item)} ({'; '.join([*item.unreadable.values()][:3])})" for item in odd[:MOST_WARNINGS]]
    for warning in [*items.problems, *warnings]:
        _warn_once(f"{operation.method} {operation.path}: cannot be read in full: {warning}")
    more = items.unreadable + len(odd) - len(items.problems) - len(warnings)
    if more:
        _warn_once(f"{operation.method} {operation.path}: {more:,} more items cannot be read in full.")


@lru_cache(maxsize=1000)
def _warn_once(warning: str) -> None:
    """Log a warning, unless this process has: a list is read again and again."""
    log.warning(warning)
