"""Which request meets which fault."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from random import Random
from threading import Lock

from airflow_provider_opencx.simulator.faults import Fault


@dataclass
class _Ordered:
    fault: Fault
    times: int | None
    probability: float
    dice: Random = field(default_factory=Random)

    def happens(self) -> bool:
        return self.probability >= 1 or self.dice.random() < self.probability


class FaultPlan:
    """The faults that are ordered for each operation.

    Certain ones come first, one after the other in the order in which they were ordered. A request that none of
    them waits for may meet one of those that have a probability: each throws its own dice, and of those that hit,
    the one that was ordered first happens.
    """

    def __init__(self) -> None:
        self._certain: defaultdict[str, list[_Ordered]] = defaultdict(list)
        self._chances: defaultdict[str, list[_Ordered]] = defaultdict(list)
        self._lock = Lock()

    def order(
        self, operation: str, fault: Fault, times: int | None, probability: float | None, seed: int | None
    ) -> None:
        """Let requests for an operation fail; ``times`` of None means until healed."""
        if times is not None and times < 1:
            raise ValueError(f"A fault happens once or more often, not {times} times.")
        if probability is None and seed is not None:
            raise ValueError("A seed is for the dice of a probability, and none was given.")
        if probability is not None and not 0 < probability <= 1:
            raise ValueError(f"A probability is more than 0 and at most 1, not {probability}.")
        with self._lock:
            if probability is None:
                self._certain[operation].append(_Ordered(fault, times, 1))
            else:
                self._chances[operation].append(_Ordered(fault, times, probability, Random(seed)))  # noqa: S311

    def take(self, operation: str) -> Fault | None:
        """Return the fault that the next request for an operation meets, if any."""
        with self._lock:
            if certain := self._certain[operation]:
                return _happened(certain[0], certain)
            chances = self._chances[operation]
            hits = [chance for chance in chances if chance.happens()]
            return _happened(hits[0], chances) if hits else None

    def heal(self) -> None:
        """Forget every fault that has not happened yet."""
        with self._lock:
            self._certain.clear()
            self._chances.clear()


def _happened(ordered: _Ordered, among: list[_Ordered]) -> Fault:
    if ordered.times is not None:
        ordered.times -= 1
        if ordered.times == 0:
            among.remove(ordered)
    return ordered.fault
