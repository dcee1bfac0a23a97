"""Sends one request in several attempts: retries, the rate limit, and a report of each attempt.

Built by composing transports: httpx-retries around one that waits for the rate limit, around one that limits and
reports each attempt, around httpx's own. So a request that is sent again is paced again, and the wait for the rate
limit is not part of an attempt.
"""

from __future__ import annotations

import logging
import math
import os
import ssl
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias, get_args
from weakref import WeakSet

import httpx
from httpx_retries import Retry
from pyrate_limiter import Limiter

from airflow_provider_opencx.client.exchange import DEADLINE_FACTOR, Exchange, LimitedNetwork, seconds_left
from airflow_provider_opencx.client.operation import Method, Request
from airflow_provider_opencx.client.retry_after import MAX_RETRY_AFTER, RetryAfter

KEEP_ALIVE = 50.0
"""Seconds for which an unused connection is kept: less than the 60 after which many a gateway or NAT forgets it."""

_MAX_CONNECTIONS = 20

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Attempt:
    """One attempt to send a request, when it has ended.

    :param operation: the API's name of the operation, such as ``listPhoneAgents``.
    :param outcome: the status of the response, such as ``"200"``, or what came instead: ``"connection_error"`` (none),
        ``"broken_response"`` (one that ends too soon, or cannot be read), ``"timeout"`` or ``"cancelled"``.
    :param seconds: from sending to the end of the response.
    :param is_retry: whether it repeats an earlier attempt.
    """

    operation: str
    outcome: str
    seconds: float
    is_retry: bool


Observer: TypeAlias = Callable[[Attempt], None]
"""Called after each attempt. It must not raise, nor take long: it is called where requests are sent."""


class RequestContext:
    """Tracks the attempts of one request.

    :param request: what is sent.
    :param connection: the connection for messages.
    :param observer: called after each attempt.
    :param longest_wait: seconds of a Retry-After that are waited out at most.
    :param before_sending: called when the request is about to be sent, after the wait for the rate limit; an error that
        it raises keeps it from being sent.
    """

    def __init__(
        self,
        request: Request,
        connection: str,
        observer: Observer | None,
        longest_wait: float = MAX_RETRY_AFTER,
        before_sending: Callable[[], None] = lambda: None,
    ) -> None:
        self.longest_wait = longest_wait
        self.before_sending = before_sending
        self.is_repeatable = request.operation.repeatable
        self.exchange = Exchange(0)
        self._operation = request.operation.id
        self._label = request.over(connection)
        self._observer = observer
        # Whether a kept connection still works, and holds no rest of an earlier response, shows only when it is used.
        self._needs_new_connection = not self.is_repeatable
        self._began: float | None = None
        self._attempts = 0
        self._retries = 0
        self._outcome = ""

    @staticmethod
    def of(request: httpx.Request) -> RequestContext:
        """Return the context that a request was built with."""
        context: RequestContext = request.extensions["opencx_context"]
        return context

    @property
    def extensions(self) -> dict[str, RequestContext]:
        """The extensions that a request is built with to have this context."""
        return {"opencx_context": self}

    @contextmanager
    def attempt(self, request: httpx.Request) -> Generator[None]:
        """Begin an attempt, and end it if there is no response."""
        self.exchange = Exchange(DEADLINE_FACTOR * request.extensions["timeout"]["read"], self._needs_new_connection)
        self._began = time.monotonic()
        self._attempts += 1
        try:
            with self.exchange.current():
                yield
        except BaseException as error:
            if isinstance(error, httpx.RequestError):
                error.request = request  # the retry policy finds the context by it
            self.end(_outcome_of(error, "connection_error"))
            raise

    @contextmanager
    def reading(self, response: httpx.Response) -> Generator[None]:
        """End the attempt with the response, whose body is read within, and which is closed after it."""
        try:
            with self.exchange.current():
                yield
        except BaseException as error:
            if isinstance(error, httpx.RequestError):
                error.request = response.request
            self.end(_outcome_of(error, "broken_response"))
            raise
        if _has_rest(response):
            self.exchange.leave_connection()
        self.end(str(response.status_code))

    def use_new_connection(self, error: httpx.TransportError) -> bool:
        """Return whether the request is sent once more at once, which will be on a new connection.

        It is where a kept connection failed before a byte of the response arrived: the service, or a proxy in front of
        it, may have forgotten it, and that says nothing about the service. Or where what arrived is not a response: it
        may be the rest of an earlier one.

        :param error: how the connection failed.
        """
        is_rest = isinstance(error, httpx.RemoteProtocolError)
        is_forgotten = self.exchange.is_on_kept_connection and (is_rest or not self.exchange.received)
        if not (is_forgotten and self.is_repeatable and seconds_left() > 0):
            return False
        self._needs_new_connection = True
        log.info("%s: %s on a kept connection. Sent again on a new one.", self._label, self._reason)
        return True

    def end(self, outcome: str) -> None:
        """End the attempt, if it has not ended yet."""
        if self._began is None:
            return
        seconds = time.monotonic() - self._began
        self._began, self._outcome = None, outcome
        log.debug("%s: %s after %.0f ms.", self._label, self._reason, 1000 * seconds)
        if self._observer is not None:
            self._observer(Attempt(self._operation, outcome, seconds, is_retry=self._attempts > 1))

    def log_retry(self, seconds: float, most: int) -> None:
        """Log that another attempt follows.

        :param seconds: until then.
        :param most: how many retries there may be in all.
        """
        self._retries += 1
        again = f"Sent again in {seconds:.1f} s, retry {self._retries} of {most}."
        log.info("%s: %s. %s", self._label, self._reason, again)

    @property
    def _reason(self) -> str:
        return self._outcome.replace("_", " ")


