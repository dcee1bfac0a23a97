"""A mail server that stores what it gets. It knows only the SMTP that Airflow's notifier needs."""

from __future__ import annotations

import email
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message


@dataclass
class Mailbox:
    """What was sent to a server that listens on a port."""

    port: int
    messages: list[Message] = field(default_factory=list)


@contextmanager
def mail_server() -> Iterator[Mailbox]:
    """Run a mail server on a free port of this machine."""

    class Session(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 ready")
            while command := self.rfile.readline().split(b" ")[0].strip().upper():
                if command == b"DATA":
                    self._say("354 go on")
                    mailbox.messages.append(email.message_from_bytes(self._until_dot()))
                self._say("221 bye" if command == b"QUIT" else "250 ok")
                if command == b"QUIT":
                    return

        def _until_dot(self) -> bytes:
            lines = []
            while (line := self.rfile.readline()).strip() != b".":
                lines.append(line.removeprefix(b"."))
            return b"".join(lines)

        def _say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session) as server:
        mailbox = Mailbox(server.server_address[1])
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield mailbox
        server.shutdown()
