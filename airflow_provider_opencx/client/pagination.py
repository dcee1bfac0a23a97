"""Reads lists: a plain array, or pages with a cursor, followed to their end within limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from pydantic import JsonValue

from airflow_provider_opencx.client.errors import checked
from airflow_provider_opencx.client.operation import Request, Response
from airflow_provider_opencx.exceptions import OpenCXResponseError

if TYPE_CHECKING:
    from airflow_provider_opencx.client.client import OpenCXClient

MAX_PAGES = 1000
"""Pages after which a list is taken for one that does not end."""

MAX_LIST_BYTES = 128 * 1024 * 1024
"""Bytes of all pages together after which a list is taken for one that does not end."""

_LONGEST_CURSOR = 2000

_Item = TypeVar("_Item")


def list_items(client: OpenCXClient, request: Request, read: Callable[[JsonValue], _Item]) -> list[_Item]:
    """Return all items of a list, followed through every page where the service sends pages.

    :param client: sends the requests.
    :param request: the request for the first page.
    :param read: parses each item; raises ``OpenCXResponseError`` for what is not one.
    :raises OpenCXResponseError: if a page cannot be read, or the list does not end.
    """
    items: list[_Item] = []
    seen: set[str] = set()
    received = 0
    for _ in range(MAX_PAGES):
        response = client.send(request)
        with response.named():
            received += len(response.body)
            if received > MAX_LIST_BYTES:
                raise OpenCXResponseError(f"the service's list does not end: over {MAX_LIST_BYTES >> 20} MiB.")
            page, cursor = _page(response)
            items += map(read, page)
            if cursor is None:
                return items
            if cursor in seen:
                raise OpenCXResponseError("the service's list does not end: it repeats a cursor.")
        seen.add(cursor)
        request = replace(request, query={**request.query, "cursor": cursor})
    raise OpenCXResponseError(f"{request}: the service's list does not end: over {MAX_PAGES} pages.")


def first_page(client: OpenCXClient, request: Request, read: Callable[[JsonValue], _Item]) -> list[_Item]:
    """Return the items of the first page of a list, asked for once: a refusal is raised as it is, and not read again.

    :raises OpenCXAPIError: if the status is not a 2xx.
    :raises OpenCXResponseError: if the page cannot be read.
    """
    response = checked(request, client.send_unchecked(request))
    with response.named():
        return [*map(read, _page(response)[0])]


def _page(response: Response) -> tuple[list[JsonValue], str | None]:
    """Return the items of a page and the cursor of the next one, ``None`` if it is the last."""
    decoded = response.decoded()
    if isinstance(decoded, list):
        return decoded, None
    if isinstance(decoded, dict) and isinstance(items := decoded.get("items"), list):
        return items, _cursor(decoded.get("next"))
    raise OpenCXResponseError("the service's response is neither a list nor a page of one.")


def _cursor(value: JsonValue) -> str | None:
    if not value:
        return None
    cursor = str(value) if isinstance(value, str | int) else ""
    if not 0 < len(cursor) <= _LONGEST_CURSOR:
        raise OpenCXResponseError("the service's list cannot be followed: its cursor cannot be read.")
    return cursor
