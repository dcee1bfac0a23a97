"""What the simulator promises to developers, tests and demos, said over a socket."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib.resources import files
from typing import Any

import httpx
import pytest
import yaml
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from airflow_provider_opencx.simulator import (
    Answer,
    CloseBeforeHandling,
    EmptyAnswer,
    IgnoreMembers,
    LoseAnswer,
    Simulator,
    SlowAnswer,
)
from airflow_provider_opencx.simulator.contract import ContractError
from airflow_provider_opencx.simulator.provisioning import Provisioning
from airflow_provider_opencx.simulator.pytest_plugin import opencx_simulator  # noqa: F401 - the fixture under test

KEY = "a-key-that-nobody-may-see"
OTHER_KEY = "a-key-of-somebody-else"
GENERATIONS = ("2024", "2025", "2026")
MEMBERS = {"2024": 19, "2025": 24, "2026": 30}
PLACES = {
    "listPhoneAgents": ("GET", "/phone"),
    "createPhoneAgent": ("POST", "/phone"),
    "updatePhoneAgent": ("PATCH", "/phone/{phone_agent_id}"),
    "listPhoneVoices": ("GET", "/phone/voices"),
}

every_generation = pytest.mark.parametrize("generation", GENERATIONS)
generations_with_pages = pytest.mark.parametrize("generation", ["2024", "2025"])


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def generation() -> str:
    return "2026"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def simulator(generation: str, clock: Clock) -> Iterator[Simulator]:
    with Simulator((KEY, OTHER_KEY), generation=generation, clock=clock, page_size=2) as simulator:
        yield simulator


@pytest.fixture
def client(simulator: Simulator) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=simulator.url, headers={"Authorization": f"Bearer {KEY}"}, timeout=10) as client:
        yield client


@cache
def document(generation: str) -> dict[str, Any]:
    text = files("airflow_provider_opencx.simulator").joinpath("openapi", f"{generation}.yaml").read_bytes()
    loaded = yaml.safe_load(text)
    assert isinstance(loaded, dict)
    return loaded


def assert_as_documented(answer: httpx.Response, operation: str, generation: str) -> None:
    """Judge an answer by the document alone, with none of the simulator's own code."""
    method, path = PLACES[operation]
    described = document(generation)["paths"][path][method.lower()]["responses"]
    status = str(answer.status_code)
    assert status in described
    place = f"/paths/{path.replace('/', '~1')}/{method.lower()}/responses/{status}"
    if "$ref" in described[status]:
        place = described[status]["$ref"].removeprefix("#")
        described = {status: document(generation)["components"]["responses"][place.rsplit("/", 1)[1]]}
    if "content" not in described[status]:
        assert answer.content == b""
        return
    assert answer.headers["content-type"] == "application/json"
    registry: Registry[Any] = Registry().with_resource("urn:api", DRAFT202012.create_resource(document(generation)))
    schema = {"$ref": f"urn:api#{place}/content/application~1json/schema"}
    Draft202012Validator(schema, registry=registry).validate(answer.json())


def create(client: httpx.Client, name: str = "Support", **members: object) -> dict[str, Any]:
    answer = client.post("/phone", json={"name": name, **members})
    assert answer.is_success, answer.text
    agent = answer.json()
    assert isinstance(agent, dict)
    return agent


def listed(client: httpx.Client) -> list[dict[str, Any]]:
    """Read the whole list of a generation that has one, or its first page."""
    body = client.get("/phone").json()
    agents = body if isinstance(body, list) else body["items"]
    assert isinstance(agents, list)
    return agents


