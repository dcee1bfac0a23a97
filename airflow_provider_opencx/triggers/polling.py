"""Shared polls: one request per interval for all waiting triggers of a connection in a process."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import ClassVar, Generic, Protocol, TypeAlias, TypeVar, cast

from airflow_provider_opencx.client.client import OpenCXClient
from airflow_provider_opencx.exceptions import (
    OpenCXAuthenticationError,
    OpenCXConfigError,
    OpenCXError,
    OpenCXNoSuchOperationError,
    OpenCXPermissionError,
    OpenCXRateLimitError,
)
from airflow_provider_opencx.triggers.connections import connection_of
from airflow_provider_opencx.visible_text import in_quotes
from airflow_provider_opencx.waiting import next_poll_in

ReadT = TypeVar("ReadT")
ReadT_co = TypeVar("ReadT_co", covariant=True)

log = logging.getLogger(__name__)


class Polled(Protocol[ReadT_co]):
    """The subject of polls. Equal subjects share their polls. All of one kind share a client, and take turns."""

    kind: ClassVar[str]
    """The noun for the kind, such as ``"sequences"``."""

    def __hash__(self) -> int:
        """Return the same for those that share their polls."""

    def __str__(self) -> str:
        """Return what messages call it."""

    def read(self, client: OpenCXClient) -> ReadT_co:
        """Read it: one poll, in a thread."""

    def report_waiting(self, conn_id: str, waiting: int) -> None:
        """Report to the metrics how many of the kind are waited for over a connection."""


@dataclass(frozen=True, eq=False)
class Snapshot(Generic[ReadT]):
    """One poll.

    :param poll: what was read, or the error for which it could not be read.
    :param begun_at: when it began: what was changed before is in it. By ``time.monotonic()``.
    :param taken_at: when it ended.
    """

    poll: ReadT | OpenCXError
    begun_at: float
    taken_at: float


@contextmanager
def waited_for(what: Polled[object], conn_id: str, waiting: int) -> Generator[None]:
    """Count some of a kind as waited for over a connection, for the metrics."""
    _waited_for[what.kind, conn_id] += waiting
    try:
        yield
    finally:
        _waited_for[what.kind, conn_id] -= waiting


_waited_for: Counter[tuple[str, str]] = Counter()


class SharedPolls(Generic[ReadT]):
    """The polls of one thing over one connection, an interval apart, for all who wait in one event loop.

    Nothing runs in the background: one of the waiters sleeps until the next poll is due and makes it, and the others
    then get the same poll. If that waiter leaves, another takes its place.

    :param conn_id: the connection.
    :param interval: seconds between two polls.
    :param what: what is polled.
    """

    def __init__(self, conn_id: str, interval: float, what: Polled[ReadT]) -> None:
        self._key = _key(conn_id, interval, what)
        self._connection = connection_of(conn_id, interval, what.kind)
        self._interval = interval
        self._what = what
        self._newest: Snapshot[ReadT] | None = None
        self._lock = asyncio.Lock()
        self._waiters = 0
        self._end: asyncio.TimerHandle | None = None

    @classmethod
    @asynccontextmanager
    async def join(cls, conn_id: str, interval: float, what: Polled[ReadT]) -> AsyncGenerator[SharedPolls[ReadT]]:
        """Give the polls of something over a connection and at an interval, for as long as one waits for them."""
        polls = cls._of(conn_id, interval, what)
        try:
            yield polls
        finally:
            polls._leave()

    @classmethod
    def _of(cls, conn_id: str, interval: float, what: Polled[ReadT]) -> SharedPolls[ReadT]:
        key = _key(conn_id, interval, what)
        if key not in _shared:
            _forget_closed_loops()
            _shared[key] = cast("SharedPolls[object]", cls(conn_id, interval, what))
        polls = cast("SharedPolls[ReadT]", _shared[key])
        if not polls._waiters:
            polls._connection.join()
        polls._waiters += 1
        if polls._end is not None:
            polls._end.cancel()
        return polls

    def _leave(self) -> None:
        """Wait no longer; the last to leave the polls of a connection closes it.

        The newest poll is kept until the next one is due, so that tasks that come and go do not poll at once each. An
        error is not kept, unless it is a 429: a new waiter may arrive because the cause was fixed.
        """
        self._waiters -= 1
        if not self._waiters:
            if self._newest is not None and not _is_kept(self._newest.poll):
                self._newest = None
            self._report_metrics()
            self._end = asyncio.get_running_loop().call_later(self._due_in(), _shared.pop, self._key, None)
            self._connection.leave()

    async def after(self, seen: Snapshot[ReadT] | None) -> Snapshot[ReadT]:
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

    async def _poll(self) -> Snapshot[ReadT]:
        """Poll when it is the turn of this one among all of the connection."""
        connection, asked_at = self._connection, time.monotonic()
        async with connection.turn:
            if connection.refused_at >= asked_at and connection.refusal is not None:
                return Snapshot(connection.refusal, connection.refused_at, time.monotonic())
            if (pause := connection.paused_until - time.monotonic()) > 0:
                await asyncio.sleep(pause)
            begun_at = time.monotonic()
            poll = await connection.poll(self._what.read)
            if isinstance(poll, OpenCXRateLimitError):
                connection.paused_until = time.monotonic() + next_poll_in(self._interval, poll)
            elif isinstance(poll, _OF_CONNECTION) and poll.is_permanent:
                connection.refusal, connection.refused_at = poll, begun_at
        if isinstance(poll, OpenCXError):
            log.warning("Polling for %s over connection %s failed: %s", self._what, in_quotes(connection.conn_id), poll)
        self._report_metrics()
        return Snapshot(poll, begun_at, time.monotonic())

    def _report_metrics(self) -> None:
        conn_id = self._connection.conn_id
        self._what.report_waiting(conn_id, _waited_for[self._what.kind, conn_id])


_OF_CONNECTION = (
    OpenCXAuthenticationError,
    OpenCXConfigError,
    OpenCXNoSuchOperationError,
    OpenCXPermissionError,
)
"""Errors that every poll over the connection would meet as well, where they are permanent."""


def _is_kept(poll: object) -> bool:
    return not isinstance(poll, OpenCXError) or isinstance(poll, OpenCXRateLimitError)


_Key: TypeAlias = tuple[asyncio.AbstractEventLoop, str, float, Polled[object]]

_shared: dict[_Key, SharedPolls[object]] = {}

_loops: set[asyncio.AbstractEventLoop] = set()
"""The event loops of these polls."""


def _key(conn_id: str, interval: float, what: Polled[object]) -> _Key:
    return asyncio.get_running_loop(), conn_id, float(interval), what


def _forget_closed_loops() -> None:
    """Forget the polls of event loops that are closed, once for each new one."""
    loop = asyncio.get_running_loop()
    if loop in _loops:
        return
    for ended in [key for key in _shared if key[0].is_closed()]:
        del _shared[ended]
    _loops.clear()
    _loops.update({loop}, (key[0] for key in _shared))
