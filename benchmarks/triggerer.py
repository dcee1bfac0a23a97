"""Runs a number of triggers in a triggerer until all have fired: one measurement of the benchmark of waiting.

Airflow's own is everything that runs in the triggerer: ``TriggerRunner`` in its process, ``TriggerRunnerSupervisor``
over it, the sockets between them, the encrypted arguments, the logs. The database alone is replaced: which triggers
there are, and what they fired, the supervisor knows by itself.

It is given a :class:`Cell` as JSON, and prints a :class:`Waited` as JSON.
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from resource import RLIMIT_NOFILE, getrlimit, setrlimit
from typing import Any

import attrs
import psutil
import waiting_triggers
from airflow.executors.workloads import RunTrigger
from airflow.executors.workloads.task import TaskInstanceDTO
from airflow.jobs.triggerer_job_runner import TriggerLoggingFactory, TriggerRunnerSupervisor
from airflow.models.trigger import Trigger
from airflow.triggers.base import BaseTrigger
from simulated_service import created_at, simulated_service

from airflow_provider_opencx.triggers.phone_number import OpenCXPhoneNumberTrigger

METER = 1
"""The id of the trigger that measures; those that wait have the ids after it."""

LAST_REPORT_WITHIN = 10.0
"""Seconds after the end within which the meter can be expected to say its last; else the loop is blocked."""

RESPONSES_WITHIN = 60.0
"""Seconds for which a simulator may go on with the requests that it has, before it says how many there were."""


@dataclass
class Cell:
    """What is measured.

    :param subject: whose trigger: ``ours``, ``http``, ``per_task`` or ``sleep``.
    :param tasks: how many wait, each for an agent of its own.
    :param interval: seconds between two polls.
    :param first_number_after: seconds from the creation of an agent to the first number.
    :param numbers_within: seconds from the first number to the last.
    :param stopped_after: seconds from the start of the triggers, after which it is stopped.
    :param requests_per_minute: the service's limit; ``None`` is without limit.
    """

    subject: str
    tasks: int
    interval: float
    first_number_after: float
    numbers_within: float
    stopped_after: float
    requests_per_minute: int | None = None


@dataclass
class Waited:
    """What was measured.

    :param seconds: from the start of the triggers to the last event, or until it was stopped.
    :param delays: seconds from each number to its event, of those that came.
    :param failed: tasks that failed.
    :param responses: how many responses there were, by status; ``None`` if the simulator was too busy to say so.
    :param cpu: seconds of CPU of the runner's process.
    :param memory: bytes by which that process grew at its peak.
    :param longest_block: seconds for which its event loop was blocked at the longest.
    :param still_blocked: whether it was when it was stopped, so that it would have been blocked for longer.
    """

    seconds: float
    delays: list[float]
    failed: int
    responses: dict[str, int] | None
    cpu: float
    memory: int
    longest_block: float
    still_blocked: bool


@attrs.define(kw_only=True)
class StandInSupervisor(TriggerRunnerSupervisor):
    """Airflow's supervisor of a ``TriggerRunner``, with its own memory in the place of the database."""

    waiting: dict[int, BaseTrigger] = attrs.field(factory=dict, init=False)
    fired: dict[int, float] = attrs.field(factory=dict, init=False)
    failed: set[int] = attrs.field(factory=set, init=False)
    longest_block: float | None = attrs.field(default=None, init=False)
    last_report: float = attrs.field(default=0.0, init=False)
    most_memory: int = attrs.field(default=0, init=False)

    def run_until(self, condition: Callable[[], bool], *, within: float) -> None:
        """Do what a supervisor does until there is nothing to wait for any more, or the time is over."""
        deadline = time.monotonic() + within
        while not condition() and time.monotonic() < deadline:
            self.run_once()
            self.most_memory = max(self.most_memory, self.memory())

    def cpu(self) -> float:
        """Return the seconds of CPU that the runner's process has taken so far."""
        times = psutil.Process(self.pid).cpu_times()
        return float(times.user + times.system)

    def memory(self) -> int:
        """Return the bytes that the runner's process has resident."""
        return int(psutil.Process(self.pid).memory_info().rss)

    def load_triggers(self) -> None:
        """Let the runner run what waits, and no more what has fired."""
        self.update_triggers(self.waiting.keys() - self.fired.keys() - self.failed)

    def build_trigger_workloads(self, new_trigger_ids: set[int]) -> list[RunTrigger]:
        """Return what the runner gets for each trigger, as if it had come from the database."""
        return [self._workload(trigger_id) for trigger_id in sorted(new_trigger_ids)]

    def _workload(self, trigger_id: int) -> RunTrigger:
        classpath, arguments = self.waiting[trigger_id].serialize()
        task_instance = TaskInstanceDTO(
            id=uuid.uuid4(),
            task_id="await_number",
            dag_id="benchmark",
            run_id="manual__2026-01-01T00:00:00+00:00",
            try_number=1,
            dag_version_id=uuid.uuid4(),
            map_index=trigger_id,
            pool_slots=1,
            priority_weight=1,
        )
        # Each task has a log file of its own.
        self.logger_cache[trigger_id] = TriggerLoggingFactory(log_path=f"benchmark/{trigger_id}.log", ti=task_instance)
        return RunTrigger(
            id=trigger_id, classpath=classpath, encrypted_kwargs=Trigger.encrypt_kwargs(arguments), ti=task_instance
        )

    def on_trigger_event(self, trigger_id: int, event: Any) -> None:
        """Keep when a trigger fired, and what the meter says."""
        if trigger_id == METER:
            self.longest_block, self.last_report = event.payload, time.time()
        else:
            self.fired[trigger_id] = time.time()

    def on_trigger_failure(self, trigger_id: int, exc: list[str] | None) -> None:
        """Keep which triggers failed."""
        self.failed.add(trigger_id)

    def clean_unused(self) -> None:
        """Nothing lies in a database."""

    def heartbeat(self) -> None:
        """Nobody listens."""

    def metric_tags(self) -> dict[str, str]:
        """Return the tags of Airflow's metrics, which nobody reads here."""
        return {"hostname": "benchmark"}


