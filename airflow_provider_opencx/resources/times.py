"""Times in requests and in responses: bounds of lists, and times of creation and change."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from pydantic import JsonValue

from airflow_provider_opencx.exceptions import OpenCXArgumentError

MARGIN = timedelta(minutes=1)
"""By how much more than it needs the package asks for: whether the service's bounds are inclusive is not known."""


def with_margin(after: datetime, before: datetime) -> tuple[datetime, datetime]:
    """Return the bounds to ask the service for, so that nothing between two times is left out."""
    return _moved(after, -MARGIN), _moved(before, MARGIN)


def _moved(time: datetime, by: timedelta) -> datetime:
    """Return a time that is earlier or later; the same at the ends of the calendar."""
    try:
        return time + by
    except OverflowError:
        return time


def query_of_times(times: Mapping[str, datetime | None]) -> dict[str, str]:
    """Return the parameters of a query by which a list is asked for by time.

    :param times: the parameters; those that are ``None`` are left out.
    :raises OpenCXArgumentError: if a time has no time zone.
    """
    given = {name: time for name, time in times.items() if time is not None}
    for name, time in given.items():
        if time.tzinfo is None:
            raise OpenCXArgumentError(f"{name}: must have a time zone")
    return {name: time.isoformat() for name, time in given.items()}


def time_in(value: JsonValue) -> datetime | None:
    """Return the time that a field of a response says, ``None`` where it says none that can be read.

    :param value: the field: ISO 8601, as on the vendor's pages. Without a time zone it is UTC.
    """
    try:
        time = datetime.fromisoformat(value.strip()) if isinstance(value, str) else None
        return time and (time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC))
    except (ValueError, OverflowError):
        return None
