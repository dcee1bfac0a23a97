"""Lets tests change conversations without a request, and set how the service lists them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import get_args

from airflow_provider_opencx.simulator.clock import duration
from airflow_provider_opencx.simulator.json_values import Json, JsonObject
from airflow_provider_opencx.simulator.resources.conversations.after_calls import AfterCalls, CallSettings
from airflow_provider_opencx.simulator.resources.conversations.between_pages import BetweenPages
from airflow_provider_opencx.simulator.resources.conversations.conversation import Conversation
from airflow_provider_opencx.simulator.resources.conversations.fields import (
    checked,
    checked_events,
    checked_time,
    history_items,
)
from airflow_provider_opencx.simulator.resources.conversations.moments import SECOND, Precision
from airflow_provider_opencx.simulator.resources.conversations.outcomes import history
from airflow_provider_opencx.simulator.resources.conversations.pages import Bounds, ListSettings, Order, Paging
from airflow_provider_opencx.simulator.resources.conversations.samples import sample
from airflow_provider_opencx.simulator.resources.conversations.store import Conversations
from airflow_provider_opencx.simulator.service import Service

_DAY = 24 * 60 * 60 * SECOND


class ConversationControls(Service):
    """A service whose conversations can be read, added, changed and removed without a request."""

    def conversations(self, api_key: str | None = None) -> list[JsonObject]:
        """Return the conversations of an organization, in the order in which they were added.

        :param api_key: the organization's key; None is the first one
        """
        self.clock.catch_up()
        return [self._shown(each) for each in self.state(Conversations).of(self._organization(api_key))]

    def add_conversation(
        self,
        *,
        created_at: str | None = None,
        updated_at: str | None = None,
        events: Sequence[JsonObject] | None = None,
        api_key: str | None = None,
        **fields: Json,
    ) -> JsonObject:
        """Add a conversation, and return it: an open one of ``phone_voice``, unless the fields say otherwise.

        :param created_at: when it began, in ISO 8601; None is now, or when it changed if that is earlier
        :param updated_at: when it changed last; None is when it began
        :param events: its history: each with an ``event``, perhaps a ``created_at`` and an ``id``; None is what is
            usually said in a conversation that ends like this one
        :param api_key: the organization's key; None is the first one
        :param fields: its fields in the form of the API
        """
        self.clock.catch_up()
        store, organization = self.state(Conversations), self._organization(api_key)
        given = checked(fields, self.newest_contract)
        items = None if events is None else checked_events(events, self.newest_contract)
        updated = None if updated_at is None else checked_time("updated_at", updated_at)
        now = store.now()
        created = min(now, now if updated is None else updated)
        created = created if created_at is None else checked_time("created_at", created_at)

        def make(conversation_id: str, number: int) -> Conversation:
            changed = created if updated is None else updated
            made = Conversation(conversation_id, organization, number, created, changed, given)
            return (
                made
                if items is None
                else replace(made, events=history_items(made, (), items, store.settings.precision))
            )

        return self._shown(store.add(make)[0])

    def add_conversations(
        self,
        count: int,
        *,
        first: str | None = None,
        last: str | None = None,
        api_key: str | None = None,
        **fields: Json,
    ) -> list[str]:
        """Add many conversations that differ in all that conversations differ in, and return their ids.

        They are the same ones each time. Their creation is spread evenly over a time; every tenth is changed late.

        :param count: how many
        :param first: when the first one began, in ISO 8601; None is a day before the last one
        :param last: when the last one began, after which none is changed; None is now
        :param api_key: the organization's key; None is the first one
        :param fields: what each of them has, instead of what differs
        """
        self.clock.catch_up()
        if count < 1:
            raise ValueError(f"count is 1 or more, not {count}.")
        store, organization = self.state(Conversations), self._organization(api_key)
        end = store.now() if last is None else checked_time("last", last)
        begin = max(0, end - _DAY) if first is None else checked_time("first", first)
        if begin > end:
            raise ValueError("first is not later than last.")
        make = sample(organization, begin, end, count, checked(fields, self.newest_contract))
        return [conversation.id for conversation in store.add(make, count)]

    def update_conversation(
        self,
        conversation_id: str,
        *,
        updated_at: str | None = None,
        events: Sequence[JsonObject] = (),
        **fields: Json,
    ) -> JsonObject:
        """Change fields of a conversation, and return it.

        :param updated_at: when it changed, in ISO 8601; None is now, and always later than the change before
        :param events: what comes after its history
        :param fields: the fields that change, in the form of the API; none is a change that only its time shows
        """
        self.clock.catch_up()
        store, contract = self.state(Conversations), self.newest_contract
        given, more = checked(fields, contract), checked_events(events, contract)
        time = None if updated_at is None else checked_time("updated_at", updated_at)
        precision = store.settings.precision
        before = history(store.find(conversation_id), precision)
        changed = store.change(
            conversation_id,
            given,
            time,
            (lambda conversation: history_items(conversation, before, more, precision)) if more else None,
        )
        return self._shown(changed)

    def remove_conversation(self, conversation_id: str) -> None:
        """Remove a conversation."""
        self.clock.catch_up()
        self.state(Conversations).remove(conversation_id)

    def list_conversations_by(
        self,
        order: Order = "created",
        *,
        newest_first: bool = False,
        paging: Paging = "cursor",
        bounds: Bounds = "inclusive",
        precision: Precision = "milliseconds",
    ) -> None:
        """Say how the service lists conversations. What is left out is as it is by default.

        :param order: ``"created"`` or ``"updated"``: the time by which the list is ordered
        :param newest_first: whether the newest is the first one
        :param paging: ``"cursor"``: a page begins after the last conversation of the page before it; ``"offset"``:
            at a position, so that pages move while conversations are added, changed and removed
        :param bounds: ``"inclusive"`` or ``"exclusive"``: whether ``created_after`` and the like include
            the time itself
        :param precision: ``"seconds"``, ``"milliseconds"`` or ``"microseconds"``: how fine the times are that are
            shown; what is finer is cut off, and still counts for bounds and order
        """
        for name, value, allowed in (
            ("order", order, Order),
            ("newest_first", newest_first, None),
            ("paging", paging, Paging),
            ("bounds", bounds, Bounds),
            ("precision", precision, Precision),
        ):
            values = (False, True) if allowed is None else get_args(allowed)
            if value not in values:
                raise ValueError(f"{name} is {' or '.join(map(str, values))}, not {value!r}.")
        self.state(Conversations).settings = ListSettings(order, newest_first, paging, bounds, precision)

    def leave_conversations(
        self,
        *,
        after: str | float = 5,
        closed_after: str | float | None = 30,
        missed_every: int | None = 5,
        missed_numbers: Collection[str] = (),
    ) -> None:
        """Say what calls leave behind from now on. What is left out is as it is by default.

        :param after: when the conversation of a call is there: seconds after the call, or a text such as ``2m``
        :param closed_after: when it is closed, counted from then; None is never
        :param missed_every: one of how many calls is missed and leaves no conversation; None means no call
        :param missed_numbers: the numbers whose calls are all missed, as the contact or the call has them
        """
        if missed_every is not None and (isinstance(missed_every, bool) or missed_every < 1):
            raise ValueError(f"missed_every is 1 or more, not {missed_every}; None means no call.")
        if isinstance(missed_numbers, str) or not all(isinstance(number, str) for number in missed_numbers):
            raise ValueError(f"missed_numbers are numbers such as +14155550101, not {missed_numbers!r}.")
        self.state(AfterCalls).settings = CallSettings(
            after=duration(after),
            closed_after=None if closed_after is None else duration(closed_after),
            missed_every=missed_every,
            missed_numbers=frozenset(missed_numbers),
        )

    def between_pages(self, change: Callable[[], object], *, after: int = 1, times: int | None = 1) -> None:
        """Do something between two pages of the list: when the next one is asked for, before it is read.

        :param change: what is done, such as ``lambda: simulator.update_conversation(...)``
        :param after: how many pages are shown before it, counted from now on, without those that have no next one
        :param times: how often it is done, once a page from then on; None is without an end
        """
        if after < 1 or (times is not None and times < 1):
            raise ValueError("after and times are 1 or more; times can be None.")
        self.state(BetweenPages).plan(change, after, times)

    def _shown(self, conversation: Conversation) -> JsonObject:
        return conversation.all_fields(self.state(Conversations).settings.precision)
