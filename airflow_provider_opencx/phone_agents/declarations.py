"""Checks the declarations of a fleet and returns them as specs. A declaration from a file is named by its line.

Pure; sends nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pydantic import ValidationError

from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.phone_agents.entry import FleetEntry
from airflow_provider_opencx.phone_agents.fleet_files.places import MOST_PROBLEMS, FileDeclarations, Place, file_message
from airflow_provider_opencx.resources.models import Problem, problems_of
from airflow_provider_opencx.resources.phone_agents import PhoneAgentChanges
from airflow_provider_opencx.secret import forgets_locals
from airflow_provider_opencx.text import listed
from airflow_provider_opencx.visible_text import in_quotes

_MOST_NAMED = 20

_Declared = TypeVar("_Declared", bound=PhoneAgentChanges)


@dataclass(frozen=True)
class _Wrong:
    """A problem of the declaration at an index."""

    index: int
    problem: Problem


@forgets_locals
def parse_fleet(declarations: object) -> list[FleetEntry]:
    """Check the declarations of a fleet and return them as its entries.

    :param declarations: a sequence of declarations, each a mapping of an agent's fields, its name among them.
    :raises OpenCXArgumentError: naming each declaration that is wrong, with its line if it comes from a file, and each
        name that is declared twice.
    """
    return _parsed(declarations, lambda fields: FleetEntry.model_validate(dict(fields)))


def check_literal_declarations(declarations: Sequence[object], is_literal: Callable[[object], bool]) -> None:
    """Check what can be checked of declarations while a Dag is parsed: every value without a template.

    :param declarations: the declarations, as they are written.
    :param is_literal: whether a value holds no template.
    :raises OpenCXArgumentError: as :func:`parse_fleet` does.
    """

    def check(fields: Mapping[str, object]) -> PhoneAgentChanges:
        literal = {field: value for field, value in fields.items() if is_literal(value)}
        has_templated_name = "name" in fields and "name" not in literal
        return FleetEntry.model_validate({"name": _TEMPLATE, **literal} if has_templated_name else literal)

    known = [part if isinstance(part, Mapping) or is_literal(part) else _A_TEMPLATE for part in declarations]
    _parsed(known, check)


_TEMPLATE = "{{ }}"
_A_TEMPLATE: Mapping[str, object] = {"name": _TEMPLATE}
"""Stands in for a declaration that is not known before its task runs."""


def _parsed(declarations: object, parse: Callable[[Mapping[str, object]], _Declared]) -> list[_Declared]:
    if not isinstance(declarations, Sequence) or isinstance(declarations, str | bytes):
        raise OpenCXArgumentError("agents: must be a list of declarations, or the path of a YAML or JSON file")
    declared: dict[int, _Declared] = {}
    wrong: list[_Wrong] = []
    for index, declaration in enumerate(declarations):
        if len(wrong) >= MOST_PROBLEMS:
            break
        try:
            if isinstance(declaration, Mapping) and all(isinstance(field, str) for field in declaration):
                declared[index] = parse(declaration)
            else:
                problem = Problem((), "must be a mapping of an agent's fields, whose names are text")
                wrong.append(_Wrong(index, problem))
        except ValidationError as invalid:
            wrong += [_Wrong(index, problem) for problem in problems_of(invalid, FleetEntry)]
    twice = _declared_twice(declared)
    if wrong or twice:
        raise OpenCXArgumentError(_message(declarations, wrong, twice))
    return list(declared.values())


def _declared_twice(declared: Mapping[int, PhoneAgentChanges]) -> dict[str, list[int]]:
    """Return each name that is declared more than once, with the indexes of its declarations."""
    indexes: dict[str, list[int]] = defaultdict(list)
    for index, changes in declared.items():
        if changes.name not in (None, _TEMPLATE):
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


def _named(declaration: object, form: str) -> str:
    name = declaration.get("name") if isinstance(declaration, Mapping) else None
    return form.format(in_quotes(name)) if isinstance(name, str) else ""