class TestGenerations:
    @every_generation
    def test_speak_as_their_document_says(self, simulator: Simulator, client: httpx.Client, generation: str) -> None:
        older = generation != "2026"
        created = client.post("/phone", json={"name": "Support", "language": "de" if older else ["de", "en"]})
        agent_id = created.json()["id"]
        changed = client.patch(f"/phone/{agent_id}", json={"first_message": "Guten Tag"})
        listing = client.get("/phone")
        voices = client.get("/phone/voices")

        assert (created.status_code, changed.status_code) == (201 if older else 200, 200)
        assert_as_documented(created, "createPhoneAgent", generation)
        assert_as_documented(changed, "updatePhoneAgent", generation)
        assert_as_documented(listing, "listPhoneAgents", generation)
        assert_as_documented(voices, "listPhoneVoices", generation)
        assert len(created.json()) == MEMBERS[generation]
        assert created.json()["language"] == ("de" if older else ["de", "en"])
        assert changed.content == b"" if older else changed.json()["first_message"] == "Guten Tag"
        (agent,) = listing.json()["items"] if older else listing.json()
        assert agent["first_message"] == "Guten Tag"
        assert simulator.agents(KEY) == [agent]

    @every_generation
    def test_give_an_agent_its_defaults(self, client: httpx.Client, generation: str) -> None:
        agent = create(client)
        assert agent["type"] == "inbound"
        assert agent["first_message"] == "Hello?"
        assert agent["interruptible"] is True
        assert agent["model"] == "oppie-vox"
        assert agent["voice_id"] in [voice["voice_id"] for voice in client.get("/phone/voices").json()]
        assert agent["language"] == (["en"] if generation == "2026" else None)
        assert re.fullmatch(r"\+1555[0-9]{7}", agent["phone_number"])

    @pytest.mark.parametrize("generation", ["2025", "2026"])
    def test_take_null_for_the_default_where_an_agent_has_no_null(self, client: httpx.Client) -> None:
        assert create(client, use_org_knowledgebase=None)["use_org_knowledgebase"] is False

    @every_generation
    def test_leave_alone_what_an_update_does_not_name(self, client: httpx.Client, generation: str) -> None:
        before = create(client, instructions=["one", "two"], actionIds=[])
        client.patch(f"/phone/{before['id']}", json={"name": "Sales", "instructions": None})
        (after,) = listed(client)
        assert after == before | {"name": "Sales", "instructions": None, "updated_at": after["updated_at"]}

    @generations_with_pages
    def test_take_a_model_in_an_update_and_do_nothing_with_it(self, client: httpx.Client) -> None:
        agent = create(client, model="oppie-vox-2")
        assert client.patch(f"/phone/{agent['id']}", json={"model": "oppie-vox"}).status_code == 200
        assert listed(client)[0]["model"] == "oppie-vox-2"

    def test_can_be_switched_while_agents_exist(self, simulator: Simulator, client: httpx.Client) -> None:
        create(client, language=["fr", "en"])
        simulator.generation = "2024"
        answer = client.get("/phone")
        assert_as_documented(answer, "listPhoneAgents", "2024")
        assert answer.json()["items"][0]["language"] == "fr"

    @pytest.mark.parametrize(
        ("language", "taken"),
        [(None, ["en"]), ("es", ["es"]), (["es"], ["es"]), (["es", "en"], ["es", "en"]), (["ar"], ["ar"])],
    )
    def test_of_2026_take_every_form_of_language_in_an_update(
        self, client: httpx.Client, language: object, taken: list[str]
    ) -> None:
        agent = create(client)
        changed = client.patch(f"/phone/{agent['id']}", json={"language": language})
        assert changed.json()["language"] == taken

    @every_generation
    def test_allow_one_name_for_several_agents(self, client: httpx.Client, generation: str) -> None:
        assert create(client, "Twin")["id"] != create(client, "Twin")["id"]
        assert [agent["name"] for agent in listed(client)] == ["Twin", "Twin"]


