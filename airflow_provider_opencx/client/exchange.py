"""Limits one request and its response: one deadline and one limit of bytes for everything that arrives.

httpx limits only the wait for each piece. A service, or a proxy, that sends a byte now and then (in a header, between
the chunks of a body, or one 103 after the other) would hold its reader for ever. So the sockets themselves give each
read and write what is left of the exchange, no matter what arrives.
"""

from __future__ import annotations

import math
import socket
import ssl
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import TypeAlias

import httpcore

from airflow_provider_opencx.client.time_limit import call_within
from airflow_provider_opencx.exceptions import OpenCXResponseError

DEADLINE_FACTOR = 4
"""Upper bound for one exchange, from the connection to the last byte, as a multiple of ``timeout``."""

MAX_RECEIVED_BYTES = 40 * 1024 * 1024
"""The most bytes of one exchange, as they arrive: headers, chunk sizes and compressed data among them."""

_WRITE_BYTES = 16 * 1024

_SocketOption: TypeAlias = tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]


@contextmanager
def at_most(seconds: float) -> Generator[None]:
    """Let every exchange, and every wait for the next attempt, end within some seconds from now, in this context.

    :param seconds: until then; a longer limit around this one makes no difference to it.
    """
    before = _ends_at.set(min(time.monotonic() + seconds, _ends_at.get()))
    try:
        yield
    finally:
        _ends_at.reset(before)


def seconds_left() -> float:
    """Return the seconds that :func:`at_most` leaves, infinity where nothing limits them."""
    return _ends_at.get() - time.monotonic()


_ends_at: ContextVar[float] = ContextVar("ends_at", default=math.inf)


class Exchange:
    """One attempt to send a request and to receive its response.

    :param seconds: until its deadline.
    :param needs_new_connection: whether it may use no connection that was kept. Default ``False``.
    """

    def __init__(self, seconds: float, needs_new_connection: bool = False) -> None:
        self._seconds = min(seconds, max(0.0, seconds_left()))
        self._ends_at = time.monotonic() + self._seconds
        self.needs_new_connection = needs_new_connection
        self.is_on_kept_connection = False
        """Whether the request went out on a connection that an earlier exchange has used."""
        self.received = 0
        """Bytes of the response so far."""
        self._connection: _LimitedStream | None = None

    @contextmanager
    def current(self) -> Generator[None]:
        """Apply the limits to what is read and written within."""
        before = _exchange.set(self)
        try:
            yield
        finally:
            _exchange.reset(before)

    @contextmanager
    def limited(self, timeout: float | None, error: type[httpcore.TimeoutException]) -> Generator[float]:
        """Give the seconds that one step may take.

        :param timeout: the most that it may take by itself.
        :param error: raised if the deadline has passed, or passes meanwhile.
        """
        left = self._ends_at - time.monotonic()
        try:
            if left <= 0:
                raise error
            yield left if timeout is None else min(timeout, left)
        except error as late:
            if time.monotonic() < self._ends_at:
                raise
            raise error(f"the exchange was not complete after {self._seconds:.3g} s") from late

    def count(self, received: int) -> None:
        """Count bytes that have arrived.

        :raises OpenCXResponseError: if they are too many.
        """
        self.received += received
        if self.received > MAX_RECEIVED_BYTES:
            raise OpenCXResponseError(
                f"the service's response is over {MAX_RECEIVED_BYTES >> 20} MiB as it arrives and was not read."
            )

    def use(self, connection: _LimitedStream) -> None:
        """Send the request, or a part of it, on a connection."""
        self._connection = connection

    def leave_connection(self) -> None:
        """Let no other exchange use the connection of this one."""
        if self._connection is not None:
            self._connection.is_spent = True


_exchange: ContextVar[Exchange | None] = ContextVar("exchange", default=None)


class LimitedNetwork(httpcore.NetworkBackend):
    """Opens connections that keep to the limits of the exchange that uses them.

    :param network: opens the connections.
    """

    def __init__(self, network: httpcore.NetworkBackend) -> None:
        self._network = network

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[_SocketOption] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address of a host that accepts: all of them together keep to the deadline."""
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in _addresses(host, port, timeout):
            try:
                with _current_exchange().limited(timeout, httpcore.ConnectTimeout) as seconds:
                    stream = self._network.connect_tcp(address, port, seconds, local_address, socket_options)
                return _LimitedStream(stream)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure


class _LimitedStream(httpcore.NetworkStream):
    """A connection that keeps to the limits of the exchange that uses it.

    Where a proxy is itself reached over TLS, the deadline is looked at between two records of the inner TLS.
    """

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream
        self._used_by: Exchange | None = None
        self.is_spent = False

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        exchange = _current_exchange()
        with exchange.limited(timeout, httpcore.ReadTimeout) as seconds:
            data = self._stream.read(max_bytes, seconds)
        exchange.count(len(data))
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        exchange = _current_exchange()
        if self._used_by not in (None, exchange):
            if self.is_spent or exchange.needs_new_connection:
                raise httpcore.ConnectionNotAvailable  # the pool then gives another one
            exchange.is_on_kept_connection = True
        self._used_by = exchange
        exchange.use(self)
        for start in range(0, len(buffer), _WRITE_BYTES):
            with exchange.limited(timeout, httpcore.WriteTimeout) as seconds:
                self._stream.write(buffer[start : start + _WRITE_BYTES], seconds)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        with _current_exchange().limited(timeout, httpcore.ConnectTimeout) as seconds:
            return _LimitedStream(self._stream.start_tls(ssl_context, server_hostname, seconds))

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)


def _addresses(host: str, port: int, timeout: float | None) -> list[str]:
    with _current_exchange().limited(timeout, httpcore.ConnectTimeout) as seconds:
        try:
            search = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
            found = call_within(None if seconds == math.inf else seconds, search)
        except TimeoutError:
            raise httpcore.ConnectTimeout(f"no address of {host} was found in time") from None
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _current_exchange() -> Exchange:
    """Return the exchange of this context; outside of one, where a connection is closed, nothing is limited."""
    return _exchange.get() or Exchange(math.inf)
