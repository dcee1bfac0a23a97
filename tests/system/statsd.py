"""A statsd server that receives the metrics of an Airflow."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from contextlib import suppress


class Statsd:
    """Receives what a statsd client sends of this provider."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.1)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._receive)
        self.port = self._socket.getsockname()[1]
        self.received: list[tuple[str, float, str]] = []

    def __enter__(self) -> Statsd:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._socket.close()

    def counts(self) -> Counter[str]:
        """Return the counters."""
        counts: Counter[str] = Counter()
        for name, value, kind in self.received:
            if kind == "c":
                counts[name] += int(value)
        return counts

    def values(self, name: str, kind: str) -> list[float]:
        """Return the values of a timer (``ms``), in milliseconds, or of a gauge (``g``)."""
        return [value for of, value, of_kind in self.received if (of, of_kind) == (name, kind)]

    def _receive(self) -> None:
        while not self._over.is_set():
            with suppress(TimeoutError):
                for line in self._socket.recv(65536).decode().splitlines():
                    if line.startswith("airflow.opencx."):
                        name, _, rest = line.removeprefix("airflow.").partition(":")
                        value, kind, *_ = rest.split("|")
                        self.received.append((name, float(value), kind))
