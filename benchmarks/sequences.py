"""Measures waiting for sequences: requests, seconds for a round, and the longest block of the event loop.

``make bench-sequences``, or ``python benchmarks/sequences.py --tasks 1000``: prints a table, and takes some three
minutes, because the last row keeps to the limit. The services are processes of their own; the triggers are the real
ones, in one event loop. Beside them waits a task for a phone number over another connection: nothing may keep it from
its polls.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from simulated_service import SimulatedService, simulated_service

INTERVAL = 5.0
INTERVAL_OF_OTHERS = 1.0
AT_LEAST = 15.0
"""Seconds for which a row waits before its sequences begin."""

PEOPLE = 1000
"""Numbers in the filter of each sequence, which every poll brings."""

LIMIT = 100
QUIET = {"AIRFLOW__CORE__LOAD_EXAMPLES": "False", "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING"}
TICK = 0.005


@dataclass
class Row:
    """What is measured.

    :param label: what the table calls it.
    :param sequences: how many there are.
    :param tasks: how many wait, shared out among the sequences.
    :param requests_per_minute: the service's limit; ``None`` is without, and this provider then does not pace either.
    """

    label: str
    sequences: int
    tasks: int
    requests_per_minute: int | None = None


@dataclass
class Measured:
    """What was measured.

    :param requests: how many there were until the sequences began.
    :param waited: seconds until then.
    :param round: seconds from the first poll to the one after which every sequence had its turn.
    :param most_turns: how many turns one sequence had before each had its first.
    :param ended: seconds from the start of the last sequence to the last event; ``None`` if that was not waited for.
    :param longest_block: seconds for which the event loop ran nothing else.
    :param longest_gap: seconds by which a poll of the other connection came late, at the most.
    :param memory: MiB that the process has grown by.
    """

    requests: int
    waited: float
    round: float
    most_turns: int
    ended: float | None
    longest_block: float
    longest_gap: float
    memory: float


def main() -> int:
    """Measure, and print a row for each load."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--under-limit", type=int, default=120, help="sequences in the row that keeps to the limit")
    options = parser.parse_args()
    tasks = options.tasks
    rows = [
        Row(f"{tasks:,} sequences, a task each", tasks, tasks),
        Row(f"1 sequence, {tasks:,} tasks", 1, tasks),
        Row(f"{options.under_limit} sequences, {LIMIT} requests a minute", options.under_limit, tasks, LIMIT),
    ]
    print(f"A poll every {INTERVAL:.0f} s, {PEOPLE:,} numbers in each filter")
    columns = ("requests", "in s", "round s", "turns", "ended s", "block ms", "late ms", "MiB more")
    print(f"{'':40}" + "".join(f"{column:>10}" for column in columns))
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(AIRFLOW_HOME=folder, **QUIET)
        for row in rows:
            print(f"{row.label:40}" + "".join(f"{cell:>10}" for cell in _cells(_measured(row))), flush=True)
    return 0


def _measured(row: Row) -> Measured:
    with simulated_service(requests_per_minute=row.requests_per_minute) as service, simulated_service() as others:
        connection = others.connections()["AIRFLOW_CONN_OPENCX_DEFAULT"]
        os.environ.update(
            service.connections(paced=row.requests_per_minute is not None), AIRFLOW_CONN_OTHERS=connection
        )
        numbers: list[str] = [f"+1415{number:07}" for number in range(PEOPLE)]
        one: dict[str, Any] = {
            "filter": {"or": [{"and": [{"type": "contacts_phone_number_in", "phone_number_in": numbers}]}]},
            "steps": [{"action": {"type": "make_phone_calls", "data": {}}}] * 3,
            "is_continuous": False,
        }
        ids = service.add_sequences([{**one, "name": f"Wave {number}"} for number in range(row.sequences)])
        others.add_agents([{"name": "somebody else's"}])
        return asyncio.run(_wait(row, service, others, ids))


async def _wait(row: Row, service: SimulatedService, others: SimulatedService, ids: Sequence[str]) -> Measured:
    from airflow_provider_opencx.triggers.phone_number import OpenCXPhoneNumberTrigger
    from airflow_provider_opencx.triggers.sequence import OpenCXSequenceTrigger

    async def fired(trigger: Any) -> dict[str, Any]:
        async with aclosing(trigger.run()) as events:
            payload: dict[str, Any] = (await anext(events)).payload
            return payload

    gc.collect()
    memory, began = _memory(), time.monotonic()
    blocks: list[float] = []
    meter = asyncio.create_task(_measure_blocks(blocks))
    other = OpenCXPhoneNumberTrigger("others", agent_name="nobody", poll_interval=INTERVAL_OF_OTHERS)
    waiting_for_others = asyncio.create_task(fired(other))
    tasks = [
        asyncio.create_task(
            fired(OpenCXSequenceTrigger("opencx_default", ids[place % len(ids)], "started", poll_interval=INTERVAL))
        )
        for place in range(row.tasks)
    ]
    polls: list[tuple[str, float]] = []
    while len({path for path, _ in polls}) < len(ids) or time.monotonic() - began < AT_LEAST:
        await asyncio.sleep(1)
        polls = await asyncio.to_thread(_polls, service)
    waited = time.monotonic() - began
    ended: float | None = None
    if row.requests_per_minute is None:
        await asyncio.to_thread(service.start_sequences, ids)
        all_begun = time.monotonic()
        events = await asyncio.gather(*tasks)
        ended = time.monotonic() - all_begun
        if wrong := [event for event in events if event["status"] != "success"]:
            raise RuntimeError(f"{len(wrong)} tasks have failed: {wrong[0]}")
    waiting = [waiting_for_others, *tasks]
    for task in [*waiting, meter]:
        task.cancel()
    await asyncio.wait([*waiting, meter])
    times = [moment for _, moment in await asyncio.to_thread(_polls, others)]
    first_round = _first_round(polls, len(ids))
    return Measured(
        requests=len(polls),
        waited=waited,
        round=first_round[-1][1] - first_round[0][1],
        most_turns=max(Counter(path for path, _ in first_round).values()),
        ended=ended,
        longest_block=max(blocks),
        longest_gap=max((later - earlier for earlier, later in pairwise(times)), default=0.0) - INTERVAL_OF_OTHERS,
        memory=_memory() - memory,
    )


def _polls(service: SimulatedService) -> list[tuple[str, float]]:
    """Return the path and the time of each request."""
    return [(request["path"], request["time"]) for request in service.requests()]


def _first_round(polls: list[tuple[str, float]], sequences: int) -> list[tuple[str, float]]:
    """Return the polls up to the one after which every sequence had its turn."""
    seen: set[str] = set()
    for place, (path, _) in enumerate(polls):
        seen.add(path)
        if len(seen) == sequences:
            return polls[: place + 1]
    raise RuntimeError("not every sequence had its turn")


async def _measure_blocks(blocks: list[float]) -> None:
    while True:
        began = time.monotonic()
        await asyncio.sleep(TICK)
        blocks.append(time.monotonic() - began - TICK)


def _memory() -> float:
    """Return the most memory that this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _cells(measured: Measured) -> list[str]:
    return [
        f"{measured.requests:,}",
        f"{measured.waited:.0f}",
        f"{measured.round:.1f}",
        f"{measured.most_turns}",
        "" if measured.ended is None else f"{measured.ended:.1f}",
        f"{measured.longest_block * 1000:.0f}",
        f"{measured.longest_gap * 1000:.0f}",
        f"{measured.memory:.0f}",
    ]


if __name__ == "__main__":
    sys.exit(main())
