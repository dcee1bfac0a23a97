"""Tests the sensor that waits for a number: each mode has the same result and the same errors."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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
from airflow_standalone import connection_json

from airflow_provider_opencx import waiting
from airflow_provider_opencx.exceptions import (
    OpenCXAgentNotFoundError,
    OpenCXAmbiguousNameError,
    OpenCXArgumentError,
    OpenCXAuthenticationPermanentError,
    OpenCXConfigError,
    OpenCXError,
    OpenCXPermissionPermanentError,
    OpenCXServerError,
)
from airflow_provider_opencx.sensors.phone_number import OpenCXPhoneNumberSensor
from airflow_provider_opencx.simulator import CloseBeforeHandling, Fault, Respond, Simulator
from airflow_provider_opencx.simulator.responses import error_body

from .sensors import MODES


@dataclass
class Waiting:
    """A sensor in one mode, run to its end."""

    mode: dict[str, Any]
    run_dag: Callable[..., Any]
    dag: DAG
    errors: list[BaseException] = field(default_factory=list)

    def __call__(self, **arguments: Any) -> Any:
        with self.dag:
            OpenCXPhoneNumberSensor(
                task_id="await",
                on_failure_callback=lambda context: self.errors.append(context["exception"]),
                **{"poke_interval": 0, "timeout": 60} | self.mode | arguments,
            )
        return self.run_dag(self.dag)


@pytest.fixture(params=MODES)
def wait(request: pytest.FixtureRequest, dag: DAG, run_dag: Callable[..., Any]) -> Waiting:
    return Waiting(MODES[request.param], run_dag, dag)


@pytest.mark.parametrize("by", ["agent_id", "agent_name"])
def test_sensor_returns_agent_with_number(by: str, wait: Waiting, simulator: Simulator) -> None:
    simulator.provision_after = "3reads"
    agent = simulator.add_agent("a", type="outbound", language=["en", "es"])
    run = wait(**{by: agent["id"] if by == "agent_id" else "a"})
    assert run.state == "success"
    assert run.xcom("await") == simulator.agents()[0]
    assert run.xcom("await")["phone_number"].startswith("+1")
    assert simulator.count("listPhoneAgents") == 4


@pytest.mark.parametrize("by", ["agent_id", "agent_name"])
def test_sensor_polls_many_agents_with_one_request(
    by: str,
    wait: Waiting,
    simulator: Simulator,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")  # what a trigger logs goes there, and what a task logs to the standard output
    simulator.provision_after = "3reads"
    agents = [simulator.add_agent(f"agent {number}") for number in range(3)]
    simulator.give_number(str(agents[1]["id"]))
    wanted = [str(agents[number]["id" if by == "agent_id" else "name"]) for number in (2, 0, 1, 2)]
    run = wait(**{by: wanted})
    assert run.state == "success"
    assert run.xcom("await") == [simulator.agents()[number] for number in (2, 0, 1, 2)]
    assert simulator.count("listPhoneAgents") == 4
    assert "3 of 4 phone agents are still without a number: '" in capsys.readouterr().out + caplog.text


def test_sensor_accepts_task_output_and_empty_list(wait: Waiting, simulator: Simulator) -> None:
    agents = [simulator.add_agent(f"agent {number}") for number in range(2)]

    @task
    def ids_of(wanted: list[str]) -> list[str]:
        return wanted

    with wait.dag:
        ids = ids_of([str(agent["id"]) for agent in agents])
        OpenCXPhoneNumberSensor(task_id="none", agent_id=ids_of.override(task_id="no_ids")([]), **wait.mode)
        OpenCXPhoneNumberSensor(task_id="list_of_one", agent_name=["agent {{ 1 }}"], **wait.mode)
    run = wait(agent_id=ids)
    assert run.xcom("await") == simulator.agents()
    assert run.xcom("none") == []
    assert run.xcom("list_of_one") == [simulator.agents()[1]]


def test_sensor_waits_for_agent_that_appears_later(wait: Waiting, simulator: Simulator) -> None:
    class AppearsNow(Respond):
        async def respond(self, call: Any, handle: Any) -> Any:
            simulator.add_agent("a")
            return await super().respond(call, handle)

    simulator.fail("listPhoneAgents", Respond(200, []), times=5)
    simulator.fail("listPhoneAgents", AppearsNow(200, []))
    assert wait(agent_name="a").xcom("await")["name"] == "a"


@pytest.mark.parametrize(
    "fault",
    [Respond(503), CloseBeforeHandling(), Respond(200, "<html>"), Respond(429, headers={"Retry-After": "0"})],
    ids=["503", "dropped", "HTML", "429"],
)
def test_sensor_tolerates_five_failed_polls(fault: Any, wait: Waiting, simulator: Simulator) -> None:
    agent = simulator.add_agent("a")
    simulator.fail("listPhoneAgents", fault, times=5)
    assert wait(agent_id=agent["id"]).state == "success"
    assert simulator.count("listPhoneAgents") == 6


def test_sensors_survive_one_odd_response(odd_response: Fault, dag: DAG, simulator: Simulator) -> None:
    simulator.provision_after = "100reads"
    ids = [str(simulator.add_agent(f"agent {number}")["id"]) for number in range(50)]
    with dag:
        sensors = [
            OpenCXPhoneNumberSensor(task_id=id, agent_id=id, mode="poke", poke_interval=0.2, timeout=60) for id in ids
        ]
    simulator.fail("listPhoneAgents", odd_response)
    with ThreadPoolExecutor(len(sensors)) as threads:
        agents = [*threads.map(lambda sensor: sensor.execute({}), sensors)]
    assert [agent["id"] for agent in agents] == ids
    assert all(agent["phone_number"] for agent in agents)


def test_sensor_waits_while_secrets_backend_is_away(
    wait: Waiting, simulator: Simulator, secrets_backend_away: Callable[..., None]
) -> None:
    agent = simulator.add_agent("a")
    secrets_backend_away(lambda number: number <= 3)
    run = wait(agent_id=agent["id"], poke_interval=0.01)
    assert run.state == "success"
    assert run.xcom("await")["phone_number"]


def test_sensor_tolerates_id_that_the_list_does_not_show_yet(wait: Waiting, simulator: Simulator) -> None:
    agent = simulator.add_agent("a")
    simulator.fail("listPhoneAgents", Respond(200, []), times=20)
    assert wait(agent_id=agent["id"]).xcom("await")["id"] == agent["id"]
    assert simulator.count("listPhoneAgents") == 21


def two_of_a_name(simulator: Simulator) -> None:
    simulator.add_agent("a")
    simulator.add_agent("a")


def refusing(status: int) -> Callable[[Simulator], None]:
    return lambda simulator: simulator.fail("listPhoneAgents", Respond(status, error_body(status, "No")), times=None)


@pytest.mark.parametrize(
    ("prepare", "selector", "error", "says", "polls"),
    [
        (lambda _: None, {"agent_id": "gone"}, OpenCXAgentNotFoundError, "phone agent gone", 3),
        (two_of_a_name, {"agent_name": "a"}, OpenCXAmbiguousNameError, "pa_000001, pa_000002", 1),
        (refusing(401), {}, OpenCXAuthenticationPermanentError, "rejected", 3),
        (refusing(403), {}, OpenCXPermissionPermanentError, "phone:read", 3),
        (lambda s: s.fail("listPhoneAgents", Respond(503), None), {}, OpenCXServerError, "503", 6),
    ],
    ids=["missing", "ambiguous", "401", "403", "503"],
)
@pytest.mark.parametrize("soft_fail", [False, True], ids=["", "soft_fail"])
def test_sensor_errors_ignore_soft_fail_in_every_mode(
    prepare: Callable[[Simulator], None],
    selector: dict[str, str],
    error: type[OpenCXError],
    says: str,
    polls: int,
    soft_fail: bool,
    wait: Waiting,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(waiting, "LAGS_FOR", 0.0)
    prepare(simulator)
    run = wait(**selector or {"agent_name": "a"}, soft_fail=soft_fail)
    assert run.states("await") == ["failed"]
    assert [type(met) for met in wait.errors] == [error]
    assert says in str(wait.errors[0])
    assert simulator.count("listPhoneAgents") == polls


def test_sensor_refuses_bad_connection_before_request(
    wait: Waiting, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OPENCX_DEFAULT", connection_json(simulator.url, "", timeout=1))
    assert wait(agent_name="a", soft_fail=True).states("await") == ["failed"]
    assert [type(met) for met in wait.errors] == [OpenCXConfigError]
    assert simulator.requests == []


@pytest.mark.parametrize("mode", ["poke", "reschedule"])
@pytest.mark.parametrize(("soft_fail", "state"), [(False, "failed"), (True, "skipped")])
def test_sensor_timeout_fails_or_skips(
    mode: str, soft_fail: bool, state: str, dag: DAG, run_dag: Callable[..., Any], simulator: Simulator
) -> None:
    simulator.provision_after = "never"
    simulator.add_agent("a")
    run = Waiting(MODES[mode], run_dag, dag)(agent_name="a", timeout=0, soft_fail=soft_fail, retries=2)
    assert run.states("await") == [state]
    assert run.tries("await") == 1


@pytest.mark.parametrize("timeout", [AirflowSensorTimeout("no event"), AirflowTaskTimeout("too long")], ids=type)
@pytest.mark.parametrize("soft_fail", [False, True], ids=["", "soft_fail"])
def test_deferrable_timeout_fails_or_skips(
    timeout: BaseException, soft_fail: bool, dag: DAG, monkeypatch: pytest.MonkeyPatch
) -> None:
    def as_in_airflow_3_0(*_: Any) -> None:
        raise timeout

    monkeypatch.setattr(BaseSensorOperator, "resume_execution", as_in_airflow_3_0)
    with dag:
        sensor = OpenCXPhoneNumberSensor(task_id="await", agent_name="a", deferrable=True, soft_fail=soft_fail)
    with pytest.raises(AirflowSkipException if soft_fail else type(timeout), match=str(timeout)):
        sensor.resume_execution("__fail__", {"error": "Trigger timeout"}, {})


def test_deferrable_worker_sends_nothing(dag: DAG, simulator: Simulator) -> None:
    with dag:
        sensor = OpenCXPhoneNumberSensor(
            task_id="await", agent_name="a", deferrable=True, poke_interval=7, timeout=timedelta(hours=1)
        )
    before = time.time()
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute({})
    assert deferred.value.timeout == timedelta(hours=1)
    classpath, arguments = deferred.value.trigger.serialize()
    assert before <= arguments.pop("waiting_since") <= time.time()
    assert classpath == "airflow_provider_opencx.triggers.phone_number.OpenCXPhoneNumberTrigger"
    assert arguments == {
        "opencx_conn_id": "opencx_default",
        "agent_id": None,
        "agent_name": "a",
        "poll_interval": 7.0,
        "end_from_trigger": False,
        "started_by_worker": True,
        "timeout": 3600.0,
    }
    assert simulator.requests == []


def test_sensor_429_stretches_wait_up_to_timeout(dag: DAG, simulator: Simulator) -> None:
    with dag:
        sensor = OpenCXPhoneNumberSensor(task_id="await", agent_name="a", poke_interval=60, timeout=3600)
    simulator.fail("listPhoneAgents", Respond(429, headers={"Retry-After": "900"}), times=None)
    assert not sensor.poke({})
    assert sensor._get_next_poke_interval(0.0, lambda: 10.0, 1) == 900
    assert sensor._get_next_poke_interval(0.0, lambda: 3500.0, 1) == 100
    assert simulator.count("listPhoneAgents") == 1


def test_reschedule_frees_worker_on_429(dag: DAG, simulator: Simulator) -> None:
    with dag:
        sensor = OpenCXPhoneNumberSensor(task_id="await", agent_name="a", mode="reschedule", poke_interval=0)
    simulator.fail("listPhoneAgents", Respond(503), times=2)
    simulator.fail("listPhoneAgents", Respond(429, headers={"Retry-After": "900"}), times=None)
    assert not sensor.poke({})
    assert simulator.count("listPhoneAgents") == 3
    assert sensor._get_next_poke_interval(0.0, lambda: 0.0, 1) == 900


def test_reschedule_stops_failed_polls_at_timeout(dag: DAG, simulator: Simulator) -> None:
    with dag:
        sensor = OpenCXPhoneNumberSensor(task_id="await", agent_name="a", mode="reschedule", poke_interval=0, timeout=0)
    simulator.fail("listPhoneAgents", Respond(503), times=None)
    assert not sensor.poke({})
    assert simulator.count("listPhoneAgents") == 1


def test_reschedule_counts_timeout_from_first_poke(dag: DAG, simulator: Simulator) -> None:
    class Instance:
        def get_first_reschedule_date(self, context: object) -> datetime:
            return datetime.now(UTC) - timedelta(minutes=1)

    with dag:
        sensor = OpenCXPhoneNumberSensor(
            task_id="await", agent_id="gone", mode="reschedule", poke_interval=0.01, timeout=5
        )
    assert not sensor.poke({"ti": Instance()})
    assert simulator.count("listPhoneAgents") == 1


@pytest.mark.parametrize(
    "selector", [{}, {"agent_id": "1", "agent_name": "a"}, {"agent_id": ""}, {"agent_id": ["1", ""]}, {"agent_id": [1]}]
)
def test_sensor_refuses_wrong_selector_at_parse_time(selector: dict[str, Any], dag: DAG) -> None:
    with dag, pytest.raises(OpenCXArgumentError, match=r"Task 'my_sensor': .*agent_id"):
        OpenCXPhoneNumberSensor(task_id="my_sensor", **selector)


def test_deferrable_follows_airflow_default(monkeypatch: pytest.MonkeyPatch) -> None:
    import subprocess
    import sys

    probe = (
        "from airflow_provider_opencx.sensors.phone_number import OpenCXPhoneNumberSensor as Sensor;"
        "print(Sensor(task_id='a', agent_name='a').deferrable)"
    )
    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "True")
    answered = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert answered.stdout.strip().endswith("True")
