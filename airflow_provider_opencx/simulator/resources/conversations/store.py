"""The conversations of every organization, in memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from threading import RLock
from typing import TypeAlias, get_args

from airflow_provider_opencx.simulator.json_values import Json, JsonObject
from airflow_provider_opencx.simulator.list_view import History, ListView, listed_by, shown_by
from airflow_provider_opencx.simulator.resources.conversations.conversation import (
    Conversation,
    UnknownConversationError,
)
from airflow_provider_opencx.simulator.resources.conversations.moments import moment
from airflow_provider_opencx.simulator.resources.conversations.pages import (
    ListSettings,
    Order,
    Query,
    entry_of,
    page_of,
)
from airflow_provider_opencx.simulator.resources.conversations.timeline import Entry, added, added_many, removed
from airflow_provider_opencx.simulator.service import Service
from airflow_provider_opencx.simulator.timestamps import Calendar

_ORDERS: Sequence[Order] = get_args(Order)

Timelines: TypeAlias = Mapping[Order, list[Entry[Conversation]]]
Make: TypeAlias = Callable[[str, int], Conversation]
"""Returns a new conversation, given its id and its number."""


class Conversations:
    """Keeps the conversations in the order of their creation, and in that of their last change.

    :param service: the service whose state it is
    """

    def __init__(self, service: Service) -> None:
        self.settings = ListSettings()
        self._clock = service.clock
        self._calendar = service.state(Calendar)
        self._histories: dict[str, History[Conversation]] = {}
        self._timelines: dict[str, Timelines] = defaultdict(lambda: {order: [] for order in _ORDERS})
        self._numbers = count(1)
        self._lock = RLock()

    def now(self, before: int | None = None) -> int:
        """Return the time, always later than that of the change before."""
        time = moment(self._calendar.timestamp()) or 0
        return time if before is None else max(time, before + 1000)

    def of(self, organization: str) -> list[Conversation]:
        """Return the conversations of an organization, in the order in which they were added."""
        with self._lock:
            listed = (conversation for _, _, conversation in self._timelines[organization]["created"])
            return sorted(listed, key=lambda conversation: conversation.number)

    def find(self, conversation_id: str, organization: str | None = None) -> Conversation:
        """Return a conversation, or raise an UnknownConversationError.

        :param organization: only find a conversation of this organization
        """
        with self._lock:
            history = self._histories.get(conversation_id)
            if history is None or history.is_removed or organization not in (None, history.latest.org_id):
                raise UnknownConversationError(conversation_id)
            return history.latest

    def history(self, conversation_id: str) -> History[Conversation]:
        """Return what a conversation is and was."""
        with self._lock:
            return self._histories[conversation_id]

    def page(
        self, organization: str, query: Query, cursor: str | None, size: int, views: Sequence[ListView] = ()
    ) -> tuple[list[Conversation], str | None]:
        """Return a page of the list, and the cursor of the page after it, if there is one.

        :param cursor: that of the page; none is the first one
        :param size: how many conversations a page has
        :param views: how the list is shown, one after the other; none is the list as it is
        """
        settings = self.settings
        with self._lock:
            if not views:
                entries = self._timelines[organization][settings.order]
                fits = query.beyond(settings.order)
                return page_of(entries, query.of(settings.order), fits, cursor=cursor, settings=settings, size=size)
            histories = [each for each in self._histories.values() if each.latest.org_id == organization]
        listed = [
            entry_of(history.latest, settings.order, history)
            for history in listed_by(views, histories, self._clock())
            if query.fits(history.latest)
        ]
        listed.sort(key=lambda entry: entry[:2])
        bounds = query.of(settings.order)
        page, following = page_of(listed, bounds, None, cursor=cursor, settings=settings, size=size, views=views)
        return shown_by(views, page), following

    def add(self, make: Make, number_of: int = 1) -> list[Conversation]:
        """Add conversations, and return them.

        :param make: returns each of them
        :param number_of: how many there are
        """
        with self._lock:
            time = self._clock()
            numbers = [next(self._numbers) for _ in range(number_of)]
            conversations = [make(f"ses_{number:06d}", number) for number in numbers]
            self._histories.update({each.id: History(((time, each),)) for each in conversations})
            for organization in {each.org_id for each in conversations}:
                self._list(organization, [each for each in conversations if each.org_id == organization])
            return conversations

    def change(
        self,
        conversation_id: str,
        fields: Mapping[str, Json],
        updated_at: int | None = None,
        events: Callable[[Conversation], tuple[JsonObject, ...] | None] | None = None,
    ) -> Conversation:
        """Change some fields of a conversation, and return it.

        :param updated_at: when it changed; None is now, which is always later than the change before
        :param events: returns its events, given the changed conversation; None is those that it has
        """
        with self._lock:
            before = self.find(conversation_id)
            changed = replace(
                before,
                fields={**before.fields, **fields},
                updated_at=self.now(before.updated_at) if updated_at is None else updated_at,
            )
            if events is not None:
                changed = replace(changed, events=events(changed))
            self._unlist(before)
            self._list(changed.org_id, [changed])
            self._histories[changed.id] = self._histories[changed.id].followed_by(self._clock(), changed)
            return changed

    def remove(self, conversation_id: str) -> None:
        """Remove a conversation."""
        with self._lock:
            self._unlist(self.find(conversation_id))
            self._histories[conversation_id] = replace(self._histories[conversation_id], removed_at=self._clock())

    def _list(self, organization: str, conversations: Iterable[Conversation]) -> None:
        for order, entries in self._timelines[organization].items():
            new = [entry_of(conversation, order, conversation) for conversation in conversations]
            if len(new) == 1:
                added(entries, new[0])
            else:
                added_many(entries, new)

    def _unlist(self, conversation: Conversation) -> None:
        for order, entries in self._timelines[conversation.org_id].items():
            removed(entries, *entry_of(conversation, order, conversation)[:2])
