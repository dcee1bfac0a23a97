"""Shared by the tests of the sensors: the modes of a sensor, and an action that runs when a poll arrives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow_provider_opencx.simulator import Respond

MODES: dict[str, dict[str, Any]] = {
    "poke": {"mode": "poke", "deferrable": False},
    "reschedule": {"mode": "reschedule", "deferrable": False},
    "deferrable": {"deferrable": True},
}


class Now(Respond):
    """Does something as a poll arrives, and lets the service respond."""

    def __init__(self, act: Callable[[], object]) -> None:
        super().__init__(200)
        self.act = act

    async def respond(self, call: Any, handle: Any) -> Any:
        self.act()
        return handle(call)
