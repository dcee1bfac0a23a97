"""Caches reads from the service, so that many viewers share one read."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

from airflow_provider_opencx.exceptions import OpenCXError

FRESH_FOR = 30.0
"""Seconds for which what was read is shown without another read."""

FAILED_FOR = 5.0
"""Seconds for which a failure is shown without another read: somebody who reloads the page sends no more requests."""

KEPT_FOR = 3600.0
"""Seconds for which what was read is shown beside the failure of a later read."""

MOST_KEPT = 50
"""Reads that are kept at most; the one that nobody has asked for longest is dropped."""

MOST_AT_ONCE = 8
"""Reads that run at the same time, each in a thread of its own."""

log = logging.getLogger(__name__)

ValueT = TypeVar("ValueT")


class StillReadingError(OpenCXError):
    """The read takes longer than its callers wait; it continues."""


class TooManyReadsError(OpenCXError):
    """As many reads run as may run at once."""


@dataclass(frozen=True)
class Reading(Generic[ValueT]):
    """The result of a read.

    :param value: what was read; ``None`` if nothing was.
    :param read_at: when the read began that has read it.
    :param error: why the last read failed; ``None`` if it did not, so that the value is fresh.
    """

    value: ValueT | None
    read_at: datetime | None = None
    error: Exception | None = None


class _Entry(Generic[ValueT]):
    def __init__(self) -> None:
        self.value: ValueT | None = None
        self.read_at: datetime | None = None
        self.value_until = self.fresh_until = -1.0
        self.error: Exception | None = None
        self.running: Future[None] | None = None

    def reading(self) -> Reading[ValueT]:
        return Reading(self.value, self.read_at, self.error)


class CachedReads(Generic[ValueT]):
    """Reads each thing at most once at a time, and again when what was read is no longer fresh.

    :param clock: returns the seconds by which what was read gets old.
    :param forgets_after: the errors after which nothing that was read before is shown.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, forgets_after: tuple[type[Exception], ...] = ()
    ) -> None:
        self._clock = clock
        self._forgets_after = forgets_after
        self._lock = threading.Lock()
        self._entries: OrderedDict[Hashable, _Entry[ValueT]] = OrderedDict()

    async def get(self, key: Hashable, read: Callable[[], ValueT], within: float) -> Reading[ValueT]:
        """Return what was read, or read it in a thread. Waiting for it takes no thread of the caller's.

        :param key: what is read; the same key is the same thing.
        :param read: reads it. It must end by itself.
        :param within: seconds to wait at most. The read then continues, and a later caller gets its result.
        """
        entry, running = self._begun(key, read)
        if isinstance(running, OpenCXError):
            return Reading(entry.value, entry.read_at, running)
        if running is not None:
            try:
                await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(running)), within)
            except TimeoutError:
                late = StillReadingError(
                    f"OpenCX has not responded within {within:g} seconds. The read goes on: load the page again."
                )
                return Reading(entry.value, entry.read_at, late)
        return entry.reading()

    def _begun(
        self, key: Hashable, read: Callable[[], ValueT]
    ) -> tuple[_Entry[ValueT], Future[None] | TooManyReadsError | None]:
        """Return an entry, and the read to wait for, which is begun if none runs; ``None`` if it is fresh."""
        with self._lock:
            entry = self._entries.setdefault(key, _Entry())
            self._entries.move_to_end(key)
            self._drop_oldest()
            now = self._clock()
            if entry.running is not None:
                return entry, entry.running
            if now < entry.fresh_until:
                return entry, None
            if now >= entry.value_until:
                entry.value = entry.read_at = None
            if sum(each.running is not None for each in self._entries.values()) >= MOST_AT_ONCE:
                return entry, TooManyReadsError(
                    f"{MOST_AT_ONCE} other connections are being read. Load the page again in some seconds."
                )
            running: Future[None] = Future()
            threading.Thread(target=self._read, args=(entry, running, read), name="opencx-page", daemon=True).start()
            entry.running = running  # the thread waits for the lock before it is done
            return entry, running

    def _read(self, entry: _Entry[ValueT], running: Future[None], read: Callable[[], ValueT]) -> None:
        began_at = datetime.now(UTC)
        error: Exception | None = None
        try:
            value = read()
        except Exception as raised:
            error = raised
        with self._lock:
            now = self._clock()
            entry.error, entry.running = error, None
            entry.fresh_until = now + (FRESH_FOR if error is None else FAILED_FOR)
            if error is None:
                entry.value, entry.read_at, entry.value_until = value, began_at, now + KEPT_FOR
            elif isinstance(error, self._forgets_after):
                entry.value = entry.read_at = None
        running.set_result(None)

    def _drop_oldest(self) -> None:
        for key in [key for key, entry in self._entries.items() if entry.running is None]:
            if len(self._entries) <= MOST_KEPT:
                return
            del self._entries[key]
