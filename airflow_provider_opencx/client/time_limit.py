"""Limits the time of system calls that have no time limit, such as the lookup of a host name."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

_Result = TypeVar("_Result")


def call_within(
    seconds: float | None, call: Callable[[], _Result], drop: Callable[[_Result], object] = lambda late: None
) -> _Result:
    """Call a function in a thread, which is left alone when the time is over; return what it returns.

    :param seconds: how long it may take; ``None`` for any time.
    :param call: the function.
    :param drop: what is done with a result that comes too late, in that thread.
    :raises TimeoutError: if the time is over.
    """
    future: Future[_Result] = Future()

    def run() -> None:
        try:
            result = call()
        except BaseException as error:
            if future.set_running_or_notify_cancel():
                future.set_exception(error)
            return
        if future.set_running_or_notify_cancel():
            future.set_result(result)
        else:
            drop(result)

    threading.Thread(target=run, name="opencx-call", daemon=True).start()
    try:
        return future.result(seconds)
    except TimeoutError:
        if future.cancel():
            raise
        return future.result()  # it has ended meanwhile, or it is its own error
