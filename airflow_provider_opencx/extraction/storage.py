"""Writes files to object storage, so that a reader sees the whole file or no file.

A file is written under another name in a folder beside its target, and then put in its place. That folder is also where
a try leaves what it has read for the next one.
"""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from airflow_provider_opencx.exceptions import OpenCXError, OpenCXStorageError
from airflow_provider_opencx.storage_paths import error_name
from airflow_provider_opencx.visible_text import in_quotes

log = logging.getLogger(__name__)


class FileSystem(Protocol):
    """The functions of an fsspec file system that are used. All take a path, and not a pattern."""

    def makedirs(self, path: str, exist_ok: bool) -> None:
        """Make a folder; some storages make a bucket of it."""

    def put_file(self, lpath: str, rpath: str) -> object:
        """Copy a local file to the storage."""

    def get_file(self, rpath: str, lpath: str) -> object:
        """Copy a file of the storage to a local one."""

    def cp_file(self, path1: str, path2: str) -> object:
        """Copy a file within the storage, over one that is there."""

    def mv(self, path1: str, path2: str) -> object:
        """Move a file within the storage; where it has no move of its own, that takes the path for a pattern."""

    def rm_file(self, path: str) -> object:
        """Delete a file."""

    def rmdir(self, path: str) -> object:
        """Delete an empty folder, where the storage has such."""

    def ls(self, path: str, detail: bool) -> list[str]:
        """List a folder; raises ``FileNotFoundError`` if there is none."""

    def isdir(self, path: str) -> bool:
        """Return whether there is such a folder."""

    def invalidate_cache(self, path: str | None = None) -> None:
        """Forget what was listed before."""


class Target:
    """The target of an extraction: a file, or a folder of parts.

    :param path: the path, as the author wrote it; one that ends with a slash is a folder.
    :param open_storage: opens the storage; returns it and the path in it, without the scheme.
    :raises OpenCXStorageError: if the storage cannot be read.
    """

    def __init__(self, path: str, open_storage: Callable[[], tuple[FileSystem, str]]) -> None:
        self.label = path
        with self._used("opened"):
            self._storage, found = open_storage()
            self._has_folders = _has_folders(self._storage)
        self.path = found.rstrip("/")
        self.is_folder = path.endswith("/") or self._is_folder()
        parent, _, name = self.path.rpartition("/")
        self._aside = f"{self.path}/.partial" if self.is_folder else f"{parent}/.{name}.partial"

    def _is_folder(self) -> bool:
        with self._used("read"):
            self._storage.invalidate_cache()
            return self._storage.isdir(self.path)

    def put(self, file: Path, name: str = "") -> None:
        """Put a local file in its place.

        :param name: its name in the folder; left out, it is the file.
        """
        self._put(file, f"{self.path}/{name}" if self.is_folder else self.path)

    def keep(self, file: Path, name: str) -> None:
        """Keep a local file for another try."""
        self._put(file, f"{self._aside}/{name}")

    def kept(self, folder: Path, beginning: str) -> Generator[Path]:
        """Yield local copies of the files that earlier tries have kept.

        :param folder: where the copies are made, one at a time.
        :param beginning: what their names begin with.
        """
        for name in self._names(self._aside):
            if name.startswith(beginning):
                yield self._copied(f"{self._aside}/{name}", folder)

    def existing(self, name: str, folder: Path) -> bytes | None:
        """Return the content of a file of the folder, ``None`` if there is none.

        :param folder: where a local copy is made.
        """
        return self._copied(f"{self.path}/{name}", folder).read_bytes() if name in self.names() else None

    def names(self) -> list[str]:
        """Return the names of the files in the folder."""
        return self._names(self.path)

    def clean(self, names: Iterable[str] = ()) -> None:
        """Delete what is not needed any more: files of the folder, and at last what tries have left aside.

        The file is in its place by then: where one cannot be deleted, that is a warning.

        :param names: the names of the files in the folder.
        """
        try:
            for name in names:
                with suppress(FileNotFoundError):
                    self._storage.rm_file(f"{self.path}/{name}")
            for name in self._names(self._aside):
                with suppress(FileNotFoundError):
                    self._storage.rm_file(f"{self._aside}/{name}")
            if self._has_folders and self._storage.isdir(self._aside):
                self._storage.rmdir(self._aside)
        except Exception as error:
            log.warning(
                "%s is written. What was before it, or was left aside, cannot be deleted (%s).",
                in_quotes(self.label),
                error_name(error),
            )

    def _put(self, file: Path, path: str) -> None:
        aside = f"{self._aside}/{uuid.uuid4().hex}.tmp"
        with self._used("written"):
            if self._has_folders:
                self._storage.makedirs(self._aside, exist_ok=True)
            self._storage.put_file(os.fspath(file), aside)
            if self._has_folders:
                self._storage.mv(aside, path)
                return
            self._storage.cp_file(aside, path)
        try:
            self._storage.rm_file(aside)
        except Exception as error:
            log.warning(
                "What was written aside of %s cannot be deleted (%s).", in_quotes(self.label), error_name(error)
            )

    def _copied(self, path: str, folder: Path) -> Path:
        copy = folder / "copy"
        with self._used("read"):
            self._storage.get_file(path, os.fspath(copy))
        return copy

    def _names(self, folder: str) -> list[str]:
        with self._used("read"):
            self._storage.invalidate_cache()
            try:
                return sorted(path.rstrip("/").rpartition("/")[2] for path in self._storage.ls(folder, detail=False))
            except FileNotFoundError:
                return []

    @contextmanager
    def _used(self, done: str) -> Generator[None]:
        """Turn an error of the storage into one of this package."""
        try:
            yield
        except OpenCXError:
            raise
        except Exception as error:
            # Each storage has its own errors, and their texts may hold its keys: no traceback shows them.
            raise OpenCXStorageError(
                f"object_storage_path: {in_quotes(self.label)} cannot be {done} ({error_name(error)}). What is there"
                " is whole. Another try may succeed, where the storage is away; otherwise check the path, and who may"
                " write there."
            ) from None


def _has_folders(storage: FileSystem) -> bool:
    """Return whether a storage has folders, in which files are moved: a disk has. Others copy, and delete."""
    from fsspec import AbstractFileSystem  # type: ignore[import-untyped]

    return type(storage).mv is not AbstractFileSystem.mv