class TestRefusals:
    @every_generation
    def test_without_a_known_key_nothing_is_told_or_done(
        self, simulator: Simulator, client: httpx.Client, generation: str
    ) -> None:
        del client.headers["Authorization"]
        for operation, (method, path) in PLACES.items():
            for authorization in (None, "Bearer unknown", f"Basic {KEY}", KEY, "Bearer"):
                headers = {} if authorization is None else {"Authorization": authorization}
                answer = client.request(method, path, headers=headers, json={"name": "x"})
                assert answer.status_code == 401
                assert answer.json() == {"statusCode": 401, "message": "Unauthorized", "error": "Unauthorized"}
                assert_as_documented(answer, operation, generation)
        assert simulator.agents(KEY) == []

    @every_generation
    @pytest.mark.parametrize(
        ("body", "named"),
        [
            ('{"name": "x", "colour": "red"}', "colour"),
            ('{"name": 7}', "name"),
            ('{"name": "x", "type": "sideways"}', "type"),
            ('{"name": "x", "actionIds": "all"}', "actionIds"),
            ('{"name": "x", "instructions": ["a", 1]}', "instructions.1"),
            ('{"name": "x", "phone_number": "+15550000000"}', "phone_number"),
            ("[]", "object"),
            ('{"name": ', "not JSON"),
            ('{"name": NaN}', "not JSON"),
            ("[" * 100_000, "not JSON"),
            ("", "not JSON"),
        ],
    )
    def test_a_body_that_the_document_does_not_know_is_refused_by_name(
        self, simulator: Simulator, client: httpx.Client, generation: str, body: str, named: str
    ) -> None:
        agent = create(client)
        creation = client.post("/phone", content=body)
        change = client.patch(f"/phone/{agent['id']}", content=body)
        assert (creation.status_code, change.status_code) == (400, 400)
        assert named in creation.json()["message"]
        assert named in change.json()["message"]
        assert_as_documented(creation, "createPhoneAgent", generation)
        assert_as_documented(change, "updatePhoneAgent", generation)
        assert simulator.agents(KEY) == [agent]

    @every_generation
    def test_a_create_needs_a_name(self, client: httpx.Client, generation: str) -> None:
        answer = client.post("/phone", json={})
        assert (answer.status_code, "name" in answer.json()["message"]) == (400, True)

    @pytest.mark.parametrize(
        ("generation", "members"),
        [
            ("2024", {"language": ["en"]}),
            ("2024", {"speed": 1}),
            ("2024", {"use_org_knowledgebase": True}),
            ("2025", {"language": ["en"]}),
            ("2025", {"model": "oppie-vox-livekit"}),
            ("2026", {"language": "en"}),
            ("2026", {"language": None}),
            ("2026", {"language": []}),
            ("2026", {"language": ["en", "ar"]}),
            ("2026", {"language": ["tr", "zh"]}),
            ("2026", {"accent": "irish"}),
            ("2026", {"model": "oppie-vox"}),
            ("2026", {"handoff_phone_number": "555-0100"}),
        ],
    )
    def test_each_generation_refuses_what_only_others_take(
        self, client: httpx.Client, generation: str, members: dict[str, object]
    ) -> None:
        answer = client.post("/phone", json={"name": "x", **members})
        assert answer.status_code == 400
        assert next(iter(members)) in answer.json()["message"]

    def test_of_2026_hold_for_an_update_too(self, client: httpx.Client) -> None:
        agent = create(client)
        refused: list[dict[str, object]] = [{"language": []}, {"language": ["en", "ar"]}, {"model": "oppie-vox"}]
        for changes in refused:
            assert client.patch(f"/phone/{agent['id']}", json=changes).status_code == 400

    @every_generation
    def test_an_unknown_agent_is_not_found(self, simulator: Simulator, client: httpx.Client, generation: str) -> None:
        strange = simulator.add_agent("Not mine", api_key=OTHER_KEY)
        for agent_id in ("pa_999999", "voices", strange["id"]):
            answer = client.patch(f"/phone/{agent_id}", json={"name": "Mine"})
            assert answer.status_code == 404
            assert_as_documented(answer, "updatePhoneAgent", generation)
        assert simulator.agents(OTHER_KEY) == [strange]

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("DELETE", "/phone/pa_000001", 405),
            ("GET", "/phone/pa_000001", 405),
            ("PUT", "/phone", 405),
            ("GET", "/phone/", 404),
            ("GET", "/", 404),
            ("GET", "/docs", 404),
            ("GET", "/v1/phone", 404),
        ],
    )
    def test_other_paths_and_methods_do_not_exist(
        self, simulator: Simulator, client: httpx.Client, method: str, path: str, status: int
    ) -> None:
        answer = client.request(method, path)
        assert (answer.status_code, answer.json()["statusCode"]) == (status, status)
        assert [(record.operation, record.path, record.status) for record in simulator.requests] == [
            (None, path, status)
        ]

    @pytest.mark.parametrize(
        ("path", "allowed"), [("/phone", {"GET", "POST"}), ("/phone/voices", {"GET"}), ("/phone/pa_000001", {"PATCH"})]
    )
    def test_a_method_that_does_not_exist_is_told_which_do(
        self, client: httpx.Client, path: str, allowed: set[str]
    ) -> None:
        assert set(client.options(path).headers["allow"].split(", ")) == allowed

    def test_a_key_reaches_its_own_organization_only(self, simulator: Simulator, client: httpx.Client) -> None:
        mine = create(client, "Mine")
        theirs = simulator.add_agent("Theirs", api_key=OTHER_KEY)
        assert mine["org_id"] != theirs["org_id"]
        assert listed(client) == [mine]

    @every_generation
    def test_past_the_limit_of_a_minute_are_told_when_to_come_back(self, generation: str, clock: Clock) -> None:
        limited = Simulator((KEY, OTHER_KEY), generation=generation, requests_per_minute=2, clock=clock)
        with limited as simulator, httpx.Client(base_url=simulator.url) as client:
            mine, theirs = ({"Authorization": f"Bearer {key}"} for key in (KEY, OTHER_KEY))
            assert client.get("/phone", headers=mine).status_code == 200
            clock.now += 20
            assert client.get("/phone", headers=mine).status_code == 200
            refused = client.get("/phone", headers=mine)
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "40")
            assert_as_documented(refused, "listPhoneAgents", generation)
            assert client.get("/phone", headers=theirs).status_code == 200
            clock.now += 40
            assert client.get("/phone", headers=mine).status_code == 200


