"""The trigger that waits for phone numbers, many tasks with one request an interval."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from airflow.providers.common.compat.sdk import XCOM_RETURN_KEY, XCom
from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent
from asgiref.sync import sync_to_async
from pydantic import JsonValue

from airflow_provider_opencx import metrics
from airflow_provider_opencx.exceptions import OpenCXError, OpenCXPhoneNumberTimeoutError
from airflow_provider_opencx.phone_agents.waiting import Wait, success
from airflow_provider_opencx.triggers.polling import SharedPolls, Snapshot, waited_for
from airflow_provider_opencx.triggers.threads import in_thread
from airflow_provider_opencx.xcoms import xcoms_of

if TYPE_CHECKING:
    from airflow.models.taskinstance import TaskInstance

SECONDS_TO_SETTLE = 10.0
"""Seconds after its start before which a trigger does not send a task back to a worker.

Airflow fails a task that resumes before its scheduler has heard that the worker let go of it, which takes some five
seconds: apache/airflow issues 71580 and 72716. An agent that has its number already would be such a task.
"""

log = logging.getLogger(__name__)


class OpenCXPhoneNumberTrigger(BaseTrigger):
    """Fires once, when an agent, or each of several, has its phone number, or when the wait must stop.

    All triggers of one connection and interval in a triggerer share their polls: one ``GET /phone`` an interval,
    however many tasks wait. A result is always of a poll that began after the trigger was made, as it is where a
    worker polls. It serves deferred tasks alone: Airflow refuses it in an ``AssetWatcher``, where it would fire again
    and again for a number that is there.

    The event is plain JSON: ``{"status": "success", "agent": {...}}``, or ``"agents": [...]`` where several were
    asked for, or ``{"status": "error", ...}`` with the error, or ``{"status": "timeout", ...}`` with the progress; it
    never holds the key.

    :param opencx_conn_id: the connection.
    :param agent_id: the agent, by its id, or a sequence of ids.
    :param agent_name: the agent, by its name, or a sequence of names. Give one of the two.
    :param poll_interval: seconds between two polls.
    :param end_from_trigger: end the task in the triggerer where it succeeds, with the agent, or the list, as its XCom.
        An error always goes to a worker, where retries, callbacks and ``soft_fail`` are.
    :param started_by_worker: whether a worker deferred the task, so that it must not come back too soon.
    :param waiting_since: when the task began to wait, in seconds since the epoch; by default now.
    :param timeout: seconds after ``waiting_since`` after which the trigger ends the wait in ``dag.test()``, where
        nothing else does. In the triggerer Airflow ends it, by the timeout of the deferral. Default ``None``: no limit.
    """

    def __init__(
        self,
        opencx_conn_id: str,
        agent_id: str | Sequence[str] | None = None,
        agent_name: str | Sequence[str] | None = None,
        poll_interval: float = 60.0,
        *,
        end_from_trigger: bool = False,
        started_by_worker: bool = True,
        waiting_since: float | None = None,
        timeout: float | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow does not annotate it
        self.opencx_conn_id = opencx_conn_id
        self.agent_id = agent_id
        self.agent_name = agent_name
        self.poll_interval = poll_interval
        self.end_from_trigger = end_from_trigger
        self.started_by_worker = started_by_worker
        self.waiting_since = time.time() if waiting_since is None else waiting_since
        self.timeout = timeout
        self._made_at = time.monotonic()

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what Airflow makes this trigger again from."""
        return (
            f"{OpenCXPhoneNumberTrigger.__module__}.{OpenCXPhoneNumberTrigger.__qualname__}",
            {
                "opencx_conn_id": self.opencx_conn_id,
                "agent_id": self.agent_id,
                "agent_name": self.agent_name,
                "poll_interval": self.poll_interval,
                "end_from_trigger": self.end_from_trigger,
                "started_by_worker": self.started_by_worker,
                "waiting_since": self.waiting_since,
                "timeout": self.timeout,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and fire once."""
        started = time.monotonic()
        outcome = await self._outcome()
        # Without an id, this runs in ``dag.test()``, which knows no end in the triggerer and no scheduler either.
        in_triggerer = self.trigger_id is not None
        if in_triggerer and self.end_from_trigger and outcome["status"] == "success" and await self._store(outcome):
            log.info(success(result_of(outcome)))
            yield TaskSuccessEvent()
            return
        if in_triggerer and self.started_by_worker:
            await asyncio.sleep(started + SECONDS_TO_SETTLE - time.monotonic())
        yield TriggerEvent(outcome)  # type: ignore[no-untyped-call]  # Airflow does not annotate it

    async def _outcome(self) -> dict[str, Any]:
        """Return the payload of the event."""
        try:
            wait = Wait(self.agent_id, self.agent_name)
            result = [] if wait.is_for_none else await self._result(wait)
        except OpenCXError as error:
            return {"status": "error", **error.to_event()}
        except TimeoutError:
            return {"status": "timeout", "progress": wait.progress}
        return {"status": "success", "agent" if wait.is_for_one else "agents": result}

    async def _result(self, wait: Wait) -> JsonValue:
        """Wait, and return the result; report the wait to the log and the metrics.

        :raises TimeoutError: when the time is over.
        """
        if not self.started_by_worker:
            log.info("Waiting for %s.", wait.goal)
        snapshot: Snapshot | None = None
        async with SharedPolls.join(self.opencx_conn_id, self.poll_interval) as polls:
            with waited_for(self.opencx_conn_id, wait.without_number):
                while True:
                    async with asyncio.timeout(self._time_left()):
                        snapshot = await polls.after(snapshot)
                    if snapshot.begun_at < self._made_at:
                        continue  # it may show an agent as it was before the task upstream changed it
                    evaluate = partial(wait.evaluate, snapshot.poll, snapshot.begun_at)
                    takes_long = wait.will_warn_of_missing(snapshot.poll)
                    agents = await in_thread(evaluate) if takes_long else evaluate()
                    for warning in wait.warnings:
                        log.warning(warning)
                    if agents is not None:
                        break
                    log.log(logging.INFO if wait.made_progress else logging.DEBUG, wait.progress)
        metrics.time_to_number(time.time() - self.waiting_since)
        return wait.result(agents)

    def _time_left(self) -> float | None:
        """Return the seconds until this trigger has to end the wait itself, ``None`` where Airflow ends it."""
        # Without an id, this runs in ``dag.test()``.
        if self.timeout is None or self.trigger_id is not None:
            return None
        return self.waiting_since + self.timeout - time.time()

    async def _store(self, outcome: Mapping[str, Any]) -> bool:
        """Store the result as the task's XCom as a worker would; return whether that was possible.

        Airflow would store an XCom of the event as JSON inside of a string, which is not what a worker stores.
        """
        task = self.task_instance
        if task is None:
            return False
        try:
            result = result_of(outcome)
            values = {**(xcoms_of(result) if isinstance(result, dict) else {}), XCOM_RETURN_KEY: result}
            # Not thread-sensitive: a slow XCom backend would hold up what other triggers do in that one thread.
            stored = sync_to_async(_set_xcoms, thread_sensitive=False)(task, values)
            await asyncio.shield(stored)  # a call that is cancelled half-way ends the triggerers of Airflow 3.0 and 3.1
        except Exception:
            # It is stored over Airflow's own API, so errors of any kind can come from there.
            log.warning("The result could not be stored in the triggerer; a worker will do it.", exc_info=True)
            return False
        return True


def _set_xcoms(task: TaskInstance, values: Mapping[str, JsonValue]) -> None:
    for key, value in values.items():
        XCom.set(
            key,
            value,
            dag_id=task.dag_id,
            task_id=task.task_id,
            run_id=task.run_id,
            map_index=-1 if task.map_index is None else task.map_index,
        )


def result_of(event: Mapping[str, Any] | None) -> JsonValue:
    """Return the agent of an event, or the agents, or raise its error as it would have been raised in the worker.

    :raises OpenCXPhoneNumberTimeoutError: if the time was over; the message says who is without a number.
    :raises OpenCXError: the error of the event, or one that says that the event is not this trigger's.
    """
    status = event.get("status") if isinstance(event, Mapping) else None
    if event is not None and status == "success":
        agents = event.get("agents")
        if isinstance(agents, list) and all(map(_is_agent, agents)):
            return agents
        if _is_agent(event.get("agent")):
            return cast("JsonValue", event["agent"])
    if event is not None and status == "error":
        raise OpenCXError.from_event(event)
    if event is not None and status == "timeout":
        raise OpenCXPhoneNumberTimeoutError(str(event.get("progress")))
    raise OpenCXError("The trigger ended with an event that is not one of OpenCXPhoneNumberTrigger.")


def _is_agent(value: object) -> bool:
    return isinstance(value, dict) and value.keys() >= {"id", "name", "phone_number"}
