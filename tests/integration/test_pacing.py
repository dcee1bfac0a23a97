"""Tests processes that share a rate limit: the service refuses no request, and sharing delays none."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from endless_redis import endless_redis
from redis import Redis

from airflow_provider_opencx.client import limiters, rate_limit
from airflow_provider_opencx.client.client import OpenCXClient
from airflow_provider_opencx.client.exchange import at_most
from airflow_provider_opencx.client.settings import ClientSettings
from airflow_provider_opencx.exceptions import OpenCXRateLimitError
from airflow_provider_opencx.phone_agents.polling import poll_once
from airflow_provider_opencx.phone_agents.waiting import Wait
from airflow_provider_opencx.resources.phone_agents import list_phone_agents, ping
from airflow_provider_opencx.simulator import Simulator
from airflow_provider_opencx.triggers.threads import in_thread
from airflow_provider_opencx.waiting import TOLERATED_FAILED_POLLS

KEY = "ocx_live_s3cret-of-the-pacing-tests"
PASSWORD = "r3dis-s3cret"

REDIS = """
from fakeredis import TcpFakeServer
server = TcpFakeServer(("127.0.0.1", 0), server_type="redis")
print(server.server_address[1], flush=True)
server.serve_forever()
"""

WORKERS = """
import os, sys
from airflow_provider_opencx.client.client import OpenCXClient
from airflow_provider_opencx.client.settings import ClientSettings
from airflow_provider_opencx.resources.phone_agents import ping

url, key, coordination = sys.argv[1:4]
requests_per_minute, workers, requests_of_each = map(int, sys.argv[4:])
settings = ClientSettings(url, key, max_retries=0, requests_per_minute=requests_per_minute, coordination=coordination)

def work():
    with OpenCXClient(settings) as client:
        for _ in range(requests_of_each):
            ping(client)

for worker in range(workers):
    if not os.fork():
        work()
        os._exit(0)
for _ in range(workers):
    os.wait()
"""

FORK = """
import os, sys, threading, time
from airflow_provider_opencx.client.client import OpenCXClient
from airflow_provider_opencx.client.settings import ClientSettings
from airflow_provider_opencx.resources.phone_agents import ping

url, key, coordination = sys.argv[1:4]
requests_per_minute, sent_before = map(int, sys.argv[4:])
settings = ClientSettings(url, key, requests_per_minute=requests_per_minute, coordination=coordination)

def send(settings=settings):
    with OpenCXClient(settings) as client:
        ping(client)

# What httpx imports is imported, or the first fork might wait for that.
send(ClientSettings(url, key, requests_per_minute=requests_per_minute + 1, coordination="process"))
for _ in range(sent_before):
    send()
# While one thread is asking for its turn, with a lock held or in the middle of an import, others are forked.
asking = threading.Thread(target=send)
asking.start()
forks = 0
while asking.is_alive() and forks < 15:
    forks += 1
    if not os.fork():
        send()
        os._exit(0)
    time.sleep(0.1)
asking.join()
for _ in range(forks):
    os.wait()
print(1 + sent_before + 1 + forks)
"""

RACE = """
import logging, os, signal, sys, threading
from airflow_provider_opencx.client import rate_limit
from airflow_provider_opencx.client.limiters import limiter_of
from airflow_provider_opencx.client.settings import ClientSettings

logging.disable()
url, key, coordination = sys.argv[1:4]
forks, seconds = map(int, sys.argv[4:6])
rate_limit.RETRY_BUCKET_AFTER = 0.0
rate_limit.RESPONSE_TIMEOUT, rate_limit.FORK_WAITS_AT_MOST = map(float, sys.argv[6:])
settings = ClientSettings(url, key, requests_per_minute=10**7, coordination=coordination)
made_before = limiter_of(settings)

def acquire_again_and_again():
    while True:
        made_before.try_acquire()

for _ in range(4):
    threading.Thread(target=acquire_again_and_again, daemon=True).start()
statuses = []
for _ in range(forks):
    child = os.fork()
    if not child:
        signal.alarm(seconds)
        made_before.try_acquire()
        limiter_of(settings).try_acquire()
        os._exit(0)
    statuses.append(os.waitpid(child, 0)[1])
