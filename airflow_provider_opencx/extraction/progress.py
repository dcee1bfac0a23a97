"""Logs the progress of a long extraction: a line a minute, with the remaining work and time."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from airflow_provider_opencx.extraction.sources import Row

if TYPE_CHECKING:
    from airflow_provider_opencx.client.pagination import Listed

A_LINE_EVERY = 60.0
"""Seconds between two lines."""

_MOST_PROBLEMS = 10

log = logging.getLogger(__name__)


class Progress:
    """The progress of an extraction.

    :param noun: what messages call several of the items.
    """

    def __init__(self, noun: str) -> None:
        self._noun = noun
        self._said_at = time.monotonic()
        self._pages = 0
        self._rows = 0
        self.unreadable = 0
        """How many items could not be read, and are in no file."""

    def page(self, page: Listed[Row]) -> None:
        """Note that a page of the list was read."""
        self._pages += 1
        self._rows += len(page)
        for problem in page.problems[: max(0, _MOST_PROBLEMS - self.unreadable)]:
            log.warning("An item of the list of %s cannot be read, and will be in no file: %s", self._noun, problem)
        self.unreadable += page.unreadable
        if self._is_due():
            log.info("%s pages with %s %s were read so far.", f"{self._pages:,}", f"{self._rows:,}", self._noun)

    def histories(self, done: int, total: int, began: float) -> None:
        """Note that histories were read.

        :param done: how many were read since this try began.
        :param total: how many this try has to read.
        :param began: when it began to, by ``time.monotonic()``.
        """
        if done and self._is_due():
            log.info(
                "%s", histories_read(done, total, time.monotonic() - began, datetime.fromtimestamp(time.time(), UTC))
            )

    def _is_due(self) -> bool:
        if time.monotonic() - self._said_at < A_LINE_EVERY:
            return False
        self._said_at = time.monotonic()
        return True


def histories_read(done: int, total: int, seconds: float, now: datetime) -> str:
    """Return how far the reading of histories is, in a sentence.

    :param done: how many were read, one or more.
    :param total: how many there are to read.
    :param seconds: how long the ones that were read took.
    :param now: the time.
    """
    left = timedelta(seconds=round(seconds / done * (total - done)))
    return (
        f"Histories read: {done:,} of {total:,}. Left: {total - done:,}, which take {left} at this pace: until"
        f" {(now + left).isoformat(timespec='minutes')}."
    )
