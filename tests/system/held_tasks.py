"""Holds, kills, clears and backfills tasks of a real Airflow, for several tests."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from airflow_standalone import AirflowStandalone, wait_for
from starlette.responses import Response

from airflow_provider_opencx.simulator import Fault, Simulator
from airflow_provider_opencx.simulator.call import Call
from airflow_provider_opencx.simulator.delivery import DelayedResponse
from airflow_provider_opencx.simulator.faults import Handle

A_SLOW_MACHINE = 300.0
HELD = 600

KILLED = "Process terminated by signal"
"""What Airflow says of a try whose process was killed."""

BACKFILL = "Nobody is called: this is a backfill run, and allow_backfill is off."
NOT_ALLOWED = "not sent, because this connection does not allow calls"

_Counted = TypeVar("_Counted")


@dataclass(frozen=True)
class Moment(Generic[_Counted]):
    """A moment of a task, at which its process is killed.

    :param held_at: where the Dag file holds it, as ``holding.py`` names it; or the operation whose request has arrived
        and is not answered.
    :param before: what was counted when it was killed, such as how many people were called.
    :param after: the same in the end.
    :param state: how the task ended.
    :param told: what the second try said.
    :param answered: how many requests of that operation are answered before.
    :param is_handled: whether that request is handled.
    """

    held_at: str
    before: _Counted
    after: _Counted
    state: str
    told: Sequence[str]
    answered: int = 0
    is_handled: bool = False

    @property
    def is_request(self) -> bool:
        """Whether the simulator holds the task, and not the Dag file."""
        return "." not in self.held_at


class Answered(Fault):
    """No fault: lets a request pass before the next fault."""

    async def respond(self, call: Call, handle: Handle) -> Response:
        return handle(call)


class NotAnswered(Fault):
    """Hold the response to a request until its client is killed.

    :param is_handled: whether the request is handled before.
    """

    def __init__(self, *, is_handled: bool) -> None:
        self.is_handled = is_handled
        self.has_arrived = threading.Event()

    async def respond(self, call: Call, handle: Handle) -> Response:
        response = handle(call) if self.is_handled else Response()
        self.has_arrived.set()
        return DelayedResponse(response, HELD)


class Holds:
    """Holds tasks whose operator is ``Held``, and lets them go on."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder

    def at(self, moment: str) -> None:
        (self.folder / moment).touch()

    def held(self, moment: str) -> int | None:
        """Return the process that waits at a moment, or that begins a task; ``None`` while there is none."""
        file = self.folder / f"{moment}.pid"
        text = file.read_text() if file.exists() else ""
        return int(text) if text else None

    def release(self, moment: str) -> None:
        (self.folder / f"{moment}.pid").unlink()


class Kills(Generic[_Counted]):
    """Kills tasks, each at its moment.

    :param holds: holds those that are not held by a request.
    :param services: the simulator of each task.
    :param moments: the moment of each task.
    """

    def __init__(
        self, holds: Holds, services: Mapping[str, Simulator], moments: Mapping[str, Moment[_Counted]]
    ) -> None:
        self._holds = holds
        self._services = services
        self._moments = moments
        self._faults = {
            name: NotAnswered(is_handled=moment.is_handled) for name, moment in moments.items() if moment.is_request
        }

    def plan(self) -> None:
        """See to it that each task will be held. Called before they begin."""
        for name, moment in self._moments.items():
            if moment.answered:
                self._services[name].fail(moment.held_at, Answered(), times=moment.answered)
            if moment.is_request:
                self._services[name].fail(moment.held_at, self._faults[name])
            else:
                self._holds.at(f"{name}{moment.held_at}")

    def kill_each(self, count: Callable[[Simulator], _Counted]) -> dict[str, _Counted]:
        """Kill each task when it is held, and return what was counted then."""
        counted: dict[str, _Counted] = {}

        def kill_one() -> bool | None:
            for name in self._moments.keys() - counted.keys():
                pid = self._held(name)
                if pid is not None:
                    counted[name] = count(self._services[name])
                    os.kill(pid, signal.SIGKILL)
                    return True
            return None

        while left := self._moments.keys() - counted.keys():
            wait_for(f"task to kill among {sorted(left)}", kill_one, within=A_SLOW_MACHINE, every=0.1)
        return counted

    def _held(self, name: str) -> int | None:
        moment = self._moments[name]
        if not moment.is_request:
            return self._holds.held(f"{name}{moment.held_at}")
        return self._holds.held(name) if self._faults[name].has_arrived.is_set() else None


