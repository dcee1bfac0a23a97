"""Measures an extraction of conversations, compared with the same work of ``HttpOperator`` and of a Singer tap.

``make bench-extraction``, or ``python benchmarks/extraction.py --quick``: prints tables, and takes some three minutes.
The services are processes of their own, and so is each task. Nothing but this machine is asked.

``TAP_OPENCX_PYTHON`` names the Python of an environment in which ``tap-opencx`` is; without it, that is left out.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from own_process import HERE, run_script
from report import Section, Table, seconds, show
from simulated_service import API_KEY, SimulatedService, simulated_service

AFTER = datetime(2026, 3, 1, 12, tzinfo=UTC)
BEFORE = AFTER + timedelta(hours=1)
LAST = BEFORE - timedelta(seconds=1)

FEW = 2000
"""Conversations where what is written matters, not what it costs."""

CHANGED = 3
"""Conversations of the first page that are changed while the list is read, after :data:`PAGES` pages."""

PAGES = 5

PROVIDERS_PACE = 90
"""Requests a minute that the connection allows itself by default."""

AT_THE_MOST = 300.0
"""Seconds for one task."""

QUIET = {"AIRFLOW__CORE__LOAD_EXAMPLES": "False", "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR"}

OPERATOR, HTTP, TAP = "OpenCXToObjectStorageOperator", "HttpOperator, pagination_function", "tap-opencx"

NOTES = f"""
- The service is a process of its own, with pages of 100 and no limit of requests, so that the work is measured and not
  the limit; at 90 requests a minute, 1,000 pages take eleven minutes by any way. Each task is the first of a process of
  its own. *CPU* is that of the task's process alone, without the service. *Before* is the memory of that process when the task begins, with Airflow and the operator imported; *at the
  most* is the most that it ever had.
- `HttpOperator` keeps every response until the last one is there. Its `response_filter` then writes the file: as the
  result of the task, all rows would be one XCom, and more memory.
- One request more is the question what was changed while the list was read, without which nobody knows whether the
  list is complete.
- *Missing*: of {FEW:,} conversations, {CHANGED} of the first page are changed when {PAGES} pages have been read, and
  leave the interval. Where a page begins at a position, the ones after it move up, and some are on no page. Where
  it begins after the last item of the page before, none is missing. Which of the two the service does is not
  documented. *Twice*: conversations of which the file has two rows.
- *A rerun* writes the same {FEW:,} conversations again, of which none was changed. `gzip.open` writes the time into
  the file.
