"""Checks which operations the service has. Pure."""

from __future__ import annotations

from airflow_provider_opencx.doctor.check import Check, Status
from airflow_provider_opencx.doctor.findings import Findings
from airflow_provider_opencx.doctor.outcomes import ABSENT, EXISTING, Outcome
from airflow_provider_opencx.doctor.probes import AGENTS, VOICES
from airflow_provider_opencx.doctor.readings import Reading


def operations_check(findings: Findings) -> Check:
    """Say how many operations exist and are missing; the report shows the details of each with its request."""
    existing, missing = findings.count(EXISTING), findings.count(ABSENT)
    others = len(findings.outcomes) - existing - missing - findings.count({Outcome.FORBIDDEN, Outcome.NOT_SENT})
    status, summary = _judged(findings, existing, missing, others)
    return Check("operations", status, summary)


def says(findings: Findings, reading: Reading) -> str:
    """Return what a reading says of its operation, with the status of the response."""
    outcome = findings.outcomes[reading.probe.label].value
    if reading.failure is not None:
        return f"{outcome}: {reading.failure.reason.rstrip('.')}"
    return f"{reading.response.status_code} {outcome}" if reading.response is not None else outcome


def _judged(findings: Findings, existing: int, missing: int, others: int) -> tuple[Status, str]:
    if findings.outcome(AGENTS) in ABSENT:
        return Status.PROBLEM, "The service has no GET /phone, which everything here needs: check the Base URL."
    if findings.outcome(VOICES) in ABSENT:
        return Status.WARNING, "The service has no GET /phone/voices: give voices by their id, not by their name."
    found = f"{existing} of {len(findings.readings.first)} known reads exist, {missing} are missing"
    if not existing:
        return Status.UNKNOWN, f"{found}; no response says more."
    if others:
        return Status.WARNING, f"{found}, and {others} responded in another way. Run it again; report it if it stays."
    return Status.OK, f"{found}. Agents need GET /phone alone; what they name needs the lists of it."
