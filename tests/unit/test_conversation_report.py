"""Tests how conversations are counted, and how the report describes that to a person."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from airflow_provider_opencx.conversations.report import ConversationReport, Scope, count_conversations
from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.resources.calls import Callee
from airflow_provider_opencx.resources.conversations import Conversation

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
WEEK = Scope(MONDAY, MONDAY + timedelta(days=7))
ADA, GRACE = "+14155550101", "+14155550102"

BY = {"by_status": "status", "by_closure": "ai_closure_type", "by_sentiment": "sentiment", "by_language": "language"}

OF_OUR_OWN = {
    *("heading_open", "heading_close", "bullet_list_open", "bullet_list_close", "list_item_open", "list_item_close"),
    *("paragraph_open", "paragraph_close", "inline", "text", "code_inline", "softbreak"),
    *("table_open", "table_close", "thead_open", "thead_close", "tbody_open", "tbody_close"),
    *("tr_open", "tr_close", "th_open", "th_close", "td_open", "td_close"),
}


def conversation(number: int = 1, *, created: object = MONDAY, **fields: object) -> Conversation:
    time = created.isoformat() if isinstance(created, datetime) else created
    return Conversation.from_response({"id": f"cs_{number}", "created_at": time, **fields})  # type: ignore[dict-item]


def count(*conversations: Conversation, scope: Scope = WEEK, **arguments: Any) -> dict[str, Any]:
    return count_conversations(conversations, scope, **arguments).as_dict()


def table_of(markdown: str) -> list[list[str]]:
    """Return the rows of the table, as Airflow's pages show them, after checking that all else is of our own."""
    tokens = MarkdownIt("gfm-like").parse(markdown)
    inline = [child for token in tokens for child in token.children or ()]
    assert {token.type for token in (*tokens, *inline)} <= OF_OUR_OWN
    rows: list[list[str]] = []
    for before, token in pairwise(tokens):
        if token.type == "tr_open":
            rows.append([])
        if token.type == "inline" and before.type in ("td_open", "th_open"):
            rows[-1].append("".join(child.content for child in token.children or ()))
    return rows


def test_report_counts_by_each_dimension() -> None:
    counted = count(
        conversation(1, status="open", ai_closure_type="resolved", sentiment="happy", language="en"),
        conversation(2, status="open", sentiment="angry", language="de", created=MONDAY + timedelta(days=2)),
        conversation(3, status="closed_resolved", sentiment="happy", language="en"),
    )
    markdown = counted.pop("markdown")
    assert counted == {
        "conversations": 3,
        "created_after": "2026-03-02T00:00:00+00:00",
        "created_before": "2026-03-09T00:00:00+00:00",
        "timezone": "UTC",
        "channel_type": None,
        "without_created_at": 0,
        "people": None,
        "by_status": {"open": 2, "closed_resolved": 1},
        "by_closure": {"not said": 2, "resolved": 1},
        "by_sentiment": {"happy": 2, "angry": 1},
        "by_language": {"en": 2, "de": 1},
        "by_day": {"2026-03-02": 2, "2026-03-04": 1},
    }
    assert markdown.splitlines() == [
        "#### 3 conversations",
        "",
        "- Created: from 2026-03-02 00:00:00+00:00 to before 2026-03-09 00:00:00+00:00",
        "- Days by the clock in: `UTC`",
        "",
        "| | | Conversations |",
        "| --- | --- | ---: |",
        "| Status | `open` | 2 |",
        "|  | `closed_resolved` | 1 |",
        "| Closure | not said | 2 |",
        "|  | `resolved` | 1 |",
        "| Sentiment | `happy` | 2 |",
        "|  | `angry` | 1 |",
        "| Language | `en` | 2 |",
        "|  | `de` | 1 |",
        "| Day | 2026-03-02 | 2 |",
        "|  | 2026-03-04 | 1 |",
    ]
    assert table_of(markdown)[1] == ["Status", "open", "2"]


def test_report_of_nothing_has_no_table() -> None:
    counted = count()
    assert counted["conversations"] == 0
    assert all(counted[key] == {} for key in (*BY, "by_day"))
    assert counted["markdown"].startswith("#### 0 conversations\n")
    assert "|" not in counted["markdown"]


