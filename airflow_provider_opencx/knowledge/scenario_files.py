"""Reads training scenarios from Markdown files: fields in the front matter, and the body as the content."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from airflow_provider_opencx.declared_files.documents import DocumentError, Issue
from airflow_provider_opencx.declared_files.files import (
    FileKind,
    Files,
    UnusableFileError,
    identity,
    is_inside,
    root_of,
)
from airflow_provider_opencx.declared_files.limits import TOO_DEEP, Budget, FleetLimitError
from airflow_provider_opencx.declared_files.places import FileDeclarations, Place, PlacedEntry
from airflow_provider_opencx.declared_files.problems import FileProblem, file_error, log_warnings, shown_path
from airflow_provider_opencx.declared_files.values import ReadField, Values, issue_at
from airflow_provider_opencx.declared_files.variables import checked_variables, fill
from airflow_provider_opencx.declared_files.yaml_document import yaml_document
from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.kinds import Kind
from airflow_provider_opencx.knowledge.declarations import problems_of_scenarios
from airflow_provider_opencx.resources.training import checked_key, scenario_kinds
from airflow_provider_opencx.secret import forgets_locals
from airflow_provider_opencx.visible_text import in_quotes, visible

log = logging.getLogger(__name__)

SCENARIO_FILES = FileKind((".md",), "the scenarios")
"""The files of training scenarios."""

ScenarioPath = str | os.PathLike[str]

_GIVEN = "Give it where the scenarios are read"
_MEANINGS_OF_NULL = {
    "directory_id": "which means no folder",
    "start_time": "which means no limit",
    "end_time": "which means no limit",
}
_LONGEST_SHOWN = 60
_BEGINS = re.compile(r"---[ \t]*\n")
_ENDS = re.compile(r"^---[ \t]*$", re.MULTILINE)

NOT_A_SCENARIO = "readme"
"""The name, without its suffix and in small letters, of a file that is not a scenario in a folder of them."""


@forgets_locals
def read_scenarios(
    scenarios: ScenarioPath | Sequence[ScenarioPath],
    *,
    variables: Mapping[str, str] | None = None,
    root: Path | None = None,
) -> FileDeclarations:
    """Return the declarations of training scenarios in Markdown files. No template in a file is rendered.

    A file begins with its fields, in YAML between two lines ``---``; what follows is the content. The ``key``, left
    out, is the path of the file below the folder that was named, without ``.md``. What is probably not meant, such as a
    text that YAML cuts at a ``#``, is logged as a warning.

    :param scenarios: a folder, of which all ``.md`` files are read, those in folders below as well, in the order of
        their paths, without a ``README.md`` and those that begin with a dot; a file; a glob; or a list of these.
    :param variables: values of variables, which are written ``${NAME}`` in the files.
    :param root: the folder that files found in a folder never leave. By default the current directory; for a file
        outside of it, the folder of this file.
    :return: the declarations, which know their places in the files.
    :raises OpenCXFleetFileError: naming all that is wrong with the files and what they declare.
    :raises OpenCXArgumentError: if an argument is wrong.
    """
    given = checked_variables(variables)
    budget = Budget(SCENARIO_FILES.what, "collections")
    with Files(budget, SCENARIO_FILES) as files:
        reading = _Reading(files, root, given, budget)
        for path in _checked_paths(scenarios):
            reading.find(path)
        reading.read()
    declarations = reading.declarations()
    if reading.problems:
        problems = [*reading.problems, *problems_of_scenarios(declarations)]
        raise file_error(problems, [str(path) for path in declarations.files], argument="scenarios")
    log_warnings(log, declarations.warnings)
    if declarations.unused_variables:
        log.warning("No file of the scenarios uses the variables %s", ", ".join(declarations.unused_variables))
    return declarations


@dataclass(frozen=True)
class _Content:
    """The content of a scenario.

    :param text: without blank lines at both ends; empty if there is none.
    :param place: where it begins.
    """

    text: str
    place: Place


@dataclass
class _Reading:
    """The reading of some files.

    :param root: the folder that files found in a folder never leave.
    """

    files: Files
    root: Path | None
    variables: Mapping[str, str]
    budget: Budget
    problems: list[FileProblem] = field(default_factory=list)
    _warnings: list[FileProblem] = field(default_factory=list)
    _found: dict[Path, str] = field(default_factory=dict)
    _named: dict[str, str] = field(default_factory=dict)
    _entries: list[PlacedEntry] = field(default_factory=list)
    _used: set[str] = field(default_factory=set)

    def find(self, path: str) -> None:
        """Find the files that a path names, and the key that each has by its place."""
        try:
            found = self.files.find(path)
        except UnusableFileError as wrong:
            self._refuse(path, str(wrong))
            return
        is_one = [Path(path)] == found
        for file in found:
            same = identity(file)
            if not is_one and file.stem.lower() == NOT_A_SCENARIO:
                continue
            if same in self._named:
                message = f"is named twice, by {shown_path(self._named[same])} and by {shown_path(path)}; name it once"
                self._refuse(str(file), message)
            elif not is_one and not is_inside(file, root_of(file, self.root)):
                self._refuse(str(file), "is a link that leads out of the folder; put the file into the folder")
            else:
                self._found[file] = file.stem if is_one else _key_below(file, path)
            self._named.setdefault(same, path)
        if found and not self._found and not self.problems:
            self._refuse(path, "holds no scenario beside its README.md; put the scenarios there")

    def read(self) -> None:
        """Read the files that were found, all of them even if one is wrong."""
        for path, key in self._found.items():
            try:
                self._read_file(path, key)
            except FleetLimitError as wrong:
                self._refuse(str(path), str(wrong))
                return

    def declarations(self) -> FileDeclarations:
        """Return what was read."""
        unused = [name for name in self.variables if name not in self._used]
        return FileDeclarations(self._entries, warnings=self._warnings, files=[*self._found], unused_variables=unused)

    def _read_file(self, path: Path, key: str) -> None:
        try:
            text = self.files.text(path, "a training scenario is shorter").replace("\r\n", "\n")
            front, body, start = _parts(text)
            document = yaml_document(f"\n{front}")
        except UnusableFileError as wrong:
            self._refuse(str(path), str(wrong))
        except DocumentError as wrong:
            self._add(path, wrong.issues)
        except RecursionError:
            self._refuse(str(path), TOO_DEEP)
        else:
            self._add(path, document.issues)
            self._add_scenario(path, key, document.root, f"\n{front}", self._content(path, text, body, start))

    def _content(self, path: Path, text: str, body: str, start: int) -> _Content:
        """Return the content, with its variables filled and without blank lines at both ends.

        :param start: where the body begins in the text of the file.
        """
        filled = fill(body, self.variables, self.budget.spend, given=_GIVEN)
        self._used |= filled.names
        self._add(path, [issue_at(text, start + each.position, each.message) for each in filled.problems], "content")
        content = _without_blank_ends(filled.text)
        if not content:
            self._add(path, [issue_at(text, start, "is empty; write it after the second line ---")], "content")
        begins = text.count("\n", 0, start + len(body) - len(body.lstrip())) + 1
        return _Content(
            content, Place(str(path), begins, 1, visible(content.lstrip()[: _LONGEST_SHOWN + 1], _LONGEST_SHOWN))
        )

    def _add_scenario(self, path: Path, key: str, root: yaml.Node | None, front: str, content: _Content) -> None:
        if not isinstance(root, yaml.MappingNode):
            self._refuse(str(path), "has a front matter that is not a mapping; write fields, such as title: Refunds")
            return
        values = Values(str(path), front, self.variables, self.budget, given=_GIVEN)
        fields = self._read_fields(path, values, root)
        self._used |= values.used_variables
        unreadable = {name for name, read in fields.items() if not read.is_readable}
        if not content.text:
            unreadable.add("content")
        if "key" not in fields and not self._is_key(path, key):
            unreadable.add("key")
        declaration = {name: read.value for name, read in fields.items() if read.is_readable}

        def place_of(place: Sequence[str | int], is_of_key: bool) -> Place:
            found = fields.get(str(place[0])) if place else None
            if found is not None:
                return values.place(found.key) if is_of_key else values.place_within(found.node, place[1:], found.kind)
            return content.place if place and place[0] == "content" else Place(str(path), 1, 1)

        self._entries.append(
            PlacedEntry(
                {"key": key, **declaration, "content": content.text}, place_of, unreadable=frozenset(unreadable)
            )
        )

    def _read_fields(self, path: Path, values: Values, root: yaml.MappingNode) -> dict[str, ReadField]:
        """Return the fields of the front matter."""
        fields, issues = values.fields(root)
        self._add(path, issues)
        read: dict[str, ReadField] = {}
        for name, (key, node) in fields.items():
            kind = scenario_kinds().get(name, Kind.JSON)
            found = values.read(node, kind)
            issues = found.issues
            if name == "content":
                issues = [values.issue(key, "is the text below the second line ---; move it there")]
            self._add(path, issues, name)
            read[name] = ReadField(key, node, found.value, kind, not issues)
            self._warn(path, found.warnings, name)
            if found.value is None and not issues and name in _MEANINGS_OF_NULL:
                null = values.issue_of_null(node, name, _MEANINGS_OF_NULL[name])
                self._warn(path, [] if null is None else [null])
        return read

    def _is_key(self, path: Path, key: str) -> bool:
        """Return whether the path of a file is a key; if it is not, the file has to say one."""
        try:
            checked_key(key)
        except ValueError as wrong:
            message = f"{in_quotes(key)} is the path of the file, and cannot be the key, which {wrong}"
            remedy = "write key: into the front matter"
            self.problems.append(FileProblem(str(path), 1, 1, None, "key", message, remedy=remedy))
            return False
        return True

    def _warn(self, path: Path, issues: Sequence[Issue], name: str = "") -> None:
        self._warnings += _problems(path, issues, name)

    def _add(self, path: Path, issues: Sequence[Issue], name: str = "") -> None:
        self.problems += _problems(path, issues, name)

    def _refuse(self, file: str, message: str) -> None:
        self.problems.append(FileProblem(file, None, None, None, "", message))


def _problems(path: Path, issues: Sequence[Issue], name: str) -> list[FileProblem]:
    return [FileProblem(str(path), issue.line, issue.column, None, name, issue.message) for issue in issues]


def _without_blank_ends(text: str) -> str:
    """Return a text without the blank lines at both ends; the other lines keep their blanks."""
    begin = text.rfind("\n", 0, len(text) - len(text.lstrip())) + 1
    end = text.find("\n", len(text.rstrip()))
    return text[begin:] if end == -1 else text[begin:end]


def _parts(text: str) -> tuple[str, str, int]:
    """Return the front matter and the body of a file, and where the body begins.

    :raises UnusableFileError: if it has no front matter.
    """
    begins = _BEGINS.match(text)
    if begins is None:
        raise UnusableFileError("has no front matter; begin the file with a line ---, then title: ..., then a line ---")
    ends = _ENDS.search(text, begins.end())
    if ends is None:
        raise UnusableFileError("has a front matter without an end; write a line --- after its fields")
    return text[begins.end() : ends.start()], text[ends.end() :], ends.end()


def _key_below(file: Path, path: str) -> str:
    """Return the key of a file that was found by a path: where it is below the folder that the path names."""
    folder = Path(path)
    while not file.is_relative_to(folder):
        folder = folder.parent
    return file.relative_to(folder).with_suffix("").as_posix()


def _checked_paths(scenarios: ScenarioPath | Sequence[ScenarioPath]) -> list[str]:
    given = [scenarios] if isinstance(scenarios, str | os.PathLike) else scenarios
    if not isinstance(given, Sequence) or isinstance(given, bytes) or not given:
        raise OpenCXArgumentError("scenarios: must be the path of a folder, a .md file, a glob, or a list of them")
    paths = [os.fspath(path) if isinstance(path, str | os.PathLike) else "" for path in given]
    if not all(isinstance(path, str) and path.strip() for path in paths):
        raise OpenCXArgumentError("scenarios: each path must be text that is not empty")
    return paths
