"""The trigger that waits for phone numbers. Many tasks share one request per interval."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import XCOM_RETURN_KEY, XCom
from asgiref.sync import sync_to_async
from pydantic import JsonValue

from airflow_provider_opencx import metrics
from airflow_provider_opencx.exceptions import OpenCXPhoneNumberTimeoutError
from airflow_provider_opencx.phone_agents.listing import list_agents
from airflow_provider_opencx.phone_agents.plan import PhoneAgents
from airflow_provider_opencx.phone_agents.waiting import Wait, success
from airflow_provider_opencx.resources.phone_agents import PhoneAgent
from airflow_provider_opencx.triggers.polling import Snapshot
from airflow_provider_opencx.triggers.threads import in_thread
from airflow_provider_opencx.triggers.waiting import WaitTrigger, result_in
from airflow_provider_opencx.waiting import log_poll
from airflow_provider_opencx.xcoms import xcoms_of

if TYPE_CHECKING:
    from airflow.models.taskinstance import TaskInstance

    from airflow_provider_opencx.client.client import OpenCXClient

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PhoneNumbers:
    """Polls all agents of the organization, and with them their phone numbers."""

    kind: ClassVar[str] = "phone numbers"

    def __str__(self) -> str:
        return self.kind

    def read(self, client: OpenCXClient) -> PhoneAgents:
        """List the agents."""
        return list_agents(client)

    def report_waiting(self, conn_id: str, waiting: int) -> None:
        """Report how many agents are waited for."""
        metrics.gauge_waiting_agents(conn_id, waiting)


class OpenCXPhoneNumberTrigger(WaitTrigger[Wait]):
    """Fires once, when an agent, or each of several, has its phone number, or when the wait must stop.

    All triggers of one connection and interval in a triggerer share their polls: one ``GET /phone`` an interval,
    even if many tasks wait. A result always comes from a poll that began after the trigger was created, as in a
    worker. It serves only deferred tasks: Airflow refuses it in an ``AssetWatcher``, where it would fire again
    and again for an existing number. For watchers, use :class:`.OpenCXPhoneAgentEventTrigger`.

    The event is plain JSON: ``{"status": "success", "agent": {...}}``, or ``"agents": [...]`` for several agents,
    or ``{"status": "error", ...}`` with the error, or ``{"status": "timeout", ...}`` with the progress; it
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

    result_keys = ("agent", "agents")

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
        super().__init__(
            opencx_conn_id,
            poll_interval,
            started_by_worker=started_by_worker,
            waiting_since=waiting_since,
            timeout=timeout,
        )
        self.agent_id = agent_id
        self.agent_name = agent_name
        self.end_from_trigger = end_from_trigger

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

    def _new_wait(self) -> Wait:
        return Wait(self.agent_id, self.agent_name)

    async def _result(self, wait: Wait) -> JsonValue:
        async def evaluate(snapshot: Snapshot[PhoneAgents]) -> list[PhoneAgent] | None:
            decide = partial(wait.evaluate, snapshot.poll, snapshot.begun_at)
            takes_long = wait.will_warn_of_missing(snapshot.poll)
            agents = await in_thread(decide) if takes_long else decide()
            log_poll(log, wait, wait.progress if agents is None else None)
            return agents

        if not self.started_by_worker:
            log.info("Waiting for %s.", wait.goal)
        agents = await self._follow(PhoneNumbers(), evaluate, wait.without_number)
        metrics.time_to_number(time.time() - self.waiting_since)
        return wait.result(agents)

    async def _ended_task(self, outcome: Mapping[str, Any]) -> bool:
        if not self.end_from_trigger or not await self._store(outcome):
            return False
        log.info(success(result_of(outcome)))
        return True

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
    return result_in(event, OpenCXPhoneNumberTrigger, _is_agent, OpenCXPhoneNumberTimeoutError)


def _is_agent(value: object) -> bool:
    return isinstance(value, dict) and value.keys() >= {"id", "name", "phone_number"}
