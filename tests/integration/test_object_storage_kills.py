"""Tests extractions that are killed at any moment: the next try continues, and writes the same bytes."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from airflow_standalone import connection_json

from airflow_provider_opencx.simulator import Simulator

API_KEY = "ocx_live_integrati0n-s3cret"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)

BEFORE, CONVERSATIONS = 20, 300
KEPT_AT_ONCE = 10
PART_SIZE = 20

MANIFEST = "manifest.json"

WHILE_READING, WHILE_WRITING = 7, 3
MOST_REQUESTS = 45
"""Requests until a try is killed, at the most: so few that the tries of a test cannot have read everything."""

TRIES = """
import json, os, signal, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fsspec.implementations.local import LocalFileSystem

import airflow_provider_opencx.hooks.opencx
from airflow_provider_opencx.extraction import extract, histories
from airflow_provider_opencx.transfers.opencx_to_object_storage import OpenCXToObjectStorageOperator
from airflow.sdk.bases.operator import ExecutorSafeguard

histories.MOST_KEPT_AT_ONCE, part_size = map(int, sys.argv[1:])

def die_at(number):
    # Dies where the storage is used for the number-th time after the histories are there, in the middle of a copy.
    left = iter(range(number - 1, -1, -1))
    def dying(name):
        used = getattr(LocalFileSystem, name)
        def use(storage, *paths, **how):
            if not any("histories-" in path for path in paths) and next(left) == 0:
                if name == "put_file":
                    content = Path(paths[0]).read_bytes()
                    Path(paths[1]).write_bytes(content[: len(content) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return used(storage, *paths, **how)
        setattr(LocalFileSystem, name, use)
    for name in ("put_file", "mv", "rm_file"):
        dying(name)

for line in sys.stdin:
    path, number = json.loads(line)
    if pid := os.fork():
        print(pid, flush=True)
        print(os.waitpid(pid, 0)[1], flush=True)
        continue
    os.dup2(2, 1)
    os.read(0, 1)
    if number:
        die_at(number)
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    task = OpenCXToObjectStorageOperator(
        task_id="extract", resource="conversations", object_storage_path=path, include_history=True,
        updated_after=noon, updated_before=noon + timedelta(hours=1), part_size=part_size,
    )
    ExecutorSafeguard.tracker.set(task)
    try:
        task.execute({})
    except BaseException:
        sys.excepthook(*sys.exc_info())
        os._exit(1)
    os._exit(0)
"""
"""Makes each try in a process of its own, which is forked, so that not every one of them imports Airflow."""


class Tries:
    """Makes tries, and kills them when the service has seen a number of its requests, or in a use of the storage."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid, self._requests_left = 0, 0

    def count_request(self, _: str) -> None:
        """Note that the service has seen a request; it says so in a thread of its own."""
        with self._lock:
            self._requests_left -= 1
            if self._requests_left == 0:
                os.kill(self._pid, signal.SIGKILL)

    def start(self, url: str, folder: Path) -> None:
        """Start what makes the tries."""
        connection = connection_json(url, API_KEY, requests_per_minute=10**6)
        self._process = subprocess.Popen(
            [sys.executable, "-c", TRIES, str(KEPT_AT_ONCE), str(PART_SIZE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "AIRFLOW_CONN_OPENCX_DEFAULT": connection, "TMPDIR": str(folder)},
            start_new_session=True,
        )

    def make(self, path: Path, *, requests: int = 0, uses_of_storage: int = 0) -> int:
        """Make a try, and return how its process has ended: 0, or the signal.

        :param requests: after how many it is killed; 0 is never.
        :param uses_of_storage: in which one it is killed; 0 is never.
        """
        self._send(json.dumps([f"{path}{'' if path.suffix else '/'}", uses_of_storage]))
        with self._lock:
            self._pid, self._requests_left = self._next_number(), requests
        self._send("")
        return self._next_number()

    def end(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()

    def _send(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def _next_number(self) -> int:
        assert self._process.stdout
        return int(self._process.stdout.readline())


@pytest.fixture
def tries() -> Tries:
    return Tries()


@pytest.fixture
def service(tries: Tries, tmp_path: Path) -> Iterator[Simulator]:
    """A service that the tries ask."""
    with Simulator(
        api_keys=(API_KEY,), requests_per_minute=None, page_size=50, on_request=tries.count_request
    ) as simulator:
        tries.start(simulator.url, tmp_path)
        yield simulator
        tries.end()


def add_conversations(service: Simulator, count: int) -> None:
    service.add_conversations(count, first=NOON.isoformat(), last=(NOON + HOUR / 2).isoformat())


def written(path: Path) -> dict[str, bytes]:
    """What is in a file, or in the files of a folder; what lies aside is left out."""
    files = [path] if path.is_file() else [each for each in path.iterdir() if each.is_file()]
    return {file.name: file.read_bytes() for file in files}


def extraction(found: dict[str, bytes]) -> dict[str, bytes]:
    """What of that a reader takes: in a folder, what the manifest lists, and nothing else."""
    if MANIFEST not in found:
        return found
    parts = json.loads(found[MANIFEST])["parts"]
    assert all(hashlib.sha256(found[part["path"]]).hexdigest() == part["sha256"] for part in parts)
    return {name: found[name] for name in (MANIFEST, *(part["path"] for part in parts))}


@pytest.mark.parametrize(("name", "uses_of_storage"), [("rows.jsonl.gz", 2), ("rows", 36)])
def test_killed_tries_go_on(tries: Tries, service: Simulator, tmp_path: Path, name: str, uses_of_storage: int) -> None:
    # What is written is copied and then moved, each; in a folder, what will be deleted is noted first and deleted last.
    random = Random(name)
    whole, killed = tmp_path / "whole" / name, tmp_path / "killed" / name
    add_conversations(service, BEFORE)
    assert tries.make(killed) == 0
    earlier = written(killed)
    add_conversations(service, CONVERSATIONS - BEFORE)
    assert tries.make(whole) == 0
    expected = written(whole)
    service.forget_requests()

    for _ in range(WHILE_READING):
        assert tries.make(killed, requests=random.randint(1, MOST_REQUESTS)) == signal.SIGKILL
        assert written(killed) == earlier
    for _ in range(WHILE_WRITING):
        assert tries.make(killed, uses_of_storage=random.randint(1, uses_of_storage)) == signal.SIGKILL
        assert extraction(written(killed)) in (earlier, expected)
    assert tries.make(killed) == 0

    assert written(killed) == expected
    assert not [*killed.parent.rglob("*.partial"), *killed.parent.rglob("*.tmp")]
    # Of the histories of a try, those are read again that were not yet put aside when it was killed.
    assert service.count("listChatHistory") <= CONVERSATIONS + WHILE_READING * KEPT_AT_ONCE
