"""Tests how the page of agents says that an agent differs from the last plan."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_opencx.phone_agents.declarations import parse_fleet
from airflow_provider_opencx.phone_agents.fleet import plan_fleet
from airflow_provider_opencx.phone_agents.plan import PhoneAgents
from airflow_provider_opencx.plugins.drift import CLOCKS_DIFFER, WORDS, Drift, Verdict, judge
from airflow_provider_opencx.plugins.last_plan import LastPlan, TaskOfPlan
from airflow_provider_opencx.reconciliation.organization import Organization
from airflow_provider_opencx.resources.phone_agents import PhoneAgent

PLANNED_AT = datetime(2026, 5, 4, 12, tzinfo=UTC)
BEFORE, AFTER = ((PLANNED_AT + timedelta(hours=hours)).isoformat() for hours in (-1, 1))
TASK = TaskOfPlan("fleet", "manual__1", "plan")
HERE = Organization("https://api.open.cx", "opencx_default", "org_1")


def agent(agent_id: str, name: str, **fields: Any) -> PhoneAgent:
    defaults = {"org_id": "org_1", "type": "outbound", "created_at": BEFORE, "updated_at": BEFORE}
    return PhoneAgent.from_response({"id": agent_id, "name": name, **defaults, **fields})


def planned(
    declared: list[dict[str, Any]],
    agents: list[PhoneAgent],
    *,
    ignore: tuple[str, ...] = (),
    written_at: datetime | None = None,
) -> LastPlan:
    plan = plan_fleet(parse_fleet(declared), PhoneAgents(agents), HERE, ignore=ignore)
    last = LastPlan.of_xcom(plan.as_dict(), TASK, PLANNED_AT, written_at)
    assert last is not None
    return last


def test_agents_without_a_plan_are_not_judged() -> None:
    assert judge([agent("1", "Sales")], None).verdicts == {"1": Verdict(Drift.UNKNOWN)}


WAS = agent("1", "Sales", first_message="Hi", voice_id="v1", language=["en"], actionIds=["b", "a"])
SALES = {"name": "Sales", "first_message": "Hello", "language": "en", "action_ids": ["a", "c"]}


@pytest.mark.parametrize(
    ("declared", "now", "verdict"),
    [
        ({"name": "Sales", "first_message": "Hi"}, {}, Verdict(Drift.AS_PLANNED)),
        ({"name": "Sales", "first_message": "Hi"}, {"updated_at": AFTER}, Verdict(Drift.CHANGED)),
        ({"name": "Sales", "first_message": "Hi"}, {"updated_at": "long ago"}, Verdict(Drift.UNKNOWN)),
        (SALES, {}, Verdict(Drift.DIFFERS, ("first_message", "action_ids"))),
        (SALES, {"first_message": "Hello"}, Verdict(Drift.DIFFERS, ("action_ids",))),
        (SALES, {"first_message": "Hello", "actionIds": ["c", "a"], "updated_at": AFTER}, Verdict(Drift.UNKNOWN)),
        (SALES, {"first_message": 5}, Verdict(Drift.DIFFERS, ("first_message", "action_ids"))),
        ({"name": "Sales", "voice_id": None}, {}, Verdict(Drift.AS_PLANNED)),
        ({"name": "Sales", "handoff_phone_number": "+14155550100"}, {"handoff_phone_number": 7}, Verdict(
            Drift.UNKNOWN, ("handoff_phone_number",))),
    ],
    ids=[
        "as it was", "changed later", "time cannot be read", "not written yet", "written in part", "written",
        "odd value", "left to the service", "unreadable",
    ],
)  # fmt: skip
def test_declared_agent_is_compared_with_its_plan(
    declared: dict[str, Any], now: dict[str, Any], verdict: Verdict
) -> None:
    plan = planned([declared], [WAS])
    is_now = PhoneAgent.from_response({**WAS.as_dict(), **now})
    assert judge([is_now], plan).verdicts == {"1": verdict}


def test_change_after_a_sync_is_seen_and_its_own_write_is_not() -> None:
    written_at = PLANNED_AT + timedelta(minutes=5)
    plan = planned([SALES], [WAS], written_at=written_at)
    written = {**WAS.as_dict(), "first_message": "Hello", "actionIds": ["a", "c"]}
    for updated_at, drift in (
        (written_at, Drift.AS_PLANNED),
        (written_at + CLOCKS_DIFFER, Drift.AS_PLANNED),
        (written_at + 2 * CLOCKS_DIFFER, Drift.CHANGED),
    ):
        now = PhoneAgent.from_response({**written, "updated_at": updated_at.isoformat()})
        assert judge([now], plan).verdicts == {"1": Verdict(drift)}, updated_at


def test_whether_more_was_changed_than_the_number_that_came_is_not_known() -> None:
    plan = planned([{"name": "Sales"}], [WAS])
    now = PhoneAgent.from_response({**WAS.as_dict(), "phone_number": "+14155550100", "updated_at": AFTER})
    assert judge([now], plan).verdicts == {"1": Verdict(Drift.UNKNOWN)}


def test_agent_that_is_gone_and_one_that_was_to_be_created_are_missing() -> None:
    plan = planned([{"name": "Sales", "first_message": "Hi"}, {"name": "Support"}], [WAS])
    judged = judge([], plan)
    assert judged.verdicts == {}
    assert [each.name for each in judged.missing] == ["Sales", "Support"]


def test_created_agent_is_found_by_its_name_until_a_plan_knows_its_id() -> None:
    plan = planned([{"name": "Support", "first_message": "Hi"}], [])
    judged = judge([agent("2", "Support ", first_message="Hi", updated_at=AFTER)], plan)
    assert judged.verdicts == {"2": Verdict(Drift.UNKNOWN)}
    assert judged.missing == ()


def test_another_agent_under_the_name_is_a_change() -> None:
    plan = planned([{"name": "Sales"}], [WAS])
    judged = judge([agent("2", "Sales")], plan)
    assert judged.verdicts == {"2": Verdict(Drift.CHANGED)}
    assert judged.missing == ()


def test_planned_agent_may_be_the_one_whose_name_cannot_be_read() -> None:
    plan = planned([{"name": "Support", "first_message": "Hi"}], [])
    judged = judge([agent("2", 5)], plan)  # type: ignore[arg-type]  # what no service should send
    assert judged.missing == ()
    assert [each.name for each in judged.unseen] == ["Support"]


def test_undeclared_ignored_and_new_agents_are_three_things() -> None:
    other, test = agent("2", "Other"), agent("3", "Test 1")
    plan = planned([{"name": "Sales"}], [WAS, other, test], ignore=("Test *",))
    new = agent("4", "Test 2", created_at=AFTER)
    verdicts = judge([WAS, other, test, new], plan).verdicts
    assert {agent_id: verdict.drift for agent_id, verdict in verdicts.items()} == {
        "1": Drift.AS_PLANNED,
        "2": Drift.NOT_DECLARED,
        "3": Drift.IGNORED,
        "4": Drift.NOT_DECLARED,
    }


def test_refused_declaration_is_shown_at_its_agents() -> None:
    twice = [agent("1", "Sales"), agent("2", "Sales")]
    plan = planned([{"name": "Sales"}], twice)
    assert {verdict.drift for verdict in judge(twice, plan).verdicts.values()} == {Drift.REFUSED}
    assert judge([], plan).missing == ()


def test_verdict_never_holds_a_value() -> None:
    plan = planned([{"name": "Sales", "additional_fields": {"webhook_key": "s3cret"}}], [WAS])
    verdict = judge([WAS], plan).verdicts["1"]
    assert verdict == Verdict(Drift.DIFFERS, ("webhook_key",))
    assert "s3cret" not in repr(verdict)


def test_every_drift_has_words() -> None:
    assert set(WORDS) == set(Drift)


@pytest.mark.parametrize(
    ("plan", "here", "is_for"),
    [
        (HERE, HERE, True),
        (HERE, Organization("https://staging.example", "opencx_default", "org_1"), False),
        (HERE, Organization(HERE.base_url, "another_connection", "org_1"), True),
        (HERE, Organization(HERE.base_url, "opencx_default", "org_2"), False),
        (HERE, Organization(HERE.base_url, "opencx_default", None), True),
        (Organization(HERE.base_url, "opencx_default", None), HERE, True),
        (Organization(HERE.base_url, "another_connection", None), HERE, False),
    ],
)
def test_plan_is_for_its_organization_or_its_connection(plan: Organization, here: Organization, is_for: bool) -> None:
    xcom = {**plan.as_dict(), "agents": [], "undeclared": []}
    last = LastPlan.of_xcom(xcom, TASK, PLANNED_AT)
    assert last is not None
    assert last.is_for(here) is is_for


@pytest.mark.parametrize(
    "xcom",
    [
        None,
        5,
        "s3://bucket/xcom/1.json",
        pytest.param("[" * 200_000, id="deep"),
        "[1, 2]",
        [],
        {},
        {"agents": [], "undeclared": []},
        [{"id": "1"}],
    ],
)
def test_xcom_that_holds_no_plan_is_none(xcom: object) -> None:
    assert LastPlan.of_xcom(xcom, TASK, PLANNED_AT) is None


def test_plan_of_odd_parts_is_read_as_far_as_it_can_be() -> None:
    xcom = {
        **HERE.as_dict(),
        "agents": [5, {"id": "1"}, {"name": "Sales", "id": 7, "changes": ["?", {"field": "model"}], "phone_number": 9}],
        "undeclared": "all",
        "ignored": "none",
        "lost_numbers": [{"id": "3", "phone_number": "+14155550100"}, None],
    }
    last = LastPlan.of_xcom(xcom, TASK, PLANNED_AT)
    assert last is not None
    assert [(each.name, each.id, each.wanted) for each in last.agents] == [("Sales", None, {"model": None})]
    assert (last.undeclared_ids, last.ignored, last.numbers) == (frozenset(), 0, {"3": "+14155550100"})
