"""Ways in which an API lets its client down, to be ordered for the requests to come.

What a fault says of seconds are those of a real clock, save for ``HandleLate``, which goes by the simulator's.
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
    "<p>The proxy in front of the service has this to say, and nothing of the service's.</p></body>\r\n</html>\r\n"
)


_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class Handle(Protocol):
    """Handles requests as a sound service would."""

    def __call__(self, call: Call, *, generation: str | None = None) -> Response:
        """Handle a request now; the answer is spelled as in this generation, if one is given."""

    def later(self, call: Call, seconds: float) -> None:
        """Handle a request when the simulator's clock is so many seconds on. Nobody gets the answer."""


class Fault(ABC):
    """One way of failing. A new one is a class that says how it answers a request."""

    # Read from JSON, a fault has no members but its own.
    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid"}

    @abstractmethod
    async def respond(self, call: Call, handle: Handle) -> Response:
        """Answer a request; ``handle(call)`` does what a sound service would, and may be left out or altered."""


@dataclass(frozen=True)
class _Lasting(Fault):
    seconds: float

    def __post_init__(self) -> None:
        if not 0 <= self.seconds < math.inf:
            raise ValueError(f"A fault lasts 0 seconds or longer, not {self.seconds}.")


@dataclass(frozen=True)
class RefuseConnections(_Lasting):
    """Drop the connection, having done nothing; then refuse all connections for a while.

    The port is really closed, and all that was connected is cut off. ``heal()`` opens it before the time.
    """

    async def respond(self, call: Call, handle: Handle) -> Response:
        """Answer nothing, nobody."""
        return RefusedConnections(self.seconds)


@dataclass(frozen=True)
class CloseBeforeHandling(Fault):
    """Drop the connection, having done nothing."""

    async def respond(self, call: Call, handle: Handle) -> Response:
        """Answer nothing."""
        return DroppedConnection()


@dataclass(frozen=True)
class LoseResponse(Fault):
    """Do all that was asked, then drop the connection without a byte of the answer."""

    async def respond(self, call: Call, handle: Handle) -> Response:
        """Handle the request and answer nothing."""
        handle(call)
        return DroppedConnection()


@dataclass(frozen=True)
class HandleLate(_Lasting):
    """Drop the connection, and do what was asked only after so many seconds of the simulator's clock.

    It is as if it had been done at just that time, whenever one looks.
    """

    async def respond(self, call: Call, handle: Handle) -> Response:
        """Answer nothing, and put the request off."""
        handle.later(call, self.seconds)
        return DroppedConnection()


@dataclass(frozen=True)
class TruncateResponse(Fault):
    """Do all that was asked, but let the connection break in the middle of the body.

    The headers tell the length of the whole body. An answer that has no body is lost altogether.
    """

    async def respond(self, call: Call, handle: Handle) -> Response:
        """Handle the request and answer half."""
        answer = handle(call)
        return TruncatedResponse(answer) if answer.body else DroppedConnection()


@dataclass(frozen=True)
class MalformedResponse(Fault):
    """Do all that was asked, and say so with the right status, but with JSON that breaks off."""

    async def respond(self, call: Call, handle: Handle) -> Response:
        """Handle the request and answer what nobody can parse; a refusal stays what it is."""
        answer = handle(call)
        if answer.status_code >= 400:
            return answer
        broken = bytes(answer.body[: len(answer.body) // 2]) or b'{"id": '
        return Response(broken, answer.status_code, media_type="application/json")


@dataclass(frozen=True)
class EmptyResponse(Fault):
    """Do all that was asked, and say so with the right status but without the body."""

    async def respond(self, call: Call, handle: Handle) -> Response:
        """Handle the request and answer the status alone; a refusal keeps its body."""
        answer = handle(call)
        return answer if answer.status_code >= 400 else Response(status_code=answer.status_code)


@dataclass(frozen=True)
class ProxyPage(Fault):
    """Answer with a proxy's HTML page: in place of the service, or if ``handled`` in place of its answer alone."""

    status: int = 502
    handled: bool = False

    def __post_init__(self) -> None:
        _check_status(self.status)

    async def respond(self, call: Call, handle: Handle) -> Response:
        """Answer the page, and handle the request if that is wanted."""
        if self.handled:
            handle(call)
        return Response(_PROXY_PAGE.format(status=self.status), self.status, media_type="text/html")


@dataclass(frozen=True)
class Respond(Fault):
    """Answer this, having done nothing.

    A body of text or bytes is sent as it is, as HTML unless the headers say otherwise, so that an error page or
    broken JSON can be had; any other is written as JSON.
    """

    status: int
    body: Json | bytes = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_status(self.status)
        for name, value in self.headers.items():
            _check_header(name, value)

    async def respond(self, call: Call, handle: Handle) -> Response:
        """Answer what was ordered."""
        if isinstance(self.body, str | bytes):
            return Response(self.body, self.status, self.headers, media_type="text/html")
        return Response(write_json(self.body), self.status, self.headers, media_type="application/json")


@dataclass(frozen=True)
class TooManyRequests(Fault):
    """Answer 429, having done nothing.

    :param retry_after: the header Retry-After: seconds, or any text as it is; None is an answer without it
    :param as_date: write the seconds as the date that they come to
    """

    retry_after: int | float | str | None = None
    as_date: bool = False

    def __post_init__(self) -> None:
        _check_header("Retry-After", str(self.retry_after))
        if self.as_date and not isinstance(self.retry_after, int | float):
            raise ValueError(f"as_date needs the seconds until then, not {self.retry_after!r}.")

    async def respond(self, call: Call, handle: Handle) -> Response:
        """Answer that it is too much."""
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
class SlowResponse(_Lasting):
    """Do at once what was asked, but let not even the headers of the answer go before so many seconds."""

    async def respond(self, call: Call, handle: Handle) -> Response:
        """Handle the request, then hold the answer back."""
        answer = handle(call)
        await asyncio.sleep(self.seconds)
        return answer


@dataclass(frozen=True)
class SlowBody(_Lasting):
    """Do at once what was asked and send the headers, but the body in dribs over so many seconds."""

    async def respond(self, call: Call, handle: Handle) -> Response:
        """Handle the request, and let the answer dribble."""
        return SlowBodyResponse(handle(call), self.seconds)


@dataclass(frozen=True, init=False)
class IgnoreFields(Fault):
    """Do what was asked but for some members, and answer as if all were well."""

    members: frozenset[str]

    def __init__(self, *members: str) -> None:
        object.__setattr__(self, "members", frozenset(members))

    async def respond(self, call: Call, handle: Handle) -> Response:
        """Handle the request without these members."""
        return handle(call.without_members(self.members))


@dataclass(frozen=True)
class RespondInGeneration(Fault):
    """Do what was asked as ever, but answer as another generation of the API does: ``2024``, ``2025`` or ``2026``.

    What a body may hold is for the simulator's own generation to say; status, body and pages of the answer are the
    other's, and so is the cursor of a list.
    """

    generation: str

    def __post_init__(self) -> None:
        load_contract(self.generation)

    async def respond(self, call: Call, handle: Handle) -> Response:
        """Handle the request and answer in the other spelling."""
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
"""The faults that are here, by name."""


def _check_status(status: int) -> None:
    if not 200 <= status <= 599:
        raise ValueError(f"A status is from 200 to 599, not {status}.")


def _check_header(name: str, value: str) -> None:
    if not _HEADER_NAME.fullmatch(name) or not (value.isascii() and value.isprintable()):
        raise ValueError(f"{name!r} cannot be a header, or its value cannot: plain ASCII on one line can.")
