"""Previews a sequence for an approval before it is started. Sends nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_opencx.campaigns.calling_hours import DEFAULT_HOURS, CallingHours
from airflow_provider_opencx.campaigns.preview import described_hours, people_in_words
from airflow_provider_opencx.campaigns.sequences.declaration import AskedSequence
from airflow_provider_opencx.campaigns.sequences.steps import agents_of
from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.phone_agents.plan import id_of
from airflow_provider_opencx.reconciliation.plan_document import Block, Document, Line, Words, quoted, to_markdown

if TYPE_CHECKING:
    from pydantic import JsonValue

_LEFT_OUT: Mapping[str, str] = {
    "do_not_call": "On the do-not-call list",
    "unknown_zone": "With a number that shows no time zone",
    "missing": "No contact of the organization",
}
_LATER_STEPS = "The service times the steps after the start: a step that begins later may call at another hour."
_MINUTES_AN_HOUR, _HOURS_A_DAY = 60, 24


@dataclass(frozen=True)
class SequencePreview:
    """A preview of a sequence. It does not say whether it may be started at this moment: an approval comes later.

    :param sequence: the sequence, as the create operator returned it.
    :param asked: what was asked of it.
    :param agents: the agents that call, each with ``id``, ``name`` and ``phone_number``.
    :param hours: when it may be started; ``None`` means any time.
    """

    sequence: Mapping[str, JsonValue]
    asked: AskedSequence
    agents: Sequence[Mapping[str, JsonValue]]
    hours: CallingHours | None

    @property
    def summary(self) -> str:
        """The preview in a sentence."""
        return f"{self._whom()}, {_count(self._left_out)} left out."

    @property
    def markdown(self) -> str:
        """The preview as people read it, in Markdown. It has no number of a person who is called."""
        zones = self.sequence.get("zones")
        lines = [
            ("Sequence: ", quoted(_text(self.sequence, "name")), " (", quoted(_text(self.sequence, "id")), ")"),
            *(self._agent(agent) for agent in self.agents),
            *((f"Step {index + 1}: ", *self._step(index)) for index in range(len(self.asked.steps))),
            (
                "Started only in these hours:"
                f" {described_hours(self.hours, map(str, zones) if isinstance(zones, list) else ())}",
            ),
            *((_LATER_STEPS,),) * (len(self.asked.steps) > 1 or any(map(_delay, self.asked.steps))),
        ]
        left_out = [f"{words}: {self._left_out[reason]}" for reason, words in _LEFT_OUT.items()]
        blocks = (
            Block((self._whom(),), tuple(map(Line, lines))),
            Block((f"{people_in_words(_count(self._left_out))} left out",), tuple(Line((text,)) for text in left_out)),
        )
        return to_markdown(Document(blocks))

    def as_dict(self) -> dict[str, JsonValue]:
        """Return the preview as plain JSON, with the sequence: a start that is given it starts what was shown."""
        return {
            "sequence": dict(self.sequence),
            "people": self.asked.people,
            "left_out": dict(self._left_out),
            "summary": self.summary,
            "markdown": self.markdown,
        }

    @property
    def _left_out(self) -> Mapping[str, int]:
        found = self.sequence.get("left_out")
        counts = found if isinstance(found, dict) else {}
        return {reason: count if isinstance(count := counts.get(reason), int) else 0 for reason in _LEFT_OUT}

    def _whom(self) -> str:
        people = self.asked.people
        return "Number of people unknown" if people is None else f"{people_in_words(people)} to call"

    def _step(self, index: int) -> Words:
        step = self.asked.steps[index]
        action, delay = step.get("action"), _delay(step)
        kind = action.get("type") if isinstance(action, dict) else None
        names = [_text(agent, "name") for agent in self.agents if id_of(agent) in agents_of([step])]
        done: Words = ("a call by ", quoted(names[0])) if names else (str(kind),)
        before = "the step before" if index else "the start"
        return (*done, f", {_duration(delay)} after {before}" if delay else "")

    @staticmethod
    def _agent(agent: Mapping[str, JsonValue]) -> Words:
        number = _text(agent, "phone_number") or "no number yet"
        return ("Agent: ", quoted(_text(agent, "name")), " from ", quoted(number))


def preview_sequence(
    sequence: Mapping[str, JsonValue],
    agents: Mapping[str, JsonValue] | Sequence[Mapping[str, JsonValue]],
    *,
    calling_hours: str | Mapping[str, str] | None = DEFAULT_HOURS,
) -> SequencePreview:
    """Return what a sequence would do, without a request.

    :param sequence: what :class:`.operators.sequence.OpenCXCreateSequenceOperator` returned.
    :param agents: the agents that call, as tasks or the hook returned them.
    :param calling_hours: when it may be started, as :class:`.operators.sequence.OpenCXStartSequenceOperator` takes it.
    :raises OpenCXArgumentError: if the sequence is not such a result, or an agent that calls is not among the agents.
    """
    asked = AskedSequence.from_result(sequence) if isinstance(sequence, Mapping) else None
    if asked is None:
        raise OpenCXArgumentError("sequence: must be what OpenCXCreateSequenceOperator returned")
    given = [agents] if isinstance(agents, Mapping) else agents or ()
    by_id = {id_of(agent): agent for agent in given}
    missing = [agent_id for agent_id in agents_of(asked.steps) if agent_id is not None and agent_id not in by_id]
    if missing:
        raise OpenCXArgumentError(f"agents: {missing[0]!r}, which calls in a step, is not among them")
    calling = [by_id[agent_id] for agent_id in agents_of(asked.steps) if agent_id is not None]
    hours = None if calling_hours is None else CallingHours.parse(calling_hours)
    return SequencePreview(sequence, asked, calling, hours)


def _delay(step: Mapping[str, JsonValue]) -> float:
    delay = step.get("delay_in_minutes")
    return delay if isinstance(delay, int | float) else 0


def _duration(minutes: float) -> str:
    if minutes % (_MINUTES_AN_HOUR * _HOURS_A_DAY) == 0:
        return _counted(minutes / _MINUTES_AN_HOUR / _HOURS_A_DAY, "day")
    return (
        _counted(minutes / _MINUTES_AN_HOUR, "hour") if minutes % _MINUTES_AN_HOUR == 0 else _counted(minutes, "minute")
    )


def _counted(number: float, unit: str) -> str:
    return f"{number:g} {unit}{'' if number == 1 else 's'}"


def _text(values: Mapping[str, JsonValue], key: str) -> str:
    value = values.get(key)
    return value if isinstance(value, str) else ""


def _count(left_out: Mapping[str, int]) -> int:
    return sum(left_out.values())
