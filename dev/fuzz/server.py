"""A server that reads a request to its end, and then sends exactly the bytes that it was given."""

from __future__ import annotations

import re
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import Self, TypeAlias

LONGEST_REQUEST = 1024 * 1024
"""Bytes of a request after which its connection is closed."""

SEND_TIMEOUT = 5.0
"""Seconds after which a client that does not read is left."""

_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)


class End(Enum):
    """What the server does after the last byte of a response."""

    KEEP = "keep"
    """It waits for the next request."""

    CLOSE = "close"

    RESET = "reset"
    """It drops the connection, so that what the client has not read is lost."""

    def __repr__(self) -> str:
        """Return the name as code has it."""
        return str(self)


@dataclass(frozen=True)
class Received:
    """One request, with its whole body.

    :param number: counted from 0, since :meth:`RawServer.begin`.
    """

    number: int
    method: str
    target: str
    head: bytes
    body: bytes

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]


Step: TypeAlias = "bytes | float | End"
"""Bytes are sent, seconds are waited."""

Respond: TypeAlias = Callable[[Received], Sequence[Step]]


class RawServer:
    """Listens on a free port of 127.0.0.1, each connection in a thread of its own. A context manager."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._dropped = threading.Event()
        self._respond: Respond = lambda received: [End.CLOSE]
        self._number = 0
        self._thread = threading.Thread(target=self._accept, name="raw server", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def begin(self, respond: Respond) -> None:
        """Let a function say from now on what is sent for each request; it is called for one request at a time."""
        with self._lock:
            self._respond, self._number = respond, 0
            self._dropped = threading.Event()

    def drop(self) -> None:
        """End every connection, also one that is within a pause."""
        with self._lock:
            self._dropped.set()
            for connection in self._connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def connections(self) -> int:
        """Return how many connections are open."""
        with self._lock:
            return len(self._connections)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop()
        self._thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.settimeout(SEND_TIMEOUT)
            with self._lock:
                self._connections.add(connection)
            threading.Thread(target=self._serve, args=(connection,), name="raw connection", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            received = b""
            while (end := self._serve_one(connection, received)) is not None:
                received = end
        except OSError:
            pass  # the client has left
        finally:
            with self._lock:
                self._connections.discard(connection)
            connection.close()

    def _serve_one(self, connection: socket.socket, received: bytes) -> bytes | None:
        """Serve one request; return what was received of the next one, ``None`` if there is no next one."""
        read = self._read_request(connection, received)
        if read is None:
            return None
        head, body, rest = read
        method, target, _ = head.partition(b"\r\n")[0].decode("latin-1").split(" ", 2)
        with self._lock:
            dropped = self._dropped
            steps = self._respond(Received(self._number, method, target, head, body))
            self._number += 1
        return rest if _is_kept_after(steps, connection, dropped) else None

    def _read_request(self, connection: socket.socket, received: bytes) -> tuple[bytes, bytes, bytes] | None:
        """Return the head and the body of a request, and what was received of the next one; ``None`` if it has no end.

        :param received: what was received of it before.
        """
        while b"\r\n\r\n" not in received:
            received += (piece := self._receive(connection))
            if not piece or len(received) > LONGEST_REQUEST:
                return None
        head, _, body = received.partition(b"\r\n\r\n")
        length = int(found[1]) if (found := _CONTENT_LENGTH.search(head)) else 0
        while len(body) < min(length, LONGEST_REQUEST):
            body += (piece := self._receive(connection))
            if not piece:
                return None
        return head, body[:length], body[length:]

    def _receive(self, connection: socket.socket) -> bytes:
        while True:
            try:
                return connection.recv(65536)
            except TimeoutError:
                continue  # an idle connection is kept


def _is_kept_after(steps: Sequence[Step], connection: socket.socket, dropped: threading.Event) -> bool:
    """Take the steps of a response; return whether the connection is kept for another request.

    :param dropped: ends each wait when it is set.
    """
    for step in steps:
        if isinstance(step, bytes):
            connection.sendall(step)
        elif isinstance(step, float):
            dropped.wait(step)
        elif step is not End.KEEP:
            if step is End.RESET:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
    return True
