"""The simulator as a server on this machine."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from airflow_provider_opencx.simulator.admin import create_admin
from airflow_provider_opencx.simulator.app import create_app
from airflow_provider_opencx.simulator.request_lines import with_request_lines
from airflow_provider_opencx.simulator.resources import load_handlers
from airflow_provider_opencx.simulator.resources.actions import ActionControls
from airflow_provider_opencx.simulator.resources.calls import CallControls
from airflow_provider_opencx.simulator.resources.contacts.controls import ContactControls
from airflow_provider_opencx.simulator.resources.conversations.controls import ConversationControls
from airflow_provider_opencx.simulator.resources.phone_agents.controls import PhoneAgentControls
from airflow_provider_opencx.simulator.resources.sequences.controls import SequenceControls
from airflow_provider_opencx.simulator.resources.training.controls import TrainingControls
from airflow_provider_opencx.simulator.resources.voices import VoiceControls
from airflow_provider_opencx.simulator.service import Settings

_SECONDS_TO_START = 15
_SECONDS_TO_STOP = 5


class Simulator(
    SequenceControls,
    ConversationControls,
    ContactControls,
    CallControls,
    ActionControls,
    TrainingControls,
    VoiceControls,
    PhoneAgentControls,
):
    """A stand-in OpenCX that listens on a port while its ``with`` block runs.

    It can also be started and stopped by hand, more than once: it comes back on the same port, with the agents that it
    had.

    :param api_keys: the accepted keys, each for a separate organization
    :param provision_after: when a new agent gets its phone number: ``now``, ``5s``, ``500ms``, ``2m``,
        ``3reads`` (three reads of the list do not show it, the fourth does) or ``never``; and what happens to it later:
        ``now, lost after 10s``, ``5s, changed after 3reads``, ``never, gone after 1m`` (the agent itself)
    :param generation: the generation of the API: ``2024``, ``2025`` or ``2026``
    :param page_size: how many items a page of a list has, in the generations with pages
    :param requests_per_minute: the rate limit of each organization, past which it gets 429; None means no limit
    :param clock: returns seconds; a test passes its own so as not to wait
    :param scopes: the scopes of a key, such as ``{"test-key": ["phone:read"]}``: an operation that needs another one
        responds 403. A key that is not in it has all.
    :param host: the address to listen on
    :param port: the port to listen on; 0 is any free port
    :param remote_admin: whether other machines may control it under ``/_simulator/``; this machine always may
    :param on_request: gets a line for each request, such as ``GET /phone?limit=100 200 3 ms``; in the server's thread
    """

    def __init__(
        self,
        api_keys: Sequence[str] = ("test-key",),
        *,
        provision_after: str = "now",
        generation: str = "2026",
        page_size: int = 100,
        requests_per_minute: int | None = 100,
        clock: Callable[[], float] = time.monotonic,
        scopes: Mapping[str, Collection[str]] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        remote_admin: bool = False,
        on_request: Callable[[str], None] | None = None,
    ) -> None:
        settings = Settings(generation, page_size, requests_per_minute, clock, dict(scopes or {}))
        super().__init__(api_keys, settings, provision_after=provision_after)
        self._handlers = load_handlers()
        self._host = host
        self._port = port
        self._remote_admin = remote_admin
        self._api_keys = tuple(api_keys)
        self._on_request = on_request
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def __repr__(self) -> str:
        where = self.url if self._server else "stopped"
        return f"<Simulator, generation {self.generation}, {where}>"

    @property
    def url(self) -> str:
        """The base URL of the API."""
        if not self._port:
            raise RuntimeError("The simulator has no address before it is started.")
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    def start(self) -> None:
        """Start listening, and return when requests are accepted. Raises an OSError if the port is taken."""
        if self._server:
            raise RuntimeError("The simulator runs already.")
        listener = _bound_socket(self._host, self._port)
        listener.listen()
        self._port = listener.getsockname()[1]
        config = uvicorn.Config(
            self._application(),
            http=_ReachableConnection,
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            # Stopping at once aborts requests, which uvicorn would log as errors. The simulator logs its own errors.
            log_level="critical",
            access_log=False,
            # The admin trusts the address of the connection, not a header.
            proxy_headers=False,
            date_header=False,  # responses have that of the simulator's clock
            timeout_keep_alive=75,
        )
        self._server = _Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listener]}, name="opencx-simulator", daemon=True
        )
        self._thread.start()
        if not self._server.accepting.wait(_SECONDS_TO_START):
            raise RuntimeError(f"The simulator did not start within {_SECONDS_TO_START} seconds.")

    def stop(self) -> None:
        """Stop at once and drop the requests in progress."""
        if self._server is None or self._thread is None:
            return
        self._server.stop()
        self._thread.join(_SECONDS_TO_STOP)
        self._server = self._thread = None

    def heal(self) -> None:
        """Remove all planned faults. A port that ``RefuseConnections`` closed is open when this returns."""
        super().heal()
        self._accept_again()

    def reset(self) -> None:
        """Start over with the original settings: without agents, faults, late requests and journal.

        The rate limit counts from 0 and the clock is not advanced any more. Only ``bugs`` stay. The port is the same,
        and is opened if it is closed.
        """
        super().reset()
        self._accept_again()

    def _application(self) -> ASGIApp:
        app = create_app(self, self._handlers, create_admin(self, self._host, self._remote_admin))
        return with_request_lines(app, self._api_keys, self._on_request) if self._on_request else app

    def _accept_again(self) -> None:
        if self._server is None or self._server.accepting.is_set():
            return
        self._server.accept_again()
        # A fault runs in the server's thread, so waiting here would wait for itself.
        if threading.current_thread() is not self._thread:
            self._server.accepting.wait(_SECONDS_TO_START)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        if self.bugs and error is None:
            raise AssertionError(f"The simulator has bugs: {'; '.join(self.bugs)}")


class _ReachableConnection(H11Protocol):
    """uvicorn's HTTP protocol; it hands the connection to the application, and since when it is idle if it was used."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in H11Protocol
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport, "flow": self.flow}

    def on_response_complete(self) -> None:
        self.app_state = {**self.app_state, "idle_since": time.monotonic()}
        super().on_response_complete()


