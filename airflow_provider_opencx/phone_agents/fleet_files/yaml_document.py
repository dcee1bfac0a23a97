"""Reads a fleet from YAML in which the declared field decides what a value is, and knows where each value stands.

YAML 1.1 guesses the type of what is written without quotes: ``no`` is false, ``05551234567`` is an octal number,
``2026-03-01`` is a date. Here a field of text holds the text that was written.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import yaml
from pydantic import JsonValue
from yaml.reader import Reader

from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.kinds import Kind
from airflow_provider_opencx.phone_agents.fleet_files.places import Place
from airflow_provider_opencx.resources.phone_agents import PhoneAgentChanges, field_kinds
from airflow_provider_opencx.visible_text import in_quotes, visible, visible_repr

if TYPE_CHECKING:
    from yaml import SafeLoader as _FastLoader
else:
    _FastLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_PLAIN = "plain"
_TEXT = "tag:yaml.org,2002:str"
_SEQUENCE = "tag:yaml.org,2002:seq"
_MAPPING = "tag:yaml.org,2002:map"
_TYPED = {f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float")}

_NULLS = {"", "~", "null", "Null", "NULL"}
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_SWITCHES = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_COMMENT = re.compile(r"[ \t]+(#[^\r\n]*)")
_ORDINARY_COMMENT = re.compile(r"#+ +\S")

_DEEPEST = 200
_TOO_DEEP = f"is nested more than {_DEEPEST} levels deep"
_SIZE_OF_VALUE = 100
_MOST_VALUES = 250_000
_MOST_EXPANDED = _MOST_VALUES * _SIZE_OF_VALUE
_LONGEST_SHOWN = 60

_QUOTES = "put it in quotes"
_NEEDS_QUOTES = (
    "text needs quotes if it begins with one of { [ * & ! % @ ` | > or a quote, or if it holds a colon and a blank,"
    " or a blank and #"
)


_Fields = dict[str, tuple[yaml.ScalarNode, yaml.Node]]


class FleetYaml:
    """A YAML document with the declarations of a fleet.

    :param text: the document.
    :param written: what messages show instead of it; every value stands at the same place there.
    :raises yaml.YAMLError: if it is not YAML.
    :raises OpenCXArgumentError: if it is nested too deeply, or its aliases expand to too much.
    """

    def __init__(self, text: str, written: str | None = None) -> None:
        self.problems: list[tuple[Place, str]] = []
        """What is wrong with the document, such as a key that stands twice."""
        self.warnings: list[tuple[Place, str]] = []
        """What is right, and probably not meant."""
        self._text = text if written is None else written
        self._kinds = field_kinds()
        self._fields: dict[int, _Fields] = {}
        self._checked: set[int] = set()
        self._open: list[int] = []
        self._expanded = 0
        _check_characters(text)
        self.problems += _problems_of_events(text)
        self._root = yaml.compose(text, _Loader)
        self._agents = self._list_of_agents()

    def declarations(self) -> list[object] | None:
        """Return the declarations; ``None`` if the document holds no list of them."""
        if not isinstance(self._agents, yaml.SequenceNode):
            return None
        return [self._declaration(node) for node in self._agents.value]

    def place_of(self, path: Sequence[str | int], is_of_key: bool = False) -> Place | None:
        """Return the place of a value, or of the innermost mapping or list around it that is found.

        :param path: keys, and positions in lists.
        :param is_of_key: return the place of the key instead.
        """
        node = self._agents
        if not isinstance(node, yaml.SequenceNode):
            return None
        key: yaml.Node | None = None
        kind: Kind | None = None
        for part in path:
            if isinstance(node, yaml.MappingNode):
                fields = self._fields_of(node)
                spelling = next((name for name in (part, *_other_spelling(part)) if name in fields), None)
                if spelling is None:
                    break
                kind = kind or self._kinds.get(str(spelling), Kind.JSON)
                key, node = fields[str(spelling)]
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
            else:
                break
        return self._place(key) if is_of_key and key is not None else self._place(node, kind)

    def _list_of_agents(self) -> yaml.Node | None:
        if isinstance(self._root, yaml.MappingNode):
            fields = self._fields_of(self._root)
            return fields["agents"][1] if "agents" in fields else None
        return self._root

    def _declaration(self, node: yaml.Node) -> object:
        if not isinstance(node, yaml.MappingNode):
            return self._value(node, Kind.TEXT)
        return {
            name: self._value(value, self._kinds.get(name, Kind.JSON))
            for name, (_, value) in self._fields_of(node).items()
        }

    def _value(self, node: yaml.Node, kind: Kind) -> JsonValue:
        self._spend(len(node.value) if isinstance(node, yaml.ScalarNode) else 0)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, kind)
        if node.tag not in {_SEQUENCE, _MAPPING}:
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
        yield is_first
        self._open.pop()

    def _scalar(self, node: yaml.ScalarNode, kind: Kind) -> JsonValue:
        written: str = node.value
        if node.tag == _TEXT:
            return written
        if node.tag in _TYPED:
            return _json_value(written)
        if node.tag != _PLAIN:
            self._refuse(node, f"the tag {_shown_tag(node.tag)} has no meaning here")
            return None
        if written in _NULLS:
            return None
        self._check_comment(node)
        if kind is Kind.BOOLEAN:
            return _SWITCHES.get(written.lower(), written)
        return written if kind in {Kind.TEXT, Kind.TEXTS} else _json_value(written)

    def _fields_of(self, mapping: yaml.MappingNode) -> _Fields:
        """Return the keys and values of a mapping by the text of the key, what it merges (``<<``) among them."""
        if id(mapping) in self._fields:
            return self._fields[id(mapping)]
        self._fields[id(mapping)] = {}  # a mapping that merges itself gets nothing from there
        own: _Fields = {}
        merged: _Fields = {}
        for key, value in mapping.value:
            if not isinstance(key, yaml.ScalarNode):
                self._refuse(key, f"a key must be text, read {self._written(key)}; if this is text, {_QUOTES}")
            elif key.tag == _PLAIN and key.value == "<<":
                self._merge(value, merged)
            elif key.value in own:
                first = own[key.value][0].start_mark
                self._refuse(
                    key,
                    f"duplicate key {in_quotes(key.value)}: it stands in line {first.line + 1}, column"
                    f" {first.column + 1} already",
                )
            else:
                own[key.value] = key, value
        self._fields[id(mapping)] = fields = {**merged, **own}
        return fields

    def _merge(self, node: yaml.Node, merged: _Fields) -> None:
        """Add what a mapping, or a list of them, holds and was not merged before."""
        for source in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            if isinstance(source, yaml.MappingNode):
                fields = self._fields_of(source)
                self._spend(_SIZE_OF_VALUE * len(fields))
                for name, field in fields.items():
                    merged.setdefault(name, field)
            else:
                self._refuse(source, "<< merges mappings only")

    def _spend(self, size: int) -> None:
        self._expanded += _SIZE_OF_VALUE + size
        if self._expanded > _MOST_EXPANDED:
            raise OpenCXArgumentError(
                f"expands to more than {_MOST_VALUES:,} values, or {_MOST_EXPANDED:,} characters; use fewer aliases"
                " (*), or split the file"
            )

    def _check_comment(self, node: yaml.ScalarNode) -> None:
        comment = _COMMENT.match(self._text, node.end_mark.index)
        if comment is None or _ORDINARY_COMMENT.match(comment[1]) or id(node) in self._checked:
            return
        self._checked.add(id(node))
        self.warnings.append(
            (
                self._place(node),
                f"the value ends before {in_quotes(comment[1], _LONGEST_SHOWN)}, which YAML takes for a comment. If"
                f" it is part of the text, {_QUOTES}; if it is a comment, begin it with '# '.",
            )
        )

    def _refuse(self, node: yaml.Node, problem: str) -> None:
        if id(node) not in self._checked:
            self._checked.add(id(node))
            self.problems.append((self._place(node), problem))

    def _place(self, node: yaml.Node, kind: Kind | None = None) -> Place:
        mark = node.start_mark
        remedy = ""
        not_text = (yaml.SequenceNode, yaml.MappingNode) if kind is Kind.TEXT else yaml.MappingNode
        if kind in {Kind.TEXT, Kind.TEXTS} and isinstance(node, not_text):
            remedy = f"if this is text, {_QUOTES}"
        elif isinstance(node, yaml.ScalarNode) and node.tag == _PLAIN and node.value in _NULLS - {""}:
            remedy = f"this is null; if it is text, {_QUOTES}"
        return Place(mark.line + 1, mark.column + 1, self._written(node), remedy)

    def _written(self, node: yaml.Node) -> str:
        return visible(self._text[node.start_mark.index : node.end_mark.index].rstrip(), _LONGEST_SHOWN)


class _Loader(_FastLoader):
    """Composes nodes without YAML's guesses: what is written without quotes has the tag ``plain``."""

    def resolve(self, kind: type[yaml.Node], value: str, implicit: object) -> str:
        if kind is yaml.ScalarNode:
            return _PLAIN if isinstance(implicit, tuple) and implicit[0] else _TEXT
        return _SEQUENCE if kind is yaml.SequenceNode else _MAPPING


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


