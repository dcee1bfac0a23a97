"""The sync and the async client: they send what a flow asks for and hand it the answers.

This module and :mod:`.attempts` are the only ones that import httpx.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from types import TracebackType
from typing import Generic, Self, TypedDict, TypeVar
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx
from httpx_retries import Retry, RetryTransport
from pyrate_limiter import Duration, InMemoryBucket, Limiter, Rate

from airflow_provider_opencx.client.requests import Flow, Pause, Request, Response, exchange
from airflow_provider_opencx.client.transport import (
    AsyncPacedTransport,
    LongRetryAfterError,
    Observer,
    PacedTransport,
    Sending,
    retry_policies,
)
from airflow_provider_opencx.exceptions import (
    OpenCXConfigError,
    OpenCXError,
    OpenCXResponseError,
    OpenCXUnreachableError,
)

MAX_BODY_BYTES = 32 * 1024 * 1024
"""Answers larger than this are refused."""

TIMEOUTS_OF_A_BODY = 4
"""The body of an answer may take so many times the timeout, however steadily it dribbles in."""

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


@dataclass(frozen=True)
class ClientSettings:
    """What a client needs to know.

    :param base_url: URL of the API, without a slash at its end.
    :param api_key: the key; it is in no repr.
    :param timeout: seconds to wait for an answer, and for each next piece of it; the whole body may take
        :data:`TIMEOUTS_OF_A_BODY` times as long.
    :param max_retries: how often one request is sent again.
    :param requests_per_minute: the most requests a minute that this process, or all that share a pacing, send with
        this key.
    :param user_agent: the User-Agent header.
    :param name: what messages call all this, such as ``connection 'opencx_default'``.
    :param pacing: who shares the requests a minute: ``"process"``, each process has them to itself; ``"machine"``, all
        processes of this machine and user; or the address of a Redis. It may hold a password, and is in no repr.
    """

    base_url: str
    api_key: str = field(repr=False)
    timeout: float = 30.0
    max_retries: int = 4
    requests_per_minute: int = 90
    user_agent: str = "airflow-provider-opencx"
    name: str = ""
    pacing: str = field(default="process", repr=False)

    @property
    def secrets(self) -> list[str]:
        """What must be in no log: the key, and the password of a Redis, as it is written and as it is meant."""
        password = urlsplit(self.pacing).password
        return [self.api_key, *({password, unquote(password)} if password else ())]


class OpenCXClient:
    """Runs flows against the API, blocking.

    Usable as a context manager; safe to use from several threads.

    :param settings: where to, with which key, how patiently.
    :param observer: is told of each attempt to send a request.
    """

    def __init__(self, settings: ClientSettings, observer: Observer | None = None) -> None:
        self.settings = settings
        self._observer = observer
        self._policies = retry_policies(settings.max_retries, _read_body)
        transport = PacedTransport(_limiter_of(settings), **_transport_options(settings))
        self._http = httpx.Client(transport=RetryTransport(transport), **_client_options(settings))

    def run(self, flow: Flow[_Result]) -> _Result:
        """Carry out a flow and return its result; raises what the flow raises."""
        run = _Run(flow)
        while run.step is not None:
            if isinstance(run.step, Pause):
                time.sleep(run.step.seconds)
                run.resume()
                continue
            try:
                answer = self._send(run.step)
            except OpenCXError as error:
                run.fail(error)
            else:
                run.resume(answer)
        return run.result

    def _send(self, request: Request) -> Response:
        with _typed_errors(request, self.settings):
            try:
                response = self._http.send(self._built(request), stream=True)
                try:
                    _read_body(response)
                finally:
                    response.close()
            except LongRetryAfterError as asked:
                response = asked.response
            return _answer(response, self.settings)

    def _built(self, request: Request) -> httpx.Request:
        return _http_request(self._http, request, self._policies, Sending(request, self.settings.name, self._observer))

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
    """Runs flows against the API without blocking the event loop.

    Usable as an async context manager; belongs to the event loop it is first used in.

    :param settings: where to, with which key, how patiently.
    :param observer: is told of each attempt to send a request.
    """

    def __init__(self, settings: ClientSettings, observer: Observer | None = None) -> None:
        self.settings = settings
        self._observer = observer
        self._policies = retry_policies(settings.max_retries, _aread_body)
        transport = AsyncPacedTransport(_limiter_of(settings), **_transport_options(settings))
        self._http = httpx.AsyncClient(transport=RetryTransport(transport), **_client_options(settings))

    @classmethod
    async def open(cls, settings: ClientSettings, observer: Observer | None = None) -> Self:
        """Return a client; the process's first takes a tenth of a second, in which the event loop goes on."""
        await asyncio.to_thread(_tls_context)
        return cls(settings, observer)

    async def run(self, flow: Flow[_Result]) -> _Result:
        """Carry out a flow and return its result; raises what the flow raises."""
        run = _Run(flow)
        while run.step is not None:
            if isinstance(run.step, Pause):
                await asyncio.sleep(run.step.seconds)
                run.resume()
                continue
            try:
                answer = await self._send(run.step)
            except OpenCXError as error:
                run.fail(error)
            else:
                if len(answer.body) > _LARGE_BODY_BYTES:
                    await asyncio.to_thread(run.resume, answer)
                else:
                    run.resume(answer)
        return run.result

    async def _send(self, request: Request) -> Response:
        with _typed_errors(request, self.settings):
            try:
                response = await self._http.send(self._built(request), stream=True)
                try:
                    await _aread_body(response)
                finally:
                    await response.aclose()
            except LongRetryAfterError as asked:
                response = asked.response
            return _answer(response, self.settings)

    def _built(self, request: Request) -> httpx.Request:
        return _http_request(self._http, request, self._policies, Sending(request, self.settings.name, self._observer))

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

    def resume(self, answer: Response | None = None) -> None:
        """Go on with an answer, to the next step or to the end."""
        self._advance(lambda: self._flow.send(answer))

    def fail(self, error: OpenCXError) -> None:
        """Go on with the news that there is no answer."""
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
        "verify": _tls_context(),
        "limits": httpx.Limits(max_connections=20, keepalive_expiry=_KEEPALIVE_SECONDS),
        "proxy": _proxy_to(httpx.URL(settings.base_url)),
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


