"""Tests one request for a call: sent only if calls are allowed, never repeated, trusted only as far as it proves."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow_standalone import connection_json

from airflow_provider_opencx.exceptions import (
    OpenCXArgumentError,
    OpenCXAuthenticationError,
    OpenCXCallsNotAllowedError,
    OpenCXError,
    OpenCXNotFoundError,
    OpenCXPermissionError,
    OpenCXRateLimitError,
    OpenCXRequestRefusedError,
    OpenCXUnknownCallOutcomeError,
    OpenCXUnreachableError,
)
from airflow_provider_opencx.hooks.opencx import OpenCXHook
from airflow_provider_opencx.resources.calls import Callee, call_body, checked_body
from airflow_provider_opencx.simulator import (
    CloseBeforeHandling,
    EmptyResponse,
    ErrorResponse,
    Fault,
    LoseResponse,
    MalformedResponse,
    ProxyPage,
    RefuseAfterHandling,
    RefuseConnections,
    Respond,
    Simulator,
    SlowResponse,
    TooManyRequests,
    TruncateResponse,
)
from airflow_provider_opencx.simulator.responses import error_body

NUMBER = "+14155550101"
ROUTE = "Route POST:/phone/outbound-call not found"

PROOFS: dict[str, tuple[Fault, type[OpenCXError]]] = {
    "a validation error of the framework": (
        Respond(400, error_body(400, "body/contact Invalid input", "FST_ERR_VALIDATION")),
        OpenCXRequestRefusedError,
    ),
    "a rejected key": (Respond(401, error_body(401, "Unauthorized")), OpenCXAuthenticationError),
    "a missing scope": (Respond(403, error_body(403, "Forbidden")), OpenCXPermissionError),
    "no such route": (Respond(404, error_body(404, ROUTE)), OpenCXNotFoundError),
    "too many requests": (TooManyRequests(), OpenCXRateLimitError),
    "too many requests, of a proxy": (ProxyPage(429), OpenCXRateLimitError),
    "a refused connection": (RefuseConnections(60), OpenCXUnreachableError),
}
"""What shows that nobody was called."""

NO_PROOFS: dict[str, Fault] = {
    "another 400": Respond(400, error_body(400, "The agent is busy")),
    "a 400 after the call": RefuseAfterHandling(400),
    "a validation error with another status": Respond(422, error_body(422, "x", "FST_ERR_VALIDATION")),
    "a validation error of a proxy": Respond(400, {"code": "FST_ERR_VALIDATION", "message": "x"}),
    "a 404 of an object": Respond(404, error_body(404, "There is no such agent")),
    "a 404 of a proxy": ProxyPage(404),
    "a 401 of a proxy": ProxyPage(401),
    "a 403 of a proxy": ProxyPage(403),
    "a redirect": Respond(302, "", {"Location": "https://example.com/"}),
    "a 408": Respond(408, error_body(408, "Timeout")),
    "a 422": RefuseAfterHandling(422),
    "a 500": ErrorResponse(500),
    "a 502 of a proxy": ProxyPage(502, handled=True),
    "a 503": ErrorResponse(503),
    "a lost response": LoseResponse(),
    "a dropped connection": CloseBeforeHandling(),
    "a timeout": SlowResponse(8),
    "a truncated response": TruncateResponse(),
    "a response that is not JSON": MalformedResponse(),
    "an empty response": EmptyResponse(),
    "a 200 that is no success": Respond(200, {"success": False, "message": "The agent is busy"}),
}
"""After these, the person may have been called."""


@pytest.fixture
def calling(connected: Simulator, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    """A simulator with an agent that calls, behind a connection with a short timeout."""
    connected.add_agent("Caller", type="outbound")
    connection = connection_json(connected.url, "test-key", timeout=3, requests_per_minute=100_000)
    monkeypatch.setenv("AIRFLOW_CONN_OPENCX_DEFAULT", connection)
    return connected


def switch(monkeypatch: pytest.MonkeyPatch, allow_calls: object) -> None:
    connection = json.loads(os.environ["AIRFLOW_CONN_OPENCX_DEFAULT"])
    connection["extra"]["allow_calls"] = allow_calls
    monkeypatch.setenv("AIRFLOW_CONN_OPENCX_DEFAULT", json.dumps(connection))


def test_a_call_returns_the_response_as_it_is(calling: Simulator, hook: OpenCXHook) -> None:
    placed = hook.place_call(agent_id="pa_000001", phone_number=NUMBER)
    assert placed.response == {"success": True, "id": "call_000001"}
    assert [dialed.phone_number for dialed in calling.dialed()] == [NUMBER]


@pytest.mark.parametrize("proof", PROOFS)
def test_some_errors_prove_that_nobody_was_called(calling: Simulator, hook: OpenCXHook, proof: str) -> None:
    fault, error_class = PROOFS[proof]
    hook.list_phone_agents()
    calling.fail("makeOutboundCall" if proof != "a refused connection" else "listPhoneAgents", fault, times=None)
    if proof == "a refused connection":
        with pytest.raises(OpenCXError):
            OpenCXHook(max_retries=0).list_phone_agents()
    with pytest.raises(error_class) as caught:
        hook.place_call(agent_id="pa_000001", phone_number=NUMBER)
    assert not isinstance(caught.value, OpenCXUnknownCallOutcomeError)
    calling.heal()
    assert calling.dialed() == []
    assert calling.count("makeOutboundCall") == (0 if proof == "a refused connection" else 1)


@pytest.mark.parametrize("outcome", NO_PROOFS)
def test_after_any_other_outcome_the_person_may_have_been_called(
    calling: Simulator, hook: OpenCXHook, outcome: str
) -> None:
    calling.fail("makeOutboundCall", NO_PROOFS[outcome], times=None)
    with pytest.raises(OpenCXUnknownCallOutcomeError) as caught:
        hook.place_call(agent_id="pa_000001", phone_number=NUMBER)
    assert caught.value.is_permanent
    assert (caught.value.contacts, NUMBER in str(caught.value)) == ([NUMBER], True)
    assert caught.value.sent_at is not None
    assert calling.count("makeOutboundCall") == 1


@pytest.mark.parametrize("allow_calls", [False, "false", None, ""])
def test_without_the_switch_nobody_is_called(
    calling: Simulator, monkeypatch: pytest.MonkeyPatch, allow_calls: object
) -> None:
    switch(monkeypatch, allow_calls)
    with pytest.raises(OpenCXCallsNotAllowedError, match="allow_calls"):
        OpenCXHook().place_call(agent_id="pa_000001", phone_number=NUMBER)
    assert calling.count("makeOutboundCall") == 0


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_without_the_switch_requests_of_ones_own_only_read(
    calling: Simulator, monkeypatch: pytest.MonkeyPatch, method: Any
) -> None:
    switch(monkeypatch, False)
    client = OpenCXHook().get_conn()
    calling.forget_requests()
    with pytest.raises(OpenCXCallsNotAllowedError):
        client.request(method, "/phone/outbound-call", json={})
    assert calling.requests == []
    assert client.request("GET", "/phone").is_success


def test_the_switch_is_read_again_before_each_call(
    calling: Simulator, hook: OpenCXHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook.place_call(agent_id="pa_000001", phone_number=NUMBER)
    switch(monkeypatch, False)
    with pytest.raises(OpenCXCallsNotAllowedError):
        hook.place_call(agent_id="pa_000001", phone_number=NUMBER)
    switch(monkeypatch, "true")
    hook.place_call(agent_id="pa_000001", phone_number=NUMBER)
    assert len(calling.dialed()) == 2


@pytest.mark.parametrize("fault", [TooManyRequests(), ErrorResponse(503), LoseResponse()], ids=repr)
def test_a_request_of_ones_own_is_never_sent_again(calling: Simulator, hook: OpenCXHook, fault: Fault) -> None:
    calling.fail("createPhoneAgent", fault, times=None)
    with pytest.raises(OpenCXError):
        hook.get_conn().request("POST", "/phone", json={"name": "a"})
    assert calling.count("createPhoneAgent") == 1


@pytest.mark.parametrize(
    ("style", "callee", "body"),
    [
        ("camel", Callee(NUMBER), {"phoneAgentId": "a", "contact": {"phoneNumber": NUMBER}}),
        ("snake", Callee(NUMBER), {"phone_agent_id": "a", "contact": {"phone_number": NUMBER}}),
        (
            "both",
            Callee(NUMBER),
            {
                "phoneAgentId": "a",
                "phone_agent_id": "a",
                "contact": {"phoneNumber": NUMBER, "phone_number": NUMBER},
            },
        ),
        ("camel", Callee(NUMBER, "c1"), {"phoneAgentId": "a", "contact": {"id": "c1"}}),
        ("both", Callee(None, "c1"), {"phoneAgentId": "a", "phone_agent_id": "a", "contact": {"id": "c1"}}),
    ],
)
def test_body_is_written_in_a_style(style: Any, callee: Callee, body: object) -> None:
    assert call_body("a", callee, style) == body


@pytest.mark.parametrize("key_style", ["camel", "snake"])
def test_style_of_the_connection_reaches_the_service(
    calling: Simulator, monkeypatch: pytest.MonkeyPatch, key_style: Any
) -> None:
    calling.read_calls_as(key_style, strict=True)
    connection = connection_json(calling.url, "test-key", call_body_style=key_style)
    monkeypatch.setenv("AIRFLOW_CONN_OPENCX_DEFAULT", connection)
    OpenCXHook().place_call(agent_id="pa_000001", phone_number=NUMBER)
    with pytest.raises(OpenCXRequestRefusedError):
        OpenCXHook().place_call(agent_id="pa_000001", phone_number=NUMBER, body_style="both")
    assert len(calling.dialed()) == 1


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"agent": "a", "to": [NUMBER]}, None),
        ({"agent": "a", "to": "+1 (415) 555-0101"}, None),
        ({"agent": "b", "to": NUMBER}, "does not name the agent"),
        ({"agent": "a", "to": "+14155550102"}, "does not name .14155550101"),
        ({"agent": "a"}, "does not name .14155550101"),
        ({"phoneAgentId": "a", "contact": {"phoneNumber": NUMBER}, "variables": {"back": "+14155550102"}}, None),
        ({"phone_agent_id": "a", "contact": {"phone_number": "+1 (415) 555-0101"}}, None),
        ({"phoneAgentId": "b", "contact": {"phoneNumber": NUMBER}, "note": "a"}, "does not name the agent"),
        ({"phoneAgentId": "a", "contact": {"phoneNumber": "+14155550102"}, "note": NUMBER}, "name .14155550101 alone"),
        ({"phoneAgentId": "a", "contact": {"phoneNumber": NUMBER, "phone_number": "+14155550102"}}, "alone"),
        ({"phoneAgentId": "a", "contact": {"phoneNumber": NUMBER, "id": "another-1"}}, "alone"),
        (None, "body: must be a mapping"),
        (["a", NUMBER], "body: must be a mapping"),
        ({"agent": "a", "to": NUMBER, "rate": math.nan}, "body: cannot be sent as JSON"),
        ({"agent": "a", "to": NUMBER, "when": datetime(2026, 1, 1, tzinfo=UTC)}, "body: cannot be sent as JSON"),
        ({"agent": "a", "to": NUMBER, "name": "\ud800"}, "body: cannot be sent as JSON"),
    ],
)
def test_a_body_by_hand_names_who_was_checked(body: Any, problem: str | None) -> None:
    if problem is None:
        assert checked_body(body, "a", Callee(NUMBER)) == body
        return
    with pytest.raises(OpenCXArgumentError, match=problem):
        checked_body(body, "a", Callee(NUMBER))


def test_a_body_by_hand_names_the_contact_who_was_checked() -> None:
    callee = Callee(NUMBER, "contact-1")
    for contact in ({"id": "contact-1"}, {"id": "contact-1", "phoneNumber": NUMBER}):
        body: dict[str, Any] = {"phoneAgentId": "agent-1", "contact": contact}
        assert checked_body(body, "agent-1", callee) == body
    for contact in ({"id": "contact-2", "note": "contact-1"}, {"phoneNumber": NUMBER}):
        with pytest.raises(OpenCXArgumentError, match="alone"):
            checked_body({"phoneAgentId": "agent-1", "contact": contact}, "agent-1", callee)


@pytest.mark.parametrize("body", [{}, {"rate": math.nan}, {"name": "\ud800"}, [1]])
def test_hook_sends_no_body_but_that_which_was_written(calling: Simulator, hook: OpenCXHook, body: Any) -> None:
    with pytest.raises(OpenCXError):
        hook.place_call(agent_id="pa_000001", phone_number=NUMBER, body=body)
    assert calling.dialed() == []


@pytest.mark.parametrize("number", ["4155550101", "+1415", "+49 (0)30 555010", "", "someone"])
def test_a_number_that_cannot_exist_is_not_called(calling: Simulator, hook: OpenCXHook, number: str) -> None:
    with pytest.raises(OpenCXArgumentError, match="phone_number"):
        hook.place_call(agent_id="pa_000001", phone_number=number)
    assert calling.count("makeOutboundCall") == 0


def test_neither_error_nor_log_holds_the_key(
    calling: Simulator, hook: OpenCXHook, caplog: pytest.LogCaptureFixture, connect: Callable[[str, str], None]
) -> None:
    calling.fail("makeOutboundCall", Respond(500, error_body(500, "the key test-key is no good")))
    with pytest.raises(OpenCXUnknownCallOutcomeError) as caught:
        hook.place_call(agent_id="pa_000001", phone_number=NUMBER)
    assert "test-key" not in f"{caught.value} {vars(caught.value)} {caplog.text}"
