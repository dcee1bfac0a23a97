"""Tests with CeleryExecutor, two workers, PostgreSQL and Redis that the promises hold across workers."""

from __future__ import annotations

import asyncio
import csv
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow_celery import TASKS_OF_A_WORKER, WORKERS, AirflowCelery
from airflow_standalone import EXAMPLE_DAGS, connection_json, copy_dags, wait_for
from page_examples import examples_folder
from servers import running_redis
from starlette.responses import Response

from airflow_provider_opencx.simulator import Fault, Simulator, SlowResponse
from airflow_provider_opencx.simulator.call import Call
from airflow_provider_opencx.simulator.faults import Handle

KEY = "test-key"
DAGS = Path(__file__).parent / "dags"
DOCUMENTED_DAG = examples_folder() / "dags" / "reminders.py"
BACKFILLED = ("reminders", "unlimited")
DAYS = 8
CAMPAIGN = "opencx_weekly_campaign"
DECLARED = [agent["name"] for agent in yaml.safe_load((EXAMPLE_DAGS / "campaign_fleet.yaml").read_text())["agents"]]
A_MINUTE = TASKS_OF_A_WORKER + 1
A_SLOW_MACHINE = 300

NOTICED_SOON = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
}

TOLD = re.compile(r"phone agent|DEFERRED|[Tt]rigger")
NOTICED = re.compile(r"task instance without a heartbeat")
OF_CELERY = re.compile(r"Task execute_workload\S+ (received|succeeded)")


class Together(Fault):
    """No fault: handles requests when so many have arrived.

    The tasks that sent them run at the same time; if they are more than one worker runs, they are on both.
    """

    def __init__(self, requests: int) -> None:
        self.all_here = asyncio.Barrier(requests)

    async def respond(self, call: Call, handle: Handle) -> Response:
        await self.all_here.wait()
        return handle(call)


@pytest.fixture(scope="module")
def services() -> Iterator[dict[str, Simulator]]:
    """A simulator for each connection."""
    with ExitStack() as running:
        yield {
            name: running.enter_context(Simulator(provision_after="5s", requests_per_minute=None))
            for name in ("default", "paced", "killed", *BACKFILLED)
        }


@pytest.fixture(scope="module")
def redis(program: Callable[[str], Path]) -> Iterator[str]:
    """The Redis that Celery and the coordination share, in databases of their own."""
    with running_redis(program("redis-server")) as address:
        yield address