@pytest.mark.parametrize(
    ("created", "is_counted"),
    [
        (WEEK.after, True),
        (WEEK.after - timedelta(milliseconds=1), False),
        (WEEK.before, False),
        (WEEK.before - timedelta(milliseconds=1), True),
        ("2026-03-02T01:00:00+01:00", True),
        ("2026-03-02T00:59:59+01:00", False),
    ],
)
def test_bounds_are_half_open_whatever_the_service_returns(created: object, is_counted: bool) -> None:
    assert count(conversation(created=created))["conversations"] == is_counted


def test_service_is_asked_for_more_than_is_counted() -> None:
    assert WEEK.asked.created_after < WEEK.after
    assert WEEK.asked.created_before > WEEK.before


def test_days_at_the_ends_of_the_calendar_can_be_asked_for() -> None:
    ends = Scope(datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC), "America/New_York")
    counted = count(conversation(created="0001-01-01T00:00:00Z"), scope=ends)
    assert counted["by_day"] == {"0001-01-01": 1}
    assert (ends.asked.created_after, ends.asked.created_before) == (ends.after, ends.before)


@pytest.mark.parametrize("before", [MONDAY, MONDAY - timedelta(days=1)])
def test_times_in_the_wrong_order_are_refused(before: datetime) -> None:
    with pytest.raises(OpenCXArgumentError, match="must be earlier than created_before"):
        Scope(MONDAY, before)


def test_conversation_that_a_moving_list_shows_twice_counts_once_as_it_was_last() -> None:
    older = conversation(status="open", updated_at="2026-03-02T10:00:00Z")
    newer = conversation(status="closed_resolved", updated_at="2026-03-02T12:00:00+01:00")
    unknown = conversation(status="odd", updated_at="once")
    for order in ([older, newer, unknown], [newer, unknown, older], [unknown, older, newer]):
        counted = count(*order)
        assert (counted["conversations"], counted["by_status"]) == (1, {"closed_resolved": 1})


def test_days_are_those_of_the_time_zone() -> None:
    late = conversation(created="2026-03-03T03:00:00Z")
    assert count(late)["by_day"] == {"2026-03-03": 1}
    counted = count(late, scope=Scope(WEEK.after, WEEK.before, "America/New_York"))
    assert counted["by_day"] == {"2026-03-02": 1}
    assert "from 2026-03-01 19:00:00-05:00 to before 2026-03-08 20:00:00-04:00" in counted["markdown"]


@pytest.mark.parametrize("created", [None, "", "yesterday", 5, {}])
def test_conversation_without_a_time_is_counted_apart(created: object) -> None:
    counted = count(conversation(1, created=created), conversation(1, created=created), conversation(2))
    assert (counted["conversations"], counted["without_created_at"]) == (1, 1)
    assert (
        "- ATTENTION: not counted, because it cannot be read when they were created: 1 conversation."
        in (counted["markdown"])
    )


def test_conversation_whose_time_can_be_read_once_is_counted() -> None:
    counted = count(conversation(1, created="odd"), conversation(1))
    assert (counted["conversations"], counted["without_created_at"]) == (1, 0)


@pytest.mark.parametrize("value", [None, "", "  ", 5, ["open"]])
def test_value_that_is_missing_or_no_text_is_counted_as_not_said(value: object) -> None:
    counted = count(conversation(**dict.fromkeys(BY.values(), value)))
    assert [counted[key] for key in BY] == [{"not said": 1}] * 4


def test_values_are_in_order_of_their_number_and_then_of_their_names() -> None:
    statuses = ["b", "a", "c", "c", None]
    counted = count(*(conversation(number, status=status) for number, status in enumerate(statuses)))
    assert [*counted["by_status"].items()] == [("c", 2), ("a", 1), ("b", 1), ("not said", 1)]


def test_values_that_are_too_many_are_counted_together() -> None:
    counted = count(*(conversation(number, status=f"status {number:02}") for number in range(50)))
    assert [*counted["by_status"].items()][18:] == [("status 18", 1), ("status 19", 1), ("others", 30)]
    assert ["", "others", "30"] in table_of(counted["markdown"])


def test_value_that_is_spelled_as_one_of_our_words_is_not_lost() -> None:
    counted = count(conversation(1, status="not said"), conversation(2))
    assert counted["by_status"] == {"not said": 2}
    assert "| Status | `not said` | 1 |\n|  | not said | 1 |" in counted["markdown"]


