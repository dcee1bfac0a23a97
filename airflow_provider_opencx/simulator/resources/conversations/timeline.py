"""Keeps items ordered by time, so that a page is found without reading all items."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Sequence
from typing import TypeAlias, TypeVar

Item = TypeVar("Item")
Entry: TypeAlias = tuple[int, int, Item]
"""A time, a number that no other entry has, and the item. Two entries are compared only by time and number."""


def added(entries: list[Entry[Item]], entry: Entry[Item]) -> None:
    """Add an entry where it belongs."""
    insort(entries, entry, key=_place)


def added_many(entries: list[Entry[Item]], more: Iterable[Entry[Item]]) -> None:
    """Add many entries where they belong."""
    entries.extend(more)
    entries.sort(key=_place)


def removed(entries: list[Entry[Item]], time: int, number: int) -> None:
    """Remove the entry of a time and a number."""
    del entries[_first(entries, time, number)]


def span(entries: Sequence[Entry[Item]], earliest: int, latest: int) -> tuple[int, int]:
    """Return where the entries of some times begin and end.

    :param earliest: the first of the times
    :param latest: the last of the times
    """
    low = _first(entries, earliest, 0)
    return low, max(low, _first(entries, latest + 1, 0))


def up_to(entries: Sequence[Entry[Item]], time: int, number: int) -> int:
    """Return how many entries there are up to a time and a number, including the one of these."""
    return bisect_right(entries, (time, number), key=_place)


def before(entries: Sequence[Entry[Item]], time: int, number: int) -> int:
    """Return how many entries there are before a time and a number."""
    return _first(entries, time, number)


def _first(entries: Sequence[Entry[Item]], time: int, number: int) -> int:
    return bisect_left(entries, (time, number), key=_place)


def _place(entry: Entry[Item]) -> tuple[int, int]:
    return entry[:2]