class _Server(uvicorn.Server):
    """A uvicorn server that signals when it accepts connections, can close its port for a while, and stops at once."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.accepting = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()
        self._closed_port: socket.socket | None = None
        self._opening: asyncio.TimerHandle | asyncio.Task[None] | None = None

    def stop(self) -> None:
        """Stop the server; called from another thread."""
        self.should_exit = True
        if self._loop:
            self._loop.call_soon_threadsafe(self._stopping.set)

    def refuse_connections(self, seconds: float) -> None:
        """Close the port and every connection, and open the port again after some seconds or by ``accept_again()``."""
        if self._closed_port is None:
            self.accepting.clear()
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            self._close()
            # Bound, so that no other process takes the port, but not listening, so that connections are refused.
            self._closed_port = _bound_socket(host, port)
        if self._opening:
            self._opening.cancel()
        self._opening = asyncio.get_running_loop().call_later(seconds, self._open_port)

    def accept_again(self) -> None:
        """Open the port early; called from another thread."""
        if self._loop:
            self._loop.call_soon_threadsafe(self._open_port)

    def _open_port(self) -> None:
        if self._closed_port is None:
            return
        listener, self._closed_port = self._closed_port, None
        if self._opening:
            self._opening.cancel()
        self._opening = asyncio.get_running_loop().create_task(self.startup([listener]))

    def _close(self) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self.lifespan.state["server"] = self
        await super().startup(sockets)
        self.accepting.set()

    async def main_loop(self) -> None:
        # uvicorn's own loop notices only every 0.1 s that it should stop, which would delay every test.
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), timeout=1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._close()
        if self._closed_port:
            self._closed_port.close()


def _bound_socket(host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        if os.name == "posix":
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if bound.family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        # Inherited by connections. Without it a response's body waits for the client to acknowledge its headers.
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        bound.bind((host, port))
    except BaseException:
        bound.close()
        raise
    return bound
