"""The ledger of calls: records the intent before a request, and the outcome after it.

A task that finds a record decides by :func:`decide`, which is pure. A record without an outcome means that a worker was
killed, or a response was lost, between the two: the person may have been called.

Where records are kept is another matter: :class:`ObjectLedger` keeps them in object storage, for every Airflow and for
all runs; :mod:`airflow_provider_opencx.call_ledgers` in Airflow's task state store.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Literal, Protocol, Self, TypeAlias

from pydantic import JsonValue

from airflow_provider_opencx.exceptions import OpenCXArgumentError, OpenCXLedgerError
from airflow_provider_opencx.resources.calls import Callee
from airflow_provider_opencx.storage_paths import error_name

OncePer: TypeAlias = Literal["run", "ever"]
"""How long a record counts: in its Dag run, or for all runs that keep their records in the same place."""

OnUnknown: TypeAlias = Literal["fail", "skip", "repeat"]
"""What to do with a person who may have been called: raise an error, leave the person out, or call."""

Decision: TypeAlias = Literal["send", "known", "unknown", "skip", "changed"]
"""What to do for a person: send; return what is known; an error; leave the person out; an error, because the record is
about somebody else."""


@dataclass(frozen=True)
class Entry:
    """The record of one call.

    :param to: to whom, as one of the digests of the person: numbers do not lie about in databases and buckets.
    :param sent_at: when it was about to be sent, in ISO 8601.
    :param by: which try of which task it was, for messages.
    :param outcome: how it ended; ``None`` while that is not known.
    """

    to: str
    sent_at: str
    by: str
    outcome: Mapping[str, JsonValue] | None = None

    def as_json(self) -> dict[str, JsonValue]:
        """Return the record as plain JSON, the form in which every store keeps it."""
        outcome = None if self.outcome is None else dict(self.outcome)
        return {"to": self.to, "sent_at": self.sent_at, "by": self.by, "outcome": outcome}

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Return a stored record. One that cannot be read counts as a call of unknown outcome, to nobody knows whom."""
        match value:
            case {"to": str() as to, "sent_at": str() as sent_at, "by": str() as by, "outcome": outcome}:
                if outcome is None or isinstance(outcome, dict):
                    return cls(to, sent_at, by, outcome)
        return cls("", "an unknown time", "a try that is not recorded")


def digests(callee: Callee) -> list[str]:
    """Return the digests that represent a person in records: of the number and of the contact, if known.

    They hide a number from a glance, not from somebody who tries all numbers.
    """
    return [digest(name) for name in callee.names]


def digest(name: str) -> str:
    """Return the digests that represent a name in records."""
    return hashlib.sha256(f"opencx:{name}".encode()).hexdigest()[:32]


def slots_by_name(callee: Callee) -> dict[str, str]:
    """Return the slots of a ledger that has many people: each is called by what it is about."""
    return {name: name for name in digests(callee)}


def decide(entry: Entry | None, to: str, on_unknown: OnUnknown) -> Decision:
    """Return what to do for a person.

    :param entry: what is recorded; ``None`` is nothing.
    :param to: the digest of the person that the record is about.
    :param on_unknown: what to do about a call of unknown outcome.
    """
    if entry is None:
        return "send"
    if entry.to and entry.to != to:
        return "changed"
    if entry.outcome is not None:
        return "known"
    return {"fail": "unknown", "skip": "skip", "repeat": "send"}[on_unknown]  # type: ignore[return-value]