@pytest.fixture(scope="module")
def airflow(
    program: Callable[[str], Path],
    new_database: Callable[[], dict[str, str]],
    redis: str,
    services: dict[str, Simulator],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[AirflowCelery]:
    """The running Airflow; its Dags are the tests', the README's, and the example without its schedule and limit."""
    program("postgres")  # without it, the database would be a file of SQLite
    dags = tmp_path_factory.mktemp("dags-celery")
    copy_dags(DAGS, EXAMPLE_DAGS, into=dags)
    campaign = dags / f"{CAMPAIGN}.py"
    unlimited = 'task_id="upsert_agent", max_active_tis_per_dag=None,'  # so that both workers create
    campaign.write_text(campaign.read_text().replace('task_id="upsert_agent",', unlimited))
    connected = 'default_args={"opencx_conn_id": "opencx_reminders", '
    (dags / DOCUMENTED_DAG.name).write_text(DOCUMENTED_DAG.read_text().replace("default_args={", connected))
    coordination = f"{redis}/1"
    extras: dict[str, dict[str, object]] = {
        "default": {"timeout": A_SLOW_MACHINE},
        "paced": {"timeout": A_SLOW_MACHINE, "requests_per_minute": A_MINUTE},
        "killed": {"timeout": 600},
        "reminders": {"timeout": A_SLOW_MACHINE},
        "unlimited": {"timeout": A_SLOW_MACHINE},
    }
    connections = {
        f"AIRFLOW_CONN_OPENCX_{name.upper()}": connection_json(
            services[name].url, KEY, coordination=coordination, **extra
        )
        for name, extra in extras.items()
    }
    variables = new_database() | connections | NOTICED_SOON
    with AirflowCelery(tmp_path_factory.mktemp("airflow-celery"), dags, redis, variables) as running:
        yield running


@pytest.fixture(scope="module")
def paced_run(airflow: AirflowCelery, services: dict[str, Simulator]) -> str:
    """A run of four tasks that may send three requests a minute, when three are sent."""
    simulator = services["paced"]
    for name in ("Monday", "Tuesday", "Wednesday", "Thursday"):
        simulator.add_agent(name, type="outbound")
    simulator.fail("listPhoneAgents", Together(A_MINUTE), times=A_MINUTE)
    run_id = airflow.start_dag("paced")
    wait_for("three requests", lambda: len(simulator.requests) >= A_MINUTE or None, within=A_SLOW_MACHINE)
    return run_id


@pytest.mark.usefixtures("paced_run")  # it takes a minute, in which this test can run
def test_celery_campaign_creates_each_agent_once(
    airflow: AirflowCelery, services: dict[str, Simulator], tmp_path: Path
) -> None:
    assert len(DECLARED) > TASKS_OF_A_WORKER
    simulator = services["default"]
    call_list = tmp_path / "call_list.csv"
    simulator.provision_after = "never"
    simulator.fail("createPhoneAgent", Together(len(DECLARED)), times=len(DECLARED))
    run_id = airflow.start_dag(CAMPAIGN, conf={"call_list": str(call_list)})

    def waiting() -> list[dict[str, Any]] | None:
        sensors = [ti for ti in airflow.task_instances(CAMPAIGN, run_id) if ti["task_id"] == "await_number"]
        waiting = [ti for ti in sensors if ti["state"] == "deferred" and ti["triggerer_job"]]
        return waiting if len(waiting) == len(DECLARED) else None

    wait_for("sensors that wait in the triggerer", waiting, within=A_SLOW_MACHINE)
    for agent in simulator.agents():
        simulator.give_number(str(agent["id"]))
    assert airflow.end_state(CAMPAIGN, run_id, within=A_SLOW_MACHINE) == "success"

    agents = simulator.agents()
    assert sorted(str(agent["name"]) for agent in agents) == sorted(DECLARED)
    assert all(agent["phone_number"] for agent in agents)
    assert [write.method for write in simulator.writes] == ["POST"] * len(DECLARED)
    listed = list(csv.DictReader(call_list.open()))
    assert sorted(listed, key=str) == sorted(
        ({"name": agent["name"], "phone_number": agent["phone_number"]} for agent in agents), key=str
    )
    ran_by = {(ti["task_id"], ti["map_index"]): ti["hostname"] for ti in airflow.task_instances(CAMPAIGN, run_id)}
    assert {ran_by["upsert_agent", index] for index in range(len(DECLARED))} == set(WORKERS)
    report(f"{task_id} {index} ran on {worker}" for (task_id, index), worker in ran_by.items())
    report(told(airflow, CAMPAIGN, run_id, "upsert_agent", map_index=0))
    report(told(airflow, CAMPAIGN, run_id, "await_number", map_index=0))
    for worker in WORKERS:
        report([f"{worker}:", *printed(airflow, worker, OF_CELERY)])

    call_list.unlink()
    airflow.run_dag(CAMPAIGN, conf={"call_list": str(call_list)}, within=A_SLOW_MACHINE)
    assert len(simulator.writes) == len(DECLARED), "the second run wrote something"
    assert list(csv.DictReader(call_list.open())) == listed


def test_celery_backfill_makes_one_agent(airflow: AirflowCelery, services: dict[str, Simulator]) -> None:
    dates = ("--from-date", "2026-03-01", "--to-date", f"2026-03-0{DAYS}")
    for dag_id in BACKFILLED:
        services[dag_id].fail("listPhoneAgents", SlowResponse(2), times=None)
        services[dag_id].fail("createPhoneAgent", SlowResponse(4), times=None)
        airflow.wait_for_dag(dag_id)
        airflow.run_command("backfill", "create", "--dag-id", dag_id, *dates, "--max-active-runs", str(DAYS))
        airflow.unpause(dag_id)  # now, so that all its runs begin at once

    for dag_id in BACKFILLED:
        assert end_of_backfill(airflow, dag_id) == ["success"] * DAYS
        simulator = services[dag_id]
        assert [agent["name"] for agent in simulator.agents()] == ["Appointment reminder"]
        assert [write.operation for write in simulator.writes] == ["createPhoneAgent"]
        report([f"{dag_id}: {DAYS} runs of a backfill made one agent with {len(simulator.requests)} requests"])


def test_celery_workers_share_pace_over_redis(
    airflow: AirflowCelery, services: dict[str, Simulator], paced_run: str
) -> None:
    assert airflow.end_state("paced", paced_run, within=A_SLOW_MACHINE) == "success"
    assert {ti["hostname"] for ti in airflow.task_instances("paced", paced_run)} == set(WORKERS)
    first, _, _, fourth = (request.time for request in services["paced"].requests)
    assert fourth - first > 60
    report([f"The fourth request came {fourth - first:.1f} s after the first."])


def test_celery_killed_worker_leaves_one_agent(airflow: AirflowCelery, services: dict[str, Simulator]) -> None:
    simulator = services["killed"]
    simulator.fail("createPhoneAgent", SlowResponse(600))
    run_id = airflow.start_dag("killed")
    wait_for("create under way", lambda: simulator.agents() or None, within=A_SLOW_MACHINE)
    [instance] = airflow.task_instances("killed", run_id)
    worker = instance["hostname"]
    airflow.kill_component(worker)
    assert airflow.component(worker) == set()
    assert airflow.end_state("killed", run_id, within=A_SLOW_MACHINE) == "success"

    tries = airflow.call("GET", f"/dags/killed/dagRuns/{run_id}/taskInstances/agent/tries")["task_instances"]
    [other] = set(WORKERS) - {worker}
    assert [(one["hostname"], one["state"]) for one in tries[-2:]] == [(worker, "failed"), (other, "success")]
    [agent] = simulator.agents()
    assert agent == airflow.xcom("killed", run_id, "agent")
    assert [write.method for write in simulator.writes] == ["POST"]
    report([f"{worker} was killed.", *printed(airflow, "scheduler", NOTICED), f"{other} went on:"])
    report(told(airflow, "killed", run_id, "agent", try_number=len(tries)))
    airflow.start_component(worker)


def end_of_backfill(airflow: AirflowCelery, dag_id: str) -> list[str]:
    def ended() -> list[str] | None:
        runs = airflow.call("GET", f"/dags/{dag_id}/dagRuns?limit=100")["dag_runs"]
        states = [str(run["state"]) for run in runs if run["run_type"] == "backfill"]
        return states if len(states) == DAYS and {*states} <= {"success", "failed"} else None

    return wait_for(f"end of the backfill of {dag_id}", ended, within=2 * A_SLOW_MACHINE)


def told(airflow: AirflowCelery, dag_id: str, run_id: str, task_id: str, **which: int) -> list[str]:
    return [line for line in airflow.task_log(dag_id, run_id, task_id, **which) if TOLD.search(line)]


def printed(airflow: AirflowCelery, component: str, what: re.Pattern[str]) -> list[str]:
    return [line for line in airflow.log_of(component).read_text().splitlines() if what.search(line)]


def report(lines: Iterable[str]) -> None:
    print(*(line[:250] for line in lines), "", sep="\n")
