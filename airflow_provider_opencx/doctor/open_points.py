"""The open points of ``docs/reference/service.md``, and which of them this run settles. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from airflow_provider_opencx.client.decoding import decode
from airflow_provider_opencx.client.errors import is_from_service
from airflow_provider_opencx.client.operation import Response
from airflow_provider_opencx.doctor.findings import Findings
from airflow_provider_opencx.doctor.outcomes import ABSENT, EXISTING, Outcome
from airflow_provider_opencx.doctor.probes import VOICES
from airflow_provider_opencx.doctor.shapes import type_name

_STATUSES = (400, 404, 422, 429)
_NOTHING_WRITTEN = "not by this run, which writes nothing"


@dataclass(frozen=True)
class OpenPoint:
    """One point that the documentation leaves open.

    :param name: its stable short name, as in ``docs/reference/service.md``.
    :param is_settled: whether this run settles it.
    :param how: what was seen, or why it stays open.
    """

    name: str
    is_settled: bool
    how: str

    def as_dict(self) -> dict[str, JsonValue]:
        """Return it as plain JSON."""
        return {"name": self.name, "settled": self.is_settled, "how": self.how}


def open_points(findings: Findings) -> list[OpenPoint]:
    """Return each open point, and what this run says of it."""
    return [OpenPoint(name, *settle(findings)) for name, settle in _POINTS.items()]


def _retry_after(findings: Findings) -> tuple[bool, str]:
    limited = [reading.response for reading in findings.of(Outcome.LIMITED) if reading.response is not None]
    if not limited:
        return False, "there was no 429"
    having = sum("retry-after" in response.headers for response in limited)
    return True, f"{having} of {len(limited)} responses with 429 had a Retry-After"


def _refusals(findings: Findings) -> tuple[bool, str]:
    seen: dict[int, str] = {}
    for reading in findings.responded:
        response = reading.response
        if response is not None and response.status_code in _STATUSES:
            seen.setdefault(response.status_code, _body_of_refusal(response))
    if not seen:
        return False, "there was none of them"
    missing = [str(status) for status in _STATUSES if status not in seen]
    described = "; ".join(f"{status}: {body}" for status, body in sorted(seen.items()))
    rest = f"; there was no {', '.join(missing)}" if missing else ""
    return not missing, f"{described}{rest}"


def _body_of_refusal(response: Response) -> str:
    """Describe the body of a refusal by the types of the three fields that are documented."""
    try:
        body = decode(response.body, 10_000)
    except ValueError:
        return "no JSON"
    if not isinstance(body, dict):
        return f"JSON, {type_name(body)}"
    fields = [f"{name} {type_name(body[name])}" for name in ("statusCode", "message", "error", "code") if name in body]
    own = "" if is_from_service(response) else ", and not the service's own"
    return f"JSON with {', '.join(fields) or 'none of the documented fields'}{own}"


def _number_time(findings: Findings) -> tuple[bool, str]:
    return False, "not by one run; the check agents says how many wait, and for how long"


def _update_language(findings: Findings) -> tuple[bool, str]:
    return False, _NOTHING_WRITTEN


def _null_defaults(findings: Findings) -> tuple[bool, str]:
    return False, _NOTHING_WRITTEN


def _voice_fields(findings: Findings) -> tuple[bool, str]:
    if findings.outcome(VOICES) in ABSENT:
        return True, "the service has no list of voices"
    if not findings.voices:
        return False, "no voice was read"
    form = findings.readings.voices[0].form.value
    return True, f"{form}; a voice has {findings.names.show_all(findings.voice_shape.fields)}"


def _rate_limit_headers(findings: Findings) -> tuple[bool, str]:
    successful = findings.of(Outcome.ALLOWED)
    if not successful:
        return False, "no request was successful"
    names = [
        name
        for reading in successful
        for name in (reading.response.headers if reading.response is not None else {})
        if "ratelimit" in name.lower() or "rate-limit" in name.lower()
    ]
    return True, findings.names.show_all(names) if names else "successful responses have none"


def _operations(findings: Findings) -> tuple[bool, str]:
    said = [outcome in EXISTING | ABSENT for outcome in findings.outcomes.values()]
    existing = sum(outcome in EXISTING for outcome in findings.outcomes.values())
    how = f"{existing} exist, {sum(said) - existing} are missing, {len(said) - sum(said)} are not known"
    return all(said), how


_POINTS: Mapping[str, Callable[[Findings], tuple[bool, str]]] = {
    "retry-after": _retry_after,
    "refusals": _refusals,
    "number-time": _number_time,
    "update-language": _update_language,
    "null-defaults": _null_defaults,
    "voice-fields": _voice_fields,
    "rate-limit-headers": _rate_limit_headers,
    "operations": _operations,
}
"""The points by their names in ``docs/reference/service.md``: each function says if a point is settled, and how."""