class Ledger(Protocol):
    """A store in which records of calls survive the process."""

    def read(self, slot: str) -> Entry | None:
        """Return the record of a slot, ``None`` if there is none.

        :raises OpenCXLedgerError: if that is not known.
        """

    def begin(self, slot: str, entry: Entry, *, after: Entry | None) -> Entry | None:
        """Record that a call is about to be sent.

        :param after: the record that was read, whose call of unknown outcome is repeated; ``None`` if there was none.
        :return: ``None`` if it is recorded; what somebody else has recorded meanwhile, if not.
        :raises OpenCXLedgerError: if it is not known to be recorded. Nothing must be sent then.
        """

    def finish(self, slot: str, entry: Entry) -> None:
        """Record the outcome of the call that was begun last.

        :raises OpenCXLedgerError: if it is not known to be recorded.
        """

    def forget(self, slot: str, *, after: Entry | None) -> None:
        """Take back the record that was begun last, because nobody was called.

        :param after: as it was given to :meth:`begin`; it counts again.
        :raises OpenCXLedgerError: if it is not known to be taken back.
        """


class NoLedger:
    """Keeps nothing: only the first try of a task may send with it."""

    def read(self, slot: str) -> Entry | None:
        """Return ``None``."""
        return None

    def begin(self, slot: str, entry: Entry, *, after: Entry | None) -> Entry | None:
        """Do nothing."""
        return None

    def finish(self, slot: str, entry: Entry) -> None:
        """Do nothing."""

    def forget(self, slot: str, *, after: Entry | None) -> None:
        """Do nothing."""


_WITHDRAWN: Mapping[str, JsonValue] = {"withdrawn": True}
"""The outcome of an intent that called nobody."""


class FileSystem(Protocol):
    """The functions of an fsspec file system that are used."""

    def makedirs(self, path: str, exist_ok: bool) -> None:
        """Make a folder, where the storage has such."""

    def pipe_file(self, path: str, value: bytes, mode: str) -> object:
        """Write a whole object; in mode ``create`` only if there is none."""

    def cat_file(self, path: str) -> bytes:
        """Read a whole object; raises ``FileNotFoundError`` if there is none."""

    def rm_file(self, path: str) -> None:
        """Delete an object; of these, only that of a probe."""

    def invalidate_cache(self, path: str | None = None) -> None:
        """Forget what was listed before."""


class ObjectLedger:
    """Keeps records in object storage: an object for each intent, created exclusively, and one for each outcome.

    So two tasks that ask for one person at the same moment send one request, also on several machines. Each repetition
    of a call is an intent of its own, with the next number.

    :param open_storage: opens the storage; returns it and the folder, without a slash at its end. Called at first use.
    :param label: what messages call it.
    """

    def __init__(self, open_storage: Callable[[], tuple[FileSystem, str]], label: str) -> None:
        self._open_storage = open_storage
        self._label = label
        self._opened: tuple[FileSystem, str] | None = None
        self._begun: dict[str, int] = {}

    def read(self, slot: str) -> Entry | None:
        """Return the record of a slot, ``None`` if there is none."""
        return self._last(slot)[1]

    def begin(self, slot: str, entry: Entry, *, after: Entry | None) -> Entry | None:
        """Create the object of an intent, unless there is one."""
        last, recorded = self._last(slot)
        if recorded is not None and recorded != after:
            return recorded
        try:
            with self._storage("written", FileExistsError) as (storage, folder):
                _create(storage, f"{folder}/{slot}.{last + 1}.intent.json", _encoded(entry))
        except FileExistsError:
            return self.read(slot) or Entry.from_json(None)
        self._begun[slot] = last + 1
        return None

    def finish(self, slot: str, entry: Entry) -> None:
        """Write the object of an outcome."""
        with self._storage("written") as (storage, folder):
            number = self._begun[slot] if slot in self._begun else self._last(slot)[0]
            path = f"{folder}/{slot}.{number}.outcome.json"
            storage.pipe_file(path, _encoded(entry), mode="overwrite")

    def forget(self, slot: str, *, after: Entry | None) -> None:
        """Write an outcome by which the intent does not count. Nothing is deleted, so no record hides another."""
        self.finish(slot, Entry("", "", "", _WITHDRAWN))

    def _last(self, slot: str) -> tuple[int, Entry | None]:
        """Return the number of the last intent, -1 if there is none, and the record that counts."""
        counts: Entry | None = None
        for number in count():
            intent = self._get(f"{slot}.{number}.intent.json")
            if intent is None:
                return number - 1, counts
            outcome = self._get(f"{slot}.{number}.outcome.json")
            if outcome is None:
                counts = intent
            elif outcome.outcome != _WITHDRAWN:
                return number, outcome
        raise AssertionError("counting does not end")

    def _get(self, name: str) -> Entry | None:
        try:
            with self._storage("read", FileNotFoundError) as (storage, folder):
                storage.invalidate_cache()
                text = storage.cat_file(f"{folder}/{name}")
        except FileNotFoundError:
            return None
        try:
            return Entry.from_json(json.loads(text))
        except ValueError:
            return Entry.from_json(None)

    @contextmanager
    def _storage(self, done: str, *expected: type[Exception]) -> Generator[tuple[FileSystem, str]]:
        """Give the storage and the folder.

        :param done: what is done to a record, for the message.
        :param expected: the errors that mean something to the caller; any other is that of a storage that cannot be
            used now.
        """
        try:
            if self._opened is None:
                self._opened = self._probed()
            yield self._opened
        except Exception as error:
            if isinstance(error, (*expected, OpenCXArgumentError)):
                raise
            # Each storage has its own errors, and their texts may hold its keys: no traceback shows them.
            raise OpenCXLedgerError(
                f"{self._label}: the record of a call could not be {done} ({error_name(error)}). Another try may"
                " succeed."
            ) from None

    def _probed(self) -> tuple[FileSystem, str]:
        """Open the storage, and check that it can keep records."""
        opened = self._open_storage()
        _probe(*opened, self._label)
        return opened


