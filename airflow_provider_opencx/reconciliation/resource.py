"""The interface of a resource for the engine: how to list, write and confirm its items."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Generic

from airflow_provider_opencx.exceptions import OpenCXError
from airflow_provider_opencx.reconciliation.items import ItemsT, ItemT
from airflow_provider_opencx.reconciliation.plans import ChangesT, Difference, SpecT, Update

if TYPE_CHECKING:
    from airflow_provider_opencx.metrics import Decision


@dataclass(frozen=True)
class Outcome(Generic[ItemT]):
    """The result of one plan.

    :param item: the item, as the service describes it now.
    :param decision: what was decided for it.
    :param mismatches: the fields in which the service stored other values than declared.
    """

    item: ItemT
    decision: Decision
    mismatches: tuple[Difference, ...] = ()


class Pending(ABC, Generic[ItemT, ItemsT]):
    """A write that the list must confirm.

    :param item: the item if known; ``None`` if no response showed it.
    :param failure: why it is not known whether the service handled the write; ``None`` if it said that it did.
    """

    item: ItemT | None
    failure: OpenCXError | None

    @abstractmethod
    def seen_in(self, items: ItemsT) -> Outcome[ItemT] | None:
        """Return the outcome if a list shows it; ``None`` to read the list once more."""

    @abstractmethod
    def unseen(self, failure: OpenCXError | None) -> Outcome[ItemT]:
        """Return the outcome where no list has shown it, or raise that it is not known.

        :param failure: why the list could not be read; ``None`` if it was.
        """


class Resource(ABC, Generic[SpecT, ChangesT, ItemT, ItemsT]):
    """Lists and writes the items of one resource, with one client."""

    noun: ClassVar[str]
    """The noun for an item in messages, such as ``phone agent``."""

    @abstractmethod
    def list_items(self) -> ItemsT:
        """Return all items."""

    @abstractmethod
    def create(
        self, spec: SpecT, items: ItemsT, appears: Callable[[Sequence[float]], bool]
    ) -> Pending[ItemT, ItemsT] | None:
        """Send a create, and return what the list must confirm; raises the error of one that was not handled.

        :param items: the items that existed before.
        :param appears: reads the list after each of some pauses, in seconds, until it shows the item, and returns
            whether it does.
        :return: ``None`` if the item has appeared although its create was refused.
        """

    @abstractmethod
    def update(self, plan: Update[ChangesT, ItemT], declared: ChangesT) -> Pending[ItemT, ItemsT]:
        """Send an update, and return what the list must confirm.

        :param declared: what was declared of the item, with which the result is compared.
        """

    @abstractmethod
    def find(self, spec: SpecT, items: ItemsT) -> ItemT | None:
        """Return the item that a declaration is about, ``None`` if it is not in the list.

        :raises OpenCXAmbiguousNameError: if there are several.
        """

    @abstractmethod
    def stored_otherwise(self, spec: SpecT, items: ItemsT) -> Sequence[ItemT]:
        """Return the items that may be what the service has made of a declaration, and are not found by it."""

    @abstractmethod
    def check_identity(self, spec: SpecT, item: ItemT) -> None:
        """Check that an item that was created will be found again; raises ``OpenCXNotFoundAgainError`` if not."""

    @abstractmethod
    def mismatches_of_new(self, spec: SpecT, item: ItemT) -> tuple[Difference, ...]:
        """Return the fields in which a new item was stored otherwise than declared."""

    @abstractmethod
    def mismatches(self, declared: ChangesT, item: ItemT) -> tuple[Difference, ...]:
        """Return the fields in which an item was stored otherwise than declared."""
