"""Tests whom the filter of a sequence selects, as far as that is known, and when two filters mean the same."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_opencx.campaigns.sequences.filters import (
    ALL_CONTACTS,
    admits,
    checked_filter,
    digest_of,
    filter_of,
    people_of,
    selects_everybody,
)
from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.resources.calls import Callee

ADA, BOB = Callee("+14155550101"), Callee("+14155550102")
CONTACT = Callee(None, "con_1")
BOTH = Callee("+14155550103", "con_3")


def numbers(*values: Any) -> dict[str, Any]:
    return {"type": "contacts_phone_number_in", "phone_number_in": list(values)}


def contacts(*values: Any) -> dict[str, Any]:
    return {"type": "contact_id_in", "contact_ids": list(values)}


EVERYBODY = {"type": "all_contacts"}
SINCE = {"type": "contacts_created_at_between", "after": "2026-01-01T00:00:00Z", "before": None}


def any_of(*alternatives: list[dict[str, Any]]) -> dict[str, Any]:
    return {"or": [{"and": conditions} for conditions in alternatives]}


def test_people_are_selected_by_number_and_else_by_contact() -> None:
    made = filter_of([ADA, CONTACT, BOTH])
    assert made == any_of([numbers("+14155550101", "+14155550103")], [contacts("con_1")])
    assert people_of(made) == [ADA, Callee("+14155550103"), CONTACT]
    assert checked_filter(made) == made


@pytest.mark.parametrize(
    ("stored", "people", "is_everybody"),
    [
        (None, None, True),
        ({}, None, True),
        ({"or": None}, None, True),
        ({"or": []}, None, True),
        (any_of([]), None, True),
        (any_of([EVERYBODY]), None, True),
        (any_of([EVERYBODY, EVERYBODY]), None, True),
        (any_of([numbers("+14155550101")], [EVERYBODY]), None, True),
        (any_of([numbers("+1 (415) 555-0101", "+14155550101")]), [ADA], False),
        (any_of([SINCE, numbers("+14155550101")]), [ADA], False),
        (any_of([EVERYBODY, numbers("+14155550101")]), [ADA], False),
        (any_of([numbers("+14155550101")], [SINCE]), None, False),
        (any_of([SINCE]), None, False),
        (any_of([numbers()]), None, True),
        (any_of([numbers(None)]), None, True),
        (any_of([numbers("")]), None, True),
        (any_of([{**SINCE, "after": None}]), None, True),
        (any_of([{"type": "contacts_attributes_in", "attributes": {"city": []}}]), None, True),
        (any_of([numbers("+14155550101")], [{**SINCE, "after": None}]), None, True),
        (any_of([{**SINCE, "after": None}, numbers("+14155550101")]), [ADA], False),
        (any_of([{"type": "new_in_2027", "is_negated": False}]), None, False),
        (any_of([numbers("nobody")]), None, False),
        (any_of([numbers(14155550101)]), None, False),
        (any_of([{"type": "contacts_phone_number_in"}]), None, False),
        (any_of([{**numbers("+14155550101"), "is_negated": True}]), None, False),
        (any_of([{**numbers("+14155550101"), "is_negated": None}]), [ADA], False),
        ({"or": [{"and": [numbers("+14155550101")], "not": True}]}, None, False),
        ({**any_of([numbers("+14155550101")]), "and": []}, None, False),
        ({**any_of([numbers("+14155550101")]), "version": 2}, None, False),
        ({"and": [numbers("+14155550101")]}, None, False),
        ({"or": [numbers("+14155550101")]}, None, False),
        ({"or": [{"and": [numbers("+14155550101"), "x"]}]}, None, False),
        ({"or": [{"and": [numbers("+14155550101")]}, {}]}, None, True),
        ({"or": [{"and": [EVERYBODY]}, "x"]}, None, True),
        (any_of([{"type": "new_in_2027", "phone_number_in": ["+14155550101"]}]), None, False),
        ({"or": ["x"]}, None, False),
        ("x", None, False),
    ],
    ids=repr,
)
def test_who_is_listed_is_known_and_a_filter_that_says_nothing_selects_everybody(
    stored: Any, people: list[Callee] | None, is_everybody: bool
) -> None:
    assert people_of(stored) == people
    assert selects_everybody(stored) is is_everybody


@pytest.mark.parametrize(
    ("stored", "callee", "verdict"),
    [
        (None, ADA, True),
        ({"or": []}, ADA, True),
        (any_of([EVERYBODY]), ADA, True),
        (any_of([numbers()]), ADA, None),
        ({"and": [numbers("+14155550102")]}, ADA, None),
        ({**any_of([numbers("+14155550102")]), "version": 2}, ADA, None),
        ({"or": [{"and": [numbers("+14155550102")]}, "x"]}, ADA, None),
        ("x", ADA, None),
        (any_of([numbers("+1 415 555 0101")]), ADA, True),
        (any_of([numbers("+14155550102")]), ADA, False),
        (any_of([numbers("+14155550102")], [numbers("+14155550101")]), ADA, True),
        (any_of([numbers("+14155550101"), SINCE]), ADA, None),
        (any_of([numbers("+14155550102"), SINCE]), ADA, False),
        (any_of([SINCE]), ADA, None),
        (any_of([contacts("con_9")]), ADA, None),
        (any_of([contacts("con_1")]), CONTACT, True),
        (any_of([contacts("con_9")]), CONTACT, False),
        (any_of([numbers("+14155550101")]), CONTACT, None),
        (any_of([contacts("con_3")]), BOTH, True),
        (any_of([numbers("+5491155550101")]), Callee("+541155550101"), True),
    ],
    ids=repr,
)
def test_who_is_admitted_is_told_where_it_can_be(stored: Any, callee: Callee, verdict: bool | None) -> None:
    assert admits(stored, callee) is verdict


@pytest.mark.parametrize(
    "written",
    [
        None,
        {},
        [],
        "all_contacts",
        {"and": [EVERYBODY]},
        {"or": []},
        {"or": [{"and": []}]},
        {"or": [{"or": [EVERYBODY]}]},
        {"or": [{"and": [{}]}]},
        {"or": [{"and": [{"type": ""}]}]},
        {"or": [{"and": [EVERYBODY]}, {"and": []}]},
        {"or": [{"and": [numbers()]}]},
        {"or": [{"and": [{"type": "x", "value": float("nan")}]}]},
        {"or": [{"and": [{"type": "x", "value": {1, 2}}]}]},
        {"or": [{"and": [{"type": "x", "value": "\ud800"}]}]},
        {"or": [{"and": [{"type": "x", "value": 10**30}]}]},
    ],
    ids=repr,
)
def test_a_filter_that_selects_nobody_knows_whom_is_not_sent(written: Any) -> None:
    with pytest.raises(OpenCXArgumentError, match="filter"):
        checked_filter(written)


@pytest.mark.parametrize(
    ("condition", "key"),
    [
        ({**SINCE, "after": None}, "after"),
        ({**SINCE, "after": " "}, "after"),
        ({"type": "x", "ids": None}, "ids"),
        ({"type": "x", "ids": ["a", None]}, "ids"),
        ({"type": "x", "ids": ["a", ""]}, "ids"),
        ({"type": "x", "ids": ["a", []]}, "ids"),
        ({"type": "x", "attributes": {}}, "attributes"),
        ({"type": "x", "attributes": {"city": []}}, "city"),
        ({"type": "x", "attributes": {"city": ["Rome"], "team": [{"names": []}]}}, "team"),
        ({"type": "x", "attributes": {"city": ["Rome"], "team": [{"id": 1, "names": []}]}}, "names"),
    ],
    ids=repr,
)
def test_a_value_that_is_empty_is_named_and_not_sent(condition: dict[str, Any], key: str) -> None:
    """A task that returned nothing must not widen the selection to everybody."""
    with pytest.raises(OpenCXArgumentError, match=f"^filter: '{key}' has an empty value"):
        checked_filter(any_of([numbers("+14155550101")], [EVERYBODY, condition]))


@pytest.mark.parametrize("condition", [SINCE, EVERYBODY, {"type": "new_in_2027"}, {"type": "x", "is_negated": False}])
def test_a_condition_with_a_value_or_without_keys_is_sent_as_it_is(condition: dict[str, Any]) -> None:
    assert checked_filter(any_of([condition])) == any_of([condition])


def test_a_filter_that_is_written_out_is_sent_as_it_is() -> None:
    written = {"or": [{"and": [{"type": "new_in_2027", "values": {"a": [1]}}]}], "note": "kept"}
    assert checked_filter(written) == written
    assert checked_filter(ALL_CONTACTS) == any_of([EVERYBODY])


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        (any_of([numbers("+14155550101", "+14155550102")]), any_of([numbers("+14155550102", "+14155550101")]), True),
        (any_of([numbers("+14155550101")]), any_of([numbers("+1 (415) 555-0101", "+14155550101")]), True),
        (any_of([SINCE]), any_of([{**SINCE, "before": None, "extra": None}]), True),
        (any_of([SINCE], [EVERYBODY]), any_of([EVERYBODY], [SINCE]), True),
        (
            any_of([{"type": "a_between", "to": "2026"}, {"type": "b_in", "ids": ["x"]}]),
            any_of([{"to": "2026", "type": "a_between"}, {"ids": ["x"], "type": "b_in"}]),
            True,
        ),
        (any_of([numbers("+14155550101")]), any_of([numbers("+14155550102")]), False),
        (any_of([numbers("+14155550101")]), any_of([numbers("+14155550101"), SINCE]), False),
        (any_of([numbers("+14155550101")]), any_of([numbers("+14155550101")], [EVERYBODY]), False),
        (any_of([numbers("+14155550101")]), any_of([{"type": "contacts_phone_number_in"}]), False),
        (any_of([numbers("+14155550101")]), None, False),
        (any_of([EVERYBODY]), {}, False),
    ],
    ids=repr,
)
def test_filters_are_compared_by_what_they_mean(one: Any, other: Any, is_same: bool) -> None:
    assert (digest_of(one) == digest_of(other)) is is_same
