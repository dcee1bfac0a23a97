"""Lets the workers of a run take turns, in simulated time."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from random import Random


class TimeIsUp(BaseException):
    """The time that a worker was given is over. No ``except Exception`` of the code under test holds it up."""


@dataclass
class _Worker:
    name: str
    deadline: float = math.inf


class Stage:
    """Lets one worker act at a time; whose turn is next is drawn, so every interleaving can be had and had again.

    Time moves on only when all workers sleep: then it is the moment at which the first of them wakes.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._draws = Random()  # noqa: S311 - no secret hangs on it
        self._wakes_at: dict[str, float] = {}
        self._acting: str | None = None
        self._changed = threading.Condition()
        # What a worker calls in a thread of its own acts as that worker.
        self._worker: ContextVar[_Worker | None] = ContextVar("worker", default=None)

    def begin(self, draws: Random) -> None:
        """Begin another run, in which chance comes from ``draws``."""
        self.now = 0.0
        self._draws = draws

    def clock(self) -> float:
        """Return the seconds since the run began."""
        return self.now

    def perform(self, parts: Mapping[str, Callable[[], None]]) -> None:
        """Play all parts to their ends; raises what escaped from one of them."""
        self._wakes_at = dict.fromkeys(parts, self.now)
        with ThreadPoolExecutor(len(parts)) as threads:
            played = [threads.submit(self._play, name, part) for name, part in parts.items()]
            self._give_the_turn()
        for part in played:
            part.result()

    def sleep(self, seconds: float) -> None:
        """Let others act, and go on after so many seconds at the earliest."""
        worker = self._worker.get()
        if worker is None:  # not one of several workers
            self.now += max(0.0, seconds)
            return
        self._wakes_at[worker.name] = self.now + max(0.0, seconds)
        self._give_the_turn()
        self._wait_for_the_turn(worker.name)
        if self.now > worker.deadline:
            raise TimeIsUp

    @contextmanager
    def deadline(self, seconds: float) -> Generator[None]:
        """Raise :class:`TimeIsUp` from the first sleep that ends later than so many seconds from now."""
        worker = self._worker.get() or _Worker("")
        worker.deadline = self.now + seconds
        try:
            yield
        finally:
            worker.deadline = math.inf

    def _play(self, name: str, part: Callable[[], None]) -> None:
        self._worker.set(_Worker(name))
        self._wait_for_the_turn(name)
        try:
            part()
        finally:
            del self._wakes_at[name]
            self._give_the_turn()

    def _give_the_turn(self) -> None:
        with self._changed:
            self.now = max(self.now, min(self._wakes_at.values(), default=self.now))
            awake = [name for name, at in self._wakes_at.items() if at <= self.now]
            self._acting = self._draws.choice(awake) if awake else None
            self._changed.notify_all()

    def _wait_for_the_turn(self, name: str) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._acting == name)
