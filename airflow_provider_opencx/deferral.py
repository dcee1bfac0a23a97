"""Limits how long a task stays in the triggerer, because Airflow has one limit for it and not two."""

from __future__ import annotations

from datetime import timedelta

_SHORTEST = 1.0  # Airflow takes no seconds for no timeout


def deferral_timeout(timeout: float, execution_timeout: timedelta | None, used: float = 0.0) -> timedelta:
    """Return after how much time Airflow ends a deferral: the shorter of the two limits of its task.

    :param timeout: seconds to wait at most, from the deferral on.
    :param execution_timeout: the time that a try of the task may take.
    :param used: seconds of the try that are over.
    """
    left = timeout if execution_timeout is None else min(timeout, execution_timeout.total_seconds() - used)
    return timedelta(seconds=max(left, _SHORTEST))


def ends_by_execution_timeout(timeout: float, execution_timeout: timedelta | None) -> bool:
    """Return whether it is ``execution_timeout`` that ends a deferral: Airflow does not say which of the two it was."""
    return execution_timeout is not None and execution_timeout.total_seconds() <= timeout
