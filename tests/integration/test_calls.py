"""Tests that an agent calls people from a Dag: each at most once, and only if and when it may."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import task

from airflow_provider_opencx.operators.call import OpenCXPlaceCallOperator
from airflow_provider_opencx.operators.phone_agent import OpenCXUpsertPhoneAgentOperator
from airflow_provider_opencx.simulator import LoseResponse, Simulator, TooManyRequests

PEOPLE = ["+14155550101", "+14155550102", "+14155550103"]

has_task_state = pytest.mark.skipif(
    "NEVER_EXPIRE" not in __import__("airflow.sdk").sdk.__all__, reason="Airflow 3.3 has the first task state store"
)


@pytest.fixture
def calling(simulator: Simulator) -> Simulator:
    """A simulator with an agent that calls."""
    simulator.add_agent("Caller", type="outbound")
    return simulator


def called(simulator: Simulator) -> list[str | None]:
    return sorted(dialed.phone_number or "" for dialed in simulator.dialed())


def place(**arguments: Any) -> OpenCXPlaceCallOperator:
    return OpenCXPlaceCallOperator(
        **{"task_id": "call", "agent_name": "Caller", "calling_hours": None, "retry_delay": 0, **arguments}
    )


def test_one_person_is_called_and_the_response_returned(
    dag: Any, run_dag: Callable[..., Any], calling: Simulator
) -> None:
    with dag:
        place(phone_number="+1 (415) 555-0101")
    run = run_dag(dag)
    result = run.xcom("call")
    assert called(calling) == PEOPLE[:1]
    assert {**result, "called_at": None} == {
        "phone_number": PEOPLE[0],
        "contact_id": None,
        "status": "called",
        "agent_id": "pa_000001",
        "called_at": None,
        "response": {"success": True, "id": "call_000001"},
        "reason": None,
    }
    assert result["called_at"] == calling.dialed()[0].called_at[:22] or result["called_at"]
    assert run.pushed("call")["calls"] == [result]


def test_people_of_another_task_are_called_by_an_agent_of_another_task(
    dag: Any, run_dag: Callable[..., Any], simulator: Simulator
) -> None:
    with dag:

        @task
        def people() -> list[dict[str, str]]:
            return [{"phone_number": number, "name": "{{ not a template }}"} for number in (*PEOPLE, PEOPLE[0])]

        agent = OpenCXUpsertPhoneAgentOperator(task_id="agent", name="Caller", language="en")
        place(agent_name=None, agent_id=agent.output, contacts=people())
    run = run_dag(dag)
    assert called(simulator) == PEOPLE
    assert [each["status"] for each in run.xcom("call")] == ["called"] * 3
    assert simulator.count("makeOutboundCall") == 3


def test_mapped_tasks_call_a_person_each(dag: Any, run_dag: Callable[..., Any], calling: Simulator) -> None:
    with dag:
        OpenCXPlaceCallOperator.partial(task_id="call", agent_name="Caller", calling_hours=None).expand_kwargs(
            [{"phone_number": number} for number in PEOPLE]
        )
    run = run_dag(dag)
    assert called(calling) == PEOPLE
    assert [each["phone_number"] for each in run.xcoms("call")] == PEOPLE


@has_task_state
def test_mapped_tasks_call_nobody_twice_who_is_twice_in_the_list(
    dag: Any, run_dag: Callable[..., Any], calling: Simulator
) -> None:
    with dag:
        OpenCXPlaceCallOperator.partial(task_id="call", agent_name="Caller", calling_hours=None).expand(
            phone_number=[*PEOPLE, "+1 415 555 0101"]
        )
    assert run_dag(dag).state == "failed"
    assert called(calling) == PEOPLE


def write(path: Path, *lines: str) -> str:
    path.write_text("\n".join(["phone_number", *lines, ""]))
    return str(path)


@pytest.mark.parametrize("source", ["a list", "a file", "object storage", "a Variable", "JSON in a Variable"])
def test_nobody_of_the_do_not_call_list_is_called(
    dag: Any,
    run_dag: Callable[..., Any],
    calling: Simulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    source: str,
) -> None:
    written = ["+1 (415) 555-0102"]
    file = write(tmp_path / "do_not_call.csv", *written)
    in_variable = json.dumps(written) if source.startswith("JSON") else "+1 415 555 0199\n+1 (415) 555-0102\n"
    monkeypatch.setenv("AIRFLOW_VAR_DO_NOT_CALL", in_variable)
    do_not_call: Any = {"a list": written, "a file": file, "object storage": f"file://{file}"}.get(
        source, "{{ var.value.do_not_call }}"
    )
    with dag:
        place(contacts=PEOPLE, do_not_call=do_not_call)
    run = run_dag(dag)
    assert called(calling) == [PEOPLE[0], PEOPLE[2]]
    assert [each["status"] for each in run.xcom("call")] == ["called", "do_not_call", "called"]


@pytest.mark.parametrize(
    "arguments",
    [
        {"do_not_call": "/nowhere/do_not_call.csv"},
        {"do_not_call": "nothing://bucket/do_not_call.csv"},
        {"do_not_call": ["+14155550102", "nobody"]},
        {"do_not_call": "{{ var.value.get('gone', '') }}"},
        {"do_not_call": "{{ ti.xcom_pull('gone') or '' }}"},
        {"max_contacts": 2},
        {"contacts": [{"contact_id": "c1"}]},
        {"contacts": [*PEOPLE, "4155550104"]},
        {"contacts": "/nowhere/people.csv"},
        {"agent_name": "Nobody"},
        {"agent_name": "Inbound"},
        {"agent_name": "Without a number"},
    ],
    ids=repr,
)
def test_what_is_wrong_before_the_first_call_calls_nobody(
    dag: Any, run_dag: Callable[..., Any], calling: Simulator, arguments: dict[str, Any]
) -> None:
    calling.add_agent("Inbound", type="inbound")
    calling.add_agent("Without a number", type="outbound", phone_number=None)
    with dag:
        place(**{"contacts": PEOPLE, **arguments})
    assert run_dag(dag).state == "failed"
    assert calling.dialed() == []
    assert calling.count("makeOutboundCall") == 0


def test_do_not_call_list_that_a_cluster_policy_sets_counts(
    dag: Any, run_dag: Callable[..., Any], calling: Simulator
) -> None:
    with dag:
        place(contacts=PEOPLE).do_not_call = PEOPLE[:2]
    run_dag(dag)
    assert called(calling) == PEOPLE[2:]


def test_mapped_tasks_are_counted_together(dag: Any, run_dag: Callable[..., Any], calling: Simulator) -> None:
    with dag:
        OpenCXPlaceCallOperator.partial(task_id="call", agent_name="Caller", calling_hours=None, max_contacts=2).expand(
            phone_number=PEOPLE
        )
    assert run_dag(dag).state == "failed"
    assert calling.requests == []


def test_one_person_who_is_not_called_is_a_skipped_task(
    dag: Any, run_dag: Callable[..., Any], calling: Simulator
) -> None:
    with dag:
        place(phone_number=PEOPLE[0], do_not_call=PEOPLE)
    run = run_dag(dag)
    assert (run.states("call"), calling.requests) == (["skipped"], [])
    assert run.pushed("call")["calls"][0]["reason"] == "is on the do-not-call list"


def test_contact_is_called_where_it_is_meant(dag: Any, run_dag: Callable[..., Any], calling: Simulator) -> None:
    with dag:
        place(contact_id="contact_1", unchecked=True, calling_hours="09:00-20:00")
    assert run_dag(dag).state == "success"
    assert [dialed.contact_id for dialed in calling.dialed()] == ["contact_1"]


def test_body_by_hand_is_sent_as_it_is(dag: Any, run_dag: Callable[..., Any], calling: Simulator) -> None:
    body = {"phoneAgentId": "pa_000001", "contact": {"phoneNumber": PEOPLE[0]}, "variables": {"name": "Ada"}}
    with dag:
        place(phone_number=PEOPLE[0], body=body)
        place(task_id="another", phone_number=PEOPLE[1], body=body)
    run = run_dag(dag)
    assert (run.states("call"), run.states("another")) == (["success"], ["failed"])
    [sent] = [record.body for record in calling.requests if record.operation == "makeOutboundCall"]
    assert sent == body


def test_body_that_holds_the_key_is_not_sent(dag: Any, run_dag: Callable[..., Any], calling: Simulator) -> None:
    key = "{{ conn.opencx_default.password }}"
    with dag:
        place(
            phone_number=PEOPLE[0],
            body={"phoneAgentId": "pa_000001", "contact": {"phoneNumber": PEOPLE[0]}, "variables": {"name": key}},
        )
    assert run_dag(dag).state == "failed"
    assert calling.count("makeOutboundCall") == 0


def test_lost_response_is_not_retried_and_the_others_are_called(
    dag: Any, run_dag: Callable[..., Any], calling: Simulator
) -> None:
    calling.fail("makeOutboundCall", LoseResponse())
    with dag:
        place(contacts=PEOPLE, retries=3)
    run = run_dag(dag)
    assert (run.state, run.tries("call")) == ("failed", 1)
    assert called(calling) == PEOPLE
    assert [each["status"] for each in run.pushed("call")["calls"]] == ["unknown", "called", "called"]


@pytest.mark.parametrize("ledger", [pytest.param("task state", marks=has_task_state), "a folder", "none"])
def test_a_retry_calls_those_who_are_left(
    dag: Any, run_dag: Callable[..., Any], calling: Simulator, tmp_path: Path, ledger: str, monkeypatch: Any
) -> None:
    """The second try finds whom the first has called; without a record it cannot know, and calls nobody."""
    for _ in range(2):
        calling.fail("makeOutboundCall", TooManyRequests(retry_after=0), times=None, probability=0.01, seed=1)
    calling.heal()
    monkeypatch.setattr("airflow_provider_opencx.campaigns.rate_limited.MOST_RATE_LIMITED", 1)
    if ledger == "none":
        from airflow_provider_opencx import call_ledgers

        ledger_of = call_ledgers.ledger_of
        monkeypatch.setattr(call_ledgers, "ledger_of", lambda context, **how: ledger_of({"ti": context["ti"]}, **how))
    fail_the_second(calling)
    with dag:
        place(contacts=PEOPLE, retries=1, ledger_path=f"file://{tmp_path}" if ledger == "a folder" else None)
    run = run_dag(dag)
    assert (run.state, run.tries("call")) == ("failed" if ledger == "none" else "success", 2)
    assert called(calling) == (PEOPLE[:1] if ledger == "none" else PEOPLE)


def fail_the_second(simulator: Simulator) -> None:
    from airflow_provider_opencx.simulator.faults import Fault

    class OnceAfterTheFirst(TooManyRequests):
        def applies_to(self, call: Any) -> bool:
            return len(simulator.dialed()) == 1

    fault: Fault = OnceAfterTheFirst(retry_after=0)
    simulator.fail("makeOutboundCall", fault, times=1)


def test_without_the_switch_a_dag_calls_nobody_and_says_so(
    dag: Any,
    run_dag: Callable[..., Any],
    calling: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    connection = json.loads(os.environ["AIRFLOW_CONN_OPENCX_DEFAULT"])
    del connection["extra"]["allow_calls"]
    monkeypatch.setenv("AIRFLOW_CONN_OPENCX_DEFAULT", json.dumps(connection))
    with dag:
        place(contacts=PEOPLE, retries=3)
    run = run_dag(dag)
    assert (run.state, run.tries("call")) == ("failed", 1)
    assert calling.requests == []
    assert "does not allow calls" in "".join(capfd.readouterr())


def test_once_ever_holds_over_runs_and_tasks(
    dag: Any, run_dag: Callable[..., Any], calling: Simulator, tmp_path: Path
) -> None:
    with dag:
        once = {"ledger_path": f"file://{tmp_path}", "once_per": "ever"}
        place(contacts=PEOPLE[:2], **once) >> place(task_id="again", contacts=PEOPLE, **once)
    for _ in range(2):
        run = run_dag(dag)
        assert run.state == "success"
        assert [each["status"] for each in run.xcom("again")] == ["called"] * 3
    assert called(calling) == PEOPLE


def test_a_new_run_calls_anew(dag: Any, run_dag: Callable[..., Any], calling: Simulator) -> None:
    with dag:
        place(phone_number=PEOPLE[0])
    assert [run_dag(dag).state for _ in range(2)] == ["success"] * 2
    assert called(calling) == PEOPLE[:1] * 2


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({}, "give phone_number or contact_id for one person, or contacts"),
        ({"phone_number": PEOPLE[0], "contacts": PEOPLE}, "give phone_number or contact_id"),
        ({"phone_number": "4155550101"}, "phone_number: .*default_region"),
        ({"phone_number": ""}, "phone_number: must be a text"),
        ({"phone_number": PEOPLE[0], "agent_name": None}, "give either agent_id or agent_name"),
        ({"phone_number": PEOPLE[0], "agent_id": "pa_1"}, "give either agent_id or agent_name"),
        ({"contacts": PEOPLE, "body": {}}, "body: is for one person"),
        ({"phone_number": PEOPLE[0], "calling_hours": "9-5"}, "calling_hours"),
        ({"phone_number": PEOPLE[0], "outside_hours": "wait"}, "outside_hours"),
        ({"phone_number": PEOPLE[0], "unknown_zone": "Mars"}, "unknown_zone"),
        ({"phone_number": PEOPLE[0], "default_region": "USA"}, "default_region"),
        ({"phone_number": PEOPLE[0], "on_unknown": "again"}, "on_unknown"),
        ({"phone_number": PEOPLE[0], "once_per": "ever"}, "ledger_path"),
        ({"phone_number": PEOPLE[0], "once_per": "day"}, "once_per"),
        ({"phone_number": PEOPLE[0], "max_contacts": -1}, "max_contacts"),
        ({"phone_number": PEOPLE[0], "max_contacts": "many"}, "max_contacts"),
        ({"phone_number": PEOPLE[0], "body_style": "kebab"}, "body_style"),
        ({"phone_number": PEOPLE[0], "unchecked": "no"}, "unchecked"),
        ({"phone_number": PEOPLE[0], "allow_backfill": 1}, "allow_backfill"),
        ({"phone_number": "{{ nothing"}, "phone_number"),
    ],
)
def test_wrong_argument_is_an_error_while_the_dag_is_parsed(arguments: dict[str, Any], problem: str) -> None:
    from airflow_provider_opencx.exceptions import OpenCXArgumentError

    with pytest.raises(OpenCXArgumentError, match=problem):
        place(**arguments)
