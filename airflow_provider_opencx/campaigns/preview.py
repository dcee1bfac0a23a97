"""Previews a batch of calls for an approval: who is called, by whom and when, and who is left out.

Pure: nothing is sent. The agent is given as another task returned it, such as the sensor for phone numbers.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING

from airflow_provider_opencx.campaigns.agent import check_can_call
from airflow_provider_opencx.campaigns.calling_hours import DEFAULT_HOURS, CallingHours, Span, check_zone
from airflow_provider_opencx.campaigns.contacts import Row, callees
from airflow_provider_opencx.campaigns.guards import DoNotCall, Guards, Hindrance, Verdict, check_count
from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.phone_numbers import check_region
from airflow_provider_opencx.reconciliation.plan_document import Block, Document, Line, quoted, to_markdown
from airflow_provider_opencx.resources.calls import Callee
from airflow_provider_opencx.resources.phone_agents import PhoneAgent
from airflow_provider_opencx.text import listed

if TYPE_CHECKING:
    from pydantic import JsonValue

_MOST_ZONES = 10
_DAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_LEFT_OUT: Mapping[Hindrance, str] = {
    "do_not_call": "On the do-not-call list",
    "unknown_zone": "With a number that shows no time zone",
}


@dataclass(frozen=True)
class CallPreview:
    """A preview of a batch of calls. It does not say who may be called at this moment: an approval comes later.

    :param agent: the agent that calls.
    :param people: the people of the list, each once.
    :param verdicts: of each, whether the person may be called.
    :param repeated: how many rows name somebody whom a row before them names.
    :param hours: when people may be called; ``None`` means any time.
    """

    agent: PhoneAgent
    people: Sequence[Callee]
    verdicts: Sequence[Verdict]
    repeated: int
    hours: CallingHours | None

    @property
    def to_call(self) -> int:
        """How many people would be called, each within the calling hours."""
        return len(self.people) - sum(self.left_out.values())

    @property
    def left_out(self) -> dict[Hindrance, int]:
        """How many people are left out for a reason other than the time, by the reason."""
        found = Counter(verdict.hindrance for verdict in self.verdicts)
        return {hindrance: found[hindrance] for hindrance in _LEFT_OUT}

    @property
    def summary(self) -> str:
        """The preview in a sentence."""
        return f"{people_in_words(self.to_call)} to call, {sum(self.left_out.values())} left out."

    @property
    def markdown(self) -> str:
        """The preview as people read it, in Markdown. It has no number of a person."""
        agent = self.agent
        lines = [
            ("Agent: ", quoted(agent.name or ""), " (", quoted(agent.id), ")"),
            ("From the number: ", quoted(agent.phone_number or "")),
            (f"Hours: {described_hours(self.hours, {zone for each in self.verdicts for zone in each.zones})}",),
        ]
        left_out = [f"{_LEFT_OUT[reason]}: {count}" for reason, count in self.left_out.items()]
        left_out.append(f"Rows that name somebody a second time: {self.repeated}")
        blocks = (
            Block((f"{people_in_words(self.to_call)} to call",), tuple(map(Line, lines))),
            Block(
                (f"{people_in_words(sum(self.left_out.values()))} left out",), tuple(Line((text,)) for text in left_out)
            ),
        )
        return to_markdown(Document(blocks))

    def as_dict(self) -> dict[str, JsonValue]:
        """Return the preview as plain JSON.

        ``contacts`` are those who would be called, as the operator and the sensor take them.
        """
        return {
            "agent_id": self.agent.id,
            "contacts": [
                {"phone_number": each.phone_number, "contact_id": each.contact_id}
                for each, verdict in zip(self.people, self.verdicts, strict=True)
                if verdict.hindrance not in _LEFT_OUT
            ],
            "to_call": self.to_call,
            "left_out": {str(reason): count for reason, count in self.left_out.items()},
            "summary": self.summary,
            "markdown": self.markdown,
        }


def preview_calls(
    agent: PhoneAgent | Mapping[str, JsonValue],
    contacts: Sequence[object],
    *,
    do_not_call: Sequence[object] | None = None,
    calling_hours: str | Mapping[str, str] | None = DEFAULT_HOURS,
    max_contacts: int | None = 100,
    unknown_zone: str | None = None,
    default_region: str | None = None,
    unchecked: bool = False,
) -> CallPreview:
    """Return what a batch of calls would do, without a request.

    The arguments mean what they mean for :class:`.operators.call.OpenCXPlaceCallOperator`, and what that refuses
    before its first request is refused here.

    :param agent: the agent that calls, as a task or the hook returned it.
    :param contacts: the people: numbers, or mappings with ``phone_number`` or ``contact_id``; no path of a file.
    :param do_not_call: who must not be called, in the same form; ``None`` means no list.
    :raises OpenCXCallRefusedError: if the agent is not outbound, or there are more people than ``max_contacts``.
    :raises OpenCXAgentNotReadyError: if the agent has no number.
    :raises OpenCXArgumentError: if somebody cannot be read, or an argument is not as it must be.
    """
    caller = agent if isinstance(agent, PhoneAgent) else PhoneAgent.model_validate(dict(agent))
    check_can_call(caller)
    check_zone("unknown_zone", unknown_zone)
    check_region("default_region", default_region)
    people = callees(_rows(contacts, "contacts"), default_region=default_region)
    check_count(len(people), max_contacts, "contacts holds")
    guards = Guards(
        None if do_not_call is None else DoNotCall.of(_rows(do_not_call, "do_not_call"), default_region=default_region),
        None if calling_hours is None else CallingHours.parse(calling_hours),
        unknown_zone,
        unchecked,
    )
    guards.check_known(people)
    now = datetime.fromtimestamp(time.time(), UTC)
    verdicts = [guards.verdict(callee, now) for callee in people]
    return CallPreview(caller, people, verdicts, len(contacts) - len(people), guards.hours)


def _rows(people: Sequence[object], argument: str) -> Iterator[Row]:
    if isinstance(people, str | Mapping):
        raise OpenCXArgumentError(f"{argument}: must be a list of people; read a file before")
    return ((f"{argument}[{index}]", row) for index, row in enumerate(people))


def described_hours(hours: CallingHours | None, zones: Iterable[str]) -> str:
    """Return calling hours in words, with the time zones of those who are called.

    :param hours: the hours; ``None`` means any time.
    :param zones: the time zones; none if they are not known.
    """
    if hours is None:
        return "at any time"
    named = sorted(zones)
    where = f", by the clock in {listed(named, _MOST_ZONES)}" if named else ""
    return f"{', '.join(_in_words(hours))}{where}"


def people_in_words(count: int) -> str:
    """Return how many people, in words."""
    return "1 person" if count == 1 else f"{count:,} people"


def _in_words(hours: CallingHours) -> Iterator[str]:
    """Return the hours of each day, days with the same hours together."""
    for spans, days in groupby(range(len(_DAY_NAMES)), key=lambda day: hours.by_day[day]):
        first, *others = (_DAY_NAMES[day] for day in days)
        which = f"{first} to {others[-1]}" if others else first
        which = "every day" if len(others) == len(_DAY_NAMES) - 1 else which
        yield f"{which} {' and '.join(map(_span, spans))}" if spans else f"{which} never"


def _span(span: Span) -> str:
    begin, end = (f"{minute // 60:02}:{minute % 60:02}" for minute in span)
    return f"{begin} to {end}"
