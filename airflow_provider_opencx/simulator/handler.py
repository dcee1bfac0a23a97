"""The interface of resources: the input, the result and the errors of their handlers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from airflow_provider_opencx.simulator.contract import Contract, Operation
from airflow_provider_opencx.simulator.json_values import Json, JsonObject
from airflow_provider_opencx.simulator.list_view import ListView
from airflow_provider_opencx.simulator.service import Service


@dataclass(frozen=True)
class AcceptedRequest:
    """A request that is authenticated, within the rate limit and valid.

    :param service: the simulated service
    :param organization: the id of the organization whose key was sent
    :param contract: the contract of the generation in which the response is written
    :param operation: the operation in that generation
    :param body: the body; empty if the operation has none
    :param views: how a list is shown, one after the other; none is the list as it is
    """

    service: Service
    organization: str
    contract: Contract
    operation: Operation
    query: Mapping[str, str]
    path_parameters: Mapping[str, str]
    body: JsonObject
    views: Sequence[ListView] = ()


@dataclass(frozen=True)
class ValidatedJson:
    """A response that its handler has validated: lists can be too long to validate them for each request."""

    text: str


Handler: TypeAlias = Callable[[AcceptedRequest], Json | ValidatedJson]
"""Handles the requests of one operation, and returns the body of a successful response.

The body is validated against the OpenAPI document, and not sent if the document describes an empty one.
"""

Handlers: TypeAlias = Mapping[str, Handler]
"""Handlers by ``operationId``."""

# The service is a Simulator. A handler takes the base class that has the methods that it calls.
_ControlledService = TypeVar("_ControlledService", bound=Service)

AdminHandler: TypeAlias = Callable[[_ControlledService, Request], Awaitable[Response]]
"""Handles a request below ``/_simulator/``. An error is an HTTPException."""

AdminRoutes: TypeAlias = Sequence[tuple[str, str, AdminHandler[_ControlledService]]]
"""Methods, paths below ``/_simulator/``, and their handlers."""


class HTTPError(Exception):
    """A handler raises it to respond with an error.

    :param status: one of those that the OpenAPI document has for the operation
    :param message: the message in the body
    :param code: the code of the framework; None if the error is not the framework's
    """

    def __init__(
        self, status: int, message: str, headers: Mapping[str, str] | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers
        self.code = code
