"""Checks paths in Airflow's object storage that are given as arguments."""

from __future__ import annotations

import errno
import os
import re
import sys
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.visible_text import in_quotes

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

_PROVIDERS = {
    "s3": "apache-airflow-providers-amazon[s3fs]",
    "gs": "apache-airflow-providers-google",
    "abfs": "apache-airflow-providers-microsoft-azure",
}
"""The packages that bring a scheme to Airflow's object storage."""

_PathT = TypeVar("_PathT")

_ABSOLUTE = re.compile(r"/|(?!(?:file|local)://[^/])[A-Za-z][A-Za-z0-9+.-]*://.")
"""The beginnings of paths that mean the same on every worker."""


def with_path_as_text(path: _PathT | os.PathLike[str]) -> _PathT | str:
    """Return a path as text, where it is an object; anything else unchanged.

    Airflow's ``ObjectStoragePath`` is not an ``os.PathLike``, and to import it takes long.
    """
    storage = sys.modules.get("airflow.sdk.io.path")
    if isinstance(path, os.PathLike) or (storage is not None and isinstance(path, storage.ObjectStoragePath)):
        return str(path)
    return path


def checked_storage_path(argument: str, path: object, what: str, example: str) -> str:
    """Return a path that means the same wherever a task runs.

    :param argument: the name of the argument, for the message.
    :param path: the path.
    :param what: what it is to be, for the message, such as ``the path of a folder``.
    :param example: a path of this kind.
    :raises OpenCXArgumentError: if it means another place for another process.
    """
    if isinstance(path, str) and _ABSOLUTE.match(path) and path.isprintable():
        return path
    shown = in_quotes(path) if isinstance(path, str) else type(path).__name__
    raise OpenCXArgumentError(
        f"{argument}: {shown} must be {what}, which begins with a slash, or with the scheme of Airflow's object"
        f" storage, such as '{example}'. Nothing was sent."
    )


def storage_path(path: str, label: str) -> ObjectStoragePath:
    """Return a path in Airflow's object storage, whose file system is open.

    :param path: the path.
    :param label: what messages call it.
    :raises OpenCXArgumentError: if Airflow knows no such storage. What the storage itself raises is raised unchanged.
    """
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    try:
        opened: ObjectStoragePath = ObjectStoragePath(path)
        opened.fs  # noqa: B018  # opens it
    except (ValueError, ImportError) as error:
        raise OpenCXArgumentError(
            f"{label}: Airflow knows no such storage ({type(error).__name__}). Check the scheme of the path, and"
            f" install {_provider_of(path)} where the task runs."
        ) from error
    return opened


def _provider_of(path: str) -> str:
    return _PROVIDERS.get(path.partition("://")[0], "the Airflow provider that brings it")


def error_name(error: Exception) -> str:
    """Return what an error of a storage is called, for messages: its text may hold a key."""
    code = errno.errorcode.get(error.errno or 0) if isinstance(error, OSError) else None
    return f"{type(error).__name__}, {code}" if code else type(error).__name__
