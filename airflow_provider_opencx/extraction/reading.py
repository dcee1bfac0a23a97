"""Reads a list until it is certainly complete, because the list may move while it is read.

The service does not document the order of its lists. Where a page begins by a position, an item that is changed while
the list is read moves away, and another one takes its place on a page that was read already: it is not shown at all.
The service can be asked for what was changed meanwhile. An item that is removed does the same, and no request shows it;
on the vendor's pages, no conversation and no contact is removed.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_opencx.exceptions import OpenCXResponseError
from airflow_provider_opencx.extraction.interval import Interval
from airflow_provider_opencx.extraction.sources import Filters, Source, as_time
from airflow_provider_opencx.resources.times import MARGIN

if TYPE_CHECKING:
    from airflow_provider_opencx.client.client import OpenCXClient
    from airflow_provider_opencx.extraction.progress import Progress
    from airflow_provider_opencx.extraction.spool import Spool

MOST_READINGS = 5
"""How many times a moving list is read before this is an error."""

QUIET_READINGS = 2
"""Readings in a row that show nothing new, after which a list is complete although it moves: one may hide the same."""

MOST_PAGES_WITHOUT_NEWS = 10
"""Pages in a row that show nothing but what the same reading has shown before, after which a list does not end."""

_LATEST_DATE = timedelta(seconds=2)
"""By how much a date is late: it is cut to whole seconds, and some servers make it once a second."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reading:
    """A list that is read into a spool.

    :param client: sends the requests.
    :param source: the list.
    :param spool: where its rows are kept.
    :param progress: notes the pages.
    """

    client: OpenCXClient
    source: Source
    spool: Spool
    progress: Progress

    @property
    def name(self) -> str:
        """The list in messages."""
        return f"the service's list of {self.source.noun}"


def read_all(reading: Reading) -> None:
    """Read a list as a whole.

    :raises OpenCXError: if it cannot be read, or does not end.
    """
    _read_once(reading, Filters())


def read_interval(reading: Reading, interval: Interval, channel_type: str | None) -> None:
    """Read the part of a list that was changed in an interval, until nothing of it can be missing.

    :raises OpenCXResponseError: as :func:`read_until_complete`, or if the interval is not over by the service's clock.
    :raises OpenCXError: as :func:`read_until_complete`.
    """
    after, before = interval.asked
    began = read_until_complete(reading, Filters(channel_type, updated_after=after, updated_before=before))
    if began + _LATEST_DATE < interval.end:
        raise OpenCXResponseError(
            f"the service's clock says {began.isoformat()}, so {interval} is not over, and its file would not be"
            " complete. Nothing was written. Another try may succeed; if none does, the clock of this machine is wrong."
        )


def read_until_complete(reading: Reading, filters: Filters) -> datetime:
    """Read a list until nothing of it can be missing.

    A list of one page is complete. After several pages, the service is asked for what was changed since the first; if
    that may have been on one of them, the list is read again, until it has not moved. Of a service at which something
    changes all the time, :data:`QUIET_READINGS` readings in a row that show no item that is new are enough.

    :return: when the last reading began, by the service's clock.
    :raises OpenCXResponseError: if the list moves at each of :data:`MOST_READINGS` readings, or does not end.
    :raises OpenCXError: if it cannot be read.
    """
    quiet = 0
    for _ in range(MOST_READINGS):
        read = _read_once(reading, filters)
        quiet = 0 if read.new else quiet + 1
        if read.pages <= 1 or quiet == QUIET_READINGS:
            return read.began
        since = replace(filters, updated_after=read.began - MARGIN, updated_before=None)
        if not read.has_moved and not _may_have_moved(reading, since, filters.updated_before):
            return read.began
        log.info("The list of %s may have moved while it was read. It is read again.", reading.source.noun)
    raise OpenCXResponseError(
        f"{reading.name} changes faster than it can be read: each of {MOST_READINGS} readings showed what the ones"
        " before did not. Nothing was written. Choose a shorter interval, or read it later."
    )


class _Read(NamedTuple):
    """A list that was read once.

    :param began: when, by the service's clock; by that of this machine, where the service did not say.
    :param pages: how many pages it has.
    :param new: how many items no reading has shown before.
    :param has_moved: whether an item was shown before it was changed, and after it.
    """

    began: datetime
    pages: int
    new: int
    has_moved: bool


def _read_once(reading: Reading, filters: Filters) -> _Read:
    began = datetime.fromtimestamp(time.time(), UTC)
    pages = new = stale = 0
    has_moved = False
    reading.spool.begin_reading()
    for page in reading.source.pages(reading.client, filters):
        if not pages:
            began = page.date or began
        added = reading.spool.add(page)
        pages += 1
        new += added.new
        has_moved = has_moved or added.has_moved
        stale = 0 if added.unseen or not page else stale + 1
        if stale == MOST_PAGES_WITHOUT_NEWS:
            raise OpenCXResponseError(f"{reading.name} does not end: {stale} pages in a row show nothing new.")
        reading.progress.page(page)
    return _Read(began, pages, new, has_moved)


def _may_have_moved(reading: Reading, since: Filters, before: datetime | None) -> bool:
    """Return whether something was changed that may have been in the list before.

    :param since: asks for what was changed since the reading began.
    :param before: the end of what the list was asked for: what was created later was not in it. What was beyond an
        interval, in the margin, was: where it leaves the list, all after it moves.
    """
    end = "~" if before is None else as_time(before)  # every time is less than the first
    pages = reading.source.pages(reading.client, since)
    return any(row.created <= end and not reading.spool.holds(row) for page in pages for row in page)
