"""Compares a training scenario with its declaration, by meaning. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from pydantic import JsonValue

from airflow_provider_opencx.reconciliation.plans import Difference
from airflow_provider_opencx.resources.training import ScenarioSpec, TrainingScenario, normalize_title


def find_differences(spec: ScenarioSpec, scenario: TrainingScenario) -> tuple[Difference, ...]:
    """Return the declared fields in which a scenario differs; its key and its collection are not among them.

    :raises OpenCXResponseError: if the scenario has a declared field that cannot be read.
    """
    return tuple(
        Difference(field, actual, wanted)
        for field, wanted in spec.declared_fields.items()
        if comparable_form(field, actual := value_of(scenario, field, spec)) != comparable_form(field, wanted)
    )


def value_of(scenario: TrainingScenario, field: str, spec: ScenarioSpec) -> JsonValue:
    """Return the value that a scenario has in a declared field: of ``metadata``, what is declared of them.

    :raises OpenCXResponseError: if it cannot be read.
    """
    name = FIELDS[field]
    if name in scenario.unreadable:
        raise scenario.not_readable(name)
    if field == "metadata":
        stored = scenario.metadata or {}
        return {name: stored[name] for name in spec.metadata if name in stored}
    value: JsonValue = getattr(scenario, name)
    return value


FIELDS: Mapping[str, str] = {
    "title": "title",
    "content": "content",
    "type": "type",
    "channels": "restricted_to_channels",
    "segments": "restricted_to_segments",
    "draft": "is_draft",
    "directory_id": "directory_id",
    "start_time": "start_time",
    "end_time": "end_time",
    "metadata": "metadata",
}
"""The API's name of each field of a declaration."""


def comparable_form(field: str, value: JsonValue) -> JsonValue:
    """Return the form of a field's value that is the same for all values of one meaning."""
    return _FORMS[field](value) if field in _FORMS else value


def _title_form(value: JsonValue) -> JsonValue:
    return normalize_title(value) if isinstance(value, str) else value


def _content_form(value: JsonValue) -> JsonValue:
    return value.replace("\r\n", "\n").strip() if isinstance(value, str) else value


def _set_form(value: JsonValue) -> JsonValue:
    return [*sorted({str(item) for item in value})] if isinstance(value, list) else value or []


def _time_form(value: JsonValue) -> JsonValue:
    try:
        return datetime.fromisoformat(str(value)).astimezone(UTC).isoformat() if value is not None else None
    except ValueError:
        return value


_FORMS: Mapping[str, Callable[[JsonValue], JsonValue]] = {
    "title": _title_form,
    "content": _content_form,
    "channels": _set_form,
    "segments": _set_form,
    "draft": bool,
    "start_time": _time_form,
    "end_time": _time_form,
}
