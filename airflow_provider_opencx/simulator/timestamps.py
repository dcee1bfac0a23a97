"""Writes times in the format of the service."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_opencx.simulator.service import Service


def timestamp(before: str | None = None) -> str:
    """Return the time, always later than that of the change before: of two states of an item, one is the newer."""
    return _written(datetime.now(UTC), before)


class Calendar:
    """Gives the time of the simulator's clock: at first that of this machine, and from then on as the clock has it.

    :param service: the service whose clock it is
    """

    def __init__(self, service: Service) -> None:
        self._clock = service.clock
        self.set(datetime.now(UTC))

    def set(self, time: datetime) -> None:
        """Say what time it is."""
        self._seconds, self._time = self._clock(), time

    def now(self) -> datetime:
        """Return the time."""
        return self._time + timedelta(seconds=self._clock() - self._seconds)

    def timestamp(self, before: str | None = None) -> str:
        """Return the time, always later than that of the change before."""
        return _written(self.now(), before)


def read_time(text: str) -> datetime | None:
    """Return a time in ISO 8601, in UTC unless it says otherwise; None is no such text."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _written(time: datetime, before: str | None) -> str:
    if before is not None:
        time = max(time, datetime.fromisoformat(before) + timedelta(milliseconds=1))
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
