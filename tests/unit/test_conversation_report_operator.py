"""Tests what the operator of the report requests, and what it refuses before."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_opencx.client.operation import Request, Response
from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.operators.conversation import OpenCXConversationReportOperator

from .replies import Replies

MONDAY = "2026-03-02T00:00:00Z"
TUESDAY = "2026-03-03T00:00:00+00:00"


def report(**arguments: Any) -> OpenCXConversationReportOperator:
    return OpenCXConversationReportOperator(**{"task_id": "report", "created_after": MONDAY, **arguments})


@pytest.fixture
def run() -> Callable[..., tuple[dict[str, Any], dict[str, Any]]]:
    """Runs the operator against one page; returns what it asked for, and what it returned."""

    def run(operator: OpenCXConversationReportOperator, *page: object) -> tuple[dict[str, Any], dict[str, Any]]:
        def respond(request: Request) -> Response:
            return Response(200, body=json.dumps({"items": page, "next": None}).encode())

        client = Replies(respond)
        vars(operator)["hook"] = SimpleNamespace(get_conn=lambda: client)
        returned = operator.execute({})  # type: ignore[typeddict-item]  # as in a test of a Dag's author
        [sent] = client.sent
        return dict(sent.query or {}), returned

    return run


def test_service_is_asked_with_a_margin(run: Callable[..., Any]) -> None:
    asked, returned = run(report(created_before=TUESDAY), {"id": "a", "created_at": TUESDAY})
    assert asked == {
        "channel_type": "phone_voice",
        "created_after": "2026-03-01T23:59:00+00:00",
        "created_before": "2026-03-03T00:01:00+00:00",
    }
    assert returned["conversations"] == 0
    assert (returned["created_after"], returned["created_before"]) == ("2026-03-02T00:00:00+00:00", TUESDAY)


def test_default_is_until_now_and_any_channel_can_be_asked_for(run: Callable[..., Any]) -> None:
    asked, returned = run(report(channel_type=None))
    assert "channel_type" not in asked
    assert abs(datetime.fromisoformat(returned["created_before"]) - datetime.now(UTC)) < timedelta(minutes=1)


def test_time_of_another_zone_is_that_moment(run: Callable[..., Any]) -> None:
    begin = datetime(2026, 3, 2, 1, tzinfo=timezone(timedelta(hours=1)))
    _, returned = run(report(created_after=begin, created_before=TUESDAY), {"id": "a", "created_at": MONDAY})
    assert (returned["conversations"], returned["created_after"]) == (1, "2026-03-02T00:00:00+00:00")


@pytest.mark.parametrize(
    "contacts",
    [
        ["+1 (415) 555-0101", {"phone_number": "+14155550101"}],
        [{"phone_number": "+14155550101", "contact_id": None, "status": "called", "response": {"id": "call_1"}}],
        {"phone_number": "+14155550101", "contact_id": None, "status": "called", "reason": None},
    ],
    ids=["list", "result of a batch", "result of one call"],
)
def test_people_are_taken_in_the_forms_of_the_calling_operators(contacts: Any, run: Callable[..., Any]) -> None:
    page = [
        {"id": "a", "created_at": MONDAY, "contact": {"phone_number": "+14155550101"}},
        {"id": "b", "created_at": MONDAY, "contact": {"phone_number": "+14155550102"}},
    ]
    _, returned = run(report(contacts=contacts), *page)
    assert returned["conversations"] == 1
    assert returned["people"] == {"people": 1, "with_conversation": 1, "without_conversation": 0}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"created_after": "yesterday"}, "created_after: must be a datetime with a time zone"),
        ({"created_after": "2026-03-02"}, "created_after: must be a datetime with a time zone"),
        ({"created_after": datetime(2026, 3, 2)}, "created_after: must be a datetime with a time zone"),
        ({"created_after": None}, "created_after: must be a datetime with a time zone"),
        ({"created_after": "0001-01-01T00:00:00+01:00"}, "created_after: must be a datetime with a time zone"),
        ({"created_before": 5}, "created_before: must be a datetime with a time zone"),
        ({"channel_type": " "}, "channel_type: must be a text"),
        ({"channel_type": 5}, "channel_type: must be a text"),
        ({"timezone": "Mars"}, "timezone: must be the IANA name"),
        ({"timezone": None}, "timezone: must be the IANA name"),
        ({"default_region": "XX"}, "default_region"),
        ({"opencx_conn_id": ""}, "opencx_conn_id"),
        ({"created_after": "{{ nothing"}, "created_after"),
    ],
)
def test_wrong_argument_is_an_error_while_the_dag_is_parsed(arguments: dict[str, Any], problem: str) -> None:
    with pytest.raises(OpenCXArgumentError, match=problem):
        report(**arguments)


@pytest.mark.parametrize("argument", ["created_before", "channel_type", "contacts"])
def test_argument_that_has_become_none_does_not_count_more(argument: str) -> None:
    operator = report(**{argument: "{{ x }}"})
    setattr(operator, argument, None)
    with pytest.raises(OpenCXArgumentError, match=f"{argument}: has become None"):
        operator.execute({})  # type: ignore[typeddict-item]  # as in a test of a Dag's author


def test_people_who_cannot_be_read_are_an_error_before_anything_is_sent() -> None:
    for contacts in (["nobody"], "people.xlsx", [{"name": "Ada"}]):
        with pytest.raises(OpenCXArgumentError):
            report(contacts=contacts).execute({})  # type: ignore[typeddict-item]  # as in a test of a Dag's author
