"""Each attempt to send a request: when it ends, what it came to, and whether another follows.

The transports are composed, not written: httpx-retries around pyrate-limiter's around one that tells of each attempt,
around httpx's own. So a request that is tried again is paced again, and the wait for the pace is no part of an attempt.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import httpx
from httpx_retries import Retry
from pyrate_limiter.extras.httpx_limiter import AsyncRateLimiterTransport, RateLimiterTransport

from airflow_provider_opencx.client.requests import (
    MAX_RETRY_AFTER,
    Request,
    Response,
    exchange,
    retry_after,
    retry_after_seconds,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Attempt:
    """One attempt to send a request, when it has ended.

    :param operation: the API's name of the operation, such as ``listPhoneAgents``.
    :param outcome: the status of the answer, such as ``"200"``, or what came instead: ``"connection_error"`` (none),
        ``"broken_answer"`` (one that ends too soon, or cannot be read), ``"timeout"`` or ``"cancelled"``.
    :param seconds: from its sending to the end of the answer.
    :param is_retry: whether it repeats an earlier attempt.
    """

    operation: str
    outcome: str
    seconds: float
    is_retry: bool


Observer: TypeAlias = Callable[[Attempt], None]
"""Is told of each attempt. It must not raise, nor take long: it is called where requests are sent."""


class Sending:
    """A request on its way, in as many attempts as it takes.

    :param request: what is sent.
    :param over: what messages call the connection.
    :param observer: is told of each attempt.
    """

    def __init__(self, request: Request, over: str, observer: Observer | None) -> None:
        self._operation = request.operation
        self._called = exchange(request, over)
        self._observer = observer
        self._began: float | None = None
        self._attempts = 0
        self._outcome = ""

    @staticmethod
    def of(request: httpx.Request) -> Sending:
        """Return the sending of which a request is part."""
        sending: Sending = request.extensions["opencx_sending"]
        return sending

    @property
    def extensions(self) -> dict[str, Sending]:
        """What a request is built with to be part of this."""
        return {"opencx_sending": self}

    @contextmanager
    def attempt(self, request: httpx.Request) -> Generator[None]:
        """Begin an attempt, which ends here if it is not answered."""
        self._began = time.monotonic()
        self._attempts += 1
        try:
            yield
        except BaseException as error:
            if isinstance(error, httpx.RequestError):
                error.request = request  # by which the retry policy finds this again
            self.end(_failure(error, "connection_error"))
            raise

    @contextmanager
    def reading(self, response: httpx.Response) -> Generator[None]:
        """End the attempt with the answer, whose body is read within."""
        try:
            yield
        except BaseException as error:
            self.end(_failure(error, "broken_answer"))
            raise
        self.end(str(response.status_code))

    def end(self, outcome: str) -> None:
        """End the attempt, if it has not ended yet."""
        if self._began is None:
            return
        seconds = time.monotonic() - self._began
        self._began, self._outcome = None, outcome
        if self._observer is not None:
            self._observer(Attempt(self._operation, outcome, seconds, is_retry=self._attempts > 1))

    def log_retry(self, seconds: float, most: int) -> None:
        """Say that another attempt follows, after so many seconds, and that there may be so many in all."""
        reason = self._outcome.replace("_", " ")
        log.info("%s: %s. Sent again in %.1f s, retry %d of %d.", self._called, reason, seconds, self._attempts, most)


def _failure(error: BaseException, otherwise: str) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "timeout"
    return otherwise if isinstance(error, Exception) else "cancelled"


class LongRetryAfterError(Exception):
    """The service asks for a longer wait than a worker should sleep through.

    :param response: its answer.
    """

    def __init__(self, response: httpx.Response) -> None:
        super().__init__()
        self.response = response


class _RetryPolicy(Retry):
    """The library's policy, but for a Retry-After over :data:`MAX_RETRY_AFTER`, which goes to the caller."""

    def parse_retry_after(self, retry_after: str) -> float:
        seconds = retry_after_seconds(retry_after)
        if seconds is None:
            raise ValueError("neither seconds nor a date")
        return seconds

    def backoff_strategy(self) -> float:
        return self._backoff

    @cached_property
    def _backoff(self) -> float:
        # Chance has a part in it: what is waited must be what is logged.
        return super().backoff_strategy()

    def sleep(self, response: httpx.Response | Exception) -> None:
        self._announce(response)
        super().sleep(response)

    async def asleep(self, response: httpx.Response | Exception) -> None:
        self._announce(response)
        await super().asleep(response)

    def _announce(self, response: httpx.Response | Exception) -> None:
        """End the attempt after which another follows, unless the service asks for a wait that is too long."""
        asked = None
        if isinstance(response, httpx.Response):
            Sending.of(response.request).end(str(response.status_code))
            asked = retry_after(Response(response.status_code, response.headers))
            if asked is not None and asked > MAX_RETRY_AFTER:
                raise LongRetryAfterError(response)
        if isinstance(response, httpx.Response | httpx.RequestError):
            Sending.of(response.request).log_retry(asked or self.backoff_strategy(), self.total)


def retry_policies(max_retries: int, read_body: Callable[[httpx.Response], Awaitable[None] | None]) -> dict[str, Retry]:
    """Return the policy of each method.

    The body is read as part of the exchange: a truncated answer is then tried again like a dropped connection.

    :param max_retries: how often one request is sent again.
    :param read_body: reads the body of an answer.
    """
    repeatable = _RetryPolicy(
        total=max_retries,
        allowed_methods=["GET", "PATCH"],
        status_forcelist=[408, 429, 500, 502, 503, 504],
        retry_on_exceptions=[httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError],
        backoff_factor=0.5,
        max_backoff_wait=MAX_RETRY_AFTER,
        validate_response=read_body,
    )
    create = repeatable.copy_with(
        allowed_methods=["POST"],
        status_forcelist=[429],
        retry_on_exceptions=[httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout],
    )
    return {"GET": repeatable, "PATCH": repeatable, "POST": create}


class _ObservedTransport(httpx.HTTPTransport):
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        with Sending.of(request).attempt(request):
            response = super().handle_request(request)
        response.request = request
        return response


class PacedTransport(RateLimiterTransport, _ObservedTransport):
    """Waits for the pace, then tells of the attempt, then sends."""


class _AsyncObservedTransport(httpx.AsyncHTTPTransport):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        with Sending.of(request).attempt(request):
            response = await super().handle_async_request(request)
        response.request = request
        return response


class AsyncPacedTransport(AsyncRateLimiterTransport, _AsyncObservedTransport):
    """Async twin of :class:`PacedTransport`."""
