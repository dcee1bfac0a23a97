"""Checks the connection, the key, the clock and the rate limit. Pure."""

from __future__ import annotations

import re
from statistics import median

from pydantic import JsonValue

from airflow_provider_opencx.client.http_date import http_date
from airflow_provider_opencx.doctor.check import Check, Status
from airflow_provider_opencx.doctor.findings import Findings
from airflow_provider_opencx.doctor.outcomes import EXISTING, OWN, Outcome
from airflow_provider_opencx.doctor.probes import AGENTS, VOICES
from airflow_provider_opencx.doctor.readings import FailureKind, Reading

MOST_SECONDS_APART = 30
"""Seconds that the service's clock and this machine's may differ."""

_LIMIT_NAMES = ("ratelimit", "rate-limit", "retry-after")
_NUMBER = re.compile(r"(?<![\w.])[0-9]{1,10}(?:\.[0-9]{1,6})?(?![\w.])")
_MOST_NUMBERS = 6
_MOST_HEADERS = 20

_ADVICE = {
    FailureKind.UNREACHABLE: "Check the Base URL, the network and the proxy.",
    FailureKind.UNTRUSTED: "",  # the reason says what to do
    FailureKind.TIMEOUT: "Check the Base URL, and the network up to the service; a firewall may drop the packets.",
    FailureKind.BROKEN: "Check the Base URL and its scheme: this may not be an HTTP server, or it may speak http and"
    " not https.",
    FailureKind.UNREADABLE: "Check the Base URL, and what a proxy on the way does to responses.",
    FailureKind.NOT_SENT: "Run it again later.",
}


def connection_check(findings: Findings) -> Check:
    """Check whether the service is reached, and by which way."""
    status, summary = _reached(findings)
    return Check("connection", status, summary, _way(findings))


def _reached(findings: Findings) -> tuple[Status, str]:
    agents = findings.readings.of(AGENTS)
    if agents.failure is not None and not findings.responded:
        kind = agents.failure.kind
        return Status.PROBLEM, f"There is no response: {agents.failure.reason.rstrip('.')}. {_ADVICE[kind]}".strip()
    if not any(outcome in OWN for outcome in findings.outcomes.values()):
        return _nothing_of_the_service(findings)
    if findings.outcome(AGENTS) is Outcome.MISSING:
        return Status.PROBLEM, (
            "The service responds, and does not know GET /phone: the Base URL is not that of the API, or lacks a path."
        )
    failed = [reading for reading in findings.readings.first if reading.failure is not None]
    if failed:
        reasons = sorted({reading.failure.reason.rstrip(".") for reading in failed if reading.failure is not None})
        return Status.WARNING, f"{len(failed)} of {len(findings.readings.first)} requests failed: {'; '.join(reasons)}."
    if not (findings.surroundings.is_encrypted or findings.surroundings.is_on_this_machine):
        return Status.WARNING, "The service responds over plain http, which shows the key to all on the way: use https."
    return Status.OK, "The service responds."


def _nothing_of_the_service(findings: Findings) -> tuple[Status, str]:
    """Judge responses of which none shows that it is the service's own."""
    responses = [
        (findings.outcomes[reading.probe.label], reading.response.status_code)
        for reading in findings.responded
        if reading.response is not None
    ]
    said = ", ".join([*dict.fromkeys(f"{outcome.value} (status {status})" for outcome, status in responses)][:4])
    if any(outcome is Outcome.LIMITED for outcome, _ in responses):
        return Status.WARNING, "The service, or a proxy in front of it, asks to wait (429). Run it again in a minute."
    if all(status >= 500 for _, status in responses):
        return Status.PROBLEM, f"There are only error responses: {said}. Run it again later, and check the Base URL."
    return Status.PROBLEM, f"What responds is not the API: {said}. Set the Base URL to the API itself."


def _way(findings: Findings) -> dict[str, JsonValue]:
    surroundings = findings.surroundings
    return {
        "base URL": surroundings.base_url,
        "key from": surroundings.key_from,
        "TLS": "https, the certificate is verified" if surroundings.is_encrypted else "none, plain http",
        "proxy": "yes, by the environment" if surroundings.has_proxy else "none",
        "responses": f"{len(findings.responded)} of {len(findings.readings.first)} requests",
        "latency": _latency(findings.responded),
    }


def _latency(responded: list[Reading]) -> str:
    milliseconds = sorted(round(reading.seconds * 1000) for reading in responded if reading.seconds is not None)
    if not milliseconds:
        return "not known"
    return f"{milliseconds[0]} to {milliseconds[-1]} ms, median {median(milliseconds):.0f} ms"


