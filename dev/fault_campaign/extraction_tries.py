"""Tries the tasks of an extraction, on a storage that fails and with workers that are killed and paused."""

from __future__ import annotations

import contextvars
import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from uuid import UUID

from airflow.sdk.bases.operator import ExecutorSafeguard

from airflow_provider_opencx.extraction import histories, parts, storage
from airflow_provider_opencx.extraction.storage import Target
from fault_campaign.attempts import Attempt, begin_attempt, retry_delay
from fault_campaign.extraction_checks import ExtractionChecker, ExtractTry
from fault_campaign.extractions import ExtractionRun, ExtractTask, operator_of
from fault_campaign.stage import Stage
from fault_campaign.wire import Killed, Wire

_READS = ("get_file", "invalidate_cache", "isdir", "ls")
_MOST_AT_ONCE = 3
"""Workers that have one task, of which all but one are paused."""


@dataclass
class Extractor:
    """Plays Airflow's part, and that of a storage.

    :param counted: what went wrong.
    :param current: the tries that run; each but the last is paused.
    """

    run: ExtractionRun
    stage: Stage
    wire: Wire
    checker: ExtractionChecker
    draws: Random
    counted: Counter[str]
    current: list[ExtractTry] = field(default_factory=list)
    is_calm: bool = False
    _changes: int = 0

    def play(self, task: ExtractTask) -> list[Attempt]:
        """Try a task until it succeeds, fails for good, or has no retries left."""
        attempts: list[Attempt] = []
        while True:
            attempt = self._try_once(task, len(attempts) + 1)
            attempts.append(attempt)
            delay = retry_delay(attempt.error, attempt.number, task.retries, task.retry_delay)
            if delay is None:
                return attempts
            self.stage.sleep(delay)

    def change_something(self, *_: object) -> None:
        """Let the next change of a conversation happen, or not yet."""
        if self._changes < len(self.run.changes) and self._happens(self.run.change_rate):
            change = self.run.changes[self._changes]
            self.checker.truth.happen(change, self.draws, self._changes)
            self._changes += 1
            self.counted[f"a conversation {change}"] += 1

    @contextmanager
    def watched(self) -> Generator[None]:
        """Let the storage fail, and look at the targets meanwhile."""
        begin = Target.__init__

        def begun(target: Target, path: str, open_storage: Callable[[], tuple[Any, str]]) -> None:
            def open_flaky() -> tuple[Any, str]:
                opened, found = open_storage()
                return _Storage(opened, self), found

            begin(target, path, open_flaky)

        drawn = SimpleNamespace(uuid4=lambda: UUID(int=self.draws.getrandbits(128)))
        with ExitStack() as patches:
            patches.enter_context(patch.object(Target, "__init__", begun))
            for module in (histories, parts, storage):
                patches.enter_context(patch.object(module, "uuid", drawn))
            patches.enter_context(self.checker.watched(self.current))
            yield

    def operate(self, name: str, operation: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Do something with the storage: not at all, half, or as it is asked for.

        :param name: the name of the operation.
        """
        if isinstance(sys.exc_info()[1], Killed):
            raise Killed  # no ``finally`` runs in a process that is killed
        done = "read" if name in _READS else "written"
        self._disturb(name)
        self._fail(f"a file is not {done}", self.run.storage_rate)
        if name not in _READS and self._happens(self.run.fault_rate / 8):
            _half(name, operation, *arguments)
            self._kill()
        result = operation(*arguments, **options)
        self.checker.look(self.current[-1])
        self._disturb(name)
        if name not in _READS:
            self._fail("a file is written, and nobody hears of it", self.run.storage_rate / 2)
        return result

    def _try_once(self, task: ExtractTask, number: int) -> Attempt:
        attempt = Attempt(number, [])
        tried = ExtractTry(task, attempt, self.stage.now)
        begin_attempt(attempt)
        self.current.append(tried)
        with self.wire.recorded() as attempt.sent:
            try:
                attempt.result = _execute(task, attempt, os.fspath(self.checker.folder))
            except (Exception, Killed) as error:
                attempt.error = error
        self.current.pop()
        self.checker.look(tried)
        self.checker.check_attempt(attempt)
        return attempt

    def _disturb(self, name: str) -> None:
        """Kill the worker, or pause it until another one has taken its task over and ended it."""
        if self._happens(self.run.fault_rate / (30 if name in _READS else 8)):
            self._kill()
        task = self.current[-1].task
        # Of two who write one folder, one may delete a part that the other is about to list, which then tries again.
        if task.is_folder or len(self.current) == _MOST_AT_ONCE:
            return
        if self._happens(self.run.takeover_rate):
            self.counted["worker paused, its task taken over"] += 1
            contextvars.copy_context().run(self.play, task)

    def _kill(self) -> None:
        self.counted["worker killed at a file"] += 1
        self.checker.look(self.current[-1])
        raise Killed

    def _fail(self, what: str, rate: float) -> None:
        if self._happens(rate):
            self.counted[what] += 1
            raise OSError(f"the store at https://key:{self.checker.api_key}@store does not respond")

    def _happens(self, rate: float) -> bool:
        return not self.is_calm and self.draws.random() < rate


class _Storage:
    """An fsspec file system at which something may happen at each operation."""

    def __init__(self, storage: Any, extractor: Extractor) -> None:
        self._storage = storage
        self._extractor = extractor

    def mv(self, path1: str, path2: str) -> Any:
        """Move a file: that a storage has a function for this of its own says that it has folders."""
        return self._extractor.operate("mv", self._storage.mv, path1, path2)

    def __getattr__(self, name: str) -> Any:
        return partial(self._extractor.operate, name, getattr(self._storage, name))


def _half(name: str, operation: Callable[..., Any], *arguments: str) -> None:
    """Do half of what the storage is asked for."""
    if name == "put_file":
        content = Path(arguments[0]).read_bytes()
        Path(arguments[1]).write_bytes(content[: len(content) // 2])
    elif name == "mv":  # a storage of objects copies a file as a whole, and then deletes the first one
        shutil.copy(*arguments)


def _execute(task: ExtractTask, attempt: Attempt, folder: str) -> dict[str, Any]:
    operator = operator_of(task, folder)
    instance = SimpleNamespace(try_number=attempt.number, map_index=-1, xcom_push=lambda key, value: None)
    ExecutorSafeguard.tracker.set(operator)  # as Airflow's task runner does
    context: Mapping[str, Any] = {"ti": instance}
    result: dict[str, Any] = operator.execute(context)  # type: ignore[arg-type]  # as much of it as is asked for
    return result
