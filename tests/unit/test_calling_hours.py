"""Tests calling hours: in the time zone of the person, and in every zone where the person may be."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_opencx.campaigns.calling_hours import DAYS, CallingHours, zones_of
from airflow_provider_opencx.campaigns.guards import DoNotCall, Guards, Verdict
from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.resources.calls import Callee

BERLIN, CALIFORNIA, NEW_YORK, TOLL_FREE = "+4930555010", "+14155550101", "+12125550101", "+18005550101"


def at(text: str, zone: str = "UTC") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


@pytest.mark.parametrize(
    ("hours", "local", "allowed"),
    [
        ("09:00-20:00", "2026-11-29T08:59:59", False),
        ("09:00-20:00", "2026-11-29T09:00:00", True),
        ("09:00-20:00", "2026-11-29T19:59:59", True),
        ("09:00-20:00", "2026-11-29T20:00:00", False),
        ("00:00-24:00", "2026-11-29T23:59:59", True),
        ("09:00-12:00, 14:00-18:00", "2026-11-30T12:30:00", False),
        ("09:00-12:00, 14:00-18:00", "2026-11-30T14:00:00", True),
        ({"mon-fri": "09:00-20:00"}, "2026-11-29T12:00:00", False),  # a Sunday
        ({"mon-fri": "09:00-20:00"}, "2026-11-30T12:00:00", True),
        ({"mon-fri": "09:00-20:00", "Sat,Sun": "10:00-14:00"}, "2026-11-29T12:00:00", True),
        ({"sat": "10:00-14:00"}, "2026-11-28T13:59:00", True),
    ],
)
def test_hours_are_those_of_the_person(hours: Any, local: str, allowed: bool) -> None:
    for zone in ("Europe/Berlin", "America/Los_Angeles", "Asia/Kolkata"):
        assert CallingHours.parse(hours).allow([zone], at(local, zone)) is allowed


@pytest.mark.parametrize(
    "hours",
    [
        "9-20",
        "20:00-09:00",
        "09:00-09:00",
        "09:00",
        "25:00-26:00",
        "09:00-24:30",
        "",
        {},
        {"monday": "09:00-20:00"},
        {"fri-mon": "09:00-20:00"},
        {"mon": "09:00-20:00", "mon-fri": "09:00-20:00"},
        {"mon": None},
        5,
        ["09:00-20:00"],
    ],
)
def test_hours_that_are_none_are_refused(hours: Any) -> None:
    with pytest.raises(OpenCXArgumentError, match="calling_hours"):
        CallingHours.parse(hours)


@pytest.mark.parametrize(
    ("zones", "now", "opening"),
    [
        (["Europe/Berlin"], "2026-11-29T10:00", "2026-11-29T10:00"),
        (["Europe/Berlin"], "2026-11-29T03:00", "2026-11-29T08:00"),
        (["Europe/Berlin"], "2026-11-29T21:00", "2026-11-30T08:00"),
        (["Europe/Berlin", "America/New_York"], "2026-11-29T09:00", "2026-11-29T14:00"),
        (["Europe/Berlin", "America/Los_Angeles"], "2026-11-29T09:00", "2026-11-29T17:00"),
        (["Asia/Tokyo", "America/Sao_Paulo"], "2026-11-29T09:00", None),
        # The night in which clocks go forward: the day begins at 9 by the new time.
        (["Europe/Berlin"], "2026-03-29T00:30", "2026-03-29T07:00"),
        (["Europe/Berlin"], "2026-03-28T00:30", "2026-03-28T08:00"),
    ],
)
def test_next_opening_is_the_first_moment_that_suits_all(zones: list[str], now: str, opening: str | None) -> None:
    found = CallingHours.parse("09:00-20:00").next_opening(zones, at(now))
    assert found == (None if opening is None else at(opening))


@pytest.mark.parametrize(
    ("hours", "now", "opening"),
    [
        # The clocks of New York go from 02:00 to 03:00 on March 8, and from 02:00 back to 01:00 on November 1.
        ("02:30-03:30", "2026-03-07T16:00", "2026-03-08T07:00"),
        ("02:15-02:45", "2026-03-07T16:00", "2026-03-09T06:15"),
        ("01:30-01:45", "2026-11-01T05:00", "2026-11-01T05:30"),
        ("01:30-01:45", "2026-11-01T05:50", "2026-11-01T06:30"),
    ],
)
def test_hours_that_begin_while_clocks_are_changed_open_on_that_day(hours: str, now: str, opening: str) -> None:
    assert CallingHours.parse(hours).next_opening(["America/New_York"], at(now)) == at(opening)


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)),
    st.sets(st.sampled_from(["Europe/Berlin", "America/Los_Angeles", "Asia/Kolkata", "Pacific/Apia"]), min_size=1),
    st.dictionaries(st.sampled_from(DAYS), st.sampled_from(["09:00-20:00", "00:00-24:00", "12:00-12:30"]), min_size=1),
)
def test_next_opening_is_allowed_and_nothing_before_it_is(
    moment: datetime, zones: set[str], hours: dict[str, str]
) -> None:
    now, parsed = moment.replace(tzinfo=UTC), CallingHours.parse(hours)
    found = parsed.next_opening(zones, now)
    if found is None:
        return
    assert parsed.allow(zones, found)
    steps = (now + (found - now) * part / 50 for part in range(50))
    assert found == now or not any(parsed.allow(zones, step) for step in steps)


@pytest.mark.parametrize(
    ("number", "zones"),
    [
        (BERLIN, ("Europe/Berlin",)),
        (CALIFORNIA, ("America/Los_Angeles",)),
        (NEW_YORK, ("America/New_York",)),
        ("+80055501010", ()),
    ],
)
def test_numbers_tell_their_zones(number: str, zones: tuple[str, ...]) -> None:
    assert zones_of(number) == zones


def test_a_number_of_many_zones_is_called_only_when_all_allow() -> None:
    assert len(zones_of(TOLL_FREE)) > 10
    guards = Guards(hours=CallingHours.parse("09:00-20:00"))
    assert guards.verdict(Callee(TOLL_FREE), at("2026-11-29T15:00")).hindrance == "outside_hours"


NOON_IN_BERLIN = at("2026-11-29T12:00", "Europe/Berlin")


@pytest.mark.parametrize(
    ("guards", "callee", "verdict"),
    [
        (Guards(), Callee(CALIFORNIA), Verdict()),
        (Guards(hours=CallingHours.parse("09:00-20:00")), Callee(BERLIN), Verdict(zones=("Europe/Berlin",))),
        (
            Guards(hours=CallingHours.parse("09:00-20:00")),
            Callee(CALIFORNIA),
            Verdict("outside_hours", at("2026-11-29T17:00"), ("America/Los_Angeles",)),
        ),
        (Guards(hours=CallingHours.parse("09:00-20:00")), Callee("+80055501010"), Verdict("unknown_zone")),
        (
            Guards(hours=CallingHours.parse("09:00-20:00"), unknown_zone="Europe/Paris"),
            Callee("+80055501010"),
            Verdict(zones=("Europe/Paris",)),
        ),
        (Guards(hours=CallingHours.parse("09:00-20:00"), unchecked=True), Callee(None, "c1"), Verdict()),
        (
            Guards(hours=CallingHours.parse("09:00-20:00"), unchecked=True),
            Callee("+80055501010"),
            Verdict("unknown_zone"),
        ),
        (
            Guards(hours=CallingHours.parse("09:00-20:00"), unknown_zone="America/Los_Angeles", unchecked=True),
            Callee(None, "c1"),
            Verdict("outside_hours", at("2026-11-29T17:00"), ("America/Los_Angeles",)),
        ),
        (
            Guards(hours=CallingHours.parse("09:00-20:00"), unknown_zone="Europe/Paris", unchecked=True),
            Callee(None, "c1"),
            Verdict(zones=("Europe/Paris",)),
        ),
        (Guards(hours=CallingHours.parse("09:00-20:00")), Callee(None, "c1"), Verdict("unknown_zone")),
        (Guards(DoNotCall(frozenset({BERLIN}))), Callee(BERLIN), Verdict("do_not_call")),
        (Guards(DoNotCall(frozenset({"contact:c1"}))), Callee(BERLIN, "c1"), Verdict("do_not_call")),
        (Guards(DoNotCall(frozenset({CALIFORNIA}))), Callee(BERLIN), Verdict()),
    ],
)
def test_verdict(guards: Guards, callee: Callee, verdict: Verdict) -> None:
    assert guards.verdict(callee, NOON_IN_BERLIN) == verdict
    assert bool(verdict.reason) is (verdict.hindrance is not None)


def test_a_contact_without_a_number_is_refused_unless_that_is_meant() -> None:
    with pytest.raises(OpenCXArgumentError, match="unchecked=True"):
        Guards().check_known([Callee(BERLIN), Callee(None, "c1")])
    Guards(unchecked=True).check_known([Callee(None, "c1")])
    Guards().check_known([Callee(BERLIN, "c1")])