def _other_spelling(name: str | int) -> Sequence[str]:
    field = PhoneAgentChanges.model_fields.get(str(name))
    return [field.serialization_alias] if field and field.serialization_alias else []


def _check_characters(text: str) -> None:
    found = Reader.NON_PRINTABLE.search(text)
    if found:
        before = text[: found.start()]
        line = before.count("\n") + 1
        column = found.start() - before.rfind("\n")
        raise OpenCXArgumentError(
            f"line {line}, column {column}: the character U+{ord(found[0]):04X} cannot stand in YAML; in a text in"
            ' double quotes, write it as "\\x.." or "\\u...."'
        )


def check_number_of_values(number: int) -> None:
    """Check the number of values, keys among them, that are written in a file.

    :raises OpenCXArgumentError: if they are too many.
    """
    if number > _MOST_VALUES:
        raise OpenCXArgumentError(f"holds more than {_MOST_VALUES:,} values; split the file")


def _problems_of_events(text: str) -> list[tuple[Place, str]]:
    """Return the texts that YAML takes for an anchor, because they begin with & and no alias refers to them.

    :raises OpenCXArgumentError: for what holds too many values, or is nested too deeply: composing it would fill the
        memory, or overflow the stack of the C library.
    """
    depth = values = 0
    anchors: dict[str, yaml.ScalarEvent] = {}
    for event in yaml.parse(text, _FastLoader):
        if isinstance(event, yaml.ScalarEvent) and event.anchor:
            anchors[event.anchor] = event
        elif isinstance(event, yaml.AliasEvent):
            anchors.pop(event.anchor or "", None)
        if isinstance(event, yaml.NodeEvent):
            values += 1
            check_number_of_values(values)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _DEEPEST:
                raise OpenCXArgumentError(_TOO_DEEP)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return [
        (
            _place_of_event(event),
            f"YAML takes {in_quotes(f'&{anchor}', _LONGEST_SHOWN)} for an anchor, and nothing refers to it; if it is"
            f" part of the text, {_QUOTES}",
        )
        for anchor, event in anchors.items()
    ]


