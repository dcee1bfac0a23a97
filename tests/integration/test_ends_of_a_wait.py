"""Tests what ends a wait for a number: the same in each mode of the sensor, and in an upsert that waits."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, AirflowTaskTimeout, TaskDeferred
from airflow.sdk import DAG

from airflow_provider_opencx import waiting
from airflow_provider_opencx.exceptions import OpenCXAgentNotFoundError, OpenCXPhoneNumberTimeoutError
from airflow_provider_opencx.operators.phone_agent import OpenCXUpsertPhoneAgentOperator
from airflow_provider_opencx.sensors.phone_number import OpenCXPhoneNumberSensor
from airflow_provider_opencx.simulator import Respond, Simulator
from airflow_provider_opencx.triggers import start
from airflow_provider_opencx.triggers.phone_number import OpenCXPhoneNumberTrigger

MODES: dict[str, dict[str, Any]] = {
    "poke": {"mode": "poke", "deferrable": False},
    "reschedule": {"mode": "reschedule", "deferrable": False},
    "deferrable": {"deferrable": True},
    "from trigger": {"start_from_trigger": True, "end_from_trigger": True},
    "upsert in worker": {"wait_for_phone_number": True, "deferrable": False},
    "upsert deferred": {"wait_for_phone_number": True, "deferrable": True},
}
SECOND = timedelta(seconds=1)


@dataclass
class Waiting:
    """A task that waits for the number of agent "a" in one mode, run to its end."""

    mode: dict[str, Any]
    dag: DAG
    run_dag: Callable[..., Any]
    errors: list[BaseException] = field(default_factory=list)

    @property
    def is_upsert(self) -> bool:
        return "wait_for_phone_number" in self.mode

    @property
    def timeout_error(self) -> type[BaseException]:
        return OpenCXPhoneNumberTimeoutError if self.is_upsert else AirflowSensorTimeout

    def task(self, **arguments: Any) -> OpenCXPhoneNumberSensor | OpenCXUpsertPhoneAgentOperator:
        def remember(context: Any) -> None:
            self.errors.append(context["exception"])

        named = {"name": "a"} if self.is_upsert else {"agent_name": "a"}
        defaults: dict[str, Any] = {
            "task_id": "wait",
            "poke_interval": 0.1,
            "timeout": 60,
            "retry_delay": timedelta(0),
            "on_failure_callback": remember,
            "on_retry_callback": remember,
        }
        kind = OpenCXUpsertPhoneAgentOperator if self.is_upsert else OpenCXPhoneNumberSensor
        with self.dag:
            return kind(**{**named, **defaults, **self.mode, **arguments})

    def __call__(self, **arguments: Any) -> Any:
        self.task(**arguments)
        return self.run_dag(self.dag)


@pytest.fixture(params=MODES)
def wait(request: pytest.FixtureRequest, dag: DAG, run_dag: Callable[..., Any]) -> Waiting:
    if MODES[request.param].get("start_from_trigger") and not start.STARTS:
        pytest.skip("no task starts in the triggerer of Airflow 3.1 and 3.2")
    return Waiting(MODES[request.param], dag, run_dag)


def polls_show_no_agent(wait: Waiting, simulator: Simulator, times: int | None) -> dict[str, Any]:
    """Let the polls miss an agent that an upsert has seen, or the task before; return how a sensor names it by its id.

    :param times: how many polls miss it; ``None`` is all.
    """

    class ListOfUpsert(Respond):
        async def respond(self, call: Any, handle: Any) -> Any:
            simulator.fail("listPhoneAgents", Respond(200, []), times=times)
            return handle(call)

    simulator.provision_after = "2reads"
    agent = simulator.add_agent("a", type="outbound")
    if wait.is_upsert:
        simulator.fail("listPhoneAgents", ListOfUpsert(200))
        return {}
    simulator.fail("listPhoneAgents", Respond(200, []), times=times)
    return {"agent_id": agent["id"], "agent_name": None}


def test_wait_outlasts_a_list_that_does_not_show_the_id_yet(wait: Waiting, simulator: Simulator) -> None:
    selector = polls_show_no_agent(wait, simulator, times=20)
    run = wait(poke_interval=0.01, **selector)
    assert run.state == "success"
    assert run.xcom("wait") == simulator.agents()[0]


def test_wait_ends_with_id_that_stays_missing(
    wait: Waiting, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "LAGS_FOR", 0.5)
    selector = polls_show_no_agent(wait, simulator, times=None)
    run = wait(retries=1, **selector)
    assert (run.states("wait"), run.tries("wait")) == (["failed"], 1)
    assert [type(error) for error in wait.errors] == [OpenCXAgentNotFoundError]
    assert "phone agent pa_000001 in this organization: missing for" in str(wait.errors[0])


def test_wait_ends_with_number_that_comes_in_time(wait: Waiting, simulator: Simulator) -> None:
    simulator.provision_after = "4reads"
    simulator.add_agent("a", type="outbound")
    run = wait()
    assert run.state == "success"
    assert run.xcom("wait") == simulator.agents()[0]


def test_wait_goes_on_over_a_value_that_is_no_number(
    wait: Waiting, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    agent = simulator.add_agent("a", type="outbound", phone_number="pending")

    class GivenNow(Respond):
        async def respond(self, call: Any, handle: Any) -> Any:
            simulator.give_number(str(agent["id"]))
            return handle(call)

    simulator.fail("listPhoneAgents", Respond(200, [agent]), times=4)
    simulator.fail("listPhoneAgents", GivenNow(200))
    run = wait()
    assert run.xcom("wait")["phone_number"] == "+15550000001"
    said = "has the phone_number 'pending', which is not a telephone number"
    warnings = [record for record in caplog.records if said in record.getMessage()]
    assert {record.levelno for record in warnings} == {logging.WARNING}
    processes = 4 if wait.mode.get("mode") == "reschedule" else 1
    assert len(warnings) == processes  # once in each


@pytest.mark.parametrize("execution_timeout", [None, 60 * SECOND], ids=["", "long execution_timeout"])
def test_wait_ends_with_timeout(execution_timeout: timedelta | None, wait: Waiting, simulator: Simulator) -> None:
    simulator.provision_after = "never"
    simulator.add_agent("a", type="outbound")
    run = wait(timeout=1, execution_timeout=execution_timeout)
    assert run.states("wait") == ["failed"]
    assert [type(error) for error in wait.errors] == [wait.timeout_error]
    assert "phone agent named 'a'" in str(wait.errors[0]) or "Phone agent 'a'" in str(wait.errors[0])


def test_wait_ends_with_execution_timeout_and_is_retried(wait: Waiting, simulator: Simulator) -> None:
    simulator.provision_after = "never"
    simulator.add_agent("a", type="outbound")
    # In mode reschedule Airflow times each poll, and it is a missing agent that keeps the worker.
    selector = {"agent_id": "missing", "agent_name": None} if wait.mode.get("mode") == "reschedule" else {}
    run = wait(execution_timeout=SECOND, retries=1, **selector)
    assert (run.states("wait"), run.tries("wait")) == (["failed"], 2)
    assert [type(error) for error in wait.errors] == [AirflowTaskTimeout] * 2


@pytest.mark.parametrize("limit", [{"timeout": 1}, {"execution_timeout": SECOND}], ids=["timeout", "execution_timeout"])
@pytest.mark.parametrize("mode", ["poke", "reschedule", "deferrable"])
def test_soft_fail_skips_when_time_is_over(
    mode: str, limit: dict[str, Any], dag: DAG, run_dag: Callable[..., Any], simulator: Simulator
) -> None:
    run = Waiting(MODES[mode], dag, run_dag)(agent_id="missing", agent_name=None, soft_fail=True, **limit)
    assert run.states("wait") == ["skipped"]


def test_timeout_names_who_has_no_number_and_who_is_missing(wait: Waiting, simulator: Simulator) -> None:
    if wait.is_upsert:
        pytest.skip("an upsert waits for one agent")
    simulator.provision_after = "never"
    for name in ("a", "b"):
        simulator.add_agent(name)
    simulator.give_number(str(simulator.agents()[0]["id"]))
    wait(agent_name=["a", "b", "c"], timeout=1)
    assert "2 of 3 phone agents are still without a number: 'b', 'c'; not in the list: 'c'." in str(wait.errors[0])


@pytest.mark.parametrize(
    ("timeout", "execution_timeout", "deferred_for"),
    [(150, 20, 20), (20, 150, 20), (150, None, 150), (0, None, 1), (150, 150, 150)],
)
@pytest.mark.parametrize("mode", ["deferrable", "upsert deferred"])
def test_deferral_lasts_for_the_shorter_limit(
    mode: str,
    timeout: float,
    execution_timeout: float | None,
    deferred_for: float,
    dag: DAG,
    run_dag: Callable[..., Any],
    simulator: Simulator,
) -> None:
    simulator.provision_after = "never"
    simulator.add_agent("a", type="outbound")
    limit = None if execution_timeout is None else execution_timeout * SECOND
    task = Waiting(MODES[mode], dag, run_dag).task(timeout=timeout, execution_timeout=limit)
    with pytest.raises(TaskDeferred) as deferred:
        task.execute({})
    assert deferred.value.timeout is not None
    seconds = deferred.value.timeout.total_seconds()
    assert deferred_for - 10 < seconds <= deferred_for
    trigger = deferred.value.trigger
    assert trigger.serialize()[1]["timeout"] == seconds
    again = OpenCXPhoneNumberTrigger(**trigger.serialize()[1])
    assert again._time_left() is not None
    again.trigger_id = 7  # type: ignore[assignment]
    assert again._time_left() is None


@pytest.mark.skipif(not start.STARTS, reason="no task starts in the triggerer of Airflow 3.1 and 3.2")
@pytest.mark.parametrize(
    ("timeout", "execution_timeout", "deferred_for"), [(150, 20, 20), (20, 150, 20), (150, None, 150), (0, None, 1)]
)
def test_start_in_triggerer_lasts_for_the_shorter_limit(
    timeout: float, execution_timeout: float | None, deferred_for: float, dag: DAG, run_dag: Callable[..., Any]
) -> None:
    limit = None if execution_timeout is None else execution_timeout * SECOND
    task = Waiting(MODES["from trigger"], dag, run_dag).task(timeout=timeout, execution_timeout=limit)
    assert task.start_trigger_args is not None
    assert task.start_trigger_args.timeout == deferred_for * SECOND
    assert task.start_trigger_args.trigger_kwargs is not None
    assert task.start_trigger_args.trigger_kwargs["timeout"] == deferred_for


@pytest.mark.parametrize(
    ("timeout", "execution_timeout", "ends_by_execution_timeout"),
    [(150, 20, True), (20, 150, False), (150, None, False), (150, 150, True)],
)
@pytest.mark.parametrize("mode", ["deferrable", "upsert deferred"])
def test_resumed_task_knows_which_limit_it_was(
    mode: str,
    timeout: float,
    execution_timeout: float | None,
    ends_by_execution_timeout: bool,
    dag: DAG,
    run_dag: Callable[..., Any],
) -> None:
    class Instance:
        map_index = -1

        def xcom_pull(self, **_: Any) -> str:
            return "pa_000001"

    wait = Waiting(MODES[mode], dag, run_dag)
    limit = None if execution_timeout is None else execution_timeout * SECOND
    task = wait.task(timeout=timeout, execution_timeout=limit)
    context: Any = {"ti": Instance()}
    with pytest.raises(AirflowTaskTimeout if ends_by_execution_timeout else wait.timeout_error, match="'a'"):
        task.resume_execution("__fail__", {"error": "Trigger timeout"}, context)
