"""Decides when a phone agent gets, loses and changes its phone number, and when the agent disappears."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator

from airflow_provider_opencx.simulator.clock import duration

Event = Literal["given", "lost", "changed", "gone"]
"""The agent gets a number if it has none, loses its number, gets another number, or is removed."""

_READS = re.compile(r"(?P<number>[0-9]+)\s*reads?")
_LATER_STEP = re.compile(rf"(?P<event>{'|'.join(get_args(Event))})\s+after\s+(?P<when>.+)")
_EXAMPLES = "now, 5s, 500ms, 2m, 3reads or never; and then, for example, 'lost after 10s', 'given', 'changed' or 'gone'"


@dataclass(frozen=True, slots=True)
class Step:
    """An event, and how many seconds or reads of the list after the step before it occurs."""

    event: Event
    seconds: float | None = None
    reads: int | None = None


@dataclass(frozen=True, slots=True)
class PendingSteps:
    """The steps that have not occurred yet, and the time and read count from which the first of them counts."""

    steps: tuple[Step, ...]
    time: float
    reads: int

    def next_event(self, time: float, reads: int) -> tuple[Event, PendingSteps] | None:
        """Return the next event and the steps after it, or None if nothing is due.

        :param time: the current time
        :param reads: how often the list was read so far
        """
        if not self.steps:
            return None
        step, rest = self.steps[0], self.steps[1:]
        if step.seconds is not None and time >= self.time + step.seconds:
            return step.event, PendingSteps(rest, self.time + step.seconds, reads)
        if step.reads is not None and reads >= self.reads + step.reads:
            return step.event, PendingSteps(rest, time, self.reads + step.reads)
        return None


@dataclass(frozen=True, slots=True)
class Progression:
    """The steps of a phone number, one after the other."""

    steps: tuple[Step, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Progression:
        """Parse a progression; raises a ValueError if the text is not one.

        :param text: when the number is given: ``now``, ``5s``, ``3reads`` (three reads of the organization's list do
            not show it, the fourth does) or ``never``; later events follow after commas: ``now, lost after 10s``,
            ``5s, changed after 3reads``, ``never, gone after 1m``, ``now, lost after 1m, given after 1m``
        """
        first, *later = (part.strip() for part in text.lower().split(","))
        try:
            given = () if first == "never" else (_step("given", first),)
            return cls((*given, *(_later_step(part) for part in later)))
        except ValueError:
            raise ValueError(f"{text!r} is not a progression of a phone number: write {_EXAMPLES}.") from None

    def start(self, time: float, reads: int) -> PendingSteps:
        """Return all steps, counting from a time and a read count."""
        return PendingSteps(self.steps, time, reads)


def _check(text: str) -> str:
    Progression.parse(text)
    return text


ProgressionText = Annotated[str, AfterValidator(_check)]
"""A text that ``Progression.parse()`` accepts, for pydantic models."""


def _later_step(text: str) -> Step:
    form = _LATER_STEP.fullmatch(text)
    if form is None:
        raise ValueError(text)
    event: Event = next(event for event in get_args(Event) if event == form["event"])
    return _step(event, form["when"])


def _step(event: Event, when: str) -> Step:
    if when == "now":
        return Step(event, seconds=0)
    if reads := _READS.fullmatch(when):
        return Step(event, reads=int(reads["number"]))
    return Step(event, seconds=duration(when))
