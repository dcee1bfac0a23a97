"""Reads a list as the service sent it, without assuming that its form and items are correct."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from pydantic import JsonValue

from airflow_provider_opencx.client.operation import Response

_LONGEST_CURSOR = 2000


class Form(StrEnum):
    """The form of a list."""

    ARRAY = "an array"
    PAGES = "pages of items and next"
    OTHER = "an object with other names"
    NONE = "no list"


@dataclass(frozen=True)
class ListPage:
    """One response to the request for a list.

    :param form: how it is written.
    :param items: its items; in an object with other names, those of its only list.
    :param cursor: the cursor of the next page, ``None`` if there is none, or none that can be followed.
    :param names: the names in the object that it is, empty for an array.
    """

    form: Form
    items: Sequence[JsonValue]
    cursor: str | None = None
    names: Sequence[str] = ()


def read_page(response: Response) -> ListPage:
    """Return what a successful response lists.

    :raises OpenCXResponseError: if its body is not JSON, or holds too much.
    """
    decoded = response.decoded()
    if isinstance(decoded, list):
        return ListPage(Form.ARRAY, decoded)
    if not isinstance(decoded, dict):
        return ListPage(Form.NONE, [])
    names = [*decoded]
    if isinstance(items := decoded.get("items"), list):
        return ListPage(Form.PAGES, items, _cursor(decoded.get("next")), names)
    lists = [value for value in decoded.values() if isinstance(value, list)]
    return ListPage(Form.OTHER, lists[0], None, names) if len(lists) == 1 else ListPage(Form.NONE, [], None, names)


def _cursor(value: JsonValue) -> str | None:
    is_cursor = isinstance(value, str | int) and not isinstance(value, bool)
    return str(value) if is_cursor and 0 < len(str(value)) <= _LONGEST_CURSOR else None
