"""Decides which request gets which fault."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from random import Random
from threading import Lock

from airflow_provider_opencx.simulator.call import Call
from airflow_provider_opencx.simulator.faults import Fault


@dataclass
class _PlannedFault:
    fault: Fault
    times: int | None
    probability: float = 1
    random: Random = field(default_factory=Random)

    def occurs(self) -> bool:
        return self.random.random() < self.probability


class FaultPlan:
    """The faults planned for each operation.

    Faults without a probability come first, one after the other in the order in which they were added. If there is
    none, each fault with a probability is drawn with a random generator of its own; of those that occur, the one that
    was added first is taken.
    """

    def __init__(self) -> None:
        self._certain: defaultdict[str, list[_PlannedFault]] = defaultdict(list)
        self._random: defaultdict[str, list[_PlannedFault]] = defaultdict(list)
        self._lock = Lock()

    def add(self, operation: str, fault: Fault, times: int | None, probability: float | None, seed: int | None) -> None:
        """Plan a fault for requests of an operation.

        :param times: how often it occurs; None is until ``heal()``
        :param probability: how likely it is for a request, more than 0 and at most 1; None is certain
        :param seed: the seed of the random generator; only with a probability
        """
        if times is not None and times < 1:
            raise ValueError(f"A fault occurs once or more often, not {times} times.")
        if probability is None and seed is not None:
            raise ValueError("A seed needs a probability.")
        if probability is not None and not 0 < probability <= 1:
            raise ValueError(f"A probability is more than 0 and at most 1, not {probability}.")
        with self._lock:
            if probability is None:
                self._certain[operation].append(_PlannedFault(fault, times))
            else:
                self._random[operation].append(_PlannedFault(fault, times, probability, Random(seed)))  # noqa: S311

    def take(self, call: Call) -> Fault | None:
        """Return the fault that a request meets, if any."""
        with self._lock:
            # Draw each fault for each request, so that one fault does not shift the random numbers of the others.
            for planned in (self._certain[call.operation], self._random[call.operation]):
                occurring = [fault for fault in planned if fault.occurs() and fault.fault.applies_to(call)]
                if occurring:
                    return _use(occurring[0], planned)
            return None

    def heal(self) -> None:
        """Remove all planned faults."""
        with self._lock:
            self._certain.clear()
            self._random.clear()


def _use(planned: _PlannedFault, among: list[_PlannedFault]) -> Fault:
    if planned.times is not None:
        planned.times -= 1
        if planned.times == 0:
            among.remove(planned)
    return planned.fault
