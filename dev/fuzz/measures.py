"""Measures the cost of an example: its memory, and the longest time for which anything held the interpreter."""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

TICK = 0.02
"""Seconds between two looks of the watchdog."""

_STATUS = Path("/proc/self/status")


def begin_peak() -> None:
    """Forget the largest memory so far, where the system can; elsewhere it only grows."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak() -> int:
    """Return the largest memory since :func:`begin_peak`, in bytes."""
    with suppress(OSError):
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def resident() -> int:
    """Return the memory that this process has now, in bytes."""
    with suppress(OSError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def open_files() -> int:
    """Return how many file descriptors this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


class Watchdog:
    """Ends an example that does not end, and measures for how long no other thread could run.

    :param abandon: called for an example that lasts too long.
    :param seconds: after which it is called.
    """

    def __init__(self, abandon: Callable[[], None], seconds: float) -> None:
        self._abandon = abandon
        self._seconds = seconds
        self._lock = threading.Lock()
        self._began: float | None = None
        self._has_abandoned = False
        self._longest_pause = 0.0
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def begin(self) -> None:
        """Begin to watch an example."""
        with self._lock:
            self._began, self._has_abandoned, self._longest_pause = time.monotonic(), False, 0.0

    def end(self) -> tuple[bool, float]:
        """Return whether the example had to be ended, and the longest pause in seconds."""
        with self._lock:
            self._began = None
            return self._has_abandoned, self._longest_pause

    def _watch(self) -> None:
        nothing = threading.Event()
        while True:
            at, computed = time.monotonic(), time.process_time()
            nothing.wait(TICK)
            pause, computed = time.monotonic() - at - TICK, time.process_time() - computed
            with self._lock:
                # What this process has not computed for is the pause of a busy machine.
                self._longest_pause = max(self._longest_pause, min(pause, computed))
                is_over = self._began is not None and time.monotonic() - self._began > self._seconds
                self._has_abandoned = self._has_abandoned or is_over
            if is_over:
                self._abandon()
