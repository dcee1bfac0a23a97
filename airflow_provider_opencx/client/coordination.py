"""What processes share that keep to one rate limit and take turns: a directory of this machine, or a Redis."""

from __future__ import annotations

import os
import stat
import tempfile
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
"""Seconds that a request to a Redis, or to a file that another process has locked, may take."""


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


def redis_client(address: Secret, timeout: float = RESPONSE_TIMEOUT) -> Redis:
    """Return a client of the Redis at an address.

    :param address: such as ``redis://host:6379/0``; ``rediss`` is TLS.
    :param timeout: seconds that it waits for a connection, and for a response.
    """
    from redis import Redis

    # Before its version 6, redis-py does not check whose certificate it is.
    tls = {"ssl_check_hostname": True} if urlsplit(address.reveal()).scheme == "rediss" else {}
    return Redis.from_url(address.reveal(), socket_timeout=timeout, socket_connect_timeout=timeout, **tls)


def redis_label(address: Secret) -> str:
    """Return what messages call a Redis: its host, without user and password."""
    return f"the Redis at {urlsplit(address.reveal()).hostname}"
