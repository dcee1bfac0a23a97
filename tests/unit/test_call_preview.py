"""Tests the preview of a batch of calls: how many, by whom, when, and who is left out."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_opencx.campaigns.preview import preview_calls
from airflow_provider_opencx.exceptions import (
    OpenCXAgentNotReadyError,
    OpenCXArgumentError,
    OpenCXCallRefusedError,
)
from airflow_provider_opencx.resources.phone_agents import PhoneAgent

AGENT: dict[str, Any] = {"id": "pa_1", "name": "Caller", "type": "outbound", "phone_number": "+15550000001"}
NEW_YORK, SAN_FRANCISCO, NOWHERE = "+12125550101", "+14155550102", "+15550001111"


def test_preview_says_who_calls_whom_when_and_who_is_left_out() -> None:
    people = [NEW_YORK, "+1 (212) 555-0101", SAN_FRANCISCO, NOWHERE, "+12125550103"]
    shown = preview_calls(AGENT, people, do_not_call=["+12125550103"])
    assert shown.summary == "2 people to call, 2 left out."
    assert shown.markdown.splitlines() == [
        "#### 2 people to call",
        "",
        "- Agent: `Caller` (`pa_1`)",
        "- From the number: `+15550000001`",
        "- Hours: every day 09:00 to 20:00, by the clock in America/Los_Angeles, America/New_York",
        "",
        "#### 2 people left out",
        "",
        "- On the do-not-call list: 1",
        "- With a number that shows no time zone: 1",
        "- Rows that name somebody a second time: 1",
    ]


def test_preview_hands_on_those_who_would_be_called_and_no_other() -> None:
    people = [{"phone_number": NEW_YORK, "contact_id": "c1", "name": "Ada"}, SAN_FRANCISCO, NOWHERE]
    handed_on = preview_calls(PhoneAgent(**AGENT), people, do_not_call=[{"contact_id": "c1"}]).as_dict()
    assert handed_on["contacts"] == [{"phone_number": SAN_FRANCISCO, "contact_id": None}]
    assert (handed_on["agent_id"], handed_on["to_call"]) == ("pa_1", 1)
    assert handed_on["left_out"] == {"do_not_call": 1, "unknown_zone": 1}


def test_preview_shows_no_number_of_a_person_and_no_markdown_of_a_name() -> None:
    agent = {**AGENT, "name": "![x](https://x.example) `x`"}
    shown = preview_calls(agent, [NEW_YORK], do_not_call=[SAN_FRANCISCO]).markdown
    assert "`` ![x](https://x.example) `x` ``" in shown
    assert NEW_YORK not in shown
    assert SAN_FRANCISCO not in shown


@pytest.mark.parametrize(
    ("hours", "words"),
    [
        (None, "at any time"),
        ("09:00-12:00, 14:00-24:00", "every day 09:00 to 12:00 and 14:00 to 24:00, by the clock in America/New_York"),
        (
            {"mon-fri": "09:00-20:00", "sat": "10:00-14:00"},
            "Monday to Friday 09:00 to 20:00, Saturday 10:00 to 14:00, Sunday never, by the clock in America/New_York",
        ),
    ],
)
def test_preview_says_hours_in_words(hours: Any, words: str) -> None:
    shown = preview_calls(AGENT, [NEW_YORK], calling_hours=hours).markdown
    assert f"- Hours: {words}\n" in shown


def test_preview_counts_those_of_an_assumed_zone_and_unchecked_contacts() -> None:
    shown = preview_calls(AGENT, [NOWHERE, {"contact_id": "c1"}], unknown_zone="Asia/Tokyo", unchecked=True)
    assert shown.to_call == 2
    assert "by the clock in Asia/Tokyo" in shown.markdown


@pytest.mark.parametrize(
    ("changed", "arguments", "error", "said"),
    [
        ({"type": "inbound"}, {}, OpenCXCallRefusedError, "is not outbound"),
        ({"phone_number": None}, {}, OpenCXAgentNotReadyError, "has no phone number"),
        ({}, {"max_contacts": 1}, OpenCXCallRefusedError, "max_contacts=1"),
        ({}, {"do_not_call": ["nobody"]}, OpenCXArgumentError, "Nobody is called"),
        ({}, {"do_not_call": "list.csv"}, OpenCXArgumentError, "do_not_call: must be a list"),
        ({}, {"calling_hours": "9-20"}, OpenCXArgumentError, "calling_hours"),
        ({}, {"unknown_zone": "Mars"}, OpenCXArgumentError, "unknown_zone"),
        ({}, {"default_region": "XX"}, OpenCXArgumentError, "default_region"),
    ],
)
def test_preview_refuses_what_the_operator_would(
    changed: dict[str, Any], arguments: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        preview_calls({**AGENT, **changed}, [NEW_YORK, SAN_FRANCISCO], **arguments)


def test_preview_refuses_a_contact_of_whom_nothing_can_be_checked() -> None:
    with pytest.raises(OpenCXArgumentError, match="cannot be checked without a number"):
        preview_calls(AGENT, [{"contact_id": "c1"}])
