"""Tests what a poll means for a task that waits for sequences."""

from __future__ import annotations

import json
from contextlib import nullcontext
from typing import Any

import pytest

from airflow_provider_opencx.campaigns.sequences.ids import checked_sequence_ids
from airflow_provider_opencx.campaigns.sequences.polling import poll_once
from airflow_provider_opencx.campaigns.sequences.waiting import (
    SequenceWait,
    SequenceWaits,
    Until,
    success,
)
from airflow_provider_opencx.exceptions import (
    OpenCXArgumentError,
    OpenCXAuthenticationError,
    OpenCXAuthenticationPermanentError,
    OpenCXConfigError,
    OpenCXConnectionNotFoundError,
    OpenCXError,
    OpenCXNoSuchOperationPermanentError,
    OpenCXNotFoundPermanentError,
    OpenCXRateLimitError,
    OpenCXSequenceCanceledError,
    OpenCXSequenceRefusedError,
    OpenCXServerError,
)
from airflow_provider_opencx.resources.sequences import OutboundSequence

THEN = "2026-01-01T10:00:00Z"
OVER = {"started_at": THEN, "ended_at": THEN}
RUNNING = {"started_at": THEN, "ended_at": None}
WAITING = {"started_at": None, "ended_at": None}

PENDING: dict[str, Any] = {"status": "pending", "steps": [WAITING] * 3}
ACTIVE: dict[str, Any] = {"status": "active", "started_at": THEN, "steps": [OVER, RUNNING, WAITING]}
COMPLETE: dict[str, Any] = {"status": "complete", "started_at": THEN, "ended_at": THEN, "steps": [OVER] * 3}
CANCELED: dict[str, Any] = {"status": "canceled", "canceled_at": THEN}
CANCELED_AS_ENDED: dict[str, Any] = {**CANCELED, "ended_at": THEN}


def sequence(**fields: object) -> OutboundSequence:
    return OutboundSequence.from_response({"id": "seq_1", "name": "Spring", **fields})


CANCELED_ERROR, REFUSED_ERROR = OpenCXSequenceCanceledError, OpenCXSequenceRefusedError


@pytest.mark.parametrize(
    ("fields", "started", "ended", "canceled"),
    [
        ({}, None, None, None),
        (PENDING, None, None, None),
        ({"status": "something new"}, None, None, None),
        ({"started_at": " "}, None, None, None),
        (ACTIVE, True, None, None),
        ({"started_at": THEN}, True, None, None),
        ({"status": None, "steps": [RUNNING]}, True, None, None),
        (COMPLETE, True, True, REFUSED_ERROR),
        ({"status": "Completed"}, True, True, REFUSED_ERROR),
        ({"ended_at": THEN}, True, True, REFUSED_ERROR),
        (CANCELED, CANCELED_ERROR, CANCELED_ERROR, True),
        ({"status": "cancelled"}, CANCELED_ERROR, CANCELED_ERROR, True),
        ({**PENDING, **CANCELED}, CANCELED_ERROR, CANCELED_ERROR, True),
        ({**ACTIVE, **CANCELED}, True, CANCELED_ERROR, True),
        ({**COMPLETE, **CANCELED}, True, True, True),
        # A service may set ended_at at the cancel. It proves nothing.
        (CANCELED_AS_ENDED, CANCELED_ERROR, CANCELED_ERROR, True),
        ({**PENDING, **CANCELED_AS_ENDED}, CANCELED_ERROR, CANCELED_ERROR, True),
        ({**CANCELED_AS_ENDED, "steps": []}, CANCELED_ERROR, CANCELED_ERROR, True),
        ({"canceled_at": THEN, "ended_at": THEN}, CANCELED_ERROR, CANCELED_ERROR, True),
        ({**CANCELED_AS_ENDED, "started_at": THEN}, True, CANCELED_ERROR, True),
        ({**ACTIVE, **CANCELED_AS_ENDED}, True, CANCELED_ERROR, True),
        ({**CANCELED_AS_ENDED, "steps": [RUNNING, WAITING]}, True, CANCELED_ERROR, True),
        ({**CANCELED_AS_ENDED, "steps": [{"ended_at": THEN}, WAITING]}, True, CANCELED_ERROR, True),
        ({**CANCELED_AS_ENDED, "status": "active"}, True, CANCELED_ERROR, True),
        ({**CANCELED_AS_ENDED, "status": "complete"}, True, True, True),
        ({**CANCELED_AS_ENDED, "steps": [OVER] * 3}, True, True, True),
    ],
    ids=str,
)
def test_decision(fields: dict[str, Any], started: Any, ended: Any, canceled: Any) -> None:
    expected: dict[Until, Any] = {"started": started, "ended": ended, "canceled": canceled}
    for until, outcome in expected.items():
        wait = SequenceWait("seq_1", until)
        poll = sequence(**fields)
        if outcome is None or outcome is True:
            assert wait.evaluate(poll, 0) is (poll if outcome else None), until
            assert (wait.reached is poll) == bool(outcome)
            continue
        with pytest.raises(outcome, match=r"^The sequence 'Spring' \(seq_1\) ") as error:
            wait.evaluate(poll, 0)
        assert type(error.value) is outcome
        assert error.value.sequence_id == "seq_1"
        assert error.value.is_permanent


