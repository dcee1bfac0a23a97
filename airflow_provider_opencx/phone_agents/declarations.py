"""Checks the declarations of a fleet and returns entries. It names the line if a declaration comes from a file.

Pure; sends nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from airflow_provider_opencx.declared_files.checking import (
    TEMPLATE,
    Conflict,
    Kind,
    check,
    found_in,
    indexes_by,
    problems_in_files,
)
from airflow_provider_opencx.declared_files.places import FileDeclarations
from airflow_provider_opencx.declared_files.problems import FileProblem
from airflow_provider_opencx.normalization import normalize_name
from airflow_provider_opencx.phone_agents.entry import FleetEntry
from airflow_provider_opencx.phone_agents.fleet_files.keys import TEXT_FILES
from airflow_provider_opencx.resources.models import Problem
from airflow_provider_opencx.secret import forgets_locals
from airflow_provider_opencx.visible_text import identifier, in_quotes


@forgets_locals
def parse_fleet(declarations: object) -> list[FleetEntry]:
    """Check the declarations of a fleet and return them as its entries.

    :param declarations: a sequence of declarations, each a mapping of an agent's fields, its name among them.
    :raises OpenCXFleetFileError: if they come from files, naming each problem with its line.
    :raises OpenCXArgumentError: naming each declaration that is wrong, and those that contradict each other.
    """
    return list(check(_AGENTS, declarations).entries.values())


def problems_of_fleet(declarations: FileDeclarations) -> list[FileProblem]:
    """Return what is wrong with the declarations in files, beside what was found when the files were read."""
    return problems_in_files(_AGENTS, declarations, found_in(_AGENTS, declarations))


def check_literal_declarations(declarations: Sequence[object], is_literal: Callable[[object], bool]) -> None:
    """Check what can be checked of declarations while a Dag is parsed: every value without a template.

    :param declarations: the declarations, as written.
    :param is_literal: whether a value holds no template.
    :raises OpenCXArgumentError: as :func:`parse_fleet` does.
    """

    def parse(fields: Mapping[str, object]) -> FleetEntry:
        literal = {field: value for field, value in fields.items() if is_literal(value)}
        has_templated_name = "name" in fields and "name" not in literal
        return _AGENTS.parse({"name": TEMPLATE, **literal} if has_templated_name else literal)

    known = [part if isinstance(part, Mapping) or is_literal(part) else _A_TEMPLATE for part in declarations]
    check(_AGENTS, known, parse)


_A_TEMPLATE: Mapping[str, object] = {"name": TEMPLATE}
"""Stands in for a declaration that is not known before its task runs."""


def _explained(problem: Problem) -> Problem:
    """Return a problem that says more where a key of fleet files is used in a Dag."""
    field = TEXT_FILES.get(str(problem.field[0])) if problem.is_of_name else None
    if field is None:
        return problem
    return replace(problem, message=f"is a key of fleet files; in a Dag, give the text itself as {field}")


def _conflicts(entries: Mapping[int, FleetEntry]) -> Iterator[Conflict]:
    yield from _declared_twice(entries)
    yield from _renamed_across(entries)


def _declared_twice(entries: Mapping[int, FleetEntry]) -> Iterator[Conflict]:
    """Return each name and each id that is declared more than once."""
    for field in ("name", "id"):
        for value, indexes in indexes_by(entries, field, normalize_name).items():
            if len(indexes) > 1:
                called = in_quotes(value) if field == "name" else f"the id {identifier(value)}"
                yield Conflict(indexes, field, f"{called} is declared {len(indexes)} times")


def _renamed_across(entries: Mapping[int, FleetEntry]) -> Iterator[Conflict]:
    """Return each ``previous_name`` that another entry has as its name, or as its previous name.

    An entry whose previous name is its own is renamed already.
    """
    names = indexes_by(entries, "name", normalize_name)
    for value, indexes in indexes_by(entries, "previous_name", normalize_name).items():
        renamed = [index for index in indexes if entries[index].name != value]
        others = [index for index in names.get(value, []) if index not in renamed]
        if len(renamed) > 1:
            before = f"{len(renamed)} agents have {in_quotes(value)} as their previous_name"
            yield Conflict(renamed, "previous_name", before, ", and one agent alone can have had it")
        for index in renamed if others else []:
            yield Conflict(
                [*others, index],
                "previous_name",
                f"previous_name: {in_quotes(value)} is the name of another agent of the fleet",
                ", which may be the one that is meant. Rename one after the other: apply the fleet without that agent"
                " first",
                other_field="name",
            )


_AGENTS = Kind(
    FleetEntry,
    argument="agents",
    fields_of="an agent's",
    takes="a list of declarations, or the path of a YAML or JSON file",
    named_by="name",
    conflicts=_conflicts,
    explained=_explained,
)
