"""Tasks that wait in a triggerer: what they cost, by whose trigger they wait, and what the service's limit does to them."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TypeAlias

from cryptography.fernet import Fernet
from report import Section, Table, seconds, show, times
from triggerer import Cell, Waited

OURS = "this provider"
OURS_BEFORE = "this provider before Airflow 3.3"
HTTP = "HttpSensorTrigger"
PER_TASK = "a loop and a session a task"
AIRFLOW = "Airflow alone"
SUBJECTS = {OURS: "shared", OURS_BEFORE: "unshared", HTTP: "http", PER_TASK: "per_task", AIRFLOW: "sleep"}

LIMIT = 100
INTERVAL, INTERVAL_UNDER_LIMIT = 5.0, 10.0
STOPPED_AFTER_UNDER_LIMIT = 35.0
AT_THE_MOST = 600.0

# A task of this provider ends ten seconds after it began to wait at the earliest, and many take their time to begin.
TIMES = {10: (11, 40), 100: (11, 40), 1000: (16, 60), 10_000: (45, 75)}
"""For a number of tasks: the seconds until the first number comes, and those after which the cell is stopped."""

Cells: TypeAlias = Mapping[tuple[str, int], Waited | None]


def measure(quick: bool) -> Section:
    """Wait in every way."""
    sizes = (10, 100) if quick else tuple(TIMES)
    free = {
        (subject, tasks): _waited(subject, tasks, INTERVAL, *TIMES[tasks])
        for tasks in sizes
        for subject in SUBJECTS
        if tasks >= 1000 or subject in (OURS, HTTP, PER_TASK)
    }
    limited = {
        (subject, tasks): _waited(subject, tasks, INTERVAL_UNDER_LIMIT, 11, STOPPED_AFTER_UNDER_LIMIT, LIMIT)
        for tasks in ((100,) if quick else (10, 100, 1000))
        for subject in (OURS, HTTP, PER_TASK)
    }
    compared = max(tasks for tasks in sizes if tasks <= 1000)
    return Section(
        "Waiting",
        [
            ratio
            for ratio in (_ratio(free, compared), _ratio_of_loops(free, compared), _ratio_limited(limited))
            if ratio
        ],
        [
            Table(
                f"Without a limit, a look every {INTERVAL:.0f} s",
                ("Tasks", "Whose trigger", "Ended", "Requests", "CPU", "Longest block", "Memory", "Delay", "at most"),
                [_row(subject, tasks, waited) for (subject, tasks), waited in free.items()],
            ),
            Table(
                f"Under the service's limit of {LIMIT} requests a minute, a look every {INTERVAL_UNDER_LIMIT:.0f} s",
                ("Tasks", "Whose trigger", "Ended", "Requests", "of which 429", "Delay", "at most"),
                [_row_limited(subject, tasks, waited) for (subject, tasks), waited in limited.items()],
            ),
        ],
        [
            "*Ended*: how many tasks had their event, and when the last had it or, where not all had, when this was stopped."
            " *Delay*: from the moment that an agent has its number to the event in Airflow's supervisor, median and"
            f" maximum of those that ended; half the interval, {INTERVAL / 2:.1f} s, is in every median. *Longest block*: how long"
            " the event loop, which all triggers share, ran nothing else; it is *over* so much where the loop never"
            " answered again. *CPU* and *memory* are those of the runner's process, beyond what it has before the tasks begin.",
            "Real: Airflow's `TriggerRunner` in its process, its supervisor, the sockets between them, encrypted arguments,"
            " logs, the HTTP. A stand-in: the database, whose part this benchmark plays. Each row has a process and a"
            " simulator of its own; numbers come evenly over one interval. A trigger's modules are imported before"
            " the clock starts.",
            f"*{AIRFLOW}*: triggers that ask nobody and sleep until the number is due. What they cost, nobody can save; a poll adds"
            " that all whose number came in one interval fire at the same moment.",
            f"*{OURS}*: `OpenCXPhoneNumberTrigger`, over Airflow's shared stream. *{OURS_BEFORE}*: the same without the shared"
            " stream, which came with 3.3.",
            f"*{HTTP}*: the deferrable `HttpSensor` knows only whether an answer is a 404, and with a `response_check` does not"
            " defer at all. Here its trigger runs as it is over a hook that says 404 until the agent has its number:"
            " the least that a user has to write. After any other error, a 429 for one, that trigger asks again"
            f" without a pause. *{PER_TASK}*: the pattern of the common providers at its best (the session is"
            " kept from poll to poll, a failed poll is followed by the next an interval later), on the HTTP provider's hook.",
            "The list of 10,000 agents has 7.6 MB, and the simulator needs some 60 ms to send it: 10,000 tasks that each want it"
            " every 5 s cannot have it, whoever serves it. The real service's limit would allow 100 of those lists a minute.",
            "Where this provider is worse: it checks every agent of the list however few are waited for, it keeps the list from"
            " poll to poll, and its event holds the whole agent, which Airflow logs. So few tasks cost it about as much as they"
            " cost the others, and somewhat more memory. A task ends ten seconds after it began to wait at the earliest;"
            " no number here comes sooner.",
        ],
    )


def _waited(
    subject: str, tasks: int, interval: float, first_number_after: float, stopped_after: float, limit: int | None = None
) -> Waited | None:
    """Measure a cell in a process of its own; ``None`` if that broke, which the error output explains."""
    cell = Cell(SUBJECTS[subject], tasks, interval, first_number_after, interval, stopped_after, limit)
    print(cell, file=sys.stderr, flush=True)
    try:
        measured = subprocess.run(
            [sys.executable, Path(__file__).with_name("triggerer.py"), json.dumps(asdict(cell))],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            timeout=AT_THE_MOST,
            env={**os.environ, "AIRFLOW__CORE__FERNET_KEY": Fernet.generate_key().decode()},
        )
        waited = Waited(**json.loads(measured.stdout))
    except (subprocess.SubprocessError, ValueError) as problem:
        print(f"broke: {problem}", file=sys.stderr, flush=True)
        return None
    print(f"took {waited.seconds:.0f} s: {waited.answers}", file=sys.stderr, flush=True)
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
    return "?" if waited.answers is None else f"{sum(waited.answers.values()):,}"


def _refused(waited: Waited) -> int:
    return (waited.answers or {}).get("429", 0)


def _delays(waited: Waited) -> list[str]:
    return [seconds(statistics.median(waited.delays)), seconds(max(waited.delays))] if waited.delays else ["", ""]


def _ratio(cells: Cells, tasks: int) -> str:
    ours, theirs = cells[OURS, tasks], cells[HTTP, tasks]
    if ours is None or theirs is None or not ours.answers or not theirs.answers:
        return ""
    mine, other = sum(ours.answers.values()), sum(theirs.answers.values())
    return (
        f"{tasks:,} waiting tasks: {mine:,} requests, {HTTP} {other:,} ({times(other, mine)}), and {seconds(ours.cpu)} of CPU,"
        f" {HTTP} {seconds(theirs.cpu)} ({times(theirs.cpu, ours.cpu)})."
    )


def _ratio_of_loops(cells: Cells, tasks: int) -> str:
    ours, theirs = cells[OURS, tasks], cells[HTTP, tasks]
    if ours is None or theirs is None or not ours.delays or not theirs.delays:
        return ""
    mine, other = statistics.median(ours.delays), statistics.median(theirs.delays)
    return (
        f"{tasks:,} waiting tasks: the event loop is blocked for {seconds(ours.longest_block)} at the longest, by {HTTP}"
        f" {seconds(theirs.longest_block)} ({times(theirs.longest_block, ours.longest_block)}); a number is seen"
        f" {seconds(mine)} after it came, by {HTTP} {seconds(other)}, with a look every {INTERVAL:.0f} s."
    )


def _ratio_limited(cells: Cells) -> str:
    tasks = max(tasks for _, tasks in cells)
    refused = {subject: _refused(waited) for (subject, size), waited in cells.items() if size == tasks and waited}
    said = ", ".join(f"{subject} {count:,}" for subject, count in refused.items())
    return f"{tasks:,} waiting tasks under the service's limit, refusals with 429 in {STOPPED_AFTER_UNDER_LIMIT:.0f} s: {said}."


if __name__ == "__main__":
    show(measure)
