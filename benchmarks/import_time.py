"""Prints what importing the operator and sensor modules costs a Dag that has already imported ``airflow.sdk``.

Each figure is the median over fresh processes. ``airflow.sdk`` loads its names when they are first used, so the
base classes that any operator needs are loaded before the clock starts.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile

RUNS = 15

PROBE = """
import time
from airflow.sdk import DAG, BaseOperator, BaseSensorOperator
start = time.perf_counter()
import airflow_provider_opencx.operators.phone_agent
operators = time.perf_counter()
import airflow_provider_opencx.sensors.phone_number
print((operators - start) * 1000, (time.perf_counter() - operators) * 1000)
"""


def measure(airflow_home: str) -> tuple[float, float]:
    """Return the milliseconds of one fresh process, for the operators and for the sensor."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    probe = subprocess.run(
        [sys.executable, "-c", PROBE],
        check=True,
        capture_output=True,
        text=True,
        env={**environment, "AIRFLOW_HOME": airflow_home},
    )
    operators, sensors = map(float, probe.stdout.split()[-2:])
    return operators, sensors


def main() -> None:
    """Measure and print a table."""
    with tempfile.TemporaryDirectory() as airflow_home:
        measure(airflow_home)  # writes the bytecode, which every later process reads
        measured = [measure(airflow_home) for _ in range(RUNS)]
    operators = statistics.median(run[0] for run in measured)
    sensors = statistics.median(run[1] for run in measured)
    print(f"Python {sys.version.split()[0]}, median of {RUNS} fresh processes, beyond airflow.sdk:")
    print(f"  operators.phone_agent   {operators:6.2f} ms")
    print(f"  sensors.phone_number    {sensors:6.2f} ms")
    print(f"  together                {operators + sensors:6.2f} ms")


if __name__ == "__main__":
    main()
