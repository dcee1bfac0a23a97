"""Tests names that a reader takes for the same name."""

from __future__ import annotations

import html
from collections.abc import Callable

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from airflow_provider_opencx.exceptions import OpenCXAgentNotFoundError, OpenCXNearNameError
from airflow_provider_opencx.normalization import normalize_name
from airflow_provider_opencx.phone_agents.declarations import parse_fleet
from airflow_provider_opencx.phone_agents.fleet import FleetPlan, plan_fleet
from airflow_provider_opencx.phone_agents.names import difference_of, near_form, tidied
from airflow_provider_opencx.phone_agents.plan import (
    Create,
    PhoneAgents,
    Refuse,
    plan_create,
    plan_upsert,
    require_agent,
)
from airflow_provider_opencx.phone_agents.waiting import Wait
from airflow_provider_opencx.resources.phone_agents import PhoneAgent, PhoneAgentSpec
from airflow_provider_opencx.visible_text import in_quotes

NEAR = [
    ("Spring offer", "spring offer", "letter case"),
    ("Straße", "STRASSE", "letter case"),
    ("Spring offer", "Spring  offer", "blanks"),
    ("Spring offer", "Spring\toffer", "a character (U+0009)"),
    ("Spring offer", "Spring\N{NO-BREAK SPACE}offer", "a NO-BREAK SPACE (U+00A0)"),
    ("Spring offer", "Spring\N{THIN SPACE}offer", "a THIN SPACE (U+2009)"),
    ("Spring offer", "Spring \N{ZERO WIDTH SPACE}offer", "a ZERO WIDTH SPACE (U+200B)"),
    ("Spring offer", "Spring of\N{SOFT HYPHEN}fer", "a SOFT HYPHEN (U+00AD)"),
    ("Spring offer", "\N{ZERO WIDTH NO-BREAK SPACE}Spring offer", "a ZERO WIDTH NO-BREAK SPACE (U+FEFF)"),
    ("Spring offer", "Spring offer\N{VARIATION SELECTOR-16}", "a VARIATION SELECTOR-16 (U+FE0F)"),
    ("Spring offer", "Spring offer\N{HANGUL FILLER}", "a HANGUL FILLER (U+3164)"),
    ("Spring offer", "Spring offer\x07", "a character (U+0007)"),
    ("Spring-offer", "Spring\N{EN DASH}offer", "the dash"),
    ("Spring-offer", "Spring\N{NON-BREAKING HYPHEN}offer", "the dash"),
    ("Spring-offer", "Spring\N{MINUS SIGN}offer", "the dash"),
    ("Ann's offer", "Ann\N{RIGHT SINGLE QUOTATION MARK}s offer", "the quotes"),
    ("Ann's offer", "Ann\N{ACUTE ACCENT}s offer", "the quotes"),
    ('The "offer"', "The \N{LEFT DOUBLE QUOTATION MARK}offer\N{RIGHT DOUBLE QUOTATION MARK}", "the quotes"),
    ("Offer 1", "O\N{LATIN SMALL LIGATURE FF}er \N{FULLWIDTH DIGIT ONE}", "the spelling of characters (NFKC)"),
    ("A & B", "A &amp;amp; B", "HTML escapes"),
    ("Spring offer", "SPRING\N{NO-BREAK SPACE}OFFER", "letter case and a NO-BREAK SPACE (U+00A0)"),
    ("x" * 70, "x" * 64, "its end"),
]

APART = [
    ("Spring offer", "Spring offers"),
    ("Spring offer", "Springoffer"),
    ("Spring-offer", "Spring offer"),
    ("Offer 1", "Offer 2"),
    ("Zoe", "Zo\N{LATIN SMALL LETTER E WITH DIAERESIS}"),
    ("Spring offer", "Spring offer \N{SNOWMAN}"),
]


def agents(*names: str) -> PhoneAgents:
    return PhoneAgents([PhoneAgent(id=f"pa_{number}", name=name) for number, name in enumerate(names, 1)])


def spec(name: str) -> PhoneAgentSpec:
    return PhoneAgentSpec(name=name)


@pytest.mark.parametrize(("name", "existing", "difference"), NEAR)
def test_create_beside_near_name_is_refused_and_both_are_named(name: str, existing: str, difference: str) -> None:
    for plan in (plan_upsert(spec(name), agents(existing)), plan_create(spec(name), agents(existing), "adopt")):
        assert isinstance(plan, Refuse)
        assert isinstance(plan.error, OpenCXNearNameError)
        assert plan.error.agent_ids == ["pa_1"]
        assert str(plan.error).startswith(
            f"No agent is named {in_quotes(name)}, and there is phone agent {in_quotes(existing)} (pa_1)"
        )
        assert f"differs only in {difference}. " in str(plan.error)


