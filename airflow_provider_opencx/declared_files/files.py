"""Finds and reads declaration files, in folders and in zip files, within limits."""

from __future__ import annotations

import os
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import IO, Self

from airflow_provider_opencx.declared_files.limits import MAX_FILE_BYTES, MAX_FILES, Budget
from airflow_provider_opencx.declared_files.problems import shown_path
from airflow_provider_opencx.text import listed
from airflow_provider_opencx.visible_text import in_quotes


@dataclass(frozen=True)
class FileKind:
    """Which files hold declarations.

    :param suffixes: how their names end.
    :param what: what they declare, for messages.
    """

    suffixes: tuple[str, ...]
    what: str

    @property
    def called(self) -> str:
        """The name of such a file in messages."""
        return listed(self.suffixes[:-1] or self.suffixes) + (f" or {self.suffixes[-1]}" if self.suffixes[1:] else "")

    def has(self, path: str) -> bool:
        """Return whether the name of a file says that it is one of them."""
        return PurePosixPath(path).suffix.lower() in self.suffixes

    def check(self, path: str) -> None:
        """Check whether a path may be that of such a file, by its suffix; raises ``UnusableFileError`` if not."""
        if not self.has(path):
            raise UnusableFileError(
                f"is not the path of a {self.called} file, nor of a folder of them. A list that another task returned"
                " is handed over as the output of that task, and not as a template."
            )

    def may_be_found(self, path: str) -> bool:
        """Return whether a path may be that of such a file, a folder or a glob, by the way it is written."""
        return bool(path.strip()) and (
            self.has(path) or path.endswith("/") or not Path(path).suffix or bool(_WILDCARD.search(path))
        )


FLEET_FILES = FileKind((".yaml", ".yml", ".json"), "the fleet")
"""The files of a fleet."""

_WILDCARD = re.compile(r"[*?\[]")


class UnusableFileError(ValueError):
    """A file cannot be found, or cannot be read; the text says why."""


class Files:
    """Reads files. A path may lead into a zip file, such as ``dags.zip/fleet.yaml``; each is opened once.

    :param budget: what may be read still.
    :param kind: which files are found in folders. Default: those of a fleet.
    """

    def __init__(self, budget: Budget, kind: FileKind = FLEET_FILES) -> None:
        self._budget = budget
        self._kind = kind
        self._opened = ExitStack()
        self._zips: dict[Path, zipfile.ZipFile] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()

    def find(self, path: str) -> list[Path]:
        """Return the fleet files that a path names: the file itself, those in a folder, or those that match a glob.

        :raises UnusableFileError: if there are none.
        """
        if _WILDCARD.search(path) and not self._is_file(Path(path)):
            found = self._matching(path)
            if not found:
                raise UnusableFileError(f"no {self._kind.called} file matches it; check the pattern and the folder")
            return found
        if not self._is_folder(Path(path)):
            self._kind.check(path)
            return [Path(path)]
        found = [Path(path, name) for name in sorted(self._names_in(Path(path), None)) if self._kind.has(name)]
        if not found:
            raise UnusableFileError(
                f"holds no {self._kind.called} file; put {self._kind.what} there, or name another folder"
            )
        return found

    def text(self, path: Path, what_to_do: str = "split it into several files") -> str:
        """Return the text of a file.

        :param path: the path of a file, which may be in a zip file.
        :param what_to_do: what to do where it is too large.
        :raises UnusableFileError: if it cannot be read.
        """
        try:
            content = self._content(path)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise UnusableFileError(f"cannot be read: {reason}") from None
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError):  # the last for encryption, odd compression
            raise UnusableFileError("cannot be read: the zip file is damaged") from None
        except ValueError:
            raise UnusableFileError("cannot be read: it is not the path of a file") from None
        if len(content) > MAX_FILE_BYTES:
            raise UnusableFileError(f"is larger than {MAX_FILE_BYTES // 1_000_000} MB; {what_to_do}")
        self._budget.spend_bytes(len(content))
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise UnusableFileError("is not text in UTF-8") from None

    def exists(self, path: str) -> bool:
        """Return whether there is a file or a folder of this path, or a file that matches it."""
        if _WILDCARD.search(path) and not self._is_file(Path(path)):
            return bool(self._matching(path))
        return self._is_file(Path(path)) or self._is_folder(Path(path))

    def _content(self, path: Path) -> bytes:
        archive, name = self._zipped(path)
        if archive is None:
            with _opened(path) as file:
                return file.read(MAX_FILE_BYTES + 1)  # it may grow meanwhile
        try:
            with archive.open(name) as file:
                return file.read(MAX_FILE_BYTES + 1)
        except KeyError:
            raise FileNotFoundError(0, "No such file") from None

    def _zipped(self, path: Path) -> tuple[zipfile.ZipFile | None, str]:
        """Return the zip file that a path leads into, and the name in it; ``None`` if it leads into none."""
        for folder in path.parents:
            if folder in self._zips or (folder.is_file() and zipfile.is_zipfile(folder)):
                if folder not in self._zips:
                    self._zips[folder] = self._opened.enter_context(zipfile.ZipFile(folder))
                return self._zips[folder], path.relative_to(folder).as_posix()
        return None, ""

    def _is_file(self, path: Path) -> bool:
        try:
            archive, name = self._zipped(path)
            return path.is_file() if archive is None else name in archive.NameToInfo
        except (OSError, ValueError, zipfile.BadZipFile):
            return False

    def _is_folder(self, path: Path) -> bool:
        try:
            archive, name = self._zipped(path)
            return path.is_dir() if archive is None else any(each.startswith(f"{name}/") for each in archive.namelist())
        except (OSError, ValueError, zipfile.BadZipFile):
            return False

    def _matching(self, pattern: str) -> list[Path]:
        parts = Path(pattern).parts
        first = next(number for number, part in enumerate(parts) if _WILDCARD.search(part))
        folder = Path(*parts[:first])
        deepest = None if "**" in parts else len(parts) - first
        names = sorted(self._names_in(folder, deepest)) if self._is_folder(folder) else []
        return [folder / name for name in names if self._kind.has(name) and _matches(name.split("/"), parts[first:])]

    def _names_in(self, folder: Path, deepest: int | None) -> Iterator[str]:
        """Return the paths of all files below a folder, from there; none that begins with a dot.

        :raises UnusableFileError: if they are too many.
        """
        archive, name = self._zipped(folder)
        names = _names_on_disk(folder, deepest) if archive is None else _names_in_zip(archive, name)
        for number, found in enumerate(names):
            if number >= MAX_FILES:
                raise UnusableFileError(
                    f"holds more than {MAX_FILES:,} files and folders; put {self._kind.what} into a folder of its own"
                )
            if found:
                yield found


