"""Checks the files of an extraction: whenever somebody could open them, and at the end."""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import zlib
from collections import Counter
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

from airflow_provider_opencx import exceptions
from airflow_provider_opencx.extraction.sources import Row
from airflow_provider_opencx.extraction.spool import Added, Spool
from airflow_provider_opencx.simulator import Simulator
from airflow_provider_opencx.simulator.resources.conversations.outcomes import history
from airflow_provider_opencx.simulator.resources.conversations.store import Conversations
from fault_campaign.attempts import Attempt
from fault_campaign.checks import BrokenPromises
from fault_campaign.extractions import Change, ExtractionRun, ExtractTask, time_at
from fault_campaign.faults import LONGEST_LAG
from fault_campaign.stage import Stage
from fault_campaign.wire import Killed


class HalfFileError(Exception):
    """What somebody who opens the target now cannot read as a whole."""


@dataclass(frozen=True)
class Version:
    """A conversation as it was for a while.

    :param since: from when, in seconds of the stage.
    :param shown: its fields, as the service shows them.
    :param history: its history, as the service shows it.
    """

    since: float
    shown: Mapping[str, Any]
    history: Sequence[Any]

    @property
    def time(self) -> datetime:
        """When it was changed, as far as the service shows it."""
        return datetime.fromisoformat(str(self.shown["updated_at"]))

    def is_of(self, channel_type: str | None) -> bool:
        """Return whether it is of a channel; ``None`` is every channel."""
        return channel_type in (None, self.shown["channel"]["type"])


@dataclass
class Truth:
    """Every conversation as it is, and as it was.

    :param versions: of each id.
    :param removed_at: when it was removed.
    """

    simulator: Simulator
    stage: Stage
    run: ExtractionRun
    versions: dict[str, list[Version]] = field(default_factory=dict)
    removed_at: dict[str, float] = field(default_factory=dict)

    def add(self, **fields: Any) -> None:
        """Add a conversation."""
        self._note(self.simulator.add_conversation(**fields))

    def happen(self, change: Change, draws: Random, number: int) -> None:
        """Let something happen to a conversation."""
        now = time_at(self.stage.now + self.run.clock_ahead).isoformat()
        existing = sorted(self.versions.keys() - self.removed_at.keys())
        if change == "begins" or not existing:
            self.add(created_at=now, updated_at=now)
        elif change == "is removed":
            chosen = draws.choice(existing)
            self.simulator.remove_conversation(chosen)
            self.removed_at[chosen] = self.stage.now
        else:
            said = {"type": "message", "sender": {"type": "user", "name": None}, "attachments": [], "context": {}}
            event = {"event": {**said, "content": {"type": "text", "text": f"Something more: {number}"}}}
            self._note(
                self.simulator.update_conversation(
                    draws.choice(existing), updated_at=now, sentiment=f"mood {number}", events=[event]
                )
            )

    def latest(self) -> Mapping[str, Version]:
        """Return what there is."""
        return {item: versions[-1] for item, versions in self.versions.items() if item not in self.removed_at}

    def since(self, item: str, then: float) -> list[Version]:
        """Return what a conversation was at some time from then on."""
        versions = self.versions.get(item, [])
        ends = [*(version.since for version in versions[1:]), self.removed_at.get(item, math.inf)]
        return [version for version, end in zip(versions, ends, strict=True) if end >= then]

    def steady(self, then: float) -> Iterable[tuple[str, Version]]:
        """Yield what has not changed since then."""
        return ((item, version) for item, version in self.latest().items() if version.since <= then)

    def _note(self, shown: Mapping[str, Any]) -> None:
        store = self.simulator.state(Conversations)
        said = history(store.find(str(shown["id"])), store.settings.precision)
        self.versions.setdefault(str(shown["id"]), []).append(
            Version(self.stage.now, shown, json.loads(json.dumps(said)))
        )


