"""Prints one line for each request: the request, the status and the time."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send


def with_request_lines(app: ASGIApp, api_keys: Sequence[str], write: Callable[[str], None]) -> ASGIApp:
    """Return an application that writes a line when it has responded: method, path with query, status, milliseconds.

    :param api_keys: are hidden, should a client put one into the path or the query
    :param write: gets the line, without a newline
    """
    key = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, api_keys))})(?!\w)")

    async def respond(scope: Scope, receive: Receive, send: Send) -> None:
        status: object = "dropped"

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        began_at = time.monotonic()
        try:
            await app(scope, receive, send_on)
        finally:
            target = key.sub("***", _target(scope))
            status = scope["state"].get("status", status)
            write(f"{scope['method']} {target} {status} {(time.monotonic() - began_at) * 1000:.0f} ms")

    return respond


def _target(scope: Scope) -> str:
    path, query = (bytes(scope[part]).decode("latin-1") for part in ("raw_path", "query_string"))
    return f"{path}?{query}" if query else path
