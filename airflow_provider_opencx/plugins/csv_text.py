"""A table as CSV that no spreadsheet takes for formulas. Pure."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

_FORMULA = re.compile(
    "[=+\\-@\t\r\n\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}"
    "\N{FULLWIDTH COMMERCIAL AT}]"
)
_HARMLESS = re.compile(r"\+[0-9]{7,15}")


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[str | None]]) -> str:
    """Return a table as CSV (RFC 4180), with a row of its columns.

    :param rows: the cells; ``None`` is an empty one.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([safe_cell(cell or "") for cell in row] for row in rows)
    return text.getvalue()


def safe_cell(text: str) -> str:
    """Return a cell; one that a spreadsheet would calculate begins with an apostrophe.

    A telephone number of digits alone stays as it is: calculated, it is the same number.
    """
    return f"'{text}" if _FORMULA.match(text) and not _HARMLESS.fullmatch(text) else text
