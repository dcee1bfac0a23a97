"""The place through which processes share a rate limit and locks: a local directory, or a Redis."""

from __future__ import annotations

import os
import stat
import tempfile
import threading
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

from airflow_provider_opencx.secret import Secret

DIRECTORY = f"airflow-provider-opencx-{os.geteuid()}"
"""The name of the directory, within the one for temporary files."""


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


def redis_label(address: Secret) -> str:
    """Return what messages call a Redis: its host, without user and password."""
    return f"the Redis at {urlsplit(address.reveal()).hostname}"