def key_check(findings: Findings) -> Check:
    """Check whether the key is accepted, and which scopes it has."""
    allowed = _scopes(findings, *EXISTING)
    forbidden = _scopes(findings, Outcome.FORBIDDEN)
    status, summary = _judged(findings, forbidden)
    details: dict[str, JsonValue] = {
        "scopes it has": ", ".join(scope for scope in allowed if scope not in forbidden),
        "scopes it lacks": ", ".join(forbidden),
        "not tried": "phone:write, because nothing is written",
    }
    return Check("key", status, summary, details)


def _judged(findings: Findings, forbidden: list[str]) -> tuple[Status, str]:
    rejected, needed = findings.of(Outcome.REJECTED), findings.outcome(AGENTS)
    if rejected and not (EXISTING | {Outcome.FORBIDDEN}) & {*findings.outcomes.values()}:
        return Status.PROBLEM, _REJECTED
    if needed is Outcome.FORBIDDEN:
        return Status.PROBLEM, _MAY_NOT_READ
    if rejected:
        return Status.WARNING, f"The key is rejected (401) by {len(rejected)} operations, and accepted by others."
    if needed is not Outcome.ALLOWED:
        return Status.UNKNOWN, "No response says whether the key is accepted."
    if findings.outcome(VOICES) is Outcome.FORBIDDEN:
        return Status.WARNING, "The key is accepted. It may not list voices (403): give voices by their id."
    unused = " What it lacks, the provider does not use." if forbidden else ""
    return Status.OK, f"The key is accepted, and may read agents.{unused}"


_REJECTED = (
    "The key is rejected (401). Copy it again from the OpenCX dashboard (Settings, Access): it may be cut, deleted, or"
    " another organization's."
)
_MAY_NOT_READ = (
    "The key is accepted, and lacks the scope phone:read (403), which everything here needs. Give it phone:read and"
    " phone:write in the OpenCX dashboard: Settings, Access."
)


def _scopes(findings: Findings, *outcomes: Outcome) -> list[str]:
    scopes = [reading.probe.operation.scope for outcome in outcomes for reading in findings.of(outcome)]
    return sorted({scope for scope in scopes if scope})


def clock_check(findings: Findings) -> Check:
    """Compare the clock of the service with that of this machine."""
    differences = [difference for each in findings.responded if (difference := _seconds_ahead(each)) is not None]
    if not differences:
        return Check("clock", Status.UNKNOWN, "No response has a header Date that can be read.")
    seconds = round(median(differences))
    details: dict[str, JsonValue] = {"seconds the service is ahead": seconds}
    if abs(seconds) > MOST_SECONDS_APART:
        return Check(
            "clock",
            Status.WARNING,
            f"The service's clock is {abs(seconds):,} s {'ahead of' if seconds > 0 else 'behind'} this machine's. Set"
            " this machine's by NTP: dates, and certificates, are compared with it.",
            details,
        )
    return Check("clock", Status.OK, "The service's clock and this machine's agree.", details)


def _seconds_ahead(reading: Reading) -> float | None:
    headers = reading.response.headers if reading.response is not None else {}
    date = http_date(headers.get("date"))
    if date is None:
        return None
    age = headers.get("age", "0").strip()
    in_cache = int(age) if age.isascii() and age.isdigit() and len(age) < 9 else 0
    # A Date is cut to whole seconds, and was written about half way between the request and the end of the response.
    return date.timestamp() + 0.5 + in_cache - (reading.received_at - (reading.seconds or 0.0) / 2)


def rate_limit_check(findings: Findings) -> Check:
    """Find the headers that speak of a rate limit."""
    headers: dict[str, JsonValue] = {}
    for reading in findings.responded:
        for name, value in (reading.response.headers if reading.response is not None else {}).items():
            if any(part in name.lower() for part in _LIMIT_NAMES) and len(headers) < _MOST_HEADERS:
                headers[findings.names.show(name)] = _numbers(findings, value)
    limited = findings.of(Outcome.LIMITED)
    if limited:
        return Check(
            "rate-limit",
            Status.WARNING,
            f"The service asked to wait (429) at request {len(findings.responded)}, so the rest was not sent. Run"
            " it again in a minute; if it stays, lower the connection's requests_per_minute.",
            headers,
        )
    if not headers:
        return Check(
            "rate-limit",
            Status.UNKNOWN,
            "No response has a header of a rate limit. The provider keeps to the connection's requests_per_minute.",
        )
    return Check("rate-limit", Status.OK, "The service says its rate limit in headers.", headers)


def _numbers(findings: Findings, value: str) -> str:
    if findings.names.is_part_of_key(value):
        return "***"
    return ", ".join(_NUMBER.findall(value[:1000])[:_MOST_NUMBERS]) or "no number"
