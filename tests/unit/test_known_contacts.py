"""Tests which people a sequence reaches, how often their numbers would ring, and by what else they are known."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from airflow_provider_opencx.campaigns.guards import DoNotCall
from airflow_provider_opencx.campaigns.sequences.guards import KnownContacts
from airflow_provider_opencx.phone_numbers import as_compared, possible_numbers
from airflow_provider_opencx.resources.calls import Callee
from airflow_provider_opencx.resources.contacts import Contact

ADA = Callee("+14155550101")
GERMAN = Callee("+4925551234")
FIRST, SECOND = Callee(None, "con_1"), Callee(None, "con_2")


def contacts_with(*numbers: str | None) -> list[Contact]:
    return [Contact(id=f"con_{index}", phone_number=number) for index, number in enumerate(numbers, start=1)]


@pytest.mark.parametrize(
    ("people", "stored", "region", "repeated"),
    [
        ([ADA], ["+14155550101", "+1 (415) 555-0101"], None, [ADA]),
        ([ADA], ["+14155550101", "(415) 555-0101"], "US", [ADA]),
        ([ADA], ["+14155550101", "(415) 555-0101"], None, []),
        ([ADA], ["+14155550101", "+14155550102", "+14155550102"], None, []),
        ([FIRST, SECOND], ["+14155550101", "+1 (415) 555-0101"], None, [FIRST, SECOND]),
        ([FIRST, SECOND], ["+14155550101", "415-555-0101"], "US", [FIRST, SECOND]),
        ([FIRST, SECOND], ["+14155550101", "+14155550102"], None, []),
        ([FIRST, SECOND], [None, None], None, []),
        ([FIRST], ["+14155550101", "+14155550101"], None, []),
        ([ADA, SECOND], ["+14155550101", "+14155550101"], None, [ADA, SECOND]),
        ([ADA, FIRST], ["+14155550101"], None, []),
        ([Callee("+541155550101")], ["+541155550101", "+5491155550101"], None, [Callee("+541155550101")]),
    ],
    ids=repr,
)
def test_a_number_is_repeated_where_several_contacts_have_it_that_are_selected(
    people: Sequence[Callee], stored: Sequence[str | None], region: str | None, repeated: Sequence[Callee]
) -> None:
    assert KnownContacts.of(people, contacts_with(*stored), default_region=region).repeated == repeated


def test_a_contact_that_is_listed_twice_is_one() -> None:
    [contact] = contacts_with("+14155550101")
    assert KnownContacts.of([ADA], [contact, contact]).repeated == []


@pytest.mark.parametrize(
    ("person", "stored", "region", "spellings"),
    [
        (ADA, "+14155550101", None, []),
        (ADA, "+1 (415) 555-0101", None, ["+1 (415) 555-0101"]),
        (ADA, "14155550101", None, ["14155550101"]),
        (ADA, "14155550101", "US", ["14155550101"]),
        (ADA, "(415) 555-0101", "US", None),
        (ADA, "+14155550102", None, None),
        (GERMAN, "4925551234", None, ["4925551234"]),
        (GERMAN, "4925551234", "DE", ["4925551234"]),
        (GERMAN, "4925551234", "US", None),
        (Callee("+14925551234"), "4925551234", "US", None),
        (FIRST, None, None, []),
        (SECOND, "+14155550101", None, None),
    ],
    ids=repr,
)
def test_a_person_is_selected_by_spellings_that_can_mean_nobody_else(
    person: Callee, stored: str | None, region: str | None, spellings: Sequence[str] | None
) -> None:
    """With the country of national numbers known, digits that may be one of them do not mean another country."""
    known = KnownContacts.of([person], contacts_with(stored), default_region=region)
    assert known.missing == ([person] if spellings is None else [])
    assert spellings is None or list(known.spellings.get(person, ())) == spellings


@pytest.mark.parametrize(
    ("person", "stored", "region", "on_list", "is_on_it"),
    [
        (FIRST, "+14155550101", None, "+14155550101", True),
        (FIRST, "+14155550101", None, "+14155550102", False),
        (FIRST, "(415) 555-0101", "US", "+14155550101", True),
        (FIRST, "4925551234", "US", "+14925551234", True),
        (FIRST, "4925551234", "US", "+4925551234", True),
        (ADA, "(415) 555-0101", "US", {"contact_id": "con_1"}, True),
        (ADA, "+14155550102", None, {"contact_id": "con_1"}, False),
    ],
    ids=repr,
)
def test_a_do_not_call_list_holds_for_every_number_that_a_contact_may_have(
    person: Callee, stored: str, region: str | None, on_list: object, is_on_it: bool
) -> None:
    do_not_call = DoNotCall.of([("", on_list)], default_region=None)
    known = KnownContacts.of([person], contacts_with(stored), default_region=region)
    assert known.on(do_not_call) == ({person} if is_on_it else set())


@pytest.mark.parametrize(
    ("stored", "region", "numbers"),
    [
        ("+1 (415) 555-0101", "DE", ["+14155550101"]),
        ("(415) 555-0101", "US", ["+14155550101"]),
        ("(415) 555-0101", None, ["(415) 555-0101"]),
        ("14155550101", "US", ["+14155550101"]),
        ("4925551234", "US", ["+14925551234", "+4925551234"]),
        ("4925551234", "DE", ["+4925551234", "+494925551234"]),
        ("04925551234", "DE", ["+494925551234"]),
        ("4925551234", None, ["+4925551234"]),
        ("+52 1 55 1234 5678", None, ["+525512345678"]),
        ("5215512345678", None, ["+525512345678"]),
        ("+54 9 11 2345-6789", None, ["+541123456789"]),
        ("ask Ada", "US", ["ask Ada"]),
        ("", "US", [""]),
    ],
)
def test_a_stored_number_may_be_several_the_likeliest_first(
    stored: str, region: str | None, numbers: Sequence[str]
) -> None:
    assert possible_numbers(stored, region) == numbers
    assert as_compared(stored) == possible_numbers(stored, None)[0]
