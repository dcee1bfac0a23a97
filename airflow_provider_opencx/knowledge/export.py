"""Writes existing training scenarios as Markdown files. A plan of them changes nothing. Sends nothing."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import JsonValue

from airflow_provider_opencx.declared_files.variables import without_variables
from airflow_provider_opencx.exceptions import OpenCXError, OpenCXFleetFileError
from airflow_provider_opencx.exported_files.file_names import unique_slugs
from airflow_provider_opencx.exported_files.yaml_text import mapping_lines
from airflow_provider_opencx.knowledge.comparison import find_differences, with_single_metadata
from airflow_provider_opencx.knowledge.declarations import parse_scenarios
from airflow_provider_opencx.knowledge.scenario_files import NOT_A_SCENARIO, SCENARIO_FILES, read_scenarios
from airflow_provider_opencx.reconciliation.plans import described
from airflow_provider_opencx.resources.training import (
    COLLECTION_IN_METADATA,
    KEY_IN_METADATA,
    TrainingScenario,
    normalize_title,
)
from airflow_provider_opencx.visible_text import in_quotes

_LEFT_OUT: Mapping[str, JsonValue] = {
    "type": "SCENARIO_SPECIFIC",
    "channels": [],
    "segments": [],
    "draft": False,
    "directory_id": None,
    "start_time": None,
    "end_time": None,
}
"""The fields that are not written where a scenario has this value."""


@dataclass
class Export:
    """Training scenarios as files.

    :param files: the texts of the files by their names.
    :param notes: what is not exported, and why.
    """

    files: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def export_scenarios(scenarios: Sequence[TrainingScenario], collection: str) -> Export:
    """Return training scenarios as Markdown files, each proved by reading it back.

    A scenario of the collection keeps its key. Every other one is adopted by a plan with ``adopt="by_title"``, whose
    only changes are its key and its collection.

    :param scenarios: the scenarios, as listed.
    :param collection: the collection to which the files are to belong.
    """
    export = Export()
    titles = Counter(normalize_title(scenario.current_title or "") for scenario in scenarios)
    keys = Counter(key.lower() for scenario in scenarios if (key := _own_key(scenario, collection)) is not None)
    slugs = _slugs(scenarios, collection)
    for scenario in scenarios:
        slug = slugs[scenario.id]
        reason = _reason_against(scenario, titles, keys, collection)
        if not reason:
            text = _text_of(scenario, collection)
            reason = _problem_of(text, slug, scenario)
        if reason:
            export.notes.append(f"The {scenario.label} is not exported: {reason}")
            continue
        export.files[f"{slug}{SCENARIO_FILES.suffixes[0]}"] = text
        if scenario.unpublished_edits and not scenario.is_draft:
            export.notes.append(f"The {scenario.label} has an edit that is not published, which is not exported.")
    return export


def _own_key(scenario: TrainingScenario, collection: str) -> str | None:
    """Return the key that a scenario has in the collection; ``None`` if it has none there."""
    return scenario.key if scenario.collection == collection else None


def _slugs(scenarios: Sequence[TrainingScenario], collection: str) -> dict[str, str]:
    """Return the name of each scenario's file, without its suffix, by the scenario's id.

    It is the key of a scenario that has none. So it is the key of no other scenario, exported or not: a plan would
    take that one for this one, and overwrite it.
    """
    with_key = [scenario for scenario in scenarios if _own_key(scenario, collection) is not None]
    without = [scenario for scenario in scenarios if _own_key(scenario, collection) is None]
    slugs = _free_slugs(with_key, [NOT_A_SCENARIO])
    keys = [str(scenario.key) for scenario in with_key]
    return {**slugs, **_free_slugs(without, [NOT_A_SCENARIO, *slugs.values(), *keys])}


def _free_slugs(scenarios: Sequence[TrainingScenario], taken: Iterable[str]) -> dict[str, str]:
    slugs = unique_slugs((_ascii(scenario.current_title or "") for scenario in scenarios), "scenario", taken)
    return {scenario.id: slug for scenario, slug in zip(scenarios, slugs, strict=True)}


def _reason_against(scenario: TrainingScenario, titles: Counter[str], keys: Counter[str], collection: str) -> str:
    """Return why a scenario cannot be declared; empty if it can be.

    :param titles: how many scenarios have a title.
    :param keys: how many scenarios of the collection have a key, by the key in small letters.
    """
    if scenario.unreadable:
        return f"{next(iter(scenario.unreadable.values()))}."
    if titles[normalize_title(scenario.current_title or "")] > 1:
        return "others have the same title."
    if scenario.key is not None and scenario.collection != collection:
        return f"it belongs to the collection {in_quotes(scenario.collection or '')}."
    if keys[(_own_key(scenario, collection) or "").lower()] > 1:
        return f"others have the same key, {in_quotes(str(scenario.key))}; letter case makes no difference."
    return ""


def _text_of(scenario: TrainingScenario, collection: str) -> str:
    fields: dict[str, JsonValue] = {"title": scenario.current_title}
    key = _own_key(scenario, collection)
    if key is not None:
        fields["key"] = key
    for name, left_out in _LEFT_OUT.items():
        value = scenario.field(name)
        if value is not None and value != left_out:
            fields[name] = value
    own = (KEY_IN_METADATA, COLLECTION_IN_METADATA)
    metadata = {name: value for name, value in (scenario.metadata or {}).items() if name not in own}
    if metadata:
        fields["metadata"] = metadata
    front = mapping_lines({name: without_variables(value) for name, value in fields.items()})
    content = str(without_variables(scenario.field("content") or "")).replace("\r\n", "\n").strip("\n")
    return "\n".join(["---", *front, "---", "", content, ""])


def _problem_of(text: str, slug: str, scenario: TrainingScenario) -> str:
    """Return why a file does not say what the scenario is; empty if it does."""
    with TemporaryDirectory() as folder:
        file = Path(folder, f"{slug}.md")
        file.write_text(text, encoding="utf-8")
        try:
            [spec] = parse_scenarios(read_scenarios(file))
            differences = find_differences(with_single_metadata(spec.declared_fields), scenario)
        except OpenCXFleetFileError as wrong:
            return "; ".join(f"{problem['field']}: {problem['message']}" for problem in wrong.problems)
        except (OpenCXError, UnicodeEncodeError) as wrong:
            return str(wrong)
    return f"a file does not hold it exactly: {described(differences)}." if differences else ""


def _ascii(title: str) -> str:
    """Return what is left of a title in the letters that a key may have: the name of its file is its key."""
    return unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
