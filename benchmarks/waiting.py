"""Measures tasks that wait in a triggerer: what each kind of trigger costs, and what the service's limit does to it."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import TypeAlias

from cryptography.fernet import Fernet
from own_process import run_script
from report import Section, Table, seconds, show, times
from triggerer import Cell, Waited

OURS = "this provider"
HTTP = "HttpSensorTrigger"
PER_TASK = "a loop and a session a task"
AIRFLOW = "Airflow alone"
SUBJECTS = {OURS: "ours", HTTP: "http", PER_TASK: "per_task", AIRFLOW: "sleep"}

LIMIT = 100
INTERVAL, INTERVAL_UNDER_LIMIT = 5.0, 10.0
STOPPED_AFTER_UNDER_LIMIT = 35.0
AT_THE_MOST = 600.0

# A task of this provider ends ten seconds after it began to wait at the earliest, and many take their time to begin.
TIMES = {10: (11, 40), 100: (11, 40), 1000: (16, 60), 10_000: (45, 75)}
"""For a number of tasks: the seconds until the first number comes, and those after which the cell is stopped."""

NOTES = """
- *Ended*: how many tasks had their event, and when the last had it or, where not all had, when this was stopped.
  *Delay*: from the moment that an agent has its number to the event in Airflow's supervisor, median and maximum of
  those that ended; half the interval is in every median. *Longest block*: how long the event loop, which all triggers
  share, ran nothing else; *over* so much where it never ran again. *CPU* and *memory* are those of the runner's
  process, beyond what it has before the tasks begin.
- Real: Airflow's `TriggerRunner` in its process, its supervisor, the sockets between them, encrypted arguments, logs,
  the HTTP. A stand-in: the database, whose part this benchmark plays. Each row has a process and a simulator of its
  own. Numbers come evenly over one interval. A trigger's modules are imported before the clock starts; what is made
  at the first poll, such as this provider's TLS context, is in its longest block.
- *Airflow alone*: triggers that ask nobody and fire when a poll would have shown them their number, all of one interval
  at the same moment. What they cost, no poll can save.
- *This provider*: `OpenCXPhoneNumberTrigger`, whose polls all tasks of a triggerer share.
- *HttpSensorTrigger*: the deferrable `HttpSensor` knows only whether a response is a 404, and with a `response_check`
  it does not defer at all. Here its trigger runs as it is, over a hook that says 404 until the agent has its number:
  the least that a user has to write. After any other error, such as a 429, that trigger asks again without a pause.
- *A loop and a session a task*: the pattern of the common providers at its best, on the HTTP provider's hook. The
  session is kept from poll to poll, and a failed poll is followed by the next, an interval later.
- The list of 10,000 agents has 7.6 MB, and the simulator needs some 60 ms for it: 10,000 tasks that each want it
  every 5 s cannot have it, whoever serves it. The real service's limit would allow 100 of those lists a minute.
- Where this provider is worse: it reads every agent of the list, however few are waited for, and keeps the list from
  poll to poll; its event holds the whole agent, which Airflow logs. So few tasks cost it about as much as they cost
  the others, and somewhat more memory. A task that a worker deferred ends ten seconds later at the earliest; no
  number comes sooner here.
