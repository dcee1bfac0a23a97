"""The simulator's clock, which can be moved forward and runs actions at a later time."""

from __future__ import annotations

import heapq
import re
import threading
from collections.abc import Callable
from itertools import count

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0}
_DURATION = re.compile(r"(?P<amount>[0-9]+(?:\.[0-9]+)?)\s*(?P<unit>ms|s|m)")


def duration(written: str | float) -> float:
    """Return a duration in seconds.

    :param written: seconds as a number, or a text such as ``90s``, ``1.5m`` or ``500ms``; a ValueError otherwise
    """
    if isinstance(written, int | float) and not isinstance(written, bool) and 0 <= written < float("inf"):
        return float(written)
    form = _DURATION.fullmatch(written.strip().lower()) if isinstance(written, str) else None
    if form is None:
        raise ValueError(f"{written!r} is not a duration: write 90 (seconds), 5s, 500ms or 2m.")
    return float(form["amount"]) * _SECONDS[form["unit"]]


class _DueTime(threading.local):
    """The time at which the action that this thread runs was due; None while it runs none."""

    value: float | None = None


class Clock:
    """Counts seconds: those of its source, plus those by which it was advanced.

    Scheduled actions run when ``catch_up()`` is called, in the order of their times. While an action runs, the clock
    shows the time at which it was due, so that the result does not depend on when ``catch_up()`` is called.

    :param source: returns seconds; it may stand still
    """

    def __init__(self, source: Callable[[], float]) -> None:
        self._source = source
        self._offset = 0.0
        self._scheduled: list[tuple[float, int, Callable[[], object]]] = []
        self._order = count()
        self._lock = threading.RLock()
        self._due_time = _DueTime()

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self._source() + self._offset if self._due_time.value is None else self._due_time.value

    def advance(self, seconds: float) -> None:
        """Move the clock forward."""
        with self._lock:
            self._offset += seconds

    def after(self, seconds: float, action: Callable[[], object]) -> None:
        """Schedule an action."""
        with self._lock:
            heapq.heappush(self._scheduled, (self() + seconds, next(self._order), action))

    def catch_up(self) -> None:
        """Run the actions that are due."""
        with self._lock:
            now = self()
            while self._scheduled and self._scheduled[0][0] <= now:
                self._due_time.value, _, action = heapq.heappop(self._scheduled)
                try:
                    action()
                finally:
                    self._due_time.value = None
