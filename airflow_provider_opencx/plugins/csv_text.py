"""Writes a table as CSV in which a spreadsheet finds no formulas. Pure."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

_SIGNS = "=+\\-@\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}"
_FORMULA = re.compile(f"[{_SIGNS}\t\r\n]")
_BETWEEN = re.compile(f'([;\\s"]+)([{_SIGNS}]?)')
_SEPARATOR = re.compile("[;\t\r\n]")
"""Where a spreadsheet begins another cell: in many languages it takes the semicolon for the separator of this form, and
then its quotes for text."""
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
    """Return a cell; what a spreadsheet would calculate, as a whole or from a separator on, begins with an apostrophe.

    A telephone number that has only digits stays unchanged: calculated, it is the same number.
    """
    if _HARMLESS.fullmatch(text):
        return text
    safe = _BETWEEN.sub(_safe_part, text)
    return f"'{safe}" if _FORMULA.match(text) else safe


def _safe_part(part: re.Match[str]) -> str:
    return f"{part[1]}'{part[2]}" if part[2] and _SEPARATOR.search(part[1]) else part[0]
