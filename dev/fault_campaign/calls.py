"""Runs in which an agent calls people, from tasks that are retried, cleared, killed and taken over."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from random import Random
from typing import Any, Literal, TypeAlias
from zoneinfo import ZoneInfo

from fault_campaign.faults import ServiceKind, draw_service
from fault_campaign.scenario import SecretsOutage

AGENT_NAME = "Caller"

Form: TypeAlias = Literal["one", "list", "mapped"]
Place: TypeAlias = Literal["state", "folder", "memory", "none"]
"""Where a task keeps its records: Airflow's task state store, a folder, fsspec's file system in memory, nowhere."""

Change: TypeAlias = Literal["none", "reordered", "grown", "shortened", "doubled"]
"""What has become of a list when a task is cleared."""

PEOPLE: Mapping[str, Sequence[str]] = {
    **{f"+1415555010{index}": ("America/Los_Angeles",) for index in range(1, 5)},
    **{f"+44207946000{index}": ("Europe/London",) for index in range(1, 5)},
    **{f"+8131234567{index}": ("Asia/Tokyo",) for index in range(1, 5)},
    "+18005550101": ("America/New_York", "America/Los_Angeles", "Pacific/Honolulu"),
    "+88213300655": (),
}
"""Numbers, each with time zones in all of which the hours must allow a call; one that tells no zone is not called."""

_MONDAY_TO_FRIDAY = range(5)
_EVERY_DAY = range(7)

_DAY = 86_400.0
_CLOSINGS = (_DAY + 4 * 3600, _DAY + 11 * 3600, _DAY + 19 * 3600)
"""Seconds of 1970 at which 20 o'clock comes to Los Angeles, Tokyo and London, which had summer time all that year."""


@dataclass(frozen=True)
class Hours:
    """When people may be called.

    :param written: as an author writes it, ``None`` for any time.
    :param days: the days of the week.
    :param spans: the hours of these days.
    """

    written: str | Mapping[str, str] | None
    days: Sequence[int] = _EVERY_DAY
    spans: Sequence[tuple[int, int]] = ((0, 24),)

    def allow(self, number: str, at: float) -> bool:
        """Return whether a person may be called at a time of the stage."""
        return self.written is None or (bool(PEOPLE[number]) and all(self._allow(zone, at) for zone in PEOPLE[number]))

    def _allow(self, zone: str, at: float) -> bool:
        local = datetime.fromtimestamp(at, ZoneInfo(zone))
        return local.weekday() in self.days and any(begin <= local.hour < end for begin, end in self.spans)


_HOURS = (
    Hours(None),
    Hours("09:00-20:00", spans=((9, 20),)),
    Hours({"mon-fri": "09:00-12:00, 14:00-20:00"}, _MONDAY_TO_FRIDAY, ((9, 12), (14, 20))),
)


@dataclass(frozen=True)
class CallTask:
    """A task that calls, as a Dag file has it.

    :param form: one person, a list in one task, or a task mapped over a list.
    :param people: who is to be called at first.
    :param place: where it keeps its records.
    """

    task_id: str
    form: Form
    people: Sequence[str]
    place: Place
    once_per: Literal["run", "ever"]
    on_unknown: Literal["fail", "skip", "repeat"]
    outside_hours: Literal["skip", "fail", "reschedule"]
    hours: Hours
    do_not_call: Sequence[str] | None
    max_contacts: int | None
    allow_backfill: bool
    retries: int
    retry_delay: float


@dataclass(frozen=True)
class Phase:
    """What happens to a Dag run, and then all its tasks that have to run, run.

    :param event: a new Dag run, a backfill run, or a clear of the last one: of all its tasks, or of one of them.
    :param change: what has become of the lists.
    :param seconds: how long after the phase before.
    :param workers: how many tasks run at the same time.
    :param switched: after how many seconds calls are switched off, and after how many more on; ``None`` if never.
    """

    event: Literal["new run", "backfill", "clear run", "clear task"]
    change: Change
    seconds: float
    workers: int
    switched: tuple[float, float] | None


@dataclass(frozen=True)
class CallRun:
    """What a run is about.

    :param agent: the fields of the agent that calls; ``None`` if there is none.
    :param provision_after: when it gets its number.
    :param begins_at: the time at which the run begins, in seconds of 1970.
    :param latency: the most seconds that a response takes.
    :param clears_on_success: whether Airflow deletes what a task has in the task state store when it succeeds.
    :param storage_rate: how probable it is that a read or a write of a record fails.
    :param takeover_rate: how probable it is that a worker is paused there, and another one takes its task over.
    """

    service: ServiceKind
    agent: Mapping[str, Any] | None
    provision_after: str
    begins_at: float
    latency: float
    tasks: Sequence[CallTask]
    phases: Sequence[Phase]
    clears_on_success: bool
    fault_rate: float
    storage_rate: float
    takeover_rate: float
    secrets_outage: SecretsOutage | None


