"""What may become of an answer on its way to the client."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

_SECONDS_BETWEEN_DRIBS = 0.05


class DroppedConnection(Response):
    """No answer: the connection is closed without a byte."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Close the connection, and wait until the server has noticed, lest it answer by itself."""
        scope["state"]["transport"].abort()
        await _disconnected(receive)


class RefusedConnections(DroppedConnection):
    """No answer, and for so many seconds no connection: the port refuses them, and those that are open are closed."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Close the port, then the connection: who sees it closed finds the port closed already."""
        scope["state"]["server"].refuse_connections(self.seconds)
        await _disconnected(receive)


class TruncatedResponse(Response):
    """The headers of an answer and half of its body; then the connection is closed."""

    def __init__(self, whole: Response) -> None:
        super().__init__()
        self.status_code, self.raw_headers, self.body = whole.status_code, whole.raw_headers, whole.body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send what is to be sent, to the last byte, and close the connection."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        half = bytes(self.body[: len(self.body) // 2])
        await send({"type": "http.response.body", "body": half, "more_body": True})
        scope["state"]["transport"].close()
        await _disconnected(receive)


class SlowBodyResponse(Response):
    """An answer whose headers come at once, and whose body in dribs over so many seconds."""

    def __init__(self, whole: Response, seconds: float) -> None:
        super().__init__()
        self.status_code, self.raw_headers, self.body = whole.status_code, whole.raw_headers, whole.body
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send one drib after the other."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        dribs = list(_chunks(bytes(self.body), math.ceil(self.seconds / _SECONDS_BETWEEN_DRIBS)))
        for drib in dribs:
            await asyncio.sleep(self.seconds / len(dribs))
            await send({"type": "http.response.body", "body": drib, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _chunks(body: bytes, number: int) -> Iterator[bytes]:
    size = max(1, math.ceil(len(body) / max(1, number)))
    for start in range(0, len(body), size):
        yield body[start : start + size]
