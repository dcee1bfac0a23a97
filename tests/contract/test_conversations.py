"""Tests what the simulator does with conversations, beyond what its OpenAPI documents can say."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from typing import Any

import httpx
import pytest

from airflow_provider_opencx.simulator import (
    AlterItems,
    EmptyList,
    EndlessPages,
    IncompleteList,
    MovedPages,
    RepeatedIds,
    Simulator,
    StaleList,
)

OTHER_KEY = "a-key-of-somebody-else"
ADA, BOB = "+14155550101", "+14155550102"
EVERYBODY = {"or": [{"and": [{"type": "all_contacts"}]}]}
EVERY_LIST = [
    {"order": order, "newest_first": newest_first, "paging": paging}
    for order in ("created", "updated")
    for newest_first in (False, True)
    for paging in ("cursor", "offset")
]
every_list = pytest.mark.parametrize("settings", EVERY_LIST, ids=lambda each: " ".join(map(str, each.values())))


def at(minute: int) -> str:
    return f"2026-01-01T00:{minute:02d}:00.000Z"


def pages(client: Any, **query: str) -> list[list[dict[str, Any]]]:
    """Each page of the list."""
    seen = []
    cursor: str | None = None
    while True:
        response = client.get("/chat/sessions", params={**query, **({"cursor": cursor} if cursor else {})})
        assert response.status_code == 200, response.text
        seen.append(response.json()["items"])
        cursor = response.json()["next"]
        if cursor is None:
            return seen


def listed(client: Any, **query: str) -> list[dict[str, Any]]:
    return [each for page in pages(client, **query) for each in page]


def numbers(client: Any, **query: str) -> list[int]:
    """The ticket numbers of a whole list: those that the simulator gives count from 1 on."""
    return [each["ticket_number"] for each in listed(client, **query)]


def history(client: Any, session_id: object) -> list[dict[str, Any]]:
    seen: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        params = {"cursor": cursor} if cursor else {}
        page = client.get(f"/chat/sessions/{session_id}/history", params=params).json()
        seen += page["items"]
        cursor = page["next"]
        if cursor is None:
            return seen


def agent(simulator: Simulator) -> object:
    return simulator.add_agent("Caller", type="outbound", phone_number="+15550100")["id"]


def call(client: Any, agent_id: object, **contact: object) -> None:
    response = client.post("/phone/outbound-call", json={"phoneAgentId": agent_id, "contact": contact})
    assert response.status_code == 200, response.text


@pytest.mark.parametrize("generation", ["2025", "2026"])
def test_conversations_follow_the_document(
    simulator: Simulator, client: Any, generation: str, assert_documented: Any
) -> None:
    ids = simulator.add_conversations(3)
    read = client.get(f"/chat/sessions/{ids[0]}")
    said = client.get(f"/chat/sessions/{ids[0]}/history")
    listing = client.get("/chat/sessions")
    assert_documented(read, "getChatSession", generation)
    assert_documented(said, "listChatHistory", generation)
    assert_documented(listing, "listChatSessions", generation)
    assert read.json() == simulator.conversations()[0]
    assert listing.json()["items"] == simulator.conversations()[:2]
    for path, operation in (("ses_000009", "getChatSession"), ("ses_000009/history", "listChatHistory")):
        unknown = client.get(f"/chat/sessions/{path}")
        assert (unknown.status_code, unknown.json()["message"]) == (404, "There is no chat session ses_000009")
        assert_documented(unknown, operation, generation)


@pytest.mark.parametrize("generation", ["2024"])
@pytest.mark.parametrize("path", ["/chat/sessions", "/chat/sessions/s", "/chat/sessions/s/history"])
def test_conversations_are_of_2025_and_later(client: Any, path: str) -> None:
    response = client.get(path)
    assert (response.status_code, response.json()["message"]) == (404, f"Route GET:{path} not found")


@pytest.mark.parametrize(
    "query",
    [
        {"cursor": "page 2"},
        {"cursor": "after-"},
        {"cursor": ""},
        {"handed_off": "yes"},
        {"status": "closed"},
        {"channel_type": "phone"},
    ],
)
def test_query_that_is_not_valid_is_refused(client: Any, query: dict[str, str], assert_documented: Any) -> None:
    response = client.get("/chat/sessions", params=query)
    assert (response.status_code, next(iter(query)) in response.json()["message"]) == (400, True)
    assert_documented(response, "listChatSessions", "2026")


def test_conversations_are_of_one_organization(simulator: Simulator, client: Any) -> None:
    theirs = simulator.add_conversation(api_key=OTHER_KEY)
    mine = simulator.add_conversation()
    assert listed(client) == simulator.conversations() == [mine]
    assert client.get(f"/chat/sessions/{theirs['id']}").status_code == 404
    assert client.get(f"/chat/sessions/{theirs['id']}/history").status_code == 404
    assert simulator.conversations(OTHER_KEY) == [theirs]


def test_new_conversation_is_an_open_call_of_now(simulator: Simulator) -> None:
    made = simulator.add_conversation()
    assert made["created_at"] == made["updated_at"]
    assert {name: value for name, value in made.items() if value is not None and not name.endswith("_at")} == {
        "id": "ses_000001",
        "ticket_number": 1,
        "status": "open",
        "channel": {"type": "phone_voice"},
    }


def test_any_field_can_be_given(simulator: Simulator, client: Any) -> None:
    given: dict[str, Any] = {
        "status": "closed_resolved",
        "ai_closure_type": "something new",
        "sentiment": "happy",
        "channel": {"type": "sms", "more": 1},
        "ticket_number": 7,
        "created_at": at(1),
        "updated_at": at(2),
        "contact": {"id": "con_1", "phone_number": ADA},
        "language": "de",
        "assignee_id": "user_1",
        "custom_data": {"a": [1]},
        "team": {"id": "t", "name": "Team"},
        "handoff": {"summary": "x", "sentiment": "angry"},
        "ticketing_system": {"name": "desk", "external_id": "9"},
    }
    made = simulator.add_conversation(**given)
    assert client.get(f"/chat/sessions/{made['id']}").json() == {"id": "ses_000001", **given}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"zodiac": "leo"}, "no field zodiac"),
        ({"id": "ses_7"}, "no field id"),
        ({"status": 1}, "status"),
        ({"contact": "Ada"}, "contact"),
        ({"created_at": "yesterday"}, "created_at is a time"),
        ({"updated_at": ""}, "updated_at is a time"),
        ({"events": [{"event": {}}]}, "type"),
        ({"events": [{"event": {"type": "message"}, "text": "x"}]}, "no field text"),
    ],
)
def test_what_no_conversation_has_is_an_error(simulator: Simulator, fields: dict[str, Any], message: str) -> None:
    made = simulator.add_conversation()
    with pytest.raises(ValueError, match=message):
        simulator.add_conversation(**fields)
    if "created_at" not in fields:
        with pytest.raises(ValueError, match=message):
            simulator.update_conversation(str(made["id"]), **fields)
    assert simulator.conversations() == [made]


def test_late_update_moves_the_time_of_the_change(simulator: Simulator, client: Any, clock: Any) -> None:
    made = simulator.add_conversation()
    once = simulator.update_conversation(str(made["id"]))
    clock.now += 60
    late = simulator.update_conversation(str(made["id"]), sentiment="angry", custom_data={"a": 1})
    assert str(made["updated_at"]) < str(once["updated_at"]) < str(late["updated_at"])
    assert late == {**made, "sentiment": "angry", "custom_data": {"a": 1}, "updated_at": late["updated_at"]}
    given = simulator.update_conversation(str(made["id"]), updated_at=at(3))
    assert given == {**late, "updated_at": at(3)}
    assert client.get(f"/chat/sessions/{made['id']}").json() == given


def test_removed_conversation_is_gone(simulator: Simulator, client: Any) -> None:
    first, second = simulator.add_conversations(2)
    simulator.remove_conversation(first)
    assert [each["id"] for each in listed(client)] == [second]
    assert client.get(f"/chat/sessions/{first}").status_code == 404
    with pytest.raises(LookupError):
        simulator.remove_conversation(first)


# The list: its order, its bounds, its pages.


@every_list
@pytest.mark.parametrize("count", [0, 1, 2, 3, 7])
def test_every_list_shows_each_conversation_once_in_its_order(
    simulator: Simulator, client: Any, settings: dict[str, Any], count: int
) -> None:
    for number in range(count):
        simulator.add_conversation(created_at=at(number * 3 % 7), updated_at=at(20 + number * 5 % 7))
    simulator.list_conversations_by(**settings)
    seen = pages(client)
    assert [len(page) for page in seen] == ([2] * (count // 2) + [1] * (count % 2) or [0])
    times = [each[f"{settings['order']}_at"] for page in seen for each in page]
    assert times == sorted(times, reverse=settings["newest_first"])
    assert len({each["id"] for page in seen for each in page}) == count


@every_list
def test_conversations_of_the_same_moment_are_each_listed_once(
    simulator: Simulator, client: Any, settings: dict[str, Any]
) -> None:
    for _ in range(5):
        simulator.add_conversation(created_at=at(1))
    simulator.list_conversations_by(**settings)
    assert numbers(client) == ([5, 4, 3, 2, 1] if settings["newest_first"] else [1, 2, 3, 4, 5])


FIVE: list[dict[str, Any]] = [
    {"created_at": at(1), "updated_at": at(9)},
    {"created_at": at(2), "updated_at": at(2), "status": "closed_resolved"},
    {"created_at": at(3), "updated_at": at(7), "channel": {"type": "sms"}},
    {"created_at": at(4), "updated_at": at(8), "handoff": {"summary": "x"}},
    {"created_at": at(5), "updated_at": at(5), "status": "closed_unresolved", "channel": None},
]


@every_list
@pytest.mark.parametrize("is_viewed", [False, True], ids=["as it is", "by a fault"])
@pytest.mark.parametrize(
    ("query", "inclusive", "exclusive"),
    [
        ({"created_after": at(2)}, {2, 3, 4, 5}, {3, 4, 5}),
        ({"created_before": at(2)}, {1, 2}, {1}),
        ({"created_after": at(2), "created_before": at(4)}, {2, 3, 4}, {3}),
        ({"created_after": at(2), "created_before": at(2)}, {2}, set()),
        ({"created_after": at(4), "created_before": at(2)}, set(), set()),
        ({"updated_after": at(7)}, {1, 3, 4}, {1, 4}),
        ({"updated_before": at(7)}, {2, 3, 5}, {2, 5}),
        ({"updated_after": "2026-01-01T01:07:00+01:00"}, {1, 3, 4}, {1, 4}),
        ({"created_after": at(2), "updated_before": at(7)}, {2, 3, 5}, {5}),
        ({"status": "open"}, {1, 3, 4}, {1, 3, 4}),
        ({"status": "closed_resolved"}, {2}, {2}),
        ({"channel_type": "phone_voice"}, {1, 2, 4}, {1, 2, 4}),
        ({"channel_type": "sms", "status": "open"}, {3}, {3}),
        ({"handed_off": "true"}, {4}, {4}),
        ({"handed_off": "false"}, {1, 2, 3, 5}, {1, 2, 3, 5}),
        ({"status": "open", "updated_after": at(8)}, {1, 4}, {1}),
        ({"created_after": "2000-01-01"}, {1, 2, 3, 4, 5}, {1, 2, 3, 4, 5}),
        ({"created_after": "9999-12-31T23:59:59-14:00"}, set(), set()),
        ({"updated_before": "0001-01-01T00:00:00+14:00"}, set(), set()),
        ({"created_after": "yesterday"}, set(), set()),
        ({"updated_before": ""}, set(), set()),
    ],
)
def test_list_is_filtered(
    simulator: Simulator,
    client: Any,
    settings: dict[str, Any],
    query: dict[str, str],
    inclusive: set[int],
    exclusive: set[int],
    is_viewed: bool,
) -> None:
    for each in FIVE:
        simulator.add_conversation(**each)
    if is_viewed:
        simulator.fail("listChatSessions", MovedPages(by=0), times=None)
    for bounds, expected in (("inclusive", inclusive), ("exclusive", exclusive)):
        simulator.list_conversations_by(**settings, bounds=bounds)
        seen = numbers(client, **query)
        by = [FIVE[number - 1][f"{settings['order']}_at"] for number in seen]
        assert (set(seen), len(seen)) == (expected, len(expected)), bounds
        assert by == sorted(by, reverse=settings["newest_first"])


@pytest.mark.parametrize(
    ("precision", "shown"),
    [
        ("seconds", "2026-01-01T00:00:00Z"),
        ("milliseconds", "2026-01-01T00:00:00.123Z"),
        ("microseconds", "2026-01-01T00:00:00.123456Z"),
    ],
)
def test_shown_times_may_be_coarser_than_the_bounds(
    simulator: Simulator, client: Any, precision: Any, shown: str
) -> None:
    simulator.add_conversation(created_at="2026-01-01T00:00:00.123456Z")
    simulator.list_conversations_by(precision=precision)
    [made] = listed(client)
    assert made["created_at"] == made["updated_at"] == shown
    assert (listed(client, created_before=shown) == []) == (precision != "microseconds")
    assert listed(client, created_after=shown) == [made]


@every_list
def test_conversation_that_is_added_between_pages(simulator: Simulator, client: Any, settings: dict[str, Any]) -> None:
    for number in range(4):
        simulator.add_conversation(created_at=at(number))
    simulator.list_conversations_by(**settings)
    simulator.between_pages(lambda: simulator.add_conversation(created_at=at(30)))
    seen = numbers(client)
    if not settings["newest_first"]:
        assert seen == [1, 2, 3, 4, 5]
    elif settings["paging"] == "cursor":
        assert seen == [4, 3, 2, 1]
    else:
        assert seen == [4, 3, 3, 2, 1]


@every_list
def test_conversation_that_changes_between_pages(simulator: Simulator, client: Any, settings: dict[str, Any]) -> None:
    for number in range(5):
        simulator.add_conversation(created_at=at(number))
    simulator.list_conversations_by(**settings)
    # With two on a page, one that was shown and one that was not.
    simulator.between_pages(lambda: [simulator.update_conversation(f"ses_00000{number}") for number in (1, 5)])
    seen = numbers(client)
    if settings["order"] == "created":
        assert seen == ([5, 4, 3, 2, 1] if settings["newest_first"] else [1, 2, 3, 4, 5])
    elif settings["newest_first"]:
        # 1 moves to the front, which was read: no page shows it any more.
        assert seen == ([5, 4, 3, 2] if settings["paging"] == "cursor" else [5, 4, 4, 3, 2])
    else:
        # 1 is shown again at the end. Counted from the beginning, 3 moves to where nobody reads any more.
        assert seen == ([1, 2, 3, 4, 1, 5] if settings["paging"] == "cursor" else [1, 2, 4, 1, 5])


@pytest.mark.parametrize(("paging", "seen"), [("cursor", [1, 2, 3, 4]), ("offset", [1, 2, 4])])
def test_conversation_that_is_removed_between_pages(
    simulator: Simulator, client: Any, paging: Any, seen: list[int]
) -> None:
    simulator.add_conversations(4)
    simulator.list_conversations_by(paging=paging)
    simulator.between_pages(lambda: simulator.remove_conversation("ses_000001"))
    assert numbers(client) == seen


@pytest.mark.parametrize(("after", "times", "gaps"), [(1, 1, [1]), (2, 1, [2]), (2, 2, [2, 3]), (1, None, [1, 2, 3])])
def test_change_happens_between_the_pages_that_were_named(
    simulator: Simulator, client: Any, after: int, times: int | None, gaps: list[int]
) -> None:
    simulator.add_conversations(8)
    happened: list[int] = []
    simulator.between_pages(lambda: happened.append(simulator.count("listChatSessions") - 1), after=after, times=times)
    listed(client)
    assert happened == gaps
    listed(client)
    assert len(happened) == len(gaps) * (2 if times is None else 1)


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        (StaleList(30), [1, 2]),
        (StaleList(30, of="updates"), [1, 2, 3]),
        (EmptyList(), []),
        (IncompleteList(lost=2), [1]),
        (RepeatedIds(), [1, 2, 1, 2, 3, 3]),
        (MovedPages(), [1, 2, 2, 3]),
        (MovedPages(by=-1), [1, 2]),
        (AlterItems({"ticket_number": 9}), [9, 2, 9]),
    ],
)
@pytest.mark.parametrize("paging", ["cursor", "offset"])
def test_faults_of_lists_are_those_of_agents(
    simulator: Simulator, client: Any, fault: Any, seen: list[int], paging: Any
) -> None:
    simulator.list_conversations_by(paging=paging)
    simulator.add_conversations(2)
    simulator.advance("1m")
    simulator.add_conversation()
    simulator.fail("listChatSessions", fault, times=None)
    assert numbers(client) == seen


@every_list
def test_stale_list_is_ordered_by_what_it_shows(simulator: Simulator, client: Any, settings: dict[str, Any]) -> None:
    for number in range(3):
        simulator.add_conversation(created_at=at(number))
    before = simulator.conversations()
    simulator.advance("1m")
    simulator.update_conversation("ses_000001", status="closed_resolved")
    simulator.remove_conversation("ses_000002")
    simulator.list_conversations_by(**settings)
    simulator.fail("listChatSessions", StaleList(30), times=None)
    assert listed(client) == (before[::-1] if settings["newest_first"] else before)


def test_list_may_have_no_end(simulator: Simulator, client: Any) -> None:
    simulator.add_conversation()
    simulator.fail("listChatSessions", EndlessPages(), times=2)
    page = client.get("/chat/sessions", params={"cursor": "after-7"}).json()
    assert (page["items"][0]["id"], page["next"]) == ("ses_000001_7", "after-8")
    cursor = client.get("/chat/sessions", params={"cursor": page["next"]}).json()["next"]
    assert client.get("/chat/sessions", params={"cursor": cursor}).status_code == 200


# What was said.


def test_history_is_in_pages(simulator: Simulator, client: Any) -> None:
    words = {"type": "text", "text": "Hi"}
    said: list[dict[str, Any]] = [
        {"event": {"type": "message", "sender": {"type": "user", "name": "Ada"}, "content": words}},
        {"event": {"type": "call_history"}, "created_at": at(5), "id": "msg_mine"},
        {"event": {"type": "message", "attachments": [{"id": "a", "size": 3}], "context": {"a": 1}}},
    ]
    made = simulator.add_conversation(created_at=at(1), updated_at=at(2), events=said)
    read = history(client, made["id"])
    assert [each["event"] for each in read] == [each["event"] for each in said]
    assert [(each["id"], each["created_at"]) for each in read] == [
        ("msg_000001_001", at(2)),
        ("msg_mine", at(5)),
        ("msg_000001_003", at(2)),
    ]
    assert simulator.count("listChatHistory") == 2
    assert history(client, simulator.add_conversation(events=[])["id"]) == []


def test_late_update_adds_to_the_history(simulator: Simulator, client: Any) -> None:
    made = simulator.add_conversation()
    before = history(client, made["id"])
    late = simulator.update_conversation(str(made["id"]), events=[{"event": {"type": "sequence_message"}}])
    after = history(client, made["id"])
    assert (len(before), after[:-1]) == (2, before)
    assert after[-1] == {
        "id": "msg_000001_003",
        "created_at": late["updated_at"],
        "event": {"type": "sequence_message"},
    }


@pytest.mark.parametrize(
    ("fields", "last"),
    [
        ({"status": "open"}, "message"),
        ({"status": "closed_resolved"}, "ai_resolved_issue"),
        ({"status": "closed_unresolved"}, "message"),
        ({"status": "closed_unresolved", "handoff": {"summary": "x"}}, "handoff"),
    ],
)
def test_usual_history_ends_as_the_conversation_does(
    simulator: Simulator, client: Any, fields: dict[str, Any], last: str
) -> None:
    read = history(client, simulator.add_conversation(**fields)["id"])
    assert read[-1]["event"]["type"] == last
    assert all(first["created_at"] < second["created_at"] for first, second in pairwise(read))
    assert {each["event"]["sender"]["type"] for each in read} == {"ai", "user"}


@pytest.mark.parametrize(
    ("fault", "seen"),
    [(MovedPages(), [0, 1, 1, 2]), (RepeatedIds(), [0, 1, 0, 1, 2, 2]), (IncompleteList(), [0, 1]), (EmptyList(), [])],
)
def test_faults_of_lists_are_for_histories(simulator: Simulator, client: Any, fault: Any, seen: list[int]) -> None:
    made = simulator.add_conversation(events=[{"event": {"type": str(number)}} for number in range(3)])
    simulator.fail("listChatHistory", fault, times=None)
    assert [int(each["event"]["type"]) for each in history(client, made["id"])] == seen


@pytest.mark.parametrize(("seconds", "events"), [(5, 4), (45, 2), (120, 0)])
def test_history_may_be_stale(simulator: Simulator, client: Any, seconds: float, events: int) -> None:
    call(client, agent(simulator), phoneNumber=ADA)
    simulator.advance("1m")
    simulator.fail("listChatHistory", StaleList(seconds), times=None)
    assert len(history(client, "ses_000001")) == events


# What calls leave behind.


def test_call_leaves_a_conversation_that_is_closed_later(simulator: Simulator, client: Any) -> None:
    contact = simulator.add_contact(ADA, name="Ada", email="ada@example.com", custom_data={"a": 1})
    call(client, agent(simulator), id=contact["id"])
    simulator.advance(4.9)
    assert listed(client) == []
    simulator.advance(0.1)
    [opened] = listed(client, channel_type="phone_voice")
    assert opened["created_at"] == opened["updated_at"]
    assert (opened["status"], opened["ai_closure_type"], opened["sentiment"]) == ("open", None, None)
    assert opened["contact"] == {name: contact[name] for name in ("id", "email", "phone_number", "name", "custom_data")}
    simulator.advance(30)
    [closed] = listed(client)
    assert (closed["id"], closed["created_at"]) == (opened["id"], opened["created_at"])
    assert closed["updated_at"] > opened["updated_at"]
    assert (closed["status"], closed["ai_closure_type"], closed["sentiment"]) == (
        "closed_resolved",
        "resolved",
        "happy",
    )
    assert closed["language"] == opened["language"]
    assert len(history(client, closed["id"])) == 4


def test_times_of_a_conversation_are_those_at_which_it_was_due(simulator: Simulator, client: Any) -> None:
    call(client, agent(simulator), phoneNumber=ADA)
    simulator.advance("60m")
    [closed] = listed(client)
    began, ended = (datetime.fromisoformat(closed[name]) for name in ("created_at", "updated_at"))
    assert abs((ended - began).total_seconds() - 30) < 0.01


@pytest.mark.parametrize(
    ("called", "contact"),
    [
        ({"phoneNumber": ADA}, {"phone_number": ADA}),
        ({"id": "con_000009"}, {"id": "con_000009", "phone_number": None}),
    ],
)
def test_call_of_no_contact_leaves_what_was_called(
    simulator: Simulator, client: Any, called: dict[str, Any], contact: dict[str, Any]
) -> None:
    simulator.leave_conversations(after=0)
    call(client, agent(simulator), **called)
    assert [each["contact"] for each in listed(client)] == [contact]
    assert simulator.contacts() == []


def test_conversations_of_many_calls_differ_the_same_way_each_time(simulator: Simulator, client: Any) -> None:
    def outcomes() -> list[tuple[Any, ...]]:
        simulator.leave_conversations(missed_every=None)
        agent_id = agent(simulator)
        for number in range(20):
            call(client, agent_id, phoneNumber=f"+141555501{number:02d}")
        simulator.advance("1m")
        names = ("status", "ai_closure_type", "sentiment", "language", "handoff")
        return [tuple(each[name] for name in names) for each in simulator.conversations()]

    first = outcomes()
    simulator.reset()
    assert outcomes() == first
    assert Counter(status for status, *_ in first) == {"closed_resolved": 12, "closed_unresolved": 8}
    assert {closure for _, closure, *_ in first} == {"resolved", "assumed_resolved", "handed_off", None}
    assert {sentiment for _, _, sentiment, *_ in first} == {"happy", "neutral", "angry"}
    assert len({language for *_, language, _ in first}) > 2
    assert {closure for _, closure, _, _, handoff in first if handoff} == {"handed_off"}


@pytest.mark.parametrize(
    ("settings", "left"),
    [
        ({}, [0, 1, 2, 3, 5, 6]),
        ({"missed_every": 2}, [0, 2, 4, 6]),
        ({"missed_every": 1}, []),
        ({"missed_every": None}, [0, 1, 2, 3, 4, 5, 6]),
        ({"missed_every": None, "missed_numbers": ["+14155550100", "+14155550106"]}, [1, 2, 3, 4, 5]),
    ],
)
def test_missed_calls_leave_nothing(
    simulator: Simulator, client: Any, settings: dict[str, Any], left: list[int]
) -> None:
    simulator.leave_conversations(after=0, **settings)
    agent_id = agent(simulator)
    for number in range(7):
        call(client, agent_id, phoneNumber=f"+1415555010{number}")
    assert [int(each["contact"]["phone_number"][-1]) for each in listed(client)] == left
    assert len(simulator.dialed()) == 7


def test_missed_number_may_be_that_of_a_contact(simulator: Simulator, client: Any) -> None:
    simulator.leave_conversations(after=0, missed_numbers=[ADA])
    agent_id = agent(simulator)
    for number in (ADA, BOB):
        call(client, agent_id, id=simulator.add_contact(number)["id"])
    assert [each["contact"]["phone_number"] for each in listed(client)] == [BOB]


def test_conversation_may_stay_open(simulator: Simulator, client: Any) -> None:
    simulator.leave_conversations(closed_after=None)
    call(client, agent(simulator), phoneNumber=ADA)
    simulator.advance("60m")
    assert [each["status"] for each in listed(client)] == ["open"]


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "removed"])
def test_conversation_that_somebody_closed_or_removed_is_left_alone(
    simulator: Simulator, client: Any, closed: bool
) -> None:
    call(client, agent(simulator), phoneNumber=ADA)
    simulator.advance(5)
    if closed:
        simulator.update_conversation("ses_000001", status="closed_unresolved", sentiment="angry")
    else:
        simulator.remove_conversation("ses_000001")
    before = simulator.conversations()
    simulator.advance("1m")
    assert listed(client) == simulator.conversations() == before


def test_calls_of_sequences_leave_conversations(simulator: Simulator, client: Any) -> None:
    agent_id = agent(simulator)
    contacts = [simulator.add_contact(f"+1415555010{number}") for number in range(6)]
    step: Any = {"action": {"type": "make_phone_calls", "data": {"aiPhoneAgentId": agent_id}}}
    made = simulator.create_sequence(filter=EVERYBODY, steps=[step], is_continuous=False)
    simulator.start_sequence(str(made["id"]))
    simulator.advance("1m")
    called = [each["contact"]["id"] for each in listed(client)]
    assert called == [contact["id"] for number, contact in enumerate(contacts, start=1) if number != 5]
    assert {each["status"] for each in listed(client)} == {"closed_resolved", "closed_unresolved"}


def test_reset_discards_conversations_and_how_they_are_treated(simulator: Simulator, client: Any) -> None:
    simulator.add_conversations(3)
    simulator.list_conversations_by("updated", newest_first=True, paging="offset")
    simulator.leave_conversations(after=0, missed_every=1)
    simulator.between_pages(simulator.add_conversation, times=None)
    simulator.reset()
    assert listed(client) == []
    call(client, agent(simulator), phoneNumber=ADA)
    simulator.advance(5)
    simulator.add_conversations(2)
    assert numbers(client) == [2, 1, 3]


# Many.


def test_many_conversations_are_the_same_each_time(simulator: Simulator, client: Any) -> None:
    def many() -> list[dict[str, Any]]:
        simulator.reset()
        simulator.page_size = 1000
        simulator.add_conversations(2500, first="2026-01-01", last="2026-01-11")
        return listed(client)

    first = many()
    assert many() == first
    assert [len(first), len({each["id"] for each in first})] == [2500, 2500]
    times = [each["created_at"] for each in first]
    assert (times[0], times[-1]) == ("2026-01-01T00:00:00.000Z", "2026-01-11T00:00:00.000Z")
    assert times == sorted(set(times))
    assert all(each["created_at"] <= each["updated_at"] <= times[-1] for each in first)
    assert [each["id"] for each in sorted(first, key=lambda each: each["updated_at"])] != [each["id"] for each in first]
    assert len({each["contact"]["id"] for each in first}) == 1000
    assert {each["status"] for each in first} == {"closed_resolved", "closed_unresolved"}


def test_many_conversations_may_have_fields_in_common(simulator: Simulator, client: Any) -> None:
    simulator.add_conversations(40, status="open", channel={"type": "web_voice"}, api_key=None)
    assert len(listed(client, status="open", channel_type="web_voice")) == 40
    assert len({each["language"] for each in listed(client)}) > 2


@pytest.mark.parametrize(
    "arguments",
    [{"count": 0}, {"count": 1, "first": "x"}, {"count": 1, "first": at(2), "last": at(1)}, {"count": 1, "status": 3}],
)
def test_many_conversations_of_what_is_not_valid(simulator: Simulator, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"count|first|status"):
        simulator.add_conversations(**arguments)
    assert simulator.conversations() == []


@pytest.mark.parametrize("settings", [EVERY_LIST[0], EVERY_LIST[-1]], ids=["default", "updated, newest first, offset"])
def test_page_of_a_hundred_thousand_costs_as_much_as_one_of_a_few(
    simulator: Simulator, client: Any, settings: dict[str, Any]
) -> None:
    def seconds() -> float:
        started = time.perf_counter()
        cursor = client.get("/chat/sessions").json()["next"]
        for _ in range(50):
            cursor = client.get("/chat/sessions", params={"cursor": cursor}).json()["next"]
        return time.perf_counter() - started

    simulator.page_size = 100
    simulator.list_conversations_by(**settings)
    simulator.add_conversations(5_200)
    few = seconds()
    simulator.add_conversations(94_800)
    assert seconds() < 3 * few + 0.5


@pytest.mark.parametrize(
    "wrong",
    [
        lambda simulator: simulator.list_conversations_by("number"),
        lambda simulator: simulator.list_conversations_by(newest_first="yes"),
        lambda simulator: simulator.list_conversations_by(paging="page"),
        lambda simulator: simulator.list_conversations_by(bounds="open"),
        lambda simulator: simulator.list_conversations_by(precision="days"),
        lambda simulator: simulator.leave_conversations(after="soon"),
        lambda simulator: simulator.leave_conversations(closed_after=-1),
        lambda simulator: simulator.leave_conversations(missed_every=0),
        lambda simulator: simulator.leave_conversations(missed_every=True),
        lambda simulator: simulator.leave_conversations(missed_numbers=ADA),
        lambda simulator: simulator.leave_conversations(missed_numbers=[1]),
        lambda simulator: simulator.between_pages(print, after=0),
        lambda simulator: simulator.between_pages(print, times=0),
    ],
)
def test_control_that_means_nothing_is_an_error(simulator: Simulator, wrong: Callable[[Any], object]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        wrong(simulator)


# Over HTTP.


def test_admin_adds_changes_and_removes_conversations(simulator: Simulator, client: Any) -> None:
    admin = f"{simulator.url}/_simulator/conversations"
    sent = [{"contact": {"phone_number": ADA}, "created_at": at(1)}, {"events": [{"event": {"type": "message"}}]}]
    theirs = {"Authorization": f"Bearer {OTHER_KEY}"}
    added = httpx.post(admin, json={"conversations": sent}, headers=theirs)
    assert added.status_code == 201
    assert added.json()["conversations"] == simulator.conversations(OTHER_KEY)
    assert httpx.get(admin, headers=theirs).json() == added.json()
    assert httpx.get(admin).json() == {"conversations": []}
    mine = simulator.add_conversation()
    change = {"sentiment": "happy", "updated_at": at(9), "events": [{"event": {"type": "handoff"}}]}
    changed = httpx.patch(f"{admin}/{mine['id']}", json=change)
    assert changed.json() == {**mine, "sentiment": "happy", "updated_at": at(9)}
    assert history(client, mine["id"])[-1]["event"] == {"type": "handoff"}
    assert httpx.delete(f"{admin}/{mine['id']}", headers={"Content-Type": "application/json"}).status_code == 204
    assert simulator.conversations() == []
    assert httpx.patch(f"{admin}/{mine['id']}", json={}).status_code == 404


def test_admin_adds_many(simulator: Simulator) -> None:
    body = {"count": 5, "first": at(1), "last": at(5), "fields": {"language": "nl"}}
    added = httpx.post(f"{simulator.url}/_simulator/conversations/many", json=body)
    assert (added.status_code, added.json()) == (201, {"count": 5, "first_id": "ses_000001", "last_id": "ses_000005"})
    assert [each["created_at"] for each in simulator.conversations()] == [at(minute) for minute in range(1, 6)]
    assert {each["language"] for each in simulator.conversations()} == {"nl"}


def test_admin_sets_how_conversations_are_treated(simulator: Simulator, client: Any) -> None:
    admin = f"{simulator.url}/_simulator/conversations"
    way = {"order": "updated", "newest_first": True, "paging": "offset", "bounds": "exclusive", "precision": "seconds"}
    assert httpx.put(f"{admin}/list", json=way).json() == way
    left = {"after": 0, "closed_after": "2m", "missed_every": None, "missed_numbers": [BOB, ADA]}
    assert httpx.put(f"{admin}/after-calls", json=left).json() == {
        **left,
        "closed_after": 120,
        "missed_numbers": [ADA, BOB],
    }
    agent_id = agent(simulator)
    for number in (ADA, "+14155550103", BOB):
        call(client, agent_id, phoneNumber=number)
    assert [each["contact"]["phone_number"] for each in listed(client)] == ["+14155550103"]
    simulator.add_conversations(4, last=at(50))
    assert client.get("/chat/sessions").json()["next"] == "offset-2"
    default = {"order": "created", "newest_first": False, "paging": "cursor", "bounds": "inclusive"}
    assert httpx.put(f"{admin}/list", json={}).json() == {**default, "precision": "milliseconds"}


def test_admin_plans_what_happens_between_pages(simulator: Simulator, client: Any) -> None:
    simulator.add_conversations(6, first=at(1), last=at(6))
    simulator.list_conversations_by("updated")
    plan = {
        "after": 2,
        "add": [{"created_at": at(20), "ticket_number": 70}],
        "update": {"ids": ["ses_000001", "ses_000006"], "updated_at": at(30), "sentiment": "angry"},
        "remove": ["ses_000005"],
    }
    planned = httpx.post(f"{simulator.url}/_simulator/conversations/between-pages", json=plan)
    assert (planned.status_code, planned.json()) == (201, {"after": 2, "times": 1})
    assert numbers(client) == [1, 2, 3, 4, 70, 1, 6]
    assert numbers(client) == [2, 3, 4, 70, 1, 6]


def test_admin_plans_what_happens_each_time(simulator: Simulator, client: Any) -> None:
    ids = simulator.add_conversations(6)
    plan = {"times": None, "remove": ids[:1], "update": {"ids": ids[:2]}, "add": [{"status": "open"}]}
    httpx.post(f"{simulator.url}/_simulator/conversations/between-pages", json=plan)
    client.get("/chat/sessions", params={"cursor": "after-1"})
    client.get("/chat/sessions", params={"cursor": "after-1"})
    assert len(simulator.conversations()) == 7


@pytest.mark.parametrize(
    ("method", "path", "body", "message"),
    [
        ("POST", "", {"conversations": [{}, {"zodiac": "leo"}]}, "conversations.1.zodiac"),
        ("POST", "", {"conversations": [{}, {"status": 1}]}, "status"),
        ("POST", "", {"conversations": [{}, {"created_at": "x"}]}, "created_at"),
        ("POST", "", {"conversations": [{}, {"events": [{}]}]}, "event"),
        ("POST", "/many", {"count": 0}, "count"),
        ("POST", "/many", {"count": 2, "first": "x"}, "first"),
        ("POST", "/many", {"count": 2, "fields": {"id": "x"}}, "no field id"),
        ("PUT", "/list", {"order": "number"}, "order"),
        ("PUT", "/after-calls", {"after": "soon"}, "after"),
        ("PATCH", "/ses_000001", {"created_at": at(1)}, "created_at"),
        ("PATCH", "/ses_000001", {"contact": 3}, "contact"),
        ("POST", "/between-pages", {"after": 0}, "after"),
        ("POST", "/between-pages", {"add": [{"status": 1}]}, "status"),
        ("POST", "/between-pages", {"update": {"ids": [], "language": 1}}, "language"),
        ("POST", "/between-pages", {"remove": ["ses_000009"]}, "no conversation ses_000009"),
    ],
)
def test_admin_error_names_the_field_and_changes_nothing(
    simulator: Simulator, client: Any, method: str, path: str, body: object, message: str
) -> None:
    made = simulator.add_conversation()
    response = httpx.request(method, f"{simulator.url}/_simulator/conversations{path}", json=body)
    assert (response.status_code, message in response.json()["message"]) == (
        404 if "no conversation" in message else 400,
        True,
    ), response.text
    client.get("/chat/sessions", params={"cursor": "after-1"})
    assert simulator.conversations() == [made]
