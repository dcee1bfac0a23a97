"""The interval of time that a file covers. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.resources.times import with_margin


@dataclass(frozen=True)
class Interval:
    """A half-open interval: what was changed at its start belongs to it, what was changed at its end to the next one.

    :param start: its start, with a time zone.
    :param end: its end, with a time zone.
    :raises OpenCXArgumentError: if a time has no time zone, or the end is not after the start.
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        for argument, time in (("updated_after", self.start), ("updated_before", self.end)):
            if time.tzinfo is None:
                raise OpenCXArgumentError(f"{argument}: must have a time zone")
        if self.end <= self.start:
            raise OpenCXArgumentError(
                f"updated_after, updated_before: {self} is empty, so nothing could ever be in its file"
            )

    def __str__(self) -> str:
        return f"[{self.start.isoformat()}, {self.end.isoformat()})"

    @property
    def asked(self) -> tuple[datetime, datetime]:
        """The bounds to ask the service for."""
        return with_margin(self.start, self.end)
