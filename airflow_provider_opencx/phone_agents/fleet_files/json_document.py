"""Reads JSON as the same nodes as YAML, which know their place in the file."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from typing import NoReturn

import yaml

from airflow_provider_opencx.declared_files.documents import (
    MAPPING,
    SEQUENCE,
    TEXT,
    TYPED,
    Document,
    DocumentError,
    Issue,
)
from airflow_provider_opencx.declared_files.limits import MAX_DEPTH, TOO_DEEP, check_number_of_values
from airflow_provider_opencx.visible_text import visible_repr

_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_BLANK = re.compile(r"[ \t\r\n,:]*")
_DECODER = json.JSONDecoder()
_SCALAR = re.compile(r"[^\s,\]}]+")


def json_document(text: str) -> Document:
    """Return a JSON text as nodes: strings are text, and all other scalars typed.

    :raises DocumentError: if it is not JSON.
    :raises FleetLimitError: if it holds too many values.
    """
    check_number_of_values(_most_values(text))
    try:
        json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        message = f"invalid JSON: {visible_repr(error.msg)}"
        raise DocumentError([Issue(message, error.lineno, error.colno)]) from None
    except RecursionError:
        raise DocumentError([Issue(TOO_DEEP)]) from None
    except ValueError as error:  # a whole number of thousands of digits
        is_constant = str(error) in _CONSTANTS
        message = f"{error} is not JSON" if is_constant else "holds a number that cannot be read"
        raise DocumentError([Issue(message)]) from None
    return Document(_Composer(text).compose(), text)


_CONSTANTS = {"NaN", "Infinity", "-Infinity"}


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _most_values(text: str) -> int:
    """Return how many values a JSON text holds at most: each follows one of these characters."""
    without_strings = _STRING.sub("", text)
    return sum(without_strings.count(character) for character in "[{,")


class _Composer:
    """Makes the nodes of a text that is JSON for certain."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines = [0, *(found.end() for found in re.finditer("\n", text))]
        self._at = 0

    def compose(self) -> yaml.Node:
        """Return the node of the text."""
        return self._node(0)

    def _node(self, depth: int) -> yaml.Node:
        if depth > MAX_DEPTH:
            raise DocumentError([Issue(TOO_DEEP)])
        start = self._skip_blank()
        if self._text[start] == "[":
            return self._sequence(start, depth)
        return self._mapping(start, depth) if self._text[start] == "{" else self._scalar(start)

    def _sequence(self, start: int, depth: int) -> yaml.Node:
        items: list[yaml.Node] = []
        self._at += 1
        while self._text[self._skip_blank()] != "]":
            items.append(self._node(depth + 1))
        self._at += 1
        return yaml.SequenceNode(SEQUENCE, items, self._mark(start), self._mark(self._at))

    def _mapping(self, start: int, depth: int) -> yaml.Node:
        fields: list[tuple[yaml.Node, yaml.Node]] = []
        self._at += 1
        while self._text[self._skip_blank()] != "}":
            fields.append((self._node(depth + 1), self._node(depth + 1)))
        self._at += 1
        return yaml.MappingNode(MAPPING, fields, self._mark(start), self._mark(self._at))

    def _scalar(self, start: int) -> yaml.Node:
        if self._text[start] == '"':
            value, self._at = _DECODER.raw_decode(self._text, start)
            return yaml.ScalarNode(TEXT, value, self._mark(start), self._mark(self._at), style='"')
        found = _SCALAR.match(self._text, start)
        assert found is not None  # noqa: S101  # the text is JSON
        self._at = found.end()
        return yaml.ScalarNode(TYPED, found[0], self._mark(start), self._mark(self._at))

    def _skip_blank(self) -> int:
        """Skip blanks, and what separates values; return where the next character is."""
        found = _BLANK.match(self._text, self._at)
        self._at = found.end() if found else self._at
        return self._at

    def _mark(self, index: int) -> yaml.Mark:
        line = bisect_right(self._lines, index) - 1
        return yaml.Mark("", index, line, index - self._lines[line], None, 0)
