"""HTTP clients, blocking and async, that send the requests of a flow.

The modules of this folder are the only ones that import httpx.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from functools import cache
from types import TracebackType
from typing import Generic, Self, TypedDict, TypeVar

import httpx
from httpx_retries import RetryTransport
from pydantic import JsonValue
from pyrate_limiter import Duration, InMemoryBucket, Limiter, Rate

from airflow_provider_opencx.client.body import aread_body, body_of, read_body
from airflow_provider_opencx.client.flow import Flow, Pause, send
from airflow_provider_opencx.client.network import proxy_for, tls_context
from airflow_provider_opencx.client.operation import Method, Request, Response, other_request
from airflow_provider_opencx.client.settings import ClientSettings
from airflow_provider_opencx.client.transport import (
    AsyncPacedTransport,
    LongRetryAfterError,
    Observer,
    PacedTransport,
    RequestContext,
    RetryPolicies,
)
from airflow_provider_opencx.exceptions import (
    OpenCXArgumentError,
    OpenCXError,
    OpenCXResponseError,
    OpenCXUnreachableError,
)
from airflow_provider_opencx.text import shortened

_CONNECT_TIMEOUT = 10.0
_KEEPALIVE_SECONDS = 900.0  # longer than a sensible poll interval, so that polling keeps its connection
_LARGE_BODY_BYTES = 64 * 1024  # parsing less than this is too short to hold up an event loop

# The request provably did not reach the service.
_NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
)

_Result = TypeVar("_Result")


class OpenCXClient:
    """Sends requests to the API, blocking.

    Usable as a context manager; safe to use from several threads.

    :param settings: base URL, key, timeout and limits.
    :param observer: called after each attempt to send a request.
    """

    def __init__(self, settings: ClientSettings, observer: Observer | None = None) -> None:
        self.settings = settings
        self._observer = observer
        self._policies = RetryPolicies(settings.max_retries, read_body)
        transport = PacedTransport(_limiter_of(settings), **_transport_options(settings))
        self._http = httpx.Client(transport=RetryTransport(transport), **_client_options(settings))

    def request(
        self, method: Method, path: str, *, params: Mapping[str, str] | None = None, json: JsonValue = None
    ) -> Response:
        """Send a request that this package does not know: the same key, retries, rate limit, masking and errors.

        A GET is sent again after an error that may pass. Anything else is sent again only where the first request
        provably was not handled. It does not check what exists: a task that is retried sends its POST again.

        :param method: the HTTP method.
        :param path: the path below the connection's base URL, beginning with a slash.
        :param params: the parameters of the query.
        :param json: the JSON body; ``None`` sends none.
        :return: the response; ``response.json()`` is its decoded body.
        :raises OpenCXArgumentError: if it is not such a method or path, or cannot be sent as JSON.
        :raises OpenCXAPIError: if the status is not a 2xx.
        """
        return self.run(send(other_request(method, path, params, json)))

    def run(self, flow: Flow[_Result]) -> _Result:
        """Send the requests of a flow and return its result; raises what the flow raises."""
        run = _Run(flow)
        while run.step is not None:
            if isinstance(run.step, Pause):
                time.sleep(run.step.seconds)
                run.resume()
                continue
            try:
                response = self._send(run.step)
            except OpenCXError as error:
                run.fail(error)
            else:
                run.resume(response)
        return run.result

    def _send(self, request: Request) -> Response:
        with _typed_errors(request, self.settings):
            try:
                response = self._http.send(self._built(request), stream=True)
                try:
                    read_body(response)
                finally:
                    response.close()
            except LongRetryAfterError as asked:
                response = asked.response
            return _response(request, response, self.settings)

    def _built(self, request: Request) -> httpx.Request:
        context = RequestContext(request, self.settings.name, self._observer)
        return _http_request(self._http, request, self._policies, context)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class AsyncOpenCXClient:
    """Sends the requests of flows without blocking the event loop.

    Usable as an async context manager; belongs to the event loop it is first used in.

    :param settings: base URL, key, timeout and limits.
    :param observer: called after each attempt to send a request.
    """

    def __init__(self, settings: ClientSettings, observer: Observer | None = None) -> None:
        self.settings = settings
        self._observer = observer
        self._policies = RetryPolicies(settings.max_retries, aread_body)
        transport = AsyncPacedTransport(_limiter_of(settings), **_transport_options(settings))
        self._http = httpx.AsyncClient(transport=RetryTransport(transport), **_client_options(settings))

    @classmethod
    async def open(cls, settings: ClientSettings, observer: Observer | None = None) -> Self:
        """Return a client. Loads the TLS context in a thread; the first call in a process takes about 0.1 s."""
        await asyncio.to_thread(tls_context)
        return cls(settings, observer)

    async def run(self, flow: Flow[_Result]) -> _Result:
        """Send the requests of a flow and return its result; raises what the flow raises."""
        run = _Run(flow)
        while run.step is not None:
            if isinstance(run.step, Pause):
                await asyncio.sleep(run.step.seconds)
                run.resume()
                continue
            try:
                response = await self._send(run.step)
            except OpenCXError as error:
                run.fail(error)
            else:
                if len(response.body) > _LARGE_BODY_BYTES:
                    await asyncio.to_thread(run.resume, response)
                else:
                    run.resume(response)
        return run.result

    async def _send(self, request: Request) -> Response:
        with _typed_errors(request, self.settings):
            try:
                response = await self._http.send(self._built(request), stream=True)
                try:
                    await aread_body(response)
                finally:
                    await response.aclose()
            except LongRetryAfterError as asked:
                response = asked.response
            return _response(request, response, self.settings)

    def _built(self, request: Request) -> httpx.Request:
        context = RequestContext(request, self.settings.name, self._observer)
        return _http_request(self._http, request, self._policies, context)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


class _Run(Generic[_Result]):
    """One run of a flow: the step it waits for now, and its result at the end."""

    def __init__(self, flow: Flow[_Result]) -> None:
        self._flow = flow
        self.step: Request | Pause | None = None
        self.result: _Result
        self.resume()

    def resume(self, response: Response | None = None) -> None:
        """Go on with a response, to the next step or to the end."""
        self._advance(lambda: self._flow.send(response))

    def fail(self, error: OpenCXError) -> None:
        """Go on with the error for which there is no response."""
        self._advance(lambda: self._flow.throw(error))

    def _advance(self, move: Callable[[], Request | Pause]) -> None:
        try:
            self.step = move()
        except StopIteration as end:
            self.step = None
            self.result = end.value


class _TransportOptions(TypedDict):
    verify: ssl.SSLContext
    limits: httpx.Limits
    proxy: str | None


def _transport_options(settings: ClientSettings) -> _TransportOptions:
    return {
        "verify": tls_context(),
        "limits": httpx.Limits(max_connections=20, keepalive_expiry=_KEEPALIVE_SECONDS),
        "proxy": proxy_for(httpx.URL(settings.base_url)),
    }


class _ClientOptions(TypedDict):
    base_url: str
    headers: dict[str, str]
    timeout: httpx.Timeout
    follow_redirects: bool
    trust_env: bool


def _client_options(settings: ClientSettings) -> _ClientOptions:
    return {
        "base_url": settings.base_url,
        "headers": {
            "Authorization": f"Bearer {settings.api_key}",
            "Accept": "application/json",
            "User-Agent": settings.user_agent,
        },
        "timeout": httpx.Timeout(settings.timeout, connect=min(settings.timeout, _CONNECT_TIMEOUT)),
        "follow_redirects": False,
        "trust_env": False,
    }


def _limiter_of(settings: ClientSettings) -> Limiter:
    # Keyed by PID: a fork must not inherit the parent's count, a lock that nobody releases, a file or a socket.
    key = (settings.base_url, settings.api_key, settings.requests_per_minute, os.getpid())
    return _limiter(*key) if settings.pacing == "process" else _shared_limiter(*key, settings.pacing)


@cache
def _limiter(base_url: str, api_key: str, requests_per_minute: int, process: int) -> Limiter:
    """One per process and key, however many clients use it."""
    return Limiter(InMemoryBucket([Rate(requests_per_minute, Duration.MINUTE)]))


@cache
def _shared_limiter(base_url: str, api_key: str, requests_per_minute: int, process: int, pacing: str) -> Limiter:
    """One per process and key as well, with a file or a socket of its own."""
    from airflow_provider_opencx.client.coordination import shared_limiter

    return shared_limiter(pacing, base_url, api_key, requests_per_minute)


def _http_request(
    http: httpx.Client | httpx.AsyncClient, request: Request, policies: RetryPolicies, context: RequestContext
) -> httpx.Request:
    return http.build_request(
        request.operation.method,
        request.path,
        params=dict(request.query) or None,
        json=request.body,
        extensions={"retry": policies.of(request), **context.extensions},
    )


def _response(request: Request, response: httpx.Response, settings: ClientSettings) -> Response:
    return Response(
        response.status_code,
        dict(response.headers),
        body_of(response),
        label=request.over(settings.name),
        secret=settings.api_key,
    )


@contextmanager
def _typed_errors(request: Request, settings: ClientSettings) -> Generator[None]:
    """Turn httpx's errors into ours, without theirs as context: it may quote headers, the key among them."""
    sent = request.over(settings.name)
    try:
        yield
    except OpenCXResponseError as error:
        raise error.with_message(f"{sent}: {error}") from None
    except httpx.InvalidURL:
        raise OpenCXArgumentError(f"{shortened(sent)}: the path cannot be part of a URL.") from None
    except httpx.DecodingError:
        raise OpenCXResponseError(f"{sent}: the service's response cannot be decompressed.") from None
    except httpx.TransportError as error:
        distrust = _distrust(error)
        if distrust is not None:
            raise OpenCXUnreachableError(
                f"{sent}: the certificate of {settings.base_url} is not trusted: {distrust}. Nothing was sent. If this"
                " network has a CA of its own, name its certificate file in the environment variable SSL_CERT_FILE of"
                " Airflow's processes; the certificate is always verified.",
                request_sent=False,
            ) from None
        reason = type(error).__name__ if isinstance(error, httpx.LocalProtocolError) else _reason(error)
        # A response that is not HTTP is quoted, and may repeat the request.
        reason = reason.replace(settings.api_key, "***")
        raise OpenCXUnreachableError(
            f"{sent}: no response from {settings.base_url}: {reason}. Check the network and the Base URL;"
            " another try may succeed.",
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
