"""Servers that send the same bytes in response to every request, over raw sockets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


def http(body: str = "", status: str = "200 OK", headers: str = "") -> bytes:
    """Return the bytes of a response that ends its connection."""
    encoded = body.encode()
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(encoded)}\r\nConnection: close\r\n{headers}\r\n"
    return head.encode() + encoded


@dataclass
class OddServer:
    """A server that sends the same bytes to everybody.

    :param url: its address.
    :param received: what it got, a request an item.
    """

    url: str
    received: list[bytes] = field(default_factory=list)

    @property
    def methods(self) -> set[bytes]:
        """The methods of all requests."""
        return {request.split(b" ")[0] for request in self.received}


@contextmanager
def odd_server(reply: bytes | None) -> Iterator[OddServer]:
    """Run a server.

    :param reply: what it sends to each request; ``None`` sends nothing and keeps the connection.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    server = OddServer(f"http://127.0.0.1:{listener.getsockname()[1]}")
    over = threading.Event()

    def respond(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            server.received.append(connection.recv(65536))
            if reply is None:
                over.wait(60)
            else:
                connection.sendall(reply)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=respond, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield server
    finally:
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
