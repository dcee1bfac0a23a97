"""Counts conversations by their fields, for a person and for the next task.

Pure: nothing is sent. Of each conversation no more is kept than its id and the values that are counted.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

from airflow_provider_opencx.conversations.people import names_of
from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.extraction.sources import Filters
from airflow_provider_opencx.reconciliation.plan_document import (
    Block,
    Document,
    Line,
    Quoted,
    Words,
    in_code,
    quoted,
    to_markdown,
)
from airflow_provider_opencx.resources.calls import Callee
from airflow_provider_opencx.resources.conversations import Conversation
from airflow_provider_opencx.resources.times import with_margin
from airflow_provider_opencx.visible_text import LONGEST, visible

if TYPE_CHECKING:
    from pydantic import JsonValue

NOT_SAID = "not said"
"""The label for a missing value, or a value that is not text."""

OTHERS = "others"
"""The label for the values that are too many to be shown."""

MOST_VALUES = 20
"""Values of a dimension that are shown; the others are counted together."""

MOST_DAYS = 31
"""Days that the Markdown shows; the days before them are counted together."""


@dataclass(frozen=True)
class Scope:
    """Which conversations are counted.

    :param after: those that were created at this time or later.
    :param before: those that were created before this time.
    :param zone: the IANA name of the time zone by whose clock days begin.
    :param channel_type: only those of this channel, which the service decides; ``None`` means any.
    :raises OpenCXArgumentError: if no time is between the two.
    """

    after: datetime
    before: datetime
    zone: str = "UTC"
    channel_type: str | None = None

    def __post_init__(self) -> None:
        if self.after >= self.before:
            raise OpenCXArgumentError(
                f"created_after: {self.after.isoformat()} must be earlier than created_before,"
                f" {self.before.isoformat()}"
            )

    @property
    def asked(self) -> Filters:
        """The query to the service: a little more than what is counted."""
        after, before = with_margin(self.after, self.before)
        return Filters(created_after=after, created_before=before, channel_type=self.channel_type)

    def contains(self, created: datetime) -> bool:
        """Return whether a conversation of this time is counted."""
        return self.after <= created < self.before

    def local(self, time: datetime) -> datetime:
        """Return a time by the clock in the time zone; as it is, at the ends of the calendar."""
        try:
            return time.astimezone(ZoneInfo(self.zone))
        except OverflowError:
            return time


class _Dimension(NamedTuple):
    """A dimension by which conversations are counted.

    :param key: what the report as JSON calls it.
    :param name: what people call it.
    :param of: returns the value of a conversation.
    """

    key: str
    name: str
    of: Callable[[Conversation], str | None]


_DIMENSIONS = (
    _Dimension("by_status", "Status", lambda conversation: conversation.status),
    _Dimension("by_closure", "Closure", lambda conversation: conversation.ai_closure_type),
    _Dimension("by_sentiment", "Sentiment", lambda conversation: conversation.sentiment),
    _Dimension("by_language", "Language", lambda conversation: conversation.language),
)


class _Counted(NamedTuple):
    """The values of a conversation that are kept.

    :param updated: when it was changed, as a number to compare.
    :param day: the day on which it was created.
    :param values: its values, in the order of the dimensions.
    """

    updated: float
    day: str
    values: tuple[str | None, ...]


@dataclass(frozen=True)
class PeopleCount:
    """How many people of a list have a conversation.

    :param people: how many people there are, each counted once.
    :param with_conversation: how many of them have one that is counted.
    """

    people: int
    with_conversation: int

    @property
    def without_conversation(self) -> int:
        """How many have none. That is not the number of missed calls: a missed call may leave none, or one."""
        return self.people - self.with_conversation

    def as_dict(self) -> dict[str, JsonValue]:
        """Return the numbers as plain JSON."""
        return {
            "people": self.people,
            "with_conversation": self.with_conversation,
            "without_conversation": self.without_conversation,
        }


@dataclass(frozen=True)
class ConversationReport:
    """The counts of conversations by their fields.

    :param scope: which of them are counted.
    :param counts: for each dimension, by its key, how many have each value; ``None`` is a value that was not said.
    :param days: how many were created on each day, in the order of the days.
    :param without_time: how many are not counted, because when they were created cannot be read.
    :param people: how many people of a list have one; ``None`` where there is no list.
    """

    scope: Scope
    counts: Mapping[str, Counter[str | None]]
    days: Mapping[str, int]
    without_time: int
    people: PeopleCount | None

    @property
    def conversations(self) -> int:
        """How many are counted."""
        return sum(self.days.values())

    @property
    def markdown(self) -> str:
        """The report as people read it. No value that the service sent is Markdown, HTML or a link in it."""
        heading = Block((_in_words(self.conversations),), tuple(map(Line, self._facts())))
        parts = [to_markdown(Document((heading,)))]
        if self.conversations:
            parts.append("\n".join(self._table()))
        return "\n\n".join(parts)

    def as_dict(self) -> dict[str, JsonValue]:
        """Return the report as plain JSON."""
        return {
            "conversations": self.conversations,
            "created_after": self.scope.after.isoformat(),
            "created_before": self.scope.before.isoformat(),
            "timezone": self.scope.zone,
            "channel_type": self.scope.channel_type,
            "without_created_at": self.without_time,
            "people": None if self.people is None else self.people.as_dict(),
            **{dimension.key: _by_name(_ranked(self.counts[dimension.key])) for dimension in _DIMENSIONS},
            "by_day": dict(self.days),
            "markdown": self.markdown,
        }

    def _facts(self) -> Iterator[Words]:
        scope = self.scope
        after, before = (scope.local(time).isoformat(sep=" ") for time in (scope.after, scope.before))
        yield (f"Created: from {after} to before {before}",)
        yield ("Days by the clock in: ", quoted(scope.zone))
        if scope.channel_type is not None:
            yield ("Channel: ", quoted(scope.channel_type, LONGEST))
        if self.people is not None:
            yield (
                f"People with a conversation: {self.people.with_conversation:,} of {self.people.people:,}. With none:"
                f" {self.people.without_conversation:,}, which is not the same as a missed call.",
            )
        if self.without_time:
            yield (
                "ATTENTION: not counted, because it cannot be read when they were created:"
                f" {_in_words(self.without_time)}.",
            )

    def _table(self) -> Iterator[str]:
        yield "| | | Conversations |"
        yield "| --- | --- | ---: |"
        for dimension in _DIMENSIONS:
            yield from _rows(dimension.name, _ranked(self.counts[dimension.key]))
        yield from _rows("Day", _latest(self.days))


def count_conversations(
    conversations: Iterable[Conversation],
    scope: Scope,
    *,
    people: Sequence[Callee] | None = None,
    default_region: str | None = None,
) -> ConversationReport:
    """Count conversations, each once, as it was when it was changed for the last time.

    :param conversations: the conversations, some perhaps twice, because a list moves while it is read.
    :param scope: which of them are counted.
    :param people: the people whose conversations are counted; ``None`` is anybody.
    :param default_region: the country of national numbers of contacts, such as ``"US"``; ``None`` reads none.
    """
    index_of = {name: index for index, callee in enumerate(people or ()) for name in callee.names}
    with_conversation: set[int] = set()
    without_time: set[str] = set()
    counted: dict[str, _Counted] = {}
    for conversation in conversations:
        created = conversation.created
        if created is not None and not scope.contains(created):
            continue
        names = () if people is None else names_of(conversation, default_region)
        found = {index_of[name] for name in names if name in index_of}
        if people is not None and not found:
            continue
        if created is None:
            without_time.add(conversation.id)
            continue
        with_conversation |= found
        seen = _seen(conversation, scope.local(created))
        if seen.updated >= counted.get(conversation.id, seen).updated:
            counted[conversation.id] = seen
    days = Counter(each.day for each in counted.values())
    return ConversationReport(
        scope,
        {
            dimension.key: Counter(each.values[index] for each in counted.values())
            for index, dimension in enumerate(_DIMENSIONS)
        },
        {day: days[day] for day in sorted(days)},
        len(without_time - counted.keys()),
        None if people is None else PeopleCount(len(people), len(with_conversation)),
    )


def _seen(conversation: Conversation, created: datetime) -> _Counted:
    updated = conversation.updated
    return _Counted(
        -math.inf if updated is None else updated.astimezone(UTC).timestamp(),
        sys.intern(created.date().isoformat()),
        tuple(_shown(dimension.of(conversation)) for dimension in _DIMENSIONS),
    )


def _shown(value: str | None) -> str | None:
    """Return a value as it is counted and shown: of a long one the beginning, and how much longer it is."""
    if value is None or not value.strip():
        return None
    return sys.intern(visible(value, LONGEST))


class _Row(NamedTuple):
    """A row of a table, or an entry of its JSON.

    :param name: a value that others wrote, or our own word for several or for none.
    :param number: how many conversations have it.
    """

    name: str | Quoted
    number: int


def _ranked(counts: Counter[str | None]) -> list[_Row]:
    """Return the values that are shown, the most frequent first, and what the others are together."""
    ranked = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0] is None, entry[0] or ""))
    rows = [_Row(NOT_SAID if value is None else Quoted(value), count) for value, count in ranked]
    others = sum(row.number for row in rows[MOST_VALUES:])
    return rows[:MOST_VALUES] + ([_Row(OTHERS, others)] if others else [])


def _latest(days: Mapping[str, int]) -> list[_Row]:
    """Return the days that are shown, and what the days before them are together."""
    rows = [_Row(day, count) for day, count in days.items()]
    earlier = sum(row.number for row in rows[:-MOST_DAYS])
    return ([_Row("earlier", earlier)] if earlier else []) + rows[-MOST_DAYS:]


def _by_name(rows: Iterable[_Row]) -> dict[str, JsonValue]:
    """Return rows as plain JSON; a value that is spelled as one of our own words counts with it."""
    counts: Counter[str] = Counter()
    for name, count in rows:
        counts[name if isinstance(name, str) else name.text] += count
    return dict(counts)


def _rows(dimension: str, rows: Iterable[_Row]) -> Iterator[str]:
    """Yield the rows of a table; a pipe would end the cell, in code as well."""
    for index, (name, count) in enumerate(rows):
        cell = in_code(name).replace("|", "\\|")
        yield f"| {'' if index else dimension} | {cell} | {count} |"


def _in_words(conversations: int) -> str:
    return "1 conversation" if conversations == 1 else f"{conversations:,} conversations"
