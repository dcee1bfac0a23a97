"""Tests the sensor that waits for sequences: each mode has the same result and the same errors."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    TaskDeferred,
)
from airflow.sdk import DAG, BaseSensorOperator, task

from airflow_provider_opencx import waiting
from airflow_provider_opencx.exceptions import (
    OpenCXArgumentError,
    OpenCXAuthenticationPermanentError,
    OpenCXError,
    OpenCXNoSuchOperationPermanentError,
    OpenCXNotFoundPermanentError,
    OpenCXPermissionPermanentError,
    OpenCXSequenceCanceledError,
    OpenCXSequenceRefusedError,
    OpenCXServerError,
)
from airflow_provider_opencx.sensors.sequence import OpenCXSequenceSensor
from airflow_provider_opencx.simulator import CloseBeforeHandling, Fault, Respond, Simulator
from airflow_provider_opencx.simulator.responses import error_body

from .sensors import MODES, Now

GET = "getSequence"
PERSON = "+14155550101"
STEP = {"action": {"type": "make_phone_calls", "data": {}}}
SECOND = timedelta(seconds=1)
ROUTE = {**error_body(404, "Route GET:/sequences/seq_000001 not found"), "error": "Not Found"}


def create(simulator: Simulator, **fields: Any) -> str:
    """Create a sequence of one person and three steps, and return its id."""
    one_person = {"or": [{"and": [{"type": "contacts_phone_number_in", "phone_number_in": [PERSON]}]}]}
    made = simulator.create_sequence(
        **{"filter": one_person, "steps": [STEP] * 3, "name": "Spring", "is_continuous": False, **fields}
    )
    return str(made["id"])


def started(simulator: Simulator, **fields: Any) -> str:
    sequence_id = create(simulator, **fields)
    simulator.start_sequence(sequence_id)
    return sequence_id


@dataclass
class Waiting:
    """A sensor in one mode, run to its end."""

    mode: dict[str, Any]
    run_dag: Callable[..., Any]
    dag: DAG
    errors: list[BaseException] = field(default_factory=list)

    def __call__(self, sequence_id: Any, **arguments: Any) -> Any:
        def remember(context: Any) -> None:
            self.errors.append(context["exception"])

        defaults: dict[str, Any] = {
            "task_id": "wait",
            "poke_interval": 0,
            "timeout": 60,
            "retry_delay": timedelta(0),
            "on_failure_callback": remember,
            "on_retry_callback": remember,
        }
        with self.dag:
            OpenCXSequenceSensor(sequence_id=sequence_id, **defaults | self.mode | arguments)
        return self.run_dag(self.dag)


@pytest.fixture(params=MODES)
def wait(request: pytest.FixtureRequest, dag: DAG, run_dag: Callable[..., Any]) -> Waiting:
    return Waiting(MODES[request.param], run_dag, dag)


@pytest.mark.parametrize("by", ["id", "custom_id", "dict"])
def test_sensor_returns_sequence_that_has_ended(by: str, wait: Waiting, simulator: Simulator) -> None:
    sequence_id = started(simulator, custom_id="spring-2026")
    simulator.fail(GET, Respond(200, simulator.sequences()[0]), times=3)
    simulator.fail(GET, Now(lambda: [simulator.advance(60), simulator.sequences()]))  # which lets the steps happen
    run = wait({"id": sequence_id, "custom_id": "spring-2026", "dict": {"id": sequence_id, "name": "Spring"}}[by])
    assert run.state == "success"
    [ended] = simulator.sequences()
    assert ended["status"] == "complete"
    assert run.xcom("wait") == {name: value for name, value in ended.items() if name != "filter"}
    assert run.pushed("wait") == {"return_value": run.xcom("wait"), "id": sequence_id, "custom_id": "spring-2026"}
    assert simulator.count(GET) == 4


@pytest.mark.parametrize("until", ["started", "canceled"])
def test_sensor_waits_for_what_it_is_told(until: str, wait: Waiting, simulator: Simulator) -> None:
    sequence_id = create(simulator)
    act = simulator.start_sequence if until == "started" else simulator.cancel_sequence
    simulator.fail(GET, Respond(200, simulator.sequences()[0]), times=2)
    simulator.fail(GET, Now(lambda: act(sequence_id)))
    run = wait(sequence_id, until=until)
    assert run.state == "success"
    assert run.xcom("wait")["status"] == ("active" if until == "started" else "canceled")
    assert run.xcom("wait")["id"] == sequence_id


def test_sensor_waits_for_all_of_a_list(
    wait: Waiting, simulator: Simulator, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")  # what a trigger logs goes there, and what a task logs to the standard output
    ids = [started(simulator, name=f"Wave {number}") for number in range(3)]
    simulator.advance(60)
    late = create(simulator, name="Late")
    simulator.fail(GET, Now(lambda: simulator.count(GET) == 4 and simulator.start_sequence(late)), times=8)
    run = wait([ids[2], late, {"id": ids[0]}, ids[2]], until="started", poke_interval=0.2)
    assert run.state == "success"
    assert [sequence["id"] for sequence in run.xcom("wait")] == [ids[2], late, ids[0], ids[2]]
    assert all("filter" not in sequence for sequence in run.xcom("wait"))
    assert run.pushed("wait").keys() == {"return_value"}
    told = capsys.readouterr().out + caplog.text
    assert f"2 of 3 sequences have begun; still waiting for 'Late' ({late}), which has not begun." in told
    assert PERSON not in told


def test_sensor_takes_output_of_other_tasks_and_empty_list(wait: Waiting, simulator: Simulator) -> None:
    ids = [started(simulator) for _ in range(2)]

    @task
    def made(sequence: Any) -> Any:
        return sequence

    with wait.dag:
        waiting_for = {"until": "started", "poke_interval": 0, **wait.mode}
        several, none = made.override(task_id="several")(ids), made.override(task_id="none")([])
        OpenCXSequenceSensor(task_id="of_list", sequence_id=several, **waiting_for)
        OpenCXSequenceSensor(task_id="of_none", sequence_id=none, **waiting_for)
        OpenCXSequenceSensor(task_id="templated", sequence_id="seq_00000{{ 2 }}", **waiting_for)
    run = wait(made({"id": ids[0], "custom_id": None}), until="started")
    assert run.state == "success"
    assert run.xcom("wait")["id"] == run.xcom("of_list")[0]["id"] == ids[0]
    assert run.xcom("templated")["id"] == ids[1]
    assert run.xcom("of_none") == []


def test_sensor_says_that_the_task_upstream_was_skipped(wait: Waiting, simulator: Simulator) -> None:
    @task
    def nothing() -> None: ...

    with wait.dag:
        made = nothing()
    assert wait(made).states("wait") == ["failed"]
    [error] = wait.errors
    assert isinstance(error, OpenCXArgumentError)
    assert "the task that should have returned it was skipped, or pushes no result" in str(error)


@pytest.mark.parametrize(
    "fault",
    [Respond(503), CloseBeforeHandling(), Respond(200, "<html>"), Respond(429, headers={"Retry-After": "0"})],
    ids=["503", "dropped", "HTML", "429"],
)
def test_sensor_tolerates_five_failed_polls(fault: Fault, wait: Waiting, simulator: Simulator) -> None:
    sequence_id = started(simulator)
    simulator.fail(GET, fault, times=5)
    assert wait(sequence_id, until="started").state == "success"
    assert simulator.count(GET) == 6


def test_sensor_survives_one_odd_response(odd_response: Fault, dag: DAG, simulator: Simulator) -> None:
    sequence_id = started(simulator)
    simulator.fail(GET, odd_response)
    with dag:
        sensor = OpenCXSequenceSensor(task_id="wait", sequence_id=sequence_id, until="started", poke_interval=0)
    assert sensor.execute({})["id"] == sequence_id  # type: ignore[index,call-overload,typeddict-item]


def test_sensor_waits_while_secrets_backend_is_away(
    wait: Waiting, simulator: Simulator, secrets_backend_away: Callable[..., None]
) -> None:
    sequence_id = started(simulator)
    secrets_backend_away(lambda number: number <= 3)
    assert wait(sequence_id, until="started", poke_interval=0.01).xcom("wait")["id"] == sequence_id


def test_sensor_tolerates_sequence_that_reads_do_not_show_yet(wait: Waiting, simulator: Simulator) -> None:
    sequence_id = started(simulator)
    simulator.sequences_lag = 3600
    simulator.fail(GET, Now(lambda: simulator.count(GET) == 20 and simulator.advance(3600)), times=None)
    assert wait(sequence_id, until="started").xcom("wait")["id"] == sequence_id
    assert simulator.count(GET) == 20


def missing(_: Simulator) -> str:
    return "seq_000007"


def canceled(simulator: Simulator) -> str:
    sequence_id = started(simulator)
    simulator.cancel_sequence(sequence_id)
    return sequence_id


def canceled_as_ended(simulator: Simulator) -> str:
    simulator.cancel_ends = True
    return canceled(simulator)


def over(simulator: Simulator) -> str:
    sequence_id = started(simulator)
    simulator.advance(60)
    return sequence_id


def refused(status: int, body: Any = None) -> Callable[[Simulator], str]:
    def refuse(simulator: Simulator) -> str:
        simulator.fail(GET, Respond(status, body or error_body(status, "No")), times=None)
        return started(simulator)

    return refuse


@pytest.mark.parametrize(
    ("prepare", "until", "error", "says", "polls"),
    [
        (missing, "ended", OpenCXNotFoundPermanentError, "no sequence seq_000007 in this organization", 3),
        (canceled, "ended", OpenCXSequenceCanceledError, "sequence 'Spring' (seq_000001) was canceled before", 1),
        (canceled_as_ended, "ended", OpenCXSequenceCanceledError, "was canceled before it could end", 1),
        (over, "canceled", OpenCXSequenceRefusedError, "has ended and was not canceled", 1),
        (refused(401), "ended", OpenCXAuthenticationPermanentError, "rejected", 3),
        (refused(403), "ended", OpenCXPermissionPermanentError, "sequences:read", 3),
        (refused(404, ROUTE), "ended", OpenCXNoSuchOperationPermanentError, "has no such operation", 3),
        (refused(503), "ended", OpenCXServerError, "503", 6),
    ],
    ids=["missing", "canceled", "canceled as ended", "ended", "401", "403", "no such operation", "503"],
)
@pytest.mark.parametrize("soft_fail", [False, True], ids=["", "soft_fail"])
def test_sensor_errors_ignore_soft_fail_in_every_mode(
    prepare: Callable[[Simulator], str],
    until: str,
    error: type[OpenCXError],
    says: str,
    polls: int,
    soft_fail: bool,
    wait: Waiting,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(waiting, "LAGS_FOR", 0.0)
    retries = 1 if error.is_permanent else 0
    run = wait(prepare(simulator), until=until, soft_fail=soft_fail, retries=retries)
    assert (run.states("wait"), run.tries("wait")) == (["failed"], 1)
    assert [type(met) for met in wait.errors] == [error]
    assert says in str(wait.errors[0])
    assert simulator.count(GET) == polls


@pytest.mark.parametrize("soft_fail", [False, True], ids=["", "soft_fail"])
def test_timeout_fails_or_skips_and_says_how_far_it_is(soft_fail: bool, wait: Waiting, simulator: Simulator) -> None:
    simulator.step_takes = 3600
    sequence_id = started(simulator)
    run = wait(sequence_id, poke_interval=0.1, timeout=3, soft_fail=soft_fail, retries=2)
    assert run.states("wait") == ["skipped" if soft_fail else "failed"]
    assert run.tries("wait") == 1
    if not soft_fail:
        assert [type(error) for error in wait.errors] == [AirflowSensorTimeout]
        assert f"Sequence 'Spring' ({sequence_id}) has begun: 0 of 3 steps are over." in str(wait.errors[0])


def test_timeout_names_those_of_a_list_that_are_not_there(wait: Waiting, simulator: Simulator) -> None:
    ended, pending = over(simulator), create(simulator, name="Summer")
    wait([ended, pending], poke_interval=0.1, timeout=1)
    says = f"1 of 2 sequences has ended; still waiting for 'Summer' ({pending}), which has not begun."
    assert says in str(wait.errors[0])


def test_execution_timeout_ends_the_wait_and_is_retried(wait: Waiting, simulator: Simulator) -> None:
    # In mode reschedule Airflow times each poll, and it is a missing sequence that keeps the worker.
    sequence_id = "missing" if wait.mode.get("mode") == "reschedule" else create(simulator)
    run = wait(sequence_id, poke_interval=0.1, execution_timeout=SECOND, retries=1)
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
        sensor = OpenCXSequenceSensor(task_id="wait", sequence_id="seq_1", deferrable=True, soft_fail=soft_fail)
    with pytest.raises(AirflowSkipException if soft_fail else type(timeout), match=str(timeout)) as ended:
        sensor.resume_execution("__fail__", {"error": "Trigger timeout"}, {})
    if isinstance(timeout, AirflowSensorTimeout):
        assert "so is the wait for sequence seq_1 to end: no event" in str(ended.value)


def test_deferrable_worker_sends_nothing(dag: DAG, simulator: Simulator) -> None:
    with dag:
        sensor = OpenCXSequenceSensor(
            task_id="wait",
            sequence_id=[{"id": "seq_1"}, "seq_2"],
            until="started",
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
    assert classpath == "airflow_provider_opencx.triggers.sequence.OpenCXSequenceTrigger"
    assert json.loads(json.dumps(arguments)) == {
        "opencx_conn_id": "opencx_default",
        "sequence_id": ["seq_1", "seq_2"],
        "until": "started",
        "poll_interval": 7.0,
        "timeout": 3600.0,
    }
    assert simulator.requests == []


def test_429_stretches_wait_up_to_timeout(dag: DAG, simulator: Simulator) -> None:
    with dag:
        sensor = OpenCXSequenceSensor(task_id="wait", sequence_id=["1", "2"], poke_interval=60, timeout=3600)
    simulator.fail(GET, Respond(429, headers={"Retry-After": "900"}), times=None)
    assert not sensor.poke({})
    assert sensor._get_next_poke_interval(0.0, lambda: 10.0, 1) == 900
    assert sensor._get_next_poke_interval(0.0, lambda: 3500.0, 1) == 100
    assert simulator.count(GET) == 1


def test_reschedule_frees_worker_on_429(dag: DAG, simulator: Simulator) -> None:
    with dag:
        sensor = OpenCXSequenceSensor(task_id="wait", sequence_id="1", mode="reschedule", poke_interval=0)
    simulator.fail(GET, Respond(503), times=2)
    simulator.fail(GET, Respond(429, headers={"Retry-After": "900"}), times=None)
    assert not sensor.poke({})
    assert simulator.count(GET) == 3


@pytest.mark.parametrize(
    "arguments",
    [
        {"sequence_id": None},
        {"sequence_id": ""},
        {"sequence_id": ["1", ""]},
        {"sequence_id": {"name": "Spring"}},
        {"sequence_id": "{{ ds"},
        {"sequence_id": "1", "until": "over"},
        {"sequence_id": "1", "deferrable": "yes"},
        {"sequence_id": "1", "opencx_conn_id": ""},
    ],
    ids=str,
)
def test_wrong_argument_is_refused_at_parse_time(arguments: dict[str, Any], dag: DAG) -> None:
    with dag, pytest.raises(OpenCXArgumentError, match=r"Task 'my_sensor': (sequence_id|until|deferrable|opencx_conn)"):
        OpenCXSequenceSensor(task_id="my_sensor", **arguments)


def test_template_that_becomes_none_is_refused(dag: DAG, run_dag: Callable[..., Any], simulator: Simulator) -> None:
    wait = Waiting(MODES["poke"], run_dag, dag)
    assert wait("{{ none }}").states("wait") == ["failed"]
    assert "sequence_id: the template has become None: what it refers to is missing" in str(wait.errors[0])
    assert "send null" not in str(wait.errors[0])
