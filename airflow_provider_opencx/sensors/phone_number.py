"""The sensor that waits until an agent has its phone number."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)

from airflow_provider_opencx.connection_form import DEFAULT_CONN_ID
from airflow_provider_opencx.exceptions import OpenCXError, OpenCXRateLimitError
from airflow_provider_opencx.parse_time import is_final, naming_task

# The API's models, the hook and the trigger are imported where they are used: parsing a Dag should not pay for them.
if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg
    from pydantic import JsonValue

    from airflow_provider_opencx.api.models import PhoneAgent
    from airflow_provider_opencx.hooks.opencx import OpenCXHook
    from airflow_provider_opencx.reconcile import PhoneAgents
    from airflow_provider_opencx.waiting import Wait

_LONGEST_PAUSE_IN_TROUBLE = 60.0


class OpenCXPhoneNumberSensor(BaseSensorOperator):
    """Wait until an agent has its phone number, by polling ``GET /phone``; the agent is then the task's result.

    The modes poke, reschedule and deferrable give the same result and the same errors:

    - By id, an agent that is missing three times in a row is an error. By name, an agent that does not exist
      yet is waited for, and several of that name are an error.
    - Five failed polls in a row are borne. A rejected key fails at once. A 429 stretches the wait.
    - ``timeout`` fails the task, or skips it with ``soft_fail``. Errors are never skipped by ``soft_fail``: a wrong
      key is not a number that did not come.

    In mode reschedule, the worker is kept while a failed poll or a missing agent is looked into; ``poke_interval``
    should be a minute or more, as Airflow advises. Deferrable, the worker sends nothing at all and the triggerer
    polls, with one request an interval for all waiting tasks of the connection; ``exponential_backoff`` and
    ``silent_fail`` then have no effect, and no task resumes sooner than ten seconds after it deferred, because
    Airflow fails tasks that do.

    :param agent_id: the agent, by its id, for example ``"{{ ti.xcom_pull('upsert')['id'] }}"``. (templated)
    :param agent_name: the agent, by its name. Give one of the two. (templated)
    :param deferrable: wait in the triggerer. Default: ``[operators] default_deferrable``.
    :param opencx_conn_id: the connection. Default ``opencx_default``.
    :return: the agent, as a dict with the API's member names.
    :raises OpenCXError: see :mod:`airflow_provider_opencx.exceptions`.
    """

    template_fields: Sequence[str] = ("agent_id", "agent_name")
    ui_color = "#d9e8fb"

    def __init__(
        self,
        *,
        agent_id: str | XComArg | None = None,
        agent_name: str | XComArg | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        opencx_conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.agent_id = agent_id
        self.agent_name = agent_name
        self.deferrable = deferrable
        self.opencx_conn_id = opencx_conn_id
        self._hook: OpenCXHook | None = None
        self._wait: Wait | None = None
        self._last_poll: PhoneAgents | OpenCXError | None = None
        if is_final(agent_id) and is_final(agent_name):
            with naming_task(self.task_id):
                self._check_selector()

    def execute(self, context: Context) -> JsonValue:
        """Wait for the number, or hand the waiting to the triggerer; return the agent."""
        agent_id, agent_name = self._check_selector()
        if not self.deferrable:
            with self._errors_not_skipped():
                agent: JsonValue = super().execute(context)
                return agent

        from airflow_provider_opencx.triggers.phone_number import OpenCXPhoneNumberTrigger

        self.defer(
            trigger=OpenCXPhoneNumberTrigger(
                opencx_conn_id=self.opencx_conn_id,
                agent_id=agent_id,
                agent_name=agent_name,
                poll_interval=self.poke_interval,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.timeout),
        )

    def execute_complete(self, context: Context, event: Mapping[str, Any] | None = None) -> JsonValue:
        """Go on after the trigger has fired: return the agent, or raise the error that it met."""
        from airflow_provider_opencx.triggers.phone_number import result_of

        agent = result_of(event)
        self.log.info("Number %s: phone agent %r (%s) has it.", agent["phone_number"], agent["name"], agent["id"])
        return agent

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume after deferral, with ``soft_fail`` meaning what it means in the other modes."""
        with self._errors_not_skipped():
            return super().resume_execution(next_method, next_kwargs, context)

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once; in mode reschedule, look on while something is wrong, because no count outlives the process."""
        started = time.monotonic()
        agent = self._look()
        while agent is None and self._must_look_on() and time.monotonic() - started < self.timeout:
            time.sleep(min(self.poke_interval, _LONGEST_PAUSE_IN_TROUBLE))
            agent = self._look()
        if agent is None:
            return PokeReturnValue(is_done=False)
        self.log.info("Number %s: %s has it.", agent.phone_number, agent.label)
        return PokeReturnValue(is_done=True, xcom_value=agent.as_dict())

    def _must_look_on(self) -> bool:
        told_to_wait = isinstance(self._last_poll, OpenCXRateLimitError)
        return self.reschedule and self._waiting.in_trouble and not told_to_wait

    def _look(self) -> PhoneAgent | None:
        from airflow_provider_opencx.hooks.opencx import OpenCXHook
        from airflow_provider_opencx.reconcile import PhoneAgents

        # The next poll is the retry.
        self._hook = self._hook or OpenCXHook(self.opencx_conn_id, max_retries=0)
        try:
            self._last_poll = PhoneAgents(self._hook.list_phone_agents())
        except OpenCXError as error:
            self._last_poll = error
            self.log.warning("Polling for the number failed: %s", error)
        agent = self._waiting.judge(self._last_poll)
        if agent is None:
            self.log.info("No number yet for %s.", self._waiting)
        return agent

    @property
    def _waiting(self) -> Wait:
        from airflow_provider_opencx.waiting import Wait

        self._wait = self._wait or Wait(*self._check_selector())
        return self._wait

    def _get_next_poke_interval(
        self, started_at: datetime | float, run_duration: Callable[[], float], poke_count: int
    ) -> float:
        # Airflow has no public place for an interval that an answer stretches.
        from airflow_provider_opencx.waiting import next_poll_in

        interval = super()._get_next_poke_interval(started_at, run_duration, poke_count)
        remaining = max(self.timeout - run_duration(), 0.0)
        return max(interval, min(next_poll_in(interval, self._last_poll), remaining))

    def _check_selector(self) -> tuple[str | None, str | None]:
        from airflow_provider_opencx.reconcile import checked_selector

        return checked_selector(self.agent_id, self.agent_name)

    @contextmanager
    def _errors_not_skipped(self) -> Generator[None]:
        """Let ``soft_fail`` skip on a timeout alone; Airflow's own would hide a wrong configuration as well."""
        try:
            yield
        except AirflowSkipException as skip:
            error = skip.__cause__
            if (
                self.soft_fail
                and error is not None
                and not isinstance(error, AirflowSensorTimeout | AirflowTaskTimeout)
            ):
                raise error from None
            raise
