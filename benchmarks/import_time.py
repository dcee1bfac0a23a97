"""Measures the import of the operators and the sensor in a Dag that has already imported ``airflow.sdk``.

Each figure is the median over fresh processes. ``airflow.sdk`` loads its names when they are first used, so the
base classes that any operator needs are loaded before the clock starts. What they left for Python's garbage collector
is collected before, too: on Python 3.12 a full collection is due just then, which takes some 100 ms for Airflow's 150,000
objects and falls on whatever is imported next.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile

from report import Section, Table, show, times

OURS = (
    "from airflow_provider_opencx.operators.phone_agent import OpenCXUpsertPhoneAgentOperator",
    "from airflow_provider_opencx.sensors.phone_number import OpenCXPhoneNumberSensor",
    "OpenCXUpsertPhoneAgentOperator(task_id='agent', name='Reminder', language='en')",
    "OpenCXPhoneNumberSensor(task_id='number', agent_name='Reminder', deferrable=True)",
)
HTTP = (
    "from airflow.providers.http.operators.http import HttpOperator",
    "from airflow.providers.http.sensors.http import HttpSensor",
    "HttpOperator(task_id='agent', method='PATCH', endpoint='phone/pa_1', data='{}')",
    "HttpSensor(task_id='number', endpoint='phone', deferrable=True)",
)

PROBE = """
import gc, sys, time
from airflow.sdk import DAG, BaseOperator, BaseSensorOperator
gc.collect()
names = {}
for step in sys.argv[1:]:
    start = time.perf_counter()
    exec(step, names)
    print((time.perf_counter() - start) * 1000)
"""

NOTES = """
- Median of {runs} fresh processes each, with compiled bytecode. A Dag processor pays this for every Dag file.
- This provider puts off what parsing does not need: the first `execute` of a worker process pays for it, see below.
  The first operator that is constructed checks its declaration, and imports the models for that.
- What Airflow's own import left for the garbage collector is collected before the clock starts. On Python 3.12 a full
  collection is due just then, takes some 100 ms, and falls on whatever is imported next.
"""


def measure(quick: bool) -> Section:
    """Import and construct, again and again."""
    runs = 5 if quick else 15
    ours, http = _medians(OURS, runs), _medians(HTTP, runs)
    rows = [
        [step, f"{mine:.2f} ms", f"{theirs:.2f} ms"]
        for step, mine, theirs in (
            ("import of the operators", ours[0], http[0]),
            ("import of the sensor", ours[1], http[1]),
            ("import of both", sum(ours[:2]), sum(http[:2])),
            ("the first operator constructed", ours[2], http[2]),
            ("the first sensor constructed", ours[3], http[3]),
            ("all of it", sum(ours), sum(http)),
        )
    ]
    return Section(
        "Import time",
        [
            f"Importing operators and sensor takes {_compared(sum(ours[:2]), sum(http[:2]))}; with one of each"
            f" constructed, {_compared(sum(ours), sum(http))}."
        ],
        [
            Table(
                f"Beyond airflow.sdk, Python {sys.version.split()[0]}", ("Step", "This provider", "HTTP provider"), rows
            )
        ],
        NOTES.format(runs=runs),
    )


def _compared(ours: float, theirs: float) -> str:
    return f"{ours:.1f} ms, with the HTTP provider {theirs:.0f} ms ({times(theirs, ours)})"


def _medians(steps: tuple[str, ...], runs: int) -> list[float]:
    """Return the milliseconds of each step, one after the other in a process."""
    with tempfile.TemporaryDirectory() as airflow_home:
        _once(steps, airflow_home)  # writes the bytecode, which every later process reads
        measured = [_once(steps, airflow_home) for _ in range(runs)]
    return [statistics.median(milliseconds) for milliseconds in zip(*measured, strict=True)]


def _once(steps: tuple[str, ...], airflow_home: str) -> list[float]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    probe = subprocess.run(
        [sys.executable, "-c", PROBE, *steps],
        check=True,
        capture_output=True,
        text=True,
        env={**environment, "AIRFLOW_HOME": airflow_home},
    )
    return [float(line) for line in probe.stdout.split()[-len(steps) :]]


if __name__ == "__main__":
    show(measure)
