"""A Redis client with a total time limit. The timeouts of redis-py apply only to each single read.

It is used within :func:`.redis_budget.redis_budget`.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from redis import Connection, Redis, SSLConnection
from redis.backoff import NoBackoff
from redis.retry import Retry

from airflow_provider_opencx.client.redis_budget import RedisBudget
from airflow_provider_opencx.client.time_limit import call_within
from airflow_provider_opencx.secret import Secret


def bounded_redis(address: Secret, timeout: float) -> Redis:
    """Return a client of the Redis at an address, whose commands are tried once.

    :param address: such as ``redis://host:6379/0``; ``rediss`` is TLS.
    :param timeout: seconds that each address of its host gets to accept a connection.
    """
    is_tls = urlsplit(address.reveal()).scheme == "rediss"
    return Redis.from_url(
        address.reveal(),
        connection_class=_BoundedTlsConnection if is_tls else _BoundedConnection,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
        # Before its version 6, redis-py does not check whose certificate it is.
        **({"ssl_check_hostname": True} if is_tls else {}),
    )


class _BoundedSocket:
    """A connected socket that waits until the deadline of its budget at most."""

    def __init__(self, connected: socket.socket) -> None:
        self._connected = connected
        self._waits = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connected, name)

    def settimeout(self, seconds: float | None) -> None:
        self._waits = seconds != 0  # 0 looks whether there is something to read

    def recv(self, *arguments: int) -> bytes:
        received: bytes = self._in_time().recv(*arguments)
        RedisBudget.current().count(len(received))
        return received

    def recv_into(self, *arguments: Any) -> int:
        size: int = self._in_time().recv_into(*arguments)
        RedisBudget.current().count(size)
        return size

    def sendall(self, data: bytes) -> None:
        self._in_time().sendall(data)

    def _in_time(self) -> socket.socket:
        self._connected.settimeout(RedisBudget.current().seconds_left() if self._waits else 0)
        return self._connected


class _BoundedConnection(Connection):
    def _connect(self) -> _BoundedSocket:
        return _BoundedSocket(_in_time(super()._connect))


class _BoundedTlsConnection(SSLConnection):
    def _connect(self) -> _BoundedSocket:
        return _BoundedSocket(_in_time(super()._connect))


def _in_time(connect: Callable[[], socket.socket]) -> socket.socket:
    return call_within(RedisBudget.current().seconds_left(), connect, socket.socket.close)