class TestPages:
    @generations_with_pages
    def test_are_followed_to_the_end_in_the_order_of_creation(
        self, simulator: Simulator, client: httpx.Client, generation: str
    ) -> None:
        names = [f"Agent {number}" for number in range(5)]
        for name in names:
            simulator.add_agent(name)
        seen: list[str] = []
        sizes: list[int] = []
        cursor = None
        while cursor is not None or not sizes:
            answer = client.get("/phone", params={"cursor": cursor} if cursor else {})
            assert_as_documented(answer, "listPhoneAgents", generation)
            seen += [agent["name"] for agent in answer.json()["items"]]
            sizes.append(len(answer.json()["items"]))
            cursor = answer.json()["next"]
        assert (seen, sizes) == (names, [2, 2, 1])

    @generations_with_pages
    def test_that_are_full_need_no_empty_one_after_them(self, simulator: Simulator, client: httpx.Client) -> None:
        simulator.add_agent("One")
        simulator.add_agent("Two")
        assert client.get("/phone").json()["next"] is None

    @generations_with_pages
    def test_refuse_a_cursor_that_is_none(self, client: httpx.Client, generation: str) -> None:
        answer = client.get("/phone", params={"cursor": "page 2"})
        assert (answer.status_code, "cursor" in answer.json()["message"]) == (400, True)
        assert_as_documented(answer, "listPhoneAgents", generation)

    def test_are_gone_in_2026(self, simulator: Simulator, client: httpx.Client) -> None:
        for number in range(5):
            simulator.add_agent(f"Agent {number}")
        assert len(client.get("/phone", params={"cursor": "whatever"}).json()) == 5


