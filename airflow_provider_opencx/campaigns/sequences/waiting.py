"""Decides what a poll means for a task that waits for sequences. Pure, so every mode of the sensor shares it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Literal, TypeAlias

from pydantic import JsonValue

from airflow_provider_opencx.arguments import check_choice
from airflow_provider_opencx.campaigns.sequences.ids import checked_sequence_ids
from airflow_provider_opencx.exceptions import (
    OpenCXError,
    OpenCXNotFoundPermanentError,
    OpenCXSequenceCanceledError,
    OpenCXSequenceRefusedError,
)
from airflow_provider_opencx.resources.sequences import OutboundSequence, sequence_label
from airflow_provider_opencx.text import listed
from airflow_provider_opencx.waiting import FailedPolls, MissingItems

Until: TypeAlias = Literal["started", "ended", "canceled"]
"""The state to wait for."""

_MOST_SHOWN = 10


@dataclass(frozen=True)
class _Words:
    """The nouns and verbs for messages about a wait.

    :param to_happen: what a sequence is to do.
    :param happened: what it has done then.
    """

    to_happen: str
    happened: str


_WORDS: Mapping[str, _Words] = {
    "started": _Words("begin", "begun"),
    "ended": _Words("end", "ended"),
    "canceled": _Words("be canceled", "been canceled"),
}


class SequenceWait:
    """One sequence that is waited for, and the polls of it so far.

    :param sequence_id: its id, or its custom id where the service finds by it: one that stays missing for ``LAGS_FOR``
        seconds is an error.
    :param until: what is waited for.

    Of the last poll, ``made_progress`` is whether it has changed what is known of the sequence, and ``warnings`` is
    what to log of it. ``polled_at`` is when the last poll began that did not fail, by ``time.monotonic()``.
    """

    def __init__(self, sequence_id: str, until: Until) -> None:
        self.sequence_id = sequence_id
        self.until = until
        self.polled_at = -inf
        self.made_progress = False
        self.warnings: list[str] = []
        self.reached: OutboundSequence | None = None
        """The sequence, as soon as it has done what is waited for."""
        self._failed_polls = FailedPolls()
        self._missing = MissingItems()
        self._seen: OutboundSequence | None = None

    def __str__(self) -> str:
        return sequence_label(self.sequence_id) if self._seen is None else self._seen.label

    @property
    def is_counting_errors(self) -> bool:
        """Whether the last poll failed or did not show the sequence, so that the next may be decisive."""
        return self._failed_polls.in_a_row > 0 or bool(self._missing)

    @property
    def goal(self) -> str:
        """The goal of the wait, for messages."""
        return f"{self} to {_WORDS[self.until].to_happen}"

    @property
    def state(self) -> str:
        """The progress of the sequence, as the rest of a sentence that begins with its name."""
        if self._missing:
            return "is not shown by the service"
        if self._seen is None:
            return "was not read yet"
        return _state(self._seen)

    def evaluate(self, poll: OutboundSequence | OpenCXError | None, at: float) -> OutboundSequence | None:
        """Return the sequence if it has done what is waited for; ``None`` if the wait continues.

        :param poll: the sequence; ``None`` if there is none, or the error for which it could not be read.
        :param at: when it was asked for, by ``time.monotonic()``.
        :raises OpenCXError: if the wait must stop.
        """
        self.made_progress, self.warnings = False, []
        if isinstance(poll, OpenCXError):
            self._failed_polls.count(poll, self.goal)
            return None
        self._failed_polls.end()
        self.polled_at = at
        before = self.state
        self._missing.note([] if poll is not None else [self.sequence_id], at)
        self._check_not_gone(at)
        if poll is not None:
            self._seen = poll
            if self._has_happened(poll):
                self.reached = poll
        self.made_progress = self.state != before
        return self.reached

    def _check_not_gone(self, at: float) -> None:
        if gone := self._missing.gone(at):
            raise OpenCXNotFoundPermanentError(
                f"There is no {self} in this organization: {self._missing.observed(gone, at)}. Is its id misspelt, does"
                " the connection's API key belong to another organization, or is this a custom id? Not every service"
                " finds a sequence by its custom id: give the id that its creation returned.",
                status_code=404,
            )

    def _has_happened(self, sequence: OutboundSequence) -> bool:
        """Return whether a sequence has done what is waited for; raises if it never will."""
        if self.until == "canceled":
            if sequence.has_ended and not sequence.is_canceled:
                raise OpenCXSequenceRefusedError(
                    f"The {sequence.label} has ended and was not canceled, so it never will be. Wait for its end with"
                    " until='ended', or cancel it before all of its steps are over.",
                    sequence_id=sequence.id,
                )
            return sequence.is_canceled
        has_happened = sequence.has_begun if self.until == "started" else sequence.has_ended
        if sequence.is_canceled:
            if not has_happened:
                raise _canceled(sequence, self.until)
            if self.until == "started":
                self.warnings.append(f"The {sequence.label} has begun, and was canceled later.")
        return has_happened


class SequenceWaits:
    """The sequences that one task waits for: one, or several that must all get there.

    :param sequence_id: an id, a custom id, or a sequence as a task returns it; or a list of these.
    :param until: what is waited for.
    :raises OpenCXArgumentError: if an argument is wrong.
    """

    def __init__(self, sequence_id: object, until: Until) -> None:
        self.sequence_id = checked_sequence_ids(sequence_id)
        self.is_for_one = isinstance(self.sequence_id, str)
        self._wanted = [self.sequence_id] if isinstance(self.sequence_id, str) else self.sequence_id
        self._words = _WORDS[checked_until(until)]
        self._waits = {wanted: SequenceWait(wanted, until) for wanted in dict.fromkeys(self._wanted)}

    def __str__(self) -> str:
        if self.is_for_one:
            return str(self._waits[self._wanted[0]])
        return _counted(len(self._waits))

    @property
    def is_for_none(self) -> bool:
        """Whether the list is empty, so that there is nothing to poll for."""
        return not self._wanted

    @property
    def is_over(self) -> bool:
        """Whether all have done what is waited for."""
        return not self._open

    @property
    def open(self) -> list[SequenceWait]:
        """Those that have not done it yet, each once; those first that were not polled for the longest time."""
        return sorted(self._open, key=lambda wait: wait.polled_at)

    @property
    def _open(self) -> list[SequenceWait]:
        return [wait for wait in self._waits.values() if wait.reached is None]

    @property
    def is_counting_errors(self) -> bool:
        """Whether the last poll of one failed or did not show it, so that the next may be decisive."""
        return any(wait.is_counting_errors for wait in self._waits.values())

    @property
    def goal(self) -> str:
        """The goal of the wait, for messages."""
        return f"{self} to {self._words.to_happen}"

    @property
    def described(self) -> str:
        """All that is waited for by name or id, for a timeout of which the progress is not known."""
        return (
            self.goal if self.is_for_one else f"{self.goal} ({listed([_name(wait) for wait in self._waits.values()])})"
        )

    @property
    def progress(self) -> str:
        """The progress of the wait, for the log and for a timeout: which sequences are not there, how far they are."""
        if self.is_for_one:
            wait = self._waits[self._wanted[0]]
            return f"{_capitalized(str(wait))} {wait.state}."
        waits = self._open
        there = len(self._waits) - len(waits)
        have = "has" if there == 1 else "have"
        shown = "; ".join(f"{_name(wait)}, which {wait.state}" for wait in waits[:_MOST_SHOWN])
        more = f"; and {len(waits) - _MOST_SHOWN} more" if len(waits) > _MOST_SHOWN else ""
        return f"{there} of {self} {have} {self._words.happened}; still waiting for {shown}{more}."

    @property
    def result(self) -> JsonValue:
        """The task's result, plain JSON: the sequence, or the list of them; ``None`` while the wait continues."""
        if not self.is_over:
            return None
        reached = [self._waits[wanted].reached for wanted in self._wanted]
        results: list[JsonValue] = [sequence.as_result() for sequence in reached if sequence is not None]
        return results[0] if self.is_for_one else results


