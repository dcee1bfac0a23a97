"""Compares a training scenario with its declaration, by meaning. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from pydantic import JsonValue

from airflow_provider_opencx.reconciliation import plans
from airflow_provider_opencx.reconciliation.plans import Difference
from airflow_provider_opencx.resources.training import METADATA, TrainingScenario, normalize_title


def find_differences(declared: Mapping[str, JsonValue], scenario: TrainingScenario) -> tuple[Difference, ...]:
    """Return the declared fields in which a scenario differs.

    :param declared: the declared fields, see :func:`with_single_metadata`.
    :raises OpenCXResponseError: if the scenario has a declared field that cannot be read.
    """
    return plans.find_differences(declared, scenario.field, comparable_form)


def with_single_metadata(fields: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return declared fields with one for each name in ``metadata``: others that a scenario has are not compared."""
    metadata = fields.get("metadata")
    single = {f"{METADATA}{name}": value for name, value in metadata.items()} if isinstance(metadata, dict) else {}
    return {**{name: value for name, value in fields.items() if name != "metadata"}, **single}


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
