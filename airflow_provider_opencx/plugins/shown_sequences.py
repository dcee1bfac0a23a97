"""Selects what the page shows of a sequence: its state and steps, but no people and no messages. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from pydantic import JsonValue

from airflow_provider_opencx.plugins.last_plan import TaskOfPlan


@dataclass(frozen=True)
class ShownStep:
    """One step.

    :param number: its place, from 1.
    :param action: the type of its action.
    :param delay: minutes after the step before.
    :param started_at: when it began, in the service's words.
    :param ended_at: when it ended.
    """

    number: int
    action: str | None
    delay: str | None
    started_at: str | None
    ended_at: str | None


@dataclass(frozen=True)
class ShownSequence:
    """A sequence as the page shows it.

    :param id: its id.
    :param custom_id: its custom id.
    :param name: its name.
    :param status: its status, in the service's words.
    :param started_at: when it began.
    :param canceled_at: when it was canceled.
    :param ended_at: when it ended.
    :param steps: its steps.
    :param seen_at: when it was in this state.
    :param task: the task that has returned it; ``None`` if the page has read it.
    """

    id: str
    custom_id: str | None
    name: str | None
    status: str | None
    started_at: str | None
    canceled_at: str | None
    ended_at: str | None
    steps: tuple[ShownStep, ...]
    seen_at: datetime | None
    task: TaskOfPlan | None = None

    @classmethod
    def of(cls, sequence: Mapping[str, JsonValue], seen_at: datetime | None, task: TaskOfPlan | None = None) -> Self:
        """Return what is shown of a sequence.

        :param sequence: the sequence, by the service's names of fields; one that was just created has its steps in
            ``asked``.
        """
        asked = sequence.get("asked")
        steps = sequence.get("steps") or (asked.get("steps") if isinstance(asked, dict) else None)
        entries = [step for step in steps if isinstance(step, dict)] if isinstance(steps, list) else []
        texts = {
            name: _text(sequence.get(name))
            for name in ("custom_id", "name", "status", "started_at", "canceled_at", "ended_at")
        }
        return cls(
            id=str(sequence.get("id")),
            steps=tuple(_step(number, entry) for number, entry in enumerate(entries, 1)),
            seen_at=seen_at,
            task=task,
            **texts,
        )

    def as_dict(self) -> dict[str, JsonValue]:
        """Return the sequence as plain JSON."""
        return {
            "id": self.id,
            "custom_id": self.custom_id,
            "name": self.name,
            "status": self.status,
            "started_at": self.started_at,
            "canceled_at": self.canceled_at,
            "ended_at": self.ended_at,
            "steps": [dict(vars(step)) for step in self.steps],
            "seen_at": None if self.seen_at is None else self.seen_at.isoformat(),
        }


def _step(number: int, entry: Mapping[str, JsonValue]) -> ShownStep:
    action = entry.get("action")
    return ShownStep(
        number=number,
        action=_text(action.get("type")) if isinstance(action, dict) else None,
        delay=_text(entry.get("delay_in_minutes")),
        started_at=_text(entry.get("started_at")),
        ended_at=_text(entry.get("ended_at")),
    )


def _text(value: JsonValue) -> str | None:
    return None if value is None or isinstance(value, list | dict) or value == "" else str(value)
