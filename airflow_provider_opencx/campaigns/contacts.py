"""Reads the people to call from a list or a file: each person once. If one cannot be read, it is an error.

A file is CSV with a header, JSON (a list), or JSON lines. Two names mean something: ``phone_number`` and
``contact_id``; all other values of a row are ignored.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO, TypeAlias

from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.phone_numbers import e164, e164_in_region, normalize_phone_number, without_mobile_mark
from airflow_provider_opencx.resources.calls import Callee
from airflow_provider_opencx.text import listed, without_invisible
from airflow_provider_opencx.visible_text import identifier, in_quotes

MOST_ROWS = 1_000_000
"""Rows of a list or a file that are read at most."""

LONGEST_ROW = 100_000
"""Characters of a row that is read."""

FORMATS = (".csv", ".json", ".jsonl", ".ndjson")
"""The ends of the names of files that can be read."""

_COLUMNS = ("phone_number", "contact_id")
_MOST_PROBLEMS = 10

Row: TypeAlias = tuple[str, object]
"""A row, after what a message calls its place."""


@dataclass(frozen=True)
class Source:
    """The source of rows.

    :param name: what messages call it.
    :param open: opens it for reading.
    """

    name: str
    open: Callable[[], TextIO]


def is_file_name(text: str) -> bool:
    """Return whether a text is the path of a file that can be read here."""
    return text.lower().endswith(FORMATS)


def rows_of(contacts: object, source: Callable[[str], Source], argument: str) -> Iterator[Row]:
    """Return the rows of a list, or of the file of a path.

    :param contacts: a list of numbers and mappings, or the path of a file.
    :param source: returns where the rows of a path come from.
    :param argument: the argument, for messages.
    :raises OpenCXArgumentError: if it is neither, or a file that is not as it must be.
    :raises OSError: if the file cannot be read.
    """
    if isinstance(contacts, str):
        if not is_file_name(contacts):
            raise OpenCXArgumentError(
                f"{argument}: {in_quotes(contacts)} is not the path of a file that can be read: give a list, or a path"
                f" that ends in {' or '.join(FORMATS)}"
            )
        return rows_of_file(source(contacts), contacts)
    if isinstance(contacts, Iterable) and not isinstance(contacts, Mapping | bytes):
        return ((f"{argument}[{index}]", row) for index, row in enumerate(contacts))
    raise OpenCXArgumentError(
        f"{argument}: must be a list of people, each a number or a mapping with phone_number or contact_id, or the path"
        " of a file of them"
    )


def rows_of_file(source: Source, path: str) -> Iterator[Row]:
    """Return the rows of a file.

    :param path: its path, whose end says what it is; what messages call it may be shorter.
    :raises OpenCXArgumentError: if it is empty, no text in UTF-8, or not what its name says.
    """
    end = path.lower()
    read = _csv_rows if end.endswith(".csv") else _json_rows if end.endswith(".json") else _json_line_rows
    try:
        with source.open() as file:
            yield from _bounded(read(file, source.name), source.name)
    except UnicodeDecodeError:
        raise OpenCXArgumentError(f"{source.name}: is not text in UTF-8") from None


def callees(rows: Iterable[Row], *, default_region: str | None, most: int | None = None) -> list[Callee]:
    """Return the people of some rows, each once, in their order.

    One is the same person as another where the number or the contact is the same. What the other row adds, a number or
    a contact, is known of the person then.

    :param default_region: the country whose national numbers are read, such as ``"US"``; ``None`` reads none.
    :param most: how many people there may be; reading ends with the next one. ``None`` means no limit.
    :raises OpenCXArgumentError: if a row names nobody, or a number cannot exist; it names the places of the first ten.
        Also if a contact has two numbers: which of them is to be checked is not known.
    """
    found: dict[int, Callee] = {}
    names_of: dict[int, set[str]] = {}
    index_of: dict[str, int] = {}
    for index, callee in enumerate(callees_of_rows(rows, default_region=default_region)):
        same = sorted({index_of[name] for name in callee.names if name in index_of})
        first = same[0] if same else index
        found[first] = _one_of([*map(found.pop, same), callee])
        names_of[first] = {*callee.names}.union(*(names_of.pop(each) for each in same))
        index_of |= dict.fromkeys(names_of[first], first)
        if most is not None and len(found) > most:
            break
    return [found[index] for index in sorted(found)]


def _one_of(same: Sequence[Callee]) -> Callee:
    """Return the person whom several rows name."""
    numbers = [each.phone_number for each in same if each.phone_number]
    contact_id = next((each.contact_id for each in same if each.contact_id), None)
    if len(set(map(without_mobile_mark, numbers))) > 1:
        raise OpenCXArgumentError(
            f"Nobody is called, because contact {identifier(contact_id or '')} has two numbers,"
            f" {numbers[0]} and {numbers[-1]}: leave one of them out"
        )
    return Callee(numbers[0] if numbers else None, contact_id)


def callees_of_rows(rows: Iterable[Row], *, default_region: str | None) -> Iterator[Callee]:
    """Return whom each row names, also where rows before it name the same person.

    :raises OpenCXArgumentError: after the last row, if one names nobody, or a number cannot exist.
    """
    problems: list[str] = []
    for place, row in rows:
        try:
            yield _callee(row, default_region)
        except ValueError as problem:
            problems.append(f"{place}: {problem}")
            if len(problems) > _MOST_PROBLEMS:
                break
    if problems:
        raise OpenCXArgumentError(
            f"Nobody is called, because not everybody can be read: {listed(problems, _MOST_PROBLEMS, separator='; ')}"
        )


def number_of(written: object, default_region: str | None) -> str:
    """Return a number in E.164.

    :param default_region: the country of a national number; ``None`` takes none.
    :raises ValueError: if it is not one, or a national one and no country is known.
    """
    if not isinstance(written, str):
        raise ValueError(f"a phone number must be text, in quotes, and is {type(written).__name__}")
    if default_region is not None and not written.strip().startswith(("+", "00")):
        return e164_in_region(written, default_region)
    try:
        return e164(written)
    except ValueError as problem:
        is_national = normalize_phone_number(written).isdigit() and not written.strip().startswith("00")
        hint = "; or say with default_region which country's number it is" if is_national else ""
        raise ValueError(f"{problem}{hint}") from None


def contact_id_of(written: object) -> str:
    """Return the id of a contact, without the blanks around it: it is compared as it is sent.

    :raises ValueError: if it is not one.
    """
    if not isinstance(written, str):
        raise ValueError(f"a contact_id must be text, and is {type(written).__name__}")
    contact_id = written.strip()
    if not contact_id or not contact_id.isprintable() or without_invisible(contact_id) != contact_id:
        raise ValueError(f"{in_quotes(written)} is not a contact_id: it is empty, or has invisible characters in it")
    return contact_id


def _callee(row: object, default_region: str | None) -> Callee:
    if not isinstance(row, Mapping):
        return Callee(number_of(row, default_region))
    number, contact_id = (_cell(row.get(column)) for column in _COLUMNS)
    if number is None and contact_id is None:
        raise ValueError("names neither a phone_number nor a contact_id")
    return Callee(
        None if number is None else number_of(number, default_region),
        None if contact_id is None else contact_id_of(contact_id),
    )


def _cell(value: object) -> object:
    """Return a value; a blank one is none."""
    if isinstance(value, str):
        return value.strip() or None
    return value


def _csv_rows(file: TextIO, name: str) -> Iterator[Row]:
    header = file.readline(LONGEST_ROW)
    if not header.strip():
        raise OpenCXArgumentError(f"{name}: is empty, without even the line that names its columns")
    delimiter = ";" if ";" in header and "," not in header else ","
    columns = [column.strip() for column in next(csv.reader([header], delimiter=delimiter))]
    twice = [column for column in _COLUMNS if columns.count(column) > 1]
    if twice:
        raise OpenCXArgumentError(f"{name}: its first line names the column {twice[0]} twice")
    if not set(_COLUMNS) & set(columns):
        raise OpenCXArgumentError(
            f"{name}: its first line must name the columns, one of them phone_number or contact_id; it names"
            f" {listed([identifier(column) for column in columns])}"
        )
    # Without strict, a quote that is never closed would swallow the people of all lines after it.
    reader = csv.reader(_short_lines(file, name), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            place = f"{name}, line {reader.line_num + 1}"
            if any(cell.strip() for cell in cells[len(columns) :]):
                raise OpenCXArgumentError(
                    f"{place}: has more cells than there are columns, so it is not known which of them is the number;"
                    f" a cell that holds {in_quotes(delimiter)} is written in quotes"
                )
            if any(cell.strip() for cell in cells):
                yield place, dict(zip(columns, cells, strict=False))
    except csv.Error as error:
        raise OpenCXArgumentError(f"{name}, line {reader.line_num + 1}: is not CSV: {error}") from None


def _json_line_rows(file: TextIO, name: str) -> Iterator[Row]:
    is_empty = True
    for number, line in enumerate(_short_lines(file, name), start=1):
        is_empty = False
        if line.strip():
            yield f"{name}, line {number}", _decoded(line, f"{name}, line {number}")
    if is_empty:
        raise OpenCXArgumentError(f"{name}: is empty")


def _json_rows(file: TextIO, name: str) -> Iterator[Row]:
    text = file.read(MOST_ROWS * 10 + 1)
    if len(text) > MOST_ROWS * 10:
        raise OpenCXArgumentError(f"{name}: is too large for one JSON list; write JSON lines (.jsonl)")
    rows = _decoded(text, name)
    if not isinstance(rows, list):
        raise OpenCXArgumentError(f"{name}: must be a JSON list")
    return ((f"{name}[{index}]", row) for index, row in enumerate(rows))


def _decoded(text: str, place: str) -> object:
    try:
        decoded: object = json.loads(text)
    except (ValueError, RecursionError):
        raise OpenCXArgumentError(f"{place}: is not JSON") from None
    return decoded


def _short_lines(file: TextIO, name: str) -> Iterator[str]:
    while line := file.readline(LONGEST_ROW + 1):
        if len(line) > LONGEST_ROW:
            raise OpenCXArgumentError(f"{name}: has a line of more than {LONGEST_ROW:,} characters")
        yield line


def _bounded(rows: Iterable[Row], name: str) -> Iterator[Row]:
    for number, row in enumerate(rows):
        if number == MOST_ROWS:
            raise OpenCXArgumentError(f"{name}: has more than {MOST_ROWS:,} rows")
        yield row
