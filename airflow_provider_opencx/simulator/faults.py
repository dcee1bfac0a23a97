"""Faults that can be injected into upcoming requests.

Durations are wall-clock seconds, except in ``HandleLate``, which uses the simulator's clock.
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import ClassVar, Protocol

from starlette.responses import Response

from airflow_provider_opencx.simulator.call import Call
from airflow_provider_opencx.simulator.contract import load_contract
from airflow_provider_opencx.simulator.delivery import (
    DroppedConnection,
    RefusedConnections,
    SlowBodyResponse,
    TruncatedResponse,
)
from airflow_provider_opencx.simulator.json_values import Json, write_json

_PROXY_PAGE = (
    "<html>\r\n<head><title>{status} Proxy</title></head>\r\n<body><h1>{status}</h1>"
    "<p>This page is from the proxy in front of the service.</p></body>\r\n</html>\r\n"
)
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class Handle(Protocol):
    """Handles a request without any fault."""

    def __call__(self, call: Call, *, generation: str | None = None) -> Response:
        """Handle a request now.

        :param generation: the API generation of the response; None is the one that the simulator speaks
        """

    def later(self, call: Call, seconds: float) -> None:
        """Handle a request after some seconds of the simulator's clock; nobody gets the response."""


class Fault(ABC):
    """A fault. Subclasses decide how a request is responded to."""

    # For faults that are read from JSON: unknown fields are errors.
    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid"}

    @abstractmethod
    async def respond(self, call: Call, handle: Handle) -> Response:
        """Return the response to a request.

        :param call: the request
        :param handle: handles a request without a fault; need not be called
        """


@dataclass(frozen=True)
class _TimedFault(Fault):
    seconds: float

    def __post_init__(self) -> None:
        if not 0 <= self.seconds < math.inf:
            raise ValueError(f"A fault lasts 0 seconds or longer, not {self.seconds}.")


@dataclass(frozen=True)
class RefuseConnections(_TimedFault):
    """Drop the connection without handling the request, then refuse all connections for a while.

    The port is closed, and so is every open connection. ``heal()`` opens the port early.

    :param seconds: how long the port stays closed
    """

    async def respond(self, call: Call, handle: Handle) -> Response:
        """Close the port."""
        return RefusedConnections(self.seconds)


@dataclass(frozen=True)
class CloseBeforeHandling(Fault):
    """Drop the connection without handling the request."""

    async def respond(self, call: Call, handle: Handle) -> Response:
        """Drop the connection."""
        return DroppedConnection()


@dataclass(frozen=True)
class LoseResponse(Fault):
    """Handle the request, then drop the connection without sending a byte of the response."""

    async def respond(self, call: Call, handle: Handle) -> Response:
        """Handle the request and drop the connection."""
        handle(call)
        return DroppedConnection()


@dataclass(frozen=True)
class HandleLate(_TimedFault):
    """Drop the connection, and handle the request later.

    :param seconds: how much later, in seconds of the simulator's clock
    """

    async def respond(self, call: Call, handle: Handle) -> Response:
        """Schedule the request and drop the connection."""
        handle.later(call, self.seconds)
        return DroppedConnection()


@dataclass(frozen=True)
class TruncateResponse(Fault):
    """Handle the request, but drop the connection in the middle of the response's body.

    The Content-Length is that of the whole body. If the response has no body, none of it is sent.
    """

    async def respond(self, call: Call, handle: Handle) -> Response:
        """Handle the request and send half of the body."""
        response = handle(call)
        return TruncatedResponse(response) if response.body else DroppedConnection()


