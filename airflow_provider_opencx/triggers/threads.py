"""Runs blocking network calls in threads, so that nothing blocks the triggerer's event loop.

The threads are the provider's own, and few: those that all triggers of a process share stay free, however long a
service takes. They are daemons: a triggerer that stops does not wait for them.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar
from weakref import WeakKeyDictionary

MOST_THREADS = 16
"""Calls of an event loop that run at the same time; the next one begins when one of them has ended."""

_Result = TypeVar("_Result")

_free_threads: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


async def in_thread(call: Callable[[], _Result]) -> _Result:
    """Call a function in a thread, and return what it returns or raise what it raises.

    A cancelled caller leaves at once. The thread continues by itself, and what it returns is dropped.

    :param call: waits for the network, and for nothing that this event loop has to do.
    """
    loop = asyncio.get_running_loop()
    free = _free_threads.setdefault(loop, asyncio.Semaphore(MOST_THREADS))
    await free.acquire()
    result: asyncio.Future[_Result] = loop.create_future()

    def end(settle: Callable[[], None]) -> None:
        free.release()
        if not result.done():
            settle()

    def run() -> None:
        settle: Callable[[], None]
        try:
            settle = partial(result.set_result, call())
        except BaseException as error:
            settle = partial(result.set_exception, error)
        with suppress(RuntimeError):  # the loop is closed, and nobody waits any more
            loop.call_soon_threadsafe(end, settle)

    thread = threading.Thread(target=contextvars.copy_context().run, args=(run,), name="opencx", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # the system has no thread left
        free.release()
        raise
    return await result
