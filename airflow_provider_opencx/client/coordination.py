"""Pacing across processes: a limiter that asks a bucket which it shares with others, and then its own.

The buckets are pyrate-limiter's, in a file of this machine or in a Redis. A bucket that cannot be asked holds up
nothing: until it can be asked again, the process paces itself.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import stat
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path
from typing import Self, cast
from urllib.parse import urlsplit

from pyrate_limiter import (
    AbstractBucket,
    Duration,
    InMemoryBucket,
    Limiter,
    Rate,
    RateItem,
    RedisBucket,
    SQLiteBucket,
    SQLiteQueries,
)

PATIENCE = 1.0
"""Seconds that one request waits for a shared bucket to answer."""

ASK_AGAIN_AFTER = 60.0
"""Seconds for which a bucket that could not be asked is left alone."""

# A second more than the service's minute: a request that takes its time to arrive counts there from its arrival.
_WINDOW = int(Duration.MINUTE + Duration.SECOND)

_DIRECTORY = f"airflow-provider-opencx-{os.geteuid()}"

_ALONE = (
    "The extra pacing has no effect for now: %s cannot be used. This process paces itself, and looks again every %g"
    " seconds. %s: %s"
)

log = logging.getLogger(__name__)


def shared_limiter(pacing: str, base_url: str, api_key: str, requests_per_minute: int) -> Limiter:
    """Return a limiter that shares its requests a minute with the limiters of other processes.

    Nothing is opened before the first request.

    :param pacing: ``"machine"``, or the address of a Redis.
    :param base_url: URL of the API; who shares a bucket has the same address, key and rate.
    :param api_key: the key; it cannot be told from the name of the bucket.
    :param requests_per_minute: the most requests a minute of all who share.
    """
    told_apart = ("airflow-provider-opencx pacing", base_url, api_key, str(requests_per_minute))
    name = sha256("\0".join(told_apart).encode()).hexdigest()[:32]
    rate = Rate(requests_per_minute, _WINDOW)
    if pacing == "machine":
        file = f"the file {_DIRECTORY}/{name}.sqlite of the temporary directory"
        return _SharedLimiter(requests_per_minute, file, lambda: _file_bucket(name, rate))
    redis = f"the Redis at {urlsplit(pacing).hostname}"
    return _SharedLimiter(requests_per_minute, redis, lambda: _RedisBucket.at(pacing, name, rate))


class _SharedLimiter(Limiter):
    """The limiter of a process, which asks the shared bucket first."""

    def __init__(self, requests_per_minute: int, shared_in: str, open_bucket: Callable[[], AbstractBucket]) -> None:
        super().__init__(InMemoryBucket([Rate(requests_per_minute, Duration.MINUTE)]))
        self._shared_in = shared_in
        self._open_bucket = open_bucket
        self._bucket: AbstractBucket | None = None
        self._one_at_a_time = threading.Lock()
        self._alone_until = 0.0  # 0 while the bucket answers

    def try_acquire(
        self, name: str = "request", weight: int = 1, blocking: bool = True, timeout: float = -1
    ) -> bool | Awaitable[bool]:
        while seconds := self._seconds_to_wait():
            time.sleep(seconds)
        return super().try_acquire(name, weight, blocking, timeout)

    async def try_acquire_async(
        self,
        name: str = "request",
        weight: int = 1,
        blocking: bool = True,
        timeout: float = -1,  # noqa: ASYNC109  # as in Limiter
    ) -> bool:
        while seconds := await asyncio.to_thread(self._seconds_to_wait):  # noqa: ASYNC110  # no other process sets an Event
            await asyncio.sleep(seconds)
        return await super().try_acquire_async(name, weight, blocking, timeout)

    def _seconds_to_wait(self) -> float:
        """Return 0 if a request may be sent now, and is counted, or else when to ask again."""
        with self._one_at_a_time:
            if time.monotonic() < self._alone_until:
                return 0
            try:
                self._bucket = self._bucket or self._open_bucket()
                seconds = _ask(self._bucket)
            except Exception as error:  # whatever is wrong with the bucket, the request is not to suffer for it
                if not self._alone_until:
                    log.warning(_ALONE, self._shared_in, ASK_AGAIN_AFTER, type(error).__name__, error)
                self._bucket, self._alone_until = None, time.monotonic() + ASK_AGAIN_AFTER
                return 0
            self._alone_until = 0.0
            return seconds


def _ask(bucket: AbstractBucket) -> float:
    item = RateItem("request", bucket.now())  # type: ignore[no-untyped-call]  # of pyrate-limiter
    if bucket.put(item):
        bucket.leak(item.timestamp)
        return 0
    milliseconds = cast(int, bucket.waiting(item))  # none of these buckets is async
    if milliseconds > 2 * _WINDOW:  # the clock was set back: what is noted lies in the future
        bucket.flush()
        return 0.001
    return min(milliseconds, _WINDOW) / 1000


def _file_bucket(name: str, rate: Rate) -> SQLiteBucket:
    file = _private_directory() / f"{name}.sqlite"
    file.touch(mode=0o600)
    connection = sqlite3.connect(file, timeout=PATIENCE, check_same_thread=False)
    connection.execute("PRAGMA synchronous = OFF")  # no request should wait for a disk
    connection.execute(SQLiteQueries.CREATE_BUCKET_TABLE.format(table="requests"))
    return SQLiteBucket([rate], connection, "requests", lock=_WriteLock(connection))


def _private_directory() -> Path:
    """Return a directory that no other user can have put there, or can write to."""
    directory = Path(tempfile.gettempdir()) / _DIRECTORY
    directory.mkdir(mode=0o700, exist_ok=True)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise PermissionError(f"{directory} is not a directory of this user alone")
    return directory


class _WriteLock:
    """Keeps other processes from writing between the bucket's count and its own write."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, *error: object) -> None:
        self._connection.rollback()  # which does nothing to what was committed


class _RedisBucket(RedisBucket):
    """A bucket in Redis that goes by the clock of Redis: those of the machines may differ."""

    @classmethod
    def at(cls, address: str, name: str, rate: Rate) -> Self:
        """Return a bucket in the Redis of an address."""
        from redis import Redis

        # Before its version 6, redis-py does not check whose certificate it is.
        tls = {"ssl_check_hostname": True} if urlsplit(address).scheme == "rediss" else {}
        client = Redis.from_url(address, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE, **tls)
        bucket: Self = cls.init([rate], client, f"airflow-provider-opencx:pacing:{name}")
        return bucket

    def leak(self, current_timestamp: int | None = None) -> int | Awaitable[int]:
        leaked = super().leak(current_timestamp)
        self.redis.pexpire(self.bucket_key, 2 * _WINDOW)  # what nobody asks any more is not kept
        return leaked

    def now(self) -> int:
        seconds, microseconds = cast(tuple[int, int], self.redis.time())
        return seconds * 1000 + microseconds // 1000
