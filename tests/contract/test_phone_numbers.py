"""Tests when agents get, lose and change their phone numbers in the simulator."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from airflow_provider_opencx.simulator import Simulator
from airflow_provider_opencx.simulator.resources.phone_agents.progression import Progression, Step

OTHER_KEY = "a-key-of-somebody-else"


def test_number_at_once(client: Any) -> None:
    assert client.create()["phone_number"] != client.create()["phone_number"]


def test_number_after_a_time(simulator: Simulator, client: Any, clock: Any) -> None:
    simulator.provision_after = "5s"
    assert client.create()["phone_number"] is None
    clock.now += 4.9
    assert client.listed()[0]["phone_number"] is None
    clock.now += 0.2
    number = client.listed()[0]["phone_number"]
    assert number
    assert client.listed()[0]["phone_number"] == number


def test_number_after_reads(simulator: Simulator, client: Any) -> None:
    simulator.provision_after = "2reads"
    client.listed()
    assert client.create()["phone_number"] is None
    httpx.get(f"{simulator.url}/phone", headers={"Authorization": f"Bearer {OTHER_KEY}"})
    simulator.agents()
    assert [bool(client.listed()[0]["phone_number"]) for _ in range(4)] == [False, False, True, True]


def test_number_never_until_given(simulator: Simulator, client: Any, clock: Any) -> None:
    simulator.provision_after = "never"
    agent = client.create()
    clock.now += 1e9
    assert client.listed()[0]["phone_number"] is None
    simulator.give_number(agent["id"], "+15550199")
    assert client.listed()[0]["phone_number"] == "+15550199"


def test_number_of_waiting_agents_when_the_setting_changes(simulator: Simulator) -> None:
    simulator.provision_after = "never"
    simulator.add_agent("Waits")
    simulator.add_agent("Has none", phone_number=None)
    assert [agent["phone_number"] for agent in simulator.agents()] == [None, None]
    simulator.provision_after = "now"
    numbers = {agent["name"]: agent["phone_number"] for agent in simulator.agents()}
    assert numbers == {"Waits": "+15550000001", "Has none": None}


def test_progression_loses_the_number(simulator: Simulator, client: Any, clock: Any) -> None:
    simulator.provision_after = "5s, lost after 10s, given after 1m"
    client.create()
    seen = []
    for seconds in (0, 5, 9.5, 1, 59, 1):
        clock.now += seconds
        seen += client.numbers()
    assert seen == [None, "+15550000001", "+15550000001", None, None, "+15550000002"]


def test_progression_changes_the_number(simulator: Simulator, client: Any) -> None:
    simulator.provision_after = "1read, changed after 2reads"
    client.create()
    seen = [client.numbers()[0] for _ in range(5)]
    assert seen == [None, "+15550000001", "+15550000001", "+15550000002", "+15550000002"]


@pytest.mark.parametrize("look", [True, False])
def test_progression_does_not_depend_on_looking(simulator: Simulator, client: Any, clock: Any, look: bool) -> None:
    simulator.provision_after = "1read, lost after 10s"
    client.create()
    client.listed()
    for _ in range(9):
        clock.now += 1
        if look:
            simulator.agents()
    assert client.numbers() == ["+15550000001"]
    clock.now += 1
    assert client.numbers() == [None]


def test_progression_removes_the_agent(simulator: Simulator, client: Any, clock: Any) -> None:
    agent = simulator.add_agent("Short-lived", progression="never, gone after 1m")
    simulator.add_agent("Stays")
    clock.now += 61
    assert [left["name"] for left in client.listed()] == ["Stays"]
    assert client.patch(f"/phone/{agent['id']}", json={"name": "x"}).status_code == 404


def test_progression_of_one_agent(simulator: Simulator, client: Any, clock: Any) -> None:
    simulator.provision_after = "never"
    first, second = client.create("First"), client.create("Second")
    clock.now += 100
    simulator.progress(first["id"], "5s, changed after 5s")
    assert client.numbers() == [None, None]
    clock.now += 5
    assert client.numbers() == ["+15550000001", None]
    simulator.progress(second["id"], "now, lost after 3reads")
    simulator.give_number(first["id"], "+15550199")
    clock.now += 100
    assert [client.numbers() for _ in range(4)] == [["+15550199", "+15550000002"]] * 3 + [["+15550199", None]]


def test_progression_keeps_an_existing_number(simulator: Simulator, client: Any) -> None:
    agent = simulator.add_agent("Has one", phone_number="+15550100", progression="now, lost after 1read")
    assert (agent["phone_number"], client.numbers(), client.numbers()) == ("+15550100", ["+15550100"], [None])


def test_progression_continues_when_the_setting_changes(simulator: Simulator, client: Any, clock: Any) -> None:
    simulator.provision_after = "now, lost after 10s"
    client.create()
    simulator.provision_after = "never"
    client.create()
    assert client.numbers() == ["+15550000001", None]
    clock.now += 10
    assert client.numbers() == [None, None]


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("now", [Step("given", seconds=0)]),
        ("5s", [Step("given", seconds=5)]),
        ("500ms", [Step("given", seconds=0.5)]),
        ("2m", [Step("given", seconds=120)]),
        ("1.5 s", [Step("given", seconds=1.5)]),
        ("3reads", [Step("given", reads=3)]),
        ("3 reads", [Step("given", reads=3)]),
        ("1 read", [Step("given", reads=1)]),
        ("never", []),
        ("Now, lost after 10s", [Step("given", seconds=0), Step("lost", seconds=10)]),
        ("never,gone after 2 reads", [Step("gone", reads=2)]),
        ("1s, changed after 1m, given after 1s", [Step("given", 1), Step("changed", 60), Step("given", 1)]),
    ],
)
def test_progression_parse(text: str, steps: list[Step]) -> None:
    assert list(Progression.parse(text).steps) == steps


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "-1s",
        "5",
        "1.5reads",
        "5h",
        "s",
        "now,",
        "now, lost",
        "now, lost after never",
        "now, sold after 1s",
    ],
)
def test_progression_rejects_invalid_text(text: str) -> None:
    with pytest.raises(ValueError, match="write now, 5s"):
        Progression.parse(text)
