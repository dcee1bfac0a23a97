"""Tests that a phone number that an agent has lost is reported as a kind of drift of its own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_provider_opencx.exceptions import OpenCXDriftError, OpenCXError
from airflow_provider_opencx.phone_agents.fleet import FleetPlan, plan_fleet
from airflow_provider_opencx.phone_agents.plan import PhoneAgents
from airflow_provider_opencx.resources.phone_agents import PhoneAgent, PhoneAgentSpec

HAD = "+14155550100"


def plan_with(number: str | None, known: dict[str, str]) -> FleetPlan:
    agent = PhoneAgent(id="1", name="A", phone_number=number)
    plan = plan_fleet([PhoneAgentSpec(name="A")], PhoneAgents([agent]))
    return replace(plan, known_numbers=known)


@pytest.mark.parametrize(
    ("now", "says", "seen"),
    [
        (None, f"'{HAD}' is gone", HAD),
        ("pending", f"'{HAD}' is gone", HAD),
        ("", f"'{HAD}' is gone", HAD),
        ("+14155550199", f"'{HAD}' is '+14155550199' now", "+14155550199"),
    ],
)
def test_number_that_is_gone_is_drift(now: str | None, says: str, seen: str) -> None:
    plan = plan_with(now, {"1": HAD})
    assert [step.action for step in plan.steps] == ["unchanged"]
    with pytest.raises(OpenCXDriftError, match="1 of 1 agents have lost their phone numbers") as raised:
        plan.check_drift()
    assert says in str(raised.value)
    assert raised.value.lost_numbers == {"1": HAD}
    assert OpenCXError.from_event(raised.value.to_event()).lost_numbers == {"1": HAD}  # type: ignore[attr-defined]
    assert "ATTENTION: 1 agent lost the phone number" in plan.text
    assert plan.as_dict()["lost_numbers"] == [{"id": "1", "name": "A", "phone_number": HAD}]
    assert plan.numbers_seen == {"1": seen}


@pytest.mark.parametrize(
    ("now", "known"),
    [(HAD, {"1": HAD}), ("+1 (415) 555-0100", {"1": HAD}), (HAD, {}), (None, {}), (HAD, {"2": "+14155550177"})],
)
def test_number_that_is_there_still_or_was_never_seen_is_no_drift(now: str | None, known: dict[str, str]) -> None:
    plan = plan_with(now, known)
    plan.check_drift()
    assert plan.numbers_seen == known | ({} if now is None else {"1": now})
    assert ("has no phone number yet" in plan.text) is (now is None)


def test_number_of_an_agent_that_is_refused_today_is_known_tomorrow() -> None:
    agents = [PhoneAgent(id=agent_id, name="A", phone_number=None) for agent_id in ("1", "2")]
    plan = replace(plan_fleet([PhoneAgentSpec(name="A")], PhoneAgents(agents)), known_numbers={"1": HAD})
    assert [step.action for step in plan.steps] == ["refuse"]
    assert plan.numbers_seen == {"1": HAD}


def test_number_is_remembered_while_a_list_lacks_its_agent() -> None:
    plan = plan_fleet([PhoneAgentSpec(name="A")], PhoneAgents([]))
    seen = replace(plan, known_numbers={"1": HAD}).numbers_seen
    with pytest.raises(OpenCXDriftError, match=f"'\\{HAD}' is gone"):
        plan_with(None, seen).check_drift()
