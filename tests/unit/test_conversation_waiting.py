"""Tests which conversation belongs to a call, and what a poll means for a task that waits for it."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_opencx.client.operation import Request, Response
from airflow_provider_opencx.conversations.polling import poll_once, read_conversations
from airflow_provider_opencx.conversations.waiting import ConversationWait, success
from airflow_provider_opencx.conversations.wanted import (
    CLOCK_TOLERANCE,
    Found,
    WantedConversation,
    checked_wanted,
    find,
)
from airflow_provider_opencx.exceptions import (
    OpenCXArgumentError,
    OpenCXAuthenticationPermanentError,
    OpenCXError,
    OpenCXRateLimitError,
    OpenCXServerError,
)
from airflow_provider_opencx.resources.conversations import Conversation

from .replies import Replies

PERSON = "+14155550101"
CALLED = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
PHONE: dict[str, Any] = {"channel": {"type": "phone_voice"}}


def at(seconds: float) -> str:
    return (CALLED + timedelta(seconds=seconds)).isoformat()


def conversation(seconds: float = 5, **fields: Any) -> Conversation:
    """Return one that was created some seconds after the call."""
    contact = {"id": "c_1", "phone_number": PERSON}
    return Conversation.from_response(
        {"id": "s_1", "status": "open", "created_at": at(seconds), "contact": contact, **PHONE, **fields}
    )


def waiting(**arguments: Any) -> ConversationWait:
    named = {} if "contact_id" in arguments else {"phone_number": PERSON}
    defaults = {"phone_number": None, "contact_id": None, "since": CALLED, "channel_type": "phone_voice"}
    return ConversationWait(**defaults | {"until": "seen"} | named | arguments)


def seen(wait: ConversationWait, *conversations: Conversation) -> Conversation | None:
    return wait.evaluate(find([wait.wanted], conversations))


@pytest.mark.parametrize(
    ("fields", "counts"),
    [
        ({}, True),
        ({"seconds": 0}, True),
        ({"seconds": 86_400}, True),
        ({"seconds": -CLOCK_TOLERANCE.total_seconds()}, True),
        ({"seconds": -CLOCK_TOLERANCE.total_seconds() - 0.001}, False),
        # An old one that changes after the call is not the one of the call.
        ({"seconds": -3600, "updated_at": at(30), "sentiment": "positive"}, False),
        ({"created_at": "2026-01-31T10:30:05+01:00"}, True),
        ({"created_at": "2026-01-31T09:30:05Z"}, True),
        ({"created_at": "2026-01-31 09:30:05"}, True),
        # When it was created cannot be read: when it was changed counts in its place.
        ({"created_at": None, "updated_at": at(30)}, True),
        ({"created_at": "yesterday", "updated_at": at(30)}, True),
        ({"created_at": "yesterday", "updated_at": at(-3600)}, False),
        ({"created_at": None}, False),
        ({"channel": {"type": "email"}}, False),
        ({"channel": {"type": "web_voice"}}, False),
        ({"channel": None}, False),
        ({"channel": {}}, False),
        ({"contact": {"id": "c_1", "phone_number": "+1 (415) 555-0101"}}, True),
        ({"contact": {"phone_number": "14155550101"}}, True),
        ({"contact": {"id": "c_1", "phone_number": "+14155550102"}}, False),
        ({"contact": {"id": "c_1", "phone_number": None}}, False),
        ({"contact": {"id": "c_1", "phone_number": 14155550101}}, False),
        ({"contact": {"id": PERSON, "phone_number": " "}}, False),
        ({"contact": None}, False),
    ],
    ids=str,
)
def test_conversation_of_a_number(fields: dict[str, Any], counts: bool) -> None:
    one = conversation(**fields)
    assert seen(waiting(), one) is (one if counts else None)


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("+1 415-555-0101", PERSON),
        ("+54 9 11 2345 6789", "+54 11 2345-6789"),
        ("+54 11 2345 6789", "5491123456789"),
        ("+52 55 1234 5678", "+5215512345678"),
    ],
)
def test_numbers_are_compared_as_numbers(written: str, stored: str) -> None:
    one = conversation(contact={"phone_number": stored})
    assert seen(waiting(phone_number=written), one) is one


def test_contact_is_compared_by_its_id() -> None:
    one = conversation()
    assert seen(waiting(contact_id=" c_1 "), one) is one
    for contact in ({"id": "c_11"}, {"id": "C_1"}, {"phone_number": "c_1"}, {"id": 1}, {"id": ""}, None):
        assert seen(waiting(contact_id="c_1"), conversation(contact=contact)) is None


@pytest.mark.parametrize("channel", ["email", None])
def test_any_channel_counts_where_none_is_named(channel: str | None) -> None:
    one = conversation(channel=None if channel is None else {"type": channel})
    assert seen(waiting(channel_type=None), one) is one
    assert seen(waiting(channel_type="email"), one) is (one if channel else None)


@pytest.mark.parametrize("backwards", [False, True])
def test_first_that_was_created_since_the_call_counts(backwards: bool) -> None:
    first = conversation(2, id="s_5")
    all_of_them = [
        conversation(-3600, id="s_1", updated_at=at(1)),
        conversation(-20, id="s_2"),
        conversation(-10, id="s_3"),
        first,
        conversation(2, id="s_6"),
        conversation(600, id="s_4"),
        conversation(1, id="s_0", channel={"type": "email"}),
    ]
    if backwards:
        all_of_them.reverse()
    assert seen(waiting(), *all_of_them) is first
    of_before = seen(waiting(), *(each for each in all_of_them if each.id in {"s_1", "s_2", "s_3"}))
    assert of_before is not None
    assert of_before.id == "s_3"


def test_time_that_is_cut_to_its_second_is_not_before_the_call() -> None:
    wait = waiting(since=CALLED + timedelta(seconds=0.9))
    first = conversation(0, id="s_9")
    assert seen(wait, conversation(600), first) is first
    assert wait.warnings == []


def test_one_that_moves_while_the_list_is_read_is_in_its_newer_state() -> None:
    closed = conversation(status="closed_resolved")
    assert seen(waiting(until="closed"), conversation(), closed) is closed


def test_one_from_just_before_the_call_is_warned_of() -> None:
    wait = waiting()
    assert seen(wait, conversation(-4.5))
    assert wait.warnings == [
        "The conversation s_1 was created 4.5 s before 2026-01-31T09:30:00+00:00. It counts, because the clocks may"
        " differ by that; if they do not, it is of something else."
    ]
    assert seen(wait, conversation(4.5))
    assert wait.warnings == []
    assert seen(wait, conversation(created_at=None, updated_at=at(9)))
    assert wait.warnings == [
        "When the conversation s_1 was created cannot be read. It was changed at 2026-01-31T09:30:09+00:00."
    ]


@pytest.mark.parametrize(
    ("status", "is_closed"),
    [("open", False), (None, False), ("pending", False), ("closed_resolved", True), ("closed_unresolved", True)],
)
def test_closed_waits_for_the_status(status: str | None, is_closed: bool) -> None:
    one = conversation(status=status, sentiment="positive", ai_closure_type="assumed_resolved")
    assert seen(waiting(until="closed"), one) is (one if is_closed else None)
    assert seen(waiting(until="seen"), one) is one


def test_closed_waits_for_the_first_and_not_for_a_later_one() -> None:
    wait = waiting(until="closed")
    later = conversation(60, id="s_2", status="closed_resolved")
    assert seen(wait, conversation(), later) is None
    assert "conversation s_1 " in wait.progress


NOT_A_MISSED_CALL = (
    "this is not the same as a missed call: the call may have been missed, which may leave no conversation; it may"
    " still be going on; or the service may show its conversation late"
)


def test_progress_says_what_was_seen_and_what_it_can_mean() -> None:
    wait = waiting(until="closed")
    told = [wait.progress]
    polls: list[Found | OpenCXError] = [
        {},
        OpenCXServerError("500"),
        {wait.wanted: None},
        {wait.wanted: None},
        {wait.wanted: conversation()},
        {wait.wanted: conversation()},
        {wait.wanted: None},  # a list that does not show it any more
        {wait.wanted: conversation(status=None)},
    ]
    for poll in polls:
        assert wait.evaluate(poll) is None
        if wait.made_progress:
            told.append(wait.progress)
    since = "conversation with +14155550101 on channel phone_voice since 2026-01-31T09:30:00+00:00"
    later = "The call may still be going on, or the service closes its conversation later."
    begins = "The conversation s_1 with +14155550101 was seen, and is not closed: its status is"
    assert told == [
        f"Whether there is a {since} is not known: no list of them could be read yet.",
        f"No {since.replace(' since', ' was seen since')}; {NOT_A_MISSED_CALL}.",
        f"{begins} 'open'. {later}",
        f"{begins} not shown. {later}",
    ]


def test_timeout_of_unknown_progress_says_it_as_well() -> None:
    assert waiting(contact_id="c_1", channel_type=None).described == (
        "a conversation with contact c_1 since 2026-01-31T09:30:00+00:00 (no conversation was seen since then;"
        f" {NOT_A_MISSED_CALL})"
    )
    assert "a closed conversation with" in waiting(until="closed").described
    assert "(none that is closed was seen since then; the task's log says whether" in waiting(until="closed").described


def test_five_failed_polls_are_tolerated() -> None:
    wait, error = waiting(), OpenCXServerError("503")
    for _ in range(2):
        assert [wait.evaluate(error) for _ in range(5)] == [None] * 5
        assert wait.is_counting_errors
        assert seen(wait) is None
        assert not wait.is_counting_errors
    assert [wait.evaluate(error) for _ in range(5)] == [None] * 5
    with pytest.raises(OpenCXServerError, match=r"^Stopped waiting for a conversation with .* after 6 failed polls"):
        wait.evaluate(error)
    with pytest.raises(OpenCXAuthenticationPermanentError, match="Stopped waiting for a conversation"):
        waiting().evaluate(OpenCXAuthenticationPermanentError("401"))
    assert [waiting().evaluate(OpenCXRateLimitError("429")) for _ in range(50)] == [None] * 50


def wanted(since: datetime = CALLED, **arguments: Any) -> WantedConversation:
    return waiting(since=since, **arguments).wanted


def test_many_are_found_in_one_list() -> None:
    people = [f"+1415555{number:04}" for number in range(100, 1100)]
    all_wanted = [wanted(phone_number=number) for number in people]
    late, contact = wanted(CALLED + timedelta(hours=1)), wanted(contact_id="c_7")
    conversations = [conversation(id=f"s_{number}", contact={"phone_number": number}) for number in people]
    of_contact = conversation(contact={"id": "c_7", "phone_number": people[7]}, id="s_contact")
    found = find([*all_wanted, late, contact], [*conversations, of_contact])
    assert [found[each] for each in all_wanted] == conversations
    assert (found[late], found[contact]) == (None, of_contact)


def pages(*lists: list[dict[str, Any]]) -> Replies:
    """Return a client that gets these lists, one a page."""
    bodies = [
        {"items": items, "next": str(number) if number < len(lists) else None}
        for number, items in enumerate(lists, start=1)
    ]

    def respond(request: Request) -> Response:
        body = bodies[int(request.query.get("cursor", "0"))]
        return Response(200, {}, json.dumps(body).encode())

    return Replies(respond)


def test_list_is_asked_for_from_the_earliest_time_with_a_margin() -> None:
    client = pages([conversation(id="s_0", contact=None).as_dict()], [], [conversation().as_dict()])
    early, late = wanted(), wanted(CALLED + timedelta(hours=1), contact_id="c_2")
    found = read_conversations(client, [late, early])
    assert found == {early: conversation(), late: None}
    queries = [dict(request.query) for request in client.sent]
    assert [query.pop("cursor", None) for query in queries] == [None, "1", "2"]
    assert queries == [{"created_after": "2026-01-31T09:28:59+00:00", "channel_type": "phone_voice"}] * 3


@pytest.mark.parametrize("channels", [(None,), (None, "phone_voice"), ("email", "phone_voice")], ids=str)
def test_one_channel_is_asked_for_only_where_all_want_it(channels: tuple[str | None, ...]) -> None:
    client = pages([conversation().as_dict(), conversation(id="s_2", channel={"type": "email"}).as_dict()])
    found = read_conversations(client, [wanted(channel_type=channel) for channel in channels])
    assert [one and one.id for one in found.values()] == [
        {"phone_voice": "s_1", None: "s_1", "email": "s_2"}[channel] for channel in channels
    ]
    assert "channel_type" not in client.sent[0].query


def test_what_nobody_wants_is_not_kept() -> None:
    def many() -> Iterator[Conversation]:
        for number in range(2000):
            yield conversation(id=f"s_{number}", contact=None, custom_data="x" * 10_000 + str(number))
        yield conversation()

    tracemalloc.start()
    assert seen(waiting(), *[]) is None
    assert find([wanted()], many()) == {wanted(): conversation()}
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000


def test_poll_in_a_worker_hands_on_the_conversation_or_the_error() -> None:
    wait = waiting()
    replies: list[Any] = [{wait.wanted: None}, OpenCXServerError("503"), {wait.wanted: conversation()}]

    def read(asked: Any) -> Any:
        assert asked == [wait.wanted]
        if isinstance(reply := replies.pop(0), OpenCXError):
            raise reply
        return reply

    polls = [poll_once(read, wait) for _ in range(3)]
    assert [type(poll.response) for poll in polls] == [type(None), OpenCXServerError, type(None)]
    assert [poll.result for poll in polls] == [None, None, conversation().as_dict()]


def test_success_names_the_conversation() -> None:
    assert success({"id": "s_1", "created_at": "2026-01-31"}, "seen") == (
        "Conversation s_1 is there, created at 2026-01-31."
    )
    assert success({"id": "s_1", "created_at": None}, "closed") == "Conversation s_1 is closed."


@pytest.mark.parametrize(
    "since",
    [
        CALLED,
        CALLED.astimezone(timezone(timedelta(hours=5, minutes=30))),
        "2026-01-31T09:30:00Z",
        " 2026-01-31 10:30:00+01:00 ",
        "2026-01-31T09:30:00.999+00:00",
        CALLED + timedelta(seconds=0.999999),
    ],
    ids=str,
)
def test_since_is_a_moment(since: object) -> None:
    assert checked_wanted(PERSON, None, since, None).since == CALLED


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            {"phone_number": None},
            "give one of the two, and not neither; one that was given is None where the task that",
        ),
        ({"contact_id": "c_1", "phone_number": PERSON}, "give one of the two, and not both"),
        ({"contact_id": "", "phone_number": PERSON}, "give one of the two, and not both"),
        ({"phone_number": ""}, "phone_number: "),
        ({"phone_number": " "}, "phone_number: must not be empty"),
        ({"phone_number": "(415) 555-0101"}, "phone_number: .* must begin with"),
        ({"phone_number": [PERSON]}, r"phone_number: must be text, and is list; .* make a task for each with .partial"),
        ({"phone_number": {"phone_number": PERSON}}, "phone_number: must be text, and is dict"),
        ({"phone_number": 14155550101}, "phone_number: must be text, and is int"),
        ({"contact_id": " "}, "contact_id: "),
        ({"contact_id": "c\u200b1"}, "contact_id: .* invisible characters"),
        ({"since": None}, "since: is None, as it is where the task that should have returned it was skipped"),
        ({"since": datetime(2026, 1, 31)}, "since: must be a datetime with a time zone"),
        ({"since": "2026-01-31T09:30:00"}, "since: must be a datetime with a time zone"),
        ({"since": "2026-01-31"}, "since: must be a datetime with a time zone"),
        ({"since": "now"}, "since: must be a datetime with a time zone"),
        ({"since": ""}, "since: must be a datetime with a time zone"),
        ({"since": 1_769_851_800}, "since: must be a datetime with a time zone"),
        ({"since": datetime.min.replace(tzinfo=UTC)}, "since: must be a datetime with a time zone"),
        ({"since": "0001-01-01T00:00:00+14:00"}, "since: must be a datetime with a time zone"),
        ({"channel_type": ""}, "channel_type: must be a text"),
        ({"channel_type": ["phone_voice"]}, "channel_type: must be a text"),
        ({"until": "ended"}, "until: must be 'seen' or 'closed'"),
    ],
    ids=str,
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(OpenCXArgumentError, match=says):
        waiting(**arguments)
