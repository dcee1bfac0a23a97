"""A server that speaks like a Redis, and whose responses do not end."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def endless_redis(first: bytes, then: bytes, pause: float, commands_before: int = 0) -> Iterator[str]:
    """Give the address of a server that sends something again and again, as long as the block runs.

    :param first: what a response begins with.
    :param then: what follows, again and again.
    :param pause: seconds between two of them.
    :param commands_before: how many commands of a connection get an OK before.
    """
    ended = threading.Event()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            for _ in range(commands_before):
                self.request.recv(100_000)
                self.request.sendall(b"+OK\r\n")
            self.request.recv(100_000)
            with suppress(OSError):
                self.request.sendall(first)
                while not ended.wait(pause):
                    self.request.sendall(then)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"redis://127.0.0.1:{server.server_address[1]}"
        finally:
            ended.set()
            server.shutdown()
