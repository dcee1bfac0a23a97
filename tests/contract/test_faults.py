"""Tests the simulator's faults, its clock and its reset, over a socket."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from airflow_provider_opencx.simulator import (
    AlterItems,
    CloseBeforeHandling,
    EmptyResponse,
    ErrorResponse,
    Fault,
    HandleLate,
    IgnoreFields,
    LoseResponse,
    MalformedResponse,
    PlaceholderNumber,
    ProxyPage,
    RefuseAfterHandling,
    RefuseConnections,
    Respond,
    RespondInGeneration,
    RespondWithAnotherId,
    Simulator,
    SlowBody,
    SlowResponse,
    TidyText,
    TooManyRequests,
    TruncateResponse,
)

GENERATIONS = ("2024", "2025", "2026")
DROPPED = (httpx.RemoteProtocolError, httpx.ReadError)

every_generation = pytest.mark.parametrize("generation", GENERATIONS)


def refuses(url: str) -> bool:
    """Return whether the port refuses connections."""
    with socket.socket() as attempt:
        attempt.settimeout(10)
        result = attempt.connect_ex(("127.0.0.1", int(url.rsplit(":", 1)[1])))
    assert result in (0, errno.ECONNREFUSED)
    return result == errno.ECONNREFUSED


@pytest.mark.parametrize("fault", [LoseResponse(), TruncateResponse()])
@every_generation
def test_fault_drops_the_connection_after_handling(
    simulator: Simulator, client: Any, generation: str, fault: Fault
) -> None:
    simulator.fail("createPhoneAgent", fault)
    with pytest.raises(DROPPED):
        client.post("/phone", json={"name": "Made"})
    assert [agent["name"] for agent in client.listed()] == ["Made"]


def test_fault_close_before_handling(simulator: Simulator, client: Any) -> None:
    simulator.fail("createPhoneAgent", CloseBeforeHandling())
    with pytest.raises(DROPPED):
        client.post("/phone", json={"name": "Not made"})
    assert client.listed() == []
    assert (simulator.count("createPhoneAgent"), simulator.writes[0].status) == (1, None)


def test_fault_truncate_response(simulator: Simulator, client: Any) -> None:
    for number in range(500):
        simulator.add_agent(f"Agent {number}")
    whole = client.get("/phone").content
    simulator.fail("listPhoneAgents", TruncateResponse())
    with client.stream("GET", "/phone") as response:
        pieces: list[bytes] = []
        with pytest.raises(DROPPED):
            pieces.extend(response.iter_raw())
    assert response.headers["content-length"] == str(len(whole))
    assert b"".join(pieces) == whole[: len(whole) // 2]


@pytest.mark.parametrize("generation", ["2024"])
def test_fault_truncate_response_without_a_body(simulator: Simulator, client: Any) -> None:
    agent = client.create()
    simulator.fail("updatePhoneAgent", TruncateResponse())
    with pytest.raises(DROPPED):
        client.patch(f"/phone/{agent['id']}", json={"name": "Sales"})
    assert client.listed()[0]["name"] == "Sales"


def test_fault_refuse_connections_until_heal(simulator: Simulator, client: Any) -> None:
    with httpx.Client(base_url=simulator.url) as bystander:
        assert bystander.get("/phone").status_code == 401
        simulator.fail("createPhoneAgent", RefuseConnections(600), times=None)
        with pytest.raises(DROPPED):
            client.post("/phone", json={"name": "Not made"})
        assert refuses(simulator.url)
        with pytest.raises(httpx.TransportError):
            bystander.get("/phone")
    simulator.heal()
    assert client.listed() == []
    assert client.create("Made")["phone_number"]


def test_fault_refuse_connections_for_a_while(simulator: Simulator, client: Any) -> None:
    simulator.fail("listPhoneAgents", RefuseConnections(0.3))
    began = time.monotonic()
    with pytest.raises(DROPPED):
        client.get("/phone")
    while refuses(simulator.url):
        assert time.monotonic() - began < 60
        time.sleep(0.02)
    assert time.monotonic() - began >= 0.3
    assert client.listed() == []


def test_fault_refuse_connections_until_reset(simulator: Simulator, client: Any) -> None:
    simulator.fail("listPhoneAgents", RefuseConnections(600), times=None)
    with pytest.raises(DROPPED):
        client.get("/phone")
    simulator.reset()
    assert client.listed() == []


def test_fault_refuse_connections_then_stop_and_start(simulator: Simulator) -> None:
    before = simulator.url
    simulator.fail("listPhoneAgents", RefuseConnections(600))
    with pytest.raises(DROPPED):
        httpx.get(f"{before}/phone")
    simulator.stop()
    assert refuses(before)
    simulator.start()
    assert (simulator.url, httpx.get(f"{before}/phone").status_code) == (before, 401)


def test_fault_handle_late(simulator: Simulator, client: Any, clock: Any) -> None:
    simulator.fail("createPhoneAgent", HandleLate(10))
    with pytest.raises(DROPPED):
        client.post("/phone", json={"name": "Late"})
    clock.now += 9.9
    assert client.listed() == simulator.agents() == []
    clock.now += 0.2
    assert [agent["name"] for agent in client.listed()] == ["Late"]
    assert simulator.count("createPhoneAgent") == 1


def test_fault_handle_late_in_order(simulator: Simulator, client: Any, clock: Any) -> None:
    simulator.provision_after = "20s"
    for name, seconds in (("After 30 s", 30), ("After 10 s", 10)):
        simulator.fail("createPhoneAgent", HandleLate(seconds))
        with pytest.raises(DROPPED):
            client.post("/phone", json={"name": name})
    simulator.advance("35s")
    assert [(agent["name"], bool(agent["phone_number"])) for agent in simulator.agents()] == [
        ("After 10 s", True),
        ("After 30 s", False),
    ]


def test_fault_handle_late_not_after_reset(simulator: Simulator, client: Any) -> None:
    simulator.fail("createPhoneAgent", HandleLate(1))
    with pytest.raises(DROPPED):
        client.post("/phone", json={"name": "Late"})
    simulator.reset()
    simulator.advance("10m")
    assert client.listed() == []


@pytest.mark.parametrize(
    ("fault", "content_type", "content"),
    [
        (Respond(502, "<html>Bad gateway</html>"), "text/html; charset=utf-8", b"<html>Bad gateway</html>"),
        (Respond(200, b'{"id": ', {"Content-Type": "application/json"}), "application/json", b'{"id": '),
        (Respond(422, {"message": ["name is taken"]}), "application/json", b'{"message": ["name is taken"]}'),
    ],
)
def test_fault_respond(simulator: Simulator, client: Any, fault: Respond, content_type: str, content: bytes) -> None:
    simulator.fail("createPhoneAgent", fault)
    response = client.post("/phone", json={"name": "Not made"})
    assert (response.status_code, response.headers["content-type"], response.content) == (
        fault.status,
        content_type,
        content,
    )
    assert simulator.agents() == []


def test_fault_respond_with_json_that_is_not_parsed(simulator: Simulator, client: Any) -> None:
    text = f"[{','.join(['[]'] * 10_000_000)}]"
    simulator.fail("listPhoneAgents", Respond(200, text, {"Content-Type": "application/json"}))
    response = client.get("/phone")
    assert response.headers["content-type"] == "application/json"
    assert response.content == text.encode()


def test_fault_error_response_with_a_long_message(simulator: Simulator, client: Any) -> None:
    simulator.fail("createPhoneAgent", ErrorResponse(400, "x" * 249_000))
    assert client.post("/phone", json={"name": "Not made"}).json()["message"] == "x" * 249_000


def test_fault_respond_with_headers(simulator: Simulator, client: Any) -> None:
    simulator.fail("listPhoneAgents", Respond(429, headers={"Retry-After": "7"}))
    assert client.get("/phone").headers["retry-after"] == "7"


@pytest.mark.parametrize(
    ("fault", "made"), [(ProxyPage(), False), (ProxyPage(504), False), (ProxyPage(200, handled=True), True)]
)
def test_fault_proxy_page(simulator: Simulator, client: Any, fault: ProxyPage, made: bool) -> None:
    simulator.fail("createPhoneAgent", fault)
    response = client.post("/phone", json={"name": "Perhaps"})
    assert response.status_code == fault.status
    assert response.headers["content-type"].startswith("text/html")
    assert "<html>" in response.text
    assert bool(client.listed()) is made


@every_generation
def test_fault_malformed_response(simulator: Simulator, client: Any, generation: str) -> None:
    for operation in ("createPhoneAgent", "listPhoneAgents", "updatePhoneAgent"):
        simulator.fail(operation, MalformedResponse())
    created = client.post("/phone", json={"name": "Made"})
    listed = client.get("/phone")
    changed = client.patch("/phone/pa_000001", json={"name": "Changed"})
    assert created.status_code == (200 if generation == "2026" else 201)
    for response in (created, listed, changed):
        assert response.is_success
        with pytest.raises(ValueError, match=r"Expecting|Unterminated|delimiter"):
            response.json()
    assert [agent["name"] for agent in client.listed()] == ["Changed"]


@every_generation
def test_fault_empty_response(simulator: Simulator, client: Any, generation: str) -> None:
    simulator.fail("createPhoneAgent", EmptyResponse())
    response = client.post("/phone", json={"name": "Made"})
    assert (response.status_code, response.content) == (200 if generation == "2026" else 201, b"")
    assert len(client.listed()) == 1


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 422, 503, 599])
def test_fault_error_response(simulator: Simulator, client: Any, status: int) -> None:
    simulator.fail("createPhoneAgent", ErrorResponse(status, "Not now"))
    response = client.post("/phone", json={"name": "Not made"})
    assert (response.status_code, response.headers["content-type"]) == (status, "application/json")
    body = response.json()
    assert (body["statusCode"], body["message"], type(body["error"])) == (status, "Not now", str)
    assert client.listed() == []


@every_generation
@pytest.mark.parametrize("status", [400, 422])
def test_fault_refuse_after_handling(
    simulator: Simulator, client: Any, generation: str, assert_documented: Any, status: int
) -> None:
    for operation in ("createPhoneAgent", "updatePhoneAgent"):
        simulator.fail(operation, RefuseAfterHandling(status))
    refusals = [
        client.post("/phone", json={"name": "Made"}),
        client.patch("/phone/pa_000001", json={"name": "Changed"}),
    ]
    for response in refusals:
        assert response.status_code == response.json()["statusCode"] == status
    if status == 400:
        assert_documented(refusals[0], "createPhoneAgent", generation)
    assert [agent["name"] for agent in client.listed()] == ["Changed"]


def test_fault_respond_with_another_id(simulator: Simulator, client: Any) -> None:
    simulator.fail("createPhoneAgent", RespondWithAnotherId())
    simulator.fail("updatePhoneAgent", RespondWithAnotherId())
    created = client.create("Made")
    changed = client.patch("/phone/pa_000001", json={"name": "Changed"}).json()
    (listed,) = client.listed()
    assert created == listed | {"id": created["id"], "name": "Made", "updated_at": created["updated_at"]}
    assert changed == listed | {"id": changed["id"]}
    assert listed["id"] not in (created["id"], changed["id"])


@every_generation
def test_fault_placeholder_number(simulator: Simulator, client: Any, generation: str) -> None:
    simulator.add_agent("With a number")
    simulator.provision_after = "never"
    for operation in ("createPhoneAgent", "updatePhoneAgent", "listPhoneAgents"):
        simulator.fail(operation, PlaceholderNumber("N/A"), times=None)
    created = client.create("Without")
    changed = client.patch(f"/phone/{created['id']}", json={"first_message": "Hi"})
    assert created["phone_number"] == "N/A"
    assert changed.content == b"" if generation != "2026" else changed.json()["phone_number"] == "N/A"
    assert client.numbers() == ["+15550000001", "N/A"]
    simulator.heal()
    assert client.numbers() == ["+15550000001", None]


ODD_NAME = "e" + "\u0301" * 40_000


@every_generation
@pytest.mark.parametrize(
    ("fault", "shown"),
    [
        (AlterItems({"handoff_phone_number": 5, "name": None}), [(5, None), (None, "B"), (None, "C")]),
        (AlterItems({"name": 5}, "all"), [(None, 5)] * 3),
        (AlterItems({"name": [None]}, 1), [(None, "A"), (None, [None]), (None, "C")]),
        (AlterItems({"name": ODD_NAME}, -1), [(None, "A"), (None, "B"), (None, ODD_NAME)]),
        (AlterItems({"name": "\n\x1b[2J\ud800"}, -3), [(None, "\n\x1b[2J\ud800"), (None, "B"), (None, "C")]),
        (AlterItems({"name": "X"}, 3), [(None, "A"), (None, "B"), (None, "C")]),
        (AlterItems({"name": "X"}, -4), [(None, "A"), (None, "B"), (None, "C")]),
        (AlterItems(without=["name", "colour"], which=1), [(None, "A"), (None, "missing"), (None, "C")]),
        (AlterItems(None, 1), [(None, "A"), None, (None, "C")]),
        (AlterItems("<html>", "all"), ["<html>"] * 3),
        (AlterItems([[]]), [[[]], (None, "B"), (None, "C")]),
    ],
)
def test_fault_alter_items(
    simulator: Simulator, client: Any, generation: str, fault: AlterItems, shown: list[object]
) -> None:
    simulator.page_size = 3
    for name in ("A", "B", "C"):
        simulator.add_agent(name)
    simulator.fail("listPhoneAgents", fault)
    assert [
        (item["handoff_phone_number"], item.get("name", "missing")) if isinstance(item, dict) else item
        for item in client.listed()
    ] == shown
    assert [agent["name"] for agent in client.listed()] == ["A", "B", "C"]


def test_fault_alter_items_of_a_create_and_update(simulator: Simulator, client: Any) -> None:
    for operation in ("createPhoneAgent", "updatePhoneAgent"):
        simulator.fail(operation, AlterItems({"language": [None]}, without=["id"]))
    assert client.create("Made")["language"] == [None]
    changed = client.patch("/phone/pa_000001", json={"name": "Changed"}).json()
    assert changed == {
        name: value for name, value in (client.listed()[0] | {"language": [None]}).items() if name != "id"
    }


LONG = "a long text " * 8


@pytest.mark.parametrize(
    ("way", "sent", "stored"),
    [
        ("escape", "Q&A <b>'\"", "Q&amp;A &lt;b&gt;&#x27;&quot;"),
        ("collapse", " two  blanks\n\tand more ", " two blanks and more "),
        ("trim", " \t two  blanks \n", "two  blanks"),
        ("cut", LONG, LONG[:64]),
        ("nfkc", "\uff33upport \u2460 \ufb01", "Support 1 fi"),
    ],
)
def test_fault_tidy_text(simulator: Simulator, client: Any, way: Any, sent: str, stored: str) -> None:
    for operation in ("createPhoneAgent", "updatePhoneAgent"):
        simulator.fail(operation, TidyText(way), times=None)
    created = client.create(sent, instructions=["x", sent], type="outbound", language=["de", "en"])
    assert (created["name"], created["instructions"]) == (stored, ["x", stored])
    assert (created["type"], created["language"]) == ("outbound", ["de", "en"])
    changed = client.patch(f"/phone/{created['id']}", json={"first_message": sent}).json()
    assert client.listed() == [changed]
    assert changed == created | {"first_message": stored, "updated_at": changed["updated_at"]}
    assert simulator.writes[0].body["name"] == sent


@pytest.mark.parametrize(
    "fault",
    [
        AlterItems(None),
        EmptyResponse(),
        MalformedResponse(),
        PlaceholderNumber(),
        RefuseAfterHandling(422),
        RespondWithAnotherId(),
    ],
)
def test_fault_leaves_error_responses(simulator: Simulator, client: Any, fault: Fault) -> None:
    simulator.fail("createPhoneAgent", fault)
    response = client.post("/phone", json={})
    assert (response.status_code, response.json()["statusCode"]) == (400, 400)


def test_fault_ignore_fields(simulator: Simulator, client: Any) -> None:
    agent = client.create(first_message="Good morning")
    simulator.fail("updatePhoneAgent", IgnoreFields("first_message", "language"))
    changes = {"first_message": "Good evening", "language": ["fr"], "name": "Night"}
    response = client.patch(f"/phone/{agent['id']}", json=changes)
    assert response.status_code == 200
    assert response.json() == agent | {"name": "Night", "updated_at": response.json()["updated_at"]}
    assert simulator.writes[-1].body == changes


@every_generation
@pytest.mark.parametrize("other", GENERATIONS)
def test_fault_respond_in_generation(
    simulator: Simulator, client: Any, assert_documented: Any, generation: str, other: str
) -> None:
    calls = {
        "createPhoneAgent": ("POST", "/phone", {"name": "Support", "first_message": "Hi"}),
        "updatePhoneAgent": ("PATCH", "/phone/pa_000001", {"first_message": "Hello"}),
        "listPhoneAgents": ("GET", "/phone", None),
        "listPhoneVoices": ("GET", "/phone/voices", None),
    }
    for operation, (method, path, body) in calls.items():
        simulator.fail(operation, RespondInGeneration(other), times=2)
        response = client.request(method, path, json=body)
        assert response.is_success
        assert_documented(response, operation, other)
    # Validated as before: a body that only the other generation accepts is rejected.
    refused = client.post("/phone", json={"name": "x", "language": "de" if generation == "2026" else ["de"]})
    assert refused.status_code == 400
    assert_documented(refused, "createPhoneAgent", other)
    assert [agent["first_message"] for agent in simulator.agents()] == ["Hello"]


def test_fault_respond_in_generation_with_pages(simulator: Simulator, client: Any) -> None:
    for number in range(3):
        simulator.add_agent(f"Agent {number}")
    simulator.fail("listPhoneAgents", RespondInGeneration("2024"), times=2)
    first = client.get("/phone").json()
    second = client.get("/phone", params={"cursor": first["next"]}).json()
    assert [len(page["items"]) for page in (first, second)] == [2, 1]
    assert second["next"] is None


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (TooManyRequests(), None),
        (TooManyRequests(7), "7"),
        (TooManyRequests(86_400_000), "86400000"),
        (TooManyRequests("in a while"), "in a while"),
    ],
)
def test_fault_too_many_requests(
    simulator: Simulator, client: Any, fault: TooManyRequests, message: str | None
) -> None:
    simulator.fail("createPhoneAgent", fault)
    response = client.post("/phone", json={"name": "Not made"})
    assert (response.status_code, response.headers.get("retry-after")) == (429, message)
    assert simulator.agents() == []


def test_fault_too_many_requests_as_date(simulator: Simulator, client: Any) -> None:
    simulator.fail("listPhoneAgents", TooManyRequests(120, as_date=True))
    before = time.time()
    date = parsedate_to_datetime(client.get("/phone").headers["retry-after"])
    assert before + 119 <= date.timestamp() <= time.time() + 121


def test_fault_slow_response(simulator: Simulator, client: Any) -> None:
    simulator.fail("createPhoneAgent", SlowResponse(60))
    with pytest.raises(httpx.ReadTimeout):
        client.post("/phone", json={"name": "Made"}, timeout=0.2)
    assert [agent["name"] for agent in client.listed()] == ["Made"]
    simulator.fail("listPhoneAgents", SlowResponse(0.05))
    began = time.monotonic()
    assert len(client.listed()) == 1
    assert time.monotonic() - began >= 0.05


def test_fault_slow_body(simulator: Simulator, client: Any) -> None:
    agent = client.create()
    simulator.fail("listPhoneAgents", SlowBody(0.2))
    began = time.monotonic()
    assert client.listed() == [agent]
    assert time.monotonic() - began >= 0.2

    simulator.fail("listPhoneAgents", SlowBody(60))
    with client.stream("GET", "/phone") as response:
        first_chunk = next(response.iter_raw())
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    assert 0 < len(first_chunk) < int(response.headers["content-length"])


def test_fault_order_and_times(simulator: Simulator, client: Any) -> None:
    simulator.fail("listPhoneAgents", Respond(503), times=2)
    simulator.fail("listPhoneAgents", Respond(500))
    assert client.get("/phone/voices").status_code == 200
    assert [client.get("/phone").status_code for _ in range(4)] == [503, 503, 500, 200]


def test_fault_until_heal(simulator: Simulator, client: Any) -> None:
    simulator.fail("listPhoneVoices", Respond(503), times=None)
    simulator.fail("listPhoneVoices", Respond(500), times=None, probability=1)
    assert {client.get("/phone/voices").status_code for _ in range(5)} == {503}
    simulator.heal()
    assert client.get("/phone/voices").status_code == 200


def test_fault_probability_and_seed(simulator: Simulator, client: Any) -> None:
    def statuses(seed: int) -> list[int]:
        simulator.heal()
        simulator.fail("listPhoneAgents", Respond(503), times=None, probability=0.3, seed=seed)
        simulator.fail("listPhoneAgents", Respond(500), times=None, probability=0.3, seed=seed + 1)
        return [client.get("/phone").status_code for _ in range(100)]

    first = statuses(7)
    assert first == statuses(7) != statuses(8)
    assert all(15 < first.count(status) < 65 for status in (200, 500, 503))


def test_fault_probability_and_times(simulator: Simulator, client: Any) -> None:
    simulator.fail("listPhoneAgents", Respond(503), times=2, probability=0.5, seed=1)
    assert [client.get("/phone").status_code for _ in range(50)].count(503) == 2


def test_fault_probability_comes_last(simulator: Simulator, client: Any) -> None:
    simulator.fail("listPhoneAgents", Respond(500), probability=1)
    simulator.fail("listPhoneAgents", Respond(503))
    assert [client.get("/phone").status_code for _ in range(3)] == [503, 500, 200]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"operation": "deletePhoneAgent"}, "deletePhoneAgent"),
        ({"times": 0}, "0 times"),
        ({"probability": 0}, "at most 1"),
        ({"probability": 1.5}, "at most 1"),
        ({"seed": 3}, "probability"),
    ],
)
def test_fault_rejects_invalid_arguments_of_fail(simulator: Simulator, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        simulator.fail(**{"operation": "listPhoneAgents", "fault": LoseResponse(), **arguments})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RespondInGeneration("2023"), "2023"),
        (lambda: TooManyRequests("soon", as_date=True), "as_date"),
        (lambda: ErrorResponse(200), "300 to 599"),
        (lambda: RefuseAfterHandling(201), "300 to 599"),
        (lambda: TidyText("lower"), "nfkc"),
        (lambda: AlterItems({}, "last"), "'last'"),
    ],
)
def test_fault_rejects_invalid_arguments(make: Callable[[], Fault], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_fault_is_in_the_journal(simulator: Simulator, client: Any) -> None:
    simulator.fail("listPhoneAgents", EmptyResponse(), times=2)
    simulator.fail("createPhoneAgent", LoseResponse())
    for _ in range(3):
        client.get("/phone")
    with pytest.raises(DROPPED):
        client.post("/phone", json={"name": "Made"})
    assert [(record.operation, record.fault, record.status) for record in simulator.requests] == [
        ("listPhoneAgents", "EmptyResponse", 200),
        ("listPhoneAgents", "EmptyResponse", 200),
        ("listPhoneAgents", None, 200),
        ("createPhoneAgent", "LoseResponse", None),
    ]
    assert simulator.faults_met() == {"EmptyResponse": 2, "LoseResponse": 1}


def test_reset_restores_the_start(simulator: Simulator, client: Any, clock: Any) -> None:
    def first_agent() -> tuple[object, ...]:
        agent = client.create()
        return agent["id"], agent["phone_number"]

    url, first = simulator.url, first_agent()
    simulator.fail("listPhoneAgents", Respond(503), times=None)
    simulator.provision_after, simulator.generation, simulator.page_size = "never", "2024", 1
    simulator.advance(3600)
    simulator.reset()
    assert (simulator.url, simulator.requests, simulator.agents()) == (url, [], [])
    assert (simulator.provision_after, simulator.generation, simulator.page_size) == ("now", "2026", 2)
    assert simulator.clock() == clock()
    assert client.get("/phone").json() == []
    assert first_agent() == first


def test_reset_keeps_new_agents_without_number() -> None:
    simulator = Simulator(provision_after="never")
    simulator.provision_after = "now"
    simulator.reset()
    assert simulator.add_agent("Support")["phone_number"] is None


@pytest.mark.parametrize(("by", "seconds"), [(90, 90), ("90s", 90), ("10m", 600), ("500ms", 0.5), ("1.5 m", 90)])
def test_clock_advances(simulator: Simulator, by: str | float, seconds: float) -> None:
    before = simulator.clock()
    simulator.advance(by)
    assert simulator.clock() == before + seconds


@pytest.mark.parametrize("by", ["soon", "-1s", -1, "3reads", float("nan"), True, ""])
def test_clock_rejects_invalid_durations(simulator: Simulator, by: str | float) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        simulator.advance(by)


def test_fault_with_a_bug_fails_the_test() -> None:
    class Buggy(Fault):
        async def respond(self, call: Any, handle: Any) -> Any:
            raise KeyError("phone_numbre")

    def test_of_a_user() -> None:
        with Simulator() as simulator:
            simulator.fail("listPhoneAgents", Buggy())
            httpx.get(f"{simulator.url}/phone")

    with pytest.raises(AssertionError, match=r"Buggy: KeyError\('phone_numbre'\)"):
        test_of_a_user()
