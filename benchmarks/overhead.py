"""Measures what ``execute`` costs beyond the HTTP exchange, without latency, for the first and for later calls."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import count

import httpx
from report import Section, Table, seconds, show, times
from simulated_service import API_KEY, SimulatedService, simulated_service

NAME = "Appointment reminder"
DECLARED = {"name": NAME, "language": ["en"], "first_message": "Hello!"}

NOTES = """
- The service holds one agent and listens on this machine. The bare exchange is httpx over one connection that is kept
  open. The three take turns, so that what disturbs one disturbs all.
- In the overhead: reading the connection from its environment variable, a client or session and a TCP connection of
  its own, building and checking the declaration, reading the response, comparing, the log. In the first one of a
  process also what is imported then, and this provider's TLS context, which takes the longer the larger the bundle of
  certificates is (a plain-http exchange has no use for it; one with the real service has).
- `HttpOperator` compares nothing here: it finds the agent by its name and returns it.
"""

FIRST = """
import sys, time
from airflow.sdk import DAG, BaseOperator, BaseSensorOperator
sys.path.insert(0, sys.argv[1])
started = time.perf_counter()
if sys.argv[2] == "opencx":
    from airflow_provider_opencx.operators.phone_agent import OpenCXUpsertPhoneAgentOperator
    task = OpenCXUpsertPhoneAgentOperator(task_id="agent", name="Appointment reminder", first_message="Hello!")
else:
    import http_tasks
    task = http_tasks.find_agent("Appointment reminder")
parsed = time.perf_counter()
from airflow.sdk.bases.operator import ExecutorSafeguard
ExecutorSafeguard.tracker.set(task)
task.execute({})
print(parsed - started, time.perf_counter() - parsed)
"""
"""The first task of a process, as every task of Airflow is one: the parsing of its Dag, and its ``execute``."""


def measure(quick: bool) -> Section:
    """Execute operators, again and again, each time beside the bare exchange."""
    repetitions, first_ones = (30, 3) if quick else (200, 9)
    with simulated_service() as service:
        service.add_agents([{**DECLARED, "type": "outbound"}])
        os.environ.update(service.connections())
        later = _later(service, repetitions)
        ours, theirs = (_first(subject, service, first_ones) for subject in ("opencx", "http"))

    exchange, upsert, find = later["bare GET"], later["upsert, nothing changed"], later["HttpOperator GET"]
    own = [statistics.median(a - b for a, b in zip(some, exchange, strict=True)) for some in (upsert, find)]
    changes = [later[name] for name in ("upsert, one change", "HttpOperator GET and PATCH", "bare GET and PATCH")]
    own += [statistics.median(a - b for a, b in zip(some, changes[2], strict=True)) for some in changes[:2]]
    return Section(
        "The operator's own overhead",
        [
            f"`execute` beyond the HTTP exchange, nothing changed: {seconds(own[0])}, HTTP {seconds(own[1])}"
            f" ({_compared(own[0], own[1])}).",
            f"The same in a worker process that has just started, parsing included: {seconds(sum(ours))}, HTTP"
            f" {seconds(sum(theirs))} ({_compared(sum(ours), sum(theirs))}).",
        ],
        [
            Table(
                f"In a process that has executed before, median of {repetitions}",
                ("Task", "execute", "bare exchange", "overhead"),
                [
                    ["upsert, nothing changed", *map(seconds, _medians(upsert, exchange)), seconds(own[0])],
                    ["HttpOperator, GET", *map(seconds, _medians(find, exchange)), seconds(own[1])],
                    ["upsert, one field changed", *map(seconds, _medians(changes[0], changes[2])), seconds(own[2])],
                    ["HttpOperator, GET and PATCH", *map(seconds, _medians(changes[1], changes[2])), seconds(own[3])],
                ],
            ),
            Table(
                f"The first of a process, as every task of Airflow is, median of {first_ones} fresh processes",
                ("Task", "import and construct", "execute", "together"),
                [
                    ["upsert, nothing changed", *map(seconds, (*ours, sum(ours)))],
                    ["HttpOperator, GET", *map(seconds, (*theirs, sum(theirs)))],
                ],
            ),
        ],
        NOTES,
    )


def _later(service: SimulatedService, repetitions: int) -> dict[str, list[float]]:
    import http_tasks
    from running import execute

    from airflow_provider_opencx.operators.phone_agent import OpenCXUpsertPhoneAgentOperator

    bare = httpx.Client(base_url=service.url, headers={"Authorization": f"Bearer {API_KEY}"})
    version = count()

    def upsert() -> None:
        execute(OpenCXUpsertPhoneAgentOperator(task_id="agent", **DECLARED))

    def find() -> dict[str, object]:
        found: dict[str, object] = execute(http_tasks.find_agent(NAME))
        return found

    def bare_get() -> dict[str, object]:
        [agent] = bare.get("/phone").raise_for_status().json()
        found: dict[str, object] = agent
        return found

    def upsert_changed() -> None:
        message = f"Hello {next(version)}"
        execute(OpenCXUpsertPhoneAgentOperator(task_id="agent", **{**DECLARED, "first_message": message}))

    def find_and_change() -> None:
        execute(http_tasks.change_agent(str(find()["id"]), {"first_message": f"Hello {next(version)}"}))

    def bare_change() -> None:
        agent_id = bare_get()["id"]
        bare.patch(f"/phone/{agent_id}", json={"first_message": f"Hello {next(version)}"}).raise_for_status()

    unchanged = {"bare GET": bare_get, "upsert, nothing changed": upsert, "HttpOperator GET": find}
    changed = {
        "bare GET and PATCH": bare_change,
        "upsert, one change": upsert_changed,
        "HttpOperator GET and PATCH": find_and_change,
    }
    return _in_turns(unchanged, repetitions) | _in_turns(changed, repetitions)


def _in_turns(tasks: dict[str, Callable[[], object]], repetitions: int) -> dict[str, list[float]]:
    took: dict[str, list[float]] = {name: [] for name in tasks}
    for repetition in range(repetitions + 1):
        for name, task in tasks.items():
            started = time.perf_counter()
            task()
            if repetition:  # the first of all is in the other table
                took[name].append(time.perf_counter() - started)
    return took


def _first(subject: str, service: SimulatedService, repetitions: int) -> tuple[float, float]:
    """Return the seconds of importing and constructing, and of executing, each in a fresh process."""
    here = os.path.dirname(os.path.abspath(__file__))
    measured = []
    for _ in range(repetitions + 1):
        probe = subprocess.run(
            [sys.executable, "-c", FIRST, here, subject],
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **service.connections()},
        )
        measured.append([float(figure) for figure in probe.stdout.split()[-2:]])
    parsed, executed = zip(*measured[1:], strict=True)
    return statistics.median(parsed), statistics.median(executed)


def _medians(*measured: list[float]) -> list[float]:
    return [statistics.median(some) for some in measured]


def _compared(ours: float, theirs: float) -> str:
    return f"{times(theirs, ours)} as much" if theirs >= ours else f"this provider {times(ours, theirs)} as much"


if __name__ == "__main__":
    show(measure)
