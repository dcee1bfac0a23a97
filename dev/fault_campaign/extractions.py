"""Draws runs that extract adjacent intervals of conversations into files while conversations change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any, Literal, TypeAlias

from airflow.sdk import BaseOperator

from airflow_provider_opencx.transfers.opencx_to_object_storage import OpenCXToObjectStorageOperator
from fault_campaign.faults import ServiceKind, draw_service

Change: TypeAlias = Literal["changes", "begins", "is removed"]
"""What happens to conversations while they are read."""

_DAY = 86_400.0
_MOST_CONVERSATIONS = 14
_CHANNELS = ("phone_voice", "phone_voice", "web")

_BESIDE_A_BOUND = (-61.0, -1.0, -1e-3, -5e-4, -1e-6, 0.0, 0.0, 0.0, 1e-6, 5e-4, 1e-3, 1.0, 61.0)
"""Seconds from a bound of an interval to a conversation."""

_BOUNDS = (0.0, 0.0, 0.0, 1e-3, 5e-4)
"""What a bound has beside whole seconds."""


@dataclass(frozen=True)
class ExtractTask:
    """A task that extracts an interval.

    :param name: the name of the file, or of the folder, which ends with a slash.
    """

    name: str
    start: datetime
    end: datetime
    channel_type: str | None
    include_history: bool
    compression: Literal["infer", "gzip"] | None
    part_size: int
    settle_time: float
    retries: int
    retry_delay: float

    @property
    def is_folder(self) -> bool:
        """Whether the target is a folder of parts."""
        return self.name.endswith("/")

    @property
    def is_gzip(self) -> bool:
        """Whether the files are compressed."""
        return self.compression == "gzip" or (self.compression == "infer" and self.name.endswith(".gz"))

    def holds(self, time: datetime) -> bool:
        """Return whether a conversation that was changed at a time is in the interval."""
        return self.start <= time < self.end


@dataclass(frozen=True)
class ExtractionRun:
    """What a run is about.

    :param listed_by: how the service lists conversations.
    :param begins_at: seconds of the stage, before which all that exists was made.
    :param conversations: what exists, as the simulator takes it.
    :param tasks: a task for each interval, in the order of time.
    :param script: which of them run, one after the other.
    :param changes: what happens to conversations, in its order.
    :param change_rate: how probable it is before each request that the next of that happens.
    :param clock_ahead: seconds by which the clock of the service is ahead.
    :param latency: seconds that a response takes, at the most.
    :param storage_rate: how probable it is that the storage does not do what it is asked for.
    :param takeover_rate: how probable it is that a worker pauses there, and another one takes its task over.
    """

    service: ServiceKind
    listed_by: Mapping[str, Any]
    page_size: int
    begins_at: float
    conversations: Sequence[Mapping[str, Any]]
    tasks: Sequence[ExtractTask]
    script: Sequence[int]
    changes: Sequence[Change]
    change_rate: float
    clock_ahead: float
    latency: float
    fault_rate: float
    storage_rate: float
    takeover_rate: float


def time_at(seconds: float) -> datetime:
    """Return the time of some seconds of the stage."""
    return datetime.fromtimestamp(0, UTC) + timedelta(seconds=seconds)


def operator_of(task: ExtractTask, folder: str) -> BaseOperator:
    """Return the operator that a Dag file would have for a task.

    :param folder: the storage.
    """
    return OpenCXToObjectStorageOperator(
        task_id="extract",
        resource="conversations",
        object_storage_path=f"{folder}/{task.name}",
        updated_after=task.start,
        updated_before=task.end,
        channel_type=task.channel_type,
        include_history=task.include_history,
        compression=task.compression,
        part_size=task.part_size,
        settle_time=task.settle_time,
        deferrable=False,
        retries=task.retries,
    )


def draw_extraction_run(draws: Random) -> ExtractionRun:
    """Draw what a run is about."""
    begins_at = draws.uniform(3.0, 4.0) * _DAY
    listed_by = {
        "order": draws.choice(("created", "updated")),
        "newest_first": draws.random() < 0.5,
        "paging": draws.choice(("cursor", "offset")),
        "bounds": draws.choice(("inclusive", "exclusive")),
        "precision": draws.choice(("seconds", "milliseconds", "microseconds")),
    }
    bounds = _draw_bounds(draws, begins_at)
    tasks = _draw_tasks(draws, bounds)
    again = draws.choices(range(len(tasks)), k=draws.randint(0, 2))
    # Nobody sees that a conversation is gone, and that all after it have moved, where pages begin by a position.
    kinds: Sequence[Change] = ("changes", "changes", "changes", "begins", "is removed")
    changes = draws.choices(kinds, k=draws.choice((0, 2, 5, 10)))
    service = replace(draw_service(draws), generation="2026", tidies=None, placeholder=None)
    if listed_by["paging"] == "offset":
        # Where one page is of an older list than the next, nothing says that they do not fit together.
        service = replace(service, stale_share=1.0)
    return ExtractionRun(
        service=service,
        listed_by=listed_by,
        page_size=draws.randint(1, 5),
        begins_at=begins_at,
        conversations=_draw_conversations(draws, bounds, begins_at),
        tasks=tasks,
        script=draws.sample([*range(len(tasks)), *again], len(tasks) + len(again)),
        changes=[kind for kind in changes if kind != "is removed" or listed_by["paging"] == "cursor"],
        change_rate=draws.choice((0.1, 0.3, 0.6)),
        clock_ahead=draws.choice((0.0, 0.0, -15.0, 15.0)),
        latency=draws.choice((0.0, 1.0, 5.0, 40.0)),
        fault_rate=draws.choice((0.0, 0.05, 0.15, 0.3)),
        storage_rate=draws.choice((0.0, 0.0, 0.03, 0.1)),
        takeover_rate=draws.choice((0.0, 0.0, 0.03)),
    )


def _draw_bounds(draws: Random, begins_at: float) -> list[datetime]:
    """Draw the bounds of two or three adjacent intervals, of which the last may have ended just now."""
    end = begins_at - draws.choice((0.0, 20.0, 200.0, 2000.0))
    bounds = [end]
    for _ in range(draws.randint(2, 3)):
        bounds.append(bounds[-1] - draws.choice((10.0, 300.0, 3600.0)))
    return [time_at(int(bound) + draws.choice(_BOUNDS)) for bound in reversed(bounds)]


def _draw_tasks(draws: Random, bounds: Sequence[datetime]) -> list[ExtractTask]:
    channel_type = draws.choice((None, None, "phone_voice"))
    include_history = draws.random() < 0.35
    settle_time = draws.choice((0.0, 0.0, 60.0, 300.0))
    retries, retry_delay = draws.randint(0, 4), draws.choice((0.0, 5.0, 300.0))
    return [
        ExtractTask(
            name=f"{number}{draws.choice(('.jsonl', '.jsonl.gz', '/'))}",
            start=start,
            end=end,
            channel_type=channel_type,
            include_history=include_history,
            compression=draws.choice(("infer", "infer", "gzip", None)),
            part_size=draws.randint(1, 4),
            settle_time=settle_time,
            retries=retries,
            retry_delay=retry_delay,
        )
        for number, (start, end) in enumerate(pairwise(bounds))
    ]


def _draw_conversations(draws: Random, bounds: Sequence[datetime], begins_at: float) -> list[Mapping[str, Any]]:
    latest = time_at(begins_at)
    times: list[datetime] = []
    for _ in range(draws.randint(0, _MOST_CONVERSATIONS)):
        kind = draws.choices(("bound", "within", "same"), weights=(4, 4, 2 if times else 0))[0]
        if kind == "bound":
            time = draws.choice(bounds) + timedelta(seconds=draws.choice(_BESIDE_A_BOUND))
        elif kind == "within":
            time = bounds[0] + draws.random() * (bounds[-1] - bounds[0])
        else:
            time = draws.choice(times)
        times.append(min(time, latest))
    return [
        {
            "created_at": (time - timedelta(seconds=draws.choice((0.0, 0.0, 1.0, 400.0)))).isoformat(),
            "updated_at": time.isoformat(),
            "channel": {"type": draws.choice(_CHANNELS)},
        }
        for time in times
    ]
