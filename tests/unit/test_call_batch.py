"""Tests calls to several people in one task: the order of the requests, and which errors stop the rest."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fsspec
import pytest

from airflow_provider_opencx.campaigns import calls, rate_limited
from airflow_provider_opencx.campaigns.calling_hours import CallingHours
from airflow_provider_opencx.campaigns.calls import CallBatch, CallPolicy, CallSender, CallsMade
from airflow_provider_opencx.campaigns.guards import DoNotCall, Guards
from airflow_provider_opencx.campaigns.ledger import Entry, ObjectLedger, digests, slots_by_name
from airflow_provider_opencx.client import once
from airflow_provider_opencx.exceptions import (
    OpenCXAuthenticationError,
    OpenCXCallRefusedError,
    OpenCXCallsNotAllowedError,
    OpenCXContactsChangedError,
    OpenCXError,
    OpenCXLedgerError,
    OpenCXOutsideCallingHoursError,
    OpenCXRateLimitError,
    OpenCXUnknownCallOutcomeError,
)
from airflow_provider_opencx.hooks.opencx import OpenCXHook
from airflow_provider_opencx.resources.calls import Callee, call_body
from airflow_provider_opencx.simulator import ErrorResponse, LoseResponse, Respond, Simulator, TooManyRequests
from airflow_provider_opencx.simulator.responses import error_body

PEOPLE = [Callee(f"+141555501{number:02d}") for number in range(10)]
HOURS = Guards(hours=CallingHours.parse("09:00-20:00"))
NIGHT = Guards(hours=CallingHours.parse("01:00-02:00"))


class Records(dict[str, Entry]):
    """A ledger in this process, which notes what is done to it, and fails where it should."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[str] = []
        self.broken: set[str] = set()

    def _note(self, operation: str) -> None:
        self.done.append(operation)
        if operation in self.broken:
            raise OpenCXLedgerError(f"The record could not be {operation}.")

    def read(self, slot: str) -> Entry | None:
        self._note("read")
        return self.get(slot)

    def begin(self, slot: str, entry: Entry, *, after: Entry | None) -> Entry | None:
        self._note("begun")
        if slot in self and self[slot] != after:
            return self[slot]
        self[slot] = entry
        return None

    def finish(self, slot: str, entry: Entry) -> None:
        self._note("finished")
        self[slot] = entry

    def forget(self, slot: str, *, after: Entry | None) -> None:
        self._note("forgotten")
        del self[slot]
        if after is not None:
            self[slot] = after


