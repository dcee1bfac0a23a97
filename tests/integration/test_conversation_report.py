"""Tests a Dag that reports on the conversations of a campaign."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk import task

from airflow_provider_opencx.operators.call import OpenCXPlaceCallOperator
from airflow_provider_opencx.operators.conversation import OpenCXConversationReportOperator
from airflow_provider_opencx.simulator import Simulator

PEOPLE = ["+14155550101", "+14155550102", "+14155550103"]
MONDAY, TUESDAY = "2026-03-02T00:00:00Z", "2026-03-03T00:00:00Z"


def report(**arguments: Any) -> OpenCXConversationReportOperator:
    day = {"created_after": MONDAY, "created_before": TUESDAY}
    return OpenCXConversationReportOperator(**{"task_id": "report", **day, **arguments})


def created(conversation: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(conversation["created_at"])


def test_report_says_what_the_calls_of_the_run_came_to(
    dag: Any, run_dag: Callable[..., Any], simulator: Simulator
) -> None:
    simulator.add_agent("Caller", type="outbound")
    simulator.add_conversation(contact={"phone_number": "+14155550199"})
    simulator.leave_conversations(after=0, missed_numbers=[PEOPLE[2]])
    now = datetime.now(UTC)
    with dag:
        call = OpenCXPlaceCallOperator(task_id="call", agent_name="Caller", contacts=PEOPLE, calling_hours=None)

        @task
        def later(calls: Any) -> Any:
            simulator.advance(60)
            return calls

        counted = report(
            contacts=later(call.output), created_after=now - timedelta(hours=1), created_before=now + timedelta(hours=1)
        )

        @task
        def send(markdown: str, conversations: int) -> str:
            return f"{conversations} conversations\n{markdown}"

        send(counted.output["markdown"], counted.output["conversations"])
    run = run_dag(dag)
    assert run.state == "success"
    result = run.xcom("report")
    assert result["people"] == {"people": 3, "with_conversation": 2, "without_conversation": 1}
    assert result["by_status"] == {"closed_resolved": 2}
    assert result["by_closure"] == {"assumed_resolved": 1, "resolved": 1}
    assert run.pushed("report") == {
        "return_value": result,
        "markdown": result["markdown"],
        "conversations": 2,
    }
    assert run.xcom("send") == f"2 conversations\n{result['markdown']}"
    assert "| Status | `closed_resolved` | 2 |" in result["markdown"]


@pytest.mark.parametrize("bounds", ["inclusive", "exclusive"])
def test_bounds_are_half_open_whichever_way_the_service_takes_them(
    bounds: Any, dag: Any, run_dag: Callable[..., Any], simulator: Simulator
) -> None:
    simulator.list_conversations_by(bounds=bounds)
    for status, created_at in (("open", MONDAY), ("closed_resolved", TUESDAY)):
        simulator.add_conversation(created_at=created_at, status=status)
    simulator.add_conversation(created_at=MONDAY, channel={"type": "web"})
    with dag:
        report()
    assert run_dag(dag).xcom("report")["by_status"] == {"open": 1}


def test_conversation_that_changes_while_the_list_is_read_counts_once_as_it_was_last(
    dag: Any, run_dag: Callable[..., Any], simulator: Simulator
) -> None:
    simulator.list_conversations_by(order="updated")
    ids = simulator.add_conversations(250, first=MONDAY, last="2026-03-02T20:00:00Z", status="open")
    simulator.between_pages(lambda: simulator.update_conversation(ids[3], status="closed_resolved"))
    with dag:
        report(channel_type=None)
    assert run_dag(dag).xcom("report")["by_status"] == {"open": 249, "closed_resolved": 1}


def test_everything_that_differs_is_counted_as_it_is_in_the_service(
    dag: Any, run_dag: Callable[..., Any], simulator: Simulator
) -> None:
    simulator.add_conversations(120, first=MONDAY, last="2026-03-04T00:00:00Z")
    with dag:
        report(channel_type=None)
    begin, end = map(datetime.fromisoformat, (MONDAY, TUESDAY))
    shown = [each for each in simulator.conversations() if begin <= created(each) < end]
    result = run_dag(dag).xcom("report")
    assert result["conversations"] == len(shown) > 0
    for key, field in (("by_status", "status"), ("by_sentiment", "sentiment"), ("by_language", "language")):
        values = [each[field] or "not said" for each in shown]
        assert result[key] == {value: values.count(value) for value in values}


def test_people_who_are_gone_fail_the_task_and_not_the_filter(
    dag: Any, run_dag: Callable[..., Any], simulator: Simulator
) -> None:
    with dag:

        @task
        def nobody() -> None:
            return None

        report(contacts=nobody())
    assert run_dag(dag).states("report") == ["failed"]
    assert simulator.requests == []


def test_templates_say_the_times(dag: Any, run_dag: Callable[..., Any], simulator: Simulator) -> None:
    simulator.add_conversation(created_at="2026-03-02T12:00:00Z")
    with dag:
        report(
            created_after="{{ dag_run.conf['day'] }}T00:00:00+00:00",
            created_before="{{ macros.datetime.fromisoformat('2026-03-03T00:00:00+00:00') }}",
            channel_type="{{ 'phone_voice' }}",
        )
    assert run_dag(dag, {"day": "2026-03-02"}).xcom("report")["conversations"] == 1
