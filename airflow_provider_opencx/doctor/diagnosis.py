"""Runs all checks on the responses. If one check fails unexpectedly, the others still run. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from airflow_provider_opencx.doctor.agent_checks import agent_fields_check, agents_check, voice_fields_check
from airflow_provider_opencx.doctor.check import Check, Status
from airflow_provider_opencx.doctor.connection_checks import clock_check, connection_check, key_check, rate_limit_check
from airflow_provider_opencx.doctor.findings import Findings
from airflow_provider_opencx.doctor.generation_check import generation_check
from airflow_provider_opencx.doctor.open_points import OpenPoint, open_points
from airflow_provider_opencx.doctor.operation_checks import operations_check, says

CHECKS: Sequence[tuple[str, Callable[[Findings], Check]]] = (
    ("connection", connection_check),
    ("key", key_check),
    ("clock", clock_check),
    ("rate-limit", rate_limit_check),
    ("operations", operations_check),
    ("generation", generation_check),
    ("agent-fields", agent_fields_check),
    ("voice-fields", voice_fields_check),
    ("agents", agents_check),
)
"""Each check by its name, in the order of the report."""


@dataclass(frozen=True)
class SentRequest:
    """One request of the report.

    :param request: its method and path.
    :param scope: the scope that it needs, if known.
    :param says: the status, and what it says of the operation.
    :param milliseconds: how long it took, ``None`` if nothing was sent.
    """

    request: str
    scope: str
    says: str
    milliseconds: int | None

    def as_dict(self) -> dict[str, JsonValue]:
        """Return it as plain JSON."""
        return {
            "request": self.request,
            "scope": self.scope,
            "says": self.says,
            "milliseconds": self.milliseconds,
        }


@dataclass(frozen=True)
class Diagnosis:
    """The results of all checks.

    :param checks: the result of each check.
    :param requests: what was sent.
    :param points: what of the open points is settled.
    """

    checks: Sequence[Check]
    requests: Sequence[SentRequest]
    points: Sequence[OpenPoint]

    @property
    def has_problem(self) -> bool:
        """Whether a check found a problem."""
        return any(check.status is Status.PROBLEM for check in self.checks)

    def count(self, status: Status) -> int:
        """Return how many checks have a status."""
        return sum(check.status is status for check in self.checks)


def diagnose(findings: Findings) -> Diagnosis:
    """Run all checks."""
    return Diagnosis(
        [_checked(name, check, findings) for name, check in CHECKS], _requests(findings), _points(findings)
    )


def _checked(name: str, check: Callable[[Findings], Check], findings: Findings) -> Check:
    try:
        return check(findings)
    except Exception as error:  # one odd response must not hide what all others say
        summary = f"This check failed by itself ({type(error).__name__}): please report this."
        return Check(name, Status.UNKNOWN, summary)


def _requests(findings: Findings) -> list[SentRequest]:
    return [
        SentRequest(
            reading.probe.label,
            reading.probe.operation.scope,
            says(findings, reading),
            None if reading.seconds is None else round(reading.seconds * 1000),
        )
        for reading in findings.readings.first
    ]


def _points(findings: Findings) -> list[OpenPoint]:
    try:
        return open_points(findings)
    except Exception as error:  # as for a check
        return [OpenPoint("all", False, f"this failed by itself ({type(error).__name__}): please report this")]
