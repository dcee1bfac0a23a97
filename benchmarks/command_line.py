"""Measures the command line with a fleet: each command as a process of its own, from its start to its end."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from report import Section, Table, seconds, show
from simulated_service import API_KEY, SimulatedService, simulated_service

NOTES = """
- Each command is a new process: Python starts, and imports what the command needs. Airflow is not among it.
- `apply --yes` plans anew, writes what differs, and reads the list until it shows the result.
- The service has no limit of requests here.
"""
CHANGED = 10


def measure(quick: bool) -> Section:
    """Export a fleet, plan the file, change ten agents in it, and apply it."""
    count = 100 if quick else 1000
    with tempfile.TemporaryDirectory() as name, simulated_service() as service:
        folder = Path(name)
        service.add_agents(
            [{"name": f"Agent {number}", "type": "outbound", "language": ["en"]} for number in range(count)]
        )
        fleet = folder / "fleet.yaml"
        rows = {"`--help`": _run(service, folder, "--help"), "`agents`": _run(service, folder, "agents")}
        rows["`export`"] = _run(service, folder, "export", output=fleet)
        plan = rows["`plan`, nothing differs"] = _run(service, folder, "plan", fleet.name)
        fleet.write_text(fleet.read_text().replace("    language: en\n", "    language: de\n", CHANGED))
        rows[f"`plan`, {CHANGED} differ"] = _run(service, folder, "plan", fleet.name)
        apply = rows[f"`apply --yes`, {CHANGED} differ"] = _run(service, folder, "apply", fleet.name, "--yes")
    return Section(
        "The command line",
        ratios=[
            f"`plan` for a fleet of {count:,} takes {plan[1]} and {plan[0]} request, from the start of the process to its"
            f" end; `apply` of {CHANGED} changes {apply[1]} and {apply[0]} requests."
        ],
        tables=[
            Table(
                f"A fleet of {count:,}",
                ("Command", "Requests", "Time"),
                [(command, *cost) for command, cost in rows.items()],
            )
        ],
        notes=NOTES,
    )


def _run(service: SimulatedService, folder: Path, *arguments: str, output: Path | None = None) -> tuple[str, str]:
    """Run a command, and return the number of its requests, and its time."""
    service.forget_requests()
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "airflow_provider_opencx", *arguments],
        cwd=folder,
        env={**os.environ, "OPENCX_API_KEY": API_KEY, "OPENCX_API_URL": service.url},
        capture_output=True,
        text=True,
        check=True,
    )
    took = time.perf_counter() - started
    if output:
        output.write_text(done.stdout)
    return f"{sum((service.responses() or {}).values()):,}", seconds(took)


if __name__ == "__main__":
    show(measure)
