"""Tests an upsert that waits for the agent's number in the same task: in a worker, and in the triggerer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowTaskTimeout, TaskDeferred
from airflow.sdk import DAG

from airflow_provider_opencx.exceptions import (
    OpenCXArgumentError,
    OpenCXAuthenticationPermanentError,
    OpenCXPhoneNumberTimeoutError,
    OpenCXServerError,
)
from airflow_provider_opencx.operators.phone_agent import OpenCXUpsertPhoneAgentOperator
from airflow_provider_opencx.phone_agents import polling
from airflow_provider_opencx.simulator import Respond, Simulator
from airflow_provider_opencx.simulator.responses import error_body

IN_BOTH_MODES = pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "deferrable"])


class Upsert:
    """An upsert that waits, run to its end."""

    def __init__(self, dag: DAG, run_dag: Callable[..., Any]) -> None:
        self._dag = dag
        self._run_dag = run_dag
        self.errors: list[BaseException] = []

    def declare(self, **arguments: Any) -> OpenCXUpsertPhoneAgentOperator:
        def remember(context: Any) -> None:
            self.errors.append(context["exception"])

        defaults: dict[str, Any] = {
            "poke_interval": 0,
            "timeout": 60,
            "retry_delay": timedelta(0),
            "on_failure_callback": remember,
            "on_retry_callback": remember,
        }
        with self._dag:
            return OpenCXUpsertPhoneAgentOperator(
                task_id="agent", name="a", wait_for_phone_number=True, **{**defaults, **arguments}
            )

    def run(self) -> Any:
        return self._run_dag(self._dag)


@pytest.fixture
def upsert(dag: DAG, run_dag: Callable[..., Any]) -> Upsert:
    return Upsert(dag, run_dag)


@IN_BOTH_MODES
def test_upsert_waits_and_returns_agent_with_number(deferrable: bool, upsert: Upsert, simulator: Simulator) -> None:
    simulator.provision_after = "3reads"
    upsert.declare(deferrable=deferrable)
    run = upsert.run()
    [agent] = simulator.agents()
    assert run.state == "success"
    assert agent["phone_number"]
    parts = {key: agent[key] for key in ("id", "name", "phone_number")}
    assert run.pushed("agent") == {"return_value": agent, **parts}
    assert len(simulator.writes) == 1


@IN_BOTH_MODES
def test_upsert_does_not_wait_for_number_that_is_there(deferrable: bool, upsert: Upsert, simulator: Simulator) -> None:
    agent = simulator.add_agent("a", type="outbound")
    simulator.give_number(str(agent["id"]))
    upsert.declare(deferrable=deferrable, poke_interval=3600)
    assert upsert.run().xcom("agent") == simulator.agents()[0]
    assert simulator.count("listPhoneAgents") == 1


@IN_BOTH_MODES
def test_upsert_tolerates_five_failed_polls(deferrable: bool, upsert: Upsert, simulator: Simulator) -> None:
    polls_fail(simulator, Respond(503), times=5)
    upsert.declare(deferrable=deferrable)
    assert upsert.run().state == "success"


@IN_BOTH_MODES
@pytest.mark.parametrize(
    ("fault", "error", "tries"),
    [
        (Respond(503), OpenCXServerError, 2),
        (Respond(401, error_body(401, "No")), OpenCXAuthenticationPermanentError, 1),
    ],
    ids=["503", "401"],
)
def test_upsert_stops_waiting_for_an_error(
    fault: Respond, error: type[Exception], tries: int, deferrable: bool, upsert: Upsert, simulator: Simulator
) -> None:
    polls_fail(simulator, fault, times=None)
    upsert.declare(deferrable=deferrable, retries=1)
    run = upsert.run()
    assert (run.state, run.tries("agent")) == ("failed", tries)
    assert type(upsert.errors[0]) is error
    assert str(upsert.errors[0]).startswith("Phone agent 'a' was brought to its declaration, and then the wait")
    assert "Stopped waiting for the number of phone agent pa_000001" in str(upsert.errors[0])


def polls_fail(simulator: Simulator, fault: Respond, times: int | None) -> None:
    """Let the lists after that of the upsert fail, which are the polls for the number of an agent that exists."""

    class ListOfUpsert(Respond):
        async def respond(self, call: Any, handle: Any) -> Any:
            simulator.fail("listPhoneAgents", fault, times=times)
            return handle(call)

    simulator.provision_after = "2reads"
    simulator.add_agent("a", type="outbound")
    simulator.fail("listPhoneAgents", ListOfUpsert(200))


@IN_BOTH_MODES
def test_upsert_timeout_names_agent_and_is_retried(deferrable: bool, upsert: Upsert, simulator: Simulator) -> None:
    simulator.provision_after = "never"
    upsert.declare(deferrable=deferrable, timeout=0.05, retries=1)
    run = upsert.run()
    first, *rest = upsert.errors
    assert type(first) is OpenCXPhoneNumberTimeoutError
    assert str(first).startswith("Phone agent 'a' (pa_000001) has got no phone number in 0.05 s.")
    assert (first.agent_id, first.agent_name, first.timeout) == ("pa_000001", "a", 0.05)
    assert len(simulator.writes) == 1
    assert (run.state, run.tries("agent")) == ("failed", 2)
    assert [str(error) for error in rest] == [str(first)]
    assert run.pushed("agent") == {"id": "pa_000001", "name": "a"}


def test_upsert_timeout_error_of_trigger_failure_stays_airflows(upsert: Upsert, simulator: Simulator) -> None:
    operator = upsert.declare(deferrable=True)
    with pytest.raises(Exception, match="Trigger failure") as failure:
        operator.resume_execution("__fail__", {"error": "Trigger failure"}, {})
    assert type(failure.value).__name__ == "TaskDeferralError"


def test_upsert_retry_finds_agent_and_waits_again(upsert: Upsert, simulator: Simulator) -> None:
    simulator.provision_after = "never"
    upsert.declare(timeout=0, retries=1)
    wait = upsert.errors

    def give_number(context: Any) -> None:
        wait.append(context["exception"])
        simulator.give_number("pa_000001")

    upsert._dag.get_task("agent").on_retry_callback = [give_number]
    run = upsert.run()
    assert (run.state, run.tries("agent")) == ("success", 2)
    assert run.xcom("agent")["phone_number"]
    assert simulator.count("createPhoneAgent") == 1


def test_upsert_execution_timeout_ends_the_wait(upsert: Upsert, simulator: Simulator) -> None:
    simulator.provision_after = "never"
    upsert.declare(poke_interval=3600, timeout=3600, execution_timeout=timedelta(seconds=2))
    assert upsert.run().state == "failed"
    assert [type(error) for error in upsert.errors] == [AirflowTaskTimeout]


def test_upsert_429_stretches_wait(upsert: Upsert, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(polling.time, "sleep", slept.append)
    polls_fail(simulator, Respond(429, headers={"Retry-After": "900"}), times=1)
    upsert.declare(poke_interval=7, timeout=3600)
    assert upsert.run().state == "success"
    assert 900 in slept


def test_upsert_defers_with_the_sensors_trigger(dag: DAG, simulator: Simulator) -> None:
    simulator.provision_after = "never"
    simulator.add_agent("a", type="outbound")
    with dag:
        operator = OpenCXUpsertPhoneAgentOperator(
            task_id="agent", name="a", wait_for_phone_number=True, deferrable=True, poke_interval=7, timeout=3600
        )
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute({})
    assert deferred.value.timeout == timedelta(hours=1)
    assert deferred.value.method_name == "execute_complete"
    arguments = deferred.value.trigger.serialize()[1]
    assert (arguments["agent_id"], arguments["agent_name"], arguments["poll_interval"]) == ("pa_000001", None, 7.0)
    assert simulator.count("listPhoneAgents") == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"poke_interval": -1}, "poke_interval: must be"),
        ({"poke_interval": "60"}, "poke_interval: must be"),
        ({"timeout": True}, "timeout: must be"),
        ({"timeout": float("nan")}, "timeout: must be"),
        ({"timeout": 10**400}, "timeout: must be"),
        ({"wait_for_phone_number": "yes"}, "wait_for_phone_number: must be True or False"),
        ({"wait_for_phone_number": 1}, "wait_for_phone_number: must be True or False"),
        ({"deferrable": "false"}, "deferrable: must be True or False"),
    ],
)
def test_upsert_refuses_wrong_wait_at_parse_time(arguments: dict[str, Any], says: str, dag: DAG) -> None:
    with dag, pytest.raises(OpenCXArgumentError, match=f"Task 'agent': {says}"):
        OpenCXUpsertPhoneAgentOperator(task_id="agent", name="a", **arguments)


def test_upsert_waits_as_long_as_airflow_says(dag: DAG, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__SENSORS__DEFAULT_TIMEOUT", "1234")
    with dag:
        operator = OpenCXUpsertPhoneAgentOperator(task_id="agent", name="a")
        shared = OpenCXUpsertPhoneAgentOperator(
            task_id="shared",
            name="a",
            default_args={"timeout": timedelta(hours=1), "poke_interval": timedelta(minutes=2)},
        )
    assert (operator.timeout, operator.poke_interval) == (1234, 60)
    assert (shared.timeout, shared.poke_interval) == (3600, 120)
