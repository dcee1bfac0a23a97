"""Prints the output of commands: results on stdout, everything else on stderr.

On a terminal a table has colours and the terminal's width. In a pipe, in a file, or with ``NO_COLOR`` it is plain text,
of which nothing is cut. What others wrote is shown in a form of which a person sees every character.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TextIO, TypeAlias

from airflow_provider_opencx.text import is_invisible
from airflow_provider_opencx.visible_text import visible

if TYPE_CHECKING:
    from pydantic import JsonValue
    from rich.console import Console

    Row: TypeAlias = Mapping[str, JsonValue]

_GAP = "  "


def write(rows: Sequence[Row], columns: Mapping[str, str], output: str) -> None:
    """Write a list of things to stdout.

    :param rows: the things. JSON and YAML have all of their keys.
    :param columns: the headings of a table, by the keys that it shows.
    :param output: ``"table"``, ``"json"`` or ``"yaml"``.
    """
    rows = [{key: _without_secrets_in(value) for key, value in row.items()} for row in rows]
    if output != "table":
        write_value([dict(row) for row in rows], output)
    elif is_plain(sys.stdout):
        write_text(_plain_table(rows, columns))
    else:
        _write_rich_table(rows, columns)


def write_value(value: JsonValue, output: str) -> None:
    """Write one value to stdout.

    :param value: the value.
    :param output: ``"yaml"``; anything else is JSON.
    """
    value = _without_secrets_in(value)  # before it is YAML, in which *** is not text
    write_text(_yaml(value) if output == "yaml" else _json(value))


def write_text(text: str) -> None:
    """Write lines of text to stdout."""
    print(_without_secrets(text), file=sys.stdout)


def say(text: str) -> None:
    """Write a message to stderr."""
    print(_without_secrets(text), file=sys.stderr, flush=True)


def is_plain(stream: TextIO) -> bool:
    """Return whether a stream gets plain text: it is not a terminal, or the user wants no colours."""
    return not stream.isatty() or bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"


def progress_console() -> Console:
    """Return the console for progress bars and questions: stderr."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, no_color=is_plain(sys.stderr) or None)


def _without_secrets(text: str) -> str:
    from airflow_provider_opencx.cli.secrets import without_secrets

    return without_secrets(text)


def _without_secrets_in(value: JsonValue) -> JsonValue:
    if isinstance(value, str):
        return _without_secrets(value)
    if isinstance(value, dict):
        return {_without_secrets(key): _without_secrets_in(each) for key, each in value.items()}
    return [*map(_without_secrets_in, value)] if isinstance(value, list) else value


def _plain_table(rows: Sequence[Row], columns: Mapping[str, str]) -> str:
    lines = [list(columns.values()), *([_cell(row.get(key)) for key in columns] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        _GAP.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def _write_rich_table(rows: Sequence[Row], columns: Mapping[str, str]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in columns.values():
        table.add_column(Text(heading), overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(row.get(key))) for key in columns))
    Console(highlight=False).print(table)


def _cell(value: JsonValue) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ", ".join(map(_cell, value))
    if isinstance(value, dict) and value:
        return ", ".join(f"{visible(key)}: {_cell(each)}" for key, each in value.items())
    return visible(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _json(value: JsonValue) -> str:
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    return _with_escapes(text, lambda character: json.dumps(character)[1:-1])


def _yaml(value: JsonValue) -> str:
    from yaml import SafeDumper, ScalarNode, dump

    class Dumper(SafeDumper):
        """Writes a text with unseen characters in quotation marks, within which YAML has escapes for them."""

        def ignore_aliases(self, data: object) -> bool:
            return True

    def represent_text(dumper: SafeDumper, text: str) -> ScalarNode:
        style = '"' if any(map(_is_unseen, text)) else "|" if "\n" in text else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    Dumper.add_representer(str, represent_text)
    text = str(dump(value, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=110)).rstrip("\n")
    return _with_escapes(text, _number)


def _with_escapes(text: str, escaped: Callable[[str], str]) -> str:
    """Return JSON or YAML in which unseen characters are escaped: nothing on a terminal obeys them."""
    return "".join(escaped(each) if _is_unseen(each) else each for each in text)


def _is_unseen(character: str) -> bool:
    return character != "\n" and (not character.isprintable() or is_invisible(character))


def _number(character: str) -> str:
    number = ord(character)
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
