"""The base classes of faults."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Protocol

from starlette.responses import Response

from airflow_provider_opencx.simulator.call import Call

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class Handle(Protocol):
    """Handles a request without any fault."""

    def __call__(self, call: Call, *, generation: str | None = None) -> Response:
        """Handle a request now.

        :param generation: the API generation of the response; None is the one that the simulator speaks
        """

    def later(self, call: Call, seconds: float) -> None:
        """Handle a request after some seconds of the simulator's clock; nobody gets the response."""


class Fault(ABC):
    """A fault. Subclasses decide how a request is responded to."""

    # For faults that are read from JSON: unknown fields are errors.
    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid"}

    def applies_to(self, call: Call) -> bool:
        """Return whether a request can meet the fault. One that cannot does not use it up."""
        return True

    @abstractmethod
    async def respond(self, call: Call, handle: Handle) -> Response:
        """Return the response to a request.

        :param call: the request
        :param handle: handles a request without a fault; need not be called
        """


class AlteringFault(Fault):
    """A fault that handles the request at once, and alters the request before or its response after."""

    def alter_request(self, call: Call) -> Call:
        """Return the request that is handled."""
        return call

    def alter_response(self, response: Response) -> Response:
        """Return the response that is sent."""
        return response

    async def respond(self, call: Call, handle: Handle) -> Response:
        """Handle the altered request, and alter the response."""
        return self.alter_response(handle(self.alter_request(call)))


@dataclass(frozen=True)
class TimedFault(Fault):
    """A fault that lasts.

    :param seconds: how long
    """

    seconds: float

    def __post_init__(self) -> None:
        if not 0 <= self.seconds < math.inf:
            raise ValueError(f"A fault lasts 0 seconds or longer, not {self.seconds}.")


def check_header(name: str, value: str) -> None:
    """Raise a ValueError for what cannot be a header."""
    if not _HEADER_NAME.fullmatch(name) or not (value.isascii() and value.isprintable()):
        raise ValueError(f"{name!r} cannot be a header, or its value cannot: plain ASCII on one line can.")
