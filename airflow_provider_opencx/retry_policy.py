"""A retry policy for tasks that use OpenCX: retries when the service asks to, and not before.

It needs the ``retry_policy`` of tasks, which exists since Airflow 3.3 (``airflow.sdk.RetryPolicy``). On an
older Airflow this module cannot be imported; permanent errors fail a task at once there as well.
"""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_opencx.exceptions import OpenCXError, derive_from_airflow

try:
    from airflow.sdk import RetryDecision, RetryPolicy
except ImportError:
    raise ImportError(
        "airflow_provider_opencx.retry_policy needs Airflow 3.3 or later, whose tasks take a retry_policy. On this"
        " Airflow leave it out: permanent errors fail a task at once without it, and a 429 is"
        " tried again by the task's own retries and retry_delay."
    ) from None

if TYPE_CHECKING:
    from airflow.sdk import Context

derive_from_airflow()

RESCHEDULED_FOR = timedelta(days=1)
"""How long after the first wait of a try further waits use no retry."""

_MAX_JITTER = 0.1
"""Maximum jitter, as a fraction of the wait: a hundred tasks that must wait do not come back at once."""


def opencx_retry_policy() -> RetryPolicy:
    """Return a retry policy for one task, or for a whole Dag by its ``default_args``.

    - A permanent error (a rejected key, a refused plan) fails the task at once, as it does without
      a policy. With this policy, this is also true if your own task raised another error from it.
    - If the service asks to wait longer than a minute (429, or 503, with Retry-After), the task leaves its worker
      and comes back when that time is over, regardless of its ``retry_delay``. From Airflow 3.4 on, that takes none of
      its ``retries`` until a day after the first such wait; before, it takes one.
    - Anything else is left to the task's own ``retries`` and ``retry_delay``.

    Airflow itself does not ask a policy about ``AirflowFailException`` and ``AirflowSensorTimeout``.

    :return: a policy for the argument ``retry_policy`` of any operator, sensor or ``@task``.
    """
    return OpenCXRetryPolicy()


class OpenCXRetryPolicy(RetryPolicy):
    """The policy that :func:`opencx_retry_policy` returns."""

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """Decide by the first error of this provider among an exception and its causes."""
        from airflow_provider_opencx.client.retry_after import RetryAfter

        error = _opencx_error_of(exception)
        if error is not None and error.is_permanent:
            return RetryDecision.fail(f"{type(error).__name__} is permanent: it is not retried.")
        wait = RetryAfter.too_long(error)
        if wait is None:
            return RetryDecision.default()
        jitter = wait.seconds * random.uniform(0, _MAX_JITTER)  # noqa: S311 - no secret hangs on it
        return _come_back(
            timedelta(seconds=wait.seconds + jitter),
            f"OpenCX asks to wait {wait.seconds:.0f} s. The task comes back then.",
        )

    def serialize(self) -> dict[str, Any]:
        """Return what :meth:`deserialize` makes this policy again from."""
        return {"__type": type(self).__name__}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> OpenCXRetryPolicy:
        """Make a policy again from what :meth:`serialize` returned."""
        return cls()


def _come_back(delay: timedelta, reason: str) -> RetryDecision:
    """Return the decision to run the task again after a delay: without using a retry, where Airflow can do that."""
    if not hasattr(RetryDecision, "reschedule"):
        return RetryDecision.retry(delay, reason)
    decision: RetryDecision = RetryDecision.reschedule(delay, reschedule_timeout=RESCHEDULED_FOR, reason=reason)
    return decision


def _opencx_error_of(exception: BaseException | None) -> OpenCXError | None:
    seen: set[int] = set()
    while exception is not None and id(exception) not in seen:
        if isinstance(exception, OpenCXError):
            return exception
        seen.add(id(exception))
        exception = exception.__cause__
    return None