class TestPhoneNumbers:
    def test_may_be_there_at_once(self, client: httpx.Client) -> None:
        assert create(client)["phone_number"] != create(client)["phone_number"]

    def test_may_come_after_a_time(self, simulator: Simulator, client: httpx.Client, clock: Clock) -> None:
        simulator.provision_after = "5s"
        assert create(client)["phone_number"] is None
        clock.now += 4.9
        assert listed(client)[0]["phone_number"] is None
        clock.now += 0.2
        number = listed(client)[0]["phone_number"]
        assert number
        assert listed(client)[0]["phone_number"] == number

    def test_may_come_after_some_reads_of_the_list(self, simulator: Simulator, client: httpx.Client) -> None:
        simulator.provision_after = "2reads"
        listed(client)
        assert create(client)["phone_number"] is None
        httpx.get(f"{simulator.url}/phone", headers={"Authorization": f"Bearer {OTHER_KEY}"})
        simulator.agents()
        assert [bool(listed(client)[0]["phone_number"]) for _ in range(4)] == [False, False, True, True]

    def test_may_never_come_until_they_are_given(
        self, simulator: Simulator, client: httpx.Client, clock: Clock
    ) -> None:
        simulator.provision_after = "never"
        agent = create(client)
        clock.now += 1e9
        assert listed(client)[0]["phone_number"] is None
        simulator.give_number(agent["id"], "+15550199")
        assert listed(client)[0]["phone_number"] == "+15550199"

    def test_come_to_those_that_wait_already_when_the_setting_changes(self, simulator: Simulator) -> None:
        simulator.provision_after = "never"
        simulator.add_agent("Waits")
        simulator.add_agent("Has none", phone_number=None)
        assert [agent["phone_number"] for agent in simulator.agents()] == [None, None]
        simulator.provision_after = "now"
        numbers = {agent["name"]: agent["phone_number"] for agent in simulator.agents()}
        assert numbers == {"Waits": "+15550000001", "Has none": None}

    @pytest.mark.parametrize(
        ("text", "meaning"),
        [
            ("now", Provisioning(seconds=0)),
            ("5s", Provisioning(seconds=5)),
            ("500ms", Provisioning(seconds=0.5)),
            ("2m", Provisioning(seconds=120)),
            ("1.5 s", Provisioning(seconds=1.5)),
            ("3reads", Provisioning(reads=3)),
            ("3 reads", Provisioning(reads=3)),
            ("1 read", Provisioning(reads=1)),
            ("never", Provisioning()),
        ],
    )
    def test_have_a_time_that_is_written_plainly(self, text: str, meaning: Provisioning) -> None:
        assert Provisioning.parse(text) == meaning

    @pytest.mark.parametrize("text", ["", "soon", "-1s", "5", "1.5reads", "5h", "s"])
    def test_have_no_time_that_cannot_be_read(self, text: str) -> None:
        with pytest.raises(ValueError, match="write now, 5s"):
            Provisioning.parse(text)


