"""Times as whole microseconds since the year 1, which sort and compare fast."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias

from airflow_provider_opencx.simulator.timestamps import read_time

Precision: TypeAlias = Literal["seconds", "milliseconds", "microseconds"]

SECOND = 1_000_000
"""One second, in microseconds."""

_BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def moment(text: str) -> int | None:
    """Return a time in ISO 8601; None is no such text."""
    time = read_time(text)
    return None if time is None else (time - _BEGINNING) // _MICROSECOND


def written(time: int, precision: Precision) -> str:
    """Return a time as the API shows it. What is finer than the precision is cut off."""
    shown = (_BEGINNING + timedelta(microseconds=time)).isoformat(timespec=precision)
    return shown.replace("+00:00", "Z")
