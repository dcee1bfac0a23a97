"""Finds the conversation of a call by its person, its channel and its time. Pure.

A conversation does not say which call it is of. That it is the one with this person that was created after the call is
all that ties it to the call.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from airflow_provider_opencx.arguments import time_with_zone
from airflow_provider_opencx.campaigns.contacts import contact_id_of
from airflow_provider_opencx.conversations.people import names_of
from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.resources.calls import Callee
from airflow_provider_opencx.resources.conversations import Conversation, checked_channel_type
from airflow_provider_opencx.visible_text import identifier

CLOCK_TOLERANCE = timedelta(seconds=60)
"""By how much the clock of the service may be behind the one of the caller."""

ASKED_BEFORE = CLOCK_TOLERANCE + timedelta(seconds=1)
"""How much earlier than needed a list is requested, because it is not known whether its bounds are inclusive."""

_WHEN_NONE = "where the task that should have returned it was skipped, or pushes no result"


@dataclass(frozen=True)
class WantedConversation:
    """The known facts about the conversation of a call before it appears.

    :param callee: the person: a number, or a contact.
    :param since: when the call was made, in UTC and in whole seconds.
    :param channel_type: its channel; ``None`` means any.
    """

    callee: Callee
    since: datetime
    channel_type: str | None

    def __str__(self) -> str:
        on_channel = "" if self.channel_type is None else f" on channel {identifier(self.channel_type)}"
        return f"conversation with {self.callee.label}{on_channel}"

    def can_be(self, conversation: Conversation) -> bool:
        """Return whether a conversation with the person can be the one of the call."""
        at = began(conversation)
        is_in_time = at is not None and at >= self.since - CLOCK_TOLERANCE
        return is_in_time and self.channel_type in (None, conversation.channel_type)

    def nearer(self, one: Conversation | None, other: Conversation) -> Conversation:
        """Return which of two that can be it is: the first one that was created since the call.

        Those from before the call, within the tolerance, come last. Of one that was read twice, it is the newer state.
        """
        return other if one is None or self._distance(other) <= self._distance(one) else one

    def _distance(self, conversation: Conversation) -> tuple[bool, timedelta, str]:
        after = (began(conversation) or self.since) - self.since
        return after < timedelta(0), abs(after), conversation.id


Found: TypeAlias = Mapping[WantedConversation, Conversation | None]
"""The conversation of each that was looked for, ``None`` where there is none yet."""


def began(conversation: Conversation) -> datetime | None:
    """Return when a conversation was created; where that cannot be read, when it was changed for the last time."""
    return conversation.created or conversation.updated


def find(wanted: Collection[WantedConversation], conversations: Iterable[Conversation]) -> Found:
    """Return which conversation each wanted one is. Of those that nobody wants, none is kept in memory.

    :param wanted: what is looked for.
    :param conversations: all conversations of the time; one may be there twice.
    """
    with_person: defaultdict[str, list[WantedConversation]] = defaultdict(list)
    for each in wanted:
        for name in each.callee.names:
            with_person[name].append(each)
    found: dict[WantedConversation, Conversation | None] = dict.fromkeys(wanted)
    for conversation in conversations:
        for name in names_of(conversation):
            for each in with_person.get(name, ()):
                if each.can_be(conversation):
                    found[each] = each.nearer(found[each], conversation)
    return found


def checked_wanted(phone_number: object, contact_id: object, since: object, channel_type: object) -> WantedConversation:
    """Return the conversation that is wanted.

    :param phone_number: the number of the person, in E.164, or ``None``.
    :param contact_id: the id of the contact, or ``None``.
    :param since: when the call was made: a datetime with a time zone, or the same in ISO 8601.
    :param channel_type: its channel; ``None`` means any.
    :raises OpenCXArgumentError: if an argument is wrong.
    """
    return WantedConversation(
        checked_person(phone_number, contact_id), checked_since(since), checked_channel_type(channel_type)
    )


def checked_person(phone_number: object, contact_id: object) -> Callee:
    """Return whose conversation is wanted.

    :param phone_number: the number, in E.164, or ``None``.
    :param contact_id: the id of the contact, or ``None``.
    :raises OpenCXArgumentError: if there is not exactly one of the two, or it cannot be one.
    """
    given = {"phone_number": phone_number, "contact_id": contact_id}
    named = {argument: value for argument, value in given.items() if value is not None}
    if len(named) != 1:
        raise OpenCXArgumentError(
            f"phone_number and contact_id: give one of the two, and not {'both' if named else 'neither'}; one that was"
            f" given is None {_WHEN_NONE}"
        )
    [(argument, value)] = named.items()
    if not isinstance(value, str):
        raise OpenCXArgumentError(
            f"{argument}: must be text, and is {type(value).__name__}; to wait for several people, make a task for each"
            " with .partial(...).expand_kwargs(...)"
        )
    if contact_id is None:
        return Callee(phone_number=value)
    try:
        return Callee(contact_id=contact_id_of(value))
    except ValueError as problem:
        raise OpenCXArgumentError(f"contact_id: {problem}") from None


def checked_since(since: object) -> datetime:
    """Return when the call was made, in UTC and in whole seconds: a service may show no finer times.

    :param since: a datetime with a time zone, or the same in ISO 8601.
    :raises OpenCXArgumentError: if it is something else.
    """
    if since is None:
        raise OpenCXArgumentError(f"since: is None, as it is {_WHEN_NONE}")
    utc = time_with_zone("since", since).replace(microsecond=0)
    if utc - datetime.min.replace(tzinfo=UTC) <= ASKED_BEFORE:
        raise OpenCXArgumentError("since: must be a datetime with a time zone at which somebody can have called")
    return utc
