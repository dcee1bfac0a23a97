"""The connections of polls: one client for all polls of one kind."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from math import inf
from typing import TypeAlias, TypeVar
from weakref import WeakValueDictionary

from asgiref.sync import sync_to_async

from airflow_provider_opencx import metrics
from airflow_provider_opencx.client.client import OpenCXClient
from airflow_provider_opencx.client.settings import ClientSettings
from airflow_provider_opencx.exceptions import OpenCXAuthenticationError, OpenCXError
from airflow_provider_opencx.hooks.opencx import OpenCXHook, connection_not_found
from airflow_provider_opencx.masking import mask_secrets
from airflow_provider_opencx.secret import forget_locals
from airflow_provider_opencx.triggers.threads import in_thread
from airflow_provider_opencx.visible_text import in_quotes

ReadT = TypeVar("ReadT")

KEPT_FOR = 300.0
"""Seconds after which a connection is read again: a watcher never ends, and a connection may be changed meanwhile."""

log = logging.getLogger(__name__)


class PolledConnection:
    """Reads over one connection, keeping its client from poll to poll, for as long as somebody waits for one.

    :param conn_id: the connection.
    """

    def __init__(self, conn_id: str) -> None:
        self.conn_id = conn_id
        self.turn = asyncio.Lock()
        """Held by the poll that is being made, in the order in which they are asked for: one that waits in a thread for
        the rate limit, or for a service that does not respond, holds a thread that other connections need."""
        self.paused_until = -inf
        """When the next poll may be made after a 429, by ``time.monotonic()``."""
        self.refusal: OpenCXError | None = None
        """The last error that every poll over the connection would meet as well."""
        self.refused_at = -inf
        """When the poll began that met it."""
        # The next poll is the retry.
        self._hook = OpenCXHook(conn_id, max_retries=0)
        self._client: _Client | None = None
        self._settings_read_at = -inf
        """When the settings of the client were read, or could not be, by ``time.monotonic()``."""
        self._users = 0

    def join(self) -> None:
        """Count one more whose polls go over the connection."""
        self._users += 1

    def leave(self) -> None:
        """Count one less; the last to leave closes the client."""
        self._users -= 1
        if not self._users:
            self._close()

    async def poll(self, read: Callable[[OpenCXClient], ReadT]) -> ReadT | OpenCXError:
        """Return what is read, or the error for which it could not be read.

        :param read: reads it in a thread.
        """
        try:
            try:
                return await self._read(read)
            except OpenCXAuthenticationError:
                if not await self._key_was_replaced():
                    raise
                return await self._read(read)
        except OpenCXError as error:
            return error
        except Exception as error:
            # An exception here would end the wait of every task. The connection is read over Airflow's own API, so
            # errors of any kind can come from there.
            log.debug("Polling failed", exc_info=True)
            return OpenCXError(
                f"Polling over connection {in_quotes(self.conn_id)} failed with {type(error).__name__}. The triggerer's"
                " log at level DEBUG has the details."
            )

    async def _read(self, read: Callable[[OpenCXClient], ReadT]) -> ReadT:
        if self._client is not None and await self._has_changed(self._client):
            self._close()
        if self._client is None:
            self._client = await self._open()
        return await in_thread(partial(self._client.call, read))

    async def _has_changed(self, client: _Client) -> bool:
        """Return whether the connection has other settings now than a client, if it is time to read it again.

        One that cannot be read has not changed. Airflow does not say whether it was deleted, and those who wait must
        not fail because a secrets backend is away.
        """
        if time.monotonic() - self._settings_read_at < KEPT_FOR:
            return False
        try:
            return await self._read_settings() != client.settings
        except OpenCXError as error:
            log.warning("Polling goes on as connection %s was before. %s", in_quotes(self.conn_id), error)
            return False

    async def _open(self) -> _Client:
        # Only HTTP runs in separate threads: triggerers of Airflow 3.0 and 3.1 answer only requests from their own
        # loop. Requests to Airflow are shielded, because a call that is cancelled half-way ends these triggerers. Not
        # aget_connection, before Airflow 3.3.2: it masks the connection's secrets from within the event loop. Set up
        # the metrics first, because failures here are counted, too.
        await sync_to_async(metrics.prepare, thread_sensitive=False)()
        settings = await self._read_settings()
        # Loading the certificates takes up to a tenth of a second.
        return await in_thread(partial(_Client, settings))

    async def _read_settings(self) -> ClientSettings:
        """Return the settings that the connection has now; no error leaves with the key among its locals."""
        self._settings_read_at = time.monotonic()
        try:
            return await self._settings_of_connection()
        except BaseException as error:
            forget_locals(error)
            raise

    async def _settings_of_connection(self) -> ClientSettings:
        try:
            connection = await asyncio.shield(sync_to_async(self._hook.get_connection)(self.conn_id))
        except Exception as error:
            raise connection_not_found(self.conn_id, error) from None
        settings = self._hook.settings_of(connection)
        # Airflow sends the secret to the process that writes the log; the event loop must not wait for that.
        await asyncio.shield(sync_to_async(mask_secrets)(settings.secrets))
        return settings

    async def _key_was_replaced(self) -> bool:
        """Read the connection again, and return whether it differs from the one whose key was rejected.

        Polling may go on for days, and a new key must take effect meanwhile.
        """
        rejected = self._client.settings if self._client else None
        self._close()
        self._client = await self._open()
        return self._client.settings != rejected

    def _close(self) -> None:
        """Close the client, as soon as no thread uses it."""
        client, self._client = self._client, None
        if client is not None:
            client.close()


_Key: TypeAlias = tuple[asyncio.AbstractEventLoop, str, float, str]

_connections: WeakValueDictionary[_Key, PolledConnection] = WeakValueDictionary()


def connection_of(conn_id: str, interval: float, kind: str) -> PolledConnection:
    """Return the connection that all polls of one kind and interval in this event loop go over.

    Each kind has its own, so that the one list of agents does not wait for the turns of a thousand sequences.

    :param conn_id: the connection.
    :param interval: seconds between two polls.
    :param kind: what is polled, such as ``"sequences"``.
    """
    key = asyncio.get_running_loop(), conn_id, float(interval), kind
    connection = _connections.get(key)
    if connection is None:
        connection = _connections[key] = PolledConnection(conn_id)
    return connection


class _Client:
    """A client whose calls may be abandoned: it is closed when the last of them has ended.

    A socket must not be closed while a thread reads from it: its number may be that of another socket by then.
    """

    def __init__(self, settings: ClientSettings) -> None:
        self.settings = settings
        self._client = OpenCXClient(settings, metrics.count_attempt)
        self._lock = threading.Lock()
        self._calls = 0
        self._is_closed = False

    def call(self, read: Callable[[OpenCXClient], ReadT]) -> ReadT:
        """Read something, in the thread that calls."""
        with self._lock:
            self._calls += 1
        try:
            return read(self._client)
        finally:
            self._end(calls=1)

    def close(self) -> None:
        """Close the connections, now or with the end of the last call. Does not wait for it."""
        self._is_closed = True
        self._end(calls=0)

    def _end(self, *, calls: int) -> None:
        with self._lock:
            self._calls -= calls
            if self._is_closed and not self._calls:
                self._client.close()
