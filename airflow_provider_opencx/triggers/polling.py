"""Polls that are shared: one ``GET /phone`` an interval for each connection, however many in a process wait."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from asgiref.sync import sync_to_async

from airflow_provider_opencx import metrics
from airflow_provider_opencx.client.client import OpenCXClient
from airflow_provider_opencx.client.settings import ClientSettings
from airflow_provider_opencx.exceptions import OpenCXAuthenticationError, OpenCXError, OpenCXRateLimitError
from airflow_provider_opencx.hooks.opencx import OpenCXHook, connection_not_found
from airflow_provider_opencx.masking import mask_secrets
from airflow_provider_opencx.phone_agents.listing import list_agents
from airflow_provider_opencx.phone_agents.plan import PhoneAgents
from airflow_provider_opencx.phone_agents.waiting import next_poll_in
from airflow_provider_opencx.secret import forget_locals
from airflow_provider_opencx.triggers.threads import in_thread
from airflow_provider_opencx.visible_text import in_quotes

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One poll.

    :param poll: all agents, or the error for which they could not be read.
    :param begun_at: when it began: what was changed before is in it. By ``time.monotonic()``.
    :param taken_at: when it ended.
    """

    poll: PhoneAgents | OpenCXError
    begun_at: float
    taken_at: float


@contextmanager
def waited_for(conn_id: str, agents: int) -> Generator[None]:
    """Count agents as waited for over a connection, for the metrics."""
    _waited_for[conn_id] += agents
    try:
        yield
    finally:
        _waited_for[conn_id] -= agents


_waited_for: Counter[str] = Counter()


class SharedPolls:
    """The polls of one connection, an interval apart, for all who wait in one event loop.

    Nothing runs in the background: one of the waiters sleeps until the next poll is due and makes it, and the others
    then get the same poll. If that waiter leaves, another takes its place.

    :param conn_id: the connection.
    :param interval: seconds between two polls.
    """

    def __init__(self, conn_id: str, interval: float) -> None:
        self._key = _key(conn_id, interval)
        self._connection = _PolledConnection(conn_id)
        self._interval = interval
        self._newest: Snapshot | None = None
        self._lock = asyncio.Lock()
        self._waiters = 0
        self._end: asyncio.TimerHandle | None = None

    @classmethod
    @asynccontextmanager
    async def join(cls, conn_id: str, interval: float) -> AsyncGenerator[SharedPolls]:
        """Give the polls of a connection and an interval, for as long as one waits for them."""
        polls = cls._of(conn_id, interval)
        try:
            yield polls
        finally:
            polls._leave()

    @classmethod
    def _of(cls, conn_id: str, interval: float) -> SharedPolls:
        key = _key(conn_id, interval)
        if key not in _shared:
            for ended in [other for other in _shared if other[0].is_closed()]:
                del _shared[ended]
            _shared[key] = cls(conn_id, interval)
        polls = _shared[key]
        polls._waiters += 1
        if polls._end is not None:
            polls._end.cancel()
        return polls

    def _leave(self) -> None:
        """Wait no longer; the last to leave closes the connection.

        The newest poll is kept until the next one is due, so that tasks that come and go do not poll at once each. An
        error is not kept, unless it is a 429: a new waiter may arrive because the cause was fixed.
        """
        self._waiters -= 1
        if not self._waiters:
            if self._newest is not None and not _is_kept(self._newest.poll):
                self._newest = None
            self._report_metrics()
            self._end = asyncio.get_running_loop().call_later(self._due_in(), _shared.pop, self._key, None)
            self._connection.close()

    async def after(self, seen: Snapshot | None) -> Snapshot:
        """Return the next poll after the one seen last, waiting until it is due.

        Never raises an error of the poll: the snapshot then holds it, for each waiter to evaluate.

        :param seen: ``None`` for a new waiter, who gets the next poll as well: at once if there was none yet.
        """
        seen = self._newest if seen is None else seen
        if self._newest is None or self._newest is seen:
            async with self._lock:
                if self._newest is None or self._newest is seen:
                    if self._newest is not None:
                        await asyncio.sleep(self._due_in())
                    self._newest = await self._poll()
        return self._newest

    def _due_in(self) -> float:
        if self._newest is None:
            return 0.0
        due_at = self._newest.taken_at + next_poll_in(self._interval, self._newest.poll)
        return max(0.0, due_at - time.monotonic())

    async def _poll(self) -> Snapshot:
        begun_at = time.monotonic()
        poll = await self._connection.poll()
        if isinstance(poll, OpenCXError):
            log.warning(
                "Polling for phone numbers over connection %s failed: %s", in_quotes(self._connection.conn_id), poll
            )
        self._report_metrics()
        return Snapshot(poll, begun_at, time.monotonic())

    def _report_metrics(self) -> None:
        conn_id = self._connection.conn_id
        metrics.gauge_waiting_agents(conn_id, _waited_for[conn_id])


