"""The HTTP client: sends requests to the OpenCX API, and returns responses or raises errors.

The modules of this folder are the only ones that import httpx.
"""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Self

import httpx
from httpx_retries import RetryTransport
from pydantic import JsonValue

from airflow_provider_opencx.client.body import body_of, read_body
from airflow_provider_opencx.client.errors import (
    TRY_AGAIN,
    checked,
    error_of,
    is_refused_by_service,
    permanent,
)
from airflow_provider_opencx.client.exchange import seconds_left
from airflow_provider_opencx.client.limiters import limiter_of
from airflow_provider_opencx.client.locks import NameLocks, hold
from airflow_provider_opencx.client.network import proxy_for, tls_context
from airflow_provider_opencx.client.operation import Method, Request, Response, other_request
from airflow_provider_opencx.client.retry_after import MAX_RETRY_AFTER
from airflow_provider_opencx.client.settings import ClientSettings
from airflow_provider_opencx.client.transport import (
    LongRetryAfterError,
    NoTurnError,
    Observer,
    RequestContext,
    RetryPolicies,
    Transport,
)
from airflow_provider_opencx.exceptions import (
    OpenCXArgumentError,
    OpenCXCallsNotAllowedError,
    OpenCXRateLimitError,
    OpenCXResponseError,
    OpenCXUnreachableError,
)
from airflow_provider_opencx.secret import forgets_locals
from airflow_provider_opencx.visible_text import visible_repr

REFUSALS_TO_BELIEVE = 3
"""Consecutive refusals of a read, all of one status and by the service itself, that make a permanent error."""

READ_AGAIN_AFTER = 5.0
"""Seconds between them."""

log = logging.getLogger(__name__)

_LONGEST_REASON = 300
_CONNECT_TIMEOUT = 10.0

# The request certainly did not reach the service.
_NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
)

_holds_locks: ContextVar[bool] = ContextVar("holds_locks", default=False)


class OpenCXClient:
    """Sends requests to the API, and waits for the responses.

    Usable as a context manager; safe to use from several threads. Code in an event loop calls it in a thread
    (``asyncio.to_thread``).

    :param settings: base URL, key, timeout and limits.
    :param observer: called after each attempt to send a request.
    :param calls_allowed: returns whether calls are allowed now; asked before each request that may call people.
        ``None`` is what the settings say.
    """

    @forgets_locals  # among them the proxy, with its password
    def __init__(
        self,
        settings: ClientSettings,
        observer: Observer | None = None,
        calls_allowed: Callable[[], bool] | None = None,
    ) -> None:
        self.settings = settings
        self._observer = observer
        self._calls_allowed = calls_allowed
        self._policies = RetryPolicies(settings.max_retries, read_body)
        transport = Transport(limiter_of(settings), tls_context(), proxy_for(settings.base_url))
        self._transport = RetryTransport(transport)
        self._http = httpx.Client(
            transport=self._transport,
            base_url=settings.base_url,
            headers={
                "Accept": "application/json",
                "Accept-Encoding": "gzip",
                "User-Agent": settings.user_agent,
            },
            timeout=httpx.Timeout(settings.timeout, connect=min(settings.timeout, _CONNECT_TIMEOUT)),
            follow_redirects=False,
            trust_env=False,
        )

    def request(
        self, method: Method, path: str, *, params: Mapping[str, str] | None = None, json: JsonValue = None
    ) -> Response:
        """Send a request that this package does not know: the same key, retries, rate limit, masking and errors.

        A GET is sent again after an error that may pass, and is refused for good where the service says so three times,
        five seconds apart. Anything else may call people for all that is known here: it needs a connection that allows
        calls, and is never sent again. It does not check what exists: a task that is retried sends its POST again.

        :param method: the HTTP method.
        :param path: the path below the connection's base URL, beginning with a slash.
        :param params: the parameters of the query.
        :param json: the JSON body; ``None`` sends none.
        :return: the response; ``response.json()`` is its decoded body.
        :raises OpenCXArgumentError: if it is not such a method or path, or cannot be sent as JSON.
        :raises OpenCXCallsNotAllowedError: if it is not a GET, and the connection does not allow calls.
        :raises OpenCXAPIError: if the status is not a 2xx.
        """
        return self.send(other_request(method, path, params, json))

    def send(self, request: Request) -> Response:
        """Send a request and return its response.

        A read that the service itself refuses is sent again: its refusal is permanent when it has been said
        :data:`REFUSALS_TO_BELIEVE` times, :data:`READ_AGAIN_AFTER` seconds apart. That of a write is at once.

        :raises OpenCXAPIError: if the status is not a 2xx.
        :raises OpenCXUnreachableError: if there is no response.
        """
        return self.believed(request, self.send_unchecked(request))

    def believed(self, request: Request, response: Response) -> Response:
        """Return the response to a request that was sent unchecked, once it is to be believed, as :meth:`send` does.

        :raises OpenCXError: as :meth:`send`.
        """
        if request.operation.is_read and is_refused_by_service(response):
            response = self._read_again(request, response)
        return checked(request, response)

    @forgets_locals  # of httpx and all below it, which hold the header with the key
    def send_unchecked(self, request: Request, before_sending: Callable[[], None] = lambda: None) -> Response:
        """Send a request and return its response, with any status.

        :param before_sending: called when the request is about to be sent, after the wait for the rate limit; an error
            that it raises keeps it from being sent.
        :raises OpenCXCallsNotAllowedError: if it may call people, and the connection does not allow calls. It is asked
            before the wait for the rate limit and after it, which may be a minute later.
        :raises OpenCXUnreachableError: if there is no response.
        """
        if request.operation.places_calls:
            self.check_calls_allowed(request)
        with _typed_errors(request, self.settings):
            try:
                built = self._built(request, before_sending)
                built.headers["Authorization"] = f"Bearer {self.settings.api_key.reveal()}"
                # Not the client's own send: it logs what the service wrote, and keeps its cookies.
                response = self._transport.handle_request(built)
                response.request = built
                try:
                    read_body(response)
                finally:
                    response.close()
            except LongRetryAfterError as asked:
                response = asked.response
            key = self.settings.api_key
            return Response(
                response.status_code,
                {name: key.masked(value) for name, value in response.headers.items()},
                key.masked_body(body_of(response)),
                label=request.over(self.settings.name),
                secret=key,
            )

    def check_calls_allowed(self, request: Request) -> None:
        """Check that calls are allowed now: the connection is read again, so that they can be switched off meanwhile.

        :param request: what would be sent, for the message.
        :raises OpenCXCallsNotAllowedError: if they are not.
        """
        allowed = self.settings.allow_calls if self._calls_allowed is None else self._calls_allowed()
        if not allowed:
            raise OpenCXCallsNotAllowedError(
                f"{request.over(self.settings.name)}: not sent, because this connection does not allow calls. Where it"
                " is meant to call people, switch on its extra allow_calls (Allow calls)."
            )

    def _read_again(self, request: Request, refusal: Response) -> Response:
        """Send a refused read again, and return the first response that is not the same refusal.

        Where there is no time left for it, that is the refusal, which is then no permanent error.

        :raises OpenCXAPIError: the refusal as a permanent error, if there is no other response.
        """
        error = error_of(request, refusal)
        for _ in range(REFUSALS_TO_BELIEVE - 1):
            if seconds_left() <= READ_AGAIN_AFTER:
                return refusal
            log.warning("%s One such response may be wrong: read again in %.0f s.", error, READ_AGAIN_AFTER)
            time.sleep(READ_AGAIN_AFTER)
            response = self.send_unchecked(request)
            if response.status_code != refusal.status_code or not is_refused_by_service(response):
                return response
        seconds = (REFUSALS_TO_BELIEVE - 1) * READ_AGAIN_AFTER
        raise permanent(error, f"The service said so {REFUSALS_TO_BELIEVE} times in {seconds:.0f} s.")

    @contextmanager
    def lock(self, names: Collection[str]) -> Generator[NameLocks]:
        """Hold the locks of some names, so that nobody who shares the coordination creates one of them meanwhile.

        No request within waits because the service asks to: the error says for how long, and the caller waits after it
        has let go of the locks.

        :param names: the names of what is created.
        :return: the locks, which also record what is about to be sent.
        :raises OpenCXCoordinationError: if others hold one of them for :data:`.locks.LOCK_TIMEOUT`, or the Redis that
            the connection names cannot be used.
        """
        with hold(self.settings, names) as locks:
            before = _holds_locks.set(True)
            try:
                yield locks
            finally:
                _holds_locks.reset(before)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _built(self, request: Request, before_sending: Callable[[], None]) -> httpx.Request:
        def check() -> None:
            if request.operation.places_calls:
                self.check_calls_allowed(request)
            before_sending()

        longest_wait = 0.0 if _holds_locks.get() else MAX_RETRY_AFTER
        context = RequestContext(request, self.settings.name, self._observer, longest_wait, check)
        return self._http.build_request(
            request.operation.method,
            request.path,
            params=dict(request.query) or None,
            json=request.body,
            extensions={"retry": self._policies.of(request), **context.extensions},
        )