@pytest.mark.parametrize(("name", "existing", "difference"), NEAR)
def test_create_beside_near_name_can_be_allowed_and_says_whose(name: str, existing: str, difference: str) -> None:
    plan = plan_upsert(spec(name), agents(existing), allow_near_name=True)
    assert plan == Create(spec(name), near=tuple(agents(existing)))
    assert difference_of(name, existing) == difference


@pytest.mark.parametrize(("name", "other", "_"), NEAR)
def test_near_names_declared_together_are_refused_or_allowed(name: str, other: str, _: str) -> None:
    specs = parse_fleet([{"name": name}, {"name": other}])
    with_cut = len(name) != 70
    refused = plan_fleet(specs, agents())
    assert refused.refused == (2 if with_cut else 1)
    assert f"{in_quotes(name)} and {in_quotes(other)} are both declared, and differ only in" in str(
        refused.steps[0].plan.error
    )  # type: ignore[union-attr]
    allowed = plan_fleet(specs, agents(), allow_near_name=True)
    assert [step.action for step in allowed.steps] == ["create", "create"]
    assert allowed.as_dict()["agents"][0]["near"] == [{"id": None, "name": other}]  # type: ignore[index,call-overload]


def test_near_names_that_exist_both_are_kept_as_declared() -> None:
    plan = plan_fleet([spec("Spring offer"), spec("spring offer")], agents("spring offer", "Spring offer"))
    assert [step.item_id for step in plan.steps] == ["pa_2", "pa_1"]


@pytest.mark.parametrize(("name", "existing"), APART)
def test_other_names_are_created(name: str, existing: str) -> None:
    assert plan_upsert(spec(name), agents(existing)) == Create(spec(name))


@pytest.mark.parametrize(("name", "existing"), [(name, other) for name, other, _ in NEAR])
def test_missing_name_is_said_with_the_near_one(name: str, existing: str) -> None:
    with pytest.raises(
        OpenCXAgentNotFoundError, match=r"Did you mean phone agent .* \(pa_1\), whose name differs only"
    ):
        require_agent(agents(existing), agent_name=name)
    wait = Wait(agent_name=[name, "another"])
    assert wait.evaluate(agents(existing), at=0) is None
    [warning] = wait.warnings
    assert warning.startswith(f"No phone agent is named {in_quotes(name)} or 'another' yet")
    assert f"(there is phone agent {in_quotes(existing)} (pa_1), whose name differs only in " in warning
    wait.evaluate(agents(existing), at=60)
    assert wait.warnings == []


def approved(plan: FleetPlan, fleet: list[PhoneAgentSpec], later: PhoneAgents) -> list[str]:
    """Return what is planned anew, agent by agent, once somebody has approved a plan."""
    now = plan_fleet(fleet, later, **ALLOWED)
    return [now.plan_again(step, later, plan.as_dict()).action for step in now.steps]


ALLOWED = {"allow_near_name": True}


def test_approval_is_bound_to_the_near_names_it_was_given_for() -> None:
    fleet = [spec("Spring offer")]
    alone, beside = plan_fleet(fleet, agents(), **ALLOWED), plan_fleet(fleet, agents("spring offer"), **ALLOWED)
    assert approved(alone, fleet, agents()) == ["create"]
    assert approved(beside, fleet, agents("spring offer")) == ["create"]
    assert approved(beside, fleet, agents()) == ["create"]
    assert approved(alone, fleet, agents("spring offer")) == ["refuse"]
    assert approved(beside, fleet, agents("spring offer", "SPRING OFFER")) == ["refuse"]


def test_approval_of_near_names_outlives_the_create_of_the_first() -> None:
    fleet = [spec("Spring offer"), spec("spring offer")]
    assert approved(plan_fleet(fleet, agents(), **ALLOWED), fleet, agents("Spring offer")) == ["unchanged", "create"]


NAMES = st.text(
    st.characters(codec="utf-8") | st.sampled_from(" -'\"&;#x27ampAB\u00b4\u2018\u2019\u2033\u2013\u200b\xa0"),
    max_size=20,
)
STORES: list[Callable[[str], str]] = [tidied, html.escape, str.upper, str.casefold, lambda name: f"{name}\u200b"]


@settings(deadline=None)
@given(NAMES, st.sampled_from(STORES))
def test_agent_that_a_service_stored_otherwise_is_near(name: str, stores: Callable[[str], str]) -> None:
    assume(near_form(name) and normalize_name(stores(name)) != normalize_name(name))
    existing = agents(stores(name))
    assert existing.near(name) == list(existing)
    assert difference_of(name, stores(name))


@settings(deadline=None)
@given(NAMES, NAMES)
def test_nearness_goes_both_ways(name: str, other: str) -> None:
    assert bool(agents(name).near(other)) == bool(agents(other).near(name))