def _probe(storage: FileSystem, folder: str, label: str) -> None:
    """Check that a storage creates an object only if there is none; that is what keeps a person from a second call.

    :raises OpenCXArgumentError: if it does not.
    """
    storage.makedirs(folder, exist_ok=True)
    path = f"{folder}/probe-{uuid.uuid4().hex}.json"
    _create(storage, path, b"1")
    try:
        _create(storage, path, b"2")
    except FileExistsError:
        if _is_local(storage) or not _looks_before_it_writes(storage):
            return
    finally:
        storage.rm_file(path)
    raise OpenCXArgumentError(
        f"{label}: cannot keep a record of calls, because its storage may replace an object when it creates one. Use"
        " a local folder, or the newest release of the package of S3, GCS or Azure."
    )


def _create(storage: FileSystem, path: str, value: bytes) -> None:
    """Write an object of which there is none; raises ``FileExistsError`` if there is, also for one of two at once."""
    if not _is_local(storage):
        storage.pipe_file(path, value, mode="create")
        return
    written = Path(f"{path}.{uuid.uuid4().hex}.part")
    try:
        _write(written, value)
        try:
            os.link(written, path)  # so that nobody finds a part of a record
        except FileExistsError:
            raise
        except OSError:
            _write(Path(path), value)  # the file system has no links
    finally:
        written.unlink(missing_ok=True)


def _write(path: Path, value: bytes) -> None:
    with path.open("xb") as file:
        file.write(value)
        file.flush()
        os.fsync(file.fileno())  # what is not on the disk when the machine stops was not recorded


def _is_local(storage: object) -> bool:
    from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]

    return isinstance(storage, LocalFileSystem)


def _looks_before_it_writes(storage: FileSystem) -> bool:
    """Return whether a storage has fsspec's own way to create, by which two at once both find nothing, and write."""
    from fsspec import AbstractFileSystem  # type: ignore[import-untyped]

    return getattr(storage.pipe_file, "__func__", None) is AbstractFileSystem.pipe_file


def _encoded(entry: Entry) -> bytes:
    return json.dumps(entry.as_json()).encode()