def test_markdown_shows_the_last_days_and_the_others_together() -> None:
    quarter = Scope(MONDAY, MONDAY + timedelta(days=90))
    each_day = [conversation(number, created=MONDAY + timedelta(days=number)) for number in range(90)]
    counted = count(*reversed(each_day), scope=quarter)
    assert [*counted["by_day"]] == sorted(counted["by_day"])
    assert len(counted["by_day"]) == 90
    rows = table_of(counted["markdown"])[-32:]
    assert (rows[0], rows[-1]) == (["Day", "earlier", "59"], ["", "2026-05-30", "1"])


HOSTILE = st.one_of(
    st.text(),
    st.lists(
        st.sampled_from(
            [
                *("|", "\\", "`", "``", "\n", "\r", " ", "<img src=x onerror=alert(1)>", "![x](https://x.example)"),
                *("https://x.example", "\n\n# x", "| a | b |", "-----", "\u202e", "\u200b", "\x00", "a" * 500),
            ]
        ),
        max_size=8,
    ).map("".join),
)


@given(HOSTILE)
def test_no_value_is_anything_but_text(value: str) -> None:
    counted = count(conversation(1, status=value), conversation(2, language="en"), conversation(3, language="en"))
    rows = {row[1].replace("\N{NO-BREAK SPACE}", " "): row[2] for row in table_of(counted["markdown"])[1:3]}
    for key, number in counted["by_status"].items():
        assert rows[key] == str(number)
        assert key.isprintable()
        assert len(key) <= 1200
    assert json.loads(json.dumps(counted)) == counted


def test_long_value_is_cut_and_counted() -> None:
    [key] = count(conversation(status="x" * 100_000))["by_status"]
    assert key == "x" * 100 + "... (99,900 more characters)"


PEOPLE = [Callee(ADA), Callee(GRACE), Callee(None, "c3")]


def test_conversations_of_others_do_not_count() -> None:
    counted = count(
        conversation(1, contact={"id": "c1", "phone_number": "+1 (415) 555-0101"}),
        conversation(2, contact={"id": "c1", "phone_number": "14155550101"}),
        conversation(3, contact={"id": "c3"}),
        conversation(4, contact={"id": "c4", "phone_number": "+14155550104"}),
        conversation(5, contact={"id": 7, "phone_number": None}),
        conversation(6, contact={"id": " ", "phone_number": " "}),
        conversation(7),
        people=PEOPLE,
    )
    assert counted["conversations"] == 3
    assert counted["people"] == {"people": 3, "with_conversation": 2, "without_conversation": 1}
    words = "- People with a conversation: 2 of 3. With none: 1, which is not the same as a missed call."
    assert words in counted["markdown"]


def test_national_number_of_a_contact_is_read_where_its_country_is_known() -> None:
    of_ada = conversation(contact={"phone_number": "(415) 555-0101"})
    assert count(of_ada, people=PEOPLE)["conversations"] == 0
    assert count(of_ada, people=PEOPLE, default_region="US")["conversations"] == 1


def test_conversation_out_of_scope_or_without_a_time_is_none_of_the_person() -> None:
    of_ada = {"phone_number": ADA}
    counted = count(
        conversation(1, contact=of_ada, created=WEEK.before),
        conversation(2, contact=of_ada, created="odd"),
        conversation(3, created="odd"),
        people=PEOPLE,
    )
    assert (counted["conversations"], counted["without_created_at"]) == (0, 1)
    assert counted["people"]["with_conversation"] == 0


def test_nobody_has_no_conversation() -> None:
    counted = count(conversation(contact={"phone_number": ADA}), people=[])
    assert counted["conversations"] == 0
    assert counted["people"] == {"people": 0, "with_conversation": 0, "without_conversation": 0}


def test_no_conversation_is_kept() -> None:
    def many() -> Iterator[Conversation]:
        for number in range(2_000):
            yield conversation(number, status="s" * 20_000, custom_data={"text": f"{number}" * 20_000})

    tracemalloc.start()
    try:
        report: ConversationReport = count_conversations(many(), WEEK)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert report.conversations == 2_000
    assert most < 4_000_000
