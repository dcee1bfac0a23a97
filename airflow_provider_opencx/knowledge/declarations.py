"""Checks the declarations of training scenarios, and names the line if a declaration comes from a file.

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
from airflow_provider_opencx.resources.training import ScenarioSpec, normalize_title
from airflow_provider_opencx.secret import forgets_locals
from airflow_provider_opencx.visible_text import in_quotes


@forgets_locals
def parse_scenarios(declarations: object) -> list[ScenarioSpec]:
    """Check the declarations of training scenarios and return them.

    :param declarations: a sequence of declarations, each a mapping of a scenario's fields, its key among them.
    :raises OpenCXFleetFileError: if they come from files, naming each problem with its line.
    :raises OpenCXArgumentError: naming each declaration that is wrong, and those that contradict each other.
    """
    return list(check(_SCENARIOS, declarations).entries.values())


def problems_of_scenarios(declarations: FileDeclarations) -> list[FileProblem]:
    """Return what is wrong with the declarations in files, beside what was found when the files were read."""
    return problems_in_files(_SCENARIOS, declarations, found_in(_SCENARIOS, declarations))


def check_literal_scenarios(declarations: Sequence[object], is_literal: Callable[[object], bool]) -> None:
    """Check what can be checked of declarations while a Dag is parsed: every value without a template.

    :param declarations: the declarations, as written.
    :param is_literal: whether a value holds no template.
    :raises OpenCXArgumentError: as :func:`parse_scenarios` does.
    """

    def parse(fields: Mapping[str, object]) -> ScenarioSpec:
        literal = {name: value for name, value in fields.items() if is_literal(value)}
        templated = {name: stand_in for name, stand_in in _STAND_INS.items() if name in fields and name not in literal}
        return _SCENARIOS.parse({**literal, **templated})

    known = [part if isinstance(part, Mapping) or is_literal(part) else _STAND_INS for part in declarations]
    check(replace(_SCENARIOS, conflicts=_conflicts_of_literals), known, parse)


_STAND_INS: Mapping[str, object] = {"key": "template", "title": TEMPLATE, "content": TEMPLATE}
"""Stand in for required fields that are not known before their task runs."""


def _conflicts(entries: Mapping[int, ScenarioSpec]) -> Iterator[Conflict]:
    """Return each key and each title that is declared more than once; letter case makes no difference to a key."""
    for name, form in (("key", str.lower), ("title", normalize_title)):
        for value, indexes in indexes_by(entries, name, form).items():
            if len(indexes) > 1:
                yield Conflict(indexes, name, f"the {name} {in_quotes(value)} is declared {len(indexes)} times")


def _conflicts_of_literals(entries: Mapping[int, ScenarioSpec]) -> Iterator[Conflict]:
    """Return each key and each title that is declared more than once, without those that are not known yet."""
    for conflict in _conflicts(entries):
        values = [getattr(entries[index], conflict.field) for index in conflict.indexes]
        if _STAND_INS[conflict.field] not in values:
            yield conflict


_SCENARIOS = Kind(
    ScenarioSpec,
    argument="scenarios",
    fields_of="a training scenario's",
    takes="a list of declarations, or the path of a folder of .md files",
    named_by="title",
    conflicts=_conflicts,
    is_one_a_file=True,
)