def test_canceled_after_it_began_is_a_warning() -> None:
    wait = SequenceWait("seq_1", "started")
    assert wait.evaluate(sequence(**ACTIVE | CANCELED), 0) is not None
    assert wait.warnings == ["The sequence 'Spring' (seq_1) has begun, and was canceled later."]


def test_error_of_a_canceled_one_says_how_far_it_was() -> None:
    with pytest.raises(OpenCXSequenceCanceledError, match=r"could end, so it never will \(1 of 3 steps are over\)\. "):
        SequenceWait("seq_1", "ended").evaluate(sequence(**ACTIVE | CANCELED), 0)
    with pytest.raises(OpenCXSequenceCanceledError, match=r"could begin, so it never will\. Create and start another"):
        SequenceWait("seq_1", "started").evaluate(sequence(**CANCELED), 0)


@pytest.mark.parametrize(
    ("polled_at", "is_error"),
    [((0, 100, 299), False), ((0, 300), False), ((0, 100, 300), True), ((0, 3600, 7200), True)],
)
def test_missing_for_minutes_is_an_error(polled_at: tuple[float, ...], is_error: bool) -> None:
    wait = SequenceWait("spring-2026", "ended")
    assert [wait.evaluate(None, at) for at in (-900, -600)] == [None] * 2
    assert wait.evaluate(sequence(id="spring-2026", name=None), -300) is None
    *before, last = polled_at
    assert [wait.evaluate(None, at) for at in before] == [None] * len(before)
    assert wait.is_counting_errors
    says = rf"no sequence spring-2026 in .*: missing for {last} s, in {len(polled_at)} polls in a row\..* custom id"
    with pytest.raises(OpenCXNotFoundPermanentError, match=says) if is_error else nullcontext():
        assert wait.evaluate(None, last) is None
    assert wait.state == "is not shown by the service"


@pytest.mark.parametrize(
    "error",
    [
        OpenCXServerError("500"),
        OpenCXError("other"),
        OpenCXAuthenticationError("401"),
        OpenCXConnectionNotFoundError("missing"),
    ],
)
def test_five_failed_polls_are_tolerated(error: OpenCXError) -> None:
    wait = SequenceWait("seq_1", "ended")
    for _ in range(2):
        assert [wait.evaluate(error, 0) for _ in range(5)] == [None] * 5
        assert wait.is_counting_errors
        assert wait.evaluate(sequence(**ACTIVE), 0) is None
        assert not wait.is_counting_errors
    assert [wait.evaluate(error, 0) for _ in range(5)] == [None] * 5
    says = r"Stopped waiting for sequence 'Spring' \(seq_1\) to end after 6 failed polls in a row"
    with pytest.raises(type(error), match=says) as given_up:
        wait.evaluate(error, 0)
    assert vars(given_up.value) == vars(error)


@pytest.mark.parametrize(
    "error",
    [
        OpenCXAuthenticationPermanentError("401"),
        OpenCXNoSuchOperationPermanentError("404"),
        OpenCXConfigError("wrong"),
    ],
)
def test_permanent_error_stops_at_once(error: OpenCXError) -> None:
    with pytest.raises(type(error), match=f"Stopped waiting for sequence seq_1 to begin: {error}"):
        SequenceWait("seq_1", "started").evaluate(error, 0)


def test_429_is_not_a_failed_poll() -> None:
    wait = SequenceWait("seq_1", "ended")
    assert [wait.evaluate(OpenCXRateLimitError("429"), 0) for _ in range(50)] == [None] * 50


def test_progress_of_one_is_told_when_it_changes() -> None:
    waits = SequenceWaits("seq_1", "ended")
    [wait] = waits.open
    told = [waits.progress]
    polls: list[OutboundSequence | OpenCXError | None] = [
        None,
        OpenCXServerError("500"),
        sequence(**PENDING),
        sequence(**PENDING),
        sequence(**ACTIVE),
        sequence(**ACTIVE),
        sequence(**ACTIVE | {"steps": [OVER, OVER, RUNNING]}),
        sequence(**ACTIVE | {"steps": None}),
        sequence(**ACTIVE | {"steps": [RUNNING]}),
    ]
    for poll in polls:
        wait.evaluate(poll, 0)
        if wait.made_progress:
            told.append(waits.progress)
    assert told == [
        "Sequence seq_1 was not read yet.",
        "Sequence seq_1 is not shown by the service.",
        "Sequence 'Spring' (seq_1) has not begun.",
        "Sequence 'Spring' (seq_1) has begun: 1 of 3 steps are over.",
        "Sequence 'Spring' (seq_1) has begun: 2 of 3 steps are over.",
        "Sequence 'Spring' (seq_1) has begun.",
        "Sequence 'Spring' (seq_1) has begun: 0 of 1 step is over.",
    ]


