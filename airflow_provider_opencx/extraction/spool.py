"""Keeps the rows of a list on the disk of the worker, so that a list of any length needs little memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

from airflow_provider_opencx.extraction.interval import Interval
from airflow_provider_opencx.extraction.sources import Row, as_time

_TABLES = """
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    CREATE TABLE items (id TEXT PRIMARY KEY, time TEXT NOT NULL, text TEXT NOT NULL, reading INTEGER NOT NULL);
    CREATE INDEX by_time ON items (time, id);
    CREATE TABLE histories (id TEXT PRIMARY KEY, time TEXT NOT NULL, text TEXT NOT NULL);
    CREATE TABLE bounds (first TEXT NOT NULL, beyond TEXT NOT NULL);
    CREATE VIEW wanted AS
        SELECT items.id, items.time, items.text, histories.text AS history
        FROM items CROSS JOIN bounds LEFT JOIN histories ON histories.id = items.id AND histories.time = items.time
        WHERE items.time = '' OR (bounds.first <= items.time AND items.time < bounds.beyond);
"""
# This file does not outlive the process, so it needs no safe writes. The items come first in the view, so that queries
# use the index and need no sorting.


class Added(NamedTuple):
    """The content of a page.

    :param unseen: how many of its items this reading of the list has not shown before.
    :param new: how many items no reading has shown before.
    :param has_moved: whether it shows an item again that this reading has shown before it was changed.
    """

    unseen: int
    new: int
    has_moved: bool


@dataclass(frozen=True)
class SpooledRow:
    """A row as it comes back.

    :param id: the id of the item.
    :param time: when it was changed, see :class:`.sources.Row`.
    :param text: the item as one line of JSON.
    :param history: its history as JSON; ``None`` where none was read.
    """

    id: str
    time: str
    text: str
    history: str | None


class Spool:
    """The newest row of each item that a list has shown, and the histories that were read.

    What was changed while the list was read is shown as it was, as it is, or both: the newest row counts, and says
    whether the item is in the interval.

    :param folder: a folder of the worker for the file.
    :param interval: the interval that is extracted; ``None`` is all time.
    """

    def __init__(self, folder: Path, interval: Interval | None) -> None:
        self._reading = 0
        file = folder / "spool.sqlite"
        self._database = sqlite3.connect(file, isolation_level=None)
        self._database.executescript(_TABLES)
        file.unlink()  # it is there until the process ends, however that ends: a kill leaves nobody's conversations
        bounds = ("", "~") if interval is None else (as_time(interval.start), as_time(interval.end))
        self._database.execute("INSERT INTO bounds VALUES (?, ?)", bounds)  # every time is between the first two

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def begin_reading(self) -> None:
        """Begin to read the list from its first page."""
        self._reading += 1

    def add(self, rows: Iterable[Row]) -> Added:
        """Add the rows of a page."""
        unseen = new = 0
        has_moved = False
        self._database.execute("BEGIN")
        for row in rows:
            time, reading = self._known(row.id)
            new += reading == 0
            unseen += reading != self._reading
            has_moved = has_moved or (reading == self._reading and row.time > time)
            self._keep(row, is_newer=not reading or is_newer(row, time))
        self._database.execute("COMMIT")
        return Added(unseen, new, has_moved)

    def _known(self, item_id: str) -> tuple[str, int]:
        """Return when an item was changed, and which reading has shown it last; 0 is none."""
        query = "SELECT time, reading FROM items WHERE id = ?"
        found: tuple[str, int] | None = self._database.execute(query, (item_id,)).fetchone()
        return found or ("", 0)

    def _keep(self, row: Row, *, is_newer: bool) -> None:
        if is_newer:
            values = (row.id, row.time, row.text, self._reading)
            self._database.execute("INSERT OR REPLACE INTO items VALUES (?, ?, ?, ?)", values)
        else:
            self._database.execute("UPDATE items SET reading = ? WHERE id = ?", (self._reading, row.id))

    def holds(self, row: Row) -> bool:
        """Return whether the newest row of an item is as new as this one."""
        return self._number("SELECT count(*) FROM items WHERE id = ? AND time = ?", (row.id, row.time)) > 0

    def add_history(self, item_id: str, time: str, text: str) -> None:
        """Add the history of an item, as JSON.

        :param time: when the item was changed, as its row says: a row that is newer needs its history again.
        """
        self._database.execute("INSERT OR REPLACE INTO histories VALUES (?, ?, ?)", (item_id, time, text))

    def without_history(self, most: int) -> list[tuple[str, str]]:
        """Return id and time of items in the interval whose history is not there, in the order of :meth:`rows`.

        :param most: how many of them.
        """
        query = "SELECT id, time FROM wanted WHERE history IS NULL ORDER BY time, id LIMIT ?"
        return self._database.execute(query, (most,)).fetchall()

    def count_without_history(self) -> int:
        """Return how many items in the interval have no history yet."""
        return self._number("SELECT count(*) FROM wanted WHERE history IS NULL")

    def rows(self) -> Generator[SpooledRow]:
        """Yield the items in the interval: by when they were changed, then by id."""
        query = "SELECT id, time, text, history FROM wanted ORDER BY time, id"
        yield from (SpooledRow(*row) for row in self._database.execute(query))

    def count(self) -> int:
        """Return how many items are in the interval."""
        return self._number("SELECT count(*) FROM wanted")

    def count_without_time(self) -> int:
        """Return how many items do not say when they were changed or created."""
        return self._number("SELECT count(*) FROM items WHERE time = ''")

    def _number(self, query: str, parameters: Sequence[str] = ()) -> int:
        return int(self._database.execute(query, parameters).fetchone()[0])


def is_newer(row: Row, time: str) -> bool:
    """Return whether a row says more than one of the same item that was changed at another time."""
    return row.time >= time
