"""Checks the declarations of a fleet and returns them as entries. A declaration from a file is named by its line.

Pure; sends nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import ValidationError

from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.phone_agents.entry import FleetEntry
from airflow_provider_opencx.phone_agents.fleet_files.keys import TEXT_FILES
from airflow_provider_opencx.phone_agents.fleet_files.places import FleetDeclarations, Place, PlacedEntry
from airflow_provider_opencx.phone_agents.fleet_files.problems import MOST_PROBLEMS, FileProblem, file_error, shown_path
from airflow_provider_opencx.resources.models import Problem, problems_of
from airflow_provider_opencx.resources.phone_agents import normalize_name
from airflow_provider_opencx.secret import forgets_locals
from airflow_provider_opencx.text import listed
from airflow_provider_opencx.visible_text import identifier, in_quotes

_MOST_NAMED = 20


@forgets_locals
def parse_fleet(declarations: object) -> list[FleetEntry]:
    """Check the declarations of a fleet and return them as its entries.

    :param declarations: a sequence of declarations, each a mapping of an agent's fields, its name among them.
    :raises OpenCXFleetFileError: if they come from files, naming each problem with its line.
    :raises OpenCXArgumentError: naming each declaration that is wrong, and those that contradict each other.
    """
    checked = _checked(declarations, lambda fields: FleetEntry.model_validate(dict(fields)))
    return list(checked.entries.values())


def problems_of_fleet(declarations: FleetDeclarations) -> list[FileProblem]:
    """Return what is wrong with the declarations in files, beside what was found when the files were read."""
    return _problems_in_files(
        declarations, _check(declarations, lambda fields: FleetEntry.model_validate(dict(fields)))
    )


def check_literal_declarations(declarations: Sequence[object], is_literal: Callable[[object], bool]) -> None:
    """Check what can be checked of declarations while a Dag is parsed: every value without a template.

    :param declarations: the declarations, as they are written.
    :param is_literal: whether a value holds no template.
    :raises OpenCXArgumentError: as :func:`parse_fleet` does.
    """

    def check(fields: Mapping[str, object]) -> FleetEntry:
        literal = {field: value for field, value in fields.items() if is_literal(value)}
        has_templated_name = "name" in fields and "name" not in literal
        return FleetEntry.model_validate({"name": _TEMPLATE, **literal} if has_templated_name else literal)

    known = [part if isinstance(part, Mapping) or is_literal(part) else _A_TEMPLATE for part in declarations]
    _checked(known, check)


_TEMPLATE = "{{ }}"
_A_TEMPLATE: Mapping[str, object] = {"name": _TEMPLATE}
"""Stands in for a declaration that is not known before its task runs."""


@dataclass(frozen=True)
class _Wrong:
    """A problem of the declaration at an index."""

    index: int
    problem: Problem


@dataclass(frozen=True)
class _Conflict:
    """What declarations contradict each other in.

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
class _Checked:
    """Declarations that were checked.

    :param entries: the entries, by the indexes of their declarations; of those that are not wrong.
    :param wrong: the problems of single declarations.
    :param conflicts: the problems of several together.
    """

    entries: Mapping[int, FleetEntry]
    wrong: Sequence[_Wrong]
    conflicts: Sequence[_Conflict]


_Parse = Callable[[Mapping[str, object]], FleetEntry]


def _checked(declarations: object, parse: _Parse) -> _Checked:
    if not isinstance(declarations, Sequence) or isinstance(declarations, str | bytes):
        raise OpenCXArgumentError("agents: must be a list of declarations, or the path of a YAML or JSON file")
    checked = _check(declarations, parse)
    if isinstance(declarations, FleetDeclarations):
        problems = _problems_in_files(declarations, checked)
        if problems:
            raise file_error(problems, [str(file) for file in declarations.files])
    elif checked.wrong or checked.conflicts:
        raise OpenCXArgumentError(_message(declarations, checked))
    return checked


def _check(declarations: Sequence[object], parse: _Parse) -> _Checked:
    entries: dict[int, FleetEntry] = {}
    wrong: list[_Wrong] = []
    for index, declaration in enumerate(declarations):
        if len(wrong) >= MOST_PROBLEMS:
            break
        found = _parsed(declaration, parse)
        if isinstance(found, FleetEntry):
            entries[index] = found
        else:
            wrong += [_Wrong(index, problem) for problem in found]
    return _Checked(entries, wrong, [*_declared_twice(entries), *_renamed_across(entries)])


def _parsed(declaration: object, parse: _Parse) -> FleetEntry | list[Problem]:
    """Return a declaration as an entry, or what is wrong with it."""
    if not isinstance(declaration, Mapping) or not all(isinstance(field, str) for field in declaration):
        return [Problem((), "must be a mapping of an agent's fields, whose names are text")]
    try:
        return parse(declaration)
    except ValidationError as invalid:
        return [_explained(problem) for problem in problems_of(invalid, FleetEntry)]


def _explained(problem: Problem) -> Problem:
    """Return a problem that says more where a key of fleet files stands in a Dag."""
    field = TEXT_FILES.get(str(problem.field[0])) if problem.is_of_name else None
    if field is None:
        return problem
    return replace(problem, message=f"is a key of fleet files; in a Dag, give the text itself as {field}")


# What entries contradict each other in.


