"""Circuit breaker: stops writing many items if one failure shows that the others would fail, too."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import quote

from airflow_provider_opencx.client.retry_after import RetryAfter
from airflow_provider_opencx.exceptions import (
    OpenCXAPIError,
    OpenCXAuthenticationError,
    OpenCXConfigError,
    OpenCXError,
    OpenCXNotFoundAgainError,
    OpenCXPermissionError,
    OpenCXRedirectError,
)
from airflow_provider_opencx.reconciliation.items import ItemT
from airflow_provider_opencx.reconciliation.plans import ChangesT, Create, Plan, SpecT
from airflow_provider_opencx.visible_text import identifier, in_quotes, visible

FAILURES_IN_A_ROW = 5
"""Consecutive failed writes after which the circuit breaker leaves the rest: that may pass, or equal permanent ones."""


@dataclass
class CircuitBreaker:
    """Stops the writes when failures affect every item, or every new one.

    :param error: the failure that stops every write; ``None`` while writes go on.
    :param error_of_creates: the failure that stops only the creates: what it stores is not found again.
    """

    error: OpenCXError | None = None
    error_of_creates: OpenCXError | None = None
    _in_a_row: int = field(default=0, init=False)
    _equal_in_a_row: int = field(default=0, init=False)
    _last: object = field(default=None, init=False)

    def stopping(self, plan: Plan[SpecT, ItemT, ChangesT]) -> OpenCXError | None:
        """Return the error of an item whose write must not be sent any more, ``None`` if it may be."""
        error = self.error or (self.error_of_creates if isinstance(plan, Create) else None)
        if error is None or not plan.writes:
            return None
        return error.with_message(f"Not sent, because others failed: {error}")

    def record(self, plan: Plan[SpecT, ItemT, ChangesT], error: OpenCXError | None) -> None:
        """Record the result of a write: ``None`` if the service accepted it."""
        if isinstance(error, OpenCXNotFoundAgainError):
            self.error_of_creates = error
        # A permanent error concerns one item, unless it is in the list below, or every item gets it.
        self._in_a_row = 0 if error is None or error.is_permanent else self._in_a_row + 1
        last, self._last = self._last, _meaning_of(error, plan.texts_in_messages)
        self._equal_in_a_row = 0 if self._last is None else self._equal_in_a_row + 1 if self._last == last else 1
        affects_all = isinstance(error, _ABOUT_THE_CONNECTION) or RetryAfter.too_long(error) is not None
        if affects_all or max(self._in_a_row, self._equal_in_a_row) >= FAILURES_IN_A_ROW:
            self.error = error


def _meaning_of(error: OpenCXError | None, names: Sequence[str]) -> object:
    """Return what two error responses that mean the same for two items have in common; ``None`` for another error.

    :param names: how the service may call the item.
    """
    if not isinstance(error, OpenCXAPIError):
        return None
    message = str(error)
    texts = {form(name) for name in filter(None, names) for form in _FORMS}
    for text in sorted(texts, key=len, reverse=True):
        message = re.sub(rf"(?<!\w){re.escape(text)}(?!\w)", "", message)
    return type(error), error.status_code, message


_FORMS: Sequence[Callable[[str], str]] = (
    str,
    visible,
    in_quotes,
    identifier,
    lambda text: visible(text).replace("'", "\\'"),  # within a message in quotes
    partial(quote, safe=""),  # in a path
)
"""How a message shows a name or an id."""

_ABOUT_THE_CONNECTION = (
    OpenCXAuthenticationError,
    OpenCXPermissionError,
    OpenCXRedirectError,
    OpenCXConfigError,
)
"""Errors that are not about one item: the next write would meet the same."""
