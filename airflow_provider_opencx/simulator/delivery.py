"""Responses that reach the client late, broken or not at all."""

from __future__ import annotations

import asyncio
import math
import os
import socket
import struct
from collections.abc import Coroutine, Iterator
from http import HTTPStatus

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.flow_control import FlowControl

_SECONDS_BETWEEN_CHUNKS = 0.05


class DroppedConnection(Response):
    """Close the connection without sending a byte."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Close the connection, and wait until the server has noticed: otherwise it would send a response itself."""
        scope["state"]["transport"].abort()
        await _disconnected(receive)


class SilentConnection(DroppedConnection):
    """Send nothing, and leave the connection open until the client closes it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait until the client has gone."""
        await _disconnected(receive)


class ResetConnection(DroppedConnection):
    """Reset the connection (RST) without sending a byte."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Close the socket without what TCP does at the end of a connection."""
        linger = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
        scope["state"]["transport"].get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        await super().__call__(scope, receive, send)


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
    """Send the headers and half of the body of a response, then close the connection.

    :param whole: the response
    """

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


class DelayedResponse(Response):
    """Send a response later.

    :param whole: the response
    :param seconds: how much later
    """

    def __init__(self, whole: Response, seconds: float) -> None:
        super().__init__()
        self.status_code, self.raw_headers, self.body = whole.status_code, whole.raw_headers, whole.body
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait, then send the response."""
        await _until_disconnected(self._send(scope, receive, send), receive)

    async def _send(self, scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(self.seconds)
        await super().__call__(scope, receive, send)


class SlowBodyResponse(Response):
    """Send the headers of a response at once, and its body in small chunks.

    :param whole: the response
    :param seconds: how long the body takes
    """

    def __init__(self, whole: Response, seconds: float) -> None:
        super().__init__()
        self.status_code, self.raw_headers, self.body = whole.status_code, whole.raw_headers, whole.body
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the chunks, evenly spread over the time."""
        await _until_disconnected(self._send(send), receive)

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        chunks = list(_chunks(bytes(self.body), math.ceil(self.seconds / _SECONDS_BETWEEN_CHUNKS)))
        for chunk in chunks:
            await asyncio.sleep(self.seconds / len(chunks))
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class DribblingResponse(Response):
    """Write bytes, then for a while the same ones again and again, then more bytes, and close the connection.

    They go straight to the connection: ASGI has no message for half a header, an interim response or a trailer.

    :param status: the status that they are reported with
    :param before: is written first
    :param filler: is written again and again
    :param after: is written last
    :param seconds: how long that takes
    :param between: the seconds from one ``filler`` to the next
    """

    def __init__(
        self, status: int, *, before: bytes, filler: bytes, after: bytes, seconds: float, between: float
    ) -> None:
        super().__init__(status_code=status)
        self.before, self.filler, self.after = before, filler, after
        self.seconds = seconds
        self.between = between

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write the bytes, and wait until the connection is closed."""
        scope["state"]["status"] = self.status_code
        await _until_disconnected(self._write(scope["state"]["transport"], scope["state"]["flow"]), receive)

    async def _write(self, transport: asyncio.Transport, flow: FlowControl) -> None:
        clock = asyncio.get_running_loop().time
        end = clock() + self.seconds
        transport.write(self.before)
        while (left := end - clock()) > 0:
            transport.write(self.filler)
            await flow.drain()
            await asyncio.sleep(min(self.between, left))
        transport.write(self.after)
        transport.close()


def response_head(response: Response, **changes: str | None) -> tuple[bytes, bytes]:
    """Return the status line and the headers of a response as bytes, for a connection that is closed after it.

    :param changes: other values of headers, with ``_`` for ``-``; None is without that header
    """
    changed = {"connection": "close"} | {name.replace("_", "-"): value for name, value in changes.items()}
    headers = [(name, value) for name, value in response.headers.items() if name not in changed]
    headers += [(name, value) for name, value in changed.items() if value is not None]
    phrase = HTTPStatus(response.status_code).phrase if response.status_code in set(HTTPStatus) else ""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"HTTP/1.1 {response.status_code} {phrase}\r\n".encode(), f"{lines}\r\n".encode("latin-1")


async def _until_disconnected(work: Coroutine[object, object, None], receive: Receive) -> None:
    """Send a response, but no longer than there is a client that waits for it."""
    async with asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(work)
        await _disconnected(receive)
        sending.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _chunks(body: bytes, number: int) -> Iterator[bytes]:
    size = max(1, math.ceil(len(body) / max(1, number)))
    for start in range(0, len(body), size):
        yield body[start : start + size]
