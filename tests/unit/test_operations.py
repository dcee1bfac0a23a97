"""Tests that messages, retries and metrics derive from the one declaration of each operation."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest

from airflow_provider_opencx.client.client import OpenCXClient
from airflow_provider_opencx.client.operation import Operation, Response
from airflow_provider_opencx.client.pagination import list_items
from airflow_provider_opencx.client.settings import ClientSettings
from airflow_provider_opencx.client.transport import Attempt
from airflow_provider_opencx.exceptions import (
    OpenCXArgumentError,
    OpenCXError,
    OpenCXNotFoundError,
    OpenCXPermissionError,
    OpenCXRateLimitError,
    OpenCXResponseError,
    OpenCXServerError,
    OpenCXUnreachableError,
)
from airflow_provider_opencx.resources import all_operations
from airflow_provider_opencx.resources.phone_agents import LIST_PHONE_AGENTS, UPDATE_PHONE_AGENT
from airflow_provider_opencx.simulator import LoseResponse, Respond, Simulator
from airflow_provider_opencx.simulator.responses import error_body

KEY = "test-key"
EVERY_OPERATION = pytest.mark.parametrize("operation", all_operations(), ids=lambda operation: operation.id)
WRITES_THAT_MAY_BE_REPEATED = {"updatePhoneAgent", "updateContact", "cancelSequence"}


def send(client: OpenCXClient, operation: Operation) -> Response:
    """Send a request for an operation, whatever stands in its path."""
    path_parameters = dict.fromkeys(re.findall(r"{(\w+)}", operation.path), "1")
    return client.send(operation.request(path_parameters=path_parameters))


@pytest.fixture
def attempts() -> list[Attempt]:
    return []


@pytest.fixture
def client(opencx_simulator: Simulator, attempts: list[Attempt], monkeypatch: pytest.MonkeyPatch) -> OpenCXClient:
    monkeypatch.setattr("httpx_retries.Retry.backoff_strategy", lambda self: 0.01)
    settings = ClientSettings(
        opencx_simulator.url,
        KEY,
        timeout=5,
        requests_per_minute=100_000,
        max_retries=2,
        name="connection 'c'",
        allow_calls=True,
    )
    return OpenCXClient(settings, attempts.append)


def test_operations_have_unique_ids_and_paths() -> None:
    operations = all_operations()
    assert max(Counter(operation.id for operation in operations).values()) == 1
    assert max(Counter((operation.method, operation.path) for operation in operations).values()) == 1


@EVERY_OPERATION
def test_operation_is_repeatable_only_if_nothing_happens_twice(operation: Operation) -> None:
    assert operation.repeatable == (operation.method == "GET" or operation.id in WRITES_THAT_MAY_BE_REPEATED)


@EVERY_OPERATION
def test_operation_names_scope_and_noun_in_errors(
    operation: Operation, client: OpenCXClient, opencx_simulator: Simulator
) -> None:
    said = {}
    for status in (403, 404):
        opencx_simulator.heal()
        opencx_simulator.fail(operation.id, Respond(status, error_body(status, "No")), times=None)
        with pytest.raises(OpenCXError) as error:
            send(client, operation)
        said[status] = str(error.value)
    assert f"The API key lacks the scope {operation.scope}." in said[403]
    assert f"{operation.method} /" in said[404]
    assert (f"There is no such {operation.noun}," in said[404]) == ("{" in operation.path)


def test_operation_errors_in_words(client: OpenCXClient, opencx_simulator: Simulator) -> None:
    said = []
    for operation in (LIST_PHONE_AGENTS, UPDATE_PHONE_AGENT):
        for status in (403, 404, 422):
            for body in (error_body(status, "No"), "<html>"):
                opencx_simulator.heal()
                opencx_simulator.fail(operation.id, Respond(status, body), times=None)
                with pytest.raises(OpenCXError) as error:
                    send(client, operation)
                said.append(str(error.value))
    foreign = (
        "This is not the service's own response: it may be from a proxy or a gateway in front of it, and another try"
        " may succeed. Check the connection's Base URL"
    )
    no_path = "The service does not know this path, or the connection's Base URL is not that of the API."
    no_agent = "There is no such phone agent, or the connection's Base URL is not that of the API."
    three_times, as_well = "The service said so 3 times in 0 s.", "Another try would be refused as well."
    assert said == [
        f"GET /phone over connection 'c': 403 'No'. The API key lacks the scope phone:read. {three_times}",
        f"GET /phone over connection 'c': 403. {foreign}, and that the API key has the scope phone:read.",
        f"GET /phone over connection 'c': 404 'No'. {no_path} {three_times}",
        f"GET /phone over connection 'c': 404. {foreign}.",
        f"GET /phone over connection 'c': 422 'No'. The service refuses the request. {three_times}",
        f"GET /phone over connection 'c': 422. {foreign}, and what a proxy on the way refuses.",
        f"PATCH /phone/1 over connection 'c': 403 'No'. The API key lacks the scope phone:write. {as_well}",
        f"PATCH /phone/1 over connection 'c': 403. {foreign}, and that the API key has the scope phone:write.",
        f"PATCH /phone/1 over connection 'c': 404 'No'. {no_agent} {as_well}",
        f"PATCH /phone/1 over connection 'c': 404. {foreign}.",
        f"PATCH /phone/1 over connection 'c': 422 'No'. The service refuses the request. {as_well}",
        f"PATCH /phone/1 over connection 'c': 422. {foreign}, and what a proxy on the way refuses.",
    ]


@EVERY_OPERATION
@pytest.mark.parametrize("fault", [Respond(503), LoseResponse()], ids=["503", "lost"])
def test_operation_is_repeated_only_if_repeatable(
    fault: Any, operation: Operation, client: OpenCXClient, attempts: list[Attempt], opencx_simulator: Simulator
) -> None:
    opencx_simulator.fail(operation.id, fault, times=None)
    with pytest.raises((OpenCXServerError, OpenCXUnreachableError)):
        send(client, operation)
    assert opencx_simulator.count(operation.id) == (3 if operation.repeatable else 1)
    assert {attempt.operation for attempt in attempts} == {operation.id}


@EVERY_OPERATION
def test_operation_is_repeated_after_429(
    operation: Operation, client: OpenCXClient, opencx_simulator: Simulator
) -> None:
    opencx_simulator.fail(operation.id, Respond(429), times=None)
    with pytest.raises(OpenCXRateLimitError):
        send(client, operation)
    assert opencx_simulator.count(operation.id) == (1 if operation.places_calls else 3)


def test_only_what_cannot_call_people_is_repeated() -> None:
    assert {operation.id for operation in all_operations() if operation.places_calls} == {
        "makeOutboundCall",
        "createSequence",
        "updateSequence",
        "startSequence",
        "addContactsToSequence",
    }
    assert not any(operation.repeatable for operation in all_operations() if operation.places_calls)


def test_operation_quotes_path_parameters() -> None:
    assert UPDATE_PHONE_AGENT.request(path_parameters={"phone_agent_id": "a/b c?"}).path == "/phone/a%2Fb%20c%3F"


@pytest.mark.parametrize("dots", [".", ".."])
def test_path_parameter_leads_to_no_other_path(dots: str) -> None:
    with pytest.raises(OpenCXArgumentError, match="phone_agent_id: must not be dots alone"):
        UPDATE_PHONE_AGENT.request(path_parameters={"phone_agent_id": dots})
    assert UPDATE_PHONE_AGENT.matches("PATCH", "/phone/a%2Fb")
    assert not UPDATE_PHONE_AGENT.matches("PATCH", "/phone")
    assert not UPDATE_PHONE_AGENT.matches("GET", "/phone/a")
    assert not UPDATE_PHONE_AGENT.matches("PATCH", "/voices/a")


def test_list_keeps_query_on_every_page(client: OpenCXClient, opencx_simulator: Simulator) -> None:
    opencx_simulator.fail("listPhoneAgents", Respond(200, {"items": [1], "next": "more"}))
    opencx_simulator.fail("listPhoneAgents", Respond(200, {"items": [2], "next": None}))
    assert list_items(client, LIST_PHONE_AGENTS.request(query={"status": "open"}), lambda item: item) == [1, 2]
    assert [request.query for request in opencx_simulator.requests] == [
        {"status": "open"},
        {"status": "open", "cursor": "more"},
    ]


class TestOtherRequests:
    """``client.request`` reaches what the package does not know."""

    def test_request_returns_the_decoded_response(self, client: OpenCXClient, opencx_simulator: Simulator) -> None:
        created = client.request("POST", "/phone", json={"name": "a"}).json()
        assert isinstance(created, dict)
        assert client.request("GET", "/phone", params={"status": "open"}).json() == [created]
        assert [request.query for request in opencx_simulator.requests] == [{}, {"status": "open"}]

    def test_request_uses_the_connection(
        self, client: OpenCXClient, attempts: list[Attempt], opencx_simulator: Simulator
    ) -> None:
        opencx_simulator.fail("createPhoneAgent", Respond(403, error_body(403, f"{KEY} may not")))
        with pytest.raises(OpenCXPermissionError) as error:
            client.request("POST", "/phone", json={"name": "a"})
        assert str(error.value) == (
            "POST /phone over connection 'c': 403 '*** may not'. The API key lacks the scope that this request needs."
            " Another try would be refused as well."
        )
        assert [(attempt.operation, attempt.outcome) for attempt in attempts] == [("request", "403")]

    @pytest.mark.parametrize(("method", "sent"), [("GET", 3), ("POST", 1)])
    def test_request_repeats_only_get(
        self, method: Any, sent: int, client: OpenCXClient, opencx_simulator: Simulator
    ) -> None:
        for operation_id in ("listPhoneAgents", "createPhoneAgent"):
            opencx_simulator.fail(operation_id, Respond(503), times=None)
        with pytest.raises(OpenCXServerError):
            client.request(method, "/phone")
        assert len(opencx_simulator.requests) == sent

    def test_request_does_not_repeat_patch(self, client: OpenCXClient, opencx_simulator: Simulator) -> None:
        opencx_simulator.fail("updatePhoneAgent", Respond(503), times=None)
        with pytest.raises(OpenCXServerError):
            client.request("PATCH", "/phone/pa_1", json={})
        assert len(opencx_simulator.requests) == 1

    def test_request_refuses_html_as_json(self, client: OpenCXClient, opencx_simulator: Simulator) -> None:
        opencx_simulator.fail("listPhoneAgents", Respond(200, "<html>"))
        with pytest.raises(OpenCXResponseError, match=r"^GET /phone over connection 'c': .* 200 .* not JSON"):
            client.request("GET", "/phone").json()

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "https://127.0.0.1:1/phone"),
            ("GET", "//127.0.0.1:1/phone"),
            ("GET", "phone"),
            ("GET", ""),
            ("GET", "/\0"),
            ("GET", "/../phone"),
            ("GET", "/phone/%2E%2e/../actions"),
            ("GET", "/phone/%2e%2E/actions"),
            ("GET", "/phone?cursor=1"),
            ("GET", "/phone#1"),
            ("GET", "/\\127.0.0.1:1"),
            ("GET", "/\ud800"),
            ("GET", None),
            ("get", "/phone"),
            ("TRACE", "/phone"),
        ],
    )
    def test_request_refuses_other_hosts(
        self, method: Any, path: str, client: OpenCXClient, opencx_simulator: Simulator
    ) -> None:
        with pytest.raises(OpenCXArgumentError, match=r"path|method"):
            client.request(method, path)
        assert opencx_simulator.requests == []

    @pytest.mark.parametrize(
        "arguments",
        [
            {"json": {"a": float("nan")}},
            {"json": {"a": "\ud800"}},
            {"json": object()},
            {"params": {"\ud800": "1"}},
            {"params": {"a": "\ud800"}},
            {"params": {"a": 1}},
        ],
        ids=["NaN", "half of a character", "not JSON", "name", "value", "number"],
    )
    def test_request_refuses_what_cannot_be_sent(
        self, arguments: Any, client: OpenCXClient, opencx_simulator: Simulator
    ) -> None:
        with pytest.raises(OpenCXArgumentError, match="params or json"):
            client.request("POST", "/phone", **arguments)
        assert opencx_simulator.requests == []

    @pytest.mark.parametrize(
        ("path", "said"),
        [
            ("/phone/pa_1", "does not know this path, or there is no such object"),
            ("/nothing", "The service of this organization has no such operation"),
        ],
    )
    def test_request_404_tells_a_missing_object_from_a_missing_operation(
        self, path: str, said: str, client: OpenCXClient
    ) -> None:
        with pytest.raises(OpenCXNotFoundError, match=said):
            client.request("PATCH", path, json={})

    def test_request_is_labelled_request(self, client: OpenCXClient, attempts: list[Attempt]) -> None:
        with pytest.raises(OpenCXError):
            client.request("DELETE", "/actions")
        assert attempts[0].operation == "request"
        assert all(isinstance(operation, Operation) and operation.id != "request" for operation in all_operations())


def test_no_operation_deletes_and_none_writes_actions() -> None:
    assert [operation.id for operation in all_operations() if operation.method == "DELETE"] == []
    assert {operation.method for operation in all_operations() if operation.path.startswith("/actions")} == {"GET"}
