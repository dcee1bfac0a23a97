"""Checks declarations and describes the problems, with the line if the declaration comes from a file.

Pure; sends nothing. What is declared, a :class:`Kind` says.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import ValidationError

from airflow_provider_opencx.declared_files.places import FileDeclarations, Place, PlacedEntry
from airflow_provider_opencx.declared_files.problems import MOST_PROBLEMS, FileProblem, file_error, shown_path
from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.resources.models import CheckedModel, Problem, problems_of
from airflow_provider_opencx.text import listed
from airflow_provider_opencx.visible_text import identifier, in_quotes

_MOST_NAMED = 20

TEMPLATE = "{{ }}"
"""Stands in for a name that is not known before its task runs."""

SpecT = TypeVar("SpecT", bound=CheckedModel)

Parse = Callable[[Mapping[str, object]], SpecT]
"""Makes a declaration of its fields; raises Pydantic's error."""


@dataclass(frozen=True)
class Kind(Generic[SpecT]):
    """The kind of declarations.

    :param model: one declaration.
    :param argument: the argument that takes the declarations, for messages.
    :param fields_of: whose fields they are, for messages, such as ``an agent's``.
    :param takes: what the argument takes, for messages.
    :param named_by: the field that names one in messages.
    :param conflicts: returns what declarations, by their positions, contradict each other in.
    :param is_one_a_file: whether a file declares one, so that the file says which is meant.
    :param explained: returns a problem with more of an explanation where there is one.
    """

    model: type[SpecT]
    argument: str
    fields_of: str
    takes: str
    named_by: str
    conflicts: Callable[[Mapping[int, SpecT]], Iterable[Conflict]]
    is_one_a_file: bool = False
    explained: Callable[[Problem], Problem] = lambda problem: problem

    def parse(self, fields: Mapping[str, object]) -> SpecT:
        """Return a declaration; raises Pydantic's error."""
        return self.model.model_validate(dict(fields))


@dataclass(frozen=True)
class _Wrong:
    """A problem of the declaration at an index."""

    index: int
    problem: Problem


@dataclass(frozen=True)
class Conflict:
    """A contradiction between declarations.

    :param indexes: the indexes of the declarations; the last of them is to be changed.
    :param field: the field in which they do.
    :param other_field: the field of the others, where it is another one.
    :param before: what is wrong.
    :param after: what follows the places of the declarations.
    """

    indexes: Sequence[int]
    field: str
    before: str
    after: str = ""
    other_field: str = ""

    @property
    def shown(self) -> Sequence[tuple[int, str]]:
        """The index and the field of each declaration that is named in the sentence."""
        others = [(index, self.other_field or self.field) for index in self.indexes]
        return others[:-1] if self.other_field else others


@dataclass(frozen=True)
class Checked(Generic[SpecT]):
    """Declarations that were checked.

    :param entries: the parsed declarations, by the indexes of their declarations; of those that are not wrong.
    :param wrong: the problems of single declarations.
    :param conflicts: the problems of several together.
    """

    entries: Mapping[int, SpecT]
    wrong: Sequence[_Wrong]
    conflicts: Sequence[Conflict]


def check(kind: Kind[SpecT], declarations: object, parse: Parse[SpecT] | None = None) -> Checked[SpecT]:
    """Check declarations, and return what they declare.

    :param kind: what is declared.
    :param declarations: a sequence of declarations.
    :param parse: makes one of its fields; by default that of the kind.
    :raises OpenCXFleetFileError: if they come from files, naming each problem with its line.
    :raises OpenCXArgumentError: naming each declaration that is wrong, and those that contradict each other.
    """
    if not isinstance(declarations, Sequence) or isinstance(declarations, str | bytes):
        raise OpenCXArgumentError(f"{kind.argument}: must be {kind.takes}")
    checked = found_in(kind, declarations, parse)
    if isinstance(declarations, FileDeclarations):
        problems = problems_in_files(kind, declarations, checked)
        if problems:
            raise file_error(problems, [str(file) for file in declarations.files], argument=kind.argument)
    elif checked.wrong or checked.conflicts:
        raise OpenCXArgumentError(_message(kind, declarations, checked))
    return checked


def found_in(kind: Kind[SpecT], declarations: Sequence[object], parse: Parse[SpecT] | None = None) -> Checked[SpecT]:
    """Return what declarations declare, and what is wrong with them."""
    entries: dict[int, SpecT] = {}
    wrong: list[_Wrong] = []
    for index, declaration in enumerate(declarations):
        if len(wrong) >= MOST_PROBLEMS:
            break
        found = _parsed(kind, declaration, parse or kind.parse)
        if isinstance(found, list):
            wrong += [_Wrong(index, problem) for problem in found]
        else:
            entries[index] = found
    return Checked(entries, wrong, [*kind.conflicts(entries)])


def _parsed(kind: Kind[SpecT], declaration: object, parse: Parse[SpecT]) -> SpecT | list[Problem]:
    """Return what is declared, or what is wrong with it."""
    if not isinstance(declaration, Mapping) or not all(isinstance(field, str) for field in declaration):
        return [Problem((), f"must be a mapping of {kind.fields_of} fields, whose names are text")]
    try:
        return parse(declaration)
    except ValidationError as invalid:
        return [kind.explained(problem) for problem in problems_of(invalid, kind.model)]


