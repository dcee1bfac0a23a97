"""Checks the declarations of a fleet and returns them as specs. A declaration from a file is named by its line.

Pure; sends nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TypeVar

from pydantic import ValidationError

from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.resources.models import Problem, problems_of
from airflow_provider_opencx.resources.phone_agents import PhoneAgentChanges, PhoneAgentSpec
from airflow_provider_opencx.secret import forgets_locals
from airflow_provider_opencx.text import listed
from airflow_provider_opencx.visible_text import in_quotes, visible

_MOST_NAMED = 20
_MOST_PROBLEMS = 1_000  # the rest is not checked before these are solved

_LONGEST_PATH = 1000

_Declared = TypeVar("_Declared", bound=PhoneAgentChanges)


@dataclass(frozen=True)
class Place:
    """Where a value stands in a file, and how it is written there.

    :param line: counted from 1.
    :param column: counted from 1.
    :param text: the value as it is written, in a form that can be shown; empty if nothing is written.
    :param remedy: what to change in the file so that the value is read as meant; empty if nothing is known.
    """

    line: int
    column: int
    text: str = ""
    remedy: str = ""


class FileDeclarations(list[object]):
    """The declarations in a file, which know where they stand in it.

    :param declarations: the declarations.
    :param path: the path of the file.
    :param place_of: returns the place of the value at a path of keys and positions, such as ``(0, "name")``: of its
        key, if the second argument is true. ``None`` if it is not known.
    """

    def __init__(
        self,
        declarations: Sequence[object],
        path: str,
        place_of: Callable[[Sequence[str | int], bool], Place | None],
    ) -> None:
        super().__init__(declarations)
        self.path = path
        self.place_of = place_of


@dataclass(frozen=True)
class _Wrong:
    """A problem of the declaration at an index."""

    index: int
    problem: Problem


@forgets_locals
def parse_fleet(declarations: object) -> list[PhoneAgentSpec]:
    """Check the declarations of a fleet and return them as specs.

    :param declarations: a sequence of declarations, each a mapping of an agent's fields, its name among them.
    :raises OpenCXArgumentError: naming each declaration that is wrong, with its line if it comes from a file, and each
        name that is declared twice.
    """
    return _parsed(declarations, lambda fields: PhoneAgentSpec.model_validate(dict(fields)))


def check_literal_declarations(declarations: Sequence[object], is_literal: Callable[[object], bool]) -> None:
    """Check what can be checked of declarations while a Dag is parsed: every value without a template.

    :param declarations: the declarations, as they are written.
    :param is_literal: whether a value holds no template.
    :raises OpenCXArgumentError: as :func:`parse_fleet` does.
    """

    def check(fields: Mapping[str, object]) -> PhoneAgentChanges:
        literal = {field: value for field, value in fields.items() if is_literal(value)}
        has_templated_name = "name" in fields and "name" not in literal
        return (PhoneAgentChanges if has_templated_name else PhoneAgentSpec).model_validate(literal)

    known = [part if isinstance(part, Mapping) or is_literal(part) else _A_TEMPLATE for part in declarations]
    _parsed(known, check)


_A_TEMPLATE: Mapping[str, object] = {"name": "{{ }}"}
"""Stands in for a declaration that is not known before its task runs."""


def _parsed(declarations: object, parse: Callable[[Mapping[str, object]], _Declared]) -> list[_Declared]:
    if not isinstance(declarations, Sequence) or isinstance(declarations, str | bytes):
        raise OpenCXArgumentError("agents: must be a list of declarations, or the path of a YAML or JSON file")
    declared: dict[int, _Declared] = {}
    wrong: list[_Wrong] = []
    for index, declaration in enumerate(declarations):
        if len(wrong) >= _MOST_PROBLEMS:
            break
        try:
            if isinstance(declaration, Mapping) and all(isinstance(field, str) for field in declaration):
                declared[index] = parse(declaration)
            else:
                problem = Problem((), "must be a mapping of an agent's fields, whose names are text")
                wrong.append(_Wrong(index, problem))
        except ValidationError as invalid:
            wrong += [_Wrong(index, problem) for problem in problems_of(invalid, PhoneAgentSpec)]
    twice = _declared_twice(declared)
    if wrong or twice:
        raise OpenCXArgumentError(_message(declarations, wrong, twice))
    return list(declared.values())


def _declared_twice(declared: Mapping[int, PhoneAgentChanges]) -> dict[str, list[int]]:
    """Return each name that is declared more than once, with the indexes of its declarations."""
    indexes: dict[str, list[int]] = defaultdict(list)
    for index, changes in declared.items():
        if changes.name is not None:
            indexes[changes.name].append(index)
    return {name: where for name, where in indexes.items() if len(where) > 1}


def _message(declarations: Sequence[object], wrong: Sequence[_Wrong], twice: Mapping[str, Sequence[int]]) -> str:
    if isinstance(declarations, FileDeclarations):
        return file_message(declarations.path, [*_lines(declarations, wrong), *_lines_of_twice(declarations, twice)])
    sentences = [*_sentences(declarations, wrong)]
    for name, indexes in twice.items():
        numbers = listed([str(index + 1) for index in indexes])
        sentences.append(f"{in_quotes(name)} is declared {len(indexes)} times (number {numbers})")
    return f"agents: {listed(sentences, _MOST_NAMED, separator='; ', more='; and {} more')}"


def _sentences(declarations: Sequence[object], wrong: Sequence[_Wrong]) -> Iterator[str]:
    problems: dict[int, list[Problem]] = defaultdict(list)
    for item in wrong:
        problems[item.index].append(item.problem)
    for index, found in problems.items():
        named = _named(declarations[index], " ({})")
        yield f"number {index + 1}{named}: {listed([str(problem) for problem in found], 5, separator='; ')}"


def _lines(declarations: FileDeclarations, wrong: Sequence[_Wrong]) -> Iterator[tuple[Place | None, str]]:
    for item in wrong:
        problem = item.problem
        place = declarations.place_of((item.index, *problem.field), problem.is_of_name)
        named = _named(declarations[item.index], "agent {}") or f"number {item.index + 1}"
        sentence = f"{named}: {problem}"
        if place is not None and problem.is_of_value:
            stop = "" if sentence.endswith("?") else ";"
            sentence += f"{stop} read {place.text or 'nothing'}"
            sentence += f"; {place.remedy}" if place.remedy else ""
        yield place, sentence


def _lines_of_twice(
    declarations: FileDeclarations, twice: Mapping[str, Sequence[int]]
) -> Iterator[tuple[Place | None, str]]:
    for name, indexes in twice.items():
        places = [declarations.place_of((index, "name"), False) for index in indexes]
        lines = listed([str(place.line) for place in places if place is not None])
        where = f": in lines {lines}" if lines else ""
        yield places[-1], f"{in_quotes(name)} is declared {len(indexes)} times{where}"


def file_message(path: str, problems: Sequence[tuple[Place | None, str]]) -> str:
    """Return the message of an error about a file: each problem on a line of its own, with its place.

    :param path: the path of the file.
    :param problems: the place of each problem, if it is known, and a sentence about it.
    """
    ordered = sorted(problems, key=lambda item: (item[0].line, item[0].column) if item[0] else (0, 0))
    if len(ordered) == 1:
        [(place, sentence)] = ordered
        return f"agents: {place_in(path, place)}: {sentence}"
    lines = [f"{place_in(PurePath(path).name, place)}: {sentence}" for place, sentence in ordered]
    text = listed(lines, _MOST_NAMED, separator="\n", more="\nand {} more")
    number = str(len(lines)) if len(lines) < _MOST_PROBLEMS else f"{_MOST_PROBLEMS:,} or more"
    return f"agents: {shown_path(path)} cannot be used, because of {number} problems:\n{text}"


def shown_path(path: str | PurePath) -> str:
    """Return the path of a file as messages show it."""
    return visible(str(path), _LONGEST_PATH)


def place_in(file: str, place: Place | None) -> str:
    """Return the place in a file as messages show it."""
    return f"{shown_path(file)}, line {place.line}, column {place.column}" if place else shown_path(file)


def _named(declaration: object, form: str) -> str:
    name = declaration.get("name") if isinstance(declaration, Mapping) else None
    return form.format(in_quotes(name)) if isinstance(name, str) else ""
