"""Tests that a simulator in a process of its own is controlled over HTTP, only by programs on the same machine."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from airflow_provider_opencx.simulator import Simulator

KEY = "a-key-that-nobody-may-see"
OTHER_KEY = "a-key-of-somebody-else"


@pytest.fixture
def admin(simulator: Simulator) -> Iterator[httpx.Client]:
    headers = {"Content-Type": "application/json"}
    with httpx.Client(base_url=f"{simulator.url}/_simulator", headers=headers, timeout=10) as admin:
        yield admin


def own_address() -> str | None:
    """An address of this machine that is not loopback, if it has one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address = str(probe.getsockname()[0])
    return None if address.startswith(("127.", "0.")) else address


def test_admin_agents_add(client: Any, admin: httpx.Client, clock: Any) -> None:
    seeds = [
        {"name": "Plain", "language": ["de"]},
        {"name": "Has a number", "phone_number": "+15550100"},
        {"name": "Has none", "phone_number": None},
        {"name": "Late", "progression": "5s, lost after 5s"},
    ]
    seeded = admin.post("/agents", json={"agents": seeds})
    assert seeded.status_code == 201
    assert admin.get("/agents").json() == seeded.json() == {"agents": client.listed()}
    assert client.listed()[0]["language"] == ["de"]
    assert client.numbers() == ["+15550000001", "+15550100", None, None]
    clock.now += 5
    assert client.numbers()[3] == "+15550000002"


def test_admin_agents_change_and_remove(client: Any, admin: httpx.Client, clock: Any) -> None:
    agent = client.create()
    place = f"/agents/{agent['id']}"
    changed = admin.patch(place, json={"name": "Sales", "phone_number": "+15550100"}).json()
    assert [changed] == client.listed()
    assert (changed["name"], changed["phone_number"]) == ("Sales", "+15550100")
    assert admin.patch(place, json={"phone_number": None}).json()["phone_number"] is None
    assert admin.patch(place, json={"progression": "now"}).json()["phone_number"] == "+15550000002"
    assert admin.delete(place).status_code == 204
    assert client.listed() == []
    assert admin.delete(place).status_code == admin.patch(place, json={}).status_code == 404


