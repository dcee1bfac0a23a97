"""A flow: what is to be sent, written once for the blocking and the async client.

A flow is a generator. It yields what is to be done, a :class:`.operation.Request` to send or a :class:`Pause` to make,
and receives the :class:`.operation.Response`. The clients only send. Flows are built from flows with ``yield from``.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from airflow_provider_opencx.client.errors import error_of
from airflow_provider_opencx.client.operation import Request, Response


@dataclass(frozen=True)
class Pause:
    """A wait between two requests.

    :param seconds: how long.
    """

    seconds: float


_Result = TypeVar("_Result")
Flow: TypeAlias = Generator[Request | Pause, Response | None, _Result]
"""A flow that returns a ``_Result``; it receives a :class:`Response` for a request, ``None`` for a pause."""


def send(request: Request) -> Flow[Response]:
    """Send a request and return its response.

    :raises OpenCXAPIError: if the status is not a 2xx.
    """
    response = yield from send_unchecked(request)
    if not response.is_success:
        raise error_of(request, response)
    return response


def send_unchecked(request: Request) -> Flow[Response]:
    """Send a request and return its response, whatever its status."""
    response = yield request
    if response is None:
        raise TypeError(f"{request} was resumed without its response")
    return response
