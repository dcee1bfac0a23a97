"""Tests to which sequences people can be added, and whom a sequence admits."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_opencx.campaigns.sequences.enrolment import check_can_add, not_admitted
from airflow_provider_opencx.campaigns.sequences.filters import filter_of
from airflow_provider_opencx.exceptions import OpenCXSequenceCanceledError, OpenCXSequenceRefusedError
from airflow_provider_opencx.resources.calls import Callee
from airflow_provider_opencx.resources.sequences import OutboundSequence

THEN = "2026-11-29T10:00:00Z"
NUMBER, CONTACT, BOTH = Callee("+14155550101"), Callee(None, "con_1"), Callee("+14155550101", "con_1")


def sequence(**fields: Any) -> OutboundSequence:
    return OutboundSequence.from_response({"id": "seq_1", "name": "Spring", "is_continuous": True, **fields})


@pytest.mark.parametrize("fields", [{}, {"status": "pending"}, {"status": "active", "started_at": THEN}], ids=str)
def test_people_can_be_added_to_a_continuous_sequence(fields: dict[str, Any]) -> None:
    check_can_add(sequence(**fields))


@pytest.mark.parametrize(
    ("fields", "error", "says"),
    [
        ({"is_continuous": False}, OpenCXSequenceRefusedError, "is not a continuous sequence"),
        ({"is_continuous": None}, OpenCXSequenceRefusedError, "is not a continuous sequence"),
        ({"ended_at": THEN}, OpenCXSequenceRefusedError, "has ended"),
        ({"status": "complete"}, OpenCXSequenceRefusedError, "has ended"),
        ({"canceled_at": THEN}, OpenCXSequenceCanceledError, "is canceled"),
        ({"canceled_at": THEN, "ended_at": THEN}, OpenCXSequenceCanceledError, "is canceled"),
    ],
    ids=str,
)
def test_nobody_can_be_added_to_another_one(fields: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=rf"^Nobody is added: sequence 'Spring' \(seq_1\) {says}"):
        check_can_add(sequence(**fields))


@pytest.mark.parametrize(
    ("listed", "callee", "is_admitted", "is_told"),
    [
        (NUMBER, NUMBER, True, True),
        (CONTACT, CONTACT, True, True),
        (Callee("+14155550109"), NUMBER, False, True),
        (Callee(None, "con_9"), CONTACT, False, True),
        (Callee(None, "con_9"), NUMBER, True, False),
        # The request names the contact, so a number beside it, perhaps of somebody else, says nothing.
        (CONTACT, BOTH, True, True),
        (Callee(None, "con_9"), BOTH, False, True),
        (NUMBER, BOTH, True, False),
        (Callee("+14155550109"), BOTH, True, False),
    ],
    ids=str,
)
def test_who_is_admitted_is_told_by_what_the_request_names(
    listed: Callee, callee: Callee, is_admitted: bool, is_told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    refused = not_admitted(sequence(filter=filter_of([listed])), [callee])
    assert refused == (frozenset() if is_admitted else {callee})
    assert ("cannot be seen from its filter" in caplog.text) is not is_told