"""

WITHOUT_TAP = """
- The public Singer tap, [tap-opencx](https://github.com/TicketSwap/tap-opencx), was not measured in this run. It is
  not on PyPI, and has no setting for the service's address; `TAP_OPENCX_PYTHON=/an/environment/bin/python make
  bench-extraction` measures it where it was installed from its repository.
"""

WITH_TAP = """
- [tap-opencx](https://github.com/TicketSwap/tap-opencx), a Singer tap, runs in an environment of its own, without
  Airflow; its address of the service was replaced. It writes messages, uncompressed, from which a target would still
  have to make a file; its rows are without the fields that its schema does not name, such as `contact`. It knows no end
  of an interval: what is changed meanwhile is read again, and a target keeps the newer row.
"""

Cost = dict[str, float]
Extract = Callable[[SimulatedService, Path], Cost]
"""Extracts the conversations of the interval to a file, and returns what that cost."""


@dataclass
class Way:
    """A way to extract conversations.

    :param label: what the tables call it.
    :param extract: does it.
    :param rows: returns the ids in the file that it has written, in the order of its rows.
    :param ending: what the name of that file ends with.
    """

    label: str
    extract: Extract
    rows: Callable[[Path], list[str]]
    ending: str


def measure(quick: bool) -> Section:
    """Extract many conversations in each way, then few, while they are changed and again."""
    many = 10_000 if quick else 100_000
    tap_python = os.environ.get("TAP_OPENCX_PYTHON", "")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ways = [
            Way(OPERATOR, partial(_run_task, "opencx", folder), _ids_of_lines, "jsonl.gz"),
            Way(HTTP, partial(_run_task, "http", folder), _ids_of_lines, "jsonl.gz"),
        ]
        if tap_python:
            ways.append(Way(TAP, partial(_run_tap, tap_python), _ids_of_messages, "singer"))
        costs = _costs(ways, folder, many)
        changed = [[_while_changed(way, folder, paging) for paging in ("offset", "cursor")] for way in ways]
        reruns = [_rerun(way, folder) for way in ways]
        history = _with_histories(folder)
    ours, theirs = costs[0], costs[1]
    columns = ("How", "Requests", "Time", "CPU", "Rows", "Memory before", "at the most")
    return Section(
        "An extraction",
        ratios=[
            f"An extraction of {many:,} conversations takes {ours['requests']:,.0f} requests, {seconds(ours['cpu'])} of CPU"
            f" and at the most {ours['memory']:.0f} MiB, with HttpOperator {theirs['requests']:,.0f},"
            f" {seconds(theirs['cpu'])} and {theirs['memory']:.0f} MiB; where {CHANGED} are changed meanwhile,"
            f" {changed[0][0][0]} others are missing, with HttpOperator {changed[1][0][0]}."
        ],
        tables=[
            Table(
                f"{many:,} conversations",
                columns,
                [_cost_cells(way.label, cost) for way, cost in zip(ways, costs, strict=True)],
            ),
            Table(
                f"What is in the file, of {FEW:,} conversations",
                ("How", "Pages by offset: missing, twice", "Pages by cursor: missing, twice", "A rerun writes"),
                [
                    (way.label, *(f"{missing}, {twice}" for missing, twice in counts), rerun)
                    for way, counts, rerun in zip(ways, changed, reruns, strict=True)
                ],
            ),
            Table(
                f"{FEW:,} conversations with their histories",
                (*columns, f"Time at {PROVIDERS_PACE} requests a minute"),
                [(*_cost_cells(OPERATOR, history), seconds(history["requests"] / PROVIDERS_PACE * 60))],
            ),
        ],
        notes=NOTES.rstrip() + (WITH_TAP if tap_python else WITHOUT_TAP),
    )


def _cost_cells(label: str, cost: Cost) -> tuple[str, ...]:
    return (
        label,
        f"{cost['requests']:,.0f}",
        seconds(cost["seconds"]),
        seconds(cost["cpu"]),
        f"{cost['rows']:,.0f}",
        f"{cost['memory_before']:.0f} MiB",
        f"{cost['memory']:.0f} MiB",
    )


def _costs(ways: Sequence[Way], folder: Path, conversations: int) -> list[Cost]:
    """Extract once in each way."""
    with simulated_service() as service:
        service.add_conversations(conversations, first=AFTER, last=LAST)
        return [_cost(way, service, folder) for way in ways]


def _with_histories(folder: Path) -> Cost:
    extract = partial(_run_task, "opencx", folder, include_history=True)
    with simulated_service() as service:
        service.add_conversations(FEW, first=AFTER, last=LAST)
        return _cost(Way(OPERATOR, extract, _ids_of_lines, "jsonl.gz"), service, folder)


def _cost(way: Way, service: SimulatedService, folder: Path) -> Cost:
    file = folder / f"costs.{way.ending}"
    service.forget_requests()
    cost = way.extract(service, file)
    return {**cost, "requests": sum((service.responses() or {}).values()), "rows": len(way.rows(file))}


def _while_changed(way: Way, folder: Path, paging: str) -> tuple[int, int]:
    """Return how many of the conversations that stayed in the interval are missing, and how many of all are twice."""
    file = folder / f"moving.{way.ending}"
    with simulated_service() as service:
        service.add_conversations(FEW, first=AFTER, last=LAST)
        service.list_conversations_by(order="updated", paging=paging)
        changed = service.conversation_ids()[:CHANGED]
        service.change_between_pages(changed, after=PAGES)
        way.extract(service, file)
        ids = Counter(way.rows(file))
        missing = set(service.conversation_ids()) - set(changed) - set(ids)
        return len(missing), sum(number > 1 for number in ids.values())


def _rerun(way: Way, folder: Path) -> str:
    """Extract twice, and return whether that is the same."""
    first, second = folder / f"rerun.{way.ending}", folder / f"again/rerun.{way.ending}"
    second.parent.mkdir(exist_ok=True)
    with simulated_service() as service:
        service.add_conversations(FEW, first=AFTER, last=LAST)
        for file in (first, second):
            way.extract(service, file)
    if first.read_bytes() == second.read_bytes():
        return "the same bytes"
    return "the same rows, other bytes" if way.rows(first) == way.rows(second) else "other rows"


def _run_task(
    who: str, home: Path, service: SimulatedService, file: Path, *, include_history: bool = False
) -> dict[str, float]:
    printed = run_script(
        "extraction_task.py",
        *(who, str(file), AFTER.isoformat(), BEFORE.isoformat()),
        *(["--history"] if include_history else []),
        within=AT_THE_MOST,
        variables={**os.environ, **service.connections(), **QUIET, "AIRFLOW_HOME": str(home)},
    )
    cost: Cost = json.loads(printed)
    return cost


def _run_tap(python: str, service: SimulatedService, file: Path) -> Cost:
    command = [python, str(HERE / "extraction_tap.py"), str(file), AFTER.isoformat(), service.url, API_KEY]
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(command, check=True, timeout=AT_THE_MOST, stderr=subprocess.DEVNULL, env=variables)
    cost: Cost = json.loads(Path(f"{file}.cost").read_text())
    return cost


def _ids_of_lines(file: Path) -> list[str]:
    with gzip.open(file, "rt") as lines:
        return [json.loads(line)["id"] for line in lines]


def _ids_of_messages(file: Path) -> list[str]:
    with file.open() as lines:
        messages: Iterator[dict[str, Any]] = (json.loads(line) for line in lines)
        return [message["record"]["id"] for message in messages if message["type"] == "RECORD"]


if __name__ == "__main__":
    show(measure)