@contextmanager
def _typed_errors(request: Request, settings: ClientSettings) -> Generator[None]:
    """Turn httpx's errors into ours, without theirs as context: it may quote headers, the key among them."""
    sent = request.over(settings.name)
    try:
        yield
    except OpenCXResponseError as error:
        raise error.with_message(f"{sent}: {error}") from None
    except NoTurnError:
        raise OpenCXRateLimitError(
            f"{sent}: not sent, because the {settings.requests_per_minute} requests a minute are used up, and the time"
            " limit ends before the next one is allowed."
        ) from None
    except httpx.InvalidURL:
        raise OpenCXArgumentError(f"{sent}: the path cannot be part of a URL.") from None
    except httpx.TransportError as error:
        distrust = _distrust(error)
        if distrust is not None:
            raise OpenCXUnreachableError(
                f"{sent}: the certificate of {settings.base_url} is not trusted: {visible_repr(distrust)}. Nothing was"
                " sent. If this network has a CA of its own, name its certificate file in the environment variable"
                " SSL_CERT_FILE of Airflow's processes; the certificate is always verified.",
                request_sent=False,
            ) from None
        reason = type(error).__name__ if isinstance(error, httpx.LocalProtocolError) else _reason(error)
        # A response that is not HTTP is quoted, and may repeat the request.
        reason = visible_repr(settings.api_key.masked(reason), _LONGEST_REASON)
        raise OpenCXUnreachableError(
            f"{sent}: no response from {settings.base_url}: {reason}.{TRY_AGAIN}",
            request_sent=not isinstance(error, _NOT_SENT),
        ) from None


def _distrust(error: BaseException | None) -> str | None:
    """Return why the certificate was not trusted, ``None`` if the error is about something else."""
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return None if error is None else error.verify_message


def _reason(error: httpx.TransportError) -> str:
    text = str(error)
    return f"{type(error).__name__} ({text})" if text else type(error).__name__
