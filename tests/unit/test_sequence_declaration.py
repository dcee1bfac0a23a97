"""Tests how words describe the difference between a stored sequence and its declaration."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_opencx.campaigns.sequences.declaration import SequenceDeclaration
from airflow_provider_opencx.campaigns.sequences.filters import ALL_CONTACTS, filter_of
from airflow_provider_opencx.campaigns.sequences.steps import checked_steps, phone_step
from airflow_provider_opencx.resources.calls import Callee
from airflow_provider_opencx.resources.sequences import OutboundSequence

ADA, BOB, CY = (Callee(phone_number=f"+1415555010{number}") for number in (1, 2, 3))
VIP = {"or": [{"and": [{"type": "contacts_custom_data", "custom_data_key": "vip"}]}]}
NEW = {"or": [{"and": [{"type": "contacts_custom_data", "custom_data_key": "new"}]}]}


@pytest.mark.parametrize(
    ("asked", "stored", "words"),
    [
        (filter_of([ADA, BOB]), filter_of([BOB, ADA]), None),
        (filter_of([ADA, BOB]), filter_of([ADA]), "it was to select 2 people, and selects 1 person"),
        (filter_of([ADA, BOB]), filter_of([ADA, CY]), "it selects 2 people, but not the same"),
        (filter_of([ADA]), VIP, "it was to select 1 person, and selects others"),
        (VIP, filter_of([ADA]), "it was to select others, and selects 1 person"),
        (VIP, NEW, "it selects others"),
        (filter_of([ADA]), None, "it was to select 1 person, and selects every contact of the organization"),
        (VIP, ALL_CONTACTS, "it was to select others, and selects every contact of the organization"),
    ],
)
def test_differing_filter_is_told_in_words(asked: dict[str, Any], stored: Any, words: str | None) -> None:
    steps = checked_steps([phone_step("pa_1")])
    declared = SequenceDeclaration("Reminder", "reminder", asked, steps)
    found = OutboundSequence(id="seq_1", filter=stored, steps=steps, is_continuous=False)
    assert declared.asked.differences(found) == (
        {} if words is None else {"filter": f"is not stored as asked: {words}"}
    )
