"""Reads the values of one file according to their fields, fills variables, and keeps the place of each value."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import yaml
from pydantic import JsonValue

from airflow_provider_opencx.declared_files.documents import (
    MAPPING,
    PLAIN,
    SEQUENCE,
    TEXT,
    TYPED,
    Issue,
)
from airflow_provider_opencx.declared_files.limits import SIZE_OF_VALUE, Budget
from airflow_provider_opencx.declared_files.places import Place
from airflow_provider_opencx.declared_files.problems import MOST_PROBLEMS
from airflow_provider_opencx.declared_files.variables import (
    GIVEN_TO_FLEET,
    MARK,
    MOST_PROBLEMS_OF_TEXT,
    VariableProblem,
    fill,
    places_of_marks,
)
from airflow_provider_opencx.kinds import Kind
from airflow_provider_opencx.visible_text import in_quotes, visible

_TYPED = {f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float")} | {TYPED}
_NULLS = {"", "~", "null", "Null", "NULL"}
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_SWITCHES = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_COMMENT = re.compile(r"[ \t]+(#[^\r\n]*)")
_ORDINARY_COMMENT = re.compile(r"#+ +\S")

_LONGEST_SHOWN = 60
_QUOTES = "put it in quotes"

Fields = dict[str, tuple[yaml.ScalarNode, yaml.Node]]
"""The keys and values of a mapping by the text of the key."""


@dataclass(frozen=True)
class Read:
    """The result of reading a value.

    :param value: the value; where there are issues, something in its place.
    :param issues: what is wrong with it.
    :param warnings: what is right, and probably not meant.
    """

    value: JsonValue
    issues: Sequence[Issue]
    warnings: Sequence[Issue]


@dataclass(frozen=True)
class ReadField:
    """A field that was read.

    :param key: the place of its key.
    :param node: the place of its value.
    :param value: the value.
    :param kind: what it may hold.
    :param is_readable: whether the value is known.
    """

    key: yaml.Node
    node: yaml.Node
    value: JsonValue
    kind: Kind
    is_readable: bool


class Values:
    """Reads the values of one file.

    :param file: the path of the file.
    :param text: its text, of which messages show parts.
    :param variables: the values of the variables by their names.
    :param budget: what may be read still.
    :param given: how a variable that is not known is given, for messages. Default: as to a fleet.
    """

    def __init__(
        self,
        file: str,
        text: str,
        variables: Mapping[str, str],
        budget: Budget,
        *,
        given: str = GIVEN_TO_FLEET,
    ) -> None:
        self.used_variables: set[str] = set()
        """Names of the variables that the values hold which were read."""
        self._file = file
        self._text = text
        self.variables = variables
        """The values of the variables by their names."""
        self._budget = budget
        self._given = given
        self._fields: dict[int, tuple[Fields, list[Issue]]] = {}
        self._filled: dict[int, str] = {}
        self._open: list[int] = []
        self._issues: list[Issue] = []
        self._warnings: list[Issue] = []

    def read(self, node: yaml.Node, kind: Kind) -> Read:
        """Return the value of a node.

        :param kind: what it may hold. A value that it cannot hold is returned as well, and is not an issue.
        """
        self._issues, self._warnings = [], []
        return Read(self._value(node, kind), self._issues, self._warnings)

    def fields(self, mapping: yaml.MappingNode) -> tuple[Fields, Sequence[Issue]]:
        """Return the fields of a mapping, what it merges (``<<``) among them, and what is wrong with its keys."""
        return self._known_fields(mapping)

    def place(self, node: yaml.Node, kind: Kind | None = None) -> Place:
        """Return the place of a node.

        :param kind: what it may hold, which decides how it could be meant.
        """
        mark = node.start_mark
        remedy = ""
        not_text = (yaml.SequenceNode, yaml.MappingNode) if kind is Kind.TEXT else yaml.MappingNode
        if kind in {Kind.TEXT, Kind.TEXTS} and isinstance(node, not_text):
            remedy = f"if this is text, {_QUOTES}"
        elif isinstance(node, yaml.ScalarNode) and node.tag == PLAIN and node.value in _NULLS - {""}:
            remedy = f"this is null; if it is text, {_QUOTES}"
        return Place(self._file, mark.line + 1, mark.column + 1, self._shown(node), remedy)

    def place_within(self, node: yaml.Node, path: Sequence[str | int], kind: Kind) -> Place:
        """Return the place of a part of a value, or the innermost mapping or list around it that is found.

        :param node: the value.
        :param path: keys, and positions in lists.
        :param kind: what the value may hold.
        """
        for part in path:
            if isinstance(node, yaml.MappingNode):
                fields, _ = self._known_fields(node)
                if part not in fields:
                    break
                node = fields[str(part)][1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
            else:
                break
        return self.place(node, kind)

    def issue(self, node: yaml.Node, message: str) -> Issue:
        """Return an issue about a node."""
        return Issue(message, node.start_mark.line + 1, node.start_mark.column + 1)

    def issue_of_null(self, node: yaml.Node, field: str, meaning: str) -> Issue | None:
        """Return that a value is null because nothing is written; ``None`` where null is written, as it is meant.

        Most such values come from a list whose lines were commented out.

        :param node: the value, which is null.
        :param field: what the field is called.
        :param meaning: what null means there.
        """
        if self.written(node):
            return None
        return self.issue(node, f"{field} is null, {meaning}. To leave the field as it is, leave it out.")

    def written(self, node: yaml.Node) -> str:
        """Return how a node is written, in a form that can be shown."""
        return visible(self._text[node.start_mark.index : node.end_mark.index].rstrip(), _LONGEST_SHOWN)

    def _value(self, node: yaml.Node, kind: Kind) -> JsonValue:
        self._budget.spend(SIZE_OF_VALUE + (len(node.value) if isinstance(node, yaml.ScalarNode) else 0))
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, kind)
        if node.tag not in {SEQUENCE, MAPPING}:
            self._refuse(node, f"the tag {_shown_tag(node.tag)} has no meaning here")
            return None
        with self._opened(node) as is_first:
            if not is_first:
                self._refuse(node, "refers to itself")
                return None
            if isinstance(node, yaml.SequenceNode):
                return [self._value(item, kind) for item in node.value]
            if kind is not Kind.JSON or not isinstance(node, yaml.MappingNode):
                return {}  # what it holds does not matter: no such field takes a mapping
            return {name: self._value(value, kind) for name, (_, value) in self._fields_of(node).items()}

    @contextmanager
    def _opened(self, node: yaml.Node) -> Iterator[bool]:
        is_first = id(node) not in self._open
        self._open.append(id(node))
        try:
            yield is_first
        finally:
            self._open.pop()

    def _scalar(self, node: yaml.ScalarNode, kind: Kind) -> JsonValue:
        if node.tag in _TYPED:
            return _json_value(node.value)
        if node.tag not in {TEXT, PLAIN}:
            self._refuse(node, f"the tag {_shown_tag(node.tag)} has no meaning here")
            return None
        if node.tag == PLAIN and node.value in _NULLS:
            return None
        text = self._filled_text(node)
        if node.tag == TEXT:
            return text
        self._check_comment(node)
        return text if kind in {Kind.TEXT, Kind.TEXTS} else _plain_value(text, kind)

    def _filled_text(self, node: yaml.ScalarNode) -> str:
        """Return the text of a scalar with its variables filled."""
        text: str = node.value
        if MARK not in text:
            return text
        most = MOST_PROBLEMS_OF_TEXT if len(self._issues) < MOST_PROBLEMS else 0
        filled = fill(text, self.variables, self._budget.spend, most, given=self._given)
        self.used_variables |= filled.names
        self._filled[id(node)] = filled.text
        self._issues += [self._issue_of_variable(node, problem) for problem in filled.problems]
        return filled.text

    def _issue_of_variable(self, node: yaml.ScalarNode, problem: VariableProblem) -> Issue:
        """Return the issue of a variable, at its place: at the scalar, if its escapes hide the place."""
        start = node.start_mark.index
        marks = list(places_of_marks(self._text[start : node.end_mark.index]))
        if len(marks) != node.value.count(MARK):
            return self.issue(node, problem.message)
        return issue_at(self._text, start + marks[problem.number], problem.message)

    def _fields_of(self, mapping: yaml.MappingNode) -> Fields:
        fields, issues = self._known_fields(mapping)
        self._issues += issues
        return fields

    def _known_fields(self, mapping: yaml.MappingNode) -> tuple[Fields, Sequence[Issue]]:
        if id(mapping) not in self._fields:
            self._fields[id(mapping)] = {}, []  # a mapping that merges itself gets nothing from there
            outer, self._issues = self._issues, []
            fields = self._found_fields(mapping)
            self._fields[id(mapping)] = fields, self._issues
            self._issues = outer
        return self._fields[id(mapping)]

    def _found_fields(self, mapping: yaml.MappingNode) -> Fields:
        own: Fields = {}
        merged: Fields = {}
        for key, value in mapping.value:
            if not isinstance(key, yaml.ScalarNode):
                self._refuse(key, f"a key must be text, read {self.written(key)}; if this is text, {_QUOTES}")
            elif key.tag == PLAIN and key.value == "<<":
                self._merge(value, merged)
            elif key.value in own:
                first = own[key.value][0].start_mark
                self._refuse(
                    key,
                    f"duplicate key {in_quotes(key.value)}: the first one is in line {first.line + 1}, column"
                    f" {first.column + 1}",
                )
            else:
                own[key.value] = key, value
        return {**merged, **own}

    def _merge(self, node: yaml.Node, merged: Fields) -> None:
        """Add what a mapping, or a list of them, holds and was not merged before."""
        for source in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            if isinstance(source, yaml.MappingNode):
                fields = self._fields_of(source)
                self._budget.spend(SIZE_OF_VALUE * (1 + len(fields)))
                for name, field in fields.items():
                    merged.setdefault(name, field)
            else:
                self._refuse(source, "<< merges mappings only")

    def _check_comment(self, node: yaml.ScalarNode) -> None:
        comment = _COMMENT.match(self._text, node.end_mark.index)
        if comment is not None and not _ORDINARY_COMMENT.match(comment[1]):
            message = (
                f"the value ends before {in_quotes(comment[1], _LONGEST_SHOWN)}, which YAML takes for a comment. If it"
                f" is part of the text, {_QUOTES}; if it is a comment, begin it with '# '."
            )
            self._warnings.append(self.issue(node, message))

    def _refuse(self, node: yaml.Node, message: str) -> None:
        self._issues.append(self.issue(node, message))

    def _shown(self, node: yaml.Node) -> str:
        """Return how a node is written, and what its variables made of it."""
        filled = self._filled.get(id(node))
        return self.written(node) + ("" if filled is None else f", which is {in_quotes(filled, _LONGEST_SHOWN)}")


def issue_at(text: str, position: int, message: str) -> Issue:
    """Return an issue about a position of a text, counted from 0."""
    line = text.count("\n", 0, position) + 1
    return Issue(message, line, position - text.rfind("\n", 0, position))


def _plain_value(text: str, kind: Kind) -> JsonValue:
    """Return what a scalar without quotes is in a field that is not one of text."""
    if kind is Kind.BOOLEAN:
        return None if text in _NULLS else _SWITCHES.get(text.lower(), text)
    return _json_value(text)


def _json_value(written: str) -> JsonValue:
    """Return what text means as JSON does: null, true, false, a number as JSON writes it, or else the text."""
    if written in _NULLS:
        return None
    if written in _BOOLEANS:
        return _BOOLEANS[written]
    if not _NUMBER.fullmatch(written):
        return written
    try:
        number: JsonValue = json.loads(written)
    except ValueError:  # Python reads no whole number of more than 4,300 digits
        return math.inf
    return number


def _shown_tag(tag: str) -> str:
    return visible(tag.replace("tag:yaml.org,2002:", "!!"), _LONGEST_SHOWN)
