"""Tests that many viewers of the page of agents share one read, and that it waits only as long as it says."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator

import pytest

from airflow_provider_opencx.plugins.cached_reads import (
    FAILED_FOR,
    FRESH_FOR,
    KEPT_FOR,
    MOST_AT_ONCE,
    MOST_KEPT,
    CachedReads,
    Reading,
    StillReadingError,
    TooManyReadsError,
)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Service:
    """What is read: it counts, and fails or takes its time where a test wants it."""

    def __init__(self) -> None:
        self.reads = 0
        self.error: Exception | None = None
        self.goes_on = threading.Event()
        self.goes_on.set()

    def read(self) -> int:
        self.reads += 1
        number = self.reads
        self.goes_on.wait(30)
        if self.error is not None:
            raise self.error
        return number


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def reads(clock: Clock) -> CachedReads[int]:
    return CachedReads(clock)


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture(autouse=True)
def no_thread_is_left(service: Service) -> Iterator[None]:
    yield
    service.goes_on.set()
    for thread in threading.enumerate():
        if thread.name == "opencx-page":
            thread.join(10)
            assert not thread.is_alive()


@pytest.fixture
def get(reads: CachedReads[int], service: Service) -> Callable[..., Reading[int]]:
    """Looks once, in an event loop of its own: whose loop it is makes no difference."""

    def get(key: str = "a", within: float = 30) -> Reading[int]:
        return asyncio.run(reads.get(key, service.read, within))

    return get


def test_a_hundred_looks_at_once_are_one_read(reads: CachedReads[int], service: Service) -> None:
    async def look() -> list[Reading[int]]:
        return await asyncio.gather(*(reads.get("a", service.read, 30) for _ in range(100)))

    assert {reading.value for reading in asyncio.run(look())} == {1}
    assert service.reads == 1


def test_what_was_read_is_fresh_for_half_a_minute(
    get: Callable[..., Reading[int]], clock: Clock, service: Service
) -> None:
    assert get().value == 1
    clock.now += FRESH_FOR - 0.1
    assert get().value == 1
    clock.now += 0.2
    assert get().value == 2
    assert service.reads == 2


def test_each_key_is_read_by_itself(get: Callable[..., Reading[int]]) -> None:
    assert [get(key).value for key in "abab"] == [1, 2, 1, 2]


def test_failure_is_shown_with_what_was_read_before_and_read_again_soon(
    get: Callable[..., Reading[int]], clock: Clock, service: Service
) -> None:
    before = get()
    clock.now += FRESH_FOR
    service.error = ValueError("away")
    failed = get()
    assert (failed.value, failed.read_at, failed.error) == (1, before.read_at, service.error)
    get()
    assert service.reads == 2  # somebody who reloads the page sends nothing
    clock.now += FAILED_FOR
    service.error = None
    assert get() == Reading(3, get().read_at, None)


def test_nothing_is_shown_of_a_connection_that_is_gone(service: Service, clock: Clock) -> None:
    reads: CachedReads[int] = CachedReads(clock, forgets_after=(LookupError,))
    assert asyncio.run(reads.get("a", service.read, 30)).value == 1
    clock.now += FRESH_FOR
    service.error = KeyError("no such connection")
    for _ in range(2):
        assert asyncio.run(reads.get("a", service.read, 30)) == Reading(None, None, service.error)


def test_what_is_too_old_is_not_shown(get: Callable[..., Reading[int]], clock: Clock, service: Service) -> None:
    get()
    clock.now += KEPT_FOR
    service.error = ValueError("away")
    assert get() == Reading(None, None, service.error)


def test_slow_read_goes_on_and_the_next_look_finds_it(get: Callable[..., Reading[int]], service: Service) -> None:
    service.goes_on.clear()
    late = get(within=0.05)
    assert late.value is None
    assert isinstance(late.error, StillReadingError)
    assert "within 0.05 seconds" in str(late.error)
    service.goes_on.set()
    assert get() == Reading(1, get().read_at, None)
    assert service.reads == 1


def test_waiting_for_a_slow_read_takes_no_thread(reads: CachedReads[int], service: Service) -> None:
    service.goes_on.clear()

    async def look() -> int:
        waiting = [asyncio.create_task(reads.get("a", service.read, 30)) for _ in range(200)]
        await asyncio.sleep(0)
        threads = [thread.name for thread in threading.enumerate()].count("opencx-page")
        service.goes_on.set()
        await asyncio.gather(*waiting)
        return threads

    assert asyncio.run(look()) == 1


def test_reads_at_once_are_few(get: Callable[..., Reading[int]], service: Service) -> None:
    service.goes_on.clear()
    for number in range(MOST_AT_ONCE):
        get(f"slow {number}", within=0.01)
    refused = get("another", within=0.01)
    assert isinstance(refused.error, TooManyReadsError)
    assert service.reads == MOST_AT_ONCE


def test_who_leaves_does_not_end_the_read_of_others(reads: CachedReads[int], service: Service) -> None:
    service.goes_on.clear()

    async def look() -> Reading[int]:
        leaves, stays = (asyncio.create_task(reads.get("a", service.read, 30)) for _ in range(2))
        await asyncio.sleep(0)
        leaves.cancel()
        await asyncio.wait([leaves])
        service.goes_on.set()
        return await stays

    assert asyncio.run(look()).value == 1


def test_few_are_kept(get: Callable[..., Reading[int]], service: Service) -> None:
    for number in range(MOST_KEPT + 1):
        get(f"key {number}")
    get(f"key {MOST_KEPT}")
    assert service.reads == MOST_KEPT + 1
    get("key 0")
    assert service.reads == MOST_KEPT + 2
