"""Ways in which an API lets its client down, to be ordered for the requests to come."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Lock

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from airflow_provider_opencx.simulator.call import Call
from airflow_provider_opencx.simulator.json_values import Json, write_json

Handle = Callable[[Call], Response]
"""Handles a request as a sound service would."""


class DroppedConnection(Response):
    """No answer: the connection is closed without a byte."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Close the connection, and wait until the server has noticed, lest it answer by itself."""
        scope["state"]["transport"].abort()
        while (await receive())["type"] != "http.disconnect":
            pass


class Fault(ABC):
    """One way of failing. A new one is a class that says how it answers a request."""

    @abstractmethod
    async def answer(self, call: Call, handle: Handle) -> Response:
        """Answer a request; ``handle(call)`` does what a sound service would, and may be left out or altered."""


class LoseAnswer(Fault):
    """Do all that was asked, then drop the connection without a byte of the answer."""

    async def answer(self, call: Call, handle: Handle) -> Response:
        """Handle the request and answer nothing."""
        handle(call)
        return DroppedConnection()


class CloseBeforeHandling(Fault):
    """Drop the connection, having done nothing."""

    async def answer(self, call: Call, handle: Handle) -> Response:
        """Answer nothing."""
        return DroppedConnection()


@dataclass(frozen=True)
class Answer(Fault):
    """Answer this, having done nothing.

    A body of text or bytes is sent as it is, as HTML unless the headers say otherwise, so that an error page or
    broken JSON can be had; any other is written as JSON.
    """

    status: int
    body: str | bytes | dict[str, Json] | list[Json] = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    async def answer(self, call: Call, handle: Handle) -> Response:
        """Answer what was ordered."""
        if isinstance(self.body, str | bytes):
            return Response(self.body, self.status, self.headers, media_type="text/html")
        return Response(write_json(self.body), self.status, self.headers, media_type="application/json")


class EmptyAnswer(Fault):
    """Do all that was asked, and say so with the right status but without the body."""

    async def answer(self, call: Call, handle: Handle) -> Response:
        """Handle the request and answer the status alone; a refusal keeps its body."""
        answer = handle(call)
        return answer if answer.status_code >= 400 else Response(status_code=answer.status_code)


class IgnoreMembers(Fault):
    """Do what was asked but for some members, and answer as if all were well."""

    def __init__(self, *members: str) -> None:
        self.members = frozenset(members)

    async def answer(self, call: Call, handle: Handle) -> Response:
        """Handle the request without these members."""
        return handle(call.without_members(self.members))


@dataclass(frozen=True)
class SlowAnswer(Fault):
    """Do at once what was asked, but answer only after a while."""

    seconds: float

    async def answer(self, call: Call, handle: Handle) -> Response:
        """Handle the request, then hold the answer back."""
        answer = handle(call)
        await asyncio.sleep(self.seconds)
        return answer


class FaultPlan:
    """The faults that are ordered, each operation's in the order in which they were."""

    def __init__(self) -> None:
        self._ordered: defaultdict[str, deque[tuple[Fault, int | None]]] = defaultdict(deque)
        self._lock = Lock()

    def order(self, operation: str, fault: Fault, times: int | None) -> None:
        """Let the next so many requests for an operation fail; None means all, until healed."""
        if times is not None and times < 1:
            raise ValueError(f"A fault happens once or more often, not {times} times.")
        with self._lock:
            self._ordered[operation].append((fault, times))

    def take(self, operation: str) -> Fault | None:
        """Return the fault that the next request for an operation meets, if any."""
        with self._lock:
            waiting = self._ordered[operation]
            if not waiting:
                return None
            fault, times = waiting[0]
            if times is not None:
                waiting.popleft()
                if times > 1:
                    waiting.appendleft((fault, times - 1))
            return fault

    def heal(self) -> None:
        """Forget every fault that has not happened yet."""
        with self._lock:
            self._ordered.clear()
