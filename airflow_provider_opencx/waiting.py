"""Shared by all waits: counts failed polls and missing items, and times the next poll. Pure, except for its log."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

from pydantic import JsonValue

from airflow_provider_opencx.exceptions import OpenCXError, OpenCXRateLimitError
from airflow_provider_opencx.reconciliation.listing import LAGS_FOR

TOLERATED_FAILED_POLLS = 5
"""Consecutive failed polls tolerated before the wait fails."""

TOLERATED_MISSING_POLLS = 2
"""Consecutive polls in which an item may be missing by its id, however much time lies between them."""

LONGEST_POLL_INTERVAL = 3600.0
"""Seconds to which a 429 stretches the poll interval at most."""

ReadT = TypeVar("ReadT")


class Wait(Protocol):
    """The interface of a wait for a sensor and a trigger."""

    @property
    def is_for_one(self) -> bool:
        """Whether one thing is waited for, and not a list of them."""

    @property
    def is_for_none(self) -> bool:
        """Whether there is nothing to wait for."""

    @property
    def is_counting_errors(self) -> bool:
        """Whether the last poll failed or did not show an item, so that the next may be decisive."""

    @property
    def goal(self) -> str:
        """The goal of the wait, for messages."""

    @property
    def described(self) -> str:
        """All that is waited for by name or id, for a timeout of which the progress is not known."""

    @property
    def progress(self) -> str:
        """The progress in a sentence, for the log and for a timeout."""


class Evaluated(Protocol):
    """A wait that has just evaluated a poll, and knows what to log of it."""

    @property
    def warnings(self) -> Sequence[str]:
        """The warnings."""

    @property
    def made_progress(self) -> bool:
        """Whether the poll has changed what is known."""


class Poll(NamedTuple, Generic[ReadT]):
    """One poll, evaluated.

    :param response: what was read, or the error for which it could not be read.
    :param result: what was waited for, as plain JSON; ``None`` while the wait continues.
    """

    response: ReadT | OpenCXError
    result: JsonValue


def log_poll(log: logging.Logger, wait: Evaluated, progress: str | None) -> None:
    """Log what a poll has shown.

    :param log: the logger of the caller.
    :param wait: the wait that has evaluated the poll.
    :param progress: how far it is; ``None`` if the wait is over.
    """
    for warning in wait.warnings:
        log.warning(warning)
    if progress is not None:
        log.log(logging.INFO if wait.made_progress else logging.DEBUG, progress)


class FailedPolls:
    """Counts the failed polls of a wait that come one after another."""

    def __init__(self) -> None:
        self.in_a_row = 0

    def count(self, error: OpenCXError, goal: str) -> None:
        """Count a poll that failed; one that the rate limit has kept from being made is none.

        :param error: why it failed.
        :param goal: what is waited for, for messages.
        :raises OpenCXError: if the wait must stop: the error is permanent, or too many polls have failed.
        """
        if error.is_permanent:
            raise error.with_message(f"Stopped waiting for {goal}: {error}")
        if isinstance(error, OpenCXRateLimitError):
            return
        self.in_a_row += 1
        if self.in_a_row > TOLERATED_FAILED_POLLS:
            raise error.with_message(f"Stopped waiting for {goal} after {self.in_a_row} failed polls in a row. {error}")

    def end(self) -> None:
        """Begin again, after a poll that did not fail."""
        self.in_a_row = 0


class Missing(NamedTuple):
    """Counts how long an item has been missing by its id.

    :param since: when the first poll did not show it, by ``time.monotonic()``.
    :param polls: how many polls in a row have not shown it.
    """

    since: float
    polls: int


class MissingItems:
    """The items that the last polls have not shown; one may be missing for a while after it was created."""

    def __init__(self) -> None:
        self._missing: Mapping[str, Missing] = {}

    def __bool__(self) -> bool:
        """Return whether the last poll did not show one of them."""
        return bool(self._missing)

    def note(self, missing: Iterable[str], at: float) -> None:
        """Note a poll.

        :param missing: the ids that it did not show; an item that it showed is not missing any more.
        :param at: when it began, by ``time.monotonic()``.
        """
        self._missing = {item_id: _once_more(self._missing.get(item_id), at) for item_id in missing}

    def gone(self, at: float) -> list[str]:
        """Return the ids that have been missing for too long to come back."""
        return [item_id for item_id, missing in self._missing.items() if _is_gone(missing, at)]

    def observed(self, gone: Collection[str], at: float) -> str:
        """Return how long some items have been missing at least, for messages."""
        seconds = min(at - self._missing[item_id].since for item_id in gone)
        polls = min(self._missing[item_id].polls for item_id in gone)
        return f"missing for {seconds:.0f} s, in {polls} polls in a row"


def _once_more(missing: Missing | None, at: float) -> Missing:
    return Missing(at, 1) if missing is None else Missing(missing.since, missing.polls + 1)


def _is_gone(missing: Missing, at: float) -> bool:
    return missing.polls > TOLERATED_MISSING_POLLS and at - missing.since >= LAGS_FOR


def next_poll_in(interval: float, poll: object) -> float:
    """Return the seconds until the next poll: the interval, stretched after a 429."""
    if not isinstance(poll, OpenCXRateLimitError):
        return interval
    asked = 2 * interval if poll.retry_after is None else poll.retry_after
    return max(interval, min(asked, LONGEST_POLL_INTERVAL))
