"""Faults of the connection: it is dropped, or slow."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from starlette.responses import Response

from airflow_provider_opencx.simulator.call import Call
from airflow_provider_opencx.simulator.delivery import (
    DelayedResponse,
    DroppedConnection,
    RefusedConnections,
    ResetConnection,
    SilentConnection,
    SlowBodyResponse,
    TruncatedResponse,
)
from airflow_provider_opencx.simulator.faults.fault import Fault, Handle, TimedFault

_Mode = Literal["silent", "reset", "close"]

_FORGOTTEN: Mapping[_Mode, type[DroppedConnection]] = {
    "silent": SilentConnection,
    "reset": ResetConnection,
    "close": DroppedConnection,
}


@dataclass(frozen=True)
class RefuseConnections(TimedFault):
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
class HandleLate(TimedFault):
    """Drop the connection, and handle the request later.

    :param seconds: how much later, in seconds of the simulator's clock
    """

    async def respond(self, call: Call, handle: Handle) -> Response:
        """Schedule the request and drop the connection."""
        handle.later(call, self.seconds)
        return DroppedConnection()


@dataclass(frozen=True)
class ForgetIdleConnections(Fault):
    """Do not handle a request on a connection that was idle, like a NAT or a load balancer that has forgotten it.

    Only a request on a kept connection that is idle that long meets the fault; others do not use it up.

    :param after: how long a connection is idle at least, since the response before
    :param mode: ``silent``: the client gets no answer at all; ``reset``: the connection is reset (RST); ``close``: it
        is closed when the request arrives
    """

    after: float = 0
    mode: _Mode = "silent"

    def __post_init__(self) -> None:
        if not 0 <= self.after < math.inf:
            raise ValueError(f"A connection is idle for 0 seconds or longer, not {self.after}.")
        if self.mode not in _FORGOTTEN:
            raise ValueError(
                f"A connection is forgotten in one of the modes {', '.join(_FORGOTTEN)}, not {self.mode!r}."
            )

    def applies_to(self, call: Call) -> bool:
        """Return whether the connection was idle that long."""
        return call.idle_seconds is not None and call.idle_seconds >= self.after

    async def respond(self, call: Call, handle: Handle) -> Response:
        """Leave, reset or close the connection."""
        return _FORGOTTEN[self.mode]()


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
class SlowResponse(TimedFault):
    """Handle the request at once, but send the response later.

    :param seconds: how much later the headers are sent
    """

    async def respond(self, call: Call, handle: Handle) -> Response:
        """Handle the request and send the response later."""
        return DelayedResponse(handle(call), self.seconds)


@dataclass(frozen=True)
class SlowBody(TimedFault):
    """Handle the request and send the headers at once, but the body in small chunks.

    :param seconds: how long the body takes
    """

    async def respond(self, call: Call, handle: Handle) -> Response:
        """Handle the request and send the body slowly."""
        return SlowBodyResponse(handle(call), self.seconds)
