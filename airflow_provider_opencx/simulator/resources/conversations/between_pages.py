"""Runs changes between two pages while a client reads the list of conversations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from airflow_provider_opencx.simulator.service import Service


@dataclass
class _Planned:
    change: Callable[[], object]
    after: int
    times: int | None


class BetweenPages:
    """Keeps what is planned, and does it when a page after the first one is asked for.

    :param service: the service whose state it is
    """

    def __init__(self, service: Service) -> None:
        self._planned: list[_Planned] = []
        self._lock = Lock()

    def plan(self, change: Callable[[], object], after: int, times: int | None) -> None:
        """Plan a change.

        :param after: how many pages are shown before it, counted from now on
        :param times: how often it happens, once a page from then on; None is without an end
        """
        with self._lock:
            self._planned.append(_Planned(change, after, times))

    def turn(self) -> None:
        """Do what is due before the next page is read."""
        due = []
        with self._lock:
            for planned in self._planned:
                planned.after -= 1
                if planned.after <= 0 and planned.times != 0:
                    due.append(planned.change)
                    planned.times = None if planned.times is None else planned.times - 1
            self._planned = [planned for planned in self._planned if planned.times != 0]
        for change in due:
            change()