class Clock:
    """The time of the day that the batch sees; a call takes a minute of it."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 30, 20, 0, tzinfo=UTC).timestamp()  # noon in California
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    time_of_test = SimpleNamespace(time=lambda: clock.now, sleep=clock.sleep, monotonic=time.monotonic)
    for module in (calls, once, rate_limited):
        monkeypatch.setattr(module, "time", time_of_test)
    return clock


@pytest.fixture
def records() -> Records:
    return Records()


@pytest.fixture
def calling(connected: Simulator) -> Simulator:
    connected.add_agent("Caller", type="outbound")
    return connected


@pytest.fixture
def call(calling: Simulator, records: Records, clock: Clock, hook: OpenCXHook) -> Callable[..., CallsMade]:
    def call(
        people: list[Callee] = PEOPLE,
        guards: Guards = HOURS,
        slots_of: Callable[[Callee], Mapping[str, str]] = slots_by_name,
        *,
        no_record_means_nothing_sent: bool = True,
        **policy: Any,
    ) -> CallsMade:
        def body_of(agent_id: str, callee: Callee) -> Mapping[str, Any]:
            clock.now += 60
            return call_body(agent_id, callee, "camel")

        batch = CallBatch(
            hook.get_conn(),
            records,
            slots_of,
            CallPolicy(guards, by="this try", **policy),
            CallSender(hook.get_conn(), lambda: "pa_000001", body_of),
            no_record_means_nothing_sent=no_record_means_nothing_sent,
        )
        return batch.call(people)

    return call


def in_one_place(callee: Callee) -> dict[str, str]:
    return {"one": digests(callee)[0]}


def statuses(made: CallsMade) -> list[str]:
    return [result.status for result in made.in_order()]


def numbers(simulator: Simulator) -> list[str | None]:
    return [dialed.phone_number for dialed in simulator.dialed()]


def test_each_is_called_once_and_recorded_before_and_after(
    call: Callable[..., CallsMade], calling: Simulator, records: Records
) -> None:
    made = call()
    assert (statuses(made), made.error) == (["called"] * 10, None)
    assert numbers(calling) == [each.phone_number for each in PEOPLE]
    assert records.done == ["read"] * 10 + ["begun", "finished"] * 10
    again = call()
    assert [each.as_dict() for each in again.in_order()] == [each.as_dict() for each in made.in_order()]
    assert len(calling.dialed()) == 10


def test_a_response_of_many_levels_does_not_hold_up_the_others(
    calling: Simulator, hook: OpenCXHook, tmp_path: Path
) -> None:
    calling.fail("makeOutboundCall", Respond(200, "[" * 500 + "]" * 500), times=1)
    ledger = ObjectLedger(lambda: (fsspec.filesystem("file"), str(tmp_path)), "the folder")
    sender = CallSender(
        hook.get_conn(), lambda: "pa_000001", lambda agent_id, callee: call_body(agent_id, callee, "camel")
    )
    batch = CallBatch(hook.get_conn(), ledger, slots_by_name, CallPolicy(Guards()), sender)
    made = batch.call(PEOPLE[:2])
    assert (statuses(made), made.error) == (["called", "called"], None)


def test_an_unknown_outcome_does_not_hold_up_the_others(
    call: Callable[..., CallsMade], calling: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    calling.fail("makeOutboundCall", LoseResponse())
    made = call(PEOPLE[:3])
    assert isinstance(made.error, OpenCXUnknownCallOutcomeError)
    assert made.error.contacts == [PEOPLE[0].phone_number]
    assert "2 of 3 people were called." in str(made.error)
    assert statuses(made) == ["unknown", "called", "called"]
    again = call(PEOPLE[:3])
    assert isinstance(again.error, OpenCXUnknownCallOutcomeError)
    assert len(calling.dialed()) == 3


@pytest.mark.parametrize(
    ("on_unknown", "calls_of_the_first", "status"), [("skip", 1, "unknown"), ("repeat", 2, "called")]
)
def test_an_unknown_outcome_is_what_was_said_of_it(
    call: Callable[..., CallsMade],
    calling: Simulator,
    clock: Clock,
    on_unknown: str,
    calls_of_the_first: int,
    status: str,
) -> None:
    calling.fail("makeOutboundCall", LoseResponse())
    assert call(PEOPLE[:2]).error is not None
    clock.now += 600
    made = call(PEOPLE[:2], on_unknown=on_unknown)
    assert (made.error, statuses(made)) == (None, [status, "called"])
    assert numbers(calling).count(PEOPLE[0].phone_number) == calls_of_the_first
    assert statuses(call(PEOPLE[:2], on_unknown=on_unknown)) == [status, "called"]
    assert numbers(calling).count(PEOPLE[0].phone_number) == calls_of_the_first


@pytest.mark.parametrize("on_unknown", ["fail", "skip", "repeat"])
def test_three_unknown_outcomes_in_a_row_stop_the_batch(
    call: Callable[..., CallsMade], calling: Simulator, on_unknown: str
) -> None:
    calling.fail("makeOutboundCall", ErrorResponse(500), times=None)
    made = call(on_unknown=on_unknown)
    assert isinstance(made.error, OpenCXUnknownCallOutcomeError)
    assert "7 people were not called" in str(made.error)
    assert calling.count("makeOutboundCall") == 3


def test_calls_that_somebody_else_makes_say_nothing_about_the_service(
    call: Callable[..., CallsMade], calling: Simulator, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, of_others = records.begin, {slot for callee in PEOPLE[:4] for slot in slots_by_name(callee)}

    def overtaken(slot: str, entry: Entry, *, after: Entry | None) -> Entry | None:
        return Entry(slot, "noon", "another task") if slot in of_others else begin(slot, entry, after=after)

    monkeypatch.setattr(records, "begin", overtaken)
    made = call(PEOPLE[:6])
    assert statuses(made) == ["unknown"] * 4 + ["called"] * 2
    assert isinstance(made.error, OpenCXUnknownCallOutcomeError)


def test_unknown_outcomes_are_in_a_row_also_where_a_guard_keeps_others_from_being_called(
    call: Callable[..., CallsMade], calling: Simulator, clock: Clock
) -> None:
    calling.fail("makeOutboundCall", ErrorResponse(500), times=None)
    people = [PEOPLE[0], Callee("+12125550101"), *PEOPLE[1:4]]  # it is 8 in the evening there after the first call
    clock.now = datetime(2026, 12, 1, 0, 58, 30, tzinfo=UTC).timestamp()
    made = call(people)
    assert statuses(made) == ["unknown", "outside_hours", "unknown", "unknown"]
    assert calling.count("makeOutboundCall") == 3


def test_error_names_all_who_may_have_been_called_in_a_row(call: Callable[..., CallsMade], calling: Simulator) -> None:
    calling.fail("makeOutboundCall", ErrorResponse(500), times=None)
    error = call(on_unknown="skip").error
    assert isinstance(error, OpenCXUnknownCallOutcomeError)
    assert error.contacts == [each.phone_number for each in PEOPLE[:3]]


def test_error_that_stops_the_batch_does_not_hide_who_may_have_been_called(
    call: Callable[..., CallsMade], calling: Simulator
) -> None:
    calling.fail("makeOutboundCall", LoseResponse(), times=1)
    calling.fail("makeOutboundCall", Respond(401, error_body(401, "Unauthorized")), times=None)
    made = call(PEOPLE[:3])
    assert isinstance(made.error, OpenCXAuthenticationError)
    assert str(made.error).startswith(f"May have been called: {PEOPLE[0].phone_number} (at ")
    assert " Then: POST /phone/outbound-call" in str(made.error)


def test_error_before_the_first_call_does_not_hide_who_may_have_been_called_before(
    call: Callable[..., CallsMade], calling: Simulator
) -> None:
    calling.fail("makeOutboundCall", LoseResponse())
    call(PEOPLE[:1])
    with pytest.raises(OpenCXOutsideCallingHoursError, match=r"^May have been called: \+14155550100 .*Then: "):
        call(PEOPLE[:2], NIGHT, outside_hours="fail")


def test_what_proves_that_nobody_was_called_leaves_no_record(
    call: Callable[..., CallsMade], calling: Simulator, records: Records
) -> None:
    calling.fail("makeOutboundCall", Respond(401, error_body(401, "Unauthorized")))
    made = call(PEOPLE[:2])
    assert isinstance(made.error, OpenCXAuthenticationError)
    assert (len(records), made.results) == (0, {})
    assert call(PEOPLE[:2]).error is None
    assert len(calling.dialed()) == 2


def test_a_short_wait_for_the_rate_limit_is_waited_out_and_a_long_one_is_raised(
    call: Callable[..., CallsMade], calling: Simulator, clock: Clock
) -> None:
    calling.fail("makeOutboundCall", TooManyRequests(retry_after=30), times=2)
    assert call(PEOPLE[:1]).error is None
    assert clock.pauses == [30, 30]
    calling.fail("makeOutboundCall", TooManyRequests(retry_after=300))
    error = call(PEOPLE[:3]).error
    assert isinstance(error, OpenCXRateLimitError)
    assert (error.retry_after, error.is_permanent) == (300, False)
    assert "1 of 3 people were called." in str(error)
    assert len(calling.dialed()) == 1


@pytest.mark.parametrize(
    ("guards", "status"),
    [(Guards(DoNotCall(frozenset({PEOPLE[1].phone_number or ""}))), "do_not_call")],
)
def test_a_guard_keeps_one_from_being_called(
    call: Callable[..., CallsMade], calling: Simulator, guards: Guards, status: str
) -> None:
    made = call(PEOPLE[:3], guards)
    assert (made.error, statuses(made)) == (None, ["called", status, "called"])
    assert numbers(calling) == [PEOPLE[0].phone_number, PEOPLE[2].phone_number]


def test_hours_are_checked_again_before_each_call(
    call: Callable[..., CallsMade], calling: Simulator, clock: Clock
) -> None:
    clock.now = datetime(2026, 12, 1, 3, 57, tzinfo=UTC).timestamp()  # three minutes before 20:00 in California
    made = call(PEOPLE[:5])
    assert statuses(made) == ["called", "called", "outside_hours", "outside_hours", "outside_hours"]
    assert len(calling.dialed()) == 2


@pytest.mark.parametrize("when", ["before", "in the middle"])
def test_outside_hours_fails(call: Callable[..., CallsMade], calling: Simulator, clock: Clock, when: str) -> None:
    clock.now = datetime(2026, 12, 1, 4 if when == "before" else 3, 57, tzinfo=UTC).timestamp()
    if when == "before":
        with pytest.raises(OpenCXOutsideCallingHoursError, match="Nobody was called"):
            call(PEOPLE[:5], outside_hours="fail")
        assert calling.requests == []
        return
    error = call(PEOPLE[:5], outside_hours="fail").error
    assert isinstance(error, OpenCXOutsideCallingHoursError)
    assert not error.is_permanent
    assert len(calling.dialed()) == 2


def test_outside_hours_comes_back_for_those_who_are_left(
    call: Callable[..., CallsMade], calling: Simulator, clock: Clock
) -> None:
    clock.now = datetime(2026, 12, 1, 3, 57, tzinfo=UTC).timestamp()
    made = call(PEOPLE[:5], outside_hours="reschedule")
    assert (len(calling.dialed()), made.error) == (2, None)
    assert made.opens_at == datetime(2026, 12, 1, 17, 0, tzinfo=UTC)
    clock.now = made.opens_at.timestamp()
    made = call(PEOPLE[:5], outside_hours="reschedule")
    assert (statuses(made), made.opens_at) == (["called"] * 5, None)
    assert numbers(calling) == [each.phone_number for each in PEOPLE[:5]]


def test_what_is_known_comes_before_the_guards(
    call: Callable[..., CallsMade], calling: Simulator, clock: Clock
) -> None:
    call(PEOPLE[:2])
    clock.now = datetime(2026, 12, 1, 10, 0, tzinfo=UTC).timestamp()  # two in the morning
    listed = Guards(DoNotCall(frozenset({PEOPLE[0].phone_number or ""})), HOURS.hours)
    assert statuses(call(PEOPLE[:3], listed)) == ["called", "called", "outside_hours"]


def test_a_slot_that_is_about_somebody_else_sends_nothing(call: Callable[..., CallsMade], calling: Simulator) -> None:
    call(PEOPLE[:1], slots_of=in_one_place)
    with pytest.raises(OpenCXContactsChangedError, match="the list changed since"):
        call(PEOPLE[1:2], slots_of=in_one_place)
    assert len(calling.dialed()) == 1


def test_call_that_another_task_may_be_making_is_not_repeated(
    call: Callable[..., CallsMade], calling: Simulator, records: Records, clock: Clock
) -> None:
    [slot] = slots_by_name(PEOPLE[0])
    sent_at = datetime.fromtimestamp(clock.now, UTC).isoformat()
    records[slot] = Entry(slot, sent_at, "another task")
    clock.now += 540
    made = call(PEOPLE[:1], on_unknown="repeat")
    assert isinstance(made.error, OpenCXUnknownCallOutcomeError)
    assert "may be making it now" in str(made.error)
    assert calling.dialed() == []
    clock.now += 120
    assert statuses(call(PEOPLE[:1], on_unknown="repeat")) == ["called"]


BY_BOTH = Callee(PEOPLE[0].phone_number, "c1")


@pytest.mark.parametrize("other", [PEOPLE[0], Callee(None, "c1"), Callee(PEOPLE[1].phone_number, "c1"), BY_BOTH])
@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("is_lost", [True, False])
def test_person_is_the_same_by_the_number_and_by_the_contact(
    call: Callable[..., CallsMade], calling: Simulator, other: Callee, *, is_first: bool, is_lost: bool
) -> None:
    guards = Guards(unchecked=True)
    if is_lost:
        calling.fail("makeOutboundCall", LoseResponse(), times=1)
    first, second = (BY_BOTH, other) if is_first else (other, BY_BOTH)
    call([first], guards)
    made = call([second], guards)
    assert statuses(made) == ["unknown" if is_lost else "called"]
    assert len(calling.dialed()) == 1


def test_person_whom_somebody_else_calls_by_the_other_name_meanwhile_is_not_called(
    call: Callable[..., CallsMade], calling: Simulator, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    number, contact = digests(BY_BOTH)
    begin = records.begin

    def overtaken(slot: str, entry: Entry, *, after: Entry | None) -> Entry | None:
        records.setdefault(contact, Entry(contact, "noon", "another task"))
        return begin(slot, entry, after=after)

    monkeypatch.setattr(records, "begin", overtaken)
    assert statuses(call([BY_BOTH])) == ["unknown"]
    assert calling.dialed() == []
    assert number not in records


def test_without_a_ledger_a_later_try_refuses(call: Callable[..., CallsMade], calling: Simulator) -> None:
    with pytest.raises(OpenCXCallRefusedError, match="ledger_path"):
        call(no_record_means_nothing_sent=False)
    assert calling.requests == []


@pytest.mark.parametrize("broken", ["read", "begun"])
def test_a_record_that_cannot_be_kept_calls_nobody(
    call: Callable[..., CallsMade], calling: Simulator, records: Records, broken: str
) -> None:
    records.broken = {broken}
    try:
        error: OpenCXError | None = call(PEOPLE[:2]).error
    except OpenCXLedgerError as raised:
        error = raised
    assert isinstance(error, OpenCXLedgerError)
    assert "nothing was sent" in str(error)
    assert calling.dialed() == []


def test_an_outcome_that_cannot_be_recorded_is_a_call_all_the_same(
    call: Callable[..., CallsMade], calling: Simulator, records: Records, caplog: pytest.LogCaptureFixture
) -> None:
    records.broken = {"finished"}
    with caplog.at_level(logging.WARNING):
        assert call(PEOPLE[:1]).error is None
    assert "The call was made" in caplog.text
    records.broken = set()
    assert isinstance(call(PEOPLE[:1]).error, OpenCXUnknownCallOutcomeError)
    assert len(calling.dialed()) == 1


def test_somebody_else_who_records_in_between_is_believed(
    call: Callable[..., CallsMade], calling: Simulator, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = Entry(digests(PEOPLE[0])[0], "2026-11-30T20:00", "another run", {"agent_id": "pa_9", "response": {}})
    on_its_way = Entry(digests(PEOPLE[1])[0], "2026-11-30T20:00", "another run")
    monkeypatch.setattr(records, "read", lambda slot: None)
    records.update({digests(PEOPLE[0])[0]: done, digests(PEOPLE[1])[0]: on_its_way})
    made = call(PEOPLE[:3])
    assert statuses(made) == ["called", "unknown", "called"]
    assert isinstance(made.error, OpenCXUnknownCallOutcomeError)
    assert "another run" in str(made.error)
    assert numbers(calling) == [PEOPLE[2].phone_number]


def test_a_switch_that_is_turned_off_stops_the_batch(
    call: Callable[..., CallsMade],
    calling: Simulator,
    records: Records,
    hook: OpenCXHook,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hook.get_conn(), "_calls_allowed", lambda: len(calling.dialed()) < 3)
    made = call()
    assert isinstance(made.error, OpenCXCallsNotAllowedError)
    assert "3 of 10 people were called." in str(made.error)
    assert (len(calling.dialed()), len(records)) == (3, 3)


def test_nothing_is_asked_of_the_service_where_nobody_is_called(
    call: Callable[..., CallsMade], calling: Simulator
) -> None:
    everybody = Guards(DoNotCall(frozenset(each.phone_number or "" for each in PEOPLE)))
    assert statuses(call(PEOPLE, everybody)) == ["do_not_call"] * 10
    assert calling.requests == []


def test_repeat_does_not_replace_what_another_task_has_recorded_meanwhile(
    call: Callable[..., CallsMade], calling: Simulator, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = records.begin

    def begun(slot: str, entry: Entry, *, after: Entry | None) -> Entry | None:
        records.setdefault(slot, Entry(slot, "noon", "another task", {"agent_id": "pa_000001", "response": None}))
        return begin(slot, entry, after=after)

    monkeypatch.setattr(records, "begin", begun)
    made = call(PEOPLE[:1], on_unknown="repeat")
    assert (statuses(made), numbers(calling)) == (["called"], [])


def test_repeat_reads_once_more_what_it_is_to_replace(
    call: Callable[..., CallsMade], calling: Simulator, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    slot, read = digests(PEOPLE[0])[0], records.read
    unknown = Entry(slot, "noon", "another task")
    records[slot] = unknown

    def read_and_changed(slot: str) -> Entry | None:
        entry = read(slot)
        records[slot] = Entry(slot, "noon", "another task", {"agent_id": "pa_000001", "response": None})
        return entry

    monkeypatch.setattr(records, "read", read_and_changed)
    made = call(PEOPLE[:1], on_unknown="repeat")
    assert (statuses(made), numbers(calling)) == (["called"], [])


def test_repeat_that_calls_nobody_leaves_the_record_as_it_was(
    call: Callable[..., CallsMade], calling: Simulator, records: Records
) -> None:
    slot = digests(PEOPLE[0])[0]
    records[slot] = Entry(slot, "noon", "another try")
    calling.fail("makeOutboundCall", ErrorResponse(401))
    assert isinstance(call(PEOPLE[:1], on_unknown="repeat").error, OpenCXAuthenticationError)
    assert records == {slot: Entry(slot, "noon", "another try")}


@pytest.mark.parametrize("guards", [Guards(DoNotCall(frozenset({"+14155550100"}))), NIGHT])
def test_a_guard_against_repeating_does_not_say_that_nobody_was_called(
    call: Callable[..., CallsMade], calling: Simulator, records: Records, guards: Guards
) -> None:
    records[digests(PEOPLE[0])[0]] = Entry(digests(PEOPLE[0])[0], "noon", "another try")
    made = call(PEOPLE[:1], guards, on_unknown="repeat")
    assert (statuses(made), numbers(calling)) == (["unknown"], [])
    assert isinstance(made.error, OpenCXUnknownCallOutcomeError)
    assert "cannot be called again" in str(made.error)


@pytest.mark.parametrize("what_ends", ["the hours", "the switch"])
def test_what_ends_while_a_request_waits_for_the_rate_limit_keeps_it_from_being_sent(
    call: Callable[..., CallsMade],
    calling: Simulator,
    records: Records,
    clock: Clock,
    hook: OpenCXHook,
    monkeypatch: pytest.MonkeyPatch,
    what_ends: str,
) -> None:
    waited: list[float] = []
    client = hook.get_conn()

    def wait(timeout: float) -> bool:
        waited.append(timeout)
        if len(waited) == 2:
            clock.now += 12 * 3600 if what_ends == "the hours" else 0
            monkeypatch.setattr(client, "_calls_allowed", lambda: what_ends != "the switch")
        return True

    transport = client._transport._sync_transport
    monkeypatch.setattr(transport, "_limiter", SimpleNamespace(try_acquire=wait))
    made = call(PEOPLE[:3])
    assert numbers(calling) == [PEOPLE[0].phone_number]
    assert len(records) == 1, "the intent of a request that was not sent does not count"
    if what_ends == "the switch":
        assert isinstance(made.error, OpenCXCallsNotAllowedError)
    else:
        assert statuses(made) == ["called", "outside_hours", "outside_hours"]