def test_admin_agents_of_another_organization(simulator: Simulator, admin: httpx.Client) -> None:
    theirs = {"Authorization": f"Bearer {OTHER_KEY}"}
    admin.post("/agents", json={"agents": [{"name": "Theirs"}]}, headers=theirs)
    assert [agent["name"] for agent in simulator.agents(OTHER_KEY)] == ["Theirs"]
    assert len(admin.get("/agents", headers=theirs).json()["agents"]) == 1
    assert admin.get("/agents").json() == {"agents": []}
    assert admin.get("/agents", headers={"Authorization": "Bearer unknown"}).status_code == 401


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ({"type": "Respond", "status": 418, "body": {"a": [1, None]}, "headers": {"X-Brewed": "tea"}}, 418),
        ({"type": "Respond", "status": 502, "body": "<html>"}, 502),
        ({"type": "RespondInGeneration", "generation": "2024"}, 201),
        ({"type": "AlterItems", "fields": {"name": None}, "which": -1, "without": ["id"]}, 200),
        ({"type": "AlterItems", "fields": None, "which": "all"}, 200),
        ({"type": "CloseBeforeHandling"}, None),
        ({"type": "CompressedResponse", "times": 2, "header": "identity"}, 200),
        ({"type": "DecompressionBomb", "megabytes": 1, "layers": 1}, 200),
        ({"type": "EmptyList"}, 200),
        ({"type": "EmptyResponse"}, 200),
        ({"type": "EndlessGzipHeader", "seconds": 0.01, "block": 1000, "between": 0}, 200),
        ({"type": "EndlessInformation", "seconds": 0.01, "status": 102}, 200),
        ({"type": "EndlessPages", "items": "same"}, 200),
        ({"type": "ErrorResponse", "status": 403, "message": "Not now"}, 403),
        ({"type": "ForgetIdleConnections", "after": 0, "mode": "reset"}, None),
        ({"type": "HandleLate", "seconds": 5}, None),
        ({"type": "IgnoreFields", "fields": ["first_message"]}, 200),
        ({"type": "IncompleteList", "lost": 2}, 200),
        ({"type": "IncompleteList", "share": 0.5}, 200),
        ({"type": "LargeHeaders", "kilobytes": 10, "count": 10}, 200),
        ({"type": "LoseResponse"}, None),
        ({"type": "MalformedResponse"}, 200),
        ({"type": "MovedPages", "by": -1}, 200),
        ({"type": "PlaceholderNumber", "text": "N/A"}, 200),
        ({"type": "ProxyPage"}, 502),
        ({"type": "ProxyPage", "status": 200, "handled": True}, 200),
        ({"type": "RefuseAfterHandling", "status": 422}, 422),
        ({"type": "RefuseConnections", "seconds": 0}, None),
        ({"type": "RepeatedIds"}, 200),
        ({"type": "RespondWithAnotherId"}, 200),
        ({"type": "SlowResponse", "seconds": 0.01}, 200),
        ({"type": "SlowBody", "seconds": 0.01}, 200),
        ({"type": "SlowChunks", "seconds": 0.01, "part": "trailer"}, 200),
        ({"type": "SlowHeaders", "seconds": 0.01, "between": 0.001}, 200),
        ({"type": "StaleList", "seconds": 5, "of": "updates"}, 200),
        ({"type": "TidyText", "way": "escape"}, 200),
        ({"type": "TooManyRequests"}, 429),
        ({"type": "TooManyRequests", "retry_after": 9, "as_date": True}, 429),
        ({"type": "TooManyRequests", "retry_after": "soon"}, 429),
        ({"type": "TruncateResponse"}, None),
    ],
)
def test_admin_fault_of_each_type(
    simulator: Simulator, client: Any, admin: httpx.Client, fault: dict[str, object], status: int | None
) -> None:
    assert client.listed() == []  # the connection is a kept one
    ordered = admin.post("/faults", json={"operation": "createPhoneAgent", "fault": fault})
    assert ordered.status_code == 201, ordered.text
    if status is None:
        with pytest.raises(httpx.TransportError):
            client.post("/phone", json={"name": "x"})
    else:
        assert client.post("/phone", json={"name": "x"}).status_code == status
    simulator.heal()
    assert admin.get("/journal").json()["faults_met"] == {fault["type"]: 1}


def test_admin_fault_keeps_whole_seconds(client: Any, admin: httpx.Client) -> None:
    fault = {"type": "TooManyRequests", "retry_after": 7}
    admin.post("/faults", json={"operation": "listPhoneAgents", "fault": fault})
    assert client.get("/phone").headers["retry-after"] == "7"


def test_admin_faults_times_probability_and_heal(client: Any, admin: httpx.Client) -> None:
    fault = {"operation": "listPhoneAgents", "fault": {"type": "ProxyPage"}}
    admin.post("/faults", json={**fault, "times": 2})
    assert [client.get("/phone").status_code for _ in range(3)] == [502, 502, 200]
    admin.post("/faults", json={**fault, "times": None, "probability": 0.5, "seed": 1})
    assert {client.get("/phone").status_code for _ in range(50)} == {200, 502}
    assert admin.delete("/faults").status_code == 204
    assert {client.get("/phone").status_code for _ in range(50)} == {200}


def test_admin_settings_and_reset(simulator: Simulator, client: Any, admin: httpx.Client) -> None:
    before = admin.get("/settings").json()
    settings = {"provision_after": "2reads", "generation": "2025", "page_size": 7, "requests_per_minute": 3}
    assert admin.patch("/settings", json=settings).json() == settings == admin.get("/settings").json()
    assert client.post("/phone", json={"name": "Support"}).json()["phone_number"] is None
    assert [client.get("/phone").status_code for _ in range(4)] == [200, 200, 429, 429]
    assert admin.patch("/settings", json={"requests_per_minute": None}).json()["requests_per_minute"] is None
    assert admin.post("/reset").json() == before
    assert (simulator.agents(), simulator.requests, simulator.generation) == ([], [], "2026")


