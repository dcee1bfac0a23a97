"""Views that show a list differently from its current state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

Item = TypeVar("Item")

_CURSOR = "after-"


@dataclass(frozen=True)
class History(Generic[Item]):
    """The current and earlier states of an item of a list.

    :param versions: the item after its creation and after each change, oldest first, and since when, in seconds of the
        simulator's clock
    :param removed_at: when it was removed; None while it exists
    """

    versions: tuple[tuple[float, Item], ...]
    removed_at: float | None = None

    @property
    def latest(self) -> Item:
        """The item after its last change."""
        return self.versions[-1][1]

    @property
    def created_at(self) -> float:
        """When the item was created."""
        return self.versions[0][0]

    @property
    def is_removed(self) -> bool:
        """Whether the item was removed."""
        return self.removed_at is not None

    def followed_by(self, time: float, item: Item) -> History[Item]:
        """Return this history with one version more, which is never older than the one before it."""
        return replace(self, versions=(*self.versions, (max(time, self.versions[-1][0]), item)))

    def before_last_change(self) -> History[Item]:
        """Return this history without its latest version; the same if the item was never changed."""
        return replace(self, versions=self.versions[:-1] or self.versions)

    def until(self, time: float) -> History[Item]:
        """Return what was known of the item at a time; before its creation, what it was when it was created."""
        versions = tuple(version for version in self.versions if version[0] <= time) or self.versions[:1]
        was_removed = self.removed_at is not None and self.removed_at <= time
        return History(versions, self.removed_at if was_removed else None)


def listed_by(views: Sequence[ListView], histories: Sequence[History[Item]], now: float) -> list[History[Item]]:
    """Return the items of a list as some views have it, one after the other, without removed ones.

    :param now: the time of the simulator's clock
    """
    listed = list(histories)
    for view in views:
        listed = view.listed(listed, now)
    return [history for history in listed if not history.is_removed]


def page_by(
    views: Sequence[ListView],
    listed: Sequence[History[Item]],
    cursor: str | None,
    size: int,
    number: Callable[[Item], int],
) -> tuple[Sequence[History[Item]], str | None]:
    """Return a page of a list, as some views have its beginning, and the cursor of the page after it, if there is one.

    :param listed: the items of the list, oldest first
    :param cursor: that of the page; none is the first one
    :param size: how many items a page has
    :param number: returns the number of an item, which is higher than those of older ones
    """
    after = int(cursor.removeprefix(_CURSOR)) if cursor else 0
    start = begin = sum(number(history.latest) <= after for history in listed)
    for view in views if cursor else ():
        begin = view.page_start(begin)
    end = max(start, begin) + size
    page = listed[begin:end]
    return page, f"{_CURSOR}{number(page[-1].latest)}" if page and end < len(listed) else None


def shown_by(views: Sequence[ListView], page: Sequence[History[Item]]) -> list[Item]:
    """Return what a page shows, or the whole list where there are no pages, as some views have it."""
    shown = list(page)
    for view in views:
        shown = view.page(shown)
    return [history.latest for history in shown]


class ListView:
    """A list as it is. Subclasses show it otherwise; several apply one after the other."""

    def listed(self, histories: Sequence[History[Item]], now: float) -> list[History[Item]]:
        """Return the items of the list, oldest first, each in its known state. Removed ones are left out later.

        :param histories: every item that there is or was, oldest first
        :param now: the time of the simulator's clock
        """
        return list(histories)

    def page_start(self, index: int) -> int:
        """Return where a page after the first one begins.

        :param index: where the page before it ended
        """
        return index

    def page(self, page: Sequence[History[Item]]) -> list[History[Item]]:
        """Return what a page shows, or the whole list where there are no pages."""
        return list(page)
