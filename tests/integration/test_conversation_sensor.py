"""Tests the sensor that waits for the conversation of a call: each mode has the same result and the same errors."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    TaskDeferred,
)
from airflow.sdk import DAG, BaseSensorOperator, task

from airflow_provider_opencx.exceptions import (
    OpenCXArgumentError,
    OpenCXAuthenticationPermanentError,
    OpenCXError,
    OpenCXNoSuchOperationPermanentError,
    OpenCXPermissionPermanentError,
    OpenCXServerError,
)
from airflow_provider_opencx.operators.call import OpenCXPlaceCallOperator
from airflow_provider_opencx.sensors.conversation import OpenCXConversationSensor
from airflow_provider_opencx.simulator import CloseBeforeHandling, Fault, Respond, Simulator
from airflow_provider_opencx.simulator.responses import error_body

from .sensors import MODES, Now

API_KEY = "ocx_live_integrati0n-s3cret"
LIST = "listChatSessions"
PERSON = "+14155550101"
CONTACT = {"id": "con_7", "phone_number": PERSON, "email": "ada@example.com"}
SECOND = timedelta(seconds=1)
ROUTE = {**error_body(404, "Route GET:/chat/sessions not found"), "error": "Not Found"}
NOT_A_MISSED_CALL = "this is not the same as a missed call: the call may have been missed, which may leave no"


def now(seconds: float = 0) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def left_behind(simulator: Simulator, **fields: Any) -> str:
    """Add the conversation of a call, and return its id."""
    return str(simulator.add_conversation(**{"contact": CONTACT, "status": "open", **fields})["id"])


def at_poll(simulator: Simulator, number: int, act: Callable[[], object]) -> None:
    """Do something as the poll of this number arrives."""
    for _ in range(number - 1):
        simulator.fail(LIST, Now(lambda: None))
    simulator.fail(LIST, Now(act))


@dataclass
class Waiting:
    """A sensor in one mode, run to its end."""

    mode: dict[str, Any]
    run_dag: Callable[..., Any]
    dag: DAG
    errors: list[BaseException] = field(default_factory=list)

    def __call__(self, **arguments: Any) -> Any:
        def remember(context: Any) -> None:
            self.errors.append(context["exception"])

        named = {} if {"phone_number", "contact_id"} & arguments.keys() else {"phone_number": PERSON}
        defaults: dict[str, Any] = {
            "task_id": "wait",
            "since": now(),
            "poke_interval": 0,
            "timeout": 60,
            "retry_delay": timedelta(0),
            "on_failure_callback": remember,
            "on_retry_callback": remember,
        }
        with self.dag:
            OpenCXConversationSensor(**defaults | self.mode | named | arguments)
        return self.run_dag(self.dag)


@pytest.fixture(params=MODES)
def wait(request: pytest.FixtureRequest, dag: DAG, run_dag: Callable[..., Any]) -> Waiting:
    return Waiting(MODES[request.param], run_dag, dag)


@pytest.mark.parametrize(
    "arguments",
    [
        {"phone_number": PERSON},
        {"phone_number": "+1 (415) 555-0101"},
        {"phone_number": "{{ '+1415' }}-555-0101"},
        {"contact_id": "con_{{ 7 }}"},
        {"since": now().isoformat()},
        {"since": "{{ '" + now().isoformat() + "' }}"},
        {"channel_type": None},
    ],
    ids="-".join,
)
def test_sensor_returns_conversation_that_appears(arguments: Any, wait: Waiting, simulator: Simulator) -> None:
    left_behind(simulator, contact={"id": "con_8", "phone_number": "+14155550102"})
    left_behind(simulator, created_at=now(-86_400).isoformat())
    at_poll(simulator, 4, lambda: left_behind(simulator))
    run = wait(**arguments)
    assert run.state == "success"
    seen = simulator.conversations()[-1]
    assert run.xcom("wait") == seen
    assert run.pushed("wait") == {"return_value": seen, "id": "ses_000003", "status": "open"}
    assert simulator.count(LIST) == 4


def test_sensor_waits_for_the_conversation_of_a_call(wait: Waiting, simulator: Simulator) -> None:
    simulator.add_agent("Caller", type="outbound")
    simulator.leave_conversations(after=0, closed_after=0)
    with wait.dag:
        call = OpenCXPlaceCallOperator(
            task_id="call", agent_name="Caller", calling_hours=None, phone_number="+1 415 555 0101"
        )
    run = wait(phone_number=call.output["phone_number"], since=call.output["called_at"], until="closed")
    assert run.state == "success"
    assert run.xcom("wait") == simulator.conversations()[0]
    assert run.pushed("call")["called_at"] == run.xcom("call")["called_at"]


def test_mapped_sensors_wait_for_each_of_a_batch_of_calls(wait: Waiting, simulator: Simulator) -> None:
    simulator.add_agent("Caller", type="outbound")
    people = [f"+1415555010{number}" for number in range(1, 5)]
    simulator.leave_conversations(after=0, missed_numbers=[people[2]], missed_every=None)
    with wait.dag:
        calls = OpenCXPlaceCallOperator(
            task_id="call", agent_name="Caller", calling_hours=None, contacts=people, do_not_call=[people[1]]
        )

        @task
        def called(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
            return [
                {"phone_number": each["phone_number"], "since": each["called_at"]}
                for each in results
                if each["status"] == "called"
            ]

        OpenCXConversationSensor.partial(
            task_id="wait", poke_interval=0.1, timeout=3, soft_fail=True, **wait.mode
        ).expand_kwargs(called(calls.output))
    run = wait.run_dag(wait.dag)
    assert run.states("wait") == ["success", "skipped", "success"]
    assert [seen["contact"]["phone_number"] for seen in run.xcoms("wait")] == [people[0], people[3]]


def test_sensor_waits_until_conversation_is_closed(wait: Waiting, simulator: Simulator) -> None:
    since = now()
    conversation_id = left_behind(simulator)
    left_behind(simulator, status="closed_resolved")  # a later one says nothing of it
    ending: dict[str, Any] = {"status": "closed_unresolved", "sentiment": "angry"}
    at_poll(simulator, 3, lambda: simulator.update_conversation(conversation_id, **ending))
    run = wait(since=since, until="closed")
    assert run.state == "success"
    assert run.xcom("wait").items() >= {"id": conversation_id, **ending}.items()
    assert run.pushed("wait")["status"] == "closed_unresolved"
    assert simulator.count(LIST) == 3


@pytest.mark.parametrize(
    "fields",
    [
        {"created_at": now(-3600).isoformat(), "updated_at": now().isoformat(), "sentiment": "happy"},
        {"created_at": now(-120).isoformat()},
        {"channel": {"type": "email"}},
        {"contact": {"id": "con_8", "phone_number": "+14155550102"}},
        {"contact": None},
    ],
    ids=["old one that changes late", "two minutes before", "e-mail", "another person", "nobody"],
)
def test_other_conversations_are_no_success(fields: dict[str, Any], wait: Waiting, simulator: Simulator) -> None:
    conversation_id = left_behind(simulator, **fields)
    simulator.fail(LIST, Now(lambda: simulator.update_conversation(conversation_id, sentiment="angry")), times=None)
    run = wait(poke_interval=0.1, timeout=1)
    assert run.states("wait") == ["failed"]
    assert [type(error) for error in wait.errors] == [AirflowSensorTimeout]


@pytest.mark.parametrize("soft_fail", [False, True], ids=["", "soft_fail"])
def test_missed_call_ends_with_a_timeout_that_says_what_it_can_mean(
    soft_fail: bool, wait: Waiting, simulator: Simulator
) -> None:
    since = now()
    run = wait(since=since, poke_interval=0.1, timeout=1, soft_fail=soft_fail, retries=2)
    assert run.states("wait") == ["skipped" if soft_fail else "failed"]
    assert run.tries("wait") == 1
    if not soft_fail:
        [error] = wait.errors
        assert type(error) is AirflowSensorTimeout
        shown = since.isoformat(timespec="seconds")
        assert f"No conversation with {PERSON} on channel phone_voice was seen since {shown}; " in str(error)
        assert NOT_A_MISSED_CALL in str(error)


def test_timeout_says_where_one_is_open(wait: Waiting, simulator: Simulator) -> None:
    since = now()
    conversation_id = left_behind(simulator)
    wait(since=since, until="closed", poke_interval=0.1, timeout=1)
    says = f"The conversation {conversation_id} with {PERSON} was seen, and is not closed: its status is 'open'."
    assert says in str(wait.errors[0])


@pytest.mark.parametrize("bounds", ["inclusive", "exclusive"])
@pytest.mark.parametrize("precision", ["seconds", "milliseconds", "microseconds"])
def test_conversation_of_the_very_moment_counts(bounds: Any, precision: Any, dag: DAG, simulator: Simulator) -> None:
    simulator.list_conversations_by(bounds=bounds, precision=precision)
    since = now(-10)
    conversation_id = left_behind(simulator, created_at=since.isoformat())
    with dag:
        sensor = OpenCXConversationSensor(task_id="wait", phone_number=PERSON, since=since)
    assert sensor.execute({})["id"] == conversation_id  # type: ignore[index,call-overload,typeddict-item]


def test_clock_of_the_service_may_be_behind(wait: Waiting, simulator: Simulator) -> None:
    conversation_id = left_behind(simulator)
    assert wait(since=now(30)).xcom("wait")["id"] == conversation_id


@pytest.mark.parametrize("order", ["created", "updated"])
@pytest.mark.parametrize("newest_first", [False, True])
def test_first_of_several_is_found_on_any_page(order: Any, newest_first: bool, dag: DAG, simulator: Simulator) -> None:
    simulator.list_conversations_by(order, newest_first=newest_first)
    simulator.page_size = 2
    since = now(-100)
    simulator.add_conversations(9, first=since.isoformat())
    ids = [left_behind(simulator, created_at=now(-seconds).isoformat()) for seconds in (50, 80, 90, 20, 70)]
    with dag:
        sensor = OpenCXConversationSensor(task_id="wait", phone_number=PERSON, since=since)
    assert sensor.execute({})["id"] == ids[2]  # type: ignore[index,call-overload,typeddict-item]
    assert simulator.count(LIST) == 7


@pytest.mark.parametrize(
    "fault",
    [Respond(503), CloseBeforeHandling(), Respond(200, "<html>"), Respond(429, headers={"Retry-After": "0"})],
    ids=["503", "dropped", "HTML", "429"],
)
def test_sensor_tolerates_five_failed_polls(fault: Fault, wait: Waiting, simulator: Simulator) -> None:
    left_behind(simulator)
    simulator.fail(LIST, fault, times=5)
    assert wait().state == "success"
    assert simulator.count(LIST) == 6


def test_sensor_survives_one_odd_response(odd_response: Fault, dag: DAG, simulator: Simulator) -> None:
    conversation_id = left_behind(simulator)
    simulator.fail(LIST, odd_response)
    with dag:
        sensor = OpenCXConversationSensor(task_id="wait", phone_number=PERSON, since=now(), poke_interval=0)
    assert sensor.execute({})["id"] == conversation_id  # type: ignore[index,call-overload,typeddict-item]


def test_sensor_waits_while_secrets_backend_is_away(
    wait: Waiting, simulator: Simulator, secrets_backend_away: Callable[..., None]
) -> None:
    conversation_id = left_behind(simulator)
    secrets_backend_away(lambda number: number <= 3)
    assert wait(poke_interval=0.01).xcom("wait")["id"] == conversation_id


@pytest.mark.parametrize(
    ("fault", "error", "says", "polls"),
    [
        (Respond(401, error_body(401, "No")), OpenCXAuthenticationPermanentError, "rejected", 3),
        (Respond(403, error_body(403, "No")), OpenCXPermissionPermanentError, "chat-sessions:read", 3),
        (Respond(404, ROUTE), OpenCXNoSuchOperationPermanentError, "has no such operation", 3),
        (Respond(503), OpenCXServerError, "503", 6),
    ],
    ids=["401", "403", "no such operation", "503"],
)
@pytest.mark.parametrize("soft_fail", [False, True], ids=["", "soft_fail"])
def test_sensor_errors_ignore_soft_fail_in_every_mode(
    fault: Fault,
    error: type[OpenCXError],
    says: str,
    polls: int,
    soft_fail: bool,
    wait: Waiting,
    simulator: Simulator,
) -> None:
    simulator.fail(LIST, fault, times=None)
    run = wait(soft_fail=soft_fail, retries=1 if error.is_permanent else 0)
    assert (run.states("wait"), run.tries("wait")) == (["failed"], 1)
    assert [type(met) for met in wait.errors] == [error]
    assert says in str(wait.errors[0])
    assert "Stopped waiting for a conversation with" in str(wait.errors[0])
    assert API_KEY not in str(wait.errors[0])
    assert simulator.count(LIST) == polls


def test_timeout_before_the_first_list_claims_nothing(dag: DAG, simulator: Simulator) -> None:
    simulator.fail(LIST, Respond(429, headers={"Retry-After": "1"}), times=None)
    with dag:
        sensor = OpenCXConversationSensor(
            task_id="wait", phone_number=PERSON, since=now(), timeout=1, poke_interval=0.1
        )
    with pytest.raises(AirflowSensorTimeout, match="is not known: no list of them could be read yet") as ended:
        sensor.execute({})
    assert "was seen" not in str(ended.value)


def test_execution_timeout_ends_the_wait_and_is_retried(wait: Waiting, simulator: Simulator) -> None:
    if wait.mode.get("mode") == "reschedule":
        # Airflow times each poll there, and it is failed polls that keep the worker.
        simulator.fail(LIST, Respond(503), times=None)
        pause = 0.5
    else:
        pause = 0.1
    run = wait(poke_interval=pause, execution_timeout=SECOND, retries=1)
    assert (run.states("wait"), run.tries("wait")) == (["failed"], 2)
    assert [type(error) for error in wait.errors] == [AirflowTaskTimeout] * 2


@pytest.mark.parametrize("timeout", [AirflowSensorTimeout("no event"), AirflowTaskTimeout("too long")], ids=type)
@pytest.mark.parametrize("soft_fail", [False, True], ids=["", "soft_fail"])
def test_deferrable_timeout_fails_or_skips(
    timeout: BaseException, soft_fail: bool, dag: DAG, monkeypatch: pytest.MonkeyPatch
) -> None:
    def as_in_airflow_3_0(*_: Any) -> None:
        raise timeout

    monkeypatch.setattr(BaseSensorOperator, "resume_execution", as_in_airflow_3_0)
    with dag:
        sensor = OpenCXConversationSensor(
            task_id="wait", contact_id="c_1", since="2026-01-31T09:30:00Z", deferrable=True, soft_fail=soft_fail
        )
    with pytest.raises(AirflowSkipException if soft_fail else type(timeout), match=str(timeout)) as ended:
        sensor.resume_execution("__fail__", {"error": "Trigger timeout"}, {})
    if isinstance(timeout, AirflowSensorTimeout):
        says = "a conversation with contact c_1 on channel phone_voice since 2026-01-31T09:30:00+00:00 (no conversation"
        assert says in str(ended.value)
        assert NOT_A_MISSED_CALL in str(ended.value)


def test_deferrable_worker_sends_nothing(dag: DAG, simulator: Simulator) -> None:
    with dag:
        sensor = OpenCXConversationSensor(
            task_id="wait",
            phone_number="+1 (415) 555-0101",
            since=datetime(2026, 1, 31, 9, 30, tzinfo=UTC),
            until="closed",
            deferrable=True,
            poke_interval=7,
            timeout=timedelta(hours=1),
        )
    before = time.time()
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute({})
    assert deferred.value.timeout == timedelta(hours=1)
    classpath, arguments = deferred.value.trigger.serialize()
    assert before <= arguments.pop("waiting_since") <= time.time()
    assert classpath == "airflow_provider_opencx.triggers.conversation.OpenCXConversationTrigger"
    assert json.loads(json.dumps(arguments)) == {
        "opencx_conn_id": "opencx_default",
        "phone_number": PERSON,
        "contact_id": None,
        "since": "2026-01-31T09:30:00+00:00",
        "channel_type": "phone_voice",
        "until": "closed",
        "poll_interval": 7.0,
        "timeout": 3600.0,
    }
    assert simulator.requests == []


def test_429_stretches_wait_up_to_timeout(dag: DAG, simulator: Simulator) -> None:
    with dag:
        sensor = OpenCXConversationSensor(
            task_id="wait", phone_number=PERSON, since=now(), poke_interval=60, timeout=3600
        )
    simulator.fail(LIST, Respond(429, headers={"Retry-After": "900"}), times=None)
    assert not sensor.poke({})
    assert sensor._get_next_poke_interval(0.0, lambda: 10.0, 1) == 900
    assert sensor._get_next_poke_interval(0.0, lambda: 3500.0, 1) == 100
    assert simulator.count(LIST) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"phone_number": PERSON, "contact_id": "c_1"},
        {"phone_number": [PERSON]},
        {"phone_number": "0415 555"},
        {"phone_number": "{{ ds"},
        {"contact_id": ""},
        {"phone_number": PERSON, "since": None},
        {"phone_number": PERSON, "since": "today"},
        {"phone_number": PERSON, "since": datetime(2026, 1, 31)},
        {"phone_number": PERSON, "until": "ended"},
        {"phone_number": PERSON, "channel_type": ""},
        {"phone_number": PERSON, "deferrable": "yes"},
        {"phone_number": PERSON, "opencx_conn_id": ""},
    ],
    ids=str,
)
def test_wrong_argument_is_refused_at_parse_time(arguments: dict[str, Any], dag: DAG) -> None:
    names = r"(phone_number|contact_id|since|until|channel_type|deferrable|opencx_conn)"
    with dag, pytest.raises(OpenCXArgumentError, match=rf"Task 'my_sensor': {names}"):
        OpenCXConversationSensor(task_id="my_sensor", **{"since": now(), **arguments})


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"phone_number": "{{ none }}"}, "phone_number: the template has become None"),
        ({"since": "{{ none }}"}, "since: the template has become None: what it refers to is missing"),
        ({"since": "{{ ds }}"}, "since: must be a datetime with a time zone"),
        ({"contact_id": "{{ '' }}"}, "contact_id: "),
    ],
    ids=str,
)
def test_template_that_becomes_something_else_is_refused(
    arguments: dict[str, Any], says: str, dag: DAG, run_dag: Callable[..., Any], simulator: Simulator
) -> None:
    wait = Waiting(MODES["poke"], run_dag, dag)
    assert wait(**arguments, retries=2).states("wait") == ["failed"]
    [error] = wait.errors
    assert says in str(error)
    assert simulator.requests == []


def test_moment_survives_the_scheduler(dag: DAG, in_scheduler: Callable[[DAG, str], Any]) -> None:
    with dag:
        OpenCXConversationSensor(task_id="wait", phone_number=PERSON, since=datetime(2026, 1, 31, tzinfo=UTC))
    assert "2026-01-31" in str(in_scheduler(dag, "wait").since)
