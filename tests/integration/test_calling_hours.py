"""Tests tasks that wait for the calling hours: the sensor in every mode, and the operator that reschedules itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, AirflowSkipException, TaskDeferred
from airflow.sdk import task

from airflow_provider_opencx.campaigns import calls
from airflow_provider_opencx.exceptions import (
    OpenCXArgumentError,
    OpenCXCallRefusedError,
    OpenCXContactsUnreadableError,
)
from airflow_provider_opencx.operators.call import OpenCXPlaceCallOperator
from airflow_provider_opencx.sensors import calling_hours
from airflow_provider_opencx.sensors.calling_hours import OpenCXCallingHoursSensor
from airflow_provider_opencx.simulator import Simulator

try:
    from airflow.sdk.exceptions import AirflowRescheduleException
except ImportError:  # Airflow 3.0
    from airflow.exceptions import AirflowRescheduleException

CALIFORNIA, BERLIN, TOKYO, TOLL_FREE = "+14155550101", "+4930555010", "+81312345678", "+80055501010"
MORNING_IN_BERLIN = datetime(2026, 11, 30, 8, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The time that people's clocks are set by; a pause of the sensor moves it on."""
    clock = SimpleNamespace(now=MORNING_IN_BERLIN.timestamp())

    def sleep(seconds: float) -> None:
        clock.now += seconds

    time = SimpleNamespace(time=lambda: clock.now, sleep=sleep)
    for module in (calls, calling_hours):
        monkeypatch.setattr(module, "time", time)
    monkeypatch.setattr("airflow.sdk.bases.sensor.time.sleep", sleep)
    monkeypatch.setattr("airflow.sdk.bases.sensor.time.monotonic", lambda: clock.now)
    return clock


def sensor(contacts: Any = None, **arguments: Any) -> OpenCXCallingHoursSensor:
    return OpenCXCallingHoursSensor(**{"task_id": "wait", "poke_interval": 600, "contacts": contacts, **arguments})


MORNING_IN_CALIFORNIA = datetime(2026, 11, 30, 17, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "opens_at"),
    [
        ({"contacts": []}, MORNING_IN_BERLIN),
        ({"contacts": [BERLIN]}, MORNING_IN_BERLIN),
        ({"contacts": [CALIFORNIA]}, MORNING_IN_CALIFORNIA),
        ({"contacts": [BERLIN, CALIFORNIA]}, MORNING_IN_CALIFORNIA),
        ({"contacts": [{"phone_number": CALIFORNIA, "contact_id": "c1"}]}, MORNING_IN_CALIFORNIA),
        ({"zones": ["Europe/Berlin"]}, MORNING_IN_BERLIN),
        ({"zones": ["Europe/Berlin", "America/Los_Angeles"]}, MORNING_IN_CALIFORNIA),
        ({"zones": ["Europe/Berlin"], "unknown_zone": "America/Los_Angeles"}, MORNING_IN_BERLIN),
        ({"zones": [], "unknown_zone": "America/Los_Angeles"}, MORNING_IN_CALIFORNIA),
        ({"zones": []}, MORNING_IN_BERLIN),
    ],
    ids=str,
)
@pytest.mark.parametrize("mode", ["poke", "deferrable"])
def test_sensor_waits_until_all_may_be_called(
    given: dict[str, Any], opens_at: datetime, mode: str, clock: SimpleNamespace
) -> None:
    waiting = sensor(deferrable=mode == "deferrable", **given)
    if mode == "deferrable" and opens_at > MORNING_IN_BERLIN:
        with pytest.raises(TaskDeferred) as deferred:
            waiting.execute({})  # type: ignore[typeddict-item]
        trigger: Any = deferred.value.trigger
        assert trigger.moment == opens_at
        assert deferred.value.timeout == timedelta(seconds=waiting.timeout)
        return
    waiting.execute({})  # type: ignore[typeddict-item]
    ended_at = datetime.fromtimestamp(clock.now, UTC)
    assert opens_at <= ended_at < opens_at + timedelta(seconds=600)


def test_sensor_that_reschedules_leaves_its_worker() -> None:
    instance = SimpleNamespace(get_first_reschedule_date=lambda context: None, id="1", max_tries=0)
    context: Any = {"ti": instance, "task_reschedule_count": 0}
    with pytest.raises(AirflowRescheduleException):
        sensor([CALIFORNIA], mode="reschedule").execute(context)


@pytest.mark.parametrize(("soft_fail", "error"), [(False, AirflowSensorTimeout), (True, AirflowSkipException)])
def test_sensor_times_out_as_airflow_says(soft_fail: bool, error: type[Exception]) -> None:
    with pytest.raises(error):
        sensor([CALIFORNIA], timeout=3600, soft_fail=soft_fail).execute({})  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    ("contacts", "arguments", "error"),
    [
        ([TOLL_FREE], {}, OpenCXArgumentError),
        ([{"contact_id": "c1"}], {}, OpenCXArgumentError),
        (["nobody"], {}, OpenCXArgumentError),
        ("/nowhere/people.csv", {}, OpenCXContactsUnreadableError),
        ([TOKYO, CALIFORNIA], {"calling_hours": "12:00-14:00"}, OpenCXCallRefusedError),
        (
            None,
            {"zones": ["Asia/Tokyo", "America/Los_Angeles"], "calling_hours": "12:00-14:00"},
            OpenCXCallRefusedError,
        ),
    ],
)
@pytest.mark.parametrize("deferrable", [False, True])
def test_sensor_waits_for_no_moment_that_is_not_known(
    contacts: Any, arguments: dict[str, Any], error: type[Exception], deferrable: bool
) -> None:
    with pytest.raises(error):
        sensor(contacts, deferrable=deferrable, **arguments).execute({})  # type: ignore[typeddict-item]