def _place_of_event(event: yaml.Event) -> Place:
    mark = event.start_mark
    return Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)


def syntax_problem(error: yaml.MarkedYAMLError) -> tuple[Place | None, str]:
    """Return the place of a syntax error, and a sentence about it."""
    mark = error.problem_mark or error.context_mark
    place = Place(mark.line + 1, mark.column + 1) if mark else None
    problem = str(error.problem or error.context)
    if "nesting depth" in problem:  # newer versions of the C library have a limit of their own
        return place, _TOO_DEEP
    is_about_tab = " tab " in problem or r"'\t'" in problem  # as libyaml says it, and PyYAML
    is_about_indentation = "block end" in problem or "block entry" in problem
    remedy = (
        "indent with blanks, not with tabs"
        if is_about_tab
        else f"check the indentation; {_NEEDS_QUOTES}"
        if is_about_indentation
        else _NEEDS_QUOTES
    )
    return place, f"invalid YAML: {visible_repr(problem, 200)}; {remedy}"


def _shown_tag(tag: str) -> str:
    return visible(tag.replace("tag:yaml.org,2002:", "!!"), _LONGEST_SHOWN)


_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)")


def json_as_yaml(text: str) -> str:
    """Return a JSON text as YAML in which every value stands at the same place: without its escapes and tabs."""
    return _ESCAPE.sub(lambda escape: "x" * len(escape[0]), text).replace("\t", " ")
