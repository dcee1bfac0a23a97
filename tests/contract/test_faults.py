"""The simulator fails as it is told to, over a socket."""

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
    CloseBeforeHandling,
    EmptyResponse,
    Fault,
    HandleLate,
    IgnoreFields,
    LoseResponse,
    MalformedResponse,
    ProxyPage,
    RefuseConnections,
    Respond,
    RespondInGeneration,
    Simulator,
    SlowBody,
    SlowResponse,
    TooManyRequests,
    TruncateResponse,
)

GENERATIONS = ("2024", "2025", "2026")
DROPPED = (httpx.RemoteProtocolError, httpx.ReadError)

every_generation = pytest.mark.parametrize("generation", GENERATIONS)


def refuses(url: str) -> bool:
    """Tell whether the port refuses a connection, as the operating system says it."""
    with socket.socket() as attempt:
        attempt.settimeout(10)
        result = attempt.connect_ex(("127.0.0.1", int(url.rsplit(":", 1)[1])))
    assert result in (0, errno.ECONNREFUSED)
    return result == errno.ECONNREFUSED


class TestConnections:
    @pytest.mark.parametrize("fault", [LoseResponse(), TruncateResponse()])
    @every_generation
    def test_break_after_the_work_is_done(
        self, simulator: Simulator, client: Any, generation: str, fault: Fault
    ) -> None:
        simulator.fail("createPhoneAgent", fault)
        with pytest.raises(DROPPED):
            client.post("/phone", json={"name": "Made"})
        assert [agent["name"] for agent in client.listed()] == ["Made"]

    def test_break_before_anything_is_done(self, simulator: Simulator, client: Any) -> None:
        simulator.fail("createPhoneAgent", CloseBeforeHandling())
        with pytest.raises(DROPPED):
            client.post("/phone", json={"name": "Not made"})
        assert client.listed() == []
        assert (simulator.count("createPhoneAgent"), simulator.writes[0].status) == (1, None)

    def test_break_in_the_middle_of_a_body_of_known_length(self, simulator: Simulator, client: Any) -> None:
        for number in range(500):
            simulator.add_agent(f"Agent {number}")
        whole = client.get("/phone").content
        simulator.fail("listPhoneAgents", TruncateResponse())
        with client.stream("GET", "/phone") as answer:
            pieces: list[bytes] = []
            with pytest.raises(DROPPED):
                pieces.extend(answer.iter_raw())
        assert answer.headers["content-length"] == str(len(whole))
        assert b"".join(pieces) == whole[: len(whole) // 2]

    @pytest.mark.parametrize("generation", ["2024"])
    def test_break_without_a_byte_where_an_answer_has_no_body_to_cut(self, simulator: Simulator, client: Any) -> None:
        agent = client.create()
        simulator.fail("updatePhoneAgent", TruncateResponse())
        with pytest.raises(DROPPED):
            client.patch(f"/phone/{agent['id']}", json={"name": "Sales"})
        assert client.listed()[0]["name"] == "Sales"

    def test_are_refused_and_cut_off_until_all_is_healed(self, simulator: Simulator, client: Any) -> None:
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

    def test_are_taken_again_on_the_same_port_after_a_while(self, simulator: Simulator, client: Any) -> None:
        simulator.fail("listPhoneAgents", RefuseConnections(0.3))
        began = time.monotonic()
        with pytest.raises(DROPPED):
            client.get("/phone")
        while refuses(simulator.url):
            assert time.monotonic() - began < 60
            time.sleep(0.02)
        assert time.monotonic() - began >= 0.3
        assert client.listed() == []

    def test_are_taken_again_after_a_reset(self, simulator: Simulator, client: Any) -> None:
        simulator.fail("listPhoneAgents", RefuseConnections(600), times=None)
        with pytest.raises(DROPPED):
            client.get("/phone")
        simulator.reset()
        assert client.listed() == []

    def test_that_are_refused_do_not_keep_it_from_stopping_and_starting(self, simulator: Simulator) -> None:
        before = simulator.url
        simulator.fail("listPhoneAgents", RefuseConnections(600))
        with pytest.raises(DROPPED):
            httpx.get(f"{before}/phone")
        simulator.stop()
        assert refuses(before)
        simulator.start()
        assert (simulator.url, httpx.get(f"{before}/phone").status_code) == (before, 401)


class TestWorkThatComesLate:
    def test_is_done_when_its_time_has_come(self, simulator: Simulator, client: Any, clock: Any) -> None:
        simulator.fail("createPhoneAgent", HandleLate(10))
        with pytest.raises(DROPPED):
            client.post("/phone", json={"name": "Late"})
        clock.now += 9.9
        assert client.listed() == simulator.agents() == []
        clock.now += 0.2
        assert [agent["name"] for agent in client.listed()] == ["Late"]
        assert simulator.count("createPhoneAgent") == 1

    def test_is_done_in_the_order_of_its_times_and_as_if_it_were_then(
        self, simulator: Simulator, client: Any, clock: Any
    ) -> None:
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

    def test_is_never_done_after_a_reset(self, simulator: Simulator, client: Any) -> None:
        simulator.fail("createPhoneAgent", HandleLate(1))
        with pytest.raises(DROPPED):
            client.post("/phone", json={"name": "Late"})
        simulator.reset()
        simulator.advance("10m")
        assert client.listed() == []


class TestAnswers:
    @pytest.mark.parametrize(
        ("answer", "content_type", "content"),
        [
            (Respond(502, "<html>Bad gateway</html>"), "text/html; charset=utf-8", b"<html>Bad gateway</html>"),
            (Respond(200, b'{"id": ', {"Content-Type": "application/json"}), "application/json", b'{"id": '),
            (Respond(422, {"message": ["name is taken"]}), "application/json", b'{"message": ["name is taken"]}'),
        ],
    )
    def test_may_be_any(
        self, simulator: Simulator, client: Any, answer: Respond, content_type: str, content: bytes
    ) -> None:
        simulator.fail("createPhoneAgent", answer)
        got = client.post("/phone", json={"name": "Not made"})
        assert (got.status_code, got.headers["content-type"], got.content) == (answer.status, content_type, content)
        assert simulator.agents() == []

    def test_may_carry_headers(self, simulator: Simulator, client: Any) -> None:
        simulator.fail("listPhoneAgents", Respond(429, headers={"Retry-After": "7"}))
        assert client.get("/phone").headers["retry-after"] == "7"

    @pytest.mark.parametrize(
        ("fault", "made"), [(ProxyPage(), False), (ProxyPage(504), False), (ProxyPage(200, handled=True), True)]
    )
    def test_may_be_a_page_of_a_proxy(self, simulator: Simulator, client: Any, fault: ProxyPage, made: bool) -> None:
        simulator.fail("createPhoneAgent", fault)
        answer = client.post("/phone", json={"name": "Perhaps"})
        assert answer.status_code == fault.status
        assert answer.headers["content-type"].startswith("text/html")
        assert "<html>" in answer.text
        assert bool(client.listed()) is made

    @every_generation
    def test_may_be_broken_json_though_all_went_well(self, simulator: Simulator, client: Any, generation: str) -> None:
        for operation in ("createPhoneAgent", "listPhoneAgents", "updatePhoneAgent"):
            simulator.fail(operation, MalformedResponse())
        created = client.post("/phone", json={"name": "Made"})
        listed = client.get("/phone")
        changed = client.patch("/phone/pa_000001", json={"name": "Changed"})
        assert created.status_code == (200 if generation == "2026" else 201)
        for answer in (created, listed, changed):
            assert answer.is_success
            with pytest.raises(ValueError, match=r"Expecting|Unterminated|delimiter"):
                answer.json()
        assert [agent["name"] for agent in client.listed()] == ["Changed"]

    @every_generation
    def test_may_be_empty_though_all_went_well(self, simulator: Simulator, client: Any, generation: str) -> None:
        simulator.fail("createPhoneAgent", EmptyResponse())
        answer = client.post("/phone", json={"name": "Made"})
        assert (answer.status_code, answer.content) == (200 if generation == "2026" else 201, b"")
        assert len(client.listed()) == 1

    @pytest.mark.parametrize("fault", [EmptyResponse(), MalformedResponse()])
    def test_that_refuse_are_left_as_they_are(self, simulator: Simulator, client: Any, fault: Fault) -> None:
        simulator.fail("createPhoneAgent", fault)
        answer = client.post("/phone", json={})
        assert (answer.status_code, answer.json()["statusCode"]) == (400, 400)

    def test_may_leave_members_ignored_in_silence(self, simulator: Simulator, client: Any) -> None:
        agent = client.create(first_message="Good morning")
        simulator.fail("updatePhoneAgent", IgnoreFields("first_message", "language"))
        changes = {"first_message": "Good evening", "language": ["fr"], "name": "Night"}
        answer = client.patch(f"/phone/{agent['id']}", json=changes)
        assert answer.status_code == 200
        assert answer.json() == agent | {"name": "Night", "updated_at": answer.json()["updated_at"]}
        assert simulator.writes[-1].body == changes

    @every_generation
    @pytest.mark.parametrize("other", GENERATIONS)
    def test_may_be_those_of_another_generation(
        self, simulator: Simulator, client: Any, assert_as_documented: Any, generation: str, other: str
    ) -> None:
        calls = {
            "createPhoneAgent": ("POST", "/phone", {"name": "Support", "first_message": "Hi"}),
            "updatePhoneAgent": ("PATCH", "/phone/pa_000001", {"first_message": "Hello"}),
            "listPhoneAgents": ("GET", "/phone", None),
            "listPhoneVoices": ("GET", "/phone/voices", None),
        }
        for operation, (method, path, body) in calls.items():
            simulator.fail(operation, RespondInGeneration(other), times=2)
            answer = client.request(method, path, json=body)
            assert answer.is_success
            assert_as_documented(answer, operation, other)
        # Judged as ever: what the own generation does not take is refused.
        refused = client.post("/phone", json={"name": "x", "language": "de" if generation == "2026" else ["de"]})
        assert refused.status_code == 400
        assert_as_documented(refused, "createPhoneAgent", other)
        assert [agent["first_message"] for agent in simulator.agents()] == ["Hello"]

    def test_of_another_generation_have_its_pages(self, simulator: Simulator, client: Any) -> None:
        for number in range(3):
            simulator.add_agent(f"Agent {number}")
        simulator.fail("listPhoneAgents", RespondInGeneration("2024"), times=2)
        first = client.get("/phone").json()
        second = client.get("/phone", params={"cursor": first["next"]}).json()
        assert [len(page["items"]) for page in (first, second)] == [2, 1]
        assert second["next"] is None


class TestTooManyRequests:
    @pytest.mark.parametrize(
        ("fault", "said"),
        [
            (TooManyRequests(), None),
            (TooManyRequests(7), "7"),
            (TooManyRequests(86_400_000), "86400000"),
            (TooManyRequests("in a while"), "in a while"),
        ],
    )
    def test_say_when_to_come_back_or_do_not(
        self, simulator: Simulator, client: Any, fault: TooManyRequests, said: str | None
    ) -> None:
        simulator.fail("createPhoneAgent", fault)
        answer = client.post("/phone", json={"name": "Not made"})
        assert (answer.status_code, answer.headers.get("retry-after")) == (429, said)
        assert simulator.agents() == []

    def test_may_say_it_as_a_date(self, simulator: Simulator, client: Any) -> None:
        simulator.fail("listPhoneAgents", TooManyRequests(120, as_date=True))
        before = time.time()
        date = parsedate_to_datetime(client.get("/phone").headers["retry-after"])
        assert before + 119 <= date.timestamp() <= time.time() + 121


class TestSlowness:
    def test_may_come_before_the_headers_though_the_work_is_done_at_once(
        self, simulator: Simulator, client: Any
    ) -> None:
        simulator.fail("createPhoneAgent", SlowResponse(60))
        with pytest.raises(httpx.ReadTimeout):
            client.post("/phone", json={"name": "Made"}, timeout=0.2)
        assert [agent["name"] for agent in client.listed()] == ["Made"]
        simulator.fail("listPhoneAgents", SlowResponse(0.05))
        began = time.monotonic()
        assert len(client.listed()) == 1
        assert time.monotonic() - began >= 0.05

    def test_may_come_after_the_headers_and_last_the_whole_body(self, simulator: Simulator, client: Any) -> None:
        agent = client.create()
        simulator.fail("listPhoneAgents", SlowBody(0.2))
        began = time.monotonic()
        assert client.listed() == [agent]
        assert time.monotonic() - began >= 0.2

        simulator.fail("listPhoneAgents", SlowBody(60))
        with client.stream("GET", "/phone") as answer:
            first_drib = next(answer.iter_raw())
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        assert 0 < len(first_drib) < int(answer.headers["content-length"])


class TestOrder:
    def test_is_that_in_which_they_were_asked_for_and_each_as_often(self, simulator: Simulator, client: Any) -> None:
        simulator.fail("listPhoneAgents", Respond(503), times=2)
        simulator.fail("listPhoneAgents", Respond(500))
        assert client.get("/phone/voices").status_code == 200
        assert [client.get("/phone").status_code for _ in range(4)] == [503, 503, 500, 200]

    def test_has_no_end_until_healed_where_none_is_given(self, simulator: Simulator, client: Any) -> None:
        simulator.fail("listPhoneVoices", Respond(503), times=None)
        simulator.fail("listPhoneVoices", Respond(500), times=None, probability=1)
        assert {client.get("/phone/voices").status_code for _ in range(5)} == {503}
        simulator.heal()
        assert client.get("/phone/voices").status_code == 200

    def test_is_of_chance_with_a_probability_and_the_same_with_the_same_seed(
        self, simulator: Simulator, client: Any
    ) -> None:
        def fallen(seed: int) -> list[int]:
            simulator.heal()
            simulator.fail("listPhoneAgents", Respond(503), times=None, probability=0.3, seed=seed)
            simulator.fail("listPhoneAgents", Respond(500), times=None, probability=0.3, seed=seed + 1)
            return [client.get("/phone").status_code for _ in range(100)]

        first = fallen(7)
        assert first == fallen(7) != fallen(8)
        assert all(15 < first.count(status) < 65 for status in (200, 500, 503))

    def test_of_chance_ends_when_it_has_happened_often_enough(self, simulator: Simulator, client: Any) -> None:
        simulator.fail("listPhoneAgents", Respond(503), times=2, probability=0.5, seed=1)
        assert [client.get("/phone").status_code for _ in range(50)].count(503) == 2

    def test_puts_the_certain_before_those_of_chance(self, simulator: Simulator, client: Any) -> None:
        simulator.fail("listPhoneAgents", Respond(500), probability=1)
        simulator.fail("listPhoneAgents", Respond(503))
        assert [client.get("/phone").status_code for _ in range(3)] == [503, 500, 200]

    @pytest.mark.parametrize(
        ("order", "said"),
        [
            ({"operation": "deletePhoneAgent"}, "deletePhoneAgent"),
            ({"times": 0}, "0 times"),
            ({"probability": 0}, "at most 1"),
            ({"probability": 1.5}, "at most 1"),
            ({"seed": 3}, "probability"),
        ],
    )
    def test_that_makes_no_sense_is_refused(self, simulator: Simulator, order: dict[str, Any], said: str) -> None:
        with pytest.raises(ValueError, match=said):
            simulator.fail(**{"operation": "listPhoneAgents", "fault": LoseResponse(), **order})

    @pytest.mark.parametrize(
        ("make", "said"),
        [
            (lambda: RespondInGeneration("2023"), "2023"),
            (lambda: TooManyRequests("soon", as_date=True), "as_date"),
        ],
    )
    def test_of_a_fault_that_cannot_be_is_refused(self, make: Callable[[], Fault], said: str) -> None:
        with pytest.raises(ValueError, match=said):
            make()


def test_each_fault_that_happened_stands_in_the_journal_and_is_counted(simulator: Simulator, client: Any) -> None:
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


def test_a_reset_leaves_nothing_of_before_but_the_port_and_the_settings_of_the_start(
    simulator: Simulator, client: Any, clock: Any
) -> None:
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


@pytest.mark.parametrize(("by", "seconds"), [(90, 90), ("90s", 90), ("10m", 600), ("500ms", 0.5), ("1.5 m", 90)])
def test_the_clock_can_be_moved_on(simulator: Simulator, by: str | float, seconds: float) -> None:
    before = simulator.clock()
    simulator.advance(by)
    assert simulator.clock() == before + seconds


@pytest.mark.parametrize("by", ["soon", "-1s", -1, "3reads", float("nan"), True, ""])
def test_the_clock_cannot_be_moved_by_what_is_no_duration(simulator: Simulator, by: str | float) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        simulator.advance(by)


def test_a_mistake_in_a_fault_of_ones_own_does_not_pass_unheard() -> None:
    class Mistaken(Fault):
        async def respond(self, call: Any, handle: Any) -> Any:
            raise KeyError("phone_numbre")

    def test_of_a_user() -> None:
        with Simulator() as simulator:
            simulator.fail("listPhoneAgents", Mistaken())
            httpx.get(f"{simulator.url}/phone")

    with pytest.raises(AssertionError, match=r"Mistaken: KeyError\('phone_numbre'\)"):
        test_of_a_user()
