"""Reads the header Retry-After, and decides how long the client waits."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Self

from airflow_provider_opencx.client.http_date import http_date
from airflow_provider_opencx.exceptions import OpenCXError

MAX_RETRY_AFTER = 60.0
"""Seconds of a Retry-After that the client waits out at most; a longer one is raised, and frees the worker."""

_LONGEST_RETRY_AFTER = 86_400.0
_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")  # whole by the standard, and not so by every service


@dataclass(frozen=True)
class RetryAfter:
    """The time after which the service asks to be asked again.

    :param seconds: until then, a day at most.
    """

    seconds: float

    @classmethod
    def parse(cls, header: str | None) -> Self | None:
        """Read the header, which holds seconds or a date; ``None`` if there is none that can be read."""
        value = (header or "").strip()
        if _SECONDS.fullmatch(value):
            return cls(min(float(value), _LONGEST_RETRY_AFTER))
        date = http_date(value)
        return None if date is None else cls(min(max(0.0, date.timestamp() - time.time()), _LONGEST_RETRY_AFTER))

    @classmethod
    def too_long(cls, error: OpenCXError | None) -> Self | None:
        """Return the wait that an error asks for; ``None`` if it asks for none, or the client waits it out itself."""
        asked = None if error is None or error.retry_after is None else cls(error.retry_after)
        return asked if asked is not None and asked.is_too_long else None

    @property
    def is_too_long(self) -> bool:
        """Whether the client does not wait it out, but raises an error that says how long to wait."""
        return self.seconds > MAX_RETRY_AFTER