"""

Cells: TypeAlias = Mapping[tuple[str, int], Waited | None]


def measure(quick: bool) -> Section:
    """Wait in every way."""
    sizes = (100,) if quick else tuple(TIMES)
    free = {
        (subject, tasks): _waited(subject, tasks)
        for tasks in sizes
        for subject in SUBJECTS
        if subject in (OURS, HTTP, PER_TASK) or tasks == 1000 or (subject == AIRFLOW and tasks > 1000)
    }
    limited = {
        (subject, tasks): _waited_under_limit(subject, tasks)
        for tasks in ((100,) if quick else (10, 100, 1000))
        for subject in (OURS, HTTP, PER_TASK)
    }
    compared = max(tasks for tasks in sizes if tasks <= 1000)
    return Section(
        "Waiting",
        [*_ratios(free, compared), *_ratios_under_limit(limited)],
        [
            Table(
                f"Without a limit, a poll every {INTERVAL:.0f} s",
                ("Tasks", "Whose trigger", "Ended", "Requests", "CPU", "Longest block", "Memory", "Delay", "at most"),
                [_row(subject, tasks, waited) for (subject, tasks), waited in free.items()],
            ),
            Table(
                f"Under the service's limit of {LIMIT} requests a minute, a poll every {INTERVAL_UNDER_LIMIT:.0f} s",
                ("Tasks", "Whose trigger", "Ended", "Requests", "of which 429", "Delay", "at most"),
                [_row_limited(subject, tasks, waited) for (subject, tasks), waited in limited.items()],
            ),
        ],
        NOTES,
    )


def _waited(subject: str, tasks: int) -> Waited | None:
    """Wait without a limit."""
    first_number_after, stopped_after = TIMES[tasks]
    return _measured(Cell(SUBJECTS[subject], tasks, INTERVAL, first_number_after, INTERVAL, stopped_after))


def _waited_under_limit(subject: str, tasks: int) -> Waited | None:
    interval = INTERVAL_UNDER_LIMIT
    return _measured(Cell(SUBJECTS[subject], tasks, interval, 11, interval, STOPPED_AFTER_UNDER_LIMIT, LIMIT))


def _measured(cell: Cell) -> Waited | None:
    """Measure a cell in a process of its own; ``None`` if that broke, which the error output explains."""
    print(cell, file=sys.stderr, flush=True)
    try:
        printed = run_script(
            "triggerer.py",
            json.dumps(asdict(cell)),
            within=AT_THE_MOST,
            variables={**os.environ, "AIRFLOW__CORE__FERNET_KEY": Fernet.generate_key().decode()},
        )
        waited = Waited(**json.loads(printed))
    except (subprocess.SubprocessError, ValueError) as problem:
        print(f"broke: {problem}", file=sys.stderr, flush=True)
        return None
    print(f"took {waited.seconds:.0f} s: {waited.responses}", file=sys.stderr, flush=True)
    return waited


def _row(subject: str, tasks: int, waited: Waited | None) -> list[str]:
    if waited is None:
        return [f"{tasks:,}", subject, "broke", *[""] * 6]
    return [
        f"{tasks:,}",
        subject,
        _ended(tasks, waited),
        _requests(waited),
        seconds(waited.cpu),
        f"{'over ' if waited.still_blocked else ''}{seconds(waited.longest_block)}",
        f"{waited.memory / 2**20:.0f} MiB",
        *_delays(waited),
    ]


def _row_limited(subject: str, tasks: int, waited: Waited | None) -> list[str]:
    if waited is None:
        return [f"{tasks:,}", subject, "broke", *[""] * 4]
    return [f"{tasks:,}", subject, _ended(tasks, waited), _requests(waited), f"{_refused(waited):,}", *_delays(waited)]


def _ended(tasks: int, waited: Waited) -> str:
    ended = len(waited.delays)
    how_many = "all" if ended == tasks else f"{ended:,} of {tasks:,}"
    failed = f", {waited.failed:,} failed" if waited.failed else ""
    return f"{how_many}{failed}, {seconds(waited.seconds)}"


def _requests(waited: Waited) -> str:
    return "?" if waited.responses is None else f"{sum(waited.responses.values()):,}"


def _refused(waited: Waited) -> int:
    return (waited.responses or {}).get("429", 0)


def _delays(waited: Waited) -> list[str]:
    return [seconds(statistics.median(waited.delays)), seconds(max(waited.delays))] if waited.delays else ["", ""]


def _ratios(cells: Cells, tasks: int) -> list[str]:
    ours, theirs = cells[OURS, tasks], cells[HTTP, tasks]
    if ours is None or theirs is None:
        return []
    requests = sum((ours.responses or {}).values()), sum((theirs.responses or {}).values())
    delays = [statistics.median(waited.delays) if waited.delays else 0.0 for waited in (ours, theirs)]
    alone = cells.get((AIRFLOW, tasks))
    airflow = f", with Airflow alone for {seconds(alone.longest_block)}" if alone else ""
    return [
        f"{tasks:,} waiting tasks: {requests[0]:,} requests, with {HTTP} {requests[1]:,}"
        f" ({times(requests[1], requests[0])}); {seconds(ours.cpu)} of CPU, with {HTTP} {seconds(theirs.cpu)}"
        f" ({times(theirs.cpu, ours.cpu)}).",
        f"{tasks:,} waiting tasks: the event loop is blocked for {seconds(ours.longest_block)} at the longest{airflow}, with"
        f" {HTTP} for {seconds(theirs.longest_block)}; a number is seen after {seconds(delays[0])}, with {HTTP} after"
        f" {seconds(delays[1])}, polling every {INTERVAL:.0f} s.",
    ]


def _ratios_under_limit(cells: Cells) -> list[str]:
    most = max(tasks for _, tasks in cells)
    refused = [
        f"{subject} {_refused(waited):,}" for (subject, tasks), waited in cells.items() if tasks == most and waited
    ]
    return [
        f"{most:,} waiting tasks under the service's limit, responses of 429 in {STOPPED_AFTER_UNDER_LIMIT:.0f} s:"
        f" {', '.join(refused)}."
    ]


if __name__ == "__main__":
    show(measure)