def connection(conn_id: str, simulator: Simulator, *, allow_calls: bool) -> dict[str, object]:
    """Return a connection to a simulator, as Airflow's REST API takes it. Held responses are waited for."""
    extra: dict[str, object] = {"timeout": HELD, "requests_per_minute": 1_000_000}
    if allow_calls:
        extra["allow_calls"] = True
    return {
        "connection_id": conn_id,
        "conn_type": "opencx",
        "host": simulator.url,
        "password": "test-key",
        "extra": json.dumps(extra),
    }


def instances(airflow: AirflowStandalone, dag_id: str, run_id: str, task_id: str) -> list[dict[str, Any]]:
    return [ti for ti in airflow.task_instances(dag_id, run_id) if ti["task_id"] == task_id]


def states(airflow: AirflowStandalone, dag_id: str, run_id: str) -> dict[str, tuple[str, int]]:
    """Return the state of each task of a run, and its try."""
    return {ti["task_id"]: (ti["state"], ti["try_number"]) for ti in airflow.task_instances(dag_id, run_id)}


def clear(airflow: AirflowStandalone, dag_id: str, run_id: str, *, only_failed: bool = False) -> None:
    """Let the tasks of a run that has ended run again."""
    body = {"dag_run_id": run_id, "dry_run": False, "only_failed": only_failed, "reset_dag_runs": True}
    airflow.call("POST", f"/dags/{dag_id}/clearTaskInstances", body)


def begin_backfill(airflow: AirflowStandalone, dag_id: str, *, days: int) -> None:
    """Begin a backfill of the first days of the year; its runs go on side by side."""
    airflow.unpause(dag_id)
    dates = ("--from-date", "2026-01-01", "--to-date", f"2026-01-0{days}")

    def created() -> bool | None:
        command = ("backfill", "create", "--dag-id", dag_id, *dates, "--max-active-runs", str(days))
        try:
            airflow.run_command(*command)
        except RuntimeError as error:
            # SQLite refuses this long transaction where another process has written meanwhile.
            if "database is locked" in str(error):
                return None
            raise
        return True

    wait_for("backfill", created, within=A_SLOW_MACHINE)


def end_backfill(airflow: AirflowStandalone, dag_id: str, *, days: int) -> list[str]:
    """Return the ids of the runs of a backfill, when all have ended."""

    def ended() -> list[str] | None:
        runs = airflow.call("GET", f"/dags/{dag_id}/dagRuns?limit=100")["dag_runs"]
        states = {run["dag_run_id"]: run["state"] for run in runs if run["run_type"] == "backfill"}
        return [*states] if len(states) == days and {*states.values()} <= {"success", "failed"} else None

    return wait_for("end of the backfill", ended, within=A_SLOW_MACHINE)


def list_file(airflow: AirflowStandalone, name: str) -> Path:
    return airflow.home / f"{name}.json"


def write_list(airflow: AirflowStandalone, name: str, people: Sequence[str]) -> None:
    list_file(airflow, name).write_text(json.dumps(people))


def said(log: Sequence[str], *sentences: str) -> list[str]:
    """Return the lines of a log in which one of some sentences stands."""
    return [line for line in log if any(sentence in line for sentence in sentences)]


def skipped_because(airflow: AirflowStandalone, dag_id: str, run_id: str, task_id: str) -> list[str]:
    """Return why a task was skipped."""
    events = airflow.task_events(dag_id, run_id, task_id)
    return [event["reason"] for event in events if event["event"] == "Skipping task."]


def report(*lines: str) -> None:
    print("\n".join(line[:400] for line in lines))
