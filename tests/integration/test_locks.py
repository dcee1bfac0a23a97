"""Tests that one process at a time creates a name, with the locks of a machine and with those of a Redis."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from endless_redis import endless_redis
from redis import Redis
from servers import running_redis

from airflow_provider_opencx.client import locks
from airflow_provider_opencx.client.client import OpenCXClient
from airflow_provider_opencx.client.locks import hold
from airflow_provider_opencx.client.settings import ClientSettings
from airflow_provider_opencx.exceptions import OpenCXCoordinationError, OpenCXRateLimitError
from airflow_provider_opencx.intents import Intent
from airflow_provider_opencx.resources.phone_agents import list_phone_agents
from airflow_provider_opencx.simulator import Simulator, TooManyRequests

KEY = "ocx_live_s3cret-of-the-lock-tests"

# Holds some names again and again, and writes down when; the arguments are those of main().
HOLDER = """
import os, sys, time
from airflow_provider_opencx.client import locks
from airflow_provider_opencx.client.settings import ClientSettings
from airflow_provider_opencx.intents import Intent

coordination, times, seconds, journal, expires_after, *names = sys.argv[1:]
locks.REDIS_LOCK_EXPIRES_AFTER = float(expires_after)
settings = ClientSettings("https://opencx.example", f"key of {os.getpid()}", coordination=coordination)
for _ in range(int(times)):
    with locks.hold(settings, names) as held, open(journal, "a", buffering=1) as file:
        held.write({name: Intent(1.5, "pa_1") for name in names})
        file.write(f"begin {os.getpid()}\\n")
        time.sleep(float(seconds))
        file.write(f"end {os.getpid()}\\n")
