"""Measures calls to the people of a file: requests, seconds under the service's limit, and memory.

``make bench-calls``, or ``python benchmarks/calls.py --people 1000``: prints a table, and takes some eleven minutes for
1,000, because the limit is kept. The service is a process of its own. Nothing but this machine is called.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
from measured_task import run_measured
from simulated_service import SimulatedService, simulated_service

PROVIDERS_PACE = 90
"""Requests a minute that the connection allows itself by default."""

QUIET = {"AIRFLOW__CORE__LOAD_EXAMPLES": "False", "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING"}


def main() -> int:
    """Measure, and print a row for each step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=1000)
    parser.add_argument("--requests-per-minute", type=int, default=100)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        simulated_service(requests_per_minute=options.requests_per_minute) as service,
    ):
        os.environ.update(AIRFLOW_HOME=folder, **QUIET, **service.connections(paced=True))
        service.add_agents([{"name": "Caller", "type": "outbound", "phone_number": "+15550000001"}])
        file = Path(folder) / "people.csv"
        file.write_text("phone_number\n" + "".join(f"+1415555{number:04}\n" for number in range(options.people)))
        print(f"{options.people} people, {PROVIDERS_PACE} requests a minute of {options.requests_per_minute}")
        print(f"{'':40} {'seconds':>8} {'requests':>9} {'MiB more':>9}  result")
        arguments = {"contacts": str(file), "ledger_path": f"file://{folder}/calls", "max_contacts": options.people}
        _call(service, "read and check, all on the list", {**arguments, "do_not_call": str(file)})
        _call(service, "call", arguments)
        _call(service, "call again: all are known", arguments)
        dialed = httpx.get(f"{service.url}/_simulator/calls", timeout=60).json()["calls"]
        people = Counter(call["phone_number"] for call in dialed)
        print(f"{len(dialed)} calls to {len(people)} people, at most {max(people.values())} to one of them")
    return 0


def _call(service: SimulatedService, step: str, arguments: Mapping[str, Any]) -> None:
    from airflow_provider_opencx.operators.call import OpenCXPlaceCallOperator

    operator = OpenCXPlaceCallOperator(task_id="call", agent_name="Caller", calling_hours=None, **arguments)
    task = run_measured(service, operator)
    statuses = dict(Counter(each["status"] for each in task.result))
    print(f"{step:40} {task.seconds:8.1f} {task.requests:9} {task.memory:9.1f}  {statuses}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
