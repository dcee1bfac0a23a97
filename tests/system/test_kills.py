"""Tests that nothing is lost or doubled when tasks, workers and the triggerer are killed with SIGKILL."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

import psutil
import pytest
from airflow_standalone import AirflowStandalone, connection_json, end, wait_for
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from airflow_provider_opencx.simulator import Fault, Simulator
from airflow_provider_opencx.simulator.call import Call
from airflow_provider_opencx.simulator.delivery import DroppedConnection
from airflow_provider_opencx.simulator.faults import Handle

DAGS = Path(__file__).parent / "dags"
DECLARED = {"name": "Appointment reminder", "type": "outbound", "language": ["en", "es"], "first_message": "Hello!"}
SCENARIO = {"title": "Refund policy", "content": "Refund within 30 days.", "is_draft": False}
KEY = {"airflow_key": "refund-policy", "airflow_collection": "default"}
WAITING_TASKS = 100

# So that the loss of a worker or of the triggerer is noticed within the time of a test.
NOTICED_SOON = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
}

NOTICED = re.compile(r"Process terminated by signal|task instance without a heartbeat")
WAITED = re.compile(r"DEFERRED|trigger .* starting|Trigger fired|Number \+")

Address: TypeAlias = tuple[str, int]


@dataclass(frozen=True)
class Moment:
    """A moment of an upsert of an agent, or a sync of a training scenario, at which it is killed.

    :param operation: the request that has arrived and is never answered.
    :param answered: so many requests of that operation are answered before.
    :param handled: whether the request is handled: ``before`` the kill, ``late`` (when the next try has looked for the
        agent already), or ``never``.
    :param exists: whether what is declared exists from the beginning, not as declared.
    :param with_worker: whether the process that supervises the task is killed with it.
    :param writes: all requests of both tries that write.
    :param told: what the second try says in the end.
    :param is_known: whether the second try can know the result of the create; otherwise it must not send another.
    """

    operation: str
    answered: int = 0
    handled: Literal["before", "late", "never"] = "never"
    exists: bool = False
    with_worker: bool = False
    writes: tuple[str, ...] = ("POST",)
    told: str = "Unchanged phone agent"
    is_known: bool = True

    @property
    def is_of_scenario(self) -> bool:
        """Whether a training scenario is declared, and no agent."""
        return "Training" in self.operation

    def existing(self, simulator: Simulator) -> list[dict[str, Any]]:
        """Return the agents, or the training scenarios, that there are."""
        return simulator.training() if self.is_of_scenario else simulator.agents()

    def make(self, simulator: Simulator) -> None:
        """Make what is declared, not as it is declared."""
        if self.is_of_scenario:
            simulator.create_training(**SCENARIO | {"content": "Old."}, metadata=KEY)
        else:
            simulator.add_agent(**DECLARED | {"first_message": "Good day."})


MOMENTS = {
    "while_it_lists": Moment("listPhoneAgents", told="Created phone agent"),
    "before_the_create_is_handled": Moment(
        "createPhoneAgent", told="was created is not known: a create was sent", is_known=False
    ),
    "before_a_create_that_is_handled_late": Moment("createPhoneAgent", handled="late"),
    "after_the_create_was_handled": Moment("createPhoneAgent", handled="before"),
    "while_it_lists_again": Moment("listPhoneAgents", answered=3),
    "after_the_update_was_handled": Moment("updatePhoneAgent", handled="before", exists=True, writes=("PATCH",)),
    "with_its_worker": Moment("createPhoneAgent", handled="before", with_worker=True),
    "knowledge_while_it_lists": Moment("listTrainings", told="Created training scenario"),
    "knowledge_before_the_create_is_handled": Moment(
        "createTraining", told="was created is not known: a create was sent", is_known=False
    ),
    "knowledge_after_the_create_was_handled": Moment(
        "createTraining", handled="before", told="Unchanged training scenario"
    ),
    "knowledge_while_it_lists_again": Moment("listTrainings", answered=8, told="Unchanged training scenario"),
    "knowledge_before_the_update_is_handled": Moment(
        "updateTraining", exists=True, writes=("PUT", "PUT"), told="Updated training scenario"
    ),
    "knowledge_after_the_update_was_handled": Moment(
        "updateTraining", handled="before", exists=True, writes=("PUT",), told="Unchanged training scenario"
    ),
}

# Calls whose process outlives the worker that supervises it: where it is held meanwhile, how the task ends, and what
# the second try says. The process that was held goes on after that, and calls only if the second try did not.
OUTLIVING = {
    "before_the_record": ("begins", "success", "Called +14155550100 at "),
    "before_the_request": ("recorded.2", "failed", "May have been called: +14155550100 (at "),
}


class Answered(Fault):
    """No fault: lets a request pass before the next fault."""

    async def respond(self, call: Call, handle: Handle) -> Response:
        return handle(call)


class KillTheClient(Fault):
    """Kill the client whose request has arrived; it never gets an answer.

    :param kill: kills the process at the other end of a connection.
    :param handled: as in :class:`Moment`.
    :param simulator: knows whether the next try has looked.
    """

    def __init__(self, kill: Callable[[Address], None], handled: str, simulator: Simulator) -> None:
        self.kill = kill
        self.handled = handled
        self.simulator = simulator

    async def respond(self, call: Call, handle: Handle) -> Response:
        if self.handled == "before":
            handle(call)
        return NobodyToAnswer(self.kill, partial(self.handle_late, call, handle))

    async def handle_late(self, call: Call, handle: Handle) -> None:
        if self.handled == "late":
            while self.simulator.count("listPhoneAgents") < 2:
                await asyncio.sleep(0.05)
            handle(call)


class NobodyToAnswer(DroppedConnection):
    def __init__(self, kill: Callable[[Address], None], afterwards: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        self.kill = kill
        self.afterwards = afterwards

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.to_thread(self.kill, scope["client"])
        await self.afterwards()
        await super().__call__(scope, receive, send)


@pytest.fixture(scope="module")
def services() -> Iterator[dict[str, Simulator]]:
    """A simulator for each task that is killed, and one for the tasks that wait."""
    with ExitStack() as running:
        yield {
            name: running.enter_context(Simulator(requests_per_minute=None))
            for name in (*MOMENTS, *OUTLIVING, "hundred_waiting")
        }


@pytest.fixture(scope="module")
def airflow(
    services: dict[str, Simulator],
    new_database: Callable[[], dict[str, str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[AirflowStandalone]:
    """An Airflow of its own: what is killed here is not missed in other tests."""
    connections = {
        f"AIRFLOW_CONN_OPENCX_{name.upper()}": connection_json(service.url, "test-key")
        for name, service in services.items()
    }
    variables = new_database() | connections | NOTICED_SOON
    with AirflowStandalone(tmp_path_factory.mktemp("airflow-killed"), DAGS, variables) as running:
        yield running


@pytest.fixture(scope="module")
def outliving(airflow: AirflowStandalone, services: dict[str, Simulator]) -> tuple[str, dict[str, psutil.Process]]:
    """A run of tasks that are held, whose workers were killed, and their processes."""
    folder = airflow.home / "holds"
    folder.mkdir()
    moments = {task_id: f"{task_id}.{moment}" for task_id, (moment, *_) in OUTLIVING.items()}
    for task_id, moment in moments.items():
        services[task_id].add_agent("Caller", type="outbound")
        (folder / moment).touch()
    run_id = airflow.start_dag("calls_outlived")

    def held(moment: str) -> psutil.Process | None:
        file = folder / f"{moment}.pid"
        pid = file.read_text() if file.exists() else ""
        return psutil.Process(int(pid)) if pid else None

    tasks = {task_id: wait_for(moment, partial(held, moment), within=400) for task_id, moment in moments.items()}
    end([worker for task in tasks.values() if (worker := task.parent())])
    return run_id, tasks


Killed: TypeAlias = dict[str, list[str]]
"""The titles of the processes that were killed, of each task."""


@pytest.fixture(scope="module")
def killed(airflow: AirflowStandalone, services: dict[str, Simulator], outliving: object) -> tuple[str, Killed]:
    """A run, at its end, in which each task was killed at its moment, and the processes that were killed.

    It begins after the workers of ``outliving`` were killed, so that both losses are noticed in the same half minute.
    """
    killed: Killed = {task_id: [] for task_id in MOMENTS}
    for task_id, moment in MOMENTS.items():
        simulator = services[task_id]
        if moment.exists:
            moment.make(simulator)
        if moment.answered:
            simulator.fail(moment.operation, Answered(), times=moment.answered)
        kill = partial(kill_client, airflow, killed[task_id], moment.with_worker)
        simulator.fail(moment.operation, KillTheClient(kill, moment.handled, simulator))
    run_id = airflow.start_dag("killed")
    airflow.end_state("killed", run_id, within=400)
    return run_id, killed


def kill_client(airflow: AirflowStandalone, killed: list[str], with_worker: bool, address: Address) -> None:
    [task] = [process for process in airflow.component("scheduler") if holds(process, address)]
    worker = task.parent()
    # The worker first: it would tell Airflow of its task's end.
    processes = [worker, task] if with_worker and worker else [task]
    killed += [" ".join(process.cmdline()).strip() for process in processes]
    end(processes)


def holds(process: psutil.Process, address: Address) -> bool:
    try:
        return any(connection.laddr == address for connection in process.net_connections("tcp"))
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("task_id", MOMENTS)
def test_kill_leaves_one_of_what_is_declared(
    task_id: str, killed: tuple[str, Killed], airflow: AirflowStandalone, services: dict[str, Simulator]
) -> None:
    run_id, titles = killed
    moment, simulator = MOMENTS[task_id], services[task_id]
    assert [title.startswith("airflow worker -- LocalExecutor") for title in titles[task_id]] == (
        [True, False] if moment.with_worker else [False]
    )
    [instance] = [ti for ti in airflow.task_instances("killed", run_id) if ti["task_id"] == task_id]
    assert (instance["state"], instance["try_number"]) == ("success" if moment.is_known else "failed", 2)

    existing = moment.existing(simulator)
    assert len(existing) == moment.is_known
    for item in existing:
        assert item == item | (SCENARIO if moment.is_of_scenario else DECLARED)
        assert moment.is_of_scenario or item["phone_number"]
        result = airflow.xcom("killed", run_id, task_id)
        assert item == (result[0] if moment.is_of_scenario else result)
    assert tuple(write.method for write in simulator.writes) == moment.writes

    first, second = (airflow.task_log("killed", run_id, task_id, try_number=number) for number in (1, 2))
    if moment.with_worker:
        first += [line for line in airflow.log_file.read_text().splitlines() if f"'Task Id': '{task_id}'" in line]
    noticed = [line for line in first if NOTICED.search(line)]
    told = [line for line in second if moment.told in line]
    assert noticed
    assert told
    report(f"{task_id}, killed:", *titles[task_id], "Try 1:", *noticed, "Try 2:", *told)


def test_call_that_outlives_its_worker_is_not_made_beside_that_of_the_next_try(
    outliving: tuple[str, dict[str, psutil.Process]], airflow: AirflowStandalone, services: dict[str, Simulator]
) -> None:
    run_id, tasks = outliving
    airflow.end_state("calls_outlived", run_id, within=400)
    instances = {ti["task_id"]: ti for ti in airflow.task_instances("calls_outlived", run_id)}
    dialed_before = {task_id: len(services[task_id].dialed()) for task_id in OUTLIVING}
    assert dialed_before == {"before_the_record": 1, "before_the_request": 0}
    assert all(task.is_running() for task in tasks.values())
    for task_id, (moment, *_) in OUTLIVING.items():
        (airflow.home / "holds" / f"{task_id}.{moment}.pid").unlink()
    wait_for(
        "end of the tasks that outlived their workers",
        lambda: None if any(task.is_running() for task in tasks.values()) else True,
        within=400,
    )
    for task_id, (_, state, sentence) in OUTLIVING.items():
        told = [line for line in airflow.task_log("calls_outlived", run_id, task_id, try_number=2) if sentence in line]
        dialed = len(services[task_id].dialed())
        report(
            f"{task_id}, outlived its worker: {dialed_before[task_id]} called when the second try had ended,"
            f" {dialed} in the end; {instances[task_id]['state']} in try {instances[task_id]['try_number']}",
            *told,
        )
        assert dialed == 1
        assert (instances[task_id]["state"], instances[task_id]["try_number"]) == (state, 2)
        assert told


def test_kill_of_triggerer_loses_no_waiting_task(airflow: AirflowStandalone, services: dict[str, Simulator]) -> None:
    simulator = services["hundred_waiting"]
    simulator.provision_after = "never"
    agents = [simulator.add_agent(f"waiting {number}", type="outbound") for number in range(WAITING_TASKS)]
    run_id = airflow.start_dag("hundred_waiting")

    def triggerers() -> set[int] | None:
        """The ids of the triggerers that the tasks wait in, once all do."""
        instances = airflow.task_instances("hundred_waiting", run_id)
        jobs = [ti["triggerer_job"]["id"] for ti in instances if ti["state"] == "deferred" and ti["triggerer_job"]]
        return set(jobs) if len(jobs) == WAITING_TASKS else None

    def polled_again() -> None:
        polls = simulator.count("listPhoneAgents")
        wait_for("more polls", lambda: simulator.count("listPhoneAgents") >= polls + 3 or None, within=60)

    [first] = wait_for("100 waiting tasks", triggerers, within=400)
    polled_again()
    airflow.kill_component("triggerer")
    assert airflow.component("triggerer") == set()
    airflow.start_component("triggerer")
    [second] = wait_for(
        "100 tasks that another has taken over",
        lambda: None if first in (jobs := triggerers() or {first}) else jobs,
        within=120,
    )
    polled_again()

    for agent in agents:
        simulator.give_number(str(agent["id"]))
    assert airflow.end_state("hundred_waiting", run_id, within=400) == "success"
    results = [airflow.xcom("hundred_waiting", run_id, "await_number", index) for index in range(WAITING_TASKS)]
    assert results == simulator.agents()
    assert all(agent["phone_number"] for agent in results)
    assert simulator.writes == []
    assert airflow.call("GET", "/jobs?job_type=TriggererJob")["total_entries"] == 2

    tries = [ti["try_number"] for ti in airflow.task_instances("hundred_waiting", run_id)]
    waited = airflow.task_log("hundred_waiting", run_id, "await_number", map_index=0)
    report(
        f"{tries.count(1)} of {WAITING_TASKS} tasks needed one try; triggerer {first} was killed, {second} took over.",
        *[line for line in waited if WAITED.search(line)],
    )


def report(*lines: str) -> None:
    print("\n".join(line[:250] for line in lines))
