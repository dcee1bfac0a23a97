"""Measures a campaign for the people of a file: a sequence from its creation to its end, and an enrolment.

The service is a process of its own, and its limit of requests is kept. Nothing but this machine is called.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from measured_task import MeasuredTask, run_measured
from report import Section, Table, seconds, show
from running import connect
from simulated_service import SimulatedService, simulated_service

LIMIT = 100
"""The requests that the service takes in a minute."""

NOTES = f"""
- The service takes {LIMIT} requests a minute, and the provider keeps to its default of 90.
- The calls are those of the service: they are counted after an hour of its clock.
- *Add*: each person is recorded before the request that adds them, in a folder.
"""


def measure(quick: bool) -> Section:
    """Run a campaign and an enrolment for the same people, and some of their tasks a second time."""
    count = 100 if quick else 1000
    with tempfile.TemporaryDirectory() as folder, simulated_service(requests_per_minute=LIMIT) as service:
        connect(service, paced=True)
        service.add_agents([{"name": "Caller", "type": "outbound", "phone_number": "+15550000001"}])
        people = [f"+1415555{number:04}" for number in range(count)]
        service.add_contacts(people)
        file = Path(folder) / "people.csv"
        file.write_text("\n".join(["phone_number", *people]))
        steps = {**_campaign(service, str(file), count), **_enrolment(service, str(file), count, folder)}
        calls, most = _calls(service)
    total = sum(step.seconds for step in steps.values())
    requests = sum(step.requests for step in steps.values())
    return Section(
        "A campaign",
        ratios=[
            f"A campaign for {count:,} people, and {count:,} people added to another, with tasks that run again:"
            f" {requests:,} requests and {seconds(total)}; {calls:,} calls, at most {most} to one person by one sequence."
        ],
        tables=[
            Table(
                f"{count:,} people of a file",
                ("Step", "Requests", "Time", "More memory"),
                [
                    (name, f"{step.requests:,}", seconds(step.seconds), f"{step.memory:.1f} MiB")
                    for name, step in steps.items()
                ],
            )
        ],
        notes=NOTES,
    )


def _campaign(service: SimulatedService, file: str, people: int) -> dict[str, MeasuredTask]:
    """Make a sequence, make it again, and start it."""
    from airflow_provider_opencx.operators.sequence import (
        OpenCXCreateSequenceOperator,
        OpenCXStartSequenceOperator,
        phone_step,
    )

    create = OpenCXCreateSequenceOperator(
        task_id="create",
        name="Spring",
        steps=[phone_step("pa_000001")],
        contacts_from=file,
        max_contacts=people,
    )
    run: Callable[[Any], MeasuredTask] = partial(run_measured, service)
    created = run(create)
    again = run(create)
    start = OpenCXStartSequenceOperator(task_id="start", sequence_id=created.result, calling_hours=None)
    started = run(start)
    service.advance(3600)
    return {"create": created, "create again: it exists": again, "start": started}


def _enrolment(service: SimulatedService, file: str, people: int, folder: str) -> dict[str, MeasuredTask]:
    """Add people to a continuous sequence, and add them again."""
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
    added, again = run_measured(service, add), run_measured(service, add)
    service.advance(3600)
    return {"add to a continuous sequence": added, "add again: all were added": again}


def _calls(service: SimulatedService) -> tuple[int, int]:
    """Return how many calls the service has made, and the most to one person by one sequence."""
    dialed = httpx.get(f"{service.url}/_simulator/calls", timeout=60).json()["calls"]
    called = Counter((call["sequence_id"], call["phone_number"]) for call in dialed)
    return len(dialed), max(called.values())


if __name__ == "__main__":
    show(measure)
