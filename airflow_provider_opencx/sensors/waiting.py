"""The base class of the sensors that poll: every mode ends with the same result and the same errors."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import (
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    PokeReturnValue,
)

from airflow_provider_opencx.asset_events import add_extra, extra_of
from airflow_provider_opencx.deferral import deferral_timeout, ends_by_execution_timeout
from airflow_provider_opencx.exceptions import OpenCXError, OpenCXRateLimitError
from airflow_provider_opencx.hook_mixin import OpenCXHookMixin
from airflow_provider_opencx.sensors.base import BaseOpenCXSensor
from airflow_provider_opencx.visible_text import LONGEST, visible_repr
from airflow_provider_opencx.xcoms import push_xcoms

# The API's models and the triggers are imported where they are used, so that parsing a Dag stays fast.
if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.triggers.base import BaseTrigger
    from pydantic import JsonValue

    from airflow_provider_opencx.waiting import Poll, Wait

_LONGEST_PAUSE_BETWEEN_ERRORS = 60.0
_LEAST_SECONDS_OF_A_POLL = 5.0  # Airflow polls once more where the timeout is over between two polls


class WaitingSensor(BaseOpenCXSensor, OpenCXHookMixin):
    """Base of the sensors that poll until something is so. A subclass says what that is, and how it is polled."""

    deferrable: bool
    xcom_keys: ClassVar[Sequence[str]]
    """The fields of one result that are also separate XComs."""

    plural: ClassVar[str]
    """The key for several results in the event of an asset."""

    _timeout_error: ClassVar[type[OpenCXError]]
    """The error if the trigger has ended because of the timeout."""

    _max_retries = 0  # the next poll is the retry
    _last_poll: object = None
    _began: float | None = None

    @property
    def _waiting(self) -> Wait:
        """The wait: one for the life of the task in this process."""
        raise NotImplementedError

    def _poll_once(self) -> Poll[Any]:
        """Poll once, and evaluate the response; raises if the wait must stop."""
        raise NotImplementedError

    def _trigger(self) -> Callable[..., BaseTrigger]:
        """Return a function that makes the trigger; it takes ``timeout`` and ``waiting_since`` in seconds."""
        raise NotImplementedError

    def _result_of(self, event: Mapping[str, Any] | None) -> JsonValue:
        """Return the result in an event of the trigger, or raise the error in it."""
        raise NotImplementedError

    def _success(self, result: JsonValue) -> str:
        """Return that the wait is over, in a sentence for the log."""
        raise NotImplementedError

    def _time_wait(self, seconds: float) -> None:
        """Report to the metrics how long a wait in a worker took."""

    def execute(self, context: Context) -> JsonValue:
        """Wait, or hand the waiting to the triggerer; return the result."""
        began_at = time.monotonic()
        wait = self._waiting
        if wait.is_for_none:
            return []
        if not context.get("task_reschedule_count"):
            self.log.info("Waiting for %s.", wait.goal)
        if not self.deferrable:
            self._began = self._began_at(context)
            with self._timeouts_explained(), self._errors_not_skipped():
                result: JsonValue = super().execute(context)
            self._time_wait(time.time() - self._began)
            return self._returned(context, result)
        new_trigger = self._trigger()
        timeout = deferral_timeout(self.timeout, self.execution_timeout, used=time.monotonic() - began_at)
        self.defer(
            trigger=new_trigger(timeout=timeout.total_seconds(), waiting_since=time.time()),
            method_name=self.execute_complete.__name__,
            timeout=timeout,
        )

    def execute_complete(self, context: Context, event: Mapping[str, Any] | None = None) -> JsonValue:
        """Go on after the trigger has fired: return the result, or raise the error that it met.

        :raises AirflowSensorTimeout: if the trigger has ended because the time was over, as it does in ``dag.test()``.
        """
        try:
            result = self._result_of(event)
        except self._timeout_error as over:
            raise AirflowSensorTimeout(str(over)) from None
        self.log.info(self._success(result))
        return self._returned(context, result)

    def _returned(self, context: Context, result: JsonValue) -> JsonValue:
        """Return the result, after saying it beside it: in XComs, in the events of assets, and in the link."""
        if isinstance(result, dict):
            push_xcoms(self, context, result, self.xcom_keys)
            self.linked_id = str(result["id"])
        add_extra(self, context, extra_of(result, self.xcom_keys, self.plural), agents=self._agents_in(result))
        return result

    def _agents_in(self, result: JsonValue) -> Sequence[JsonValue]:
        """Return the agents of a result, whose assets name them; none where it is about something else."""
        return ()

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume after deferral, with timeouts and ``soft_fail`` meaning what they mean in the other modes."""
        try:
            with self._errors_not_skipped():
                return super().resume_execution(next_method, next_kwargs, context)
        except (Exception, AirflowTaskTimeout) as error:
            ended_by = error.__cause__ if isinstance(error, AirflowSkipException) else error
            if isinstance(ended_by, AirflowSensorTimeout):
                raise self._deferral_ended(ended_by, skips=isinstance(error, AirflowSkipException)) from error
            if self.soft_fail and isinstance(error, AirflowTaskTimeout):
                # In no Airflow can the timeout of the task itself skip the task.
                raise AirflowSkipException(str(error)) from error
            raise

    def _deferral_ended(self, timeout: AirflowSensorTimeout, *, skips: bool) -> BaseException:
        """Return the error of a deferral that took too long.

        :param timeout: Airflow's error, which is the same for both limits.
        :param skips: whether Airflow has made a skip of it; Airflow 3.0 lets no timeout after a deferral skip.
        """
        by_execution_timeout = ends_by_execution_timeout(self.timeout, self.execution_timeout)
        limit = (
            f"execution_timeout of {self.execution_timeout}"
            if by_execution_timeout
            else f"timeout of {self.timeout:g} s"
        )
        message = f"The {limit} is over, and so is the wait for {self._waiting.described}: {timeout}"
        if skips or self.soft_fail:
            return AirflowSkipException(message)
        return AirflowTaskTimeout(message) if by_execution_timeout else AirflowSensorTimeout(message)

    def poke(self, context: Context) -> PokeReturnValue:
        """Poll once. In mode reschedule keep polling while errors are being counted: the counters are not persisted."""
        if self._began is None:
            self._began = self._began_at(context)
        ends_at = self._began + self.timeout
        result = self._poll(ends_at)
        if result is None and self._must_keep_polling():
            result = self._keep_polling(ends_at)
        if result is None:
            return PokeReturnValue(is_done=False)
        self.log.info(self._success(result))
        return PokeReturnValue(is_done=True, xcom_value=result)

    def _keep_polling(self, ends_at: float) -> JsonValue:
        """Poll for as long as errors are being counted; return the result, ``None`` if there is none yet.

        :param ends_at: when the ``timeout`` of the sensor is over, in seconds since the epoch.
        """
        result: JsonValue = None
        while result is None and self._must_keep_polling() and (left := ends_at - time.time()) > 0:
            time.sleep(min(self.poke_interval, _LONGEST_PAUSE_BETWEEN_ERRORS, left))
            result = self._poll(ends_at)
        return result

    def _began_at(self, context: Context) -> float:
        """Return when the wait began: in mode reschedule, that may have been in an earlier process."""
        now = time.time()
        if not self.reschedule:
            return now
        try:
            first = context["ti"].get_first_reschedule_date(context)
        except Exception as error:
            # Not a reason to fail: without it, the metrics and the end of a poke count from the start of this process.
            self.log.debug("Airflow did not say when the wait began: %s", visible_repr(str(error), LONGEST))
            return now
        return first.timestamp() if isinstance(first, datetime) else now

    def _must_keep_polling(self) -> bool:
        is_rate_limited = isinstance(self._last_poll, OpenCXRateLimitError)
        return self.reschedule and self._waiting.is_counting_errors and not is_rate_limited

    def _poll(self, ends_at: float) -> JsonValue:
        """Poll once; return the result, ``None`` if there is none yet.

        :param ends_at: when the ``timeout`` of the sensor is over, which Airflow looks at only between two polls.
        """
        from airflow_provider_opencx.client.exchange import at_most

        with at_most(max(_LEAST_SECONDS_OF_A_POLL, ends_at - time.time())):
            poll = self._poll_once()
        self._last_poll = poll.response
        return poll.result

    def _get_next_poke_interval(
        self, started_at: datetime | float, run_duration: Callable[[], float], poke_count: int
    ) -> float:
        # Airflow has no public place for an interval that a response stretches.
        from airflow_provider_opencx.waiting import next_poll_in

        interval = super()._get_next_poke_interval(started_at, run_duration, poke_count)
        remaining = max(self.timeout - run_duration(), 0.0)
        return max(interval, min(next_poll_in(interval, self._last_poll), remaining))

    @contextmanager
    def _timeouts_explained(self) -> Generator[None]:
        """Say in the error of a timeout, or in the skip that ``soft_fail`` makes of it, how far the wait is."""
        try:
            yield
        except (AirflowSensorTimeout, AirflowTaskTimeout, AirflowSkipException) as ended:
            # Airflow does not skip if the execution_timeout is over between two polls.
            error = AirflowSkipException if self.soft_fail else type(ended)
            raise error(f"{ended} {self._waiting.progress}") from ended

    @contextmanager
    def _errors_not_skipped(self) -> Generator[None]:
        """Let ``soft_fail`` skip only on a timeout; Airflow's own would hide a wrong configuration as well."""
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
