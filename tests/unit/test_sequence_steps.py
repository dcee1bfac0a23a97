"""Tests the steps of a sequence as they are sent, and how stored steps differ."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_opencx.campaigns.sequences.declaration import SequenceDeclaration, custom_id_of
from airflow_provider_opencx.campaigns.sequences.filters import filter_of
from airflow_provider_opencx.campaigns.sequences.guards import check_steps_known
from airflow_provider_opencx.campaigns.sequences.preview import preview_sequence
from airflow_provider_opencx.campaigns.sequences.steps import agents_of, checked_steps, differing_steps, phone_step
from airflow_provider_opencx.exceptions import OpenCXArgumentError, OpenCXCallRefusedError
from airflow_provider_opencx.resources.calls import Callee
from airflow_provider_opencx.resources.sequences import OutboundSequence

AGENT = {"id": "pa_1", "name": "Aria", "phone_number": "+15550000001"}
CALL: dict[str, Any] = {
    "action": {"type": "make_phone_calls", "data": {"aiPhoneAgentId": "pa_1"}},
    "delay_in_minutes": 0,
}
MAIL: dict[str, Any] = {
    "action": {"type": "send_emails", "data": {"subject": "Hello", "list": [1, {"a": None}]}},
    "note": "kept",
}


def test_steps_are_written_with_the_id_of_the_agent_and_minutes() -> None:
    steps = checked_steps([phone_step(AGENT), phone_step("pa_2", delay=timedelta(hours=1.5)), MAIL])
    assert steps == [
        CALL,
        {"action": {"type": "make_phone_calls", "data": {"aiPhoneAgentId": "pa_2"}}, "delay_in_minutes": 90},
        MAIL,
    ]
    assert agents_of([*steps, CALL]) == ["pa_1", "pa_2"]
    assert agents_of(checked_steps([{"action": {"type": "make_phone_calls", "data": {"agent": "x"}}}])) == [None]


@pytest.mark.parametrize(
    "written",
    [
        None,
        [],
        "make_phone_calls",
        CALL,
        [None],
        [{}],
        [{"action": "make_phone_calls"}],
        [{"action": {"type": "", "data": {}}}],
        [{"action": {"type": "send_emails"}}],
        [phone_step("")],
        [phone_step(None)],  # type: ignore[arg-type]  # what a skipped task has returned
        [phone_step({"name": "Aria"})],
        [{**CALL, "delay_in_minutes": "5"}],
        [{**CALL, "delay_in_minutes": -1}],
        [{**CALL, "delay_in_minutes": True}],
        [{**MAIL, "note": {1}}],
        [{**MAIL, "note": "\ud800"}],
        [{**MAIL, "note": 10**30}],
    ],
    ids=repr,
)
def test_a_step_that_is_not_one_is_refused(written: Any) -> None:
    with pytest.raises(OpenCXArgumentError, match=r"steps|agent"):
        checked_steps(written)


@pytest.mark.parametrize(
    ("stored", "difference"),
    [
        ([CALL, MAIL], None),
        ([{**CALL, "started_at": "2026-11-29T10:00:00Z", "id": "s1"}, {**MAIL, "delay_in_minutes": 0}], None),
        ([{**CALL, "delay_in_minutes": None}, MAIL], None),
        ([{"action": CALL["action"]}, MAIL], None),
        ([CALL], "2 steps asked for, and 1 step stored"),
        ([], "2 steps asked for, and 0 steps stored"),
        (None, "2 steps asked for, and 0 steps stored"),
        ([MAIL, CALL], "steps[0].action.type is not stored as asked"),
        ([{**CALL, "delay_in_minutes": 5}, MAIL], "steps[0].delay_in_minutes is not stored as asked"),
        ([{"action": {"type": "make_phone_calls", "data": {}}}, MAIL], "steps[0].action.data.aiPhoneAgentId"),
        ([{"action": {"type": "make_phone_calls"}}, MAIL], "steps[0].action.data.aiPhoneAgentId"),
        ([CALL, {"action": {"type": "send_emails", "data": {"subject": "Hello"}}}], "steps[1].action.data.list"),
    ],
    ids=repr,
)
def test_stored_steps_are_compared_with_what_was_asked(stored: Any, difference: str | None) -> None:
    found = differing_steps([CALL, MAIL], stored)
    assert found is None if difference is None else str(found).startswith(difference)


NOBODY_YET = {"action": {"type": "make_phone_calls", "data": {}}, "delay_in_minutes": 0}
REDIRECTED = {"type": "make_phone_calls", "data": {"aiPhoneAgentId": "pa_1", "phoneNumberOverride": "+1900"}}


@pytest.mark.parametrize(
    ("asked", "stored", "added"),
    [
        (CALL, CALL, None),
        (CALL, {**CALL, "started_at": "2026-11-29T10:00:00Z", "repeats": 5}, None),
        (CALL, {**CALL, "action": {**CALL["action"], "note": None}}, None),
        (MAIL, {**MAIL, "action": {**MAIL["action"], "data": {**MAIL["action"]["data"], "cc": None}}}, None),
        ({**CALL, "action": {**CALL["action"], "note": None}}, CALL, None),
        (NOBODY_YET, CALL, ".action.data.aiPhoneAgentId"),
        (CALL, {**CALL, "action": REDIRECTED}, ".action.data.phoneNumberOverride"),
        (CALL, {**CALL, "action": {**CALL["action"], "repeats": 5}}, ".action.repeats"),
    ],
    ids=repr,
)
def test_what_is_added_to_an_action_is_a_difference_where_the_action_was_confirmed(
    asked: Any, stored: Any, added: str | None
) -> None:
    """The service adds its defaults when it stores a step; what is added after that, somebody has added."""
    assert differing_steps([asked], [stored]) is None
    found = differing_steps([asked], [stored], actions_exactly=True)
    assert found == (None if added is None else f"steps[0]{added} is not stored as asked")


def test_a_confirmed_sequence_is_compared_with_the_actions_as_they_were_stored() -> None:
    stored = OutboundSequence.from_response({**STORED, "steps": [{**CALL, "action": REDIRECTED, "ended_at": None}]})
    confirmed = DECLARED.asked.as_confirmed(stored)
    assert confirmed.steps == [{**CALL, "action": REDIRECTED}]
    assert not confirmed.differences(stored, actions_exactly=True)
    assert confirmed.differences(OutboundSequence.from_response(STORED), actions_exactly=True).keys() == {"steps"}
    assert DECLARED.asked.as_confirmed(OutboundSequence.from_response(STORED)).differences(
        stored, actions_exactly=True
    ).keys() == {"steps"}
    assert not DECLARED.asked.differences(stored), "a create that is cleared agrees with what the service has added"


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([CALL, MAIL], None),
        ([NOBODY_YET], None),  # the check of agents names it
        (None, "sequence 'Spring' .* shows no steps"),
        ([], "sequence 'Spring' .* shows no steps"),
        ([CALL, {"action": {"type": "dial", "data": {}}}], r"does not say who calls in steps\[1\],"),
        ([{"action": "make_phone_calls"}, {}], r"in steps\[0\], steps\[1\],"),
    ],
    ids=repr,
)
def test_steps_that_do_not_tell_who_calls_are_named(
    steps: Any, said: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    sequence = OutboundSequence.from_response({**STORED, "steps": steps})
    with nullcontext() if said is None else pytest.raises(OpenCXCallRefusedError, match=said):
        check_steps_known(sequence, unchecked=False)
    check_steps_known(sequence, unchecked=True)
    assert ("the agent is not checked" in caplog.text) is (said is not None)


PEOPLE = [Callee("+14155550101"), Callee("+14155550102")]
DECLARED = SequenceDeclaration("Spring", "spring-1", filter_of(PEOPLE), [CALL])
STORED = {"id": "seq_1", "name": "Spring", "custom_id": "spring-1", **DECLARED.changes()}


@pytest.mark.parametrize(
    ("changes", "differences"),
    [
        ({}, {}),
        ({"name": "spring", "custom_id": None, "status": "new in 2027"}, {}),
        ({"is_continuous": True}, {"is_continuous": "is not stored as false"}),
        ({"is_continuous": None}, {"is_continuous": "is not stored as false"}),
        ({"filter": None}, {"filter": "was to select 2 people, and selects every contact of the organization"}),
        ({"filter": filter_of(PEOPLE[:1])}, {"filter": "was to select 2 people, and selects 1 person"}),
        ({"steps": []}, {"steps": "1 step asked for, and 0 steps stored"}),
    ],
    ids=repr,
)
def test_a_stored_sequence_is_compared_in_what_decides_who_is_called(
    changes: dict[str, Any], differences: dict[str, str]
) -> None:
    found = DECLARED.asked.differences(OutboundSequence.from_response({**STORED, **changes}))
    assert found.keys() == differences.keys()
    assert all(said in found[field] for field, said in differences.items())


@pytest.mark.parametrize("status", ["active", "complete", "Completed", None])
@pytest.mark.parametrize("field", ["started_at", "ended_at", "steps"])
@pytest.mark.parametrize("moment", ["2026-11-29T10:00:00Z", 1795946400, {"seconds": 1795946400}], ids=str)
def test_one_sign_is_enough_that_a_sequence_has_begun(status: str | None, field: str, moment: Any) -> None:
    signs: dict[str, Any] = {field: [{**CALL, "started_at": moment}] if field == "steps" else moment}
    assert OutboundSequence.from_response({**STORED, **signs}).has_begun
    assert OutboundSequence.from_response({**STORED, "status": status}).has_begun is (status is not None)
    assert not OutboundSequence.from_response({**STORED, "status": "pending", "started_at": ""}).has_begun


def test_custom_ids_are_readable_and_no_two_alike() -> None:
    names = [
        ("spring_campaign", "create", "manual__2026-11-29T10:00:00+00:00", "-1"),
        ("spring_campaign", "create", "manual__2026-11-29T10:00:00+00:00", "0"),
        ("spring_campaign", "create", "manual__2026-11-30T10:00:00+00:00", "-1"),
        ("spring", "campaign-create", "manual__2026-11-29T10:00:00+00:00", "-1"),
        ("d" * 250, "t" * 250, "r" * 250, "-1"),
        ("Кампания", "шаг", "run", "-1"),
    ]
    made = [custom_id_of(*each) for each in names]
    assert made[0].startswith("spring_campaign-create-")
    assert len(set(made)) == len(made)
    assert all(0 < len(each) <= 50 and each.isascii() for each in made)
    assert made == [custom_id_of(*each) for each in names]


@pytest.mark.parametrize(
    ("steps", "lines", "is_warned"),
    [
        ([CALL], ["Step 1: a call by `Aria`"], False),
        ([phone_step("pa_1", delay=300)], ["Step 1: a call by `Aria`, 5 hours after the start"], True),
        (
            [CALL, phone_step("pa_1", delay=1440)],
            ["Step 1: a call by `Aria`", "Step 2: a call by `Aria`, 1 day after the step before"],
            True,
        ),
        ([CALL, MAIL], ["Step 1: a call by `Aria`", "Step 2: send_emails"], True),
    ],
    ids=["at once", "first step later", "second step later", "two steps"],
)
def test_a_preview_says_when_each_step_begins_and_that_one_that_begins_later_may_leave_the_hours(
    steps: Any, lines: list[str], is_warned: bool
) -> None:
    created = {"id": "seq_1", "asked": {**DECLARED.asked.as_json(), "steps": steps}}
    shown = preview_sequence(created, AGENT).markdown
    assert [line.removeprefix("- ") for line in shown.splitlines() if line.startswith("- Step ")] == lines
    assert ("a step that begins later may call at another hour" in shown) is is_warned


def test_a_preview_says_how_many_by_whom_and_when_and_no_number_of_a_person() -> None:
    asked = DECLARED.asked.as_json()
    created = {
        "id": "seq_1",
        "name": "Spring *offer*",
        "left_out": {"do_not_call": 1},
        "zones": ["America/Los_Angeles"],
        "asked": asked,
    }
    preview = preview_sequence(created, [AGENT], calling_hours={"mon-fri": "10:00-18:00"})
    assert preview.summary == "2 people to call, 1 left out."
    for said in ("Aria", "15550000001", "10:00 to 18:00", "America", "On the do-not-call list: 1", "2 people to call"):
        assert said in preview.markdown
    assert "4155550101" not in str(preview.as_dict())
    assert preview.as_dict()["sequence"] == created, "a start that is given it compares with what was confirmed"
    unknown = preview_sequence({**created, "asked": {**asked, "people": None}}, AGENT)
    assert unknown.summary.startswith("Number of people unknown, ")
    with pytest.raises(OpenCXArgumentError, match="pa_1"):
        preview_sequence(created, [])
    nothing: Any = None  # as a task that was skipped returns it
    with pytest.raises(OpenCXArgumentError, match="pa_1"):
        preview_sequence(created, nothing)
    for other in ({"id": "seq_1"}, {**created, "asked": None}, nothing):
        with pytest.raises(OpenCXArgumentError, match="OpenCXCreateSequenceOperator"):
            preview_sequence(other, [AGENT])
