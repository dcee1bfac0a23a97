"""What processes share that keep to one rate limit and take turns: a directory of this machine, or a Redis."""

from __future__ import annotations

import os
import stat
import tempfile
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from airflow_provider_opencx.secret import Secret

if TYPE_CHECKING:
    from redis import Redis

DIRECTORY = f"airflow-provider-opencx-{os.geteuid()}"
"""The name of the directory, within the one for temporary files."""

RESPONSE_TIMEOUT = 1.0
"""Seconds that the rate limit waits for a Redis to say when to send, or for a file that another process has locked."""

MAX_BYTES_READ = 1_000_000
"""Bytes that an operation reads from a Redis at most; what it asks for takes a few hundred."""


def digest(*parts: str) -> str:
    """Return a name for a file or a key that shows nothing of what it is made from."""
    return sha256("\0".join(("airflow-provider-opencx", *parts)).encode()).hexdigest()[:32]


def private_directory() -> Path:
    """Return a directory that no other user can have put there, or can write to.

    :raises OSError: if there is none, and none can be made.
    """
    directory = Path(tempfile.gettempdir()) / DIRECTORY
    directory.mkdir(mode=0o700, exist_ok=True)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise PermissionError(f"{directory} is not a directory of this user alone")
    return directory


IMPORTS = threading.RLock()
"""Held while a thread imports what not every process needs: a fork in the middle would wait for the import for ever."""

os.register_at_fork(before=IMPORTS.acquire, after_in_parent=IMPORTS.release, after_in_child=IMPORTS.release)


class Operation:
    """What is left of the time and of the bytes of an operation of a Redis."""

    def __init__(self, seconds: float) -> None:
        self._ends_at = time.monotonic() + seconds
        self._bytes_left = MAX_BYTES_READ

    @staticmethod
    def current() -> Operation:
        """Return the operation that this code runs in: nothing is asked of a Redis without one."""
        return _current.get()

    def seconds_left(self) -> float:
        """Return the seconds until the deadline.

        :raises TimeoutError: if it has passed.
        """
        seconds = self._ends_at - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("the Redis did not respond in time")
        return seconds

    def count(self, size: int) -> None:
        """Count bytes that were read.

        :raises OSError: if they are too many.
        """
        self._bytes_left -= size
        if self._bytes_left < 0:
            raise OSError(f"the Redis sent more than {MAX_BYTES_READ:,} bytes")


_current: ContextVar[Operation] = ContextVar("opencx_redis_operation")


@contextmanager
def operation(seconds: float) -> Generator[None]:
    """Give all that is asked of a Redis within this block one deadline, and one limit of what is read.

    :param seconds: until the deadline. What has not ended then raises redis-py's ``TimeoutError``.
    """
    outer = _current.set(Operation(seconds))
    try:
        yield
    finally:
        _current.reset(outer)


def redis_client(address: Secret, timeout: float = RESPONSE_TIMEOUT) -> Redis:
    """Return a client of the Redis at an address, which is used within :func:`operation`.

    :param address: such as ``redis://host:6379/0``; ``rediss`` is TLS.
    :param timeout: seconds that each address of its host gets to accept a connection.
    """
    with IMPORTS:
        from airflow_provider_opencx.client.bounded_redis import bounded_redis
    return bounded_redis(address, timeout)


def redis_label(address: Secret) -> str:
    """Return what messages call a Redis: its host, without user and password."""
    return f"the Redis at {urlsplit(address.reveal()).hostname}"