def test_admin_clock(simulator: Simulator, client: Any, admin: httpx.Client) -> None:
    simulator.provision_after = "10m"
    client.create()
    before = admin.get("/clock").json()["seconds"]
    assert admin.post("/clock", json={"advance": "9m"}).json() == {"seconds": before + 540}
    assert client.numbers() == [None]
    admin.post("/clock", json={"advance": 60})
    assert client.numbers() == ["+15550000001"]


def test_admin_journal(client: Any, admin: httpx.Client) -> None:
    client.create("Support")
    client.get("/phone", params={"cursor": "x"})
    response = admin.get("/journal")
    first, second = response.json()["requests"]
    assert first["body"] == {"name": "Support"}
    expected = {"operation": "listPhoneAgents", "method": "GET", "path": "/phone", "query": {"cursor": "x"}}
    assert second | expected | {"status": 200, "fault": None, "body": None} == second
    assert KEY not in response.text
    assert admin.delete("/journal").status_code == 204
    assert admin.get("/journal").json() == {"requests": [], "faults_met": {}}


def test_admin_has_no_rate_limit(simulator: Simulator, admin: httpx.Client) -> None:
    simulator.requests_per_minute = 1
    assert {admin.get("/settings").status_code for _ in range(5)} == {200}


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("/agents", "{", "not JSON"),
        ("/agents", '{"agents": NaN}', "not JSON"),
        ("/agents", "[" * 100_000, "not JSON"),
        ("/agents", "{}", "agents: Field required"),
        ("/agents", '{"agents": [{"language": ["de"]}]}', "agents.0.name"),
        ("/agents", '{"agents": [{"name": "x"}, {"name": "y", "colour": "red"}]}', "colour"),
        ("/agents", '{"agents": [{"name": "x"}, {"name": "y", "api_key": "k"}]}', "api_key"),
        ("/agents", '{"agents": [{"name": "x"}, {"name": "y", "model": "none"}]}', "agents.1: .*model"),
        ("/agents", '{"agents": [{"name": "x", "progression": "soon"}]}', "agents.0.progression: 'soon'.*5s"),
        (
            "/faults",
            '{"operation": "delete", "fault": {"type": "LoseResponse"}}',
            "no operation 'delete', only .*createPhoneAgent",
        ),
        ("/faults", '{"operation": "listPhoneAgents"}', "fault: Field required"),
        ("/faults", '{"operation": "listPhoneAgents", "fault": {}}', "fault.type: .*LoseResponse"),
        ("/faults", '{"operation": "listPhoneAgents", "fault": {"type": ["x"]}}', "fault.type"),
        ("/faults", '{"operation": "listPhoneAgents", "fault": {"type": "SlowBody"}}', "fault.seconds"),
        (
            "/faults",
            '{"operation": "listPhoneAgents", "fault": {"type": "SlowBody", "seconds": -1}}',
            "fault: .*-1",
        ),
        ("/faults", '{"operation": "listPhoneAgents", "fault": {"type": "SlowBody", "seconds": "1"}}', "number"),
        ("/faults", '{"operation": "listPhoneAgents", "fault": {"type": "EmptyResponse", "x": 1}}', "fault.x"),
        ("/faults", '{"operation": "listPhoneAgents", "fault": {"type": "Respond", "status": 99}}', "200 to 599"),
        (
            "/faults",
            '{"operation": "listPhoneAgents", "fault": {"type": "Respond", "status": 200, "headers": {"": ""}}}',
            "header",
        ),
        (
            "/faults",
            '{"operation": "listPhoneAgents", "fault": {"type": "StaleList", "seconds": 1, "of": "all"}}',
            "fault.of",
        ),
        (
            "/faults",
            '{"operation": "listPhoneAgents", "fault": {"type": "RespondInGeneration", "generation": "1999"}}',
            "1999",
        ),
        ("/faults", '{"operation": "listPhoneAgents", "fault": {"type": "LoseResponse"}, "times": 0}', "times"),
        (
            "/faults",
            '{"operation": "listPhoneAgents", "fault": {"type": "LoseResponse"}, "seed": 1}',
            "probability",
        ),
        (
            "/faults",
            '{"operation": "listPhoneAgents", "fault": {"type": "LoseResponse"}, "probability": 2}',
            "probability",
        ),
        ("/clock", '{"advance": "soon"}', "advance: 'soon' is not a duration"),
        ("/clock", '{"advance": -1}', "not a duration"),
        ("/clock", '{"back": 1}', "back"),
        ("/reset", '{"everything": true}', "everything"),
    ],
)
def test_admin_error_names_the_field_and_changes_nothing(
    simulator: Simulator, client: Any, admin: httpx.Client, path: str, body: str, message: str
) -> None:
    agent, before = client.create(), simulator.clock()
    response = admin.post(path, content=body)
    assert (response.status_code, response.json()["statusCode"]) == (400, 400)
    assert re.search(message, response.json()["message"]), response.json()["message"]
    assert client.listed() == [agent]
    assert simulator.clock() == before


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"generation": "1999"}, "generation"),
        ({"generation": None}, "generation"),
        ({"page_size": 0}, "page_size"),
        ({"requests_per_minute": 0}, "requests_per_minute"),
        ({"provision_after": "soon"}, "provision_after: 'soon'"),
        ({"api_keys": ["x"]}, "api_keys"),
    ],
)
def test_admin_settings_error_changes_nothing(admin: httpx.Client, settings: dict[str, object], message: str) -> None:
    before = admin.get("/settings").json()
    response = admin.patch("/settings", json={"page_size": 50, **settings})
    assert (response.status_code, message in response.json()["message"]) == (400, True)
    assert admin.get("/settings").json() == before


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nothing", 404), ("PUT", "/agents", 405)])
def test_admin_unknown_route(admin: httpx.Client, method: str, path: str, status: int) -> None:
    response = admin.request(method, path)
    assert (response.status_code, response.json()["statusCode"]) == (status, status)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:8010"}, 200),
        ({"Host": "[::1]:8010"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "localhost.evil.example:8010"}, 403),
        ({"Host": "["}, 403),
        ({"Host": ""}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"X-Forwarded-For": "203.0.113.9"}, 200),
    ],
)
def test_admin_access_of_web_pages(admin: httpx.Client, headers: dict[str, str], status: int) -> None:
    assert admin.get("/journal", headers=headers).status_code == status
    assert admin.post("/reset", headers=headers).status_code == status


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", None])
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/reset"), ("POST", "/agents"), ("DELETE", "/faults"), ("PATCH", "/settings")]
)
def test_admin_access_needs_json(simulator: Simulator, method: str, path: str, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    response = httpx.request(method, f"{simulator.url}/_simulator{path}", headers=headers, content="{}")
    assert (response.status_code, "application/json" in response.json()["message"]) == (415, True)


@pytest.mark.parametrize(("remote_admin", "status"), [(False, 403), (True, 200)])
def test_admin_access_of_other_machines(remote_admin: bool, status: int) -> None:
    address = own_address()
    if address is None:
        pytest.skip("this machine has no address but loopback")
    with Simulator(host=address, remote_admin=remote_admin) as simulator:
        assert httpx.get(f"{simulator.url}/_simulator/journal").status_code == status
        named = {"Host": "simulator.test", "Content-Type": "application/json"}
        assert httpx.post(f"{simulator.url}/_simulator/reset", headers=named).status_code == status
        assert httpx.get(f"{simulator.url}/phone").status_code == 401