def indexes_by(entries: Mapping[int, SpecT], field: str, form: Callable[[str], str]) -> Mapping[str, list[int]]:
    """Return the indexes of the declarations that have a value in a field, one that holds no template.

    :param form: returns the form in which two values are compared.
    """
    indexes: dict[str, list[int]] = defaultdict(list)
    for index, entry in entries.items():
        value = getattr(entry, field)
        if isinstance(value, str) and value != TEMPLATE:
            indexes[form(value)].append(index)
    return indexes


# Declarations in a Dag.


def _message(kind: Kind[SpecT], declarations: Sequence[object], checked: Checked[SpecT]) -> str:
    sentences = [*_sentences(kind, declarations, checked.wrong)]
    for conflict in checked.conflicts:
        numbers = listed([str(index + 1) for index, _ in conflict.shown])
        sentences.append(f"{conflict.before} (number {numbers}){conflict.after}")
    return f"{kind.argument}: {listed(sentences, _MOST_NAMED, separator='; ', more='; and {} more')}"


def _sentences(kind: Kind[SpecT], declarations: Sequence[object], wrong: Sequence[_Wrong]) -> Iterator[str]:
    problems: dict[int, list[Problem]] = defaultdict(list)
    for item in wrong:
        problems[item.index].append(item.problem)
    for index, found in problems.items():
        name = _name(kind, declarations[index])
        named = "" if name is None else f" ({in_quotes(name)})"
        yield f"number {index + 1}{named}: {listed([str(problem) for problem in found], 5, separator='; ')}"


def _name(kind: Kind[SpecT], declaration: object) -> str | None:
    name = declaration.get(kind.named_by) if isinstance(declaration, Mapping) else None
    return name if isinstance(name, str) else None


# Declarations in files.


def problems_in_files(kind: Kind[SpecT], declarations: FileDeclarations, checked: Checked[SpecT]) -> list[FileProblem]:
    """Return what is wrong with declarations in files, beside what was found when the files were read."""
    of_defaults = [
        _problem_in_file(kind, entry, problem)
        for entry in declarations.defaults
        for problem in _of_defaults(kind, entry)
    ]
    explained = {(problem.file, problem.message) for problem in of_defaults}
    found = of_defaults
    for item in checked.wrong:
        entry = declarations.entries[item.index]
        problem = _problem_in_file(kind, entry, item.problem, item.index)
        field = str(item.problem.field[0]) if item.problem.field else ""
        is_known = bool(entry.unreadable) if not field else field in entry.unreadable or field in entry.defaults
        if not is_known and not (not field and (problem.file, problem.message) in explained):
            found.append(problem)
    return found + [_conflict_in_files(declarations, conflict) for conflict in checked.conflicts]


def _of_defaults(kind: Kind[SpecT], entry: PlacedEntry) -> Sequence[Problem]:
    """Return what is wrong with defaults."""
    fields = entry.declaration if isinstance(entry.declaration, Mapping) else {}
    found = _parsed(kind, {kind.named_by: TEMPLATE, **fields}, kind.parse)
    problems = found if isinstance(found, list) else []
    return [problem for problem in problems if not problem.field or str(problem.field[0]) not in entry.unreadable]


def _problem_in_file(kind: Kind[SpecT], entry: PlacedEntry, problem: Problem, index: int | None = None) -> FileProblem:
    """Return a problem with its place.

    :param index: of the declaration; ``None`` for defaults.
    """
    place = entry.place_of(problem.field, problem.is_of_name)
    path = identifier(".".join(map(str, problem.field))) if problem.field else ""
    message, _, remedy = problem.message.partition("; ") if problem.is_of_name else (problem.message, "", place.remedy)
    is_about_what_is_written = problem.is_of_name or problem.is_of_value
    return FileProblem(
        *(place.file, place.line, place.column),
        agent=None if kind.is_one_a_file else _name(kind, entry.declaration),
        field=".".join(filter(None, ["defaults" if index is None else "", path])),
        message=message,
        read=place.text if is_about_what_is_written else None,
        remedy=remedy if is_about_what_is_written else "",
        entry=None if index is None or kind.is_one_a_file else index + 1,
    )


def _conflict_in_files(declarations: FileDeclarations, conflict: Conflict) -> FileProblem:
    place = declarations.entries[conflict.indexes[-1]].place_of((conflict.field,), False)
    places = [declarations.entries[index].place_of((field,), False) for index, field in conflict.shown]
    return FileProblem(
        *(place.file, place.line, place.column),
        agent=None,
        field="",
        message=f"{conflict.before}: in {_lines(places)}{conflict.after}",
    )


def _lines(places: Sequence[Place]) -> str:
    """Return where places are: their lines, with the files where these are several."""
    if len({place.file for place in places}) == 1:
        lines = listed([str(place.line) for place in places])
        return f"line {lines}" if len(places) == 1 else f"lines {lines}"
    return listed([f"{shown_path(place.file)}, line {place.line}" for place in places], separator="; ")
