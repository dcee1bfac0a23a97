"""Tests what each generation of the API accepts and returns, over a socket, against its OpenAPI document."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import httpx
import pytest

from airflow_provider_opencx.simulator import Simulator

KEY = "a-key-that-nobody-may-see"
OTHER_KEY = "a-key-of-somebody-else"
GENERATIONS = ("2024", "2025", "2026")
FIELD_COUNTS = {"2024": 19, "2025": 24, "2026": 30}

every_generation = pytest.mark.parametrize("generation", GENERATIONS)
generations_with_pages = pytest.mark.parametrize("generation", ["2024", "2025"])


@every_generation
def test_generation_follows_its_document(
    simulator: Simulator, client: Any, generation: str, assert_documented: Any
) -> None:
    older = generation != "2026"
    created = client.post("/phone", json={"name": "Support", "language": "de" if older else ["de", "en"]})
    agent_id = created.json()["id"]
    changed = client.patch(f"/phone/{agent_id}", json={"first_message": "Guten Tag"})
    listing = client.get("/phone")
    voices = client.get("/phone/voices")

    assert (created.status_code, changed.status_code) == (201 if older else 200, 200)
    assert_documented(created, "createPhoneAgent", generation)
    assert_documented(changed, "updatePhoneAgent", generation)
    assert_documented(listing, "listPhoneAgents", generation)
    assert_documented(voices, "listPhoneVoices", generation)
    assert len(created.json()) == FIELD_COUNTS[generation]
    assert created.json()["language"] == ("de" if older else ["de", "en"])
    assert changed.content == b"" if older else changed.json()["first_message"] == "Guten Tag"
    (agent,) = listing.json()["items"] if older else listing.json()
    assert agent["first_message"] == "Guten Tag"
    assert simulator.agents(KEY) == [agent]


@every_generation
def test_generation_has_defaults(client: Any, generation: str) -> None:
    agent = client.create()
    assert agent["type"] == "inbound"
    assert agent["first_message"] == "Hello?"
    assert agent["interruptible"] is True
    assert agent["model"] == "oppie-vox"
    assert agent["voice_id"] in [voice["voice_id"] for voice in client.get("/phone/voices").json()]
    assert agent["language"] == (["en"] if generation == "2026" else None)
    assert re.fullmatch(r"\+1555[0-9]{7}", agent["phone_number"])


@pytest.mark.parametrize("generation", ["2025", "2026"])
def test_generation_reroutes_null_by_the_default(client: Any) -> None:
    assert client.create(use_org_knowledgebase=None)["use_org_knowledgebase"] is False


@every_generation
def test_generation_updates_only_the_given_fields(client: Any, generation: str) -> None:
    before = client.create(instructions=["one", "two"], actionIds=[])
    client.patch(f"/phone/{before['id']}", json={"name": "Sales", "instructions": None})
    (after,) = client.listed()
    assert after == before | {"name": "Sales", "instructions": None, "updated_at": after["updated_at"]}


def test_changes_are_each_later_than_the_one_before(simulator: Simulator) -> None:
    agent = simulator.add_agent("Support")
    times = [agent["updated_at"]]
    times += [simulator.change_agent(agent["id"], first_message=str(number))["updated_at"] for number in range(50)]
    assert all(before < after for before, after in pairwise(times))


@generations_with_pages
def test_generation_ignores_the_model_in_an_update(client: Any) -> None:
    agent = client.create(model="oppie-vox-2")
    assert client.patch(f"/phone/{agent['id']}", json={"model": "oppie-vox"}).status_code == 200
    assert client.listed()[0]["model"] == "oppie-vox-2"


def test_generation_can_be_switched(simulator: Simulator, client: Any, assert_documented: Any) -> None:
    client.create(language=["fr", "en"])
    simulator.generation = "2024"
    response = client.get("/phone")
    assert_documented(response, "listPhoneAgents", "2024")
    assert response.json()["items"][0]["language"] == "fr"


@pytest.mark.parametrize(
    ("language", "expected"),
    [(None, ["en"]), ("es", ["es"]), (["es"], ["es"]), (["es", "en"], ["es", "en"]), (["ar"], ["ar"])],
)
def test_generation_2026_updates_language_in_each_form(client: Any, language: object, expected: list[str]) -> None:
    agent = client.create()
    changed = client.patch(f"/phone/{agent['id']}", json={"language": language})
    assert changed.json()["language"] == expected


@every_generation
def test_generation_allows_equal_names(client: Any, generation: str) -> None:
    assert client.create("Twin")["id"] != client.create("Twin")["id"]
    assert [agent["name"] for agent in client.listed()] == ["Twin", "Twin"]


@every_generation
def test_error_401_without_a_known_key(
    simulator: Simulator,
    client: Any,
    generation: str,
    routes: dict[str, tuple[str, str]],
    assert_documented: Any,
) -> None:
    del client.headers["Authorization"]
    for operation, (method, path) in routes.items():
        for authorization in (None, "Bearer unknown", f"Basic {KEY}", KEY, "Bearer"):
            headers = {} if authorization is None else {"Authorization": authorization}
            response = client.request(method, path, headers=headers, json={"name": "x"})
            assert response.status_code == 401
            assert response.json() == {"statusCode": 401, "message": "Unauthorized", "error": "Unauthorized"}
            assert_documented(response, operation, generation)
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
def test_error_400_names_the_field(
    simulator: Simulator, client: Any, generation: str, body: str, named: str, assert_documented: Any
) -> None:
    agent = client.create()
    creation = client.post("/phone", content=body)
    change = client.patch(f"/phone/{agent['id']}", content=body)
    assert (creation.status_code, change.status_code) == (400, 400)
    assert named in creation.json()["message"]
    assert named in change.json()["message"]
    assert_documented(creation, "createPhoneAgent", generation)
    assert_documented(change, "updatePhoneAgent", generation)
    assert simulator.agents(KEY) == [agent]


@every_generation
def test_error_400_create_without_a_name(client: Any, generation: str) -> None:
    response = client.post("/phone", json={})
    assert (response.status_code, "name" in response.json()["message"]) == (400, True)


@pytest.mark.parametrize(
    ("generation", "fields"),
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
def test_error_400_fields_of_other_generations(client: Any, generation: str, fields: dict[str, object]) -> None:
    response = client.post("/phone", json={"name": "x", **fields})
    assert response.status_code == 400
    assert next(iter(fields)) in response.json()["message"]


def test_error_400_update_in_2026(client: Any) -> None:
    agent = client.create()
    refused: list[dict[str, object]] = [{"language": []}, {"language": ["en", "ar"]}, {"model": "oppie-vox"}]
    for changes in refused:
        assert client.patch(f"/phone/{agent['id']}", json=changes).status_code == 400


@every_generation
@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON; charset=utf-8"])
def test_error_400_empty_body_that_is_announced_as_json(
    client: Any, generation: str, content_type: str, routes: dict[str, tuple[str, str]], assert_documented: Any
) -> None:
    headers = {"Content-Type": content_type}
    for operation, (method, path) in routes.items():
        response = client.request(method, path, headers=headers)
        body = response.json() if response.content else {}
        code = None if isinstance(body, list) else body.get("code")
        assert (code == "FST_ERR_CTP_EMPTY_JSON_BODY") == (generation == "2026" and method != "GET"), operation
        if code == "FST_ERR_CTP_EMPTY_JSON_BODY":
            message = "Body cannot be empty when content-type is set to 'application/json'"
            assert body == {"statusCode": 400, "code": code, "error": "Bad Request", "message": message}
            assert_documented(response, operation, generation)
        unauthorized = client.request(method, path, headers={**headers, "Authorization": "Bearer unknown"})
        assert unauthorized.status_code == 401


@every_generation
def test_error_404_unknown_agent(simulator: Simulator, client: Any, generation: str, assert_documented: Any) -> None:
    strange = simulator.add_agent("Not mine", api_key=OTHER_KEY)
    for agent_id in ("pa_999999", "voices", strange["id"]):
        response = client.patch(f"/phone/{agent_id}", json={"name": "Mine"})
        assert response.status_code == 404
        assert_documented(response, "updatePhoneAgent", generation)
    assert simulator.agents(OTHER_KEY) == [strange]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/phone/pa_000001"),
        ("GET", "/phone/pa_000001"),
        ("PUT", "/phone"),
        ("OPTIONS", "/phone"),
        ("GET", "/phone/"),
        ("GET", "/"),
        ("GET", "/docs"),
        ("GET", "/v1/phone"),
        ("GET", "/_simulator"),
    ],
)
def test_error_404_unknown_route(simulator: Simulator, client: Any, method: str, path: str) -> None:
    response = client.request(method, path)
    message = f"Route {method}:{path} not found"
    assert response.status_code == 404
    assert response.json() == {"statusCode": 404, "message": message, "error": "Not Found"}
    assert [(record.operation, record.path, record.status) for record in simulator.requests] == [(None, path, 404)]


def test_error_404_unknown_route_with_query(client: Any) -> None:
    assert client.get("/nothing?page=2").json()["message"] == "Route GET:/nothing?page=2 not found"


def test_organization_is_separate(simulator: Simulator, client: Any) -> None:
    mine = client.create("Mine")
    theirs = simulator.add_agent("Theirs", api_key=OTHER_KEY)
    assert mine["org_id"] != theirs["org_id"]
    assert client.listed() == [mine]


def test_rate_limit_default(clock: Any) -> None:
    with Simulator((KEY,), clock=clock) as simulator, httpx.Client(base_url=simulator.url) as client:
        headers = {"Authorization": f"Bearer {KEY}"}
        statuses = [client.get("/phone/voices", headers=headers).status_code for _ in range(101)]
    assert statuses == [200] * 100 + [429]


@every_generation
def test_rate_limit_retry_after(generation: str, clock: Any, assert_documented: Any) -> None:
    limited = Simulator((KEY, OTHER_KEY), generation=generation, requests_per_minute=2, clock=clock)
    with limited as simulator, httpx.Client(base_url=simulator.url) as client:
        mine, theirs = ({"Authorization": f"Bearer {key}"} for key in (KEY, OTHER_KEY))
        assert client.get("/phone", headers=mine).status_code == 200
        clock.now += 20
        assert client.get("/phone", headers=mine).status_code == 200
        refused = client.get("/phone", headers=mine)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "40")
        assert_documented(refused, "listPhoneAgents", generation)
        assert client.get("/phone", headers=theirs).status_code == 200
        clock.now += 40
        assert client.get("/phone", headers=mine).status_code == 200


@generations_with_pages
def test_pages_in_the_order_of_creation(
    simulator: Simulator, client: Any, generation: str, assert_documented: Any
) -> None:
    names = [f"Agent {number}" for number in range(5)]
    for name in names:
        simulator.add_agent(name)
    seen: list[str] = []
    sizes: list[int] = []
    cursor = None
    while cursor is not None or not sizes:
        response = client.get("/phone", params={"cursor": cursor} if cursor else {})
        assert_documented(response, "listPhoneAgents", generation)
        seen += [agent["name"] for agent in response.json()["items"]]
        sizes.append(len(response.json()["items"]))
        cursor = response.json()["next"]
    assert (seen, sizes) == (names, [2, 2, 1])


@generations_with_pages
def test_pages_end_with_a_full_page(simulator: Simulator, client: Any) -> None:
    simulator.add_agent("One")
    simulator.add_agent("Two")
    assert client.get("/phone").json()["next"] is None


@generations_with_pages
def test_pages_reject_an_unknown_cursor(client: Any, generation: str, assert_documented: Any) -> None:
    response = client.get("/phone", params={"cursor": "page 2"})
    assert (response.status_code, "cursor" in response.json()["message"]) == (400, True)
    assert_documented(response, "listPhoneAgents", generation)


def test_pages_are_gone_in_2026(simulator: Simulator, client: Any) -> None:
    for number in range(5):
        simulator.add_agent(f"Agent {number}")
    assert len(client.get("/phone", params={"cursor": "whatever"}).json()) == 5
