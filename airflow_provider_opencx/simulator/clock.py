"""The simulator's time: a clock that can be moved on, and what is still to be done at a later time."""

from __future__ import annotations

import heapq
import re
import threading
from collections.abc import Callable
from itertools import count

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0}
_DURATION = re.compile(r"(?P<amount>[0-9]+(?:\.[0-9]+)?)\s*(?P<unit>ms|s|m)")


def duration(written: str | float) -> float:
    """Return the seconds of a duration: ``90``, ``90s``, ``1.5m`` or ``500ms``; raises a ValueError for others."""
    if isinstance(written, int | float) and not isinstance(written, bool) and 0 <= written < float("inf"):
        return float(written)
    form = _DURATION.fullmatch(written.strip().lower()) if isinstance(written, str) else None
    if form is None:
        raise ValueError(f"{written!r} is not a duration: write 90 (seconds), 5s, 500ms or 2m.")
    return float(form["amount"]) * _SECONDS[form["unit"]]


class _Moment(threading.local):
    """When an action was due, for the thread that carries it out; for all others it is as late as it is."""

    time: float | None = None


class Clock:
    """Counts seconds as its source does, and so many more as it was moved on.

    Actions that are due later are carried out when somebody asks for it with ``catch_up()``: in the order of their
    times, each as if it were that time, so that nothing depends on when one looks. A source that is moved by hand
    works as well as a real one.
    """

    def __init__(self, source: Callable[[], float]) -> None:
        self._source = source
        self._offset = 0.0
        self._due: list[tuple[float, int, Callable[[], object]]] = []
        self._order = count()
        self._lock = threading.RLock()
        self._moment = _Moment()

    def __call__(self) -> float:
        """Return the time in seconds; while an action is carried out, the time at which it was due."""
        return self._source() + self._offset if self._moment.time is None else self._moment.time

    def advance(self, seconds: float) -> None:
        """Move on."""
        with self._lock:
            self._offset += seconds

    def after(self, seconds: float, action: Callable[[], object]) -> None:
        """Let something be done so many seconds from now."""
        with self._lock:
            heapq.heappush(self._due, (self() + seconds, next(self._order), action))

    def catch_up(self) -> None:
        """Carry out what is due."""
        with self._lock:
            now = self()
            while self._due and self._due[0][0] <= now:
                self._moment.time, _, action = heapq.heappop(self._due)
                try:
                    action()
                finally:
                    self._moment.time = None
