"""Tracks writes that were sent, until a list shows their result.

The API has no idempotency key, a response may be lost or untrue, and a list may lag: a write is done when a list shows
it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic

from airflow_provider_opencx.client.retry_after import RetryAfter
from airflow_provider_opencx.exceptions import (
    OpenCXAmbiguousNameError,
    OpenCXAPIError,
    OpenCXError,
    OpenCXRateLimitError,
    OpenCXUnconfirmedError,
    OpenCXUnknownOutcomeError,
    OpenCXUnreachableError,
)
from airflow_provider_opencx.reconciliation.items import ItemsT, ItemT
from airflow_provider_opencx.reconciliation.plans import ChangesT, Create, SpecT, Update
from airflow_provider_opencx.reconciliation.resource import Outcome, Pending, Resource
from airflow_provider_opencx.visible_text import identifier


def may_have_been_handled(error: OpenCXError) -> bool:
    """Return whether a write that failed so may have been handled.

    Only a request that never arrived, or a refusal by the service itself, says that it was not.
    """
    if isinstance(error, OpenCXUnreachableError):
        return error.request_sent
    return isinstance(error, OpenCXAPIError) and not (error.is_permanent or isinstance(error, OpenCXRateLimitError))


def created(
    resource: Resource[SpecT, ChangesT, ItemT, ItemsT], spec: SpecT, items: ItemsT, send: Callable[[], ItemT | None]
) -> Pending[ItemT, ItemsT]:
    """Send a create, and return what the list must confirm; raises the error of one that was not handled.

    :param items: the items that existed before.
    :param send: sends it, and returns the item as the response shows it; ``None`` if it shows none.
    :raises OpenCXNotFoundAgainError: if the response shows the item without that by which it is found.
    """
    try:
        item = send()
    except OpenCXError as error:
        if not may_have_been_handled(error):
            raise
        return _UnconfirmedCreate(resource, spec, items, error)
    if item is None:
        return _UnconfirmedCreate(resource, spec, items)
    resource.check_identity(spec, item)
    return _Created(resource, spec, item)


@dataclass
class _Created(Pending[ItemT, ItemsT], Generic[SpecT, ChangesT, ItemT, ItemsT]):
    """A create that the service accepted; the list shows whether that is so, and whether there is another of it.

    :param item: the item as the response shows it.
    """

    resource: Resource[SpecT, ChangesT, ItemT, ItemsT]
    spec: SpecT
    item: ItemT
    failure: OpenCXError | None = field(default=None, init=False)
    _listed: Outcome[ItemT] | None = field(default=None, init=False)

    @property
    def _label(self) -> str:
        return f"{self.spec.label} ({identifier(self.item.id)})"

    def seen_in(self, items: ItemsT) -> Outcome[ItemT] | None:
        """Return the outcome if a list shows the item as declared, or as the response shows it.

        :raises OpenCXAmbiguousNameError: if there are several of it now.
        """
        try:
            self.resource.find(self.spec, items)
        except OpenCXAmbiguousNameError as several:
            raise several.with_message(
                f"The {self._label} was created while another of its name was. {several}"
            ) from None
        item = items.with_id(self.item.id)
        if item is None:
            return None
        self._listed = _outcome_of_create(self.resource, self.spec, item)
        return self._listed if _agrees(self._listed, self.item) else None

    def unseen(self, failure: OpenCXError | None) -> Outcome[ItemT]:
        """Return the outcome where the list shows the item otherwise than the response did.

        :raises OpenCXError: if no list has shown it: the response is not believed.
        """
        if self._listed is not None:
            return self._listed
        if failure is not None:
            raise failure.with_message(f"The {self._label} was created, and could not be read back: {failure}")
        raise OpenCXUnconfirmedError(
            f"OpenCX said that it created {self._label}, and no list has shown it since. It was not sent again."
            f" The next try begins with the list, and adopts the {self.resource.noun} if it is there.",
            agent_id=self.item.id,
        )


@dataclass
class _UnconfirmedCreate(Pending[ItemT, ItemsT], Generic[SpecT, ChangesT, ItemT, ItemsT]):
    """A create that may have been handled, and whose response did not show the item.

    :param before: the items that existed before.
    :param failure: what came instead of a response; ``None`` if there was one, which was empty.
    """

    resource: Resource[SpecT, ChangesT, ItemT, ItemsT]
    spec: SpecT
    before: ItemsT
    failure: OpenCXError | None = None
    item: ItemT | None = field(default=None, init=False)

    def __str__(self) -> str:
        return "The service accepted it with an empty response." if self.failure is None else str(self.failure)

    def seen_in(self, items: ItemsT) -> Outcome[ItemT] | None:
        """Return the outcome if the item has appeared; raises an error if it has as something else."""
        item = self.resource.find(self.spec, items)
        if item is not None:
            return _outcome_of_create(self.resource, self.spec, item)
        for other in self.resource.stored_otherwise(self.spec, items):
            if self.before.with_id(other.id) is None:
                self.resource.check_identity(self.spec, other)
        return None

    def unseen(self, failure: OpenCXError | None) -> Outcome[ItemT]:
        """Raise that the outcome is not known."""
        not_known = f"Whether {self.spec.label} was created is not known: {self}"
        if failure is not None and failure.is_permanent:
            raise failure.with_message(f"{not_known} Listing the {self.resource.noun}s failed: {failure}")
        asked = RetryAfter.too_long(failure)
        raise OpenCXUnknownOutcomeError(
            f"{not_known} No such {self.resource.noun} has appeared since, and the create was not sent again. The next"
            " try begins with the list, and adopts it if it is there.",
            retry_after=None if asked is None else asked.seconds,
        )


@dataclass
class Updated(Pending[ItemT, ItemsT], Generic[SpecT, ChangesT, ItemT, ItemsT]):
    """An update that the service accepted, or may have, until a list shows it.

    :param resource: the resource of the item.
    :param plan: what was sent.
    :param declared: what was declared of the item, with which the list is compared.
    :param returned: the item as the response shows it; ``None`` if it shows none.
    :param failure: why it is not known whether the service handled it; ``None`` if it said that it did.
    """

    resource: Resource[SpecT, ChangesT, ItemT, ItemsT]
    plan: Update[ChangesT, ItemT]
    declared: ChangesT
    returned: ItemT | None
    failure: OpenCXError | None = None
    item: ItemT = field(init=False)
    _listed: Outcome[ItemT] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.item = self.plan.item

    def __str__(self) -> str:
        return str(self.failure or "")

    def seen_in(self, items: ItemsT) -> Outcome[ItemT] | None:
        """Return the outcome if the list shows the item as declared, or as it is after the update."""
        item = items.with_id(self.item.id)
        if item is None:
            return None
        self._listed = Outcome(item, self.plan.decision, self.resource.mismatches(self.declared, item))
        return self._listed if _agrees(self._listed, self.returned) or self._was_changed_since(item) else None

    def _was_changed_since(self, item: ItemT) -> bool:
        """Return whether a list shows the item after the update, where no response has shown it."""
        if self.returned is not None or self.failure is not None:
            return False
        before, after = self.item.updated_at, item.updated_at
        return isinstance(before, str) and isinstance(after, str) and after > before

    def unseen(self, failure: OpenCXError | None) -> Outcome[ItemT]:
        """Return the outcome if no response has shown another one.

        :raises OpenCXError: if the list could not be read, or does not show what the response did.
        """
        if failure is not None:
            raise failure.with_message(f"The {self.item.label} was updated, and could not be read back: {failure}")
        if self.failure is not None:
            raise self.failure.with_message(
                f"Whether {self.item.label} was updated is not known: {self.failure} No list has shown it since. The"
                " next try compares again."
            )
        if self._listed is not None and self.returned is None:
            return self._listed
        shows = "no longer shows it" if self._listed is None else "still shows it as it was before"
        raise OpenCXUnconfirmedError(
            f"OpenCX said that it updated {self.item.label}, and the list {shows}. The next try compares again.",
            agent_id=self.item.id,
        )


def _agrees(listed: Outcome[ItemT], returned: ItemT | None) -> bool:
    """Return whether nothing is left to wait for: all is as declared, or differs as the response says as well."""
    return all(
        returned is not None
        and mismatch.field not in returned.unreadable
        and returned.field(mismatch.field) == mismatch.actual
        for mismatch in listed.mismatches
    )


def _outcome_of_create(resource: Resource[SpecT, ChangesT, ItemT, ItemsT], spec: SpecT, item: ItemT) -> Outcome[ItemT]:
    resource.check_identity(spec, item)
    return Outcome(item, Create.decision, resource.mismatches_of_new(spec, item))