@dataclass
class ExtractTry:
    """A try of a task.

    :param began: in seconds of the stage.
    :param shown: the newest time that the list has shown of each conversation.
    """

    task: ExtractTask
    attempt: Attempt
    began: float
    shown: dict[str, str] = field(default_factory=dict)


@dataclass
class ExtractionChecker:
    """Checks a run: what was promised, compared with what is in the files.

    :param folder: the storage.
    """

    truth: Truth
    folder: Path
    api_key: str
    broken: BrokenPromises = field(default_factory=BrokenPromises)
    counted: Counter[str] = field(default_factory=Counter)
    _seen: dict[str, Mapping[str, bytes] | None] = field(default_factory=dict)
    _half: set[str] = field(default_factory=set)

    @contextmanager
    def watched(self, current: list[ExtractTry]) -> Generator[None]:
        """Note what the list shows to each try.

        :param current: the tries that run; the last one is the one that acts.
        """
        add = Spool.add

        def noted(spool: Spool, rows: Iterable[Row]) -> Added:
            page, shown = [*rows], current[-1].shown
            for row in page:
                shown[row.id] = max(row.time, shown.get(row.id, ""))
            return add(spool, page)

        with patch.object(Spool, "add", noted):
            yield

    def look(self, tried: ExtractTry) -> None:
        """Open the target as somebody who reads it, and check what is new in it."""
        task, name = tried.task, tried.task.name
        try:
            files = self._files(task)
            if files == self._seen.get(name):
                return
            if files is None:
                raise HalfFileError("what was there is gone")
            rows = _rows(files.values(), is_gzip=task.is_gzip)
        except HalfFileError as half:
            sentence = f"of {name}, {half}"
            if sentence not in self._half:
                self._half.add(sentence)
                self.broken.add("half a file", sentence)
            return
        self._seen[name] = files
        self._check_rows(tried, rows)

    def check_attempt(self, attempt: Attempt) -> None:
        """Check a try that has ended."""
        error, result = attempt.error, attempt.result
        if error is not None and not isinstance(error, Killed):
            if not isinstance(error, exceptions.OpenCXError) or not str(error).strip():
                self.broken.add("untyped errors", f"an extraction raised {error!r}")
            if self.api_key in f"{error!r} {error} {vars(error)}":
                self.broken.add("untyped errors", f"{type(error).__name__} holds the API key")
        if result is not None:
            self.counted["conversations extracted"] += result["count"]

    def check_result(self, task: ExtractTask, attempt: Attempt) -> None:
        """Check a try that nothing stood in the way of."""
        if attempt.result is None:
            sentence = f"an extraction that nothing stood in the way of raised {attempt.error!r}"
            self.broken.add("untrue results", sentence)
            return
        files = self._files(task) or {}
        written = len(_rows(files.values(), is_gzip=task.is_gzip)), sum(map(len, files.values()))
        if (attempt.result["count"], attempt.result["bytes"]) != written:
            self.broken.add("untrue results", f"{written} is in {task.name}, and {attempt.result} is returned")

    def check_all(self, tasks: Sequence[ExtractTask]) -> None:
        """Check the files of adjacent intervals, after each was read when nothing changed any more."""
        where: dict[str, list[str]] = {item: [] for item in self.truth.versions}
        latest = self.truth.latest()
        for task in tasks:
            for row in _rows((self._files(task) or {}).values(), is_gzip=task.is_gzip):
                where[row["id"]].append(task.name)
                version = latest.get(row["id"])
                if version is None or not _is_as(row, version):
                    self.broken.add("untrue results", f"in {task.name} is {row}, and there is {version}")
                elif task.include_history and row["history"] != version.history:
                    self.broken.add("untrue results", f"the history of {row['id']} is {row['history']}")
        for item, version in latest.items():
            own = [task.name for task in tasks if task.holds(version.time) and version.is_of(task.channel_type)]
            if own and not where[item]:
                self.broken.add("missing from its interval", f"{item} of {version.time} is not in {own[0]}")
            elif own != where[item]:
                self.broken.add("in two intervals", f"{item} of {version.time} is in {where[item]}, not in {own}")

    def files(self, tasks: Sequence[ExtractTask]) -> list[Mapping[str, bytes] | None]:
        """Return what is in the files of some tasks."""
        return [self._files(task) for task in tasks]

    def check_second(self, first: object, second: object) -> None:
        """Check that an extraction writes what the one before has written, if nothing has changed."""
        if first != second:
            self.broken.add("untrue results", "a second extraction has written other bytes")

    def _check_rows(self, tried: ExtractTry, rows: Sequence[Mapping[str, Any]]) -> None:
        task, then = tried.task, tried.began - LONGEST_LAG
        written = Counter(row["id"] for row in rows)
        for item, number in written.items():
            if number > 1:
                self.broken.add("in two intervals", f"{item} is in {task.name} {number} times")
        for row in rows:
            self._check_row(tried, row)
        for item, version in self.truth.steady(then):
            if task.holds(version.time) and version.is_of(task.channel_type) and item not in written:
                self.broken.add("missing from its interval", f"{item} of {version.time} is not in {task.name}")

    def _check_row(self, tried: ExtractTry, row: Mapping[str, Any]) -> None:
        task, item = tried.task, row["id"]
        versions = self.truth.since(item, tried.began - LONGEST_LAG)
        fitting = [number for number, version in enumerate(versions) if _is_as(row, version)]
        if not fitting:
            self.broken.add("untrue results", f"in {task.name} is {row}, as it never was meanwhile")
            return
        version = versions[fitting[0]]
        if not task.holds(version.time):
            self.broken.add("in two intervals", f"{item} of {version.time} is in {task.name}, which is not its own")
        if version.time < datetime.fromisoformat(tried.shown[item]):
            self.broken.add("untrue results", f"{item} is in {task.name} as of {version.time}, and was shown newer")
        if task.include_history and not (
            row["history"] in [version.history for version in versions[fitting[0] :]]
            or (row["history"] is None and item in self.truth.removed_at)
        ):
            self.broken.add("untrue results", f"the history of {item} in {task.name} is {row['history']}")

    def _files(self, task: ExtractTask) -> Mapping[str, bytes] | None:
        """Return what somebody finds who opens the target now; raises :class:`HalfFileError`."""
        path = self.folder / task.name
        if not task.is_folder:
            return {task.name: path.read_bytes()} if path.exists() else None
        if not (path / "manifest.json").exists():
            return None
        files: dict[str, bytes] = {}
        try:
            manifest = json.loads((path / "manifest.json").read_bytes())
            for part in manifest["parts"]:
                content = files[part["path"]] = (path / part["path"]).read_bytes()
                if hashlib.sha256(content).hexdigest() != part["sha256"]:
                    raise HalfFileError(f"{part['path']} is not as the manifest has it")
        except (FileNotFoundError, ValueError) as error:
            raise HalfFileError(f"a part or the manifest cannot be read: {type(error).__name__}") from None
        return files


def _rows(files: Iterable[bytes], *, is_gzip: bool) -> list[Mapping[str, Any]]:
    rows: list[Mapping[str, Any]] = []
    for content in files:
        try:
            lines = gzip.decompress(content) if is_gzip else content
            if lines and not lines.endswith(b"\n"):
                raise HalfFileError("the last line has no end")
            rows += [json.loads(line) for line in lines.splitlines()]
        except (EOFError, OSError, ValueError, zlib.error) as error:
            raise HalfFileError(f"a file cannot be read: {type(error).__name__}") from None
        if is_gzip and not content:
            raise HalfFileError("a compressed file is empty")
    return rows


def _is_as(row: Mapping[str, Any], version: Version) -> bool:
    return all(row[name] == value for name, value in version.shown.items())
