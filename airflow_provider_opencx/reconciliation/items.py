"""The items of one resource in a list of the service."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Generic, Protocol, Self, TypeVar

from pydantic import JsonValue

from airflow_provider_opencx.client.pagination import Listed
from airflow_provider_opencx.exceptions import OpenCXResponseError


class Item(Protocol):
    """One object of the service, such as a phone agent."""

    @property
    def id(self) -> str:
        """The service's id."""

    @property
    def label(self) -> str:
        """The item in messages."""

    @property
    def texts_in_messages(self) -> Sequence[str]:
        """The texts by which a message of the service may call it: its id, and its name."""

    @property
    def updated_at(self) -> object:
        """When it was changed last, as the service says it."""

    @property
    def unreadable(self) -> Mapping[str, str]:
        """The problem of each field whose value cannot be read."""

    def field(self, name: str) -> JsonValue:
        """Return the value of a field, by the name that it has in a declaration; raises if it cannot be read."""

    def not_readable(self, field: str) -> OpenCXResponseError:
        """Return the error that a field which is asked for cannot be read."""


ItemT = TypeVar("ItemT", bound=Item)


class ItemList(Generic[ItemT]):
    """All items of a resource, indexed by id; a subclass says by what else they are found.

    :param items: the items, as listed.
    :param listed_at: when their list was asked for, by ``time.monotonic()``; by default now. What was written later may
        be missing.
    :param unreadable: what is wrong with items of the list that cannot be read; by default what the list says.
    """

    def __init__(
        self, items: Iterable[ItemT], listed_at: float | None = None, unreadable: Sequence[str] | None = None
    ) -> None:
        if unreadable is None:
            unreadable = items.problems if isinstance(items, Listed) else ()
        self.unreadable = tuple(unreadable)
        self.listed_at = time.monotonic() if listed_at is None else listed_at
        self._by_id = {item.id: item for item in items}

    def __iter__(self) -> Iterator[ItemT]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def with_id(self, item_id: str) -> ItemT | None:
        """Return the item of an id, ``None`` if there is none."""
        return self._by_id.get(item_id)

    def shows(self, identity: str) -> bool:
        """Return whether an item is among them that a declaration of this identity is about."""
        raise NotImplementedError

    def lacks_most_of(self, other: Self) -> bool:
        """Return whether more than half of the items of another list are not in this one."""
        return sum(item.id not in self._by_id for item in other) > len(other) / 2

    def with_those_of(self, earlier: Self) -> Self:
        """Return this list, and the items that an earlier read shows and this one does not."""
        missing = [item for item in earlier if item.id not in self._by_id]
        unreadable = tuple(dict.fromkeys((*self.unreadable, *earlier.unreadable)))
        if not missing and unreadable == self.unreadable:
            return self
        return type(self)([*self, *missing], self.listed_at, unreadable)


ItemsT = TypeVar("ItemsT", bound=ItemList)  # type: ignore[type-arg]  # of the items, which Python cannot say here