def test_sensor_assumes_a_zone_where_it_is_told(tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text(f"phone_number\n{TOLL_FREE}\n")
    sensor(str(file), unknown_zone="Europe/Berlin").execute({})  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    "arguments",
    [
        {"calling_hours": "9-5"},
        {"unknown_zone": "Mars"},
        {"default_region": "USA"},
        {"deferrable": "yes"},
        {"zones": ["Europe/Berlin"]},
        {"zones": ["Europe/Berlin", "Mars"], "contacts": None},
        {"zones": [None], "contacts": None},
        {"zones": "Europe/Berlin", "contacts": None},
        {"contacts": None},
    ],
    ids=str,
)
def test_sensor_with_a_wrong_argument_is_an_error_while_the_dag_is_parsed(arguments: dict[str, Any]) -> None:
    with pytest.raises(OpenCXArgumentError, match=next(iter(arguments))):
        sensor(**{"contacts": [BERLIN], **arguments})


def test_sensor_says_that_it_knows_nothing_to_wait_for(capsys: pytest.CaptureFixture[str]) -> None:
    sensor(zones=[]).execute({})  # type: ignore[typeddict-item]
    assert "nothing is waited for" in capsys.readouterr().out


@pytest.mark.parametrize("key", ["contacts", "zones"])
def test_sensor_refuses_what_a_skipped_task_has_not_returned(dag: Any, run_dag: Callable[..., Any], key: str) -> None:
    said: list[str] = []

    @task
    def nothing() -> None: ...

    with dag:
        OpenCXCallingHoursSensor(
            task_id="wait",
            on_failure_callback=lambda context: said.append(str(context["exception"])),
            **{key: nothing()},
        )
    assert run_dag(dag).states("wait") == ["failed"]
    assert "give contacts, or zones; one that was given is None where the task" in said[0]


def test_sensor_is_a_gate_in_a_dag(dag: Any, run_dag: Callable[..., Any], simulator: Simulator) -> None:
    simulator.add_agent("Caller", type="outbound")
    with dag:
        gate = OpenCXCallingHoursSensor(task_id="gate", contacts=[BERLIN])
        call = OpenCXPlaceCallOperator(task_id="call", agent_name="Caller", contacts=[BERLIN, CALIFORNIA])
        gate >> call
    run = run_dag(dag)
    assert run.state == "success"
    assert [dialed.phone_number for dialed in simulator.dialed()] == [BERLIN]
    assert [each["status"] for each in run.xcom("call")] == ["called", "outside_hours"]


class StateStore(dict[str, Any]):
    """Stands in for Airflow's task state store."""

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        self[key] = value

    def delete(self, key: str) -> None:
        self.pop(key, None)


@pytest.mark.skipif(
    "NEVER_EXPIRE" not in __import__("airflow.sdk").sdk.__all__, reason="Airflow 3.3 has the first task state store"
)
def test_operator_comes_back_for_those_who_are_left(simulator: Simulator, clock: SimpleNamespace) -> None:
    simulator.add_agent("Caller", type="outbound")
    instance = SimpleNamespace(
        try_number=1, map_index=-1, dag_id="d", run_id="r", task_id="call", xcom_push=lambda key, value: None
    )
    context: Any = {"ti": instance, "task_state_store": StateStore()}

    def execute() -> Any:
        return OpenCXPlaceCallOperator(
            task_id="call", agent_name="Caller", contacts=[BERLIN, CALIFORNIA], outside_hours="reschedule"
        ).execute(context)

    with pytest.raises(AirflowRescheduleException) as rescheduled:
        execute()
    assert rescheduled.value.reschedule_date == datetime(2026, 11, 30, 17, 0, tzinfo=UTC)
    assert [dialed.phone_number for dialed in simulator.dialed()] == [BERLIN]
    clock.now = rescheduled.value.reschedule_date.timestamp()
    assert [each["status"] for each in execute()] == ["called", "called"]
    assert [dialed.phone_number for dialed in simulator.dialed()] == [BERLIN, CALIFORNIA]


@pytest.mark.parametrize("allow_backfill", [False, True])
def test_a_backfill_calls_nobody_unless_it_is_meant(simulator: Simulator, allow_backfill: bool) -> None:
    simulator.add_agent("Caller", type="outbound")
    context: Any = {"dag_run": SimpleNamespace(run_type="backfill")}
    call = OpenCXPlaceCallOperator(
        task_id="call", agent_name="Caller", phone_number=BERLIN, allow_backfill=allow_backfill
    )
    if allow_backfill:
        assert call.execute(context)["status"] == "called"  # type: ignore[index, call-overload]
        return
    with pytest.raises(AirflowSkipException, match="backfill"):
        call.execute(context)
    assert simulator.requests == []
