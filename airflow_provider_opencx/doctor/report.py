"""Writes the report as text or as one JSON value. It contains no secret, and no text of an agent."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version

from pydantic import JsonValue

from airflow_provider_opencx.doctor.check import Check, Status
from airflow_provider_opencx.doctor.diagnosis import Diagnosis

_PACKAGES = ("airflow-provider-opencx", "apache-airflow-core", "httpx", "httpx-retries", "pydantic")
_INDENT = " " * 24


@dataclass(frozen=True)
class Line:
    """One line of the report.

    :param text: the line.
    :param status: the status that it begins with, which a terminal shows in a colour of its own.
    """

    text: str
    status: Status | None = None


def versions() -> dict[str, JsonValue]:
    """Return the versions of Python and of what the provider is made of."""
    found: dict[str, JsonValue] = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def report_value(diagnosis: Diagnosis, at: datetime) -> JsonValue:
    """Return the report as one JSON value.

    :param diagnosis: the results.
    :param at: when the service was read.
    """
    return {
        "at": at.isoformat(timespec="seconds"),
        "versions": versions(),
        "problems": diagnosis.count(Status.PROBLEM),
        "warnings": diagnosis.count(Status.WARNING),
        "checks": [check.as_dict() for check in diagnosis.checks],
        "requests": [request.as_dict() for request in diagnosis.requests],
        "open_points": [point.as_dict() for point in diagnosis.points],
    }


def report_lines(diagnosis: Diagnosis, at: datetime) -> list[Line]:
    """Return the report as lines.

    :param diagnosis: the results.
    :param at: when the service was read.
    """
    return [
        Line(f"OpenCX doctor, {at.isoformat(sep=' ', timespec='seconds')}"),
        Line(", ".join(f"{name} {number}" for name, number in versions().items())),
        Line("Only GET was sent. There are no names, texts, ids, telephone numbers and secrets in this report."),
        Line(""),
        *(line for check in diagnosis.checks for line in _check_lines(check)),
        Line(""),
        Line("What was sent"),
        *_request_lines(diagnosis),
        Line(""),
        Line("Open points (docs/reference/service.md, What is not known)"),
        *(
            Line(f"{'settled' if point.is_settled else 'open':9}{point.name}: {point.how}")
            for point in diagnosis.points
        ),
        Line(""),
        Line(f"{_count(diagnosis, Status.PROBLEM)}, {_count(diagnosis, Status.WARNING)}."),
    ]


def _check_lines(check: Check) -> Iterator[Line]:
    yield Line(f"{check.status.value:9}{check.name:15}{check.summary}", check.status)
    for name, value in check.details.items():
        for text in _detail(name, value):
            yield Line(_INDENT + text)


def _detail(name: str, value: JsonValue) -> Iterator[str]:
    if isinstance(value, dict) and any(isinstance(each, dict) for each in value.values()):
        yield f"{name}:"
        for key, each in value.items():
            yield f"  {key}: {_short(each)}"
    elif isinstance(value, list) and value:
        yield f"{name}:"
        for each in value:
            yield f"  {_short(each)}"
    else:
        yield f"{name}: {_short(value)}"


def _short(value: JsonValue) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_short(each)}" for key, each in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(_short, value)) or "none"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value) if value not in (None, "") else "none"


def _request_lines(diagnosis: Diagnosis) -> Sequence[Line]:
    widest = max((len(request.request) for request in diagnosis.requests), default=0)
    return [
        Line(
            f"{request.request:{widest}}  {'' if request.milliseconds is None else f'{request.milliseconds:,} ms':>9}"
            f"  {request.says}{f' [{request.scope}]' if request.scope else ''}"
        )
        for request in diagnosis.requests
    ]


def _count(diagnosis: Diagnosis, status: Status) -> str:
    number = diagnosis.count(status)
    return f"{number} {status.value}{'' if number == 1 else 's'}"
