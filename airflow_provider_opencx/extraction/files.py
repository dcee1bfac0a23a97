"""Writes rows as JSON lines: the same rows are always the same bytes."""

from __future__ import annotations

import gzip
import json
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from airflow_provider_opencx.extraction.sources import as_line

if TYPE_CHECKING:
    from pydantic import JsonValue

    from airflow_provider_opencx.extraction.spool import SpooledRow


@dataclass(frozen=True)
class Form:
    """The format of a file.

    :param is_gzip: whether it is compressed.
    :param has_history: whether each row has its history, as ``history``.
    """

    is_gzip: bool
    has_history: bool

    @property
    def suffix(self) -> str:
        """The end of its name."""
        return ".jsonl.gz" if self.is_gzip else ".jsonl"


@dataclass(frozen=True)
class Written:
    """The content of a file, or of all parts together.

    :param count: the number of rows.
    :param bytes: the size in the storage.
    :param first_updated_at: when the row that was changed first was changed; ``None`` without a row that says so.
    :param last_updated_at: when the row that was changed last was changed.
    """

    count: int
    bytes: int
    first_updated_at: str | None
    last_updated_at: str | None

    def as_dict(self) -> dict[str, JsonValue]:
        """Return it as plain JSON."""
        return {
            "count": self.count,
            "bytes": self.bytes,
            "first_updated_at": self.first_updated_at,
            "last_updated_at": self.last_updated_at,
        }


def write_rows(rows: Iterable[SpooledRow], file: Path, form: Form) -> Written:
    """Write rows to a local file."""
    count = 0
    first = last = ""
    with _opened(file, is_gzip=form.is_gzip) as lines:
        for row in rows:
            lines.write(f"{_line(row, has_history=form.has_history)}\n".encode())
            count += 1
            first, last = first or row.time, row.time
    return Written(count, file.stat().st_size, first or None, last or None)


def _line(row: SpooledRow, *, has_history: bool) -> str:
    if not has_history:
        return row.text
    return as_line({**json.loads(row.text), "history": json.loads(row.history or "null")})


@contextmanager
def _opened(file: Path, *, is_gzip: bool) -> Generator[BinaryIO]:
    """Open a file to write; compressed, it holds neither its name nor the time, which would make its bytes differ."""
    with file.open("wb") as plain:
        if not is_gzip:
            yield plain
            return
        with gzip.GzipFile(filename="", mode="wb", fileobj=plain, mtime=0) as compressed:
            yield cast(BinaryIO, compressed)