class TestFaults:
    @every_generation
    def test_an_answer_may_be_lost_after_the_work_is_done(
        self, simulator: Simulator, client: httpx.Client, generation: str
    ) -> None:
        simulator.fail("createPhoneAgent", LoseAnswer())
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            client.post("/phone", json={"name": "Made"})
        assert [agent["name"] for agent in listed(client)] == ["Made"]
        assert simulator.writes[0].status is None

    def test_a_connection_may_close_before_anything_is_done(self, simulator: Simulator, client: httpx.Client) -> None:
        simulator.fail("createPhoneAgent", CloseBeforeHandling())
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            client.post("/phone", json={"name": "Not made"})
        assert listed(client) == []
        assert simulator.count("createPhoneAgent") == 1

    @pytest.mark.parametrize(
        ("answer", "content_type", "content"),
        [
            (Answer(502, "<html>Bad gateway</html>"), "text/html; charset=utf-8", b"<html>Bad gateway</html>"),
            (Answer(200, b'{"id": ', {"Content-Type": "application/json"}), "application/json", b'{"id": '),
            (Answer(422, {"message": ["name is taken"]}), "application/json", b'{"message": ["name is taken"]}'),
        ],
    )
    def test_any_answer_may_stand_in_for_the_right_one(
        self, simulator: Simulator, client: httpx.Client, answer: Answer, content_type: str, content: bytes
    ) -> None:
        simulator.fail("createPhoneAgent", answer)
        got = client.post("/phone", json={"name": "Not made"})
        assert (got.status_code, got.headers["content-type"], got.content) == (answer.status, content_type, content)
        assert simulator.agents(KEY) == []

    def test_an_answer_may_carry_headers(self, simulator: Simulator, client: httpx.Client) -> None:
        simulator.fail("listPhoneAgents", Answer(429, headers={"Retry-After": "7"}))
        assert client.get("/phone").headers["retry-after"] == "7"

    @every_generation
    def test_an_answer_may_be_empty_though_all_went_well(
        self, simulator: Simulator, client: httpx.Client, generation: str
    ) -> None:
        simulator.fail("createPhoneAgent", EmptyAnswer())
        answer = client.post("/phone", json={"name": "Made"})
        assert (answer.status_code, answer.content) == (200 if generation == "2026" else 201, b"")
        assert len(listed(client)) == 1

    def test_members_may_be_ignored_in_silence(self, simulator: Simulator, client: httpx.Client) -> None:
        agent = create(client, first_message="Good morning")
        simulator.fail("updatePhoneAgent", IgnoreMembers("first_message", "language"))
        changes = {"first_message": "Good evening", "language": ["fr"], "name": "Night"}
        answer = client.patch(f"/phone/{agent['id']}", json=changes)
        assert answer.status_code == 200
        assert answer.json() == agent | {"name": "Night", "updated_at": answer.json()["updated_at"]}
        assert simulator.writes[-1].body == changes

    def test_an_answer_may_be_slow_though_the_work_is_done_at_once(
        self, simulator: Simulator, client: httpx.Client
    ) -> None:
        simulator.fail("createPhoneAgent", SlowAnswer(60))
        with pytest.raises(httpx.ReadTimeout):
            client.post("/phone", json={"name": "Made"}, timeout=0.2)
        assert [agent["name"] for agent in listed(client)] == ["Made"]
        simulator.fail("listPhoneAgents", SlowAnswer(0.05))
        began = time.monotonic()
        assert len(listed(client)) == 1
        assert time.monotonic() - began >= 0.05

    def test_happen_in_order_and_as_often_as_they_were_asked_for(
        self, simulator: Simulator, client: httpx.Client
    ) -> None:
        simulator.fail("listPhoneAgents", Answer(503), times=2)
        simulator.fail("listPhoneAgents", Answer(500))
        assert client.get("/phone/voices").status_code == 200
        assert [client.get("/phone").status_code for _ in range(4)] == [503, 503, 500, 200]

    def test_without_end_last_until_healed(self, simulator: Simulator, client: httpx.Client) -> None:
        simulator.fail("listPhoneVoices", Answer(503), times=None)
        assert {client.get("/phone/voices").status_code for _ in range(5)} == {503}
        simulator.heal()
        assert client.get("/phone/voices").status_code == 200

    def test_are_refused_for_an_operation_that_does_not_exist(self, simulator: Simulator) -> None:
        with pytest.raises(ValueError, match="deletePhoneAgent"):
            simulator.fail("deletePhoneAgent", LoseAnswer())
        with pytest.raises(ValueError, match="0 times"):
            simulator.fail("listPhoneAgents", LoseAnswer(), times=0)

    def test_of_the_simulator_itself_are_never_overlooked(self, caplog: pytest.LogCaptureFixture) -> None:
        simulator = Simulator()
        simulator.store.create("org_000001", {"name": "x", "model": "oppie-vox-99"})

        def read_the_list() -> None:
            with simulator:
                answer = httpx.get(f"{simulator.url}/phone", headers={"Authorization": "Bearer test-key"})
                assert answer.status_code == 500

        with pytest.raises(AssertionError, match="oppie-vox-99"):
            read_the_list()
        assert "listPhoneAgents" in caplog.text


