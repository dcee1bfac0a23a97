"""The base class of triggers that wait: they follow shared polls, and fire one plain event."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, ClassVar, Generic, TypeVar, cast

from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent
from pydantic import JsonValue

from airflow_provider_opencx.exceptions import OpenCXError
from airflow_provider_opencx.triggers.polling import Polled, SharedPolls, Snapshot, waited_for
from airflow_provider_opencx.waiting import Wait

SECONDS_TO_SETTLE = 10.0
"""Seconds after its start before which a trigger does not send a task back to a worker.

Airflow fails a task that resumes before its scheduler has heard that the worker let go of it, which takes some five
seconds: apache/airflow issues 71580 and 72716. An agent that has its number already would be such a task.
"""

WaitT = TypeVar("WaitT", bound=Wait)
ReadT = TypeVar("ReadT")
ReachedT = TypeVar("ReachedT")


class WaitTrigger(BaseTrigger, Generic[WaitT]):
    """Base of the triggers that wait, and fire once, when it is over or must stop.

    :param opencx_conn_id: the connection.
    :param poll_interval: seconds between two polls.
    :param started_by_worker: whether a worker deferred the task, so that it must not come back too soon.
    :param waiting_since: when the task began to wait, in seconds since the epoch; ``None`` is now.
    :param timeout: seconds after ``waiting_since`` after which the trigger ends the wait in ``dag.test()``, where
        nothing else does. In the triggerer Airflow ends it, by the timeout of the deferral. ``None`` does not limit it.
    """

    result_keys: ClassVar[tuple[str, str]]
    """The keys of the result in the event: for one, and for several."""

    def __init__(
        self,
        opencx_conn_id: str,
        poll_interval: float,
        *,
        started_by_worker: bool,
        waiting_since: float | None,
        timeout: float | None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow does not annotate it
        self.opencx_conn_id = opencx_conn_id
        self.poll_interval = poll_interval
        self.started_by_worker = started_by_worker
        self.waiting_since = time.time() if waiting_since is None else waiting_since
        self.timeout = timeout
        self._made_at = time.monotonic()

    def _new_wait(self) -> WaitT:
        """Return what is waited for; raises ``OpenCXArgumentError`` if an argument is wrong."""
        raise NotImplementedError

    async def _result(self, wait: WaitT) -> JsonValue:
        """Wait, and return the result; report the wait to the log and the metrics.

        :raises TimeoutError: when the time is over.
        """
        raise NotImplementedError

    async def _ended_task(self, outcome: Mapping[str, Any]) -> bool:
        """Return whether the task has ended here, with what was waited for, and needs no worker any more."""
        return False

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and fire once."""
        started = time.monotonic()
        outcome = await self._outcome()
        # Without an id, this runs in ``dag.test()``, which knows no end in the triggerer and no scheduler either.
        in_triggerer = self.trigger_id is not None
        if in_triggerer and outcome["status"] == "success" and await self._ended_task(outcome):
            yield TaskSuccessEvent()
            return
        if in_triggerer and self.started_by_worker:
            await asyncio.sleep(started + SECONDS_TO_SETTLE - time.monotonic())
        yield TriggerEvent(outcome)  # type: ignore[no-untyped-call]  # Airflow does not annotate it

    async def _outcome(self) -> dict[str, Any]:
        """Return the payload of the event."""
        try:
            wait = self._new_wait()
            result = [] if wait.is_for_none else await self._result(wait)
        except OpenCXError as error:
            return {"status": "error", **error.to_event()}
        except TimeoutError:
            return {"status": "timeout", "progress": wait.progress}
        one, several = self.result_keys
        return {"status": "success", one if wait.is_for_one else several: result}

    async def _follow(
        self, what: Polled[ReadT], evaluate: Callable[[Snapshot[ReadT]], Awaitable[ReachedT | None]], waiting: int = 1
    ) -> ReachedT:
        """Follow the polls of something until one shows what is waited for, and return what it shows.

        :param what: what is polled.
        :param evaluate: returns what a poll shows, ``None`` if the wait continues.
        :param waiting: how many are waited for, for the metrics.
        :raises TimeoutError: when the time is over.
        """
        snapshot: Snapshot[ReadT] | None = None
        async with SharedPolls.join(self.opencx_conn_id, self.poll_interval, what) as polls:
            with waited_for(what, self.opencx_conn_id, waiting):
                while True:
                    async with asyncio.timeout(self._time_left()):
                        snapshot = await polls.after(snapshot)
                    if snapshot.begun_at < self._made_at:
                        continue  # it may show what was before the task upstream changed it
                    reached = await evaluate(snapshot)
                    if reached is not None:
                        return reached

    def _time_left(self) -> float | None:
        """Return the seconds until this trigger has to end the wait itself, ``None`` where Airflow ends it."""
        # Without an id, this runs in ``dag.test()``.
        if self.timeout is None or self.trigger_id is not None:
            return None
        return self.waiting_since + self.timeout - time.time()


def result_in(
    event: Mapping[str, Any] | None,
    trigger: type[WaitTrigger[WaitT]],
    is_result: Callable[[object], bool],
    timeout_error: type[OpenCXError],
) -> JsonValue:
    """Return the result in an event of a trigger, or raise its error as it would have been raised in the worker.

    :param event: the event.
    :param trigger: the trigger whose event it must be.
    :param is_result: whether a value can be one of its results.
    :param timeout_error: what is raised if the time was over, with the progress as its message.
    :raises OpenCXError: the error of the event, or one that says that the event is not this trigger's.
    """
    status = event.get("status") if isinstance(event, Mapping) else None
    if event is not None and status == "success":
        one, several = trigger.result_keys
        results = event.get(several)
        if isinstance(results, list) and all(map(is_result, results)):
            return results
        if is_result(event.get(one)):
            return cast("JsonValue", event[one])
    if event is not None and status == "error":
        raise OpenCXError.from_event(event)
    if event is not None and status == "timeout":
        raise timeout_error(str(event.get("progress")))
    raise OpenCXError(f"The trigger ended with an event that is not one of {trigger.__name__}.")
