"""Faults of the connection: it is dropped, or slow."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import Response

from airflow_provider_opencx.simulator.call import Call
from airflow_provider_opencx.simulator.delivery import (
    DelayedResponse,
    DroppedConnection,
    RefusedConnections,
    SlowBodyResponse,
    TruncatedResponse,
)
from airflow_provider_opencx.simulator.faults.fault import Fault, Handle, TimedFault


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
