"""Reads lists within limits: a plain array, or pages with a cursor or an offset.

An item that cannot be read does not hold up the others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, Self, TypeVar

from pydantic import JsonValue

from airflow_provider_opencx.client import decoding
from airflow_provider_opencx.client.errors import checked
from airflow_provider_opencx.client.http_date import http_date
from airflow_provider_opencx.client.operation import Request, Response
from airflow_provider_opencx.exceptions import OpenCXResponseError

if TYPE_CHECKING:
    from airflow_provider_opencx.client.client import OpenCXClient

MAX_PAGES = 1000
"""Pages after which a list is taken for one that does not end."""

MAX_STREAMED_PAGES = 1_000_000
"""Pages after which a list that is not kept in memory is taken for one that does not end: a week at 100 a minute."""

MAX_EMPTY_PAGES = 10
"""Pages in a row without an item after which a list is taken for one that does not end."""

MAX_LIST_BYTES = 128 * 1024 * 1024
"""Bytes of all pages together after which a list is taken for one that does not end."""

MAX_LIST_SECONDS = 900.0
"""Seconds after which a list that still has pages is taken for one that does not end."""

MOST_NAMED = 10
"""Items that cannot be read, of which a list says what is wrong with them."""

_LONGEST_CURSOR = 2000

_Item = TypeVar("_Item")


class Listed(list[_Item]):
    """The items of a list, or of a page of it, that can be read.

    :param read: parses an item; raises ``OpenCXResponseError`` for what is not one.
    :param before: how many items of the list were read before, for messages. Default 0.
    """

    def __init__(self, read: Callable[[JsonValue], _Item], before: int = 0) -> None:
        super().__init__()
        self._read = read
        self._number = before
        self.unreadable = 0
        """How many items could not be read."""
        self.problems: list[str] = []
        """The problems of the first :data:`MOST_NAMED` of them."""
        self.date: datetime | None = None
        """When the service sent a page, by its own clock; ``None`` where it did not say."""

    def checked(self) -> Self:
        """Return the list; raises ``OpenCXResponseError`` if there are items, and none of them can be read."""
        if self.unreadable and not self:
            raise OpenCXResponseError(f"nothing in the service's list can be read: {self.problems[0]}.")
        return self

    def read(self, page: list[JsonValue]) -> None:
        """Add the items of a page."""
        for item in page:
            self._number += 1
            try:
                self.append(self._read(item))
            except OpenCXResponseError as error:
                self.unreadable += 1
                if len(self.problems) < MOST_NAMED:
                    self.problems.append(f"item {self._number} of the list: {str(error).removesuffix('.')}")


class _Page(NamedTuple):
    """A page of a list.

    :param items: its items, as decoded.
    :param response: the response it came in.
    :param is_last: whether the list ends with it.
    """

    items: list[JsonValue]
    response: Response
    is_last: bool


def list_items(client: OpenCXClient, request: Request, read: Callable[[JsonValue], _Item]) -> Listed[_Item]:
    """Return all items of a list, followed through every page where the service sends pages.

    :param client: sends the requests.
    :param request: the request for the first page.
    :param read: parses each item; raises ``OpenCXResponseError`` for what is not one.
    :raises OpenCXResponseError: if a page cannot be read, or the list is too large, or does not end.
    """
    items = Listed(read)
    received = values = 0
    started = time.monotonic()
    for page in _pages(client, request, MAX_PAGES):
        with page.response.named():
            received += len(page.response.body)
            if received > MAX_LIST_BYTES:
                raise OpenCXResponseError(
                    f"the service's list is too large, or does not end: over {MAX_LIST_BYTES >> 20} MiB."
                )
            items.read(page.items)
            if page.is_last:
                return items.checked()
            values += decoding.number_of_values(page.response.body)
            if values > decoding.MAX_VALUES:
                raise OpenCXResponseError(
                    f"the service's list is too large, or does not end: over {decoding.MAX_VALUES:,} values."
                )
            if time.monotonic() - started > MAX_LIST_SECONDS:
                raise OpenCXResponseError(f"the service's list does not end: over {MAX_LIST_SECONDS:.0f} s.")
    return items.checked()


def iterate_pages(
    client: OpenCXClient, request: Request, read: Callable[[JsonValue], _Item]
) -> Generator[Listed[_Item]]:
    """Yield the items of a list page by page, so that no more than a page is in memory, however long the list is.

    What is too long for :func:`list_items` is read here. The end is as sure as it is there: a cursor that repeats, and
    pages without an item, end the list with an error. The caller judges pages that are new and say nothing new.

    :param client: sends the requests; the one for the next page when the caller asks for it.
    :param request: the request for the first page.
    :param read: parses each item; raises ``OpenCXResponseError`` for what is not one.
    :raises OpenCXResponseError: if a page cannot be read, or the list does not end.
    """
    number = 0
    can_be_read = False
    for page in _pages(client, request, MAX_STREAMED_PAGES):
        items = Listed(read, number)
        items.date = http_date(page.response.headers.get("date"))
        with page.response.named():
            items.read(page.items)
            number += len(page.items)
            if not can_be_read:
                can_be_read = bool(items.checked())
        yield items


def _pages(client: OpenCXClient, request: Request, most_pages: int) -> Generator[_Page]:
    """Yield the pages of a list, followed to its end.

    :param most_pages: pages after which the list is taken for one that does not end.
    """
    seen: set[str] = set()
    empty = 0
    for _ in range(most_pages):
        response = client.send(request)
        with response.named():
            items, following = _page(response, request)
        yield _Page(items, response, following is None)
        if following is None:
            return
        with response.named():
            empty = 0 if items else empty + 1
            if empty == MAX_EMPTY_PAGES:
                raise OpenCXResponseError(f"the service's list does not end: {empty} pages in a row are empty.")
            place = "&".join(following.values())
            if place in seen:
                raise OpenCXResponseError("the service's list does not end: it repeats a cursor.")
        seen.add(place)
        request = replace(request, query={**request.query, **following})
    raise OpenCXResponseError(f"{request}: the service's list is too large, or does not end: over {most_pages} pages.")


def first_page(client: OpenCXClient, request: Request) -> list[JsonValue]:
    """Return the items of the first page of a list, asked for once: a refusal is raised unchanged, and not read again.

    :raises OpenCXAPIError: if the status is not a 2xx.
    :raises OpenCXResponseError: if the page cannot be read.
    """
    response = checked(request, client.send_unchecked(request))
    with response.named():
        return _page(response, request)[0]


def _page(response: Response, request: Request) -> tuple[list[JsonValue], Mapping[str, str] | None]:
    """Return the items of a page, and what the query for the next one says; ``None`` if it is the last."""
    decoded = response.decoded()
    if isinstance(decoded, list):
        return decoded, None
    if isinstance(decoded, dict) and isinstance(items := decoded.get("items"), list):
        if decoded.get("has_more") is True:
            return items, _offset_after(items, request)
        cursor = _cursor(decoded.get("next"))
        return items, None if cursor is None else {"cursor": cursor}
    raise OpenCXResponseError("the service's response is neither a list nor a page of one.")


def _offset_after(items: list[JsonValue], request: Request) -> Mapping[str, str]:
    """Return the query for the page after one with these items, of a list that is read by offsets."""
    if not items:
        raise OpenCXResponseError("the service's list does not end: an empty page says that there is more.")
    return {"offset": str(int(request.query.get("offset", "0")) + len(items))}


def _cursor(value: JsonValue) -> str | None:
    if not value:
        return None
    cursor = str(value) if isinstance(value, str | int) else ""
    if not 0 < len(cursor) <= _LONGEST_CURSOR:
        raise OpenCXResponseError("the service's list cannot be followed: its cursor cannot be read.")
    return cursor
