"""Limits one use of a Redis by the rate limit or the locks: one deadline, and one limit of bytes."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

MAX_BYTES_READ = 1_000_000
"""The most bytes that are read within one budget; what is asked for takes a few hundred."""


class RedisBudget:
    """The remaining time and bytes.

    :param seconds: until the deadline.
    """

    def __init__(self, seconds: float) -> None:
        self._ends_at = time.monotonic() + seconds
        self._bytes_left = MAX_BYTES_READ

    @staticmethod
    def current() -> RedisBudget:
        """Return the budget that this code runs in: nothing is asked of a Redis without one."""
        return _current.get()

    def seconds_left(self) -> float:
        """Return the seconds until the deadline.

        :raises TimeoutError: if it has passed.
        """
        seconds = self._ends_at - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("the Redis did not respond in time")
        return seconds

    def count(self, size: int) -> None:
        """Count bytes that were read.

        :raises OSError: if they are too many.
        """
        self._bytes_left -= size
        if self._bytes_left < 0:
            raise OSError(f"the Redis sent more than {MAX_BYTES_READ:,} bytes")


_current: ContextVar[RedisBudget] = ContextVar("opencx_redis_budget")


@contextmanager
def redis_budget(seconds: float) -> Generator[None]:
    """Give all that is asked of a Redis within this block one :class:`RedisBudget`.

    :param seconds: until the deadline. What has not ended then raises redis-py's ``TimeoutError``.
    """
    outer = _current.set(RedisBudget(seconds))
    try:
        yield
    finally:
        _current.reset(outer)
