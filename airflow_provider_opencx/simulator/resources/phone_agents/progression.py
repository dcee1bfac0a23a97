"""What becomes of an agent's phone number: when it comes, goes and changes, and when the agent vanishes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

from airflow_provider_opencx.simulator.clock import duration

Event = Literal["given", "lost", "changed", "gone"]
"""An agent without a number is given one; it loses it; it gets another one; the agent itself is gone."""

_READS = re.compile(r"(?P<number>[0-9]+)\s*reads?")
_LATER_STEP = re.compile(rf"(?P<event>{'|'.join(get_args(Event))})\s+after\s+(?P<when>.+)")
_FORMS = "now, 5s, 500ms, 2m, 3reads or never; and then, for example, 'lost after 10s', 'given', 'changed' or 'gone'"


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happens to an agent, so many seconds or so many reads of the list after the step before it."""

    event: Event
    seconds: float | None = None
    reads: int | None = None


@dataclass(frozen=True, slots=True)
class Course:
    """What is still to happen to an agent, and since when and since which read its next step counts."""

    steps: tuple[Step, ...]
    time: float
    reads: int

    def next_step(self, time: float, reads: int) -> tuple[Event, Course] | None:
        """Return what has happened next by this time and this many reads, and the course after it; or None."""
        if not self.steps:
            return None
        step, rest = self.steps[0], self.steps[1:]
        if step.seconds is not None and time >= self.time + step.seconds:
            return step.event, Course(rest, self.time + step.seconds, reads)
        if step.reads is not None and reads >= self.reads + step.reads:
            return step.event, Course(rest, time, self.reads + step.reads)
        return None


@dataclass(frozen=True, slots=True)
class Progression:
    """The steps that an agent takes, one after the other."""

    steps: tuple[Step, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Progression:
        """Read a progression: when the number is given, and after a comma each what happens later.

        ``now``, ``5s``, ``3reads`` (three reads of the organization's list do not show it, the fourth does),
        ``never``; ``now, lost after 10s``; ``5s, changed after 3reads``; ``never, gone after 1m``;
        ``now, lost after 1m, given after 1m``. Raises a ValueError for what cannot be read.
        """
        first, *later = (part.strip() for part in text.lower().split(","))
        try:
            given = () if first == "never" else (_step("given", first),)
            return cls((*given, *(_later_step(part) for part in later)))
        except ValueError:
            raise ValueError(f"{text!r} is not a progression of a phone number: write {_FORMS}.") from None

    def begin(self, time: float, reads: int) -> Course:
        """Begin it at a time and after so many reads."""
        return Course(self.steps, time, reads)


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
