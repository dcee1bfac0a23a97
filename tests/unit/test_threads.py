"""Tests functions that wait for the network in a thread while the event loop continues."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator

import pytest

from airflow_provider_opencx.triggers import threads
from airflow_provider_opencx.triggers.threads import in_thread

WITHIN = 30


class Blocking:
    """A call that blocks until the test has ended, and the threads that are in it."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []
        self._ended = threading.Event()

    def __call__(self) -> None:
        self.threads.append(threading.current_thread())
        self._ended.wait(WITHIN)

    def end(self) -> None:
        self._ended.set()


@pytest.fixture
def blocking() -> Iterator[Blocking]:
    call = Blocking()
    yield call
    call.end()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN):
        while not condition():
            await asyncio.sleep(0.01)


def fail(error: BaseException) -> None:
    raise error


class Killed(BaseException):
    """What no ``except Exception`` catches."""


@pytest.mark.parametrize("error", [OSError("no network"), Killed("the worker ends")], ids=type)
def test_thread_hands_on_result_or_error(error: BaseException) -> None:
    assert asyncio.run(in_thread(threading.current_thread)) is not threading.current_thread()
    with pytest.raises(type(error), match=str(error)):
        asyncio.run(in_thread(lambda: fail(error)))


def test_threads_are_bounded_and_free_again_after_errors_and_cancellations(blocking: Blocking) -> None:
    async def test() -> None:
        for _ in range(2 * threads.MOST_THREADS):
            with pytest.raises(OSError, match="no network"):
                await in_thread(lambda: fail(OSError("no network")))
        held = [asyncio.create_task(in_thread(blocking)) for _ in range(threads.MOST_THREADS)]
        await until(lambda: len(blocking.threads) == threads.MOST_THREADS)
        queued = [asyncio.create_task(in_thread(lambda: "served")) for _ in range(3)]
        await asyncio.sleep(0.05)
        queued[0].cancel()
        for task in held:
            task.cancel()
        await asyncio.wait(held)
        assert not any(task.done() for task in queued[1:]), "threads that go on are not free"
        blocking.end()
        assert await asyncio.gather(*queued[1:]) == ["served"] * 2

    asyncio.run(asyncio.wait_for(test(), timeout=WITHIN))


def test_thread_does_not_hold_up_end_of_event_loop(blocking: Blocking) -> None:
    async def test() -> None:
        task = asyncio.create_task(in_thread(blocking))
        await until(lambda: len(blocking.threads) == 1)
        task.cancel()

    asyncio.run(asyncio.wait_for(test(), timeout=WITHIN))
    [thread] = blocking.threads
    assert thread.is_alive()
    assert thread.daemon
