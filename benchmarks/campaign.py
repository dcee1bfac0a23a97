"""What a campaign for the people of a file costs: a sequence that is made, started and ended, and an enrolment.

``make bench-campaign``, or ``python benchmarks/campaign.py --people 1000``: prints a table, and takes a minute. The
service is a process of its own, and the limit of requests is kept. Nothing but this machine is called.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
from measured_task import HEADER, run_measured
from simulated_service import SimulatedService, simulated_service

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
        people = [f"+1415555{number:04}" for number in range(options.people)]
        service.add_contacts(people)
        file = Path(folder) / "people.csv"
        file.write_text("\n".join(["phone_number", *people]))
        print(f"{len(people):,} people, {options.requests_per_minute} requests a minute")
        print(HEADER)
        _run_campaign(service, str(file), len(people))
        _count(service, "the sequence")
        _run_enrolment(service, str(file), len(people), folder)
        _count(service, "the sequence and the enrolment")
    return 0


def _run_campaign(service: SimulatedService, file: str, people: int) -> None:
    from airflow_provider_opencx.operators.sequence import (
        OpenCXCreateSequenceOperator,
        OpenCXStartSequenceOperator,
        phone_step,
    )

    declared: dict[str, Any] = {
        "task_id": "create",
        "name": "Spring",
        "steps": [phone_step("pa_000001")],
        "contacts_from": file,
        "max_contacts": people,
    }
    create = OpenCXCreateSequenceOperator(**declared)
    made = run_measured(service, "create", create, lambda result: f"{result['people']:,} people")
    run_measured(service, "create again: it is there", create, lambda result: result["id"])
    start = OpenCXStartSequenceOperator(task_id="start", sequence_id=made, calling_hours=None)
    run_measured(service, "start", start, lambda result: result["status"])
    service.advance(3600)


def _run_enrolment(service: SimulatedService, file: str, people: int, folder: str) -> None:
    from airflow_provider_opencx.operators.sequence import OpenCXAddContactsToSequenceOperator

    everybody = {"or": [{"and": [{"type": "all_contacts"}]}]}
    steps = [{"action": {"type": "make_phone_calls", "data": {"aiPhoneAgentId": "pa_000001"}}}]
    service.set_sequences(continuous_begin=False)
    [sequence_id] = service.add_sequences([{"filter": everybody, "steps": steps, "is_continuous": True}])
    add = OpenCXAddContactsToSequenceOperator(
        task_id="add",
        sequence_id=sequence_id,
        contacts=file,
        max_contacts=people,
        calling_hours=None,
        ledger_path=f"file://{folder}/ledger",
    )

    def said(result: Any) -> str:
        return f"{result['added']:,} added in {len(result['run_ids'])} runs"

    run_measured(service, "add to a continuous sequence", add, said)
    run_measured(service, "add again: all are known", add, said)
    service.advance(3600)


def _count(service: SimulatedService, by: str) -> None:
    """Print whom the service has called."""
    dialed = httpx.get(f"{service.url}/_simulator/calls", timeout=60).json()["calls"]
    called = Counter((call["sequence_id"], call["phone_number"]) for call in dialed)
    print(f"{len(dialed):,} calls by {by}, at most {max(called.values())} to one person by one of them", flush=True)


if __name__ == "__main__":
    sys.exit(main())
