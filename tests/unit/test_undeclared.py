"""Tests agents that are not declared: which are reported, and which may be a declared agent under another name."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from airflow_provider_opencx.phone_agents.fleet import FleetPlan, plan_fleet
from airflow_provider_opencx.phone_agents.plan import PhoneAgents
from airflow_provider_opencx.resources.phone_agents import PhoneAgent, PhoneAgentSpec


def plan_of(declared: Sequence[str], existing: Sequence[str], ignore: Sequence[str] = ()) -> FleetPlan:
    agents = PhoneAgents([PhoneAgent(id=f"id of {name}", name=name) for name in existing])
    return plan_fleet([PhoneAgentSpec(name=name) for name in declared], agents, ignore=ignore)


@pytest.mark.parametrize(
    ("ignore", "reported"),
    [
        ([], ["Test 1", "Test 2", "[old] A", "Front desk"]),
        (["Test *"], ["[old] A", "Front desk"]),
        (["[old] A"], ["Test 1", "Test 2", "Front desk"]),
        (["Test ?", "[[]old] *", " Front desk "], []),
        (["*"], []),
        (["test *"], ["Test 1", "Test 2", "[old] A", "Front desk"]),
    ],
)
def test_agents_that_are_ignored_are_counted_and_not_listed(ignore: list[str], reported: list[str]) -> None:
    plan = plan_of(["A"], ["A", "Test 1", "Test 2", "[old] A", "Front desk"], ignore)
    assert [agent.name for agent in plan.undeclared] == reported
    assert plan.ignored == 4 - len(reported)
    assert ("ignored" in plan.summary) is (plan.ignored > 0)
    assert plan.as_dict()["ignored"] == plan.ignored


@pytest.mark.parametrize(
    ("declared", "existing", "pairs"),
    [
        (["Renewal, English"], ["Renewal English"], {"Renewal, English": "Renewal English"}),
        (["Spring offer 2027"], ["Spring offer 2026"], {"Spring offer 2027": "Spring offer 2026"}),
        (
            ["Renewal EN", "Renewal DE"],
            ["Renewal (DE)", "Renewal (EN)", "Front desk"],
            {"Renewal EN": "Renewal (EN)", "Renewal DE": "Renewal (DE)"},
        ),
        (["Summer offer"], ["Front desk", "Spring offer"], {"Summer offer": "Spring offer"}),
        (["Front desk"], ["Night line"], {}),
        (["Clinic 20", "Clinic 21"], ["clinic  21"], {}),  # the agent for whose sake Clinic 21 is refused
        (["A"], [], {}),
    ],
)
def test_name_to_create_is_paired_with_the_undeclared_agent_whose_name_is_like_it(
    declared: list[str], existing: list[str], pairs: dict[str, str]
) -> None:
    plan = plan_of(declared, existing)
    assert {pair.name: pair.agent.name for pair in plan.possible_renames} == pairs
    for name, other in pairs.items():
        assert f"“{name}” may be the new name of “{other}”" in plan.text
    assert ("Was an agent renamed?" in plan.text) is bool(existing)


def test_pairing_a_large_fleet_takes_no_minute() -> None:
    declared = [f"New agent of the campaign number {number}" for number in range(300)]
    existing = [f"Old agent of the campaign number {number}" for number in range(3000)]
    started = time.process_time()
    assert plan_of(declared, existing).possible_renames == ()
    assert time.process_time() - started < 5