def draw_call_run(draws: Random) -> CallRun:
    """Draw what a run is about."""
    begins_at = draws.uniform(0.0, 3 * _DAY)
    if draws.random() < 0.4:
        begins_at = draws.choice(_CLOSINGS) - draws.uniform(0.0, 200.0)
    agent_type = draws.choices(("outbound", "inbound", "none"), weights=(90, 5, 5))[0]
    return CallRun(
        service=replace(draw_service(draws), generation="2026", tidies=None),
        agent=None if agent_type == "none" else {"name": AGENT_NAME, "type": agent_type},
        provision_after=draws.choices(("now", "90s", "never"), weights=(90, 5, 5))[0],
        begins_at=begins_at,
        latency=draws.choice((0.0, 0.0, 20.0, 120.0)),
        tasks=_draw_tasks(draws),
        phases=[_draw_phase(draws, is_first=number == 0) for number in range(draws.randint(2, 5))],
        clears_on_success=draws.random() < 0.15,
        fault_rate=draws.choice((0.0, 0.1, 0.2, 0.4)),
        storage_rate=draws.choice((0.0, 0.0, 0.02, 0.06)),
        takeover_rate=draws.choice((0.0, 0.0, 0.03)),
        secrets_outage=_draw_secrets_outage(draws, begins_at),
    )


def changed(draws: Random, people: Sequence[str], change: Change) -> list[str]:
    """Return what has become of a list."""
    people = list(people)
    if change == "reordered":
        draws.shuffle(people)
    elif change == "grown":
        others = sorted(PEOPLE.keys() - {*people})
        people.insert(draws.randint(0, len(people)), draws.choice(others))
    elif change == "shortened" and len(people) > 1:
        del people[draws.randrange(len(people))]
    elif change == "doubled":
        people.insert(draws.randint(0, len(people)), draws.choice(people))
    return people


def _draw_tasks(draws: Random) -> list[CallTask]:
    # Two tasks that share their records for ever are to meet the same people.
    known = draws.sample(sorted(PEOPLE), 5)
    first = _draw_task(draws, 1, known)
    if draws.random() < 0.6:
        return [first]
    second = _draw_task(draws, 2, known)
    if draws.random() < 0.5:
        second = replace(second, place=first.place, once_per=first.once_per, outside_hours=first.outside_hours)
    return [first, second]


def _draw_task(draws: Random, number: int, known: Sequence[str]) -> CallTask:
    form: Form = draws.choices(("one", "list", "mapped"), weights=(2, 4, 6))[0]
    place: Place = draws.choices(("state", "folder", "memory", "none"), weights=(55, 15, 10, 20))[0]
    is_shared = place in ("folder", "memory")
    listed = draws.sample(known, 1 if form == "one" else draws.randint(1, 4))
    if form != "one" and draws.random() < 0.1:
        listed = changed(draws, listed, "doubled")
    return CallTask(
        task_id=f"call_{number}",
        form=form,
        people=listed,
        place=place,
        once_per="ever" if is_shared and draws.random() < 0.5 else "run",
        on_unknown=draws.choices(("fail", "skip", "repeat"), weights=(4, 2, 4))[0],
        # An Airflow that has no task state store cannot come back to a task.
        outside_hours=draws.choice(("skip", "fail") if place == "none" else ("skip", "skip", "fail", "reschedule")),
        hours=draws.choices(_HOURS, weights=(1, 2, 1))[0],
        do_not_call=draws.sample(known, draws.randint(1, 2)) if draws.random() < 0.3 else None,
        max_contacts=draws.choices((100, None, 2), weights=(8, 1, 1))[0],
        allow_backfill=draws.random() < 0.3,
        retries=draws.randint(0, 4),
        retry_delay=draws.choice((0.0, 5.0, 300.0)),
    )


def _draw_phase(draws: Random, *, is_first: bool) -> Phase:
    event: Any = draws.choices(("new run", "backfill", "clear run", "clear task"), weights=(2, 1, 5, 2))[0]
    if is_first:
        event = draws.choices(("new run", "backfill"), weights=(9, 1))[0]
    change: Any = draws.choices(("none", "reordered", "grown", "shortened", "doubled"), weights=(5, 5, 6, 3, 1))[0]
    return Phase(
        event=event,
        change="none" if is_first else change,
        seconds=0.0 if is_first else draws.choice((60.0, 3600.0, 43_200.0)),
        workers=draws.choice((1, 2, 3, 3)),
        switched=(draws.uniform(0.0, 60.0), draws.uniform(1.0, 600.0)) if draws.random() < 0.12 else None,
    )


def _draw_secrets_outage(draws: Random, begins_at: float) -> SecretsOutage | None:
    begins, seconds = begins_at + draws.uniform(0.0, 300.0), draws.uniform(1.0, 200.0)
    return SecretsOutage(begins, begins + seconds) if draws.random() < 0.1 else None


def read_call(content: bytes) -> tuple[str, str]:
    """Return the agent and the number that a request for a call names."""
    body = json.loads(content)
    return body["phoneAgentId"], body["contact"]["phoneNumber"]
