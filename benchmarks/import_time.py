"""What importing the operators and the sensor costs a Dag that has already imported ``airflow.sdk``.

Each figure is the median over fresh processes. ``airflow.sdk`` loads its names when they are first used, so the
base classes that any operator needs are loaded before the clock starts. Their 150,000 objects are collected before it
starts as well: on Python 3.12 that is due just then, takes some 100 ms, and falls on whoever is imported next.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile

from report import Section, Table, show, times

OURS = ("airflow_provider_opencx.operators.phone_agent", "airflow_provider_opencx.sensors.phone_number")
HTTP = ("airflow.providers.http.operators.http", "airflow.providers.http.sensors.http")

PROBE = """
import gc, importlib, sys, time
from airflow.sdk import DAG, BaseOperator, BaseSensorOperator
gc.collect()
for module in sys.argv[1:]:
    start = time.perf_counter()
    importlib.import_module(module)
    print((time.perf_counter() - start) * 1000)
"""


def measure(quick: bool) -> Section:
    """Import both providers, again and again."""
    runs = 5 if quick else 15
    ours, http = _medians(OURS, runs), _medians(HTTP, runs)
    rows = [
        [what, f"{mine:.2f} ms", f"{theirs:.1f} ms"]
        for what, mine, theirs in zip(
            ("operators", "sensor", "together"), (*ours, sum(ours)), (*http, sum(http)), strict=True
        )
    ]
    python = sys.version.split()[0]
    return Section(
        "Import time",
        [
            f"Import, operators and sensor together: {sum(ours):.1f} ms, HTTP {sum(http):.0f} ms: {times(sum(http), sum(ours))}."
        ],
        [Table(f"Beyond airflow.sdk, Python {python}", ("Import", "this provider", "HTTP provider"), rows)],
        [
            f"Median of {runs} fresh processes each, with compiled bytecode. A Dag processor pays this for every Dag file.",
            "This provider puts off what a Dag file does not need: the price is paid by the first `execute` of a worker"
            " process, and is part of the figures below.",
        ],
    )


def _medians(modules: tuple[str, ...], runs: int) -> list[float]:
    """Return the milliseconds of each import, one after the other in a process."""
    with tempfile.TemporaryDirectory() as airflow_home:
        _imported(modules, airflow_home)  # writes the bytecode, which every later process reads
        measured = [_imported(modules, airflow_home) for _ in range(runs)]
    return [statistics.median(times) for times in zip(*measured, strict=True)]


def _imported(modules: tuple[str, ...], airflow_home: str) -> list[float]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    probe = subprocess.run(
        [sys.executable, "-c", PROBE, *modules],
        check=True,
        capture_output=True,
        text=True,
        env={**environment, "AIRFLOW_HOME": airflow_home},
    )
    return [float(line) for line in probe.stdout.split()[-len(modules) :]]


if __name__ == "__main__":
    show(measure)