class TestJournal:
    def test_counts_and_tells_what_was_asked(self, simulator: Simulator, client: httpx.Client) -> None:
        agent = create(client, "Support")
        client.patch(f"/phone/{agent['id']}", json={"name": "Sales"})
        client.patch("/phone/nobody", content="{")
        client.get("/phone", params={"cursor": "x"})
        client.get("/phone")
        assert simulator.count("listPhoneAgents") == 2
        assert [
            (record.operation, record.method, record.path, record.body, record.status) for record in simulator.writes
        ] == [
            ("createPhoneAgent", "POST", "/phone", {"name": "Support"}, 200),
            ("updatePhoneAgent", "PATCH", f"/phone/{agent['id']}", {"name": "Sales"}, 200),
            ("updatePhoneAgent", "PATCH", "/phone/nobody", None, 400),
        ]
        assert simulator.requests[3].query == {"cursor": "x"}
        assert simulator.requests[3].headers["user-agent"].startswith("python-httpx")
        simulator.forget_requests()
        assert simulator.requests == []

    def test_never_holds_a_key(self, simulator: Simulator, client: httpx.Client) -> None:
        create(client)
        httpx.get(f"{simulator.url}/phone", headers={"Authorization": f"bearer {OTHER_KEY}", "Cookie": KEY})
        shown = repr(simulator.requests) + repr(simulator) + repr(simulator.agents(KEY))
        assert len(simulator.requests) == 2
        assert KEY not in shown
        assert OTHER_KEY not in shown


class TestAgents:
    def test_can_be_put_changed_and_removed_by_hand(self, simulator: Simulator, client: httpx.Client) -> None:
        first = simulator.add_agent("First", language=["es"], phone_number="+15550100")
        second = simulator.add_agent("Second")
        assert listed(client) == [first, second]
        changed = simulator.change_agent(str(first["id"]), voice_id=None)
        simulator.remove_agent(str(second["id"]))
        assert listed(client) == [changed]
        assert changed["voice_id"] is None

    def test_have_no_members_that_no_generation_knows(self, simulator: Simulator) -> None:
        with pytest.raises(ValueError, match="colour"):
            simulator.add_agent("x", colour="red")
        with pytest.raises(ContractError, match="oppie-vox-99"):
            simulator.add_agent("x", model="oppie-vox-99")

    def test_may_be_very_many(self, simulator: Simulator, client: httpx.Client) -> None:
        for number in range(2000):
            simulator.add_agent(f"Agent {number}")
        assert len(listed(client)) == 2000