print(statuses.count(0), flush=True)
os._exit(0)
"""


@contextmanager
def worker_processes(
    settings: ClientSettings, workers: int, requests_of_each: int
) -> Iterator[subprocess.Popen[bytes]]:
    """Processes, every other one async, that send one request after the other; ended here at the latest."""
    numbers = (settings.requests_per_minute, workers, requests_of_each)
    coordination = settings.coordination
    written = coordination if isinstance(coordination, str) else coordination.reveal()
    arguments = [settings.base_url, settings.api_key.reveal(), written, *map(str, numbers)]
    parent = subprocess.Popen([sys.executable, "-c", WORKERS, *arguments], start_new_session=True)
    try:
        yield parent
    finally:
        with suppress(ProcessLookupError):
            os.killpg(parent.pid, signal.SIGKILL)
        parent.wait()


@pytest.fixture
def temporary_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The temporary directory, of this process and of those it starts."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    # A simulator may have the port of an earlier one, whose limiter has its file in an earlier directory.
    monkeypatch.setattr(limiters, "_limiters", {})
    return tmp_path


@pytest.fixture
def redis_address() -> Iterator[str]:
    """The address of a running Redis, in a process of its own: it fails in one that has a thousand files open."""
    with subprocess.Popen([sys.executable, "-c", REDIS], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        yield f"redis://127.0.0.1:{int(server.stdout.readline())}/0"
        server.kill()


@pytest.fixture(params=["machine", "redis"])
def coordination(request: pytest.FixtureRequest, temporary_directory: Path) -> str:
    """Each value of the extra that shares the pace."""
    return str(request.getfixturevalue("redis_address")) if request.param == "redis" else "machine"


def test_pacing_lets_sixteen_processes_avoid_429(temporary_directory: Path, redis_address: str) -> None:
    a_minute, of_two_minutes = 90, int(0.95 * 2 * 90)
    with ExitStack() as running:
        services = [running.enter_context(Simulator(api_keys=(KEY,), requests_per_minute=100)) for _ in range(2)]
        for service, coordination in zip(services, ("machine", redis_address), strict=True):
            settings = ClientSettings(service.url, KEY, requests_per_minute=a_minute, coordination=coordination)
            running.enter_context(worker_processes(settings, workers=16, requests_of_each=1_000_000))

        def refused() -> int:
            return sum(request.status == 429 for service in services for request in service.requests)

        def answered() -> list[int]:
            return [sum(request.status == 200 for request in service.requests) for service in services]

        wait_until(lambda: min(answered()) > 0, seconds=120)
        with suppress(TimeoutError):
            wait_until(lambda: refused() > 0 or min(answered()) >= of_two_minutes, seconds=115)
        assert refused() == 0
        assert min(answered()) >= of_two_minutes


def test_pacing_counts_requests_of_other_processes(coordination: str, opencx_simulator: Simulator) -> None:
    settings = ClientSettings(opencx_simulator.url, "test-key", requests_per_minute=4, coordination=coordination)
    with worker_processes(settings, workers=2, requests_of_each=2) as parent:
        assert parent.wait(timeout=120) == 0
    with at_most(1), pytest.raises(OpenCXRateLimitError):
        send_ping(settings)
    assert len(opencx_simulator.requests) == 4


def test_poll_that_gets_no_turn_in_time_is_no_failed_poll(
    coordination: str, opencx_simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """A sensor whose timeout is near polls again and again, and must end as one whose time is over."""
    settings = ClientSettings(opencx_simulator.url, "test-key", requests_per_minute=2, coordination=coordination)
    wait = Wait(agent_name="new")
    with OpenCXClient(settings) as client, caplog.at_level(logging.INFO):
        for _ in range(2):
            ping(client)
        for _ in range(TOLERATED_FAILED_POLLS + 2):
            with at_most(0.05):
                poll = poll_once(partial(list_phone_agents, client), wait)
            assert isinstance(poll.response, OpenCXRateLimitError)
    assert len(opencx_simulator.requests) == 2
    assert "Sent again" not in caplog.text


def test_pacing_is_separate_per_key_address_and_rate(coordination: str) -> None:
    with Simulator(api_keys=("one", "two"), requests_per_minute=None) as service:
        paced = ClientSettings(service.url, "one", requests_per_minute=1, coordination=coordination)
        other_address = replace(paced, base_url=f"{service.url}/")
        other_key = replace(paced, api_key="two")
        other_rate = replace(paced, requests_per_minute=2)
        for settings in (paced, other_address, other_key, other_rate):
            asyncio.run(asyncio.wait_for(send_ping_from_event_loop(settings), timeout=10))


def test_pacing_file_is_private_and_hides_key(temporary_directory: Path, opencx_simulator: Simulator) -> None:
    send_ping(ClientSettings(opencx_simulator.url, "test-key", coordination="machine"))
    [directory] = temporary_directory.iterdir()
    [file] = directory.iterdir()
    assert (directory.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)
    assert b"test-key" not in file.read_bytes() + file.name.encode()


def test_pacing_per_process_creates_no_file(
    temporary_directory: Path, opencx_simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "airflow_provider_opencx.client.rate_limit", None)  # cannot be imported
    send_ping(ClientSettings(opencx_simulator.url, "test-key", coordination="process"))
    assert list(temporary_directory.iterdir()) == []


class Store:
    """What is shared, for a test to take away."""

    def __init__(self, directory: Path, redis: str, exits: ExitStack) -> None:
        self.directory = directory / f"airflow-provider-opencx-{os.geteuid()}"
        self.redis = redis
        self._exits = exits

    @property
    def file(self) -> Path:
        [file] = self.directory.glob("*.sqlite")
        return file

    def locked(self) -> sqlite3.Connection:
        other = sqlite3.connect(self.file)
        self._exits.callback(other.close)
        other.execute("BEGIN EXCLUSIVE")
        return other

    def spoilt(self) -> None:
        self.file.write_bytes(b"nothing that SQLite knows" * 1000)

    def removed(self) -> None:
        self.file.unlink()
        self.directory.rmdir()

    def a_file_instead(self) -> None:
        self.directory.touch()

    def a_directory_for_all(self) -> None:
        self.directory.mkdir()
        self.directory.chmod(0o777)

    def a_link(self) -> None:
        elsewhere = self.directory.with_name("elsewhere")
        elsewhere.mkdir(mode=0o700)
        self.directory.symlink_to(elsewhere)

    def restarted(self) -> None:
        with Redis.from_url(self.redis) as redis:
            redis.script_flush()

    def nobody(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.redis = f"redis://:{PASSWORD}@127.0.0.1:{listener.getsockname()[1]}"

    def silent(self) -> None:
        listener = self._exits.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.redis = f"redis://:{PASSWORD}@127.0.0.1:{listener.getsockname()[1]}"

    def dribbles(self) -> None:
        self._sends(b"$1000000\r\n", b"x", 0.1)

    def endless_line(self) -> None:
        self._sends(b"+", b"x" * 10_000, 0.0)

    def _sends(self, first: bytes, then: bytes, pause: float) -> None:
        sender = self._exits.enter_context(endless_redis(first, then, pause))
        self.redis = sender.replace("redis://", f"redis://:{PASSWORD}@")


@pytest.fixture
def store(temporary_directory: Path, redis_address: str) -> Iterator[Store]:
    with ExitStack() as exits:
        yield Store(temporary_directory, redis_address, exits)


@pytest.mark.parametrize(
    ("coordination", "used_before", "becomes", "says"),
    [
        ("machine", True, Store.locked, "database is locked"),
        ("machine", True, Store.spoilt, "file is not a database"),
        ("machine", True, Store.removed, "OperationalError"),
        ("machine", False, Store.a_file_instead, "File exists"),
        ("machine", False, Store.a_directory_for_all, "is not a directory of this user alone"),
        ("machine", False, Store.a_link, "is not a directory of this user alone"),
        ("redis", True, Store.restarted, "NoScriptError"),
        ("redis", False, Store.nobody, "Connection refused"),
        ("redis", False, Store.silent, "Timeout"),
        ("redis", False, Store.dribbles, "Timeout"),
        ("redis", False, Store.endless_line, "the Redis sent more than 1,000,000 bytes"),
    ],
)
def test_pacing_falls_back_when_store_fails(
    coordination: str,
    used_before: bool,
    becomes: Callable[[Store], object],
    says: str,
    store: Store,
    opencx_simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def settings() -> ClientSettings:
        address = store.redis if coordination == "redis" else coordination
        return ClientSettings(opencx_simulator.url, "test-key", requests_per_minute=4, coordination=address)

    def send() -> None:
        send_ping(settings())

    if used_before:
        send()
    becomes(store)
    started = time.monotonic()
    while len(opencx_simulator.requests) < 4:
        send()
    assert time.monotonic() - started < 30  # a second, and as much as a slow machine needs
    assert [request.status for request in opencx_simulator.requests] == [200] * 4
    [warning] = warnings_in(caplog)
    assert says in warning
    assert PASSWORD not in warning
    with at_most(0.5), pytest.raises(OpenCXRateLimitError):
        send()


def test_name_server_that_does_not_respond_holds_no_request_up(
    opencx_simulator: Simulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(rate_limit, "RESPONSE_TIMEOUT", 0.3)
    responds, find = threading.Event(), socket.getaddrinfo

    def getaddrinfo(host: str, *arguments: Any, **named: Any) -> Any:
        if host == "redis.example":
            responds.wait(60)
        return find(host, *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    try:
        send_ping(ClientSettings(opencx_simulator.url, "test-key", coordination="redis://redis.example:6379"))
        assert not responds.is_set()
    finally:
        responds.set()
    assert len(opencx_simulator.requests) == 1
    assert "the Redis at redis.example cannot be used" in caplog.text


def test_pacing_shares_again_when_store_recovers(
    store: Store,
    opencx_simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rate_limit, "RETRY_BUCKET_AFTER", 0.0)
    settings = ClientSettings(opencx_simulator.url, "test-key", coordination="machine")
    send_ping(settings)
    for failures in (1, 2):
        other = store.locked()
        send_ping(settings)
        send_ping(settings)
        assert len(warnings_in(caplog)) == failures
        other.rollback()
        send_ping(settings)
        [noted] = other.execute("SELECT count(*) FROM requests").fetchone()
        assert noted == 1 + failures


def printed_by(script: str, *arguments: object) -> int:
    """The number that a script prints, which is ended with all that it forked after four minutes."""
    command = [sys.executable, "-W", "ignore", "-c", script, *map(str, arguments)]
    with subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE) as process:
        try:
            printed, _ = process.communicate(timeout=240)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    return int(printed)


def sent_by_forks(settings: ClientSettings, sent_before: int = 0) -> int:
    """Send requests in a process, one more in a thread of it, and meanwhile others in processes forked from it."""
    coordination = settings.coordination
    written = coordination if isinstance(coordination, str) else coordination.reveal()
    numbers = (settings.requests_per_minute, sent_before)
    return printed_by(FORK, settings.base_url, settings.api_key.reveal(), written, *numbers)


@pytest.mark.parametrize(
    ("coordination", "used_before", "becomes"),
    [("machine", True, Store.locked), ("redis", False, Store.silent)],
    ids=["machine", "redis"],
)
def test_pacing_survives_fork_while_acquiring(
    coordination: str, used_before: bool, becomes: Callable[[Store], object], store: Store, opencx_simulator: Simulator
) -> None:
    settings = ClientSettings(opencx_simulator.url, "test-key", coordination=coordination)
    if used_before:
        send_ping(settings)
    becomes(store)
    sent = sent_by_forks(replace(settings, coordination=store.redis if coordination == "redis" else coordination))
    assert sent > 2  # the first, that of the thread, and those of the forks
    assert [request.status for request in opencx_simulator.requests] == [200] * (sent + used_before)


def test_pacing_of_process_is_not_shared_with_fork(opencx_simulator: Simulator) -> None:
    settings = ClientSettings(opencx_simulator.url, "test-key", requests_per_minute=3, coordination="process")
    sent = sent_by_forks(settings, sent_before=2)
    assert [request.status for request in opencx_simulator.requests] == [200] * sent


@pytest.mark.parametrize(
    ("coordination", "becomes", "fork_waits", "forks"),
    [
        ("process", None, 10, 30),
        ("machine", None, 10, 30),
        ("machine", Store.locked, 10, 60),
        ("machine", Store.locked, 0, 60),
        ("redis", None, 10, 15),
        ("redis", Store.nobody, 10, 15),
        ("redis", Store.nobody, 0, 15),
    ],
)
def test_limiter_made_before_a_fork_works_in_it(
    coordination: str,
    becomes: Callable[[Store], object] | None,
    fork_waits: float,
    forks: int,
    store: Store,
    opencx_simulator: Simulator,
) -> None:
    settings = ClientSettings(opencx_simulator.url, "test-key", requests_per_minute=10**7, coordination=coordination)
    response_timeout = rate_limit.RESPONSE_TIMEOUT
    if becomes is not None:
        response_timeout = 0.001  # so that it fails again and again
        if coordination == "machine":
            send_ping(settings)
        becomes(store)
    shared = store.redis if coordination == "redis" else coordination
    assert printed_by(RACE, settings.base_url, "test-key", shared, forks, 30, response_timeout, fork_waits) == forks


def test_fork_that_cannot_share_the_limit_says_so_once(
    store: Store, opencx_simulator: Simulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings = ClientSettings(opencx_simulator.url, "test-key", requests_per_minute=3, coordination="machine")
    send_ping(settings)
    monkeypatch.setattr(rate_limit, "FORK_WAITS_AT_MOST", 0.0)
    limiter = limiters._limiters.popitem()[1]
    monkeypatch.setattr(limiter, "_open_bucket", pytest.fail)  # it must not be asked
    with limiter._one_at_a_time:  # a thread asks
        limiter.before_fork()
    limiter.begin_anew()
    for _ in range(3):
        assert limiter.try_acquire()
    assert not limiter.try_acquire(timeout=0.1)
    [warning] = warnings_in(caplog)
    assert warning.endswith("of the temporary directory. Falling back to a per-process limit.")
    assert "because it was forked while another thread waited for the file" in warning


def test_limiter_holds_the_requests_of_one_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    milliseconds = 0
    limiter = limiters.ProcessLimiter(100)
    monkeypatch.setattr(limiter._counted, "now", lambda: milliseconds)
    threads = threading.active_count()
    for _ in range(10_000):
        milliseconds += 601
        assert limiter.try_acquire(blocking=False)
    assert limiter._counted.count() <= 101
    assert threading.active_count() == threads


def test_pacing_drops_requests_older_than_window(store: Store, opencx_simulator: Simulator) -> None:
    settings = ClientSettings(opencx_simulator.url, "test-key")
    ago = {f"sent {seconds} s ago": time.time_ns() // 10**6 - 1000 * seconds for seconds in (3600, 120, 62, 50, 10)}
    for coordination in ("machine", store.redis):
        send_ping(replace(settings, coordination=coordination))
    with closing(sqlite3.connect(store.file)) as file, Redis.from_url(store.redis) as redis:
        file.executemany("INSERT INTO requests VALUES (?, ?)", ago.items())
        file.commit()
        [key] = redis.keys("airflow-provider-opencx:pacing:*")
        redis.zadd(key, ago)
        for coordination in ("machine", store.redis):
            send_ping(replace(settings, coordination=coordination))
        [[noted]] = file.execute("SELECT count(*) FROM requests")
        assert noted == 4
        assert redis.zcard(key) == 4
        # A bucket that nobody uses any more goes as a whole.
        assert 61_000 <= redis.pttl(key) <= 2 * 61_000


def test_pacing_counts_request_in_open_transaction(
    store: Store, opencx_simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limit, "RESPONSE_TIMEOUT", 60.0)
    settings = ClientSettings(opencx_simulator.url, "test-key", requests_per_minute=2, coordination="machine")
    send_ping(settings)

    async def send_while_another_notes_the_second() -> None:
        with closing(sqlite3.connect(store.file)) as other:
            other.execute("INSERT INTO requests VALUES ('another', ?)", [time.time_ns() // 10**6])
            sent = asyncio.create_task(send_ping_from_event_loop(settings))
            await asyncio.sleep(0.3)
            other.commit()
            await sent

    with at_most(20), pytest.raises(OpenCXRateLimitError):
        asyncio.run(send_while_another_notes_the_second())
    assert len(opencx_simulator.requests) == 1


def test_pacing_locked_file_does_not_block_event_loop(store: Store, opencx_simulator: Simulator) -> None:
    settings = ClientSettings(opencx_simulator.url, "test-key", coordination="machine")
    send_ping(settings)
    store.locked()

    async def turns_of_the_loop_meanwhile() -> int:
        sent, turns = asyncio.create_task(send_ping_from_event_loop(settings)), 0
        while not sent.done():
            await asyncio.sleep(0.01)
            turns += 1
        await sent
        return turns

    assert asyncio.run(turns_of_the_loop_meanwhile()) > 10


def test_pacing_tolerates_clock_set_back(
    temporary_directory: Path, opencx_simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ClientSettings(opencx_simulator.url, "test-key", requests_per_minute=2, coordination="machine")
    with worker_processes(settings, workers=1, requests_of_each=2) as parent:
        assert parent.wait(timeout=120) == 0
    monkeypatch.setattr("pyrate_limiter.buckets.sqlite_bucket.time_ns", lambda: time.time_ns() - 3600 * 10**9)
    asyncio.run(asyncio.wait_for(send_ping_from_event_loop(settings), timeout=10))
    assert len(opencx_simulator.requests) == 3


def send_ping(settings: ClientSettings) -> None:
    with OpenCXClient(settings) as client:
        ping(client)


async def send_ping_from_event_loop(settings: ClientSettings) -> None:
    await in_thread(lambda: send_ping(settings))


def wait_until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.2)


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == rate_limit.__name__]