def root_of(file: Path, root: Path | None) -> Path:
    """Return the folder that the text files of a fleet file never leave.

    :param file: the fleet file.
    :param root: what the caller gives; by default the current directory. Where the file is not inside, it is the
        folder of the file.
    """
    folder = Path(os.path.realpath(file.parent))
    base = Path(os.path.realpath(Path.cwd() if root is None else root))
    is_whole_disk = root is None and base == Path(base.anchor)
    return base if folder.is_relative_to(base) and not is_whole_disk else folder


def is_inside(file: Path, root: Path) -> bool:
    """Return whether a file is inside a folder, after links are followed.

    :param root: a folder as :func:`root_of` returns it.
    """
    return Path(os.path.realpath(file)).is_relative_to(root)


def text_file(named: str, file: Path, root: Path) -> Path:
    """Return the path of a text file.

    :param named: the path as written; it begins at the fleet file.
    :param file: the fleet file that names it.
    :param root: the folder that it never leaves; for a file in a zip file, that is the zip file.
    :raises UnusableFileError: if it leaves the folder.
    """
    if not named.strip() or "\0" in named:
        raise UnusableFileError("is not the path of a file")
    if PurePosixPath(named).is_absolute() or Path(named).is_absolute():
        raise UnusableFileError("must be a relative path: it begins at the folder of the file that names it")
    archive = _archive_of(file)
    if archive is not None:
        return _within_zip(archive, file, named)
    if not is_inside(file.parent / named, root):
        raise UnusableFileError(f"leads out of {shown_path(root)}; put the text into this folder")
    return Path(os.path.normpath(os.path.realpath(file.parent / named)))


def identity(path: Path) -> str:
    """Return what two paths of the same file have in common."""
    return os.path.realpath(path)


def _archive_of(path: Path) -> Path | None:
    return next((folder for folder in path.parents if folder.is_file() and zipfile.is_zipfile(folder)), None)


def _within_zip(archive: Path, file: Path, named: str) -> Path:
    parts: list[str] = []
    for part in (*file.relative_to(archive).parent.parts, *PurePosixPath(named).parts):
        if part != "..":
            parts.append(part)
        elif parts:
            parts.pop()
        else:
            raise UnusableFileError(f"leads out of {shown_path(archive)}; put the text into the zip file")
    return archive.joinpath(*parts)


def _names_on_disk(folder: Path, deepest: int | None) -> Iterator[str]:
    """Return the files below a folder, and nothing for each folder. Links to folders are not followed."""
    left = [("", 1)]
    while left:
        below, depth = left.pop()
        try:
            entries = os.scandir(folder / below)
        except OSError as error:
            raise UnusableFileError(
                f"cannot be read: {in_quotes(below or folder.name)}: {error.strerror or type(error).__name__}"
            ) from None
        with entries:
            for entry in entries:
                if entry.name.startswith("."):
                    yield ""
                elif entry.is_dir(follow_symlinks=False):
                    yield ""
                    if deepest is None or depth < deepest:
                        left.append((f"{below}{entry.name}/", depth + 1))
                else:
                    yield "" if entry.is_symlink() and entry.is_dir() else f"{below}{entry.name}"


def _names_in_zip(archive: zipfile.ZipFile, folder: str) -> Iterator[str]:
    beginning = "" if folder in ("", ".") else f"{folder}/"
    for name in dict.fromkeys(archive.namelist()):
        below = name.removeprefix(beginning)
        is_hidden = any(part.startswith(".") for part in below.split("/"))
        yield "" if not name.startswith(beginning) or name.endswith("/") or is_hidden else below


def _matches(names: Sequence[str], parts: Sequence[str]) -> bool:
    """Return whether the parts of a path match those of a glob: ``**`` is any number of folders."""
    if not parts:
        return not names
    first, *rest = parts
    if first == "**":
        return any(_matches(names[start:], rest or ["*"]) for start in range(len(names)))
    return bool(names) and fnmatchcase(names[0], first) and _matches(names[1:], rest)


def _opened(path: Path) -> IO[bytes]:
    """Open a file, and no pipe or device, of which the end may never come."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(0, "it is not a file")
    return open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))
