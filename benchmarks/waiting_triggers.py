"""The triggers with which the benchmark of waiting compares this provider's trigger.

The HTTP provider has no trigger that reads a response for a deferred task, so those are what a user of it would
write: with its own hook, and as little code as does it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from airflow.exceptions import AirflowException
from airflow.providers.http.hooks.http import HttpAsyncHook
from airflow.providers.http.triggers.http import HttpSensorTrigger
from airflow.triggers.base import BaseTrigger, TriggerEvent

TICK = 0.005
"""Seconds between two readings of the meter's clock."""


class SleepingTrigger(BaseTrigger):
    """Sleeps and asks nobody: what waiting costs of which nothing can be saved.

    :param until: when it fires, in seconds of the Unix clock.
    """

    def __init__(self, until: float) -> None:
        super().__init__()
        self.until = until

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what Airflow makes this trigger again from."""
        return _classpath(self), {"until": self.until}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Sleep and fire."""
        await asyncio.sleep(self.until - time.time())
        yield TriggerEvent({"status": "success"})


class HttpNumberTrigger(HttpSensorTrigger):
    """``HttpSensorTrigger`` as it is, with a hook that sees the number.

    That trigger fires at the first response that is not a 404, so until there is a number the hook calls the response one.

    :param agent_id: the agent that is waited for.
    """

    def __init__(self, agent_id: str, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.agent_id = agent_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what Airflow makes this trigger again from."""
        return _classpath(self), {"agent_id": self.agent_id, **super().serialize()[1]}

    def _get_async_hook(self) -> HttpAsyncHook:
        return _NumberHook(self.agent_id, method=self.method, http_conn_id=self.http_conn_id)


class _NumberHook(HttpAsyncHook):
    def __init__(self, agent_id: str, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.agent_id = agent_id

    async def run(self, **request: Any) -> aiohttp.ClientResponse:
        response = await super().run(**request)
        if not _number(await response.json(), self.agent_id):
            raise AirflowException("404: no number yet")
        return response


class PerTaskTrigger(BaseTrigger):
    """The pattern of the common providers at its best: each task has a loop and a session of its own, which is kept.

    A poll that fails is followed by the next, an interval later.

    :param agent_id: the agent that is waited for.
    :param poll_interval: seconds between two polls.
    """

    def __init__(self, agent_id: str, poll_interval: float) -> None:
        super().__init__()
        self.agent_id = agent_id
        self.poll_interval = poll_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what Airflow makes this trigger again from."""
        return _classpath(self), {"agent_id": self.agent_id, "poll_interval": self.poll_interval}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll until the agent has its number."""
        async with HttpAsyncHook(method="GET", http_conn_id="http_default").session() as http:
            while True:
                try:
                    response = await http.run("phone")
                    number = _number(await response.json(), self.agent_id)
                except aiohttp.ClientError as error:
                    self.log.warning("Polling failed: %s", error)
                    number = None
                if number:
                    yield TriggerEvent({"status": "success", "phone_number": number})
                    return
                await asyncio.sleep(self.poll_interval)


class Meter(BaseTrigger):
    """Measures for how long the event loop that it runs in is blocked, and says so once a second."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what Airflow makes this trigger again from."""
        return _classpath(self), {}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield the seconds of the longest block so far, for ever."""
        loop = asyncio.get_running_loop()
        longest = 0.0
        while True:
            said = loop.time()
            while (ticked := loop.time()) - said < 1:
                await asyncio.sleep(TICK)
                longest = max(longest, loop.time() - ticked - TICK)
            yield TriggerEvent(longest)


def _classpath(trigger: BaseTrigger) -> str:
    return f"{type(trigger).__module__}.{type(trigger).__qualname__}"


def _number(agents: list[dict[str, Any]], agent_id: str) -> str | None:
    return next((agent["phone_number"] for agent in agents if agent["id"] == agent_id), None)
