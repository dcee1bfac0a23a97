"""Tests the client over a socket: which requests are retried, and what each response becomes."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_opencx import exceptions
from airflow_provider_opencx.client import body, network
from airflow_provider_opencx.client import client as client_module
from airflow_provider_opencx.client.client import OpenCXClient
from airflow_provider_opencx.client.errors import permanent
from airflow_provider_opencx.client.limiters import limiter_of
from airflow_provider_opencx.client.settings import ClientSettings
from airflow_provider_opencx.exceptions import (
    OpenCXAPIError,
    OpenCXAuthenticationError,
    OpenCXAuthenticationPermanentError,
    OpenCXConfigError,
    OpenCXError,
    OpenCXNoSuchOperationError,
    OpenCXNotFoundError,
    OpenCXPermissionError,
    OpenCXRateLimitError,
    OpenCXRedirectError,
    OpenCXRequestRefusedError,
    OpenCXResponseError,
    OpenCXServerError,
    OpenCXUnreachableError,
)
from airflow_provider_opencx.resources import all_operations
from airflow_provider_opencx.resources.phone_agents import (
    PhoneAgentChanges,
    PhoneAgentSpec,
    create_phone_agent,
    list_phone_agents,
    ping,
    update_phone_agent,
)
from airflow_provider_opencx.resources.voices import list_voices
from airflow_provider_opencx.simulator import (
    CloseBeforeHandling,
    EmptyResponse,
    LoseResponse,
    Respond,
    Simulator,
    SlowResponse,
)

KEY = "test-key"
READ_AGAIN_AFTER = client_module.READ_AGAIN_AFTER  # before the tests set it to none
SPEC = PhoneAgentSpec.parse({"name": "a"})


def with_settings(client: OpenCXClient, **settings: Any) -> OpenCXClient:
    """Return another client, which differs in these settings."""
    return OpenCXClient(replace(client.settings, **settings))


@pytest.fixture
def client(opencx_simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> OpenCXClient:
    monkeypatch.setattr("httpx_retries.Retry.backoff_strategy", lambda self: 0.01)
    settings = ClientSettings(opencx_simulator.url, KEY, timeout=5, requests_per_minute=100_000, allow_calls=True)
    return OpenCXClient(settings)


@pytest.mark.parametrize("generation", ["2024", "2025", "2026"])
def test_list_reads_all_pages_in_every_generation(
    generation: str, client: OpenCXClient, opencx_simulator: Simulator
) -> None:
    opencx_simulator.generation = generation
    for number in range(250):
        opencx_simulator.add_agent(f"agent {number}")
    agents = list_phone_agents(client)
    assert [agent.name for agent in agents] == [f"agent {number}" for number in range(250)]
    assert list_voices(client)[0].voice_id == "voice_aria"


@pytest.mark.parametrize("generation", ["2024", "2025", "2026"])
def test_client_writes_in_every_generation(generation: str, client: OpenCXClient, opencx_simulator: Simulator) -> None:
    opencx_simulator.generation = generation
    as_text = generation != "2026"
    spec = PhoneAgentSpec.parse({"name": "a", "language": "de"})
    created = create_phone_agent(client, spec, language_as_text=as_text)
    assert (created.name, created.type, created.language) == ("a", "outbound", ["de"])
    changes = PhoneAgentChanges.parse({"language": ["fr"]})
    changed = update_phone_agent(client, created.id, changes, language_as_text=as_text)
    assert (changed is None) == (generation != "2026")
    [listed] = list_phone_agents(client)
    assert (listed.language, listed.language_is_text) == (["fr"], as_text)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_client_retries_reads_and_updates_on_transient_status(
    status: int, client: OpenCXClient, opencx_simulator: Simulator
) -> None:
    agent_id = str(opencx_simulator.add_agent("a")["id"])
    opencx_simulator.fail("listPhoneAgents", Respond(status), times=2)
    assert len(list_phone_agents(client)) == 1
    opencx_simulator.fail("updatePhoneAgent", Respond(status), times=2)
    update_phone_agent(client, agent_id, PhoneAgentChanges.parse({"first_message": "Hi"}))
    assert (opencx_simulator.count("listPhoneAgents"), opencx_simulator.count("updatePhoneAgent")) == (3, 3)


@pytest.mark.parametrize("fault", [CloseBeforeHandling(), LoseResponse()])
def test_client_retries_reads_and_updates_if_disconnected(
    fault: Any, client: OpenCXClient, opencx_simulator: Simulator
) -> None:
    agent_id = str(opencx_simulator.add_agent("a")["id"])
    opencx_simulator.fail("listPhoneAgents", fault, times=2)
    opencx_simulator.fail("updatePhoneAgent", fault, times=2)
    list_phone_agents(client)
    update_phone_agent(client, agent_id, PhoneAgentChanges.parse({"first_message": "Hi"}))
    assert (opencx_simulator.count("listPhoneAgents"), opencx_simulator.count("updatePhoneAgent")) == (3, 3)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Respond(500), OpenCXServerError),
        (Respond(502, "<html>Bad gateway</html>"), OpenCXServerError),
        (Respond(503, headers={"Retry-After": "1"}), OpenCXServerError),
        (Respond(408), OpenCXServerError),
        (LoseResponse(), OpenCXUnreachableError),
        (CloseBeforeHandling(), OpenCXUnreachableError),
        (SlowResponse(2), OpenCXUnreachableError),
        (Respond(200, "{"), OpenCXResponseError),
        (Respond(200, "<html>"), OpenCXResponseError),
        (Respond(200, {"name": "no id"}), OpenCXResponseError),
    ],
)
def test_client_does_not_repeat_create(
    fault: Any, error: type[OpenCXError], client: OpenCXClient, opencx_simulator: Simulator
) -> None:
    opencx_simulator.fail("createPhoneAgent", fault)
    with pytest.raises(error):
        create_phone_agent(with_settings(client, timeout=1), SPEC)
    assert opencx_simulator.count("createPhoneAgent") == 1


def test_client_repeats_create_after_429(client: OpenCXClient, opencx_simulator: Simulator) -> None:
    opencx_simulator.fail("createPhoneAgent", Respond(429, headers={"Retry-After": "0"}), times=2)
    create_phone_agent(client, SPEC)
    assert len(opencx_simulator.agents()) == 1


def test_client_reports_create_that_was_not_sent(client: OpenCXClient) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        refused = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(OpenCXUnreachableError) as error:
            create_phone_agent(with_settings(client, base_url=refused), SPEC)
    assert not error.value.request_sent
    assert refused in str(error.value)


def test_client_returns_none_for_empty_create_response(client: OpenCXClient, opencx_simulator: Simulator) -> None:
    opencx_simulator.fail("createPhoneAgent", EmptyResponse())
    assert create_phone_agent(client, SPEC) is None


def test_client_stops_after_max_retries(client: OpenCXClient, opencx_simulator: Simulator) -> None:
    opencx_simulator.fail("listPhoneAgents", Respond(503), times=None)
    with pytest.raises(OpenCXServerError):
        list_phone_agents(with_settings(client, max_retries=2))
    assert opencx_simulator.count("listPhoneAgents") == 3


def test_retry_after_short_delays_next_request(client: OpenCXClient, opencx_simulator: Simulator) -> None:
    opencx_simulator.fail("listPhoneAgents", Respond(429, headers={"Retry-After": "1"}))
    started = time.monotonic()
    list_phone_agents(client)
    assert time.monotonic() - started >= 1


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [("61", 61), ("60.5", 60.5), ("9" * 400, 86_400), ("Fri, 01 Jan 2100 00:00:00 GMT", 86_400)],
    ids=["seconds", "broken seconds", "absurd", "date"],
)
def test_retry_after_long_raises_at_once(
    asked: str, seconds: float, client: OpenCXClient, opencx_simulator: Simulator
) -> None:
    opencx_simulator.fail("createPhoneAgent", Respond(429, headers={"Retry-After": asked, "X-Request-Id": "r1"}))
    with pytest.raises(OpenCXRateLimitError) as error:
        create_phone_agent(client, SPEC)
    assert error.value.retry_after == seconds
    assert error.value.request_id == "r1"
    assert opencx_simulator.count("createPhoneAgent") == 1


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (Respond(401, {"message": "Invalid"}), OpenCXAuthenticationError, "'Invalid'. This is not the service's own"),
        (Respond(403, {"error": "Forbidden"}), OpenCXPermissionError, "phone:read"),
        (Respond(404, "<html>nothing here</html>"), OpenCXNotFoundError, "Base URL"),
        (Respond(422, {"message": ["name: too long", "type: odd"]}), OpenCXRequestRefusedError, "name: too long; type"),
        (Respond(400, [1]), OpenCXRequestRefusedError, "400"),
        (Respond(302, headers={"Location": "http://127.0.0.1:1/"}), OpenCXRedirectError, "not followed"),
        (Respond(200, {"items": 1}), OpenCXResponseError, "neither a list nor a page"),
        (Respond(200, "[" * 100_000), OpenCXResponseError, "not JSON"),
        (Respond(200, '[{"id": "1", "speed": NaN}]'), OpenCXResponseError, "not JSON"),
        (Respond(200, "<html>"), OpenCXResponseError, "proxy"),
        (
            Respond(200, [{"name": "no id"}]),
            OpenCXResponseError,
            "nothing in the service's list can be read: item 1 of the list: the service's response is not an agent: id",
        ),
    ],
)
def test_client_error_says_what_to_do(
    answer: Respond, error: type[OpenCXAPIError], says: str, client: OpenCXClient, opencx_simulator: Simulator
) -> None:
    opencx_simulator.fail("listPhoneAgents", answer)
    with pytest.raises(error) as raised:
        list_phone_agents(client)
    assert says in str(raised.value)
    assert "GET /phone" in str(raised.value)
    assert "nothing here" not in str(raised.value)
    assert opencx_simulator.count("listPhoneAgents") == 1


REFUSALS = {
    OpenCXRedirectError: (301, 302, 307),
    OpenCXRequestRefusedError: (400, 405, 409, 413, 422, 499),
    OpenCXAuthenticationError: (401,),
    OpenCXPermissionError: (403,),
    OpenCXNotFoundError: (404,),
}
BODIES_OF_THE_SERVICE: dict[str, Callable[[int], Any]] = {
    "the service's": lambda status: {"statusCode": status, "message": "No", "error": "No"},
    "the service's least": lambda status: {"statusCode": status},
}
OTHER_BODIES: dict[str, Callable[[int], Any]] = {
    "a page": lambda status: "<html>No</html>",
    "nothing": lambda status: "",
    "a list": lambda status: [{"statusCode": status}],
    "no status": lambda status: {"message": "No"},
    "another status": lambda status: {"statusCode": status + 1},
    "a status as text": lambda status: {"statusCode": str(status)},
    "a status as a fraction": lambda status: {"statusCode": float(status)},
    "a boolean": lambda status: {"statusCode": True},
    "too deep": lambda status: "[" * 100_000,
}
READS: list[Callable[[OpenCXClient], object]] = [
    list_phone_agents,
    list_voices,
    lambda client: client.request("GET", "/phone"),
]
WRITES: list[Callable[[OpenCXClient], object]] = [
    lambda client: create_phone_agent(client, SPEC),
    lambda client: update_phone_agent(client, "1", PhoneAgentChanges.parse({"first_message": "Hi"})),
    lambda client: client.request("POST", "/phone", json={"name": "a"}),
]


def refused(status: int) -> Respond:
    return Respond(status, {"statusCode": status, "message": "No"})


def fail_all(simulator: Simulator, fault: Respond) -> None:
    for operation in all_operations():
        simulator.fail(operation.id, fault, times=None)


@pytest.mark.parametrize(
    ("error", "status"), [(error, status) for error, statuses in REFUSALS.items() for status in statuses]
)
@pytest.mark.parametrize("body_of", [*BODIES_OF_THE_SERVICE, *OTHER_BODIES])
def test_client_believes_refusal_of_the_service_alone(
    error: type[OpenCXAPIError], status: int, body_of: str, client: OpenCXClient, opencx_simulator: Simulator
) -> None:
    fail_all(opencx_simulator, Respond(status, {**BODIES_OF_THE_SERVICE, **OTHER_BODIES}[body_of](status)))
    is_from_service = body_of in BODIES_OF_THE_SERVICE
    for requests, sent, is_permanent in (
        (READS, 3 if is_from_service else 1, is_from_service),
        (WRITES, 1, is_from_service),
        ([ping], 1, False),
    ):
        for request in requests:
            before = len(opencx_simulator.requests)
            with pytest.raises(error) as raised:
                request(client)
            assert (raised.value.is_permanent, raised.value.status_code) == (is_permanent, status)
            assert len(opencx_simulator.requests) - before == sent
            assert ("not the service's own" in str(raised.value)) == (not is_from_service)


@pytest.mark.parametrize("status", [408, 429, 500, 503, 599])
def test_client_never_takes_transient_status_for_permanent(
    status: int, client: OpenCXClient, opencx_simulator: Simulator
) -> None:
    fail_all(opencx_simulator, refused(status))
    for request in (*READS, *WRITES, ping):
        before = len(opencx_simulator.requests)
        with pytest.raises(OpenCXAPIError) as raised:
            request(with_settings(client, max_retries=0))
        assert not raised.value.is_permanent
        assert len(opencx_simulator.requests) - before == 1


@pytest.mark.parametrize(
    ("others", "error"),
    [
        ([], None),
        ([refused(401)], None),
        ([Respond(401, "<html>")], OpenCXAuthenticationError),
        ([refused(401), Respond(401, "<html>")], OpenCXAuthenticationError),
        ([refused(403)], OpenCXPermissionError),
        ([refused(401), Respond(302)], OpenCXRedirectError),
        ([Respond(503)], OpenCXServerError),
        ([refused(401), Respond(429, headers={"Retry-After": "900"})], OpenCXRateLimitError),
        ([CloseBeforeHandling()] * 2, OpenCXUnreachableError),
        ([refused(401), Respond(200, "<html>")], OpenCXResponseError),
    ],
)
def test_read_that_is_refused_and_then_not_is_no_permanent_error(
    others: list[Any],
    error: type[OpenCXError] | None,
    client: OpenCXClient,
    opencx_simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for fault in (refused(401), *others):
        opencx_simulator.fail("listPhoneAgents", fault)
    client = with_settings(client, max_retries=0)
    if error is None:
        assert list_phone_agents(client) == []
    else:
        with pytest.raises(error) as raised:
            list_phone_agents(client)
        assert type(raised.value) is error
    assert len(opencx_simulator.requests) == 1 + len(others) + (error is None)
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "401 'No'. The API key was rejected" in warnings[0]


def test_refused_read_is_sent_three_times_five_seconds_apart(
    client: OpenCXClient, opencx_simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[tuple[float, int]] = []
    clock = SimpleNamespace(sleep=lambda seconds: slept.append((seconds, len(opencx_simulator.requests))))
    monkeypatch.setattr(client_module, "time", clock)
    monkeypatch.setattr(client_module, "READ_AGAIN_AFTER", READ_AGAIN_AFTER)
    opencx_simulator.fail("listPhoneAgents", refused(401), times=None)
    with pytest.raises(OpenCXAuthenticationPermanentError, match="The service said so 3 times in 10 s"):
        list_phone_agents(client)
    assert slept == [(5.0, 1), (5.0, 2)]
    assert len(opencx_simulator.requests) == 3


def test_every_refusal_has_a_permanent_form() -> None:
    forms = {
        error: permanent(error("No.", status_code=400, request_id="r1", retry_after=1.0), "Twice.")
        for error in (*REFUSALS, OpenCXNoSuchOperationError)
    }
    assert {type(form) for form in forms.values()} == {
        error for error in vars(exceptions).values() if is_permanent_form(error)
    }
    for error, form in forms.items():
        assert isinstance(form, error)
        assert (str(form), form.status_code, form.request_id, form.retry_after) == ("No. Twice.", 400, "r1", 1.0)


def is_permanent_form(error: object) -> bool:
    return isinstance(error, type) and issubclass(error, OpenCXAPIError) and error.is_permanent


def test_client_error_hides_repeated_key(client: OpenCXClient, opencx_simulator: Simulator) -> None:
    opencx_simulator.fail("listPhoneAgents", Respond(401, {"message": f"{KEY} is no key"}))
    with pytest.raises(OpenCXAuthenticationError, match=r"'\*\*\* is no key'"):
        list_phone_agents(client)


def test_list_that_never_ends_raises(client: OpenCXClient, opencx_simulator: Simulator) -> None:
    opencx_simulator.fail("listPhoneAgents", Respond(200, {"items": [], "next": "again"}), times=None)
    with pytest.raises(OpenCXResponseError, match="does not end"):
        list_phone_agents(client)
    assert opencx_simulator.count("listPhoneAgents") == 2


def test_client_refuses_too_large_response(
    client: OpenCXClient, opencx_simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "MAX_BODY_BYTES", 1000)
    opencx_simulator.fail("listPhoneAgents", Respond(200, "x" * 5000))
    with pytest.raises(OpenCXResponseError, match=r"GET /phone: .* over 0 MiB"):
        list_phone_agents(client)


def test_pacing_covers_all_clients_of_process(client: OpenCXClient, opencx_simulator: Simulator) -> None:
    in_process = {"requests_per_minute": 3, "coordination": "process"}
    limiter = limiter_of(replace(client.settings, **in_process))
    for _ in range(3):
        ping(with_settings(client, **in_process))
    assert not limiter.try_acquire("a fourth", blocking=False)


def test_client_user_agent_names_provider(client: OpenCXClient, opencx_simulator: Simulator) -> None:
    ping(with_settings(client, user_agent="airflow-provider-opencx/1 apache-airflow/3"))
    assert opencx_simulator.requests[0].headers["user-agent"] == "airflow-provider-opencx/1 apache-airflow/3"


@pytest.mark.parametrize(
    ("base_url", "proxy"),
    [
        ("https://api.open.cx", "http://proxy.example.com:3128"),
        ("https://inside.example.com", None),
        ("http://127.0.0.1:8010", None),
    ],
)
def test_proxy_is_used_only_as_tunnel(base_url: str, proxy: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "proxy.example.com:3128")
    monkeypatch.setenv("no_proxy", "inside.example.com")
    assert network.proxy_for(base_url) == proxy


def test_host_whose_name_is_none_is_refused(client: OpenCXClient) -> None:
    with pytest.raises(OpenCXConfigError, match="has no name of a host"):
        with_settings(client, base_url="https://xn--a.example")


def test_proxy_of_unsupported_kind_raises(client: OpenCXClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "socks5://127.0.0.1:1080")
    with pytest.raises(OpenCXConfigError, match="a proxy of kind socks5"):
        ping(with_settings(client, base_url="https://api.open.cx"))
