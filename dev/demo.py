"""Runs the campaign example on a real Airflow against the simulator, and prints who was called how often.

It ends with status 1, and says why, unless each person was called once.
"""

from __future__ import annotations

import csv
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from airflow_standalone import EXAMPLE_DAGS, AirflowStandalone, connection_json, wait_for

from airflow_provider_opencx.simulator import Simulator

API_KEY = "demo-key"
DAG_ID = "opencx_outbound_campaign"
CAMPAIGN = EXAMPLE_DAGS / "outbound_campaign"
WITHIN = 600.0  # seconds, for the run; a busy machine needs minutes
TROUBLE = ("failed", "up_for_retry")


class DemoError(Exception):
    """The demo did not end as it should."""


def main() -> None:
    """Run the campaign, approve it, and print who was called by whom."""
    with (
        tempfile.TemporaryDirectory(prefix="opencx-demo-") as folder,
        Simulator(api_keys=(API_KEY,), provision_after="5s") as simulator,
    ):
        people = read_people()
        for name, number in people:
            simulator.add_contact(number, name=name)
        say(f"OpenCX simulator: {simulator.url} (a number comes 5 s after its agent; a step of a sequence takes 5 s)")
        say(f"Contacts:         {len(people)}, those of {CAMPAIGN.name}/people.csv")
        say("Airflow:          starting, on SQLite, in a folder of its own ...")
        dags = copy_campaign(Path(folder) / "dags")
        variables = {
            "AIRFLOW_CONN_OPENCX_DEFAULT": connection_json(simulator.url, API_KEY),
            "AIRFLOW_VAR_OPENCX_DO_NOT_CALL": "[]",
        }
        with AirflowStandalone(Path(folder) / "airflow", dags, variables) as airflow:
            say(f"Airflow:          {airflow.url}\n\nRunning {DAG_ID}:")
            run_campaign(airflow)
        times_called = print_outcome(simulator, people)
    if any(times != 1 for times in times_called):
        raise DemoError("Not everybody was called once.")


def read_people() -> list[tuple[str, str]]:
    """Return name and number of each person of the campaign."""
    with (CAMPAIGN / "people.csv").open(newline="") as file:
        return [(row["name"], row["phone_number"]) for row in csv.DictReader(file)]


def copy_campaign(into: Path) -> Path:
    """Copy the example, with calling hours that never end: the demo runs at night as well."""
    shutil.copytree(CAMPAIGN, into)
    [file] = into.glob("*.py")
    lines = file.read_text().splitlines(keepends=True)
    [hours] = [number for number, line in enumerate(lines) if line.startswith("HOURS = ")]
    lines[hours] = 'HOURS = "00:00-24:00"\n'
    file.write_text("".join(lines))
    return into


def run_campaign(airflow: AirflowStandalone) -> None:
    """Run the campaign to its end, and approve what it asks for; print each task when its state is new."""
    run_id = airflow.start_dag(DAG_ID)
    began_at = time.monotonic()
    asked = False
    for task_id, state in states(airflow, run_id):
        passed = f"{time.monotonic() - began_at:5.1f} s"
        if task_id == "approve" and state in ("awaiting_input", "deferred") and not asked:
            asked = True
            say(f"  {passed}  approve    asks:")
            approve(airflow, run_id)
            say("             approved, by Airflow's API")
        elif state == "success":
            say(f"  {passed}  {task_id:<10} success")
        elif state in TROUBLE:
            say(f"  {passed}  {task_id:<10} {state}: {last_error(airflow, run_id, task_id)}")
    state = airflow.end_state(DAG_ID, run_id, within=10)
    if state != "success":
        raise DemoError(f"{DAG_ID} ended in state {state}.")


def states(airflow: AirflowStandalone, run_id: str) -> Iterator[tuple[str, str]]:
    """Yield each task with its state, when that is new, until the run has ended."""
    deadline = time.monotonic() + WITHIN
    known: dict[str, str] = {}
    while True:
        run = airflow.call("GET", f"/dags/{DAG_ID}/dagRuns/{run_id}")
        instances = airflow.task_instances(DAG_ID, run_id)
        for instance in sorted(instances, key=lambda each: str(each["end_date"] or "~")):
            task_id, state = str(instance["task_id"]), str(instance["state"])
            if known.get(task_id) != state:
                known[task_id] = state
                yield task_id, state
        if run["state"] in ("success", "failed"):
            return
        if time.monotonic() > deadline:
            raise DemoError(f"{DAG_ID} has not ended within {WITHIN:.0f} s: {known}")
        time.sleep(0.5)


def approve(airflow: AirflowStandalone, run_id: str) -> None:
    """Print what a person is asked, and approve it."""
    details = airflow.call("GET", f"/dags/{DAG_ID}/dagRuns/{run_id}/hitlDetails")["hitl_details"][0]
    for line in filter(None, (details["subject"], *details["body"].splitlines())):
        say(f"               {line.lstrip('# ')}")

    # Airflow fails a task that is answered before its scheduler has heard that the worker let go of it.
    def is_heard() -> bool | None:
        parts = ("Received executor event", "task_id='approve'", run_id)
        return any(all(part in line for part in parts) for line in airflow.log_file.read_text().splitlines()) or None

    say("               (The demo answers by itself, as soon as Airflow's scheduler has noticed the question.)")
    wait_for("scheduler that knows of the question", is_heard, within=WITHIN)
    path = f"/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances/approve/-1/hitlDetails"
    airflow.call("PATCH", path, {"chosen_options": ["Approve"], "params_input": {}})


def last_error(airflow: AirflowStandalone, run_id: str, task_id: str) -> str:
    """Return the last error in the log of a task."""
    lines = airflow.task_log(DAG_ID, run_id, task_id)
    return next((line for line in reversed(lines) if " error: " in line), "see its log")


def print_outcome(simulator: Simulator, people: list[tuple[str, str]]) -> list[int]:
    """Print who was called by whom, and return how often each person was."""
    calls = Counter((call.agent_name, call.from_number, call.phone_number) for call in simulator.dialed())
    names = {number: name for name, number in people}
    called = [
        [str(agent), number, f"{names.get(str(person), '?')}, {person}", str(times)]
        for (agent, number, person), times in sorted(calls.items(), key=str)
    ]
    print_table([["agent", "number", "person", "times called"], *called])
    reads, writes = len(simulator.requests) - len(simulator.writes), len(simulator.writes)
    say(f"\nRequests to the service: {reads + writes}, of which {writes} wrote something.")
    say(f"Sequences started: {len(simulator.started())}.")
    return [sum(times for (*_, person), times in calls.items() if person == number) for _, number in people]


def print_table(rows: list[list[str]]) -> None:
    """Print rows, the first of them the header, in columns as wide as they need."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    print()
    for number, row in enumerate(rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        if number == 0:
            print("  ".join("-" * width for width in widths))


def say(text: str) -> None:
    """Print a text at once."""
    print(text, flush=True)


if __name__ == "__main__":
    try:
        main()
    except (DemoError, RuntimeError, TimeoutError) as error:
        sys.exit(f"\nThe demo failed: {error}")
