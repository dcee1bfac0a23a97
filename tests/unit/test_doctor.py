"""Tests that ``doctor`` sends only GET, reports whatever responds, and claims no more than it saw."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from page_examples import DOCS

from airflow_provider_opencx.client.operation import Response
from airflow_provider_opencx.client.settings import ClientSettings
from airflow_provider_opencx.doctor import diagnosis as diagnoses
from airflow_provider_opencx.doctor.check import Check, Status
from airflow_provider_opencx.doctor.diagnosis import CHECKS, Diagnosis, diagnose
from airflow_provider_opencx.doctor.expected import AGENT_FIELDS, GENERATIONS, VOICE_FIELDS, fields_until
from airflow_provider_opencx.doctor.findings import Findings, Surroundings
from airflow_provider_opencx.doctor.generation_check import generations_of
from airflow_provider_opencx.doctor.listing import read_page
from airflow_provider_opencx.doctor.open_points import open_points
from airflow_provider_opencx.doctor.outcomes import Outcome, outcome_of
from airflow_provider_opencx.doctor.probes import AGENTS, NO_ID, PROBES, VOICES, Probe
from airflow_provider_opencx.doctor.reader import read_service
from airflow_provider_opencx.doctor.readings import Reading, Readings
from airflow_provider_opencx.doctor.report import report_lines, report_value
from airflow_provider_opencx.doctor.shapes import Shape, type_name
from airflow_provider_opencx.doctor.shown_names import ShownNames
from airflow_provider_opencx.resources.phone_agents import PhoneAgent
from airflow_provider_opencx.resources.voices import Voice
from airflow_provider_opencx.secret import Secret
from airflow_provider_opencx.simulator.contract import load_contract

from .odd_servers import http, odd_server

KEY = "s3cret-of-the-doctor"
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


def read(url: str, seconds: float = 10.0, timeout: float = 1.0) -> Readings:
    """Read a server as the command does."""
    settings = ClientSettings(url, KEY, timeout=timeout, requests_per_minute=100_000, coordination="process")
    return read_service(settings, seconds)


def findings(readings: Readings, *, is_on_this_machine: bool = True) -> Findings:
    surroundings = Surroundings("https://api.example", "connection 'c'", True, is_on_this_machine, False)
    return Findings(surroundings, readings, ShownNames(Secret(KEY)), NOW)


def response(status: int = 200, body: object = None, **headers: str) -> Response:
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, encoded)


def reading(probe: Probe, responded: Response) -> Reading:
    return Reading(probe, responded, seconds=0.01, received_at=NOW.timestamp())


def error(status: int, message: str = "no") -> Response:
    return response(status, {"statusCode": status, "message": message, "error": "e"})


def seen(agents: object = (), voices: object = (), **others: Response) -> Findings:
    """Return what is found where the service lists agents and voices, and says that there is nothing else."""
    responses = {AGENTS: response(body=agents), VOICES: response(body=voices)}
    first = [
        reading(probe, others.get(probe.operation.id) or responses.get(probe) or error(404, "Route GET:/x not found"))
        for probe in PROBES
    ]
    pages = [
        [read_page(each.response)] if each.response is not None and each.response.is_success else []
        for each in first[:2]
    ]
    return findings(Readings(first, agents=pages[0], voices=pages[1]))


def result(name: str, of: Findings) -> Check:
    return next(check for check in diagnose(of).checks if check.name == name)


def shown(of: Diagnosis) -> str:
    return "\n".join(line.text for line in report_lines(of, NOW))


def statuses(of: Diagnosis) -> dict[str, str]:
    return {check.name: check.status.value for check in of.checks}


def test_probes_are_reads_of_each_known_operation() -> None:
    assert {probe.operation.method for probe in PROBES} == {"GET"}
    assert len({probe.label for probe in PROBES}) == len(PROBES) == 18
    assert all(probe.request().body is None for probe in PROBES)
    assert all("{" not in probe.request().path for probe in PROBES)
    assert {probe.is_of_one_object for probe in PROBES if NO_ID in probe.request().path} == {True}
    with_people = [probe for probe in PROBES if probe.label in ("GET /contacts", "GET /chat/sessions")]
    assert [probe.request().query for probe in with_people] == [{"created_after": "2999-01-01T00:00:00.000Z"}] * 2


@pytest.mark.parametrize("generation", GENERATIONS)
def test_expected_fields_are_those_of_the_documents(generation: Any) -> None:
    documented = load_contract(generation).schemas["PhoneAgentDto"]
    assert set(fields_until(generation)) == set(documented["properties"]) == set(documented["required"])
    for name, schema in documented["properties"].items():
        accepted = AGENT_FIELDS[name]
        types = schema.get("type", [])
        for kind in [types] if isinstance(types, str) else types:
            value = {"array": ["a"], "null": None, "string": "a", "boolean": True, "number": 1.5, "integer": 1}[kind]
            assert accepted is None or type_name(value) in accepted, name


def test_expected_fields_are_those_of_the_models() -> None:
    assert set(AGENT_FIELDS) == set(PhoneAgent(id="1").as_dict())
    assert set(VOICE_FIELDS) == set(Voice().as_dict())


def test_open_points_are_those_of_the_documentation() -> None:
    page = (DOCS / "reference" / "service.md").read_text().split("## What is not known")[1]
    assert re.findall(r"^- `([a-z-]+)`", page, re.M) == [point.name for point in open_points(seen())]


def test_checks_are_those_of_the_documentation() -> None:
    page = (DOCS / "connect" / "doctor.md").read_text().split("Each check is")[1]
    assert re.findall(r"^\| `([a-z-]+)` \|", page, re.M) == [name for name, _ in CHECKS]


@pytest.mark.parametrize(
    ("responded", "outcome"),
    [
        (response(200, []), Outcome.ALLOWED),
        (response(200, b"<html></html>"), Outcome.WEB_PAGE),
        (response(200, b"x", content_type="text/html; charset=utf-8"), Outcome.WEB_PAGE),
        (response(200, b""), Outcome.NO_JSON),
        (response(302, b""), Outcome.REDIRECT),
        (error(401), Outcome.REJECTED),
        (response(401, b""), Outcome.FOREIGN),
        (error(403), Outcome.FORBIDDEN),
        (response(403, b"<html>"), Outcome.WEB_PAGE),
        (error(404, "Route GET:/phone not found"), Outcome.MISSING),
        (error(404, "There is no phone agent Route 66 not found"), Outcome.NO_OBJECT),
        (response(404, b""), Outcome.FOREIGN),
        (error(400), Outcome.REFUSED),
        (error(422), Outcome.REFUSED),
        (response(405, b""), Outcome.WRONG_METHOD),
        (error(405), Outcome.WRONG_METHOD),
        (response(501, b""), Outcome.NOT_IMPLEMENTED),
        (response(429, b""), Outcome.LIMITED),
        (error(500), Outcome.SERVER_ERROR),
        (response(503, b""), Outcome.SERVER_ERROR),
        (response(503, b"<html>"), Outcome.WEB_PAGE),
    ],
)
def test_outcome_says_what_a_response_means(responded: Response, outcome: Outcome) -> None:
    assert outcome_of(reading(AGENTS, responded)) is outcome


ODD: dict[str, tuple[bytes | None, str, str]] = {
    "a web page": (http("<html>Welcome</html>"), "problem", "not the API: a web page (status 200)"),
    "a login": (http("", "302 Found", "Location: /login\r\n"), "problem", "not the API: redirect (status 302)"),
    "another protocol": (b"SSH-2.0-OpenSSH_9.6\r\n", "problem", "the response was not HTTP"),
    "one that hangs up": (b"", "problem", "the connection was closed"),
    "one that hangs": (None, "problem", "no response came in time"),
    "text": (http("hello"), "problem", "not the API: no JSON (status 200)"),
    "nothing": (http("", "204 No Content"), "problem", "not the API: no JSON (status 204)"),
    "half a response": (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[", "problem", "the response ended too soon"),
    "a gateway": (http("<html>", "502 Bad Gateway"), "problem", "There are only error responses"),
    "errors": (http('{"statusCode": 500}', "500 Error"), "problem", "There are only error responses"),
    "no GET": (http("", "405 Method Not Allowed"), "problem", "not the API: no GET (status 405)"),
    "not implemented": (
        http("", "501 Not Implemented"),
        "problem",
        "only error responses: not implemented (status 501)",
    ),
    "an empty 404": (http("", "404 Not Found"), "problem", "not the service's own response (status 404)"),
    "a limit": (http("", "429 Slow", "Retry-After: 3600\r\n"), "warning", "asks to wait (429)"),
    "depth": (http("[" * 100_000), "problem", "not the API: no JSON (status 200)"),
    "another coding": (http("x", headers="Content-Encoding: br\r\n"), "problem", "compressed in another way"),
    "another API": (
        http('{"statusCode": 404, "message": "Route GET:/phone not found"}', "404 Not Found"),
        "problem",
        "does not know GET /phone",
    ),
    "a list of anything": (http('[1, null, [], {"id": 5}, {"name": [[]]}]'), "ok", "The service responds."),
    "an object": (http('{"data": [{"id": "a"}]}'), "ok", "The service responds."),
    "a text in JSON": (http('"hello"'), "ok", "The service responds."),
}
"""Servers that are not the service: what they send, the status of the connection, and what is said of it."""


@pytest.mark.parametrize(("reply", "status", "said"), ODD.values(), ids=ODD)
def test_doctor_reports_on_odd_server(reply: bytes | None, status: str, said: str) -> None:
    began = time.monotonic()
    with odd_server(reply) as server:
        diagnosis = diagnose(findings(read(server.url)))
    assert time.monotonic() - began < 8
    connection = diagnosis.checks[0]
    assert (connection.name, connection.status.value) == ("connection", status)
    assert said in connection.summary
    assert [check.name for check in diagnosis.checks] == [name for name, _ in CHECKS]
    assert "failed by itself" not in shown(diagnosis)
    assert diagnosis.has_problem or status == "warning"
    assert server.methods <= {b"GET"}
    json.dumps(report_value(diagnosis, NOW), allow_nan=False)


def test_doctor_reports_on_closed_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    connection = diagnose(findings(read(url))).checks[0]
    assert connection.status is Status.PROBLEM
    assert "Connection refused" in connection.summary


def test_doctor_reports_on_unknown_host() -> None:
    connection = diagnose(findings(read("https://no-such-host.invalid"))).checks[0]
    assert connection.status is Status.PROBLEM
    assert re.search(r"There is no response: Connect\w+ \(.*\)\. Check the Base URL", connection.summary)


def test_doctor_ends_in_time_where_each_response_dribbles() -> None:
    with odd_server(None) as server:
        began = time.monotonic()
        readings = read(server.url, seconds=1.5, timeout=30)
    assert time.monotonic() - began < 5
    assert "the time was over" in shown(diagnose(findings(readings)))


def test_doctor_sends_nothing_more_after_429() -> None:
    with odd_server(ODD["a limit"][0]) as server:
        diagnosis = diagnose(findings(read(server.url)))
    assert len(server.received) == 1
    assert statuses(diagnosis)["rate-limit"] == "warning"
    assert "retry-after: 3,600" in shown(diagnosis) or "retry-after: 3600" in shown(diagnosis)


def test_doctor_asks_silent_server_twice() -> None:
    with odd_server(None) as server:
        read(server.url)
    assert len(server.received) == 2


def test_check_that_fails_leaves_the_others_running(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(findings: Findings) -> Check:
        raise RuntimeError(f"a text of an agent, and {KEY}")

    monkeypatch.setattr(diagnoses, "CHECKS", [(name, fail if name == "clock" else check) for name, check in CHECKS])
    diagnosis = diagnose(seen())
    assert statuses(diagnosis)["clock"] == "unknown"
    assert statuses(diagnosis)["key"] == "ok"
    assert "This check failed by itself (RuntimeError)" in shown(diagnosis)
    assert "a text of an agent" not in shown(diagnosis)


@pytest.mark.parametrize(
    ("others", "status", "said"),
    [
        ({}, "ok", "may read agents"),
        ({"listPhoneAgents": error(401), "listPhoneVoices": error(401)}, "problem", "rejected (401)"),
        ({"listPhoneAgents": error(403)}, "problem", "lacks the scope phone:read"),
        ({"listPhoneVoices": error(403)}, "warning", "may not list voices"),
        ({"listPhoneVoices": error(401)}, "warning", "rejected (401) by 1 operations"),
        ({"listContacts": error(403)}, "ok", "What it lacks, the provider does not use"),
        ({"listPhoneAgents": error(500), "listPhoneVoices": error(500)}, "unknown", "No response says"),
    ],
)
def test_key_is_judged(others: Mapping[str, Response], status: str, said: str) -> None:
    check = result("key", seen(**others))
    assert (check.status.value, said in check.summary) == (status, True), check.summary


def test_scopes_are_named() -> None:
    check = result("key", seen(listContacts=error(403), listTrainings=response(200, {"items": []})))
    assert check.details["scopes it has"] == "phone:read, training:read"
    assert check.details["scopes it lacks"] == "contacts:read"


@pytest.mark.parametrize(
    ("ahead", "status"),
    [(0, "ok"), (29, "ok"), (-29, "ok"), (32, "warning"), (-32, "warning"), (86_400 * 400, "warning")],
)
def test_clock_is_compared(ahead: int, status: str) -> None:
    date = format_datetime(NOW + timedelta(seconds=ahead), usegmt=True)
    check = result("clock", seen(listPhoneAgents=response(200, [], date=date)))
    assert check.status.value == status
    assert check.details["seconds the service is ahead"] in (ahead, ahead + 1)


@pytest.mark.parametrize("date", ["", "soon", "Sun, 99 Nov 2026 00:00:00 GMT", "\u0661", "0" * 5000])
def test_clock_that_cannot_be_read_is_unknown(date: str) -> None:
    assert result("clock", seen(listPhoneAgents=response(200, [], date=date))).status is Status.UNKNOWN


def test_rate_limit_is_read_from_headers_of_any_name() -> None:
    headers = {
        "x_ratelimit_limit": "100",
        "x_rate_limit_remaining": "99 of 100",
        "ratelimit_policy": '"default";q=100;w=60',
        "x_ratelimit_user": "Jane Doe, +14155550100, 12345678901234",
        "x_ratelimit_key": KEY,
        "x_other": "5",
    }
    check = result("rate-limit", seen(listPhoneAgents=response(200, [], **headers)))
    assert check.status is Status.OK
    assert check.details == {
        "x-ratelimit-limit": "100",
        "x-rate-limit-remaining": "99, 100",
        "ratelimit-policy": "100, 60",
        "x-ratelimit-user": "no number",
        "x-ratelimit-key": "***",
    }


@pytest.mark.parametrize(
    ("agents", "generations"),
    [
        ([], {"2025", "2026"}),
        ({"items": [], "next": None}, {"2024", "2025"}),
        ([{"language": ["en"], "flow": None, "stt_model": None}], {"2026"}),
        ({"items": [{"language": None, "flow": None}], "next": None}, {"2025"}),
        ({"items": [{"language": "en"}], "next": None}, {"2024"}),
        ([{"language": "en", "flow": 1}], {"2025"}),
        ([{"language": "en", "flow": 1}, {"language": ["en"], "flow": 1}], set()),
        ([{"flow": 1}, {}], set()),
        ({"items": [{"stt_model": None, "flow": None}], "next": None}, set()),
    ],
)
def test_generation_is_what_all_observations_agree_with(agents: object, generations: set[str]) -> None:
    found = seen(agents)
    assert generations_of(found) == generations
    check = result("generation", found)
    assert check.status.value == ("warning" if not generations else "ok" if len(generations) == 1 else "unknown")


def test_agents_are_counted() -> None:
    def agent(number: int, **fields: object) -> dict[str, object]:
        return {"id": f"id-{number}", "name": f"n{number}", "phone_number": "+14155550100", **fields}

    agents = [
        agent(1, name="Spring"),
        agent(2, name=" Spring"),
        agent(3, phone_number=None, created_at="2026-11-27T12:00:00.000Z"),
        agent(4, phone_number="pending", created_at="2026-11-29T11:59:00Z"),
        agent(5, phone_number=None, created_at="yesterday"),
        agent(6, phone_number=None, created_at="2999-01-01T00:00:00Z"),
        agent(7, id="id-1"),
        agent(8, first_message="Hello", language=[None]),
        {"name": "no id"},
        "no agent",
    ]
    check = result("agents", seen(agents))
    assert check.status is Status.PROBLEM
    assert check.details == {
        "agents": 10,
        "types": {"other": 8},
        "without a number": 4,
        "oldest without a number": "2 days",
        "of these, created_at cannot be read": 2,
        "invalid numbers": 1,
        "duplicate names": 1,
        "duplicate ids": 1,
        "not readable": 2,
        "readable in part": 1,
    }
    assert not re.search(r"Spring|id-|415555|Hello", shown(diagnose(seen(agents))))


def test_fields_are_named_with_types_and_counts_and_without_values() -> None:
    agents = [
        {"id": "a", "name": 5, "mood": "a text of somebody", "speed": "fast"},
        {"id": "b", "name": None, "mood": None, "+14155550100": 1, "jane@example.com": 1, "x" * 100: 1, "a\nb": 1},
    ]
    check = result("agent-fields", seen(agents))
    assert check.status is Status.WARNING
    unknown = check.details["unknown fields"]
    assert unknown == {
        "mood": 2,
        "(a name of 12 characters)": 1,
        "(a name of 16 characters)": 1,
        "(a name of 100 characters)": 1,
        "'a\\nb'": 1,
    }
    assert check.details["fields of another type"] == {"name": {"whole number": 1}, "speed": {"text": 1}}
    assert "a text of somebody" not in shown(diagnose(seen(agents)))


def test_fields_without_end_are_bounded() -> None:
    found = seen([{"id": "a", **{f"field_{'x' * (number % 30)}_{number}": None for number in range(5000)}}])
    assert len(shown(diagnose(found))) < 20_000


def test_shape_of_voices_is_shown() -> None:
    voices = [{"voice_id": "v1", "name": "Aria", "labels": {"tone": "warm"}, "provider": {"x": 1}}] * 2
    check = result("voice-fields", seen(voices=voices))
    assert check.status is Status.WARNING
    assert check.details["fields"] == {
        "voice_id": {"text": 2},
        "name": {"text": 2},
        "labels": {"object": 2},
        "provider": {"object": 2},
    }
    assert check.details["keys of labels"] == {"tone": {"text": 2}}
    assert check.details["duplicate names"] == 1
    assert not re.search("Aria|warm|v1", shown(diagnose(seen(voices=voices))))


@pytest.mark.parametrize("body", [{"voices": [{"voice_id": "v"}]}, {"a": 1}, 5, "x", None, {"a": [], "b": []}])
def test_form_of_list_that_is_not_known_is_said(body: object) -> None:
    found = seen(agents=body, voices=body)
    assert result("agents", found).status is Status.PROBLEM
    assert result("voice-fields", found).status is Status.WARNING


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (None, "null"),
        (True, "true or false"),
        (1, "whole number"),
        (1.5, "number"),
        ("a", "text"),
        ([], "empty list"),
        (["a"], "list of texts"),
        (["a", 1], "list"),
        ({}, "object"),
    ],
)
def test_types_have_names(value: Any, name: str) -> None:
    assert type_name(value) == name
    assert Shape.of([{"a": value}]).fields["a"] == {name: 1}


def test_open_points_are_settled_by_what_was_seen() -> None:
    found = seen(
        voices=[{"voice_id": "v", "name": "Aria"}],
        listContacts=response(429, {"statusCode": 429, "message": "wait", "code": "E"}, retry_after="5"),
        listActions=response(400, {"statusCode": 400, "message": ["a"]}),
        getAction=response(422, b"<html>"),
    )
    points = {point.name: point for point in open_points(found)}
    assert points["retry-after"].how == "1 of 1 responses with 429 had a Retry-After"
    assert points["refusals"].is_settled
    assert points["refusals"].how == (
        "400: JSON with statusCode whole number, message list of texts; 404: JSON with statusCode whole number, message"
        " text, error text; 422: no JSON; 429: JSON with statusCode whole number, message text, code text"
    )
    assert points["voice-fields"].how == "an array; a voice has voice_id, name"
    assert [name for name, point in points.items() if not point.is_settled] == [
        "number-time",
        "update-language",
        "null-defaults",
        "operations",
    ]
