"""Tests lists that are stale, empty or incomplete, repeat agents, or move between pages, over a socket."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_opencx.simulator import (
    EmptyList,
    EndlessPages,
    Fault,
    IncompleteList,
    MovedPages,
    RepeatedIds,
    Simulator,
    StaleList,
)

GENERATIONS = ("2024", "2025", "2026")

every_generation = pytest.mark.parametrize("generation", GENERATIONS)
generations_with_pages = pytest.mark.parametrize("generation", ["2024", "2025"])


def whole_list(client: Any) -> list[dict[str, Any]]:
    """Read the list to its end."""
    agents: list[dict[str, Any]] = []
    cursor = None
    while True:
        body = client.get("/phone", params={"cursor": cursor} if cursor else {}).json()
        if isinstance(body, list):
            return body
        agents += body["items"]
        cursor = body["next"]
        if cursor is None:
            return agents


def greetings(client: Any) -> dict[str, tuple[str, str | None]]:
    """Return the first message and the number of each agent, by name."""
    return {agent["name"]: (agent["first_message"], agent["phone_number"]) for agent in whole_list(client)}


@every_generation
@pytest.mark.parametrize(
    ("of", "expected"),
    [
        ("both", {"Old": ("before", None), "Removed": ("Hello?", None)}),
        ("creates", {"Old": ("after", "+15550000001")}),
        ("updates", {"Old": ("before", None), "New": ("as created", None)}),
    ],
)
def test_list_fault_stale(
    simulator: Simulator, client: Any, clock: Any, generation: str, of: Any, expected: dict[str, Any]
) -> None:
    simulator.provision_after = "20s"
    client.create("Old", first_message="before")
    removed = client.create("Removed")
    clock.now += 15
    new = client.create("New", first_message="as created")
    clock.now += 5
    client.patch("/phone/pa_000001", json={"first_message": "after"})
    client.patch(f"/phone/{new['id']}", json={"first_message": "changed"})
    simulator.remove_agent(removed["id"])
    clock.now += 8
    simulator.fail("listPhoneAgents", StaleList(14, of=of), times=None)
    assert greetings(client) == expected
    simulator.heal()
    assert greetings(client) == {"Old": ("after", "+15550000001"), "New": ("changed", None)}


def test_list_fault_stale_catches_up(simulator: Simulator, client: Any, clock: Any) -> None:
    simulator.fail("listPhoneAgents", StaleList(10), times=None)
    agent = client.create("Made")
    assert client.listed() == []
    clock.now += 9.9
    assert client.listed() == []
    clock.now += 0.1
    assert client.listed() == [agent]
    changed = client.patch(f"/phone/{agent['id']}", json={"first_message": "Changed"}).json()
    assert client.listed() == [agent]
    clock.now += 10
    assert client.listed() == [changed]


def test_list_fault_stale_by_the_time_at_which_a_number_came(simulator: Simulator, client: Any, clock: Any) -> None:
    simulator.provision_after = "20s"
    client.create("Made")
    clock.now += 100  # nobody has read the list meanwhile
    simulator.fail("listPhoneAgents", StaleList(79))
    simulator.fail("listPhoneAgents", StaleList(81))
    assert client.numbers() == ["+15550000001"]
    assert client.numbers() == [None]


def test_list_fault_stale_counts_as_a_read(simulator: Simulator, client: Any) -> None:
    simulator.provision_after = "1read"
    client.create("Made")
    simulator.fail("listPhoneAgents", StaleList(5))
    assert client.listed() == []
    assert client.numbers() == ["+15550000001"]


def test_list_fault_stale_shows_nothing_that_was_never_valid(simulator: Simulator, client: Any, clock: Any) -> None:
    agent = client.create("Valid")
    with pytest.raises(Exception, match="not valid"):
        simulator.change_agent(agent["id"], type="sideways")
    with pytest.raises(Exception, match="not valid"):
        simulator.add_agent("Never valid", type="sideways")
    simulator.fail("listPhoneAgents", RepeatedIds())
    simulator.fail("listPhoneAgents", StaleList(0))
    assert client.listed() == [agent, agent]
    assert client.listed() == [agent]


@every_generation
@pytest.mark.parametrize(
    ("fault", "shown"),
    [
        (EmptyList(), 0),
        (IncompleteList(), 4),
        (IncompleteList(lost=2), 3),
        (IncompleteList(lost=9), 0),
        (IncompleteList(share=0.5), 3),
        (IncompleteList(share=0.01), 4),
        (IncompleteList(share=1), 0),
    ],
)
def test_list_fault_loses_the_newest(
    simulator: Simulator, client: Any, generation: str, assert_documented: Any, fault: Fault, shown: int
) -> None:
    names = [f"Agent {number}" for number in range(5)]
    for name in names:
        simulator.add_agent(name)
    simulator.fail("listPhoneAgents", fault, times=None)
    assert_documented(client.get("/phone"), "listPhoneAgents", generation)
    assert [agent["name"] for agent in whole_list(client)] == names[:shown]
    simulator.heal()
    assert [agent["name"] for agent in whole_list(client)] == names


def test_list_fault_shows_each_agent_twice(simulator: Simulator, client: Any) -> None:
    unchanged = client.create("Unchanged")
    before = client.create("Changed")
    client.patch(f"/phone/{before['id']}", json={"first_message": "One"})
    one = client.listed()[1]
    two = client.patch(f"/phone/{before['id']}", json={"first_message": "Two"}).json()
    simulator.fail("listPhoneAgents", RepeatedIds())
    assert client.listed() == [unchanged, two, unchanged, one]
    assert client.listed() == [unchanged, two]


@generations_with_pages
def test_list_fault_shows_each_agent_of_a_page_twice(simulator: Simulator, client: Any, generation: str) -> None:
    for number in range(3):
        simulator.add_agent(f"Agent {number}")
    simulator.fail("listPhoneAgents", RepeatedIds(), times=None)
    assert [agent["name"][-1] for agent in whole_list(client)] == list("010122")


@pytest.mark.parametrize(
    ("generation", "by", "expected"),
    [
        ("2024", 1, "0112334"),
        ("2024", 2, "010123234"),
        ("2024", 9, "01012301234"),
        ("2024", -1, "0134"),
        ("2024", -9, "01"),
        ("2025", 1, "0112334"),
        ("2026", 1, "01234"),
        ("2026", -1, "01234"),
    ],
)
def test_list_fault_moves_pages(simulator: Simulator, client: Any, by: int, expected: str) -> None:
    for number in range(5):
        simulator.add_agent(f"Agent {number}")
    simulator.fail("listPhoneAgents", MovedPages(by), times=None)
    assert "".join(agent["name"][-1] for agent in whole_list(client)) == expected


@generations_with_pages
@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ("new", ["Agent 0", "Agent 1", "Agent 0_1", "Agent 1_1", "Agent 0_2", "Agent 1_2"]),
        ("same", ["Agent 0", "Agent 1"] * 3),
        ("none", []),
    ],
)
def test_list_fault_pages_have_no_end(
    simulator: Simulator, client: Any, generation: str, assert_documented: Any, items: Any, expected: list[str]
) -> None:
    for number in range(5):
        simulator.add_agent(f"Agent {number}")
    simulator.fail("listPhoneAgents", EndlessPages(items), times=None)
    names: list[str] = []
    ids: list[str] = []
    cursors: list[str] = []
    for _ in range(3):
        response = client.get("/phone", params={"cursor": cursors[-1]} if cursors else {})
        assert_documented(response, "listPhoneAgents", generation)
        names += [agent["name"] for agent in response.json()["items"]]
        ids += [agent["id"] for agent in response.json()["items"]]
        cursors.append(response.json()["next"])
    assert names == expected
    assert len(set(ids)) == len(set(expected))
    assert len(set(cursors)) == 3


def test_list_fault_pages_have_no_end_but_there_are_none(simulator: Simulator, client: Any) -> None:
    for number in range(5):
        simulator.add_agent(f"Agent {number}")
    simulator.fail("listPhoneAgents", EndlessPages())
    assert len(client.listed()) == 5


@pytest.mark.parametrize(
    "fault", [StaleList(60), EmptyList(), EndlessPages(), IncompleteList(), RepeatedIds(), MovedPages()]
)
def test_list_fault_leaves_other_operations_and_errors(simulator: Simulator, client: Any, fault: Fault) -> None:
    for operation in ("createPhoneAgent", "listPhoneVoices", "listPhoneAgents"):
        simulator.fail(operation, fault)
    assert client.create("Made")["name"] == "Made"
    assert len(client.get("/phone/voices").json()) == 3
    del client.headers["Authorization"]
    assert client.get("/phone").status_code == 401


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StaleList(-1), "-1"),
        (lambda: EndlessPages("old"), "new, same, none"),
        (lambda: StaleList(float("inf")), "inf"),
        (lambda: StaleList(1, of="deletes"), "deletes"),
        (lambda: IncompleteList(0), "one item"),
        (lambda: IncompleteList(share=0), "share"),
        (lambda: IncompleteList(share=1.5), "share"),
    ],
)
def test_list_fault_rejects_invalid_arguments(make: Callable[[], Fault], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