def _declared_twice(entries: Mapping[int, FleetEntry]) -> Iterator[_Conflict]:
    """Return each name and each id that is declared more than once."""
    for field in ("name", "id"):
        for value, indexes in _indexes(entries, field).items():
            if len(indexes) > 1:
                called = in_quotes(value) if field == "name" else f"the id {identifier(value)}"
                yield _Conflict(indexes, field, f"{called} is declared {len(indexes)} times")


def _renamed_across(entries: Mapping[int, FleetEntry]) -> Iterator[_Conflict]:
    """Return each ``previous_name`` that another entry has as its name, or as its previous name.

    An entry whose previous name is its own is renamed already.
    """
    names = _indexes(entries, "name")
    for value, indexes in _indexes(entries, "previous_name").items():
        renamed = [index for index in indexes if entries[index].name != value]
        others = [index for index in names.get(value, []) if index not in renamed]
        if len(renamed) > 1:
            before = f"{len(renamed)} agents have {in_quotes(value)} as their previous_name"
            yield _Conflict(renamed, "previous_name", before, ", and one agent alone can have had it")
        for index in renamed if others else []:
            yield _Conflict(
                [*others, index],
                "previous_name",
                f"previous_name: {in_quotes(value)} is the name of another agent of the fleet",
                ", which may be the one that is meant. Rename one after the other: apply the fleet without that agent"
                " first",
                other_field="name",
            )


def _indexes(entries: Mapping[int, FleetEntry], field: str) -> Mapping[str, list[int]]:
    """Return the indexes of the entries that have a value in a field."""
    indexes: dict[str, list[int]] = defaultdict(list)
    for index, entry in entries.items():
        value = getattr(entry, field)
        if isinstance(value, str) and value != _TEMPLATE:
            indexes[normalize_name(value)].append(index)
    return indexes


# Declarations in a Dag.


def _message(declarations: Sequence[object], checked: _Checked) -> str:
    sentences = [*_sentences(declarations, checked.wrong)]
    for conflict in checked.conflicts:
        numbers = listed([str(index + 1) for index, _ in conflict.shown])
        sentences.append(f"{conflict.before} (number {numbers}){conflict.after}")
    return f"agents: {listed(sentences, _MOST_NAMED, separator='; ', more='; and {} more')}"


def _sentences(declarations: Sequence[object], wrong: Sequence[_Wrong]) -> Iterator[str]:
    problems: dict[int, list[Problem]] = defaultdict(list)
    for item in wrong:
        problems[item.index].append(item.problem)
    for index, found in problems.items():
        name = _name(declarations[index])
        named = "" if name is None else f" ({in_quotes(name)})"
        yield f"number {index + 1}{named}: {listed([str(problem) for problem in found], 5, separator='; ')}"


def _name(declaration: object) -> str | None:
    name = declaration.get("name") if isinstance(declaration, Mapping) else None
    return name if isinstance(name, str) else None


# Declarations in files.


def _problems_in_files(fleet: FleetDeclarations, checked: _Checked) -> list[FileProblem]:
    of_defaults = [_problem_in_file(entry, problem) for entry in fleet.defaults for problem in _of_defaults(entry)]
    explained = {(problem.file, problem.message) for problem in of_defaults}
    found = of_defaults
    for item in checked.wrong:
        entry = fleet.entries[item.index]
        problem = _problem_in_file(entry, item.problem, item.index)
        field = str(item.problem.field[0]) if item.problem.field else ""
        is_known = bool(entry.unreadable) if not field else field in entry.unreadable or field in entry.defaults
        if not is_known and not (not field and (problem.file, problem.message) in explained):
            found.append(problem)
    return found + [_conflict_in_files(fleet, conflict) for conflict in checked.conflicts]


def _of_defaults(entry: PlacedEntry) -> Sequence[Problem]:
    """Return what is wrong with defaults."""
    fields = entry.declaration if isinstance(entry.declaration, Mapping) else {}
    found = _parsed({"name": _TEMPLATE, **fields}, lambda given: FleetEntry.model_validate(dict(given)))
    problems = [] if isinstance(found, FleetEntry) else found
    return [problem for problem in problems if not problem.field or str(problem.field[0]) not in entry.unreadable]


def _problem_in_file(entry: PlacedEntry, problem: Problem, index: int | None = None) -> FileProblem:
    """Return a problem with its place.

    :param index: of the declaration; ``None`` for defaults.
    """
    place = entry.place_of(problem.field, problem.is_of_name)
    path = identifier(".".join(map(str, problem.field))) if problem.field else ""
    message, _, remedy = problem.message.partition("; ") if problem.is_of_name else (problem.message, "", place.remedy)
    is_about_what_is_written = problem.is_of_name or problem.is_of_value
    return FileProblem(
        *(place.file, place.line, place.column),
        agent=_name(entry.declaration),
        field=".".join(filter(None, ["defaults" if index is None else "", path])),
        message=message,
        read=place.text if is_about_what_is_written else None,
        remedy=remedy if is_about_what_is_written else "",
        entry=None if index is None else index + 1,
    )


def _conflict_in_files(fleet: FleetDeclarations, conflict: _Conflict) -> FileProblem:
    place = fleet.entries[conflict.indexes[-1]].place_of((conflict.field,), False)
    places = [fleet.entries[index].place_of((field,), False) for index, field in conflict.shown]
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
