"""Writes the files of an export into a folder: all of them or none, and never outside the folder."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

from airflow_provider_opencx.declared_files.files import FLEET_FILES, FileKind
from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.exported_files.file_names import folded
from airflow_provider_opencx.text import listed
from airflow_provider_opencx.visible_text import in_quotes

Files: TypeAlias = Mapping[str, str]
"""The texts of files by their names, all in one folder."""


def write_files(
    files: Files, folder: Path, kind: FileKind = FLEET_FILES, *, option: str = "--split", overwrite: bool = False
) -> list[str]:
    """Write files into a folder, which is made if it does not exist.

    A file appears as a whole. Where a link has its name, the link is replaced, and not followed.

    :param files: the texts of the files by their names.
    :param kind: which other files a reader of the folder reads as well. Default: those of a fleet.
    :param option: the option that names the folder, for messages. Default ``--split``.
    :param overwrite: whether files that exist are replaced. Default no.
    :return: the names of other such files in the folder: a reader of the folder reads them as well.
    :raises OpenCXArgumentError: if the folder cannot be written, or if files exist; then none is written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _opened(folder) as directory:
            _check_free(files, directory, f"{option}: {in_quotes(str(folder))}", overwrite)
            _write_all(files, directory)
            return sorted({name for name in os.listdir(directory) if kind.has(name) and name[0] != "."} - files.keys())
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise OpenCXArgumentError(f"{option}: {in_quotes(str(folder))} cannot be written: {reason}") from None


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    """Open a folder: what is written to it stays in it, no matter what happens to its path meanwhile."""
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield directory
    finally:
        os.close(directory)


def _check_free(files: Files, directory: int, named: str, overwrite: bool) -> None:
    there = {folded(name): name for name in os.listdir(directory)}
    taken = [there[folded(name)] for name in files if folded(name) in there]
    if taken and not overwrite:
        raise OpenCXArgumentError(
            f"{named} holds {listed([*map(in_quotes, taken)])} already, so nothing was"
            " written. Name another folder, or replace them with --force."
        )
    folders = [name for name in taken if stat.S_ISDIR(os.lstat(name, dir_fd=directory).st_mode)]
    if folders:
        raise OpenCXArgumentError(
            f"{named} holds folders of the names {listed([*map(in_quotes, folders)])}, so"
            " nothing was written. Name another folder."
        )


def _write_all(files: Files, directory: int) -> None:
    """Write every file under another name first, so that a full disk leaves no half of an export."""
    written: list[tuple[str, str]] = []
    try:
        for name, text in files.items():
            temporary = f".{secrets.token_hex(8)}.tmp"
            written.append((temporary, name))
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with open(os.open(temporary, flags, 0o666, dir_fd=directory), "wb") as file:
                file.write(text.encode())
        for temporary, name in written:
            os.replace(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    finally:
        for temporary, _ in written:
            with suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=directory)
