"""Reads one file of a fleet: its keys, its agents with their defaults, and the text files that they name."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from pydantic import JsonValue

from airflow_provider_opencx.declared_files.documents import PLAIN, Document, Issue
from airflow_provider_opencx.declared_files.files import UnusableFileError
from airflow_provider_opencx.declared_files.limits import Budget
from airflow_provider_opencx.declared_files.places import Place, PlacedEntry
from airflow_provider_opencx.declared_files.problems import MOST_PROBLEMS, FileProblem, without_repetitions
from airflow_provider_opencx.declared_files.values import Fields, ReadField, Values
from airflow_provider_opencx.declared_files.variables import MARK, problem_of_name
from airflow_provider_opencx.kinds import Kind
from airflow_provider_opencx.phone_agents.fleet_files.keys import (
    ALTERNATIVES,
    FILE_KEYS,
    KEYS_OF_ONE_AGENT,
    NOT_IN_DEFAULTS,
    TEXT_FILES,
    is_free,
    key_kinds,
    meant_key,
    python_spelling,
    with_alternatives,
)
from airflow_provider_opencx.phone_agents.fleet_files.texts import Texts
from airflow_provider_opencx.resources.phone_agents import PhoneAgentChanges
from airflow_provider_opencx.visible_text import identifier, in_quotes

_NO_LIST = (
    "must hold a list of declarations, alone or under the key 'agents', or the fields of one agent, its name among them"
)
_MEANINGS_OF_NULL = {
    "action_ids": "which means every action; for no action, write []",
    "handoff_phone_number": "which means no handoff",
}
_NULLS = {"", "~", "null", "Null", "NULL"}


@dataclass
class FleetFile:
    """The content of one file.

    :param entries: the declarations of agents, with their defaults.
    :param defaults: the defaults; ``None`` if there are none.
    :param ignore: names or globs of agents that nobody declares.
    :param used_variables: names of the variables that it holds.
    :param problems: what is wrong with it, as far as one file shows it.
    :param warnings: what is right, and probably not meant.
    """

    entries: list[PlacedEntry] = field(default_factory=list)
    defaults: PlacedEntry | None = None
    ignore: list[str] = field(default_factory=list)
    used_variables: set[str] = field(default_factory=set)
    problems: list[FileProblem] = field(default_factory=list)
    warnings: list[FileProblem] = field(default_factory=list)


def read_document(
    path: Path, document: Document, variables: Mapping[str, str], *, texts: Texts, budget: Budget, first: int
) -> FleetFile:
    """Return what a file holds.

    :param path: the path of the file.
    :param document: the file.
    :param variables: the variables that the caller gives.
    :param texts: reads the texts that the file names.
    :param budget: what may be read still.
    :param first: how many agents of the fleet are in files before this one.
    :raises FleetLimitError: if it expands to too much.
    """
    reading = _Reading(path, document, texts, budget, first)
    reading.values.variables = {**reading.variables_of_file(), **variables}
    reading.read()
    reading.found.used_variables |= reading.values.used_variables
    reading.found.problems[:] = without_repetitions(reading.found.problems)[:MOST_PROBLEMS]
    reading.found.warnings[:] = without_repetitions(reading.found.warnings)
    return reading.found


@dataclass(frozen=True)
class _About:
    """The subject of a problem.

    :param agent: the name of the agent, if it is known.
    :param entry: its position in the fleet, counted from 1.
    :param section: the part before the field, such as ``defaults``.
    """

    agent: str | None = None
    entry: int | None = None
    section: str = ""

    def field(self, name: str) -> str:
        """Return what messages call a field."""
        return ".".join(part for part in (self.section, identifier(name) if name else "") if part)


class _Reading:
    """The reading of one file."""

    def __init__(self, path: Path, document: Document, texts: Texts, budget: Budget, first: int) -> None:
        self.found = FleetFile()
        self.values = Values(str(path), document.text, {}, budget)
        self._budget = budget
        self._path = path
        self._root = document.root
        self._texts = texts
        self._first = first
        self._add(document.issues, _About())
        self._keys: Fields = {}
        if isinstance(document.root, yaml.MappingNode):
            self._keys, issues = self.values.fields(document.root)
            self._add(issues, _About())

    # The sections of the file.

    def variables_of_file(self) -> Mapping[str, str]:
        """Return the variables that the file declares."""
        node = self._section("variables", yaml.MappingNode, "must be a mapping of names to texts")
        if not isinstance(node, yaml.MappingNode):
            return {}
        fields, issues = self.values.fields(node)
        about = _About(section="variables")
        self._add(issues, about)
        variables: dict[str, str] = {}
        for name, (key, value) in fields.items():
            problem, is_of_name = problem_of_name(name), True
            if not problem:
                problem, is_of_name = _problem_of_variable(value), False
            if problem:
                self._refuse(key if is_of_name else value, problem, about, name)
            elif isinstance(value, yaml.ScalarNode):
                self._budget.spend(len(value.value))
                variables[name] = value.value
        return variables

    def read(self) -> None:
        """Read everything that is not a variable."""
        if not isinstance(self._root, yaml.MappingNode):
            self._read_agents(self._root, {})
        elif self._is_one_agent():
            free = [key for key in self._keys if is_free(key) or key in KEYS_OF_ONE_AGENT]
            for key in set(self._keys) & {*FILE_KEYS} - {*KEYS_OF_ONE_AGENT}:
                self._refuse(self._keys[key][0], f"{key} has no meaning in a file that is one agent", _About())
                free.append(key)
            fields = {name: field for name, field in self._keys.items() if name not in free}
            self._add_entry(self._root, fields, {})
        else:
            is_explained = self._refuse_unknown_keys()
            self._read_ignored()
            defaults = self._read_defaults()
            if "agents" in self._keys:
                self._read_agents(self._keys["agents"][1], defaults)
            elif not is_explained and "ignore" not in self._keys:
                self._refuse(None, _NO_LIST, _About())

    def _is_one_agent(self) -> bool:
        return "agents" not in self._keys and bool(self._keys.keys() & key_kinds().keys())

    def _refuse_unknown_keys(self) -> bool:
        """Refuse the keys that a file does not have; return whether one of them shows what is meant."""
        meant = {key: meant_key(key) for key in self._keys if key not in FILE_KEYS and not is_free(key)}
        for key, known in meant.items():
            if known is not None:
                remedy = f"; did you mean {known}?"
            elif python_spelling(key) in key_kinds():
                remedy = "; write a field of all agents under defaults, and a field of one agent under agents"
            else:
                remedy = (
                    f"; a file has {', '.join(FILE_KEYS)}, and keys that begin with x- or _, which are not read. How a"
                    " fleet is planned and applied is said where it is read: in the Dag, or at the command line"
                )
            self._refuse(self._keys[key][0], f"{identifier(key)} is not a key of a fleet file{remedy}", _About())
        return any(meant.values())

    def _read_ignored(self) -> None:
        if "ignore" not in self._keys:
            return
        _, node = self._keys["ignore"]
        about = _About(section="ignore")
        read = self.values.read(node, Kind.TEXTS)
        self._add(read.issues, about)
        if read.issues or read.value is None:
            return
        ignored = [read.value] if isinstance(read.value, str) else read.value
        if not isinstance(ignored, list) or not all(isinstance(name, str) and name.strip() for name in ignored):
            self._refuse(node, "must be a name or a glob, or a list of them", about, read=self.values.written(node))
        else:
            self.found.ignore += [str(name).strip() for name in ignored]

    def _read_defaults(self) -> Mapping[str, ReadField]:
        node = self._section("defaults", yaml.MappingNode, "must be a mapping of an agent's fields")
        if not isinstance(node, yaml.MappingNode):
            return {}
        fields, issues = self.values.fields(node)
        about = _About(section="defaults")
        self._add(issues, about)
        kept: Fields = {}
        for name, (key, value) in fields.items():
            if name in NOT_IN_DEFAULTS:
                self._refuse(key, "says which agent it is, so it is not allowed in defaults", about, name)
            else:
                kept[name] = key, value
        defaults = self._read_fields(node, kept, about)
        self.found.defaults = self._placed(node, defaults, frozenset())
        return defaults

    def _read_agents(self, node: yaml.Node | None, defaults: Mapping[str, ReadField]) -> None:
        if not isinstance(node, yaml.SequenceNode):
            self._refuse(node if "agents" in self._keys else None, _NO_LIST, _About())
            return
        for item in node.value:
            if len(self.found.problems) >= MOST_PROBLEMS:
                return
            if isinstance(item, yaml.MappingNode):
                fields, issues = self.values.fields(item)
                self._add(issues, self._about(fields))
                self._add_entry(item, fields, defaults)
            else:
                self._add_no_mapping(item)

    # An entry.

    def _add_no_mapping(self, node: yaml.Node) -> None:
        read = self.values.read(node, Kind.TEXT)
        self._add(read.issues, self._about({}))
        values = self.values

        def place_of(path: Sequence[str | int], is_of_key: bool) -> Place:
            return values.place(node)

        self.found.entries.append(PlacedEntry(read.value, place_of))

    def _add_entry(self, node: yaml.MappingNode, fields: Fields, defaults: Mapping[str, ReadField]) -> None:
        own = self._read_fields(node, fields, self._about(fields))
        overridden = with_alternatives(own)
        inherited = {name: value for name, value in defaults.items() if name not in overridden}
        self._budget.spend(sum(_size(value.value) for value in inherited.values()))
        entry = self._placed(node, {**inherited, **own}, frozenset(map(_field_of, inherited)))
        self.found.entries.append(entry)

    def _about(self, fields: Fields) -> _About:
        number = self._first + len(self.found.entries) + 1
        name = fields.get("name")
        value = self.values.read(name[1], Kind.TEXT).value if name else None
        return _About(value if isinstance(value, str) else None, number)

    def _read_fields(self, node: yaml.MappingNode, fields: Fields, about: _About) -> dict[str, ReadField]:
        """Return the fields of an entry, in Python's spelling."""
        read: dict[str, ReadField] = {}
        for written, (key, value) in self._one_of_each(node, fields, about).items():
            name = python_spelling(written)
            kind = key_kinds().get(name, Kind.JSON)
            found = self.values.read(value, kind)
            self._add(found.issues, about, written)
            self.found.warnings += [self._problem(issue, about, written) for issue in found.warnings]
            read[name] = self._with_text(name, ReadField(key, value, found.value, kind, not found.issues), about)
            self._warn_of_null(name, written, read[name], about)
        return read

    def _one_of_each(self, node: yaml.MappingNode, fields: Fields, about: _About) -> Fields:
        """Return the fields without those that say what another one says, which is refused, or overrides it."""
        keys = {id(key) for key, _ in node.value}
        kept = dict(fields)
        for pair in (*ALTERNATIVES, ("action_ids", "actionIds")):
            both = [name for name in fields if name in pair]
            if len(both) < len(pair):
                continue
            merged = [name for name in both if id(fields[name][0]) not in keys]
            if len(merged) != 1:
                self._refuse(fields[both[1]][0], f"{both[0]} and {both[1]} say the same; write one of them", about)
            del kept[merged[0] if len(merged) == 1 else both[1]]
        return kept

    def _with_text(self, name: str, read: ReadField, about: _About) -> ReadField:
        """Return a field that names files of texts with the texts in them."""
        if name not in TEXT_FILES or not read.is_readable:
            return read
        nodes = read.node.value if isinstance(read.node, yaml.SequenceNode) else [read.node]
        named = read.value if isinstance(read.value, list) else [read.value]
        is_one = name == "first_message_file"
        if (is_one and not isinstance(read.value, str)) or not all(isinstance(path, str) for path in named):
            message = "must be the path of a file" + ("" if is_one else ", or a list of paths")
            self._refuse(read.node, message, about, name, read=self.values.written(read.node))
            return ReadField(read.key, read.node, None, read.kind, False)
        found = [self._text(str(path), node, name, about) for path, node in zip(named, nodes, strict=True)]
        texts: list[JsonValue] = [text for text in found if text is not None]
        value: JsonValue = (texts or [None])[0] if is_one else texts
        return ReadField(read.key, read.node, value, read.kind, None not in found)

    def _text(self, named: str, node: yaml.Node, name: str, about: _About) -> str | None:
        try:
            text = self._texts.read(named, self._path, self.values.variables)
        except UnusableFileError as wrong:
            self._refuse(node, f"{in_quotes(named)} {wrong}", about, name)
            return None
        self.found.used_variables |= text.used_variables
        self.found.problems += [
            FileProblem(
                text.file, issue.line, issue.column, about.agent, about.field(name), issue.message, entry=about.entry
            )
            for issue in text.issues
        ]
        if not text.text.strip() and not text.issues:
            issue = self.values.issue(node, f"{in_quotes(named)} holds no text")
            self.found.warnings.append(self._problem(issue, about, name))
        return None if text.issues else text.text

    def _warn_of_null(self, name: str, written: str, read: ReadField, about: _About) -> None:
        """Warn of a value that is not written."""
        if read.value is not None or not read.is_readable or name not in PhoneAgentChanges.model_fields:
            return
        if name not in {"name", "type"}:
            meaning = _MEANINGS_OF_NULL.get(name, "and is sent as null: the service's own default")
            issue = self.values.issue_of_null(read.node, about.field(written), meaning)
            if issue is not None:
                self.found.warnings.append(self._problem(issue, about, ""))

    def _placed(self, node: yaml.Node, fields: Mapping[str, ReadField], inherited: frozenset[str]) -> PlacedEntry:
        declaration = {_field_of(name): read.value for name, read in fields.items() if read.is_readable}
        unreadable = frozenset(_field_of(name) for name, read in fields.items() if not read.is_readable)
        known = {_field_of(name): read for name, read in fields.items()}
        values = self.values

        def place_of(path: Sequence[str | int], is_of_key: bool) -> Place:
            read = known.get(str(path[0])) if path else None
            if read is None:
                return values.place(node)
            return values.place(read.key) if is_of_key else values.place_within(read.node, path[1:], read.kind)

        return PlacedEntry(declaration, place_of, inherited, unreadable)

    # Problems.

    def _section(self, name: str, kind: type[yaml.Node], message: str) -> yaml.Node | None:
        """Return a section of the file; ``None`` if it is not there, or holds nothing, or something else."""
        if name not in self._keys:
            return None
        _, node = self._keys[name]
        if isinstance(node, kind):
            return node
        if not (isinstance(node, yaml.ScalarNode) and node.tag == PLAIN and node.value in _NULLS):
            self._refuse(node, message, _About(section=name), read=self.values.written(node))
        return None

    def _refuse(
        self, node: yaml.Node | None, message: str, about: _About, name: str = "", read: str | None = None
    ) -> None:
        issue = Issue(message) if node is None else self.values.issue(node, message)
        self.found.problems.append(self._problem(issue, about, name, read))

    def _add(self, issues: Iterable[Issue], about: _About, name: str = "") -> None:
        self.found.problems += [self._problem(issue, about, name) for issue in issues]

    def _problem(self, issue: Issue, about: _About, name: str, read: str | None = None) -> FileProblem:
        place = (str(self._path), issue.line, issue.column)
        return FileProblem(*place, about.agent, about.field(name), issue.message, read, entry=about.entry)


def _field_of(name: str) -> str:
    """Return the field of an agent that a key of an entry says."""
    return TEXT_FILES.get(name, name)


def _size(value: JsonValue) -> int:
    """Return what it costs to write a value out once more."""
    if isinstance(value, str):
        return 100 + len(value)
    parts: Collection[JsonValue] = ()
    if isinstance(value, list):
        parts = value
    elif isinstance(value, dict):
        parts = value.values()
    return 100 + sum(map(_size, parts))


def _problem_of_variable(value: yaml.Node) -> str:
    if not isinstance(value, yaml.ScalarNode):
        return "must be text, and no list or mapping"
    if value.tag == PLAIN and value.value in _NULLS:
        return "is null; for no text, write ''"
    if MARK in value.value:
        return f"{MARK} is not allowed in the value of a variable, which is inserted unchanged"
    return ""
