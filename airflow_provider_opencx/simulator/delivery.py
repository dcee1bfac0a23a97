"""Responses that do not reach the client as they should."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

_SECONDS_BETWEEN_CHUNKS = 0.05


class DroppedConnection(Response):
    """Close the connection without sending a byte."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Close the connection, and wait until the server has noticed: otherwise it would send a response itself."""
        scope["state"]["transport"].abort()
        await _disconnected(receive)


class RefusedConnections(DroppedConnection):
    """Close every connection and the port, and open the port again later.

    :param seconds: how long the port refuses connections
    """

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Close the port before the connection, so that a client that reconnects at once is refused."""
        scope["state"]["server"].refuse_connections(self.seconds)
        await _disconnected(receive)


class TruncatedResponse(Response):
    """Send the headers and half of the body of a response, then close the connection."""

    def __init__(self, whole: Response) -> None:
        super().__init__()
        self.status_code, self.raw_headers, self.body = whole.status_code, whole.raw_headers, whole.body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send that half completely, then close the connection."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        half = bytes(self.body[: len(self.body) // 2])
        await send({"type": "http.response.body", "body": half, "more_body": True})
        scope["state"]["transport"].close()
        await _disconnected(receive)


class SlowBodyResponse(Response):
    """Send the headers of a response at once, and its body in small chunks.

    :param seconds: how long the body takes
    """

    def __init__(self, whole: Response, seconds: float) -> None:
        super().__init__()
        self.status_code, self.raw_headers, self.body = whole.status_code, whole.raw_headers, whole.body
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the chunks, evenly spread over the time."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        chunks = list(_chunks(bytes(self.body), math.ceil(self.seconds / _SECONDS_BETWEEN_CHUNKS)))
        for chunk in chunks:
            await asyncio.sleep(self.seconds / len(chunks))
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _chunks(body: bytes, number: int) -> Iterator[bytes]:
    size = max(1, math.ceil(len(body) / max(1, number)))
    for start in range(0, len(body), size):
        yield body[start : start + size]
