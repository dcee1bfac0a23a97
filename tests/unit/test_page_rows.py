"""Tests the table of the page of agents: its rows, their order, and the query string."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.plugins import downloads
from airflow_provider_opencx.plugins.csv_text import csv_text, safe_cell
from airflow_provider_opencx.plugins.drift import Drift, Verdict
from airflow_provider_opencx.plugins.last_plan import LastPlan, TaskOfPlan
from airflow_provider_opencx.plugins.rows import (
    PAGE_SIZE,
    SORT_KEYS,
    Number,
    Query,
    Row,
    masked,
    masked_number,
    page_of,
    rows_of,
    sorted_rows,
)
from airflow_provider_opencx.plugins.shown_sequences import ShownSequence
from airflow_provider_opencx.resources.phone_agents import PhoneAgent

NUMBER = "+14155550123"
PLANNED_AT = datetime(2026, 5, 4, 12, tzinfo=UTC)


def agents(*fields: dict[str, Any]) -> list[PhoneAgent]:
    return [PhoneAgent.from_response(each) for each in fields]


def plan_that_saw(numbers: dict[str, str]) -> LastPlan:
    lost = [{"id": agent_id, "phone_number": number} for agent_id, number in numbers.items()]
    xcom = {"base_url": "", "connection": "", "agents": [], "undeclared": [], "lost_numbers": lost}
    plan = LastPlan.of_xcom(xcom, TaskOfPlan("fleet", "run", "plan"), PLANNED_AT)
    assert plan is not None
    return plan


ROWS = rows_of(
    agents(
        {"id": "c", "name": "beta", "type": "inbound", "phone_number": NUMBER, "language": ["fr"]},
        {"id": "b", "name": "Alpha", "type": "outbound", "created_at": "2026-01-01T00:00:00Z"},
        {"id": "a", "name": None, "type": "outbound", "updated_at": "2026-03-01T00:00:00Z"},
        {"id": "d", "name": "Gamma", "phone_number": " ", "updated_at": "2026-02-01T00:00:00Z", "language": "de"},
    ),
    plan_that_saw({"d": "+14155550100"}),
)


def test_row_has_what_the_service_says() -> None:
    [row] = rows_of(
        agents(
            {
                "id": "1",
                "name": "Sales",
                "type": "outbound",
                "language": "en",
                "phone_number": NUMBER,
                "created_at": "2026-01-01T00:00:00Z",
                "updated_at": "2026-02-01T00:00:00+02:00",
                "first_message": "not shown",
            }
        ),
        None,
    )
    assert row.as_dict() == {
        "id": "1",
        "name": "Sales",
        "type": "outbound",
        "language": ["en"],
        "phone_number": NUMBER,
        "number": "has",
        "created_at": "2026-01-01T00:00:00+00:00",
        "updated_at": "2026-01-31T22:00:00+00:00",
        "drift": "unknown",
        "drift_fields": [],
    }


def test_number_is_there_waited_for_or_lost() -> None:
    assert {row.id: row.number for row in ROWS} == {
        "c": Number.HAS,
        "b": Number.WAITING,
        "a": Number.WAITING,
        "d": Number.LOST,
    }


def test_odd_fields_leave_their_cells_empty() -> None:
    [row] = rows_of(agents({"id": "1", "name": 5, "language": 7, "created_at": ["?"], "phone_number": {}}), None)
    assert (row.name, row.languages, row.created_at, row.phone_number) == (None, (), None, None)
    assert set(row.unreadable) == {"name", "language", "phone_number"}
    assert row.number == Number.NONE  # whether it waits for one is not known


def test_agent_that_may_be_among_the_unreadable_is_not_said_to_be_missing() -> None:
    plan = LastPlan.of_xcom(
        {"base_url": "", "connection": "", "agents": [{"name": "Sales", "id": "1"}], "undeclared": []},
        TaskOfPlan("fleet", "run", "plan"),
        PLANNED_AT,
    )
    assert [row.verdict.drift for row in rows_of([], plan)] == [Drift.MISSING]
    assert [row.verdict.drift for row in rows_of([], plan, unreadable=1)] == [Drift.UNKNOWN]


@pytest.mark.parametrize(
    ("sort", "ids"),
    [
        ("name", "bcda"),
        ("-name", "dcba"),
        ("id", "abcd"),
        ("-id", "dcba"),
        ("type", "cbad"),
        ("-type", "bacd"),
        ("language", "dcba"),
        ("number", "dbac"),
        ("-number", "cbad"),
        ("last_change", "bdac"),
        ("-last_change", "adbc"),
        ("drift", "bcda"),
    ],
)
def test_rows_are_sorted_and_what_is_not_known_comes_last(sort: str, ids: str) -> None:
    assert "".join(str(row.id) for row in sorted_rows(ROWS, sort)) == ids


@pytest.mark.parametrize("sort", [f"{sign}{key}" for key in SORT_KEYS for sign in ("", "-")])
def test_order_does_not_depend_on_the_digits_of_numbers(sort: str) -> None:
    same = {"name": "Same", "type": "outbound"}
    low, high = (
        rows_of(agents({"id": "1", "phone_number": first, **same}, {"id": "2", "phone_number": second, **same}), None)
        for first, second in (("+14155550100", "+14155550199"), ("+14155550199", "+14155550100"))
    )
    assert [row.id for row in sorted_rows(low, sort)] == [row.id for row in sorted_rows(high, sort)]


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ({}, "bcda"),
        ({"q": "ALPH"}, "b"),
        ({"q": "a"}, "bcda"),
        ({"q": NUMBER[2:]}, ""),
        ({"name": "beta"}, "c"),
        ({"name": "bet"}, ""),
        ({"agent_id": "d"}, "d"),
        ({"type": "outbound"}, "ba"),
        ({"number": "waiting"}, "ba"),
        ({"number": "has", "type": "inbound"}, "c"),
        ({"number": "lost"}, "d"),
        ({"drift": "not_declared"}, "bcda"),
        ({"drift": "missing"}, ""),
        ({"utm_source": "mail"}, "bcda"),
    ],
)
def test_query_string_filters(query: dict[str, str], ids: str) -> None:
    assert "".join(str(row.id) for row in Query.parse(query).apply(ROWS)) == ids


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"sort": "phone_number"}, "sort: must be one of name, id, type"),
        ({"sort": "--name"}, "sort: must be one of"),
        ({"number": "yes"}, "number: must be one of has, waiting, lost, none, and is 'yes'"),
        ({"drift": "x\u202e"}, r"and is 'x\\u202e'"),
        ({"page": "0"}, "page: must be a whole number"),
        ({"page": "²"}, "page: must be a whole number"),
        ({"page": "9" * 5000}, "page: must be a whole number"),
    ],
)
def test_query_string_that_means_nothing_is_refused(query: dict[str, str], message: str) -> None:
    with pytest.raises(OpenCXArgumentError, match=message):
        Query.parse(query)


def test_links_keep_the_query_and_leave_out_defaults() -> None:
    query = Query.parse({"sort": "-id", "q": " x ", "page": "3"})
    assert query.parameters() == {"sort": "-id", "q": "x", "page": "3"}
    assert query.parameters(page=1, sort="name") == {"q": "x"}
    assert Query.parse(query.parameters()) == query
    assert query.is_filtered
    assert not Query.parse({"sort": "id", "page": "2"}).is_filtered


def test_ten_thousand_rows_are_on_pages() -> None:
    rows = rows_of(agents(*({"id": str(number), "name": f"Agent {number:05}"} for number in range(10_000))), None)
    first, pages = page_of(Query().apply(rows), 1)
    assert pages == 10_000 // PAGE_SIZE
    assert [len(first), len(page_of(rows, pages)[0]), len(page_of(rows, pages + 1)[0])] == [PAGE_SIZE, PAGE_SIZE, 0]
    assert page_of([], 1) == ([], 1)


def test_masked_rows_show_the_end_of_a_number() -> None:
    shown = [row.phone_number for row in masked(ROWS)]
    assert shown == ["•••••••23", None, None, None]
    assert masked_number("+1 415 555 01 23") == "•••••••23"


@pytest.mark.parametrize("text", ["=1+1", "+1+1", "-1", "@SUM(A1)", "\t1", "\r1", "\n1", "\uff1d1", "+1415 555", "+1"])
def test_cell_that_a_spreadsheet_would_calculate_begins_with_an_apostrophe(text: str) -> None:
    assert safe_cell(text) == f"'{text}"


@pytest.mark.parametrize("within", ["Sales;=1+1", "a\n=1+1", "a\r\n@x", "\t-1", 'a; "=A1&""', "a;b;\uff0b1"])
def test_no_cell_begins_with_a_formula_where_the_semicolon_is_the_separator(within: str) -> None:
    text = csv_text(["id", "name"], [["1", within]])
    for separator in ",;":
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
            assert not [cell for cell in row if cell.strip(' "\t\r\n')[:1] in {*"=+-@\uff0b"} - {""}], row


def test_cell_of_blanks_is_looked_at_once() -> None:
    assert len(safe_cell("\n" * 1_000_000)) == 1_000_001


@pytest.mark.parametrize(
    "text", ["", "Sales", NUMBER, "a=1", "a; b", "a - b", "a\nb", "'=1", "•••••••23", "2026-01-01T00:00:00+00:00"]
)
def test_other_cells_and_telephone_numbers_stay_as_they_are(text: str) -> None:
    assert safe_cell(text) == text


def test_csv_is_read_as_it_was_written() -> None:
    cells = ['quote " and, comma', "line\nbreak", None, "ünï"]
    text = csv_text(["a", "b", "c", "d"], [cells])
    assert text.startswith("a,b,c,d\r\n")
    assert text.endswith("\r\n")
    assert [*csv.reader(io.StringIO(text, newline=""))] == [["a", "b", "c", "d"], [cell or "" for cell in cells]]


def test_downloads_have_the_same_agents() -> None:
    body = json.loads(downloads.agents_json("c1", ROWS, None, PLANNED_AT, are_masked=False))
    table = [*csv.DictReader(io.StringIO(downloads.agents_csv(ROWS), newline=""))]
    assert body["total"] == len(table) == 4
    assert body["read_at"] == "2026-05-04T12:00:00+00:00"
    assert [each["id"] for each in body["agents"]] == [each["id"] for each in table]
    assert list(table[0]) == list(body["agents"][0])
    assert table[0]["phone_number"] == body["agents"][0]["phone_number"] == NUMBER


def test_missing_row_has_nothing_but_its_name() -> None:
    row = Row(None, "Gone", None, (), Number.NONE, None, None, None, Verdict(Drift.MISSING))
    assert {name: value for name, value in row.as_dict().items() if value} == {
        "name": "Gone",
        "number": "none",
        "drift": "missing",
    }


SEQUENCE: dict[str, Any] = {
    "id": "seq_1",
    "name": "=Reminders",
    "status": "active",
    "started_at": "2026-01-01T00:00:00Z",
    "filter": {"phone_number": NUMBER},
    "steps": [
        {"action": {"type": "call", "data": {"message": "s3cret"}}, "delay_in_minutes": 0, "ended_at": 5},
        {"action": "odd", "delay_in_minutes": {"x": 1}},
        "odd",
    ],
}


def test_sequence_shows_its_steps_and_neither_people_nor_messages() -> None:
    shown = ShownSequence.of(SEQUENCE, PLANNED_AT, TaskOfPlan("campaign", "run", "start", 3))
    text = downloads.sequences_json("c1", [shown])
    assert NUMBER not in text
    assert "s3cret" not in text
    [sequence] = json.loads(text)["sequences"]
    assert (sequence["dag_id"], sequence["map_index"]) == ("campaign", 3)
    assert sequence["steps"] == [
        {"number": 1, "action": "call", "delay": "0", "started_at": None, "ended_at": "5"},
        {"number": 2, "action": None, "delay": None, "started_at": None, "ended_at": None},
    ]


def test_csv_of_sequences_has_a_row_for_each_step() -> None:
    shown = [ShownSequence.of(SEQUENCE, PLANNED_AT), ShownSequence.of({"id": "seq_2", "steps": None}, None)]
    rows = [*csv.DictReader(io.StringIO(downloads.sequences_csv(shown), newline=""))]
    assert [(row["sequence_id"], row["name"], row["step"], row["action"]) for row in rows] == [
        ("seq_1", "'=Reminders", "1", "call"),
        ("seq_1", "'=Reminders", "2", ""),
        ("seq_2", "", "", ""),
    ]
