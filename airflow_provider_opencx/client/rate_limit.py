"""A rate limit that processes share, in a local file or in a Redis.

The limiter and its buckets are pyrate-limiter's. A shared bucket that cannot be used does not stop requests: until it
can be used again, each process keeps to the limit by itself.
"""

from __future__ import annotations

import logging
import math
import os
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Self, cast

from pyrate_limiter import (
    AbstractBucket,
    Duration,
    Rate,
    RateItem,
    RedisBucket,
    SQLiteBucket,
    SQLiteQueries,
)

from airflow_provider_opencx.client.coordination import (
    DIRECTORY,
    digest,
    private_directory,
    redis_label,
)
from airflow_provider_opencx.client.limiters import ProcessLimiter
from airflow_provider_opencx.client.redis_budget import redis_budget
from airflow_provider_opencx.secret import Secret
from airflow_provider_opencx.visible_text import visible_repr

RESPONSE_TIMEOUT = 1.0
"""Seconds that the rate limit waits for a Redis to say when to send, or for a file that another process has locked."""

RETRY_BUCKET_AFTER = 60.0
"""Seconds after which a shared bucket that could not be used is tried again."""

FORK_WAITS_AT_MOST = 10.0
"""Seconds that a fork waits for a thread that asks a shared bucket."""

# A second more than the service's minute: the service counts a request from its arrival.
_WINDOW = int(Duration.MINUTE + Duration.SECOND)
_LONGEST_REASON = 1000  # the path of a folder is in it

_FALLING_BACK = (
    "The extra coordination does not limit requests for now: %s cannot be used. Falling back to a per-process limit;"
    " retrying the shared store every %g seconds. %s: %s"
)
_ALONE = (
    "The extra coordination does not limit the requests of this process, because it was forked while another thread"
    " waited for %s. Falling back to a per-process limit."
)

log = logging.getLogger(__name__)


def shared_limiter(
    coordination: str | Secret, base_url: str, api_key: Secret, requests_per_minute: int
) -> ProcessLimiter:
    """Return a limiter that shares its requests a minute with the limiters of other processes.

    Nothing is opened before the first request.

    :param coordination: ``"machine"``, or the address of a Redis.
    :param base_url: URL of the API; who shares a bucket has the same address, key and rate.
    :param api_key: the key; the name of the bucket is a digest and does not show it.
    :param requests_per_minute: the most requests a minute of all who share.
    """
    name = digest("pacing", base_url, api_key.reveal(), str(requests_per_minute))
    rate = Rate(requests_per_minute, _WINDOW)
    if not isinstance(coordination, Secret):
        file = f"the file {DIRECTORY}/{name}.sqlite of the temporary directory"
        return _SharedLimiter(requests_per_minute, file, lambda: _FileBucket.at(name, rate))
    with suppress(ImportError):  # said where it is used; imported here, where no fork can begin meanwhile
        import airflow_provider_opencx.client.bounded_redis  # noqa: F401
    return _SharedLimiter(
        requests_per_minute, redis_label(coordination), lambda: _RedisBucket.at(coordination, name, rate)
    )