def _has_rest(response: httpx.Response) -> bool:
    """Return whether bytes followed a response, which httpcore would take for the response to the next request.

    No public attribute says so: where it is not known, the connection is not used again.
    """
    try:
        received = response.stream._httpcore_stream._stream._connection._h11_state  # type: ignore[union-attr]
        return bool(received.trailing_data[0])
    except AttributeError:
        return True


def _outcome_of(error: BaseException, otherwise: str) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "timeout"
    return otherwise if isinstance(error, Exception) else "cancelled"


class LongRetryAfterError(Exception):
    """The service asks for a longer wait than is waited out here.

    :param response: its response.
    """

    def __init__(self, response: httpx.Response) -> None:
        super().__init__()
        self.response = response


class NoTurnError(Exception):
    """The rate limit leaves no request in the time that there is: nothing was sent, and no other attempt can be."""


class _RetryPolicy(Retry):
    """The library's policy, except for a Retry-After that is too long for the request, which goes to the caller."""

    def parse_retry_after(self, retry_after: str) -> float:
        asked = RetryAfter.parse(retry_after)
        if asked is None:
            raise ValueError("neither seconds nor a date")
        return asked.seconds

    def backoff_strategy(self) -> float:
        return self._backoff

    @cached_property
    def _backoff(self) -> float:
        # It is random, so draw it once: the wait must match the log.
        return super().backoff_strategy()

    def sleep(self, response: httpx.Response | Exception) -> None:
        """End the attempt and wait for the next, unless the service asks for a wait that is too long."""
        asked = None
        if isinstance(response, httpx.Response):
            RequestContext.of(response.request).end(str(response.status_code))
            asked = RetryAfter.parse(response.headers.get("retry-after"))
            if asked is not None and asked.seconds > RequestContext.of(response.request).longest_wait:
                raise LongRetryAfterError(response)
        if isinstance(response, httpx.Response | httpx.RequestError):
            seconds = asked.seconds if asked is not None and asked.seconds else self.backoff_strategy()
            if seconds >= seconds_left():
                raise LongRetryAfterError(response) if isinstance(response, httpx.Response) else response
            RequestContext.of(response.request).log_retry(seconds, self.total)
        super().sleep(response)


class RetryPolicies:
    """Which responses and failures a request is sent again after.

    The body is read as part of the exchange: a truncated response is then retried like a dropped connection.

    :param max_retries: how often one request is sent again.
    :param read_body: reads the body of a response.
    """

    def __init__(self, max_retries: int, read_body: Callable[[httpx.Response], None]) -> None:
        self._repeatable = _RetryPolicy(
            total=max_retries,
            allowed_methods=get_args(Method),  # the operation decides, not the method
            status_forcelist=[408, 429, 500, 502, 503, 504],
            retry_on_exceptions=[httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError],
            backoff_factor=0.5,
            max_backoff_wait=MAX_RETRY_AFTER,
            validate_response=read_body,
        )
        # Only if the response proves that the first request was not handled.
        self._not_repeatable = self._repeatable.copy_with(
            status_forcelist=[429],
            retry_on_exceptions=[httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout],
        )
        # Only the caller can check again, before each request, whether a person may be called now.
        self._places_calls = self._not_repeatable.copy_with(total=0)

    def of(self, request: Request) -> Retry:
        """Return the policy of a request."""
        if request.operation.places_calls:
            return self._places_calls
        return self._repeatable if request.operation.repeatable else self._not_repeatable


class _LimitedTransport(httpx.HTTPTransport):
    """Limits each exchange, and reports the attempt."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        context = RequestContext.of(request)
        with context.attempt(request):
            response = super().handle_request(request)
            if not context.exchange.received:
                response.close()
                raise httpx.RemoteProtocolError("the response came before its request")
        response.request = request
        return response


class Transport(_LimitedTransport):
    """Waits for the rate limit, then sends; once more on a new connection where a kept one proves to be forgotten.

    :param limiter: keeps to the rate limit.
    :param verify: the TLS context.
    :param proxy: the URL of the proxy, ``None`` for none.
    """

    def __init__(self, limiter: Limiter, verify: ssl.SSLContext, proxy: str | None) -> None:
        self._limiter = limiter
        self._verify = verify
        self._proxy = proxy
        self.begin_anew()
        _transports.add(self)

    def begin_anew(self) -> None:
        """Begin without connections: in a fork, they are its parent's."""
        limits = httpx.Limits(max_connections=_MAX_CONNECTIONS, keepalive_expiry=KEEP_ALIVE)
        super().__init__(verify=self._verify, limits=limits, proxy=self._proxy)
        # httpx has no parameter for it: the attributes are those of httpx 0.27 and 0.28, with httpcore 1.
        self._pool._network_backend = LimitedNetwork(self._pool._network_backend)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request."""
        try:
            return self._send_paced(request)
        except (httpx.NetworkError, httpx.RemoteProtocolError, httpx.ReadTimeout, httpx.WriteTimeout) as error:
            if not RequestContext.of(request).use_new_connection(error):
                raise
        return self._send_paced(request)

    def _send_paced(self, request: httpx.Request) -> httpx.Response:
        left = seconds_left()
        if not self._limiter.try_acquire(timeout=-1 if left == math.inf else max(0.0, left)):
            raise NoTurnError
        RequestContext.of(request).before_sending()
        return super().handle_request(request)


_transports: WeakSet[Transport] = WeakSet()


def _begin_anew() -> None:
    for transport in list(_transports):
        transport.begin_anew()


os.register_at_fork(after_in_child=_begin_anew)