class TestServer:
    def test_is_there_as_soon_as_it_is_started_and_gone_as_soon_as_it_is_stopped(self) -> None:
        simulator = Simulator()
        with simulator, httpx.Client(base_url=simulator.url) as kept_alive:
            assert kept_alive.get("/phone").status_code == 401
            simulator.fail("listPhoneAgents", SlowAnswer(60))
            with suppress(httpx.ReadTimeout):
                kept_alive.get("/phone", timeout=0.05)
            began = time.monotonic()
            simulator.stop()
            assert time.monotonic() - began < 1
            with pytest.raises(httpx.ConnectError):
                httpx.get(f"{simulator.url}/phone")

    def test_comes_back_where_it_was_with_the_agents_it_had(self) -> None:
        simulator = Simulator()
        with simulator:
            simulator.add_agent("Still there")
            before = simulator.url
        with simulator:
            answer = httpx.get(f"{simulator.url}/phone", headers={"Authorization": "Bearer test-key"})
        assert simulator.url == before
        assert [agent["name"] for agent in answer.json()] == ["Still there"]

    @pytest.mark.parametrize(
        "settings",
        [
            {"api_keys": ()},
            {"api_keys": "test-key"},
            {"generation": "2023"},
            {"provision_after": "soon"},
            {"page_size": 0},
            {"requests_per_minute": 0},
        ],
    )
    def test_refuses_settings_that_make_no_sense(self, settings: dict[str, Any]) -> None:
        with pytest.raises(ValueError):  # noqa: PT011 - each has its own words
            Simulator(**settings)

    def test_is_at_hand_in_every_test(self, opencx_simulator: Simulator) -> None:  # noqa: F811 - the fixture
        answer = httpx.post(
            f"{opencx_simulator.url}/phone", headers={"Authorization": "Bearer test-key"}, json={"name": "Support"}
        )
        assert answer.json()["phone_number"]

    def test_costs_nothing_where_its_plugin_is_only_installed(self) -> None:
        code = (
            "import sys, airflow_provider_opencx.simulator.pytest_plugin as _\n"
            "print(sorted({'fastapi', 'uvicorn', 'jsonschema', 'yaml', 'airflow'} & set(sys.modules)))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
        assert done.stdout.strip() == "[]"


class TestCommand:
    command = (sys.executable, "-m", "airflow_provider_opencx.simulator")

    @pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
    def test_prints_its_address_answers_and_ends_when_told(self, ending: signal.Signals) -> None:
        process = subprocess.Popen(
            [*self.command, "--port", "0", "--api-key", "one", "--api-key", "two", "--generation", "2024"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"generation 2024.* (http://127\.0\.0\.1:[0-9]+) .*not the real service$", line)
            assert found, line
            for key in ("one", "two"):
                answer = httpx.get(f"{found[1]}/phone", headers={"Authorization": f"Bearer {key}"})
                assert answer.json() == {"items": [], "next": None}
            process.send_signal(ending)
            rest, problems = process.communicate(timeout=10)
        finally:
            process.kill()
            process.wait()
        assert (process.returncode, rest, problems) == (0, "", "")

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["--host", "0.0.0.0"], "--allow-remote"),
            (["--provision-after", "soon"], "write now, 5s"),
            (["--generation", "2023"], "2026"),
            (["--requests-per-minute", "0"], "requests_per_minute"),
        ],
    )
    def test_refuses_what_it_cannot_or_should_not_do(self, arguments: list[str], said: str) -> None:
        done = subprocess.run([*self.command, *arguments], capture_output=True, text=True, check=False, timeout=60)
        assert (done.returncode, done.stdout) == (2, "")
        assert said in done.stderr

    def test_says_so_if_the_port_is_taken(self) -> None:
        with Simulator() as simulator:
            port = simulator.url.rsplit(":", 1)[1]
            done = subprocess.run(
                [*self.command, "--port", port], capture_output=True, text=True, check=False, timeout=60
            )
        assert done.returncode == 1
        assert f"port {port}" in done.stderr

    @pytest.mark.parametrize("missing", ["fastapi", "uvicorn", "jsonschema", "yaml"])
    def test_names_what_to_install_if_a_requirement_is_missing(self, missing: str) -> None:
        code = (
            f"import sys; sys.modules[{missing!r}] = None\n"
            "import runpy; runpy.run_module('airflow_provider_opencx.simulator', run_name='__main__')"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 1
        assert "pip install 'airflow-provider-opencx[simulator]'" in done.stderr
        assert "Traceback" not in done.stderr