def measure(cell: Cell) -> Waited:
    """Run a cell."""
    with simulated_service(requests_per_minute=cell.requests_per_minute) as service:
        os.environ.update(service.connections(paced=cell.requests_per_minute is not None))
        supervisor = StandInSupervisor.start(capacity=cell.tasks + 1)
        try:
            supervisor.waiting[METER] = waiting_triggers.Meter()
            supervisor.run_until(lambda: supervisor.longest_block is not None, within=120)

            last = max(1, cell.tasks - 1)
            after = [cell.first_number_after + cell.numbers_within * place / last for place in range(cell.tasks)]
            agents = service.add_agents(
                [
                    {"name": f"agent {place}", "language": ["en"], "progression": f"{seconds:.3f}s"}
                    for place, seconds in enumerate(after)
                ]
            )
            ids = range(METER + 1, METER + 1 + cell.tasks)
            number_at = {id: created_at(agent) + seconds for id, agent, seconds in zip(ids, agents, after, strict=True)}

            cpu, memory, started = supervisor.cpu(), supervisor.memory(), time.time()
            for id, agent in zip(ids, agents, strict=True):
                supervisor.waiting[id] = _trigger(cell, agent["id"], number_at[id])
            supervisor.run_until(
                lambda: len(supervisor.fired) + len(supervisor.failed) == cell.tasks, within=cell.stopped_after
            )
            ended = time.time()
            cpu = supervisor.cpu() - cpu
            supervisor.run_until(lambda: supervisor.last_report > ended, within=LAST_REPORT_WITHIN)
        finally:
            supervisor.kill(signal.SIGKILL, escalation_delay=1)
        responses = service.responses(within=RESPONSES_WITHIN)
    silent = supervisor.last_report < ended
    return Waited(
        seconds=ended - started,
        delays=[fired - number_at[id] for id, fired in supervisor.fired.items()],
        failed=len(supervisor.failed),
        responses=responses,
        cpu=cpu,
        memory=supervisor.most_memory - memory,
        longest_block=max(supervisor.longest_block or 0.0, ended - supervisor.last_report if silent else 0.0),
        still_blocked=silent,
    )


def _trigger(cell: Cell, agent_id: str, number_at: float) -> BaseTrigger:
    if cell.subject == "sleep":
        next_poll = math.ceil(number_at / cell.interval) * cell.interval
        return waiting_triggers.SleepingTrigger(next_poll)
    if cell.subject == "http":
        return waiting_triggers.HttpNumberTrigger(agent_id, endpoint="phone", poke_interval=cell.interval)
    if cell.subject == "per_task":
        return waiting_triggers.PerTaskTrigger(agent_id, cell.interval)
    return OpenCXPhoneNumberTrigger("opencx_default", agent_id=agent_id, poll_interval=cell.interval)


def main() -> None:
    """Measure one cell."""
    # A task that keeps a connection needs a socket.
    setrlimit(RLIMIT_NOFILE, (getrlimit(RLIMIT_NOFILE)[1],) * 2)
    # All that Airflow and the triggers print is log; the result alone goes to the output.
    output = os.dup(1)
    os.dup2(2, 1)
    waited = measure(Cell(**json.loads(sys.argv[1])))
    os.write(output, json.dumps(asdict(waited)).encode())


if __name__ == "__main__":
    main()
