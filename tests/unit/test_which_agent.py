"""Tests which agent an entry of a fleet belongs to: by its id, by its name, or by its previous name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import pytest

from airflow_provider_opencx.exceptions import (
    OpenCXArgumentError,
    OpenCXFleetPermanentError,
    OpenCXPlanRefusedError,
    OpenCXResponseError,
)
from airflow_provider_opencx.hooks.opencx import OpenCXHook
from airflow_provider_opencx.phone_agents.declarations import parse_fleet
from airflow_provider_opencx.phone_agents.entry import FleetEntry, entry_kinds
from airflow_provider_opencx.resources.phone_agents import PhoneAgentChanges
from airflow_provider_opencx.simulator import AlterItems, EmptyList, IncompleteList, Simulator

Entry = Mapping[str, object]


def apply(hook: OpenCXHook, *entries: Entry) -> list[str]:
    """Return the names of the fleet's agents, after its plan was applied."""
    return [agent.name or "" for agent in hook.apply_plan(hook.plan_phone_agents(parse_fleet(entries)))]


def actions(hook: OpenCXHook, *entries: Entry) -> list[str]:
    return [step.action for step in hook.plan_phone_agents(parse_fleet(entries)).steps]


RENAMES: dict[str, Callable[[str], Entry]] = {
    "in the file, by its id": lambda agent_id: {"name": "New", "id": agent_id},
    "in the file, by its previous name": lambda agent_id: {"name": "New", "previous_name": "Old"},
    "in the file, to a near name": lambda agent_id: {"name": "OLD ", "previous_name": "Old"},
    "in the dashboard, by its id": lambda agent_id: {"name": "As it was", "id": agent_id},
}


@pytest.mark.parametrize("entry_of", RENAMES.values(), ids=RENAMES)
def test_renamed_agent_keeps_its_id_and_its_number_and_takes_one_patch(
    entry_of: Callable[[str], Entry], connected: Simulator, hook: OpenCXHook
) -> None:
    before = connected.add_agent("Old", type="outbound")
    entry = entry_of(str(before["id"]))
    plan = hook.plan_phone_agents(parse_fleet([entry]))
    assert [step.action for step in plan.steps] == ["update"]
    assert f"name: from “Old” to “{str(entry['name']).strip()}”" in plan.text
    assert plan.undeclared == ()
    hook.apply_plan(plan)
    [after] = connected.agents()
    assert {**before, "name": str(entry["name"]).strip(), "updated_at": after["updated_at"]} == after
    assert [record.method for record in connected.writes] == ["PATCH"]
    assert actions(hook, entry) == ["unchanged"]


def test_agent_of_an_id_is_not_looked_for_by_name(connected: Simulator, hook: OpenCXHook) -> None:
    one, another = (connected.add_agent("Twice", type="outbound") for _ in range(2))
    assert apply(hook, {"name": "Twice", "id": one["id"], "first_message": "One."}) == ["Twice"]
    assert [agent["first_message"] for agent in connected.agents()] == ["One.", another["first_message"]]


def test_entry_with_a_previous_name_that_nobody_has_is_created(connected: Simulator, hook: OpenCXHook) -> None:
    entry = {"name": "New", "previous_name": "Old"}
    assert apply(hook, entry) == ["New"]
    assert actions(hook, entry) == ["unchanged"]
    connected.add_agent("Old", type="outbound")
    plan = hook.plan_phone_agents(parse_fleet([entry]))
    assert ([step.action for step in plan.steps], [agent.name for agent in plan.undeclared]) == (["unchanged"], ["Old"])


def test_previous_name_that_several_have_is_refused(connected: Simulator, hook: OpenCXHook) -> None:
    for _ in range(2):
        connected.add_agent("Old", type="outbound")
    plan = hook.plan_phone_agents(parse_fleet([{"name": "New", "previous_name": "Old"}]))
    with pytest.raises(OpenCXPlanRefusedError, match="2 agents are named 'Old'"):
        plan.check()
    assert plan.undeclared == ()


def test_id_that_nobody_has_is_refused_and_no_agent_created(connected: Simulator, hook: OpenCXHook) -> None:
    connected.add_agent("A", type="outbound")
    plan = hook.plan_phone_agents(parse_fleet([{"name": "A", "id": "gone"}]))
    with pytest.raises(OpenCXPlanRefusedError, match=r"no phone agent gone .*The agent of that name has the id"):
        hook.apply_plan(plan)
    assert not connected.writes


def test_id_that_one_read_does_not_show_is_found_by_the_next(connected: Simulator, hook: OpenCXHook) -> None:
    agent = connected.add_agent("A", type="outbound")
    connected.fail("listPhoneAgents", EmptyList())
    assert actions(hook, {"name": "A", "id": agent["id"]}) == ["unchanged"]


def test_id_that_may_be_one_which_cannot_be_read_is_looked_for_again(connected: Simulator, hook: OpenCXHook) -> None:
    agent = connected.add_agent("A", type="outbound")
    connected.add_agent("B", type="outbound")
    connected.fail("listPhoneAgents", AlterItems(None), times=3)
    plan = hook.plan_phone_agents(parse_fleet([{"name": "A", "id": agent["id"]}]))
    [step] = plan.steps
    assert step.is_unreadable
    with pytest.raises(OpenCXResponseError, match="is not known"):
        plan.check_drift()