@dataclass(frozen=True)
class MalformedResponse(Fault):
    """Handle the request and respond with the right status, but with truncated JSON."""

    async def respond(self, call: Call, handle: Handle) -> Response:
        """Handle the request and truncate the JSON; an error response stays as it is."""
        response = handle(call)
        if response.status_code >= 400:
            return response
        malformed = bytes(response.body[: len(response.body) // 2]) or b'{"id": '
        return Response(malformed, response.status_code, media_type="application/json")


@dataclass(frozen=True)
class EmptyResponse(Fault):
    """Handle the request and respond with the right status, but without a body."""

    async def respond(self, call: Call, handle: Handle) -> Response:
        """Handle the request and drop the body; an error response stays as it is."""
        response = handle(call)
        return response if response.status_code >= 400 else Response(status_code=response.status_code)


@dataclass(frozen=True)
class ProxyPage(Fault):
    """Respond with the HTML page of a proxy.

    :param status: the status of the response
    :param handled: whether the request is handled before
    """

    status: int = 502
    handled: bool = False

    def __post_init__(self) -> None:
        _check_status(self.status)

    async def respond(self, call: Call, handle: Handle) -> Response:
        """Respond with the page."""
        if self.handled:
            handle(call)
        return Response(_PROXY_PAGE.format(status=self.status), self.status, media_type="text/html")


@dataclass(frozen=True)
class Respond(Fault):
    """Respond with a given response, without handling the request.

    :param status: the status of the response
    :param body: text or bytes are sent as they are, as HTML unless ``headers`` has a Content-Type; any other value is
        written as JSON
    :param headers: the headers of the response
    """

    status: int
    body: Json | bytes = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_status(self.status)
        for name, value in self.headers.items():
            _check_header(name, value)

    async def respond(self, call: Call, handle: Handle) -> Response:
        """Respond with the given response."""
        if isinstance(self.body, str | bytes):
            return Response(self.body, self.status, self.headers, media_type="text/html")
        return Response(write_json(self.body), self.status, self.headers, media_type="application/json")


@dataclass(frozen=True)
class TooManyRequests(Fault):
    """Respond with 429, without handling the request.

    :param retry_after: the header Retry-After: seconds, or a text that is sent as it is; None is no such header
    :param as_date: send the seconds as an HTTP date
    """

    retry_after: int | float | str | None = None
    as_date: bool = False

    def __post_init__(self) -> None:
        _check_header("Retry-After", str(self.retry_after))
        if self.as_date and not isinstance(self.retry_after, int | float):
            raise ValueError(f"as_date needs the seconds until then, not {self.retry_after!r}.")

    async def respond(self, call: Call, handle: Handle) -> Response:
        """Respond with 429."""
        body: dict[str, Json] = {"statusCode": 429, "message": "Too many requests", "error": "Too Many Requests"}
        return Response(write_json(body), 429, self._headers(), media_type="application/json")

    def _headers(self) -> dict[str, str]:
        if self.retry_after is None:
            return {}
        if self.as_date and not isinstance(self.retry_after, str):
            return {"Retry-After": formatdate(time.time() + self.retry_after, usegmt=True)}
        whole = isinstance(self.retry_after, float) and self.retry_after.is_integer()
        return {"Retry-After": str(int(self.retry_after)) if whole else str(self.retry_after)}


@dataclass(frozen=True)
class SlowResponse(_TimedFault):
    """Handle the request at once, but send the response later.

    :param seconds: how much later the headers are sent
    """

    async def respond(self, call: Call, handle: Handle) -> Response:
        """Handle the request, then wait."""
        response = handle(call)
        await asyncio.sleep(self.seconds)
        return response


@dataclass(frozen=True)
class SlowBody(_TimedFault):
    """Handle the request and send the headers at once, but the body in small chunks.

    :param seconds: how long the body takes
    """

    async def respond(self, call: Call, handle: Handle) -> Response:
        """Handle the request and send the body slowly."""
        return SlowBodyResponse(handle(call), self.seconds)


@dataclass(frozen=True, init=False)
class IgnoreFields(Fault):
    """Handle the request without some fields of its body, and respond as if nothing were wrong.

    :param fields: the names of the ignored fields
    """

    fields: frozenset[str]

    def __init__(self, *fields: str) -> None:
        object.__setattr__(self, "fields", frozenset(fields))

    async def respond(self, call: Call, handle: Handle) -> Response:
        """Handle the request without these fields."""
        return handle(call.without_fields(self.fields))


@dataclass(frozen=True)
class RespondInGeneration(Fault):
    """Handle the request, but respond as another generation of the API does.

    The request's body is validated by the generation that the simulator speaks. The query, the status and the body of
    the response are those of the other generation; without such an operation there, the response is a 404.

    :param generation: ``2024``, ``2025`` or ``2026``
    """

    generation: str

    def __post_init__(self) -> None:
        load_contract(self.generation)

    async def respond(self, call: Call, handle: Handle) -> Response:
        """Handle the request and respond in the other generation."""
        return handle(call, generation=self.generation)


FAULTS: Mapping[str, type[Fault]] = {
    fault.__name__: fault
    for fault in (
        Respond,
        RespondInGeneration,
        CloseBeforeHandling,
        EmptyResponse,
        HandleLate,
        IgnoreFields,
        LoseResponse,
        MalformedResponse,
        ProxyPage,
        RefuseConnections,
        SlowResponse,
        SlowBody,
        TooManyRequests,
        TruncateResponse,
    )
}
"""The faults of this module by class name, as the admin interface names them."""


def _check_status(status: int) -> None:
    if not 200 <= status <= 599:
        raise ValueError(f"A status is from 200 to 599, not {status}.")


def _check_header(name: str, value: str) -> None:
    if not _HEADER_NAME.fullmatch(name) or not (value.isascii() and value.isprintable()):
        raise ValueError(f"{name!r} cannot be a header, or its value cannot: plain ASCII on one line can.")
