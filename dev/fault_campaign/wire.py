"""Carries the requests between the workers and the service, and injects faults into many of them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import NamedTuple, Protocol
from unittest.mock import patch

import httpx

from airflow_provider_opencx.client.operation import Operation
from airflow_provider_opencx.resources import all_operations
from airflow_provider_opencx.simulator import Fault, Simulator
from fault_campaign.stage import Stage

OPERATIONS = sorted(all_operations(), key=lambda operation: "{" in operation.path)
"""A path that is written out goes before one with parameters, as OpenAPI has it."""

MOST_REQUESTS = 3000
"""A run of more requests than this is taken for one that does not end."""


CAUSES_TIMEOUTS = {"SlowBody", "SlowResponse"}
"""The faults for which a request runs out of time."""


class MachineStalledError(BaseException):
    """A request timed out, and no fault was the reason: chance had a part in this run that its seed does not have.

    No ``except Exception`` of the code under test holds it up.
    """


class Killed(BaseException):
    """The worker's process ended here, as by SIGKILL. No ``except Exception`` of the code under test survives it."""


@dataclass
class Sent:
    """One request as it left a worker, and what came back.

    :param operation: the operation that it is a request for.
    :param is_first_page: whether it is not for a later page of a list.
    :param fault: the name of the fault that it met, ``None`` if it met none.
    :param status: the status of the response, ``None`` if there was none.
    """

    operation: Operation
    is_first_page: bool
    fault: str | None = None
    status: int | None = None

    @property
    def is_sound(self) -> bool:
        """Whether a sound service responded, and did what was asked."""
        return self.fault is None and self.status is not None and self.status < 300


class NamedFault(NamedTuple):
    """What the service does to one request.

    :param name: what it is counted as.
    :param fault: the fault that is injected.
    """

    name: str
    fault: Fault


class Faults(Protocol):
    """Draws the faults that requests meet."""

    def fault(self, sent: Sent, before: Sequence[Sent]) -> NamedFault | None:
        """Return what the service does to this request; ``before`` is what its worker has sent in this try."""

    def outage(self) -> float | None:
        """Return for how many seconds nobody listens from now on."""

    def kills(self, operation: Operation) -> bool:
        """Return whether the worker's process ends here."""


class Wire:
    """Stands below the client's retries, where a request becomes bytes.

    :param simulator: the service.
    :param stage: whose turn it is; a worker's ends before each request and after each response.
    :param faults: draws the faults.
    :param observe: called before and after each exchange, with nobody else acting between.
    :param leaving: called with each request when it leaves the client, before anybody else acts.
    :param takes: returns after how many seconds a worker has a response.
    """

    def __init__(
        self,
        simulator: Simulator,
        stage: Stage,
        faults: Faults,
        observe: Callable[[], None],
        *,
        leaving: Callable[[httpx.Request], None] = lambda request: None,
        takes: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._simulator = simulator
        self._stage = stage
        self._faults = faults
        self._observe = observe
        self._leaving = leaving
        self._takes = takes
        # A worker that polls in a thread of its own is the same worker.
        self._sent: ContextVar[list[Sent]] = ContextVar("sent")
        self._requests = 0
        self._down_until: float | None = None

    @contextmanager
    def tapped(self) -> Generator[None]:
        """Let every request of this process pass here."""
        send = httpx.HTTPTransport.handle_request

        def tapped_send(transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
            with self._exchange(request) as sent:
                response = send(transport, request)
                sent.status = response.status_code
            return response

        with patch.object(httpx.HTTPTransport, "handle_request", tapped_send):
            try:
                yield
            finally:
                self.calm()

    @contextmanager
    def recorded(self) -> Generator[list[Sent]]:
        """Collect what this worker sends from now on."""
        sent: list[Sent] = []
        self._sent.set(sent)
        yield sent

    def calm(self) -> None:
        """Let no request meet a fault from now on."""
        self._faults = NoFaults()
        self._simulator.heal()
        if self._down_until is not None:
            self._down_until = self._stage.now
            self._end_outage()

    @contextmanager
    def _exchange(self, request: httpx.Request) -> Generator[Sent]:
        self._requests += 1
        if self._requests > MOST_REQUESTS:
            raise AssertionError(f"The run sends more than {MOST_REQUESTS} requests.")
        self._leaving(request)
        self._stage.sleep(0)
        self._end_outage()
        operation = operation_of(request)
        if self._faults.kills(operation):
            raise Killed
        before = self._sent.get()
        sent = Sent(operation, not {"cursor", "offset"} & {*request.url.params})
        self._inject(sent, before)
        before.append(sent)
        self._observe()
        try:
            yield sent
        except httpx.TimeoutException as error:
            if sent.fault in CAUSES_TIMEOUTS:
                raise
            raise MachineStalledError(f"{operation.id} timed out, with fault {sent.fault}") from error
        finally:
            self._simulator.heal()
            self._observe()
            # Also where there is no response: a process may end before it has heard that its connection broke.
            if self._faults.kills(operation):
                raise Killed
        self._stage.sleep(self._takes())

    def _inject(self, sent: Sent, before: Sequence[Sent]) -> None:
        if self._down_until is None and (seconds := self._faults.outage()):
            self._simulator.stop()
            self._down_until = self._stage.now + seconds
        if self._down_until is not None:
            sent.fault = "RefuseConnections"
        elif drawn := self._faults.fault(sent, before):
            self._simulator.fail(sent.operation.id, drawn.fault)
            sent.fault = drawn.name

    def _end_outage(self) -> None:
        if self._down_until is not None and self._stage.now >= self._down_until:
            self._down_until = None
            self._simulator.start()


def operation_of(request: httpx.Request) -> Operation:
    """Return the operation that a request is one for."""
    path = request.url.raw_path.decode().partition("?")[0]
    return next(operation for operation in OPERATIONS if operation.matches(request.method, path))


class NoFaults:
    """Draws no fault."""

    def fault(self, sent: Sent, before: Sequence[Sent]) -> NamedFault | None:
        """Return no fault."""
        return None

    def outage(self) -> float | None:
        """Return no outage."""
        return None

    def kills(self, operation: Operation) -> bool:
        """Let the process live."""
        return False
