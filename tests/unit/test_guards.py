"""Tests guards: a plan that does more than expected, or is for another organization, writes nothing."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from airflow_provider_opencx.exceptions import OpenCXArgumentError, OpenCXFleetPermanentError, OpenCXGuardError
from airflow_provider_opencx.hooks.opencx import OpenCXHook
from airflow_provider_opencx.phone_agents.declarations import parse_fleet
from airflow_provider_opencx.reconciliation import listing
from airflow_provider_opencx.reconciliation.guards import Guards
from airflow_provider_opencx.simulator import EmptyList, Simulator

FLEET = parse_fleet([{"name": name, "first_message": "Hello."} for name in ("new", "newer", "there")])

OVER: dict[str, tuple[Guards, str]] = {
    "creates": (Guards(max_creates=1), "would create 2 agents in organization .* max_creates allows 1"),
    "updates": (Guards(max_updates=0), "would update 1 agents in organization .* max_updates allows 0"),
    "organization": (Guards(expected_org_id="org_other"), "organization 'org_other' is expected, and this is"),
}


@pytest.fixture
def one_differs(connected: Simulator) -> str:
    return str(connected.add_agent("there", type="outbound", first_message="Hi.")["org_id"])


@pytest.mark.parametrize(("guards", "says"), OVER.values(), ids=OVER)
def test_plan_over_a_guard_is_refused_and_says_what_it_would_have_done(
    guards: Guards, says: str, one_differs: str, connected: Simulator, hook: OpenCXHook
) -> None:
    with pytest.raises(OpenCXGuardError, match=rf"{says}.* It would create 'new', 'newer' and update 'there'\."):
        hook.apply_plan(hook.plan_phone_agents(FLEET), guards=guards)
    assert not connected.writes


def test_plan_within_its_guards_is_applied(one_differs: str, connected: Simulator, hook: OpenCXHook) -> None:
    guards = Guards(max_creates=2, max_updates=1, expected_org_id=one_differs)
    hook.apply_plan(hook.plan_phone_agents(FLEET), guards=guards)
    assert sorted(record.method for record in connected.writes) == ["PATCH", "POST", "POST"]
    hook.apply_plan(hook.plan_phone_agents(FLEET), guards=Guards(0, 0, one_differs))


def test_organization_without_agents_is_none_that_is_expected(connected: Simulator, hook: OpenCXHook) -> None:
    with pytest.raises(OpenCXGuardError, match="shows no id"):
        hook.apply_plan(hook.plan_phone_agents(FLEET), guards=Guards(expected_org_id="org_1"))
    assert not connected.writes


def test_guard_holds_for_a_plan_that_is_made_anew(
    one_differs: str, connected: Simulator, hook: OpenCXHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("new", "newer"):
        connected.add_agent(name, type="outbound", first_message="Hello.")
    plan = hook.plan_phone_agents(FLEET)
    for agent in connected.agents():
        if agent["name"] == "newer":
            connected.change_agent(str(agent["id"]), first_message="Changed meanwhile.")
    monkeypatch.setattr(listing, "STALE_AFTER", -1)
    with pytest.raises(OpenCXGuardError, match="would update 2 agents"):
        hook.apply_plan(plan, guards=Guards(max_updates=1))
    assert not connected.writes


@pytest.mark.parametrize(("most", "updated"), [(0, 0), (1, 1), (None, 2)])
def test_guard_holds_for_what_was_to_be_created_and_exists(
    most: int | None, updated: int, connected: Simulator, hook: OpenCXHook
) -> None:
    for name in ("new", "newer"):
        connected.add_agent(name, type="outbound", first_message="Hi.")
    connected.fail("listPhoneAgents", EmptyList())
    plan = hook.plan_phone_agents(FLEET[:2])
    assert [step.action for step in plan.steps] == ["create", "create"]
    with nullcontext() if most is None else pytest.raises(OpenCXFleetPermanentError, match="more than max_updates"):
        hook.apply_plan(plan, guards=Guards(max_updates=most))
    assert [record.method for record in connected.writes] == ["PATCH"] * updated


@pytest.mark.parametrize("wrong", [{"max_creates": -1}, {"max_updates": True}, {"max_creates": "many"}])
def test_guard_is_a_whole_number(wrong: dict[str, int]) -> None:
    with pytest.raises(OpenCXArgumentError, match="must be a whole number"):
        Guards(**wrong)
