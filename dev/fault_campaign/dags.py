"""Shared by Dags that call: whom they call, when, where they keep records, and what happens to their runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any, ClassVar, Literal, TypeAlias
from zoneinfo import ZoneInfo

from fault_campaign.faults import ServiceKind
from fault_campaign.scenario import SecretsOutage

AGENT_NAME = "Caller"

Form: TypeAlias = Literal["one", "list", "mapped"]
Place: TypeAlias = Literal["state", "folder", "memory", "none"]
"""Where a task keeps its records: Airflow's task state store, a folder, fsspec's file system in memory, nowhere."""

Change: TypeAlias = Literal["none", "reordered", "grown", "shortened", "doubled"]
"""How a list differs when a task is cleared."""

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

DAY = 86_400.0
CLOSINGS: Mapping[str, float] = {
    "America/Los_Angeles": DAY + 4 * 3600,
    "Asia/Tokyo": DAY + 11 * 3600,
    "Europe/London": DAY + 19 * 3600,
}
"""Seconds of 1970 at which 20 o'clock comes to some places; London had summer time all that year."""


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


HOURS = (
    Hours(None),
    Hours("09:00-20:00", spans=((9, 20),)),
    Hours({"mon-fri": "09:00-12:00, 14:00-20:00"}, _MONDAY_TO_FRIDAY, ((9, 12), (14, 20))),
)


@dataclass(frozen=True)
class DagTask:
    """A task of a Dag file.

    :param people: whom it is about at first; nobody of a task that gets them from another one.
    :param place: where it keeps its records.
    :param has_state_store: whether its Airflow has a task state store, as since 3.3.
    :param outside_hours: what it does about people at another time: ``"skip"``, ``"fail"`` or ``"reschedule"``.
    :param retry_delay: seconds.
    """

    result_key: ClassVar[str] = "return_value"
    """The XCom that says how it ended."""

    task_id: str
    people: Sequence[str]
    place: Place
    has_state_store: bool
    outside_hours: Any
    hours: Hours
    do_not_call: Sequence[str] | None
    max_contacts: int | None
    allow_backfill: bool
    retries: int
    retry_delay: float

    @property
    def form(self) -> Form:
        """Whether it is one task, or mapped over a list."""
        return "list"

    @property
    def kind(self) -> str:
        """What sentences say of it."""
        return self.place

    @property
    def upstream(self) -> str | None:
        """The id of the task that has to succeed before it; ``None`` if there is none."""
        return None

    def people_in(self, result: Any) -> Sequence[Mapping[str, Any]]:
        """Return what its result says of people."""
        return ()

    def guards(self, folder: str) -> dict[str, Any]:
        """Return the arguments that all operators that call have in common.

        :param folder: a folder for records.
        """
        paths = {"folder": f"file://{folder}/calls", "memory": "memory://calls"}
        return {
            "task_id": self.task_id,
            "max_contacts": self.max_contacts,
            "calling_hours": self.hours.written,
            "outside_hours": self.outside_hours,
            "ledger_path": paths.get(self.place),
            "allow_backfill": self.allow_backfill,
            "retries": self.retries,
            **self.do_not_call_list(),
        }

    def do_not_call_list(self) -> dict[str, Any]:
        """Return the argument with the do-not-call list, if there is one. Others write numbers as they like."""
        if self.do_not_call is None:
            return {}
        return {"do_not_call": ", ".join(f"{number[:4]} {number[4:7]}-{number[7:]}" for number in self.do_not_call)}


@dataclass(frozen=True)
class PeopleTask(DagTask):
    """A task that does something to each of some people, once.

    :param by: one person, a list in one task, or a task mapped over a list.
    """

    by: Form
    once_per: Literal["run", "ever"]
    on_unknown: Literal["fail", "skip", "repeat"]

    @property
    def form(self) -> Form:
        """Whether it is for one person, for a list, or mapped over a list."""
        return self.by

    @property
    def kind(self) -> str:
        """What sentences say of it."""
        return f"{self.by}, {self.place}"


@dataclass(frozen=True)
class Phase:
    """What happens to a Dag run, and then all its tasks that have to run, run.

    :param event: a new Dag run, a backfill run, or a clear of the last one: of all its tasks, or of one of them.
    :param change: how the lists differ from now on.
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
class DagScenario:
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
    tasks: Sequence[DagTask]
    phases: Sequence[Phase]
    clears_on_success: bool
    fault_rate: float
    storage_rate: float
    takeover_rate: float
    secrets_outage: SecretsOutage | None

    @property
    def dag_id(self) -> str:
        """The id of the Dag."""
        return "calls"

    @property
    def known(self) -> Iterable[str]:
        """The numbers that a list may grow by."""
        return PEOPLE


def changed(draws: Random, people: Sequence[str], change: Change, known: Iterable[str] = PEOPLE) -> list[str]:
    """Return a list as it is after a change.

    :param known: the numbers that it may grow by.
    """
    people = list(people)
    if change == "reordered":
        draws.shuffle(people)
    elif change == "grown" and (others := sorted({*known} - {*people})):
        people.insert(draws.randint(0, len(people)), draws.choice(others))
    elif change == "shortened" and len(people) > 1:
        del people[draws.randrange(len(people))]
    elif change == "doubled":
        people.insert(draws.randint(0, len(people)), draws.choice(people))
    return people


def draw_phase(draws: Random, *, is_first: bool) -> Phase:
    """Draw what happens to a Dag run.

    :param is_first: whether there is none yet.
    """
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


def draw_outage(draws: Random, begins_at: float) -> SecretsOutage | None:
    """Draw when the connection cannot be read; mostly never."""
    begins, seconds = begins_at + draws.uniform(0.0, 300.0), draws.uniform(1.0, 200.0)
    return SecretsOutage(begins, begins + seconds) if draws.random() < 0.1 else None
