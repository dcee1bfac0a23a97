"""The trigger that waits for phone numbers, many tasks with one request an interval."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Hashable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_provider_opencx.api import requests
from airflow_provider_opencx.api.client import AsyncOpenCXClient
from airflow_provider_opencx.exceptions import OpenCXAuthenticationError, OpenCXError
from airflow_provider_opencx.hooks.opencx import OpenCXHook
from airflow_provider_opencx.reconcile import PhoneAgents
from airflow_provider_opencx.waiting import Wait, next_poll_in

SECONDS_TO_SETTLE = 10.0
"""How soon after its start a trigger fires at the earliest.

Airflow fails a task that resumes before its scheduler has heard that the worker let go of it, which takes some five
seconds: apache/airflow issues 71580 and 72716. An agent that has its number already would be such a task.
"""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Snapshot:
    """One poll: all agents or the error for which they could not be read, and when it was made."""

    poll: PhoneAgents | OpenCXError
    taken_at: float


class OpenCXPhoneNumberTrigger(BaseEventTrigger):
    """Fires once, when an agent has its phone number or waiting for it makes no sense any more.

    All triggers of one connection and interval in a triggerer share one stream of polls (Airflow 3.3 and later):
    one ``GET /phone`` an interval, however many tasks wait. On older Airflow each trigger polls for itself.

    The event is plain JSON: ``{"status": "success", "agent": {...}}`` or ``{"status": "error", ...}`` with the
    error; it never holds the key.

    :param opencx_conn_id: the connection.
    :param agent_id: the agent, by its id.
    :param agent_name: the agent, by its name. Give one of the two.
    :param poll_interval: seconds between two polls.
    """

    # Made for deferred tasks, which go to the triggerer of their queue.
    supports_triggerer_queue = True

    def __init__(
        self,
        opencx_conn_id: str,
        agent_id: str | None = None,
        agent_name: str | None = None,
        poll_interval: float = 60.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow does not annotate it
        self.opencx_conn_id = opencx_conn_id
        self.agent_id = agent_id
        self.agent_name = agent_name
        self.poll_interval = poll_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what Airflow makes this trigger again from."""
        return (
            f"{OpenCXPhoneNumberTrigger.__module__}.{OpenCXPhoneNumberTrigger.__qualname__}",
            {
                "opencx_conn_id": self.opencx_conn_id,
                "agent_id": self.agent_id,
                "agent_name": self.agent_name,
                "poll_interval": self.poll_interval,
            },
        )

    def shared_stream_key(self) -> Hashable | None:
        """Return what the triggers that share one stream of polls have in common."""
        return _stream_key(self.opencx_conn_id, self.poll_interval)

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncGenerator[Snapshot]:
        """Poll for ever, an interval apart, and yield each poll.

        Never raises: an error is yielded as a value, for each waiting task to judge.
        """
        conn_id, interval = kwargs["opencx_conn_id"], kwargs["poll_interval"]
        key = _stream_key(conn_id, interval)
        polls = _Polls(conn_id)
        newest: Snapshot | None = None
        try:
            while True:
                snapshot = Snapshot(await polls.poll(), time.monotonic())
                if isinstance(snapshot.poll, OpenCXError):
                    log.warning("Polling for phone numbers over connection %r failed: %s", conn_id, snapshot.poll)
                else:
                    newest = _newest[key] = snapshot
                yield snapshot
                await asyncio.sleep(next_poll_in(interval, snapshot.poll))
        finally:
            if _newest.get(key) is newest:  # and not that of a stream which has taken this one's place
                _newest.pop(key, None)
            await polls.aclose()

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Any]) -> AsyncIterator[TriggerEvent]:
        """Judge each poll for this trigger's agent, and fire once."""
        started = time.monotonic()
        event = await self._first_event(shared_stream)
        if event is not None:
            if self.trigger_id is not None:  # runs in a triggerer, and not in ``dag.test()``
                await asyncio.sleep(started + SECONDS_TO_SETTLE - time.monotonic())
            yield event

    async def _first_event(self, shared_stream: AsyncIterator[Any]) -> TriggerEvent | None:
        wait = Wait(self.agent_id, self.agent_name)
        newest = _newest.get(_stream_key(self.opencx_conn_id, self.poll_interval))
        if newest is not None and time.monotonic() - newest.taken_at < self.poll_interval:
            # Joined a stream that is running: its newest poll is as good as one made now.
            event = _judged(wait, newest)
            if event is not None:
                return event
        async for snapshot in shared_stream:
            event = None if snapshot is newest else _judged(wait, snapshot)
            if event is not None:
                return event
        return None

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait with a stream of its own: what Airflow before 3.3 does, and ``dag.test()``."""
        async with aclosing(self.open_shared_stream(self.serialize()[1])) as stream:
            async for event in self.filter_shared_stream(stream):
                yield event


_newest: dict[Hashable, Snapshot] = {}
"""The newest successful poll of each stream that is running in this process."""


def _stream_key(conn_id: str, interval: float) -> Hashable:
    return ("opencx-phone-agents", conn_id, float(interval))


class _Polls:
    """Polls over one connection, keeping its client from poll to poll."""

    def __init__(self, conn_id: str) -> None:
        # The next poll is the retry.
        self._hook = OpenCXHook(conn_id, max_retries=0)
        self._client: AsyncOpenCXClient | None = None

    async def poll(self) -> PhoneAgents | OpenCXError:
        """Return all agents, or the error for which they could not be read."""
        try:
            try:
                return await self._list()
            except OpenCXAuthenticationError:
                if not await self._key_was_replaced():
                    raise
                return await self._list()
        except OpenCXError as error:
            return error
        except Exception as error:
            # A stream that raises fails every task that waits on it. The connection is read over Airflow's own API,
            # so errors of any kind can come from there.
            log.debug("Polling failed", exc_info=True)
            return OpenCXError(
                f"Polling failed before a request was sent: {type(error).__name__} while connection"
                f" {self._hook.opencx_conn_id!r} was read. The triggerer's log at level DEBUG has the details."
            )

    async def _list(self) -> PhoneAgents:
        if self._client is None:
            self._client = await self._hook.aget_conn()
        agents = await self._client.run(requests.list_phone_agents())
        return await asyncio.to_thread(PhoneAgents, agents)

    async def _key_was_replaced(self) -> bool:
        """Read the connection again, and return whether it is another one than that whose key was rejected.

        A stream may run for days, and a new key should not have to wait for its end.
        """
        rejected = self._client.settings if self._client else None
        await self.aclose()
        self._client = await self._hook.aget_conn()
        return self._client.settings != rejected

    async def aclose(self) -> None:
        """Close the client."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()


def _judged(wait: Wait, snapshot: Snapshot) -> TriggerEvent | None:
    try:
        agent = wait.judge(snapshot.poll)
    except OpenCXError as error:
        return _event({"status": "error", **error.to_event()})
    return None if agent is None else _event({"status": "success", "agent": agent.as_dict()})


def _event(payload: dict[str, Any]) -> TriggerEvent:
    return TriggerEvent(payload)  # type: ignore[no-untyped-call]  # Airflow does not annotate it


def result_of(event: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the agent of an event, or raise its error as it would have been raised in the worker.

    :raises OpenCXError: the error of the event, or one that says that the event is none of this trigger's.
    """
    status = event.get("status") if isinstance(event, Mapping) else None
    agent = event.get("agent") if event is not None and status == "success" else None
    if isinstance(agent, dict) and agent.keys() >= {"id", "name", "phone_number"}:
        return agent
    if event is not None and status == "error":
        raise OpenCXError.from_event(event)
    raise OpenCXError("The trigger ended with an event that is not one of OpenCXPhoneNumberTrigger.")
