"""Tests that each organization of the simulator has voices with the same names and with its own ids."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from airflow_provider_opencx.simulator import Simulator
from airflow_provider_opencx.simulator.contract import GENERATIONS

FIRST, SECOND = {"Authorization": "Bearer first"}, {"Authorization": "Bearer second"}
OTHERS: list[dict[str, Any]] = [{"voice_id": "v_1", "name": "Bruno"}, {"voice_id": "v_2", "name": "Aria"}]


@pytest.fixture(params=GENERATIONS)
def simulator(request: pytest.FixtureRequest) -> Iterator[Simulator]:
    with Simulator(("first", "second"), generation=request.param, requests_per_minute=None) as simulator:
        yield simulator


@pytest.fixture
def client(simulator: Simulator) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=simulator.url, trust_env=False) as client:
        yield client


def test_organizations_have_same_voices_at_first(client: httpx.Client) -> None:
    voices = client.get("/phone/voices", headers=FIRST).json()
    assert [voice["name"] for voice in voices] == ["Aria", "Bruno", "Celia"]
    assert client.get("/phone/voices", headers=SECOND).json() == voices


def test_set_voices_changes_one_organization_until_reset(simulator: Simulator, client: httpx.Client) -> None:
    before = client.get("/phone/voices", headers=FIRST).json()
    simulator.set_voices(OTHERS, api_key="second")
    assert client.get("/phone/voices", headers=SECOND).json() == OTHERS == simulator.voices("second")
    assert client.get("/phone/voices", headers=FIRST).json() == before
    simulator.reset()
    assert client.get("/phone/voices", headers=SECOND).json() == before


def test_agent_has_a_voice_of_its_organization(simulator: Simulator, client: httpx.Client) -> None:
    simulator.set_voices(OTHERS, api_key="second")
    assert client.post("/phone", json={"name": "a"}, headers=SECOND).json()["voice_id"] == "v_1"
    assert client.post("/phone", json={"name": "a"}, headers=FIRST).json()["voice_id"] == "voice_aria"
    created = client.post("/phone", json={"name": "b", "voice_id": "v_2"}, headers=SECOND).json()
    for refused in (
        client.post("/phone", json={"name": "c", "voice_id": "voice_bruno"}, headers=SECOND),
        client.patch(f"/phone/{created['id']}", json={"voice_id": "voice_bruno"}, headers=SECOND),
    ):
        assert refused.status_code == 400
        assert refused.json()["message"] == "voice_id: there is no voice 'voice_bruno'. The ids of voices: 'v_1', 'v_2'"
    assert [agent["voice_id"] for agent in simulator.agents("second")] == ["v_1", "v_2"]
    assert client.patch(f"/phone/{created['id']}", json={"voice_id": None}, headers=SECOND).is_success


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"voice_id": "Aria"},
            "voice_id: there is no voice 'Aria'. The ids of voices: 'voice_aria', 'voice_bruno', 'voice_celia'",
        ),
        ({"actionIds": ["Refund"]}, "actionIds: there is no action 'Refund'. The ids of actions: none"),
    ],
)
def test_agent_takes_no_name_for_an_id(
    fields: dict[str, Any], message: str, simulator: Simulator, client: httpx.Client
) -> None:
    agent = client.post("/phone", json={"name": "a", "voice_id": "voice_bruno"}, headers=FIRST).json()
    for refused in (
        client.post("/phone", json={"name": "b", **fields}, headers=FIRST),
        client.patch(f"/phone/{agent['id']}", json=fields, headers=FIRST),
    ):
        assert (refused.status_code, refused.json()["message"]) == (400, message)
    assert [each["voice_id"] for each in simulator.agents()] == ["voice_bruno"]


@pytest.mark.parametrize(
    ("voices", "problem"),
    [
        ([{"name": "Aria"}], r"voices\.0: .*voice_id"),
        ([*OTHERS, {"voice_id": 5, "name": "Aria"}], r"voices\.2: voice_id"),
        ([*OTHERS, *OTHERS], "two of them have the same voice_id"),
    ],
)
def test_set_voices_refuses_what_is_no_voice(voices: list[Any], problem: str, simulator: Simulator) -> None:
    with pytest.raises(ValueError, match=problem):
        simulator.set_voices(voices)
    refused = httpx.put(f"{simulator.url}/_simulator/voices", json={"voices": voices}, trust_env=False)
    assert refused.status_code == 400
    assert len(simulator.voices()) == 3


def test_admin_sets_voices_of_the_organization_of_a_key(simulator: Simulator, client: httpx.Client) -> None:
    changed = client.put("/_simulator/voices", json={"voices": OTHERS}, headers=SECOND)
    assert changed.json() == {"voices": OTHERS} == client.get("/_simulator/voices", headers=SECOND).json()
    assert client.get("/phone/voices", headers=SECOND).json() == OTHERS
    assert len(client.get("/_simulator/voices").json()["voices"]) == 3
    assert client.get("/_simulator/voices", headers={"Authorization": "Bearer third"}).status_code == 401
