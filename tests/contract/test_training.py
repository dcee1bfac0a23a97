"""Tests what the simulator does with training scenarios and actions, beyond what its OpenAPI documents can say."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from airflow_provider_opencx.simulator import EndlessPages, Simulator, StaleList

FIRST, SECOND = "first-key", "second-key"


@pytest.fixture
def simulator() -> Any:
    with Simulator((FIRST, SECOND), requests_per_minute=None) as simulator:
        yield simulator


def send(simulator: Simulator, method: str, path: str, key: str = FIRST, **how: Any) -> Any:
    response = httpx.request(method, simulator.url + path, headers={"Authorization": f"Bearer {key}"}, **how)
    assert response.status_code == how.pop("status", 200) or response.is_success, response.text
    return response.json()


def listed(simulator: Simulator, key: str = FIRST, **query: str) -> list[str]:
    return [item["title"] for item in send(simulator, "GET", "/training", key, params=query)["items"]]


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ({}, ["a", "b", "c"]),
        ({"metadata": '{"team": "x"}'}, ["a", "b"]),
        ({"metadata": '{"team": "x", "nested": {"deep": 1}}'}, ["b"]),
        ({"metadata": '{"team": "y"}'}, []),
        ({"metadata": "no JSON"}, []),
        ({"is_draft": "true"}, ["c"]),
        ({"is_draft": "false"}, ["a", "b"]),
        ({"type": "BEHAVIORAL"}, ["b"]),
        ({"limit": "2"}, ["a", "b"]),
        ({"limit": "2", "offset": "2"}, ["c"]),
    ],
)
def test_list_is_filtered_and_paged(simulator: Simulator, query: dict[str, str], titles: list[str]) -> None:
    simulator.create_training("a", "A", metadata={"team": "x"})
    simulator.create_training("b", "B", metadata={"team": "x", "nested": {"deep": 1, "x": 2}}, type="BEHAVIORAL")
    simulator.create_training("c", "C", is_draft=True)
    assert listed(simulator, **query) == titles
    assert listed(simulator, SECOND) == []


def test_pages_say_whether_there_is_more(simulator: Simulator) -> None:
    for number in range(5):
        simulator.create_training(str(number), "x")
    page = send(simulator, "GET", "/training", params={"limit": "2", "offset": "2"})
    assert {**page, "items": len(page["items"])} == {
        "items": 2,
        "total": 5,
        "limit": 2,
        "offset": 2,
        "has_more": True,
    }
    assert send(simulator, "GET", "/training", params={"limit": "2", "offset": "4"})["has_more"] is False


def test_update_sets_what_is_left_out_to_its_default(simulator: Simulator) -> None:
    created = send(simulator, "POST", "/training", json={"title": "a", "content": "A", "metadata": {"k": 1}, "x": 2})
    assert (created["current_version"], "x" in created) == (1, False)
    updated = send(simulator, "PUT", f"/training/{created['id']}", json={"title": "b", "content": "B"})
    assert (updated["title"], updated["metadata"], updated["current_version"]) == ("b", {}, 2)
    assert updated["updated_at"] > created["updated_at"]


def test_published_text_stays_while_an_edit_is_not_published(simulator: Simulator) -> None:
    training_id = simulator.create_training("a", "A")["id"]
    text = {"title": "b", "content": "B"}
    edited = send(simulator, "PUT", f"/training/{training_id}", json={**text, "is_draft": True})
    assert [edited[name] for name in ("title", "content", "draft_title", "draft_content")] == ["a", "A", "b", "B"]
    assert edited["is_draft"] is False
    assert simulator.edit_training(str(training_id), content="C")["draft_content"] == "C"
    published = send(simulator, "PUT", f"/training/{training_id}", json={**text, "is_draft": False})
    assert [published[name] for name in ("title", "content", "draft_title", "draft_content")] == ["b", "B", None, None]


def test_draft_is_set_or_toggled(simulator: Simulator) -> None:
    path = f"/training/{simulator.create_training('a', 'A')['id']}/draft"
    states = [send(simulator, "PUT", path, json=body)["is_draft"] for body in ({"is_draft": True},) * 2 + ({}, {})]
    assert states == [True, True, False, True]


def test_ids_differ_from_organization_to_organization(simulator: Simulator) -> None:
    ids = {simulator.create_training("a", "A", api_key=key)["id"] for key in (FIRST, SECOND)}
    ids |= {simulator.set_actions([{"name": "Look up"}], key)[0]["id"] for key in (FIRST, SECOND)}
    assert len(ids) == 4


def test_new_action_is_enabled_on_the_web_alone(simulator: Simulator) -> None:
    simulator.set_actions([{"name": "Look up"}, {"name": "Call", "enabled_on_channel": {"channels": ["phone_voice"]}}])
    shown = send(simulator, "GET", "/actions")
    assert [action["enabled_on_channel"]["channels"] for action in shown] == [["web"], ["phone_voice"]]
    assert send(simulator, "GET", "/actions", SECOND) == []
    with pytest.raises(ValueError, match=r"actions\.0: 'name' is a required property"):
        simulator.set_actions([{}])


@pytest.mark.parametrize(("method", "path"), [("DELETE", "/actions"), ("PUT", "/actions"), ("DELETE", "/training/1")])
def test_nothing_deletes(simulator: Simulator, method: str, path: str) -> None:
    response = httpx.request(method, simulator.url + path, headers={"Authorization": f"Bearer {FIRST}"})
    assert (response.status_code, response.json()["message"]) == (404, f"Route {method}:{path} not found")


def test_faults_of_lists_are_those_of_agents(simulator: Simulator) -> None:
    simulator.create_training("a", "A")
    simulator.fail("listTrainings", StaleList(seconds=60, of="creates"))
    assert listed(simulator) == []
    simulator.fail("listTrainings", EndlessPages())
    page = send(simulator, "GET", "/training", params={"offset": "7"})
    assert page["has_more"] is True
    assert page["items"][0]["id"].endswith("_7")


def test_admin_controls_training_and_actions(simulator: Simulator) -> None:
    admin = f"{simulator.url}/_simulator"
    created = httpx.post(f"{admin}/training", json={"title": "a", "content": "A", "is_draft": True})
    assert created.status_code == 201
    training = f"{admin}/training/{created.json()['id']}"
    assert httpx.patch(training, json={"is_draft": False}).json()["current_version"] == 1
    assert httpx.put(f"{training}/edit", json={"title": "b"}).json()["draft_title"] == "b"
    assert httpx.patch(training, json={"x": 1}).json()["message"] == "A training scenario has no field x."
    assert httpx.delete(training, headers={"Content-Type": "application/json"}).status_code == 204
    assert httpx.delete(training, headers={"Content-Type": "application/json"}).status_code == 404
    assert httpx.get(f"{admin}/training").json() == {"training": []}
    shown = httpx.put(f"{admin}/actions", json={"actions": [{"name": "Look up"}]}).json()
    assert json.dumps(shown) == httpx.get(f"{admin}/actions").text
    assert httpx.put(f"{admin}/actions", json={"actions": [{}]}).status_code == 400


def test_earlier_generations_have_what_their_documents_say(simulator: Simulator) -> None:
    simulator.generation = "2025"
    created = send(simulator, "POST", "/training", json={"title": "a", "body": "A", "metadata": {"k": 1}})
    assert send(simulator, "GET", "/training", params={"metadata": '{"k": 1}'}) == [created]
    assert {*created} == {"id", "question", "answer", "organization_id"}
    simulator.generation = "2024"
    response = httpx.get(f"{simulator.url}/training", headers={"Authorization": f"Bearer {FIRST}"})
    assert response.json()["message"] == "Route GET:/training not found"
