"""Tests what the simulator does with calls, beyond what its OpenAPI documents can say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from airflow_provider_opencx.simulator import LoseResponse, Simulator

KEY = "a-key"
NUMBER = "+14155550101"

CAMEL = {"phoneAgentId": "pa_000001", "contact": {"phoneNumber": NUMBER}}
SNAKE = {"phone_agent_id": "pa_000001", "contact": {"phone_number": NUMBER}}
BOTH = {**CAMEL, **SNAKE, "contact": {**CAMEL["contact"], **SNAKE["contact"]}}  # type: ignore[dict-item]
CONTACT = {"phoneAgentId": "pa_000001", "contact": {"id": "contact_1"}}


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator((KEY,), requests_per_minute=None) as simulator:
        simulator.add_agent("Caller", type="outbound")
        yield simulator


def post(simulator: Simulator, body: object) -> httpx.Response:
    return httpx.post(
        f"{simulator.url}/phone/outbound-call", json=body, headers={"Authorization": f"Bearer {KEY}"}, timeout=10
    )


@pytest.mark.parametrize(
    ("key_style", "strict", "body", "is_called"),
    [
        ("any", False, CAMEL, True),
        ("any", False, SNAKE, True),
        ("any", False, BOTH, True),
        ("any", False, CONTACT, True),
        ("camel", False, CAMEL, True),
        ("camel", False, SNAKE, False),
        ("camel", False, BOTH, True),
        ("camel", True, CAMEL, True),
        ("camel", True, BOTH, False),
        ("snake", False, CAMEL, False),
        ("snake", False, BOTH, True),
        ("snake", True, SNAKE, True),
        ("snake", True, BOTH, False),
        ("camel", False, {**CAMEL, "variables": {"name": "Ada"}}, True),
        ("camel", True, {**CAMEL, "variables": {"name": "Ada"}}, False),
        ("any", False, {"contact": {"phoneNumber": NUMBER}}, False),
        ("any", False, {"phoneAgentId": "pa_000001", "contact": {}}, False),
        ("any", False, {"phoneAgentId": "pa_000001", "contact": {"phoneNumber": "4155550101"}}, False),
    ],
)
def test_body_is_read_in_one_key_style(
    simulator: Simulator, key_style: Any, strict: bool, body: object, is_called: bool
) -> None:
    simulator.read_calls_as(key_style, strict=strict)
    response = post(simulator, body)
    assert len(simulator.dialed()) == is_called
    if not is_called:
        assert response.status_code == 400
        assert response.json()["code"] == "FST_ERR_VALIDATION"
        assert isinstance(response.json()["message"], str)


def test_each_request_that_is_handled_is_a_call(simulator: Simulator) -> None:
    simulator.fail("makeOutboundCall", LoseResponse())
    with pytest.raises(httpx.TransportError):
        post(simulator, CAMEL)
    assert post(simulator, CAMEL).is_success
    assert post(simulator, CONTACT).is_success
    dialed = simulator.dialed()
    assert [(each.phone_number, each.contact_id, each.agent_name, each.from_number) for each in dialed] == [
        (NUMBER, None, "Caller", "+15550000001"),
        (NUMBER, None, "Caller", "+15550000001"),
        (None, "contact_1", "Caller", "+15550000001"),
    ]
    listed = httpx.get(f"{simulator.url}/_simulator/calls").json()["calls"]
    assert listed == [each.as_json() for each in dialed]


@pytest.mark.parametrize("fields", [{"type": "inbound"}, {"type": "outbound", "phone_number": None}])
def test_agent_that_cannot_call_calls_nobody(simulator: Simulator, fields: dict[str, Any]) -> None:
    agent = simulator.add_agent("Other", **fields)
    response = post(simulator, {"phoneAgentId": agent["id"], "contact": {"phoneNumber": NUMBER}})
    assert (response.status_code, simulator.dialed()) == (404, [])


def test_key_style_is_set_over_http(simulator: Simulator) -> None:
    put = httpx.put(f"{simulator.url}/_simulator/calls/keys", json={"key_style": "snake", "strict": True})
    assert put.json() == {"key_style": "snake", "strict": True}
    assert post(simulator, CAMEL).status_code == 400
    assert httpx.put(f"{simulator.url}/_simulator/calls/keys", json={"key_style": "kebab"}).status_code == 400
    simulator.reset()
    simulator.add_agent("Caller", type="outbound")
    assert post(simulator, CAMEL).is_success