def test_several_say_who_is_not_there() -> None:
    waits = SequenceWaits([f"seq_{number}" for number in range(20)], "ended")
    assert waits.goal == "20 sequences to end"
    assert waits.described.startswith("20 sequences to end (seq_0, seq_1, ")
    for wait in waits.open[:3]:
        wait.evaluate(sequence(id=wait.sequence_id, **COMPLETE), 0)
    waits.open[0].evaluate(sequence(id="seq_3", **ACTIVE), 0)
    assert waits.progress.startswith(
        "3 of 20 sequences have ended; still waiting for 'Spring' (seq_3), which has begun: 1 of 3 steps are over;"
        " seq_4, which was not read yet; "
    )
    assert waits.progress.endswith("seq_12, which was not read yet; and 7 more.")
    assert not waits.is_over
    assert waits.result is None


def test_several_give_their_results_in_order() -> None:
    waits = SequenceWaits(["2", {"id": "1"}, "2"], "started")
    assert [wait.sequence_id for wait in waits.open] == ["2", "1"]
    for wait in waits.open:
        wait.evaluate(sequence(id=wait.sequence_id, **ACTIVE), 0)
    assert waits.is_over
    assert [result["id"] for result in waits.result] == ["2", "1", "2"]  # type: ignore[union-attr,index,call-overload]
    assert SequenceWaits([], "ended").is_for_none
    assert SequenceWaits(("1",), "ended").sequence_id == ["1"]


def test_result_is_plain_json_without_the_filter() -> None:
    full = sequence(**ACTIVE, custom_id="spring", filter={"or": [{"phone_numbers": ["+14155550101"]}]}, new_field=1)
    result = full.as_result()
    assert result == {name: value for name, value in full.as_dict().items() if name != "filter"}
    assert "14155550101" not in json.dumps(result) + repr(full.without_filter())
    assert full.filter is not None


def test_poll_reads_those_first_that_it_did_not_reach_before() -> None:
    waits = SequenceWaits(["1", "2", "3"], "ended")
    read: list[str] = []
    fails_at = {2: OpenCXServerError("503"), 5: OpenCXRateLimitError("429")}

    def read_sequence(sequence_id: str) -> OutboundSequence:
        read.append(sequence_id)
        if len(read) in fails_at:
            raise fails_at[len(read)]
        return sequence(id=sequence_id, **ACTIVE)

    errors = [poll_once(read_sequence, waits).response for _ in range(3)]
    assert [type(error) for error in errors] == [OpenCXServerError, OpenCXRateLimitError, type(None)]
    assert [read[:2], read[2:5], read[5:]] == [["1", "2"], ["2", "3", "1"], ["1", "2", "3"]]


def test_success_names_the_sequences() -> None:
    assert success({"id": "seq_1", "name": "Spring"}, "ended") == "Sequence 'Spring' (seq_1) has ended."
    assert success({"id": "seq_1", "name": None}, "canceled") == "Sequence seq_1 has been canceled."
    both = [{"id": "seq_1", "name": "Spring"}, {"id": "seq_2", "name": None}]
    assert success(both, "started") == "All 2 sequences have begun: 'Spring' (seq_1), seq_2."
    assert success([], "started") == "All 0 sequences have begun."


@pytest.mark.parametrize(
    ("given", "ids"),
    [
        ("seq_1", "seq_1"),
        ({"id": "seq_1", "steps": []}, "seq_1"),
        (["seq_1", {"id": "seq_2"}], ["seq_1", "seq_2"]),
        (("seq_1",), ["seq_1"]),
        ([], []),
    ],
)
def test_sequences_are_given_by_id_or_as_a_task_returned_them(given: object, ids: object) -> None:
    assert checked_sequence_ids(given) == ids


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (None, "sequence_id: is None, as it is where the task that should have returned it was skipped"),
        (["1", None], r"is None \(element 1 of the list\), as it is where the task that should have returned it was"),
        ("", "must be a string that is not empty"),
        (" ", "must be a string that is not empty"),
        (7, "must be a string that is not empty"),
        (b"1", "must be a string that is not empty"),
        ({"name": "Spring"}, "must be a sequence as a task returns it, with its id"),
        ([["1"]], "element 0"),
        ("\0", "NUL"),
        ("x" * 2000, "has 2,000 characters"),
    ],
)
def test_other_sequence_ids_are_refused(given: object, says: str) -> None:
    with pytest.raises(OpenCXArgumentError, match=says):
        SequenceWaits(given, "ended")


def test_until_is_one_of_three() -> None:
    with pytest.raises(OpenCXArgumentError, match="until: must be 'started' or 'ended' or 'canceled'"):
        SequenceWaits("1", "begun")  # type: ignore[arg-type]
