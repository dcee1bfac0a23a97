"""Measures how many worker processes one awaited agent takes, and for how long, in a real ``airflow standalone``."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psutil
from report import Section, Table, seconds, show
from simulated_service import created_at, simulated_service

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "dev"))

from airflow_standalone import AirflowStandalone, wait_for  # noqa: E402 - it lies beside, for demo, UI and tests

DAG_ID = "awaited_agent"
TASKS = {
    "opencx_triggerer": "OpenCXPhoneNumberSensor(start_from_trigger=True, end_from_trigger=True)",
    "opencx_deferrable": "OpenCXPhoneNumberSensor(deferrable=True)",
    "opencx_reschedule": 'OpenCXPhoneNumberSensor(mode="reschedule")',
    "opencx_poke": 'OpenCXPhoneNumberSensor(mode="poke")',
    "http_deferrable": "HttpSensor(deferrable=True, response_check=...)",
    "http_reschedule": 'HttpSensor(mode="reschedule", response_check=...)',
    "http_poke": 'HttpSensor(mode="poke", response_check=...)',
}

NOTES = """
- A real `airflow standalone` with its LocalExecutor. Airflow's supervisor logs each worker process when it has ended,
  with its task instance and its duration; these lines are counted. All tasks wait at the same time, in one run of one
  Dag.
- In mode reschedule the number of processes grows with the wait: one for each poll. In mode poke there is one, and it
  is taken for the whole wait. The other figures do not depend on the wait.
- `HttpSensor` with a `response_check` does not defer, whatever `deferrable` says; without one it takes the first list
  for the response. So it has no deferrable wait for a number.
"""

_COLOR = re.compile(r"\x1b\[[0-9;]*m")
_DURATION = re.compile(r"duration=([0-9.]+)")


@dataclass
class Awaited:
    """What became of one task.

    :param state: how it ended, and in which try.
    :param delay: seconds from the agent's number to its end.
    :param durations: the seconds that each of its worker processes took.
    """

    state: str
    delay: float
    durations: list[float]


def measure(quick: bool) -> Section:
    """Let tasks of every kind wait for an agent each."""
    number_after = 40.0 if quick else 80.0
    home = Path(os.environ["AIRFLOW_HOME"]) / "standalone"
    with (
        simulated_service() as service,
        AirflowStandalone(home, HERE / "dags", variables=service.connections()) as airflow,
    ):
        run_id = airflow.start_dag(DAG_ID)
        agents = service.add_agents([{"name": task_id, "progression": f"{number_after}s"} for task_id in TASKS])
        airflow.end_state(DAG_ID, run_id, within=number_after + 240)
        number_at = {agent["name"]: created_at(agent) + number_after for agent in agents}
        instances = airflow.task_instances(DAG_ID, run_id)
        wait_for("end of all workers", lambda: None if _worker_runs(airflow) else True, within=60)
    awaited = {
        instance["task_id"]: Awaited(
            f"{instance['state']}, try {instance['try_number']}",
            datetime.fromisoformat(instance["end_date"]).timestamp() - number_at[instance["task_id"]],
            _durations(airflow.log_file, instance["id"]),
        )
        for instance in instances
    }
    return _section(awaited, number_after)


def _worker_runs(airflow: AirflowStandalone) -> bool:
    """Return whether an executor's process is over a worker, whose end it has not noticed yet."""
    titles = []
    for process in airflow.processes():
        with suppress(psutil.NoSuchProcess):
            titles.append(" ".join(process.cmdline()))
    return any("LocalExecutor" in title and "<idle>" not in title for title in titles)


def _durations(log_file: Path, instance_id: str) -> list[float]:
    """Return the seconds of each worker process of a task instance: its supervisor logs them when it has ended."""
    ended = [
        line
        for line in _COLOR.sub("", log_file.read_text(errors="replace")).splitlines()
        if "Workload finished" in line and instance_id in line
    ]
    return [float(found[1]) for line in ended if (found := _DURATION.search(line))]


def _section(awaited: Mapping[str, Awaited], number_after: float) -> Section:
    count = {task_id: len(task.durations) for task_id, task in awaited.items()}
    return Section(
        "Worker processes for one awaited agent",
        [
            f"Worker processes for one agent whose number comes after {number_after:.0f} s:"
            f" {count['opencx_triggerer']} where the task starts and ends in the triggerer,"
            f" {count['opencx_deferrable']} where it is deferred; with HttpSensor {count['http_reschedule']} in mode"
            f" reschedule, or {count['http_poke']} that is taken for the whole wait (mode poke, and `deferrable=True`"
            " with a `response_check`, which does not defer)."
        ],
        [
            Table(
                f"A number after {number_after:.0f} s, a poll every 20 s",
                ("Task", "Worker processes", "A worker is taken for", "Ended after the number", "Ended in"),
                [
                    [
                        f"`{how}`",
                        str(count[task_id]),
                        seconds(sum(awaited[task_id].durations)) if awaited[task_id].durations else "no time",
                        seconds(awaited[task_id].delay),
                        awaited[task_id].state,
                    ]
                    for task_id, how in TASKS.items()
                ],
            )
        ],
        NOTES,
    )


if __name__ == "__main__":
    show(measure)