def _is_kept(poll: PhoneAgents | OpenCXError) -> bool:
    return isinstance(poll, PhoneAgents | OpenCXRateLimitError)


_Key: TypeAlias = tuple[asyncio.AbstractEventLoop, str, float]

_shared: dict[_Key, SharedPolls] = {}


def _key(conn_id: str, interval: float) -> _Key:
    return asyncio.get_running_loop(), conn_id, float(interval)


class _PolledConnection:
    """Lists the agents over one connection, keeping its client from poll to poll."""

    def __init__(self, conn_id: str) -> None:
        self.conn_id = conn_id
        # The next poll is the retry.
        self._hook = OpenCXHook(conn_id, max_retries=0)
        self._client: _Client | None = None

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
            # What is raised here would end the waiting of every task. The connection is read over Airflow's own API, so
            # errors of any kind can come from there.
            log.debug("Polling failed", exc_info=True)
            return OpenCXError(
                f"Polling over connection {in_quotes(self.conn_id)} failed with {type(error).__name__}. The triggerer's"
                " log at level DEBUG has the details."
            )

    async def _list(self) -> PhoneAgents:
        if self._client is None:
            self._client = await self._open()
        return await in_thread(self._client.list_agents)

    async def _open(self) -> _Client:
        # Only HTTP has threads of its own: triggerers of Airflow 3.0 and 3.1 serve what is asked from their own loop
        # alone. What asks Airflow is shielded, because a call that is cancelled half-way ends these triggerers.
        # Not aget_connection, before Airflow 3.3.2: it masks the connection's secrets from within the event loop.
        # The metrics come first, because what fails here is counted as well.
        await sync_to_async(metrics.prepare, thread_sensitive=False)()
        try:
            settings = await self._read_settings()
        except BaseException as error:
            forget_locals(error)
            raise
        # Loading the certificates takes up to a tenth of a second.
        return await in_thread(partial(_Client, settings))

    async def _read_settings(self) -> ClientSettings:
        try:
            connection = await asyncio.shield(sync_to_async(self._hook.get_connection)(self.conn_id))
        except Exception as error:
            raise connection_not_found(self.conn_id, error) from None
        settings = self._hook.settings_of(connection)
        # Airflow sends the secret to the process that writes the log; the event loop must not wait for that.
        await asyncio.shield(sync_to_async(mask_secrets)(settings.secrets))
        return settings

    async def _key_was_replaced(self) -> bool:
        """Read the connection again, and return whether it differs from the one whose key was rejected.

        Polling may go on for days, and a new key must take effect meanwhile.
        """
        rejected = self._client.settings if self._client else None
        self.close()
        self._client = await self._open()
        return self._client.settings != rejected

    def close(self) -> None:
        """Close the client, as soon as no thread uses it."""
        client, self._client = self._client, None
        if client is not None:
            client.close()


class _Client:
    """A client whose calls may be abandoned: it is closed when the last of them has ended.

    A socket must not be closed while a thread reads from it: its number may be that of another socket by then.
    """

    def __init__(self, settings: ClientSettings) -> None:
        self.settings = settings
        self._client = OpenCXClient(settings, metrics.count_attempt)
        self._lock = threading.Lock()
        self._calls = 0
        self._is_closed = False

    def list_agents(self) -> PhoneAgents:
        """List the agents, in the thread that calls."""
        with self._lock:
            self._calls += 1
        try:
            return list_agents(self._client)
        finally:
            self._end(calls=1)

    def close(self) -> None:
        """Close the connections, now or with the end of the last call. Does not wait for it."""
        self._is_closed = True
        self._end(calls=0)

    def _end(self, *, calls: int) -> None:
        with self._lock:
            self._calls -= calls
            if self._is_closed and not self._calls:
                self._client.close()
