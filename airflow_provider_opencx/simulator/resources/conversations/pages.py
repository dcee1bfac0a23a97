"""Orders, filters and pages the list of conversations, which the documentation does not describe."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal, TypeAlias

from airflow_provider_opencx.simulator.list_view import ListView
from airflow_provider_opencx.simulator.resources.conversations.conversation import Conversation
from airflow_provider_opencx.simulator.resources.conversations.moments import Precision, moment
from airflow_provider_opencx.simulator.resources.conversations.timeline import Entry, Item, before, span, up_to

Order: TypeAlias = Literal["created", "updated"]
Paging: TypeAlias = Literal["cursor", "offset"]
Bounds: TypeAlias = Literal["inclusive", "exclusive"]

_ALWAYS = (0, 10**18)
_NEVER = (1, 0)


@dataclass(frozen=True)
class ListSettings:
    """How the service lists conversations.

    :param order: the time by which the list is ordered; of two with the same time, the one added first is older
    :param newest_first: whether the newest is the first one
    :param paging: ``cursor``: a page begins after the last item of the page before it, wherever that is now;
        ``offset``: it begins at a position, so that pages move while conversations are added and changed
    :param bounds: whether ``created_after`` and the like include the time itself
    :param precision: how fine the times are that are shown; bounds and order are as fine as what was given
    """

    order: Order = "created"
    newest_first: bool = False
    paging: Paging = "cursor"
    bounds: Bounds = "inclusive"
    precision: Precision = "milliseconds"


@dataclass(frozen=True)
class Query:
    """Which conversations a request asks for.

    :param created: the earliest and the latest time of their creation
    :param updated: the same for their last change
    """

    created: tuple[int, int]
    updated: tuple[int, int]
    status: str | None
    channel_type: str | None
    handed_off: bool | None

    def of(self, order: Order) -> tuple[int, int]:
        """Return the bounds of the time by which a list is ordered."""
        return self.created if order == "created" else self.updated

    def beyond(self, order: Order) -> Callable[[Conversation], bool] | None:
        """Return whether a conversation fits, apart from the time by which the list is ordered; None if each does."""
        others = (self.updated if order == "created" else self.created, self.status, self.channel_type, self.handed_off)
        return None if others == (_ALWAYS, None, None, None) else self.fits

    def fits(self, conversation: Conversation) -> bool:
        """Return whether a conversation is asked for."""
        return (
            self.created[0] <= conversation.created_at <= self.created[1]
            and self.updated[0] <= conversation.updated_at <= self.updated[1]
            and self.status in (None, conversation.field("status"))
            and self.channel_type in (None, conversation.channel_type)
            and self.handed_off in (None, conversation.is_handed_off)
        )


def read_query(query: Mapping[str, str], bounds: Bounds) -> Query:
    """Return what the query of a request asks for. No conversation is before or after what is not a time."""
    handed_off = query.get("handed_off")
    return Query(
        created=_times(query, "created", bounds),
        updated=_times(query, "updated", bounds),
        status=query.get("status"),
        channel_type=query.get("channel_type"),
        handed_off=None if handed_off is None else handed_off == "true",
    )


def entry_of(conversation: Conversation, order: Order, item: Item) -> Entry[Item]:
    """Return where a conversation is in a list, with its sort key."""
    time = conversation.created_at if order == "created" else conversation.updated_at
    return time, conversation.number, item


def page_of(
    entries: Sequence[Entry[Item]],
    bounds: tuple[int, int],
    fits: Callable[[Item], bool] | None,
    *,
    cursor: str | None,
    settings: ListSettings,
    size: int,
    views: Sequence[ListView] = (),
) -> tuple[list[Item], str | None]:
    """Return a page, and the cursor of the page after it, if there is one.

    :param entries: what there is, oldest first
    :param bounds: the earliest and the latest time
    :param fits: which of the items within the bounds are listed; None is all of them, which is fast
    :param cursor: that of the page; none is the first one
    :param size: how many items a page has
    :param views: how the beginning of the page is moved, only where all items are listed
    """
    low, high = span(entries, *bounds)
    places = range(high - 1, low - 1, -1) if settings.newest_first else range(low, high)
    kind, time, number = _read_cursor(cursor)
    offset = time if kind == "offset" else 0
    if kind == "after":
        found = high - before(entries, time, number) if settings.newest_first else up_to(entries, time, number) - low
        places = places[max(0, found) :] if fits else places
        offset = 0 if fits else max(0, found)
    begin = offset
    if fits is None:
        for view in views if cursor else ():
            begin = view.page_start(begin)
    end = max(offset, begin) + size
    if fits is None:
        page = [entries[place] for place in places[begin : end + 1]]
    else:
        page = list(islice((entries[place] for place in places if fits(entries[place][2])), begin, end + 1))
    has_next, page = len(page) > end - begin, page[: end - begin]
    items = [item for _, _, item in page]
    if not (has_next and page):
        return items, None
    return items, f"offset-{end}" if settings.paging == "offset" else f"after-{page[-1][0]}-{page[-1][1]}"


def _read_cursor(cursor: str | None) -> tuple[str, int, int]:
    if not cursor:
        return "", 0, 0
    kind, *numbers = cursor.split("-")
    return kind, int(numbers[0]), int(numbers[1]) if len(numbers) > 1 else 0


def _times(query: Mapping[str, str], name: str, bounds: Bounds) -> tuple[int, int]:
    earliest, latest = _ALWAYS
    beside = 0 if bounds == "inclusive" else 1
    if (after := query.get(f"{name}_after")) is not None:
        if (time := moment(after)) is None:
            return _NEVER
        earliest = time + beside
    if (until := query.get(f"{name}_before")) is not None:
        if (time := moment(until)) is None:
            return _NEVER
        latest = time - beside
    return earliest, latest