def _canceled(sequence: OutboundSequence, until: Until) -> OpenCXSequenceCanceledError:
    steps = f" ({_steps(sequence)})" if _steps(sequence) else ""
    return OpenCXSequenceCanceledError(
        f"The {sequence.label} was canceled before it could {_WORDS[until].to_happen}, so it never will{steps}. Create"
        " and start another one if its people are still to be called. A task that waits for the cancellation itself has"
        " until='canceled'.",
        sequence_id=sequence.id,
    )


def _state(sequence: OutboundSequence) -> str:
    """Return how far a sequence is, as a part of a sentence that begins with its name."""
    begun = "has ended" if sequence.has_ended else "has begun" if sequence.has_begun else "has not begun"
    canceled = " and is canceled" if sequence.is_canceled else ""
    steps = f": {_steps(sequence)}" if sequence.has_begun and _steps(sequence) else ""
    return f"{begun}{canceled}{steps}"


def _steps(sequence: OutboundSequence) -> str:
    """Return how many of its steps are over; an empty text where the service shows none."""
    steps = len(sequence.steps or ())
    return f"{sequence.steps_ended} of {steps} {'step is' if steps == 1 else 'steps are'} over" if steps else ""


def success(result: JsonValue, until: Until) -> str:
    """Return that the wait is over, in a sentence for the log.

    :param result: the sequence, or the list of sequences, as the task returns them.
    :param until: what was waited for.
    """
    happened = _WORDS[until].happened
    if isinstance(result, dict):
        return f"{_capitalized(_label(result))} has {happened}."
    sequences = [sequence for sequence in result if isinstance(sequence, dict)] if isinstance(result, list) else []
    names = listed([_label(sequence).removeprefix("sequence ") for sequence in sequences])
    return f"All {_counted(len(sequences))} have {happened}{': ' if sequences else ''}{names}."


def checked_until(until: object) -> Until:
    """Return what is waited for; raises ``OpenCXArgumentError`` if it is not one of the choices."""
    check_choice("until", until, ("started", "ended", "canceled"))
    return "started" if until == "started" else "ended" if until == "ended" else "canceled"


def _name(wait: SequenceWait) -> str:
    """Return what a list of sequences calls one of them."""
    return str(wait).removeprefix("sequence ")


def _label(result: Mapping[str, JsonValue]) -> str:
    name = result.get("name")
    return sequence_label(str(result["id"]), None if name is None else str(name))


def _counted(sequences: int) -> str:
    return f"{sequences:,} {'sequence' if sequences == 1 else 'sequences'}"


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]