@cache
def _tls_context() -> ssl.SSLContext:
    """One context a process: loading the certificate bundle takes up to a tenth of a second.

    It verifies, always. Whom it trusts, the environment may say: SSL_CERT_FILE or SSL_CERT_DIR.
    """
    try:
        return httpx.create_ssl_context()
    except OSError as error:
        raise OpenCXConfigError(
            "The environment variable SSL_CERT_FILE or SSL_CERT_DIR does not name certificates that can be read:"
            f" {error.strerror or type(error).__name__}."
        ) from None


def _proxy_to(url: httpx.URL) -> str | None:
    """Return the proxy that the environment names for this URL.

    Only https goes through a proxy, because there it is a tunnel and the proxy never sees the key.
    """
    if url.scheme != "https" or proxy_bypass(url.host):
        return None
    proxies = getproxies()
    proxy = proxies.get("https") or proxies.get("all")
    if proxy is None:
        return None
    scheme, separator, _ = proxy.partition("://")
    if separator and scheme not in ("http", "https"):
        raise OpenCXConfigError(
            f"The environment (HTTPS_PROXY or ALL_PROXY) names a proxy of kind {scheme}; only http and https proxies"
            " are supported."
        )
    address = proxy if separator else f"http://{proxy}"
    try:
        if not httpx.Proxy(address).url.host:
            raise ValueError("no host")
    except (httpx.InvalidURL, ValueError):  # which may quote the URL, with a password that may be in it
        raise OpenCXConfigError(
            "The environment (HTTPS_PROXY or ALL_PROXY) names a proxy whose URL cannot be read; it should be like"
            " http://proxy.example.com:3128."
        ) from None
    return address