SAME_AGENT: dict[str, Callable[[str], Sequence[Entry]]] = {
    "by id and by name": lambda agent_id: [{"name": "New", "id": agent_id}, {"name": "Old"}],
    "by id and by previous name": lambda agent_id: [
        {"name": "New", "id": agent_id},
        {"name": "Newer", "previous_name": "Old"},
    ],
}


@pytest.mark.parametrize("entries_of", SAME_AGENT.values(), ids=SAME_AGENT)
def test_two_entries_about_one_agent_are_refused(
    entries_of: Callable[[str], Sequence[Entry]], connected: Simulator, hook: OpenCXHook
) -> None:
    agent_id = str(connected.add_agent("Old", type="outbound")["id"])
    plan = hook.plan_phone_agents(parse_fleet(entries_of(agent_id)))
    assert [step.action for step in plan.steps] == ["refuse", "refuse"]
    with pytest.raises(OpenCXPlanRefusedError, match=f"are declarations of one agent, {agent_id}:"):
        hook.apply_plan(plan)
    assert not connected.writes


TO_RENAME: dict[str, Callable[[str], Entry]] = {
    "by its id": lambda agent_id: {"name": "New", "id": agent_id},
    "by its previous name": lambda agent_id: {"name": "New", "previous_name": "Old"},
}


@pytest.mark.parametrize("entry_of", TO_RENAME.values(), ids=TO_RENAME)
def test_list_that_lacks_the_agent_of_the_new_name_makes_no_second_one(
    entry_of: Callable[[str], Entry], connected: Simulator, hook: OpenCXHook
) -> None:
    old, *_ = (connected.add_agent(name, type="outbound") for name in ("Old", "Another", "New"))
    before = connected.agents()
    connected.fail("listPhoneAgents", IncompleteList())
    plan = hook.plan_phone_agents(parse_fleet([entry_of(str(old["id"]))]))
    assert [step.action for step in plan.steps] == ["update"]
    with suppress(OpenCXFleetPermanentError):
        assert [agent.id for agent in hook.apply_plan(plan)] == [before[-1]["id"]]
    assert (connected.agents(), connected.writes) == (before, [])


def test_update_by_id_gives_no_name_that_one_list_does_not_show(connected: Simulator, hook: OpenCXHook) -> None:
    old, *_ = (connected.add_agent(name, type="outbound") for name in ("Old", "Another", "New"))
    connected.fail("listPhoneAgents", IncompleteList())
    with pytest.raises(OpenCXPlanRefusedError, match="cannot be renamed to 'New'"):
        hook.update_phone_agent(agent_id=str(old["id"]), changes=PhoneAgentChanges(name="New"))
    assert not connected.writes


def test_previous_name_that_is_near_that_of_an_agent_creates_none(connected: Simulator, hook: OpenCXHook) -> None:
    connected.add_agent("Old  one", type="outbound")
    entry = {"name": "New", "previous_name": "old one"}
    with pytest.raises(OpenCXPlanRefusedError, match="write its name as it is as previous_name; if another"):
        apply(hook, entry)
    assert apply(hook, {**entry, "previous_name": "Old  one"}) == ["New"]
    assert len(connected.agents()) == 1


def test_approved_rename_is_applied_and_nothing_else(connected: Simulator, hook: OpenCXHook) -> None:
    connected.add_agent("Old", type="outbound")
    specs = parse_fleet([{"name": "New", "previous_name": "Old"}])
    approved = hook.plan_phone_agents(specs).as_dict()
    assert [agent.name for agent in hook.apply_plan(hook.plan_phone_agents(specs), approved=approved)] == ["New"]
    assert hook.apply_plan(hook.plan_phone_agents(specs), approved=approved)  # is done
    connected.reset()
    with pytest.raises(OpenCXPlanRefusedError):
        hook.apply_plan(hook.plan_phone_agents(specs), approved=approved)
    assert not connected.agents()


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"id": ""}, "id: must not be empty"),
        ({"id": None}, "id: must not be empty"),
        ({"previous_name": " "}, "previous_name: must not be empty"),
        ({"id": "1", "previous_name": "B"}, "write one of them"),
        ({"voice": "Aria", "voice_id": "v"}, "write one of them"),
        ({"agent_id": "1"}, "did you mean id"),
        ({"id": 5}, "id: must be text"),
    ],
)
def test_wrong_entry_is_refused(fields: Entry, says: str) -> None:
    with pytest.raises(OpenCXArgumentError, match=says):
        parse_fleet([{"name": "A", **fields}])


def test_nothing_that_says_which_agent_is_sent() -> None:
    own = entry_kinds().keys() - {"name"}
    [entry] = parse_fleet([{"name": "A", "id": "1", "voice": "Aria"}])
    assert entry.body() == entry.declared_fields == {"name": "A"}
    assert {"id", "previous_name", "voice"} <= own
    assert FleetEntry.of(entry) is entry


@pytest.mark.parametrize("field", ["id", "previous_name", "voice"])
def test_key_that_says_which_agent_is_refused_and_not_shown(field: str, connected: Simulator, hook: OpenCXHook) -> None:
    with pytest.raises(OpenCXArgumentError, match=f"{field} of phone agent 'A': holds a secret") as raised:
        hook.plan_phone_agents(parse_fleet([{"name": "A", field: "this is test-key"}]))
    assert "test-key" not in str(raised.value)
    assert not connected.requests