"""


@dataclass
class Holders:
    """Processes that hold names."""

    coordination: str
    journal: Path
    exits: ExitStack

    @property
    def settings(self) -> ClientSettings:
        return ClientSettings("https://opencx.example", KEY, coordination=self.coordination)

    def start(
        self, *names: str, times: int = 1, seconds: float = 0.0, expires_after: float = 30
    ) -> subprocess.Popen[bytes]:
        arguments = [self.coordination, times, seconds, self.journal, expires_after, *names]
        process = subprocess.Popen([sys.executable, "-c", HOLDER, *map(str, arguments)])
        self.exits.callback(process.wait)
        self.exits.callback(process.kill)
        return process

    def wait_for_lines(self, number: int) -> list[str]:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            lines = self.journal.read_text().splitlines()
            if len(lines) >= number:
                return lines
            time.sleep(0.02)
        pytest.fail(f"{number} lines were not written in a minute")


@pytest.fixture
def redis_address(program: Callable[[str], Path]) -> Iterator[str]:
    """A real Redis with a password: a simulated one drops connections when several processes use it."""
    with running_redis(program("redis-server")) as address:
        Redis.from_url(address).config_set("requirepass", "s3cret")
        yield address.replace("redis://", "redis://:s3cret@") + "/0"


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The temporary directory, of this process and of those it starts."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(locks, "_reasons_to_go_on_alone", set())
    return tmp_path


@pytest.fixture(params=["machine", "redis"])
def holders(request: pytest.FixtureRequest, directory: Path) -> Iterator[Holders]:
    coordination = request.getfixturevalue("redis_address") if request.param == "redis" else "machine"
    journal = directory / "journal"
    journal.touch()
    with ExitStack() as exits:
        yield Holders(coordination, journal, exits)


def test_processes_hold_a_name_one_after_another(holders: Holders) -> None:
    # In different orders: two processes that each hold one name of two must not wait for each other.
    for names in (("a", "b"), ("b", "a"), ("a",), ("b", "c", "a")):
        holders.start(*names, times=5, seconds=0.02)
    lines = holders.wait_for_lines(2 * 4 * 5)
    pairs = [line.split() for line in lines]
    for (begin, holder), (end, other) in zip(pairs[::2], pairs[1::2], strict=True):
        assert (begin, end, holder) == ("begin", "end", other)


def test_another_name_does_not_wait(holders: Holders) -> None:
    holders.start("a", seconds=60)
    holders.wait_for_lines(1)
    began = time.monotonic()
    with hold(holders.settings, ["b"]):
        assert time.monotonic() - began < 5


def test_killed_process_frees_its_name_and_leaves_its_intent(holders: Holders) -> None:
    process = holders.start("a", seconds=60, expires_after=1)
    holders.wait_for_lines(1)
    process.send_signal(signal.SIGKILL)
    with hold(holders.settings, ["a", "b"]) as held:
        assert held.read(["a", "b"]) == {"a": Intent(1.5, "pa_1")}
        held.delete(["a", "b"])
        assert held.read(["a", "b"]) == {}


def test_lock_is_kept_as_long_as_its_holder_lives(holders: Holders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "REDIS_LOCK_EXPIRES_AFTER", 6)
    with hold(holders.settings, ["a"]) as held:
        holders.start("a")
        time.sleep(8)  # longer than a lock that nobody keeps alive
        held.check("a")
        assert holders.journal.read_text() == ""
    assert len(holders.wait_for_lines(2)) == 2


def test_wait_for_a_name_is_bounded_and_said(
    holders: Holders, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(locks, "LOCK_TIMEOUT", 0.3)
    holders.start("a", seconds=60)
    holders.wait_for_lines(1)
    caplog.set_level("INFO")
    with (
        pytest.raises(OpenCXCoordinationError, match="Another task has been creating 'a'") as error,
        hold(holders.settings, ["a"]),
    ):
        pytest.fail("it is held by another process")
    assert not error.value.is_permanent
    assert "Waiting for another task that has the lock of 'a'." in caplog.text


def test_threads_of_a_process_take_turns(holders: Holders) -> None:
    for coordination in (holders.coordination, "process"):
        settings = ClientSettings("https://opencx.example", KEY, coordination=coordination)
        at_once = holders_at_once(settings, "a", times=5)
        assert (len(at_once), max(at_once)) == (20, 1)


def test_threads_that_ask_for_a_new_name_at_once_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "_FIRST_PAUSE", 0.001)
    settings = ClientSettings("https://opencx.example", KEY, coordination="process")
    switch_interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        assert [max(holders_at_once(settings, f"new {number}")) for number in range(300)] == [1] * 300
    finally:
        sys.setswitchinterval(switch_interval)


def holders_at_once(settings: ClientSettings, name: str, times: int = 1) -> list[int]:
    """Let four threads hold a name as soon as they can; return how many held it, each time that one did."""
    holding: list[int] = []
    at_once: list[int] = []
    together = threading.Barrier(4)

    def work() -> None:
        together.wait()
        for _ in range(times):
            with hold(settings, [name]):
                holding.append(1)
                at_once.append(len(holding))
                time.sleep(0.001)
                holding.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return at_once


def refused_lock_file(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with hold(ClientSettings("https://opencx.example", KEY), ["a"]):
        pass
    [file] = (directory / locks.DIRECTORY).glob("*.lock")
    file.unlink()
    file.symlink_to(directory / "elsewhere")


def system_without_locks(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", flock)


@pytest.mark.parametrize("spoil", [refused_lock_file, system_without_locks])
def test_threads_take_turns_where_the_file_cannot_be_locked(
    spoil: Callable[[Path, pytest.MonkeyPatch], None],
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    spoil(directory, monkeypatch)
    assert max(holders_at_once(ClientSettings("https://opencx.example", KEY), "a")) == 1
    assert caplog.text.count("Going on alone") == 1


def linked_elsewhere(directory: Path) -> None:
    (directory / "elsewhere").mkdir(mode=0o700)
    (directory / locks.DIRECTORY).symlink_to(directory / "elsewhere")


def open_to_all(directory: Path) -> None:
    (directory / locks.DIRECTORY).mkdir()
    (directory / locks.DIRECTORY).chmod(0o777)


def a_file_instead(directory: Path) -> None:
    (directory / locks.DIRECTORY).touch()


@pytest.mark.parametrize("spoil", [linked_elsewhere, open_to_all, a_file_instead])
def test_task_goes_on_alone_and_says_so_once_where_the_directory_cannot_be_had(
    spoil: Callable[[Path], None], directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spoil(directory)
    settings = ClientSettings("https://opencx.example", KEY, coordination="machine")
    for _ in range(3):
        with hold(settings, ["a"]) as held:
            held.write({"a": Intent(1.0)})
            held.check("a")
            assert held.read(["a"]) == {"a": Intent(1.0)}
            held.delete(["a"])
    [warning] = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "Going on alone" in warning
    assert not any((directory / "elsewhere").glob("*"))


@pytest.mark.parametrize("name", ["lock", "intent"])
def test_no_symbolic_link_is_followed(name: str, directory: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = ClientSettings("https://opencx.example", KEY, coordination="machine")
    with hold(settings, ["a"]) as held:
        held.write({"a": Intent(1.0)})
    [file] = (directory / locks.DIRECTORY).glob(f"*.{name}")
    victim = directory / "victim"
    victim.write_text("precious")
    file.unlink()
    file.symlink_to(victim)
    with hold(settings, ["a"]) as held:
        held.write({"a": Intent(2.0)})
    assert victim.read_text() == "precious"
    assert "Going on alone" in caplog.text


def test_files_are_private_and_hide_name_and_key(directory: Path) -> None:
    with hold(ClientSettings("https://opencx.example", KEY, coordination="machine"), ["Appointment reminder"]) as held:
        held.write({"Appointment reminder": Intent(1.0, "pa_1")})
        files = list((directory / locks.DIRECTORY).iterdir())
        assert {file.suffix for file in files} == {".lock", ".intent"}
        for file in files:
            assert file.stat().st_mode & 0o777 == 0o600
            assert not {"Appointment", KEY} & {*file.name.split(), *file.read_text().split()}


def test_intent_that_was_cut_off_counts(directory: Path) -> None:
    settings = ClientSettings("https://opencx.example", KEY, coordination="machine")
    with hold(settings, ["a"]) as held:
        held.write({"a": Intent(1.0)})
        [file] = (directory / locks.DIRECTORY).glob("*.intent")
        file.write_text('{"sent_at": 17')
        os.utime(file, (1000, 1000))
        assert held.read(["a"]) == {"a": Intent(1000.0)}


def test_nothing_is_created_without_the_redis_that_was_asked_for(redis_address: str) -> None:
    nobody = ClientSettings("https://opencx.example", KEY, coordination="redis://:s3cret@127.0.0.1:1/0")
    with (
        pytest.raises(OpenCXCoordinationError, match=r"the Redis at 127\.0\.0\.1 cannot be used") as error,
        hold(nobody, ["a"]),
    ):
        pytest.fail("nobody listens there")
    assert "s3cret" not in str(error.value)


def test_redis_that_loses_a_lock_stops_the_next_create(redis_address: str, caplog: pytest.LogCaptureFixture) -> None:
    redis = Redis.from_url(redis_address)
    settings = ClientSettings("https://opencx.example", KEY, coordination=redis_address)
    with hold(settings, ["a"]) as held:
        held.check("a")
        redis.flushall()
        with pytest.raises(OpenCXCoordinationError, match="has given up the lock of 'a'"):
            held.check("a")
    assert "did not release the lock" in caplog.text
    assert redis.keys("*") == []


def test_redis_that_goes_away_under_a_lock_ends_in_a_retryable_error(
    redis_address: str, caplog: pytest.LogCaptureFixture
) -> None:
    with hold(ClientSettings("https://opencx.example", KEY, coordination=redis_address), ["a"]) as held:
        Redis.from_url(redis_address).shutdown(nosave=True)
        for use in (lambda: held.check("a"), lambda: held.write({"a": Intent(1.0)}), lambda: held.read(["a"])):
            with pytest.raises(OpenCXCoordinationError, match="cannot be used") as error:
                use()
            assert not error.value.is_permanent
            assert "s3cret" not in str(error.value)
        held.delete(["a"])
    assert "did not release the lock" in caplog.text
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize(
    ("first", "then", "pause"),
    [(b"$1000000\r\n", b"x", 0.05), (b"+", b"x", 0.05), (b"*1000000\r\n", b":1\r\n", 0.05), (b"+", b"x" * 10_000, 0.0)],
    ids=["bulk", "line", "array", "flood"],
)
def test_redis_whose_response_does_not_end_ends_in_a_retryable_error(
    first: bytes, then: bytes, pause: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "REDIS_RESPONDS_WITHIN", 0.5)
    with (
        endless_redis(first, then, pause) as address,
        pytest.raises(OpenCXCoordinationError, match="cannot be used"),
        hold(ClientSettings("https://opencx.example", KEY, coordination=address), ["a"]),
    ):
        pytest.fail("the lock was never granted")


def test_locks_are_let_go_within_the_time_of_one_operation(
    redis_address: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    names = [f"name {number}" for number in range(50)]
    with hold(ClientSettings("https://opencx.example", KEY, coordination=redis_address), names):
        monkeypatch.setattr(locks, "REDIS_RESPONDS_WITHIN", 1.0)
        Redis.from_url(redis_address).client_pause(60_000)
        began = time.monotonic()
    assert time.monotonic() - began < 25  # 50 s if each had its own
    assert "did not release the lock of a name" in caplog.text


def test_fork_that_lives_on_holds_no_lock_of_its_parent(directory: Path) -> None:
    settings = ClientSettings("https://opencx.example", KEY)
    reader, writer = os.pipe()
    with hold(settings, ["a"]):
        child = os.fork()
        if not child:
            os.close(writer)
            os.read(reader, 1)  # until its parent closes it
            os._exit(0)
    try:
        with hold(settings, ["a"]):
            assert os.waitpid(child, os.WNOHANG) == (0, 0)
    finally:
        os.close(writer)
        os.waitpid(child, 0)
        os.close(reader)


def test_retry_after_is_not_waited_out_under_a_lock(directory: Path, opencx_simulator: Simulator) -> None:
    client = OpenCXClient(ClientSettings(opencx_simulator.url, "test-key"))
    opencx_simulator.fail("listPhoneAgents", TooManyRequests(1))
    with pytest.raises(OpenCXRateLimitError) as error, client.lock(["a"]):
        list_phone_agents(client)
    assert (error.value.retry_after, len(opencx_simulator.requests)) == (1, 1)
    opencx_simulator.fail("listPhoneAgents", TooManyRequests(1))
    assert list_phone_agents(client) == []