def _limiter_of(settings: ClientSettings) -> Limiter:
    paced = (settings.base_url, settings.api_key, settings.requests_per_minute)
    return _limiter(*paced) if settings.pacing == "process" else _shared_limiter(*paced, settings.pacing, os.getpid())


@cache
def _limiter(base_url: str, api_key: str, requests_per_minute: int) -> Limiter:
    """One limiter a process for each key, however many clients use it."""
    return Limiter(InMemoryBucket([Rate(requests_per_minute, Duration.MINUTE)]))


@cache
def _shared_limiter(base_url: str, api_key: str, requests_per_minute: int, pacing: str, process: int) -> Limiter:
    """One a process as well, and never that of the process it was forked from, whose file or socket it would use."""
    from airflow_provider_opencx.client.coordination import shared_limiter

    return shared_limiter(pacing, base_url, api_key, requests_per_minute)


def _http_request(
    http: httpx.Client | httpx.AsyncClient, request: Request, policies: dict[str, Retry], sending: Sending
) -> httpx.Request:
    return http.build_request(
        request.method,
        request.path,
        params=dict(request.query) or None,
        json=request.body,
        extensions={"retry": policies[request.method], **sending.extensions},
    )


_BODY = "opencx_body"


def _read_body(response: httpx.Response) -> None:
    if _BODY in response.extensions:
        return
    body = _Body(response)
    with Sending.of(response.request).reading(response):
        try:
            for chunk in response.iter_bytes():
                body.add(chunk)
        except (OpenCXResponseError, httpx.ReadTimeout):
            response.close()
            raise
    response.extensions[_BODY] = bytes(body.collected)


async def _aread_body(response: httpx.Response) -> None:
    if _BODY in response.extensions:
        return
    body = _Body(response)
    with Sending.of(response.request).reading(response):
        try:
            async for chunk in response.aiter_bytes():
                body.add(chunk)
        except (OpenCXResponseError, httpx.ReadTimeout):
            await response.aclose()
            raise
    response.extensions[_BODY] = bytes(body.collected)


class _Body:
    """A body on its way in: of no more bytes, and in no more time, than it may take.

    httpx limits the wait for each piece alone, so a service that sends a byte now and then would hold its reader for
    ever.
    """

    def __init__(self, response: httpx.Response) -> None:
        self.collected = bytearray()
        self._seconds = TIMEOUTS_OF_A_BODY * response.request.extensions["timeout"]["read"]
        self._deadline = time.monotonic() + self._seconds

    def add(self, chunk: bytes) -> None:
        """Take in the next piece."""
        if time.monotonic() > self._deadline:
            raise httpx.ReadTimeout(f"the answer began and was not complete after {self._seconds:g} s")
        if len(self.collected) + len(chunk) > MAX_BODY_BYTES:
            raise OpenCXResponseError(f"the service's response is over {MAX_BODY_BYTES >> 20} MiB and was not read.")
        self.collected += chunk


def _answer(response: httpx.Response, settings: ClientSettings) -> Response:
    body: bytes = response.extensions.get(_BODY, b"")
    return Response(response.status_code, response.headers, body, over=settings.name, secret=settings.api_key)


@contextmanager
def _typed_errors(request: Request, settings: ClientSettings) -> Generator[None]:
    """Turn httpx's errors into ours, without theirs as context: it may quote headers, the key among them."""
    sent = exchange(request, settings.name)
    try:
        yield
    except OpenCXResponseError as wrong:
        raise wrong.saying(f"{sent}: {wrong}") from None
    except httpx.DecodingError:
        raise OpenCXResponseError(f"{sent}: the service's answer cannot be decompressed.") from None
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
        reason = reason.replace(settings.api_key, "***")  # what is no HTTP is quoted, and may repeat the request
        raise OpenCXUnreachableError(
            f"{sent}: no answer from {settings.base_url}: {reason}. Check the network and the Base URL;"
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