class _SharedLimiter(ProcessLimiter):
    """The limiter of a process, which asks the shared bucket first."""

    def __init__(self, requests_per_minute: int, shared_in: str, open_bucket: Callable[[], AbstractBucket]) -> None:
        self._shared_in = shared_in
        self._open_bucket = open_bucket
        self._bucket: AbstractBucket | None = None
        self._of_parents: list[AbstractBucket | None] = []
        self._is_asked_during_fork = False
        self._is_alone = False
        super().__init__(requests_per_minute)

    def begin_anew(self) -> None:
        self._of_parents.append(self._bucket)  # kept, because its file is not ours to close
        self._bucket = None
        self._one_at_a_time = threading.Lock()
        self._fallback_until = 0.0  # 0 while the bucket responds
        # If a thread of the parent was asking, SQLite may have locks that nobody releases in this process.
        self._is_alone = self._is_alone or self._is_asked_during_fork
        super().begin_anew()

    def before_fork(self) -> None:
        # Each asking thread is done soon, and there may be several. A fork from one of them must not wait forever.
        self._is_asked_during_fork = not self._one_at_a_time.acquire(timeout=FORK_WAITS_AT_MOST)

    def after_fork(self) -> None:
        if not self._is_asked_during_fork:
            self._one_at_a_time.release()

    def try_acquire(
        self, name: str = "request", weight: int = 1, blocking: bool = True, timeout: float = -1
    ) -> bool | Awaitable[bool]:
        ends_at = math.inf if timeout < 0 else time.monotonic() + timeout
        while seconds := self._seconds_to_wait():
            if time.monotonic() + seconds > ends_at:
                return False
            time.sleep(seconds)
        left = timeout if timeout < 0 else max(0.0, ends_at - time.monotonic())
        return super().try_acquire(name, weight, blocking, left)

    def _seconds_to_wait(self) -> float:
        """Return 0 if a request may be sent now, and is counted, or the seconds after which to try again."""
        with self._one_at_a_time:
            if self._is_alone and not self._fallback_until:
                log.warning(_ALONE, self._shared_in)
                self._fallback_until = math.inf
            if time.monotonic() < self._fallback_until:
                return 0
            try:
                with redis_budget(RESPONSE_TIMEOUT):
                    self._bucket = self._bucket or self._open_bucket()
                    seconds = _ask(self._bucket)
            except Exception as error:  # if anything is wrong with the bucket, no request must fail for it
                if not self._fallback_until:
                    log.warning(
                        _FALLING_BACK,
                        self._shared_in,
                        RETRY_BUCKET_AFTER,
                        type(error).__name__,
                        visible_repr(str(error), _LONGEST_REASON),
                    )
                self._drop_bucket()
                self._fallback_until = time.monotonic() + RETRY_BUCKET_AFTER
                return 0
            self._fallback_until = 0.0
            return seconds

    def _drop_bucket(self) -> None:
        bucket, self._bucket = self._bucket, None
        if bucket is not None:
            with suppress(Exception):
                bucket.close()


def _ask(bucket: AbstractBucket) -> float:
    item = RateItem("request", bucket.now())  # type: ignore[no-untyped-call]  # of pyrate-limiter
    if bucket.put(item):
        bucket.leak(item.timestamp)
        return 0
    milliseconds = cast(int, bucket.waiting(item))  # none of these buckets is async
    if milliseconds > 2 * _WINDOW:  # the clock was set back: the counted requests lie in the future
        bucket.flush()
        return 0.001
    return min(milliseconds, _WINDOW) / 1000


class _FileBucket(SQLiteBucket):
    """A bucket in a file, closed by the code that drops it: the garbage collector might do that while a fork begins."""

    @classmethod
    def at(cls, name: str, rate: Rate) -> Self:
        """Return a bucket in the file of a name."""
        file = private_directory() / f"{name}.sqlite"
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
        connection = sqlite3.connect(file, timeout=RESPONSE_TIMEOUT, check_same_thread=False)
        try:
            connection.execute("PRAGMA synchronous = OFF")  # no request should wait for a disk
            connection.execute(SQLiteQueries.CREATE_BUCKET_TABLE.format(table="requests"))
        except BaseException:
            connection.close()
            raise
        return cls([rate], connection, "requests", lock=_WriteLock(connection))

    def close(self) -> None:
        self.conn.close()


class _WriteLock:
    """Keeps other processes from writing between the bucket's count and its own write."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, *error: object) -> None:
        self._connection.rollback()  # which does nothing to what was committed


class _RedisBucket(RedisBucket):
    """A bucket in Redis. It uses the Redis server clock to avoid clock skew between machines."""

    @classmethod
    def at(cls, address: Secret, name: str, rate: Rate) -> Self:
        """Return a bucket in the Redis of an address."""
        # Without IMPORTS, which a fork holds while it waits for this bucket: it is imported where the limiter is made.
        from airflow_provider_opencx.client.bounded_redis import bounded_redis

        redis = bounded_redis(address, RESPONSE_TIMEOUT)
        bucket: Self = cls.init([rate], redis, f"airflow-provider-opencx:pacing:{name}")
        return bucket

    def leak(self, current_timestamp: int | None = None) -> int | Awaitable[int]:
        leaked = super().leak(current_timestamp)
        self.redis.pexpire(self.bucket_key, 2 * _WINDOW)  # an unused bucket is not kept
        return leaked

    def now(self) -> int:
        seconds, microseconds = cast(tuple[int, int], self.redis.time())
        return seconds * 1000 + microseconds // 1000
