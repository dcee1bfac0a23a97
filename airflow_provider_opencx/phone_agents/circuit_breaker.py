"""Stops the writes of a fleet where one failure says that the others would fail as well."""

from __future__ import annotations

from dataclasses import dataclass, field

from airflow_provider_opencx.client.retry_after import RetryAfter
from airflow_provider_opencx.exceptions import (
    OpenCXAuthenticationError,
    OpenCXConfigError,
    OpenCXError,
    OpenCXNameMismatchError,
    OpenCXPermissionError,
    OpenCXRedirectError,
)
from airflow_provider_opencx.phone_agents.plan import Create, Plan

FAILURES_IN_A_ROW = 5
"""Consecutive failed writes after which the circuit breaker leaves the rest for the next try."""


@dataclass
class CircuitBreaker:
    """Stops a fleet when failures affect every agent, or every new one.

    :param error: the failure that stops every write; ``None`` while writes go on.
    :param error_of_creates: the failure that stops the creates alone: the service stores names otherwise than declared.
    """

    error: OpenCXError | None = None
    error_of_creates: OpenCXError | None = None
    _in_a_row: int = field(default=0, init=False)

    def stopping(self, plan: Plan) -> OpenCXError | None:
        """Return the error of an agent whose write must not be sent any more, ``None`` if it may be."""
        error = self.error or (self.error_of_creates if isinstance(plan, Create) else None)
        if error is None or not plan.writes:
            return None
        return error.with_message(f"Nothing was sent for it, because others failed: {error}")

    def record(self, error: OpenCXError | None) -> None:
        """Record the result of a write: ``None`` if the service accepted it."""
        if isinstance(error, OpenCXNameMismatchError):
            self.error_of_creates = error
        # A permanent error is about one agent, or in the list below.
        self._in_a_row = 0 if error is None or error.is_permanent else self._in_a_row + 1
        affects_all = isinstance(error, _ABOUT_THE_CONNECTION) or RetryAfter.too_long(error) is not None
        if affects_all or self._in_a_row >= FAILURES_IN_A_ROW:
            self.error = error


_ABOUT_THE_CONNECTION = (
    OpenCXAuthenticationError,
    OpenCXPermissionError,
    OpenCXRedirectError,
    OpenCXConfigError,
)
"""Errors that are not about one agent: the next write would meet the same."""
