"""Faults that replace or change the response of the service."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Literal

from starlette.responses import Response

from airflow_provider_opencx.simulator.call import Call
from airflow_provider_opencx.simulator.contract import load_contract
from airflow_provider_opencx.simulator.faults.fault import AlteringFault, Fault, Handle, check_header
from airflow_provider_opencx.simulator.json_values import Json, read_json, write_json
from airflow_provider_opencx.simulator.responses import error_response, json_response

_PROXY_PAGE = (
    "<html>\r\n<head><title>{status} Proxy</title></head>\r\n<body><h1>{status}</h1>"
    "<p>This page is from the proxy in front of the service.</p></body>\r\n</html>\r\n"
)


class SuccessFault(AlteringFault):
    """A fault that handles the request and alters the response of a success; an error response stays unchanged."""

    def alter_response(self, response: Response) -> Response:
        """Alter the response if it is not an error."""
        return response if response.status_code >= 400 else self.alter_success(response)

    @abstractmethod
    def alter_success(self, response: Response) -> Response:
        """Return what is sent instead of a successful response."""


@dataclass(frozen=True)
class MalformedResponse(SuccessFault):
    """Handle the request and respond with the right status, but with truncated JSON."""

    def alter_success(self, response: Response) -> Response:
        """Truncate the JSON."""
        malformed = bytes(response.body[: len(response.body) // 2]) or b'{"id": '
        return Response(malformed, response.status_code, media_type="application/json")


@dataclass(frozen=True)
class LargeHeaders(AlteringFault):
    """Handle the request and respond with large headers, or many, before the others.

    :param kilobytes: how large they are together
    :param count: how many there are
    """

    kilobytes: int = 64
    count: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.count <= self.kilobytes * 1024:
            raise ValueError(f"There must be at least one header, each of at least one byte, not {self}.")

    def alter_response(self, response: Response) -> Response:
        """Add the headers."""
        value = b"x" * (self.kilobytes * 1024 // self.count)
        padding = [(b"x-padding-%d" % number, value) for number in range(self.count)]
        response.raw_headers = [*padding, *response.raw_headers]
        return response


@dataclass(frozen=True)
class EmptyResponse(SuccessFault):
    """Handle the request and respond with the right status, but without a body."""

    def alter_success(self, response: Response) -> Response:
        """Drop the body."""
        return Response(status_code=response.status_code)


@dataclass(frozen=True)
class RefuseAfterHandling(SuccessFault):
    """Handle the request, then refuse it with the service's own error body.

    :param status: the status of the response
    :param message: the message in the body
    """

    status: int = 400
    message: str = "The request was refused"

    def __post_init__(self) -> None:
        _check_status(self.status, least=300)

    def alter_success(self, response: Response) -> Response:
        """Respond with the error."""
        return error_response(self.status, self.message)


@dataclass(frozen=True)
class RespondWithAnotherId(SuccessFault):
    """Handle the request; the response shows an id that no list has. A response without an id stays unchanged."""

    def alter_success(self, response: Response) -> Response:
        """Replace the id."""
        body = read_json(bytes(response.body)) if response.body else None
        if not isinstance(body, dict) or "id" not in body:
            return response
        return json_response({**body, "id": f"unlisted_{body['id']}"}, response.status_code)


class ItemFault(SuccessFault):
    """A fault that alters what a successful response shows: one item, a list of items, or a page of a list."""

    def alter_success(self, response: Response) -> Response:
        """Alter the items."""
        if not response.body:
            return response
        return json_response(self._altered(read_json(bytes(response.body))), response.status_code)

    @abstractmethod
    def alter_items(self, items: Sequence[Json]) -> list[Json]:
        """Return the items that the response shows, given those that it would show."""

    def _altered(self, body: Json) -> Json:
        if isinstance(body, list):
            return self.alter_items(body)
        if isinstance(body, dict) and isinstance(items := body.get("items"), list):
            return {**body, "items": self.alter_items(items)}
        return self.alter_items([body])[0]


@dataclass(frozen=True)
class AlterItems(ItemFault):
    """Handle the request; the response shows something else instead of an item, or of every item.

    Of a create or update, the agent in the response is the first item. Nothing is validated, so that it can be what the
    API never sends: ``AlterItems({"name": 5})``, ``AlterItems(None)``, ``AlterItems(without=["id"])``.

    :param fields: an object is merged into the item; any other value takes its place
    :param which: ``first``, ``all``, or the index in the list or page; a negative index counts from its end
    :param without: the names of fields that the item does not have
    """

    fields: Json = field(default_factory=dict)
    which: Literal["first", "all"] | int = "first"
    without: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.which, int) and self.which not in ("first", "all"):
            raise ValueError(f"The altered items are the first, all, or that of an index, not {self.which!r}.")

    def alter_items(self, items: Sequence[Json]) -> list[Json]:
        """Alter the chosen items."""
        which = 0 if self.which == "first" else self.which
        return [
            self._altered_item(item) if which in ("all", index, index - len(items)) else item
            for index, item in enumerate(items)
        ]

    def _altered_item(self, item: Json) -> Json:
        if not (isinstance(self.fields, dict) and isinstance(item, dict)):
            return self.fields
        return {name: value for name, value in (item | self.fields).items() if name not in self.without}


@dataclass(frozen=True)
class PlaceholderNumber(ItemFault):
    """Handle the request; in the response a text replaces each missing phone number.

    :param text: the text
    """

    text: str = "pending"

    def alter_items(self, items: Sequence[Json]) -> list[Json]:
        """Fill in the text."""
        return [self._filled(item) for item in items]

    def _filled(self, item: Json) -> Json:
        if not isinstance(item, dict) or item.get("phone_number", "") is not None:
            return item
        return {**item, "phone_number": self.text}


@dataclass(frozen=True)
class ErrorResponse(Fault):
    """Respond with the service's own error body, without handling the request.

    :param status: the status of the response, from 300 to 599
    :param message: the message in the body
    """

    status: int
    message: str = "The request was refused"

    def __post_init__(self) -> None:
        _check_status(self.status, least=300)

    async def respond(self, call: Call, handle: Handle) -> Response:
        """Respond with the error."""
        return error_response(self.status, self.message)


@dataclass(frozen=True)
class ProxyPage(Fault):
    """Respond with the HTML page of a proxy.

    :param status: the status of the response
    :param handled: whether the request is handled before
    """

    status: int = 502
    handled: bool = False

    def __post_init__(self) -> None:
        _check_status(self.status)

    async def respond(self, call: Call, handle: Handle) -> Response:
        """Respond with the page."""
        if self.handled:
            handle(call)
        return Response(_PROXY_PAGE.format(status=self.status), self.status, media_type="text/html")


@dataclass(frozen=True)
class Respond(Fault):
    """Respond with a given response, without handling the request.

    :param status: the status of the response
    :param body: text or bytes are sent unchanged, as HTML unless ``headers`` has a Content-Type; any other value is
        written as JSON
    :param headers: the headers of the response
    """

    status: int
    body: Json | bytes = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_status(self.status)
        for name, value in self.headers.items():
            check_header(name, value)

    async def respond(self, call: Call, handle: Handle) -> Response:
        """Respond with the given response."""
        if isinstance(self.body, str | bytes):
            return Response(self.body, self.status, self.headers, media_type="text/html")
        return Response(write_json(self.body), self.status, self.headers, media_type="application/json")


@dataclass(frozen=True)
class TooManyRequests(Fault):
    """Respond with 429, without handling the request.

    :param retry_after: the header Retry-After: seconds, or a text that is sent unchanged; None sends no such header
    :param as_date: send the seconds as an HTTP date
    """

    retry_after: int | float | str | None = None
    as_date: bool = False

    def __post_init__(self) -> None:
        check_header("Retry-After", str(self.retry_after))
        if self.as_date and not isinstance(self.retry_after, int | float):
            raise ValueError(f"as_date needs the seconds until then, not {self.retry_after!r}.")

    async def respond(self, call: Call, handle: Handle) -> Response:
        """Respond with 429."""
        body: dict[str, Json] = {"statusCode": 429, "message": "Too many requests", "error": "Too Many Requests"}
        return Response(write_json(body), 429, self._headers(), media_type="application/json")

    def _headers(self) -> dict[str, str]:
        if self.retry_after is None:
            return {}
        if self.as_date and not isinstance(self.retry_after, str):
            return {"Retry-After": formatdate(time.time() + self.retry_after, usegmt=True)}
        whole = isinstance(self.retry_after, float) and self.retry_after.is_integer()
        return {"Retry-After": str(int(self.retry_after)) if whole else str(self.retry_after)}


@dataclass(frozen=True)
class RespondInGeneration(Fault):
    """Handle the request, but respond as another generation of the API does.

    The request's body is validated by the generation that the simulator speaks. The query, the status and the body of
    the response are those of the other generation; without such an operation there, the response is a 404.

    :param generation: ``2024``, ``2025`` or ``2026``
    """

    generation: str

    def __post_init__(self) -> None:
        load_contract(self.generation)

    async def respond(self, call: Call, handle: Handle) -> Response:
        """Handle the request and respond in the other generation."""
        return handle(call, generation=self.generation)


def _check_status(status: int, least: int = 200) -> None:
    if not least <= status <= 599:
        raise ValueError(f"A status is from {least} to 599, not {status}.")
