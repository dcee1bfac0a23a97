"""Draws runs of Dags that create and start a sequence, and add people to a continuous one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from airflow.sdk import BaseOperator

from airflow_provider_opencx.operators.sequence import (
    OpenCXAddContactsToSequenceOperator,
    OpenCXCreateSequenceOperator,
    OpenCXStartSequenceOperator,
    phone_step,
)
from fault_campaign.dags import (
    AGENT_NAME,
    CLOSINGS,
    DAY,
    HOURS,
    PEOPLE,
    DagScenario,
    DagTask,
    PeopleTask,
    Phase,
    Place,
    changed,
    draw_outage,
    draw_phase,
)
from fault_campaign.faults import LONGEST_LAG, draw_service

if TYPE_CHECKING:
    from fault_campaign.dag_runs import DagTry

AGENT_ID = "pa_000001"
"""The id of the first agent, whether there is one or not."""

CONTINUOUS_ID = "seq_000001"
"""The id of the first sequence, which somebody has made in the dashboard."""

CREATE = "create"

Edit: TypeAlias = Literal["people", "everybody", "steps", "is_continuous"]
"""What somebody changes in the dashboard."""

_DROPPED: Sequence[Sequence[str]] = (
    ("filter",),
    ("phone_number_in",),
    ("is_continuous",),
    ("steps.delay_in_minutes",),
    ("aiPhoneAgentId",),
    ("custom_id",),
)


@dataclass(frozen=True)
class CreateTask(DagTask):
    """A task that makes sure that there is a sequence.

    :param custom_id: made by the operator, given and another one in each run, or the same in all runs.
    :param missing_contacts: what it does about people whom the organization has not as contacts.
    :param delay: minutes before a second step; ``None`` if there is one step.
    """

    custom_id: Literal["made", "of a run", "of all runs"]
    missing_contacts: Literal["fail", "leave_out"]
    delay: float | None


@dataclass(frozen=True)
class StartTask(DagTask):
    """A task that starts the sequence.

    :param given: what of the sequence it is given.
    """

    given: Literal["result", "id", "custom_id"]

    @property
    def upstream(self) -> str:
        """The id of the task that has to succeed before it."""
        return CREATE

    @property
    def kind(self) -> str:
        """What sentences say of it."""
        return f"{self.given}, {self.place}"


@dataclass(frozen=True)
class AddTask(PeopleTask):
    """A task that adds people to the continuous sequence."""

    result_key: ClassVar[str] = "added"

    batch_size: int

    def people_in(self, result: Any) -> Sequence[Mapping[str, Any]]:
        """Return what its result says of people."""
        return () if result is None else result["contacts"]


@dataclass(frozen=True)
class SequencePhase(Phase):
    """What happens to a Dag run, and to the service before.

    :param dropped: the fields that the service drops from now on.
    :param edit: what somebody changes of a sequence that has not begun; ``None`` for nothing.
    :param edits_between: whether that is done between a create and a start, in place of before the phase.
    :param waits_for_start: whether who switches calls off waits for a task that starts a sequence.
    """

    dropped: Sequence[str]
    edit: Edit | None
    edits_between: bool
    waits_for_start: bool


@dataclass(frozen=True)
class SequenceRun(DagScenario):
    """What a run is about.

    :param contacts: the number of each contact.
    :param strangers: numbers that are listed, and that no contact has.
    :param admitted: the numbers that the continuous sequence admits; ``None`` for all contacts.
    :param lag: how many seconds a sequence is behind where it is read.
    :param finds_by_custom_id: whether the service finds a sequence by its custom id.
    :param step_takes: seconds.
    """

    contacts: Sequence[str]
    strangers: Sequence[str]
    admitted: Sequence[str] | None
    lag: float
    finds_by_custom_id: bool
    step_takes: float
    page_size: int

    @property
    def dag_id(self) -> str:
        """The id of the Dag."""
        return "campaign"

    @property
    def known(self) -> Iterable[str]:
        """The numbers that a list may grow by."""
        return (*self.contacts, *self.strangers)

    @property
    def shared_numbers(self) -> set[str]:
        """The numbers that several contacts have."""
        return {number for number in self.contacts if self.contacts.count(number) > 1}


def filter_of(numbers: Sequence[str] | None) -> dict[str, Any]:
    """Return the filter that selects some numbers, ``None`` for all contacts."""
    if numbers is None:
        return {"or": [{"and": [{"type": "all_contacts"}]}]}
    return {"or": [{"and": [{"type": "contacts_phone_number_in", "phone_number_in": list(numbers)}]}]}


def operator_of(tried: DagTry, folder: str) -> BaseOperator:
    """Return the operator that a Dag file would have for a task.

    :param folder: a folder for records.
    """
    task, guards = tried.task, tried.task.guards(folder)
    if isinstance(task, CreateTask):
        return _create(task, tried)
    if isinstance(task, StartTask):
        given = tried.given if task.given == "result" else tried.given[task.given]
        return OpenCXStartSequenceOperator(sequence_id=given, **guards)
    if isinstance(task, AddTask):
        return OpenCXAddContactsToSequenceOperator(
            sequence_id=CONTINUOUS_ID,
            contacts=tried.people,
            batch_size=task.batch_size,
            on_unknown=task.on_unknown,
            once_per=task.once_per,
            **guards,
        )
    raise TypeError(task)


def _create(task: CreateTask, tried: DagTry) -> OpenCXCreateSequenceOperator:
    custom_ids = {"of a run": f"campaign of {tried.run.run_id}", "of all runs": "campaign"}
    delayed = [] if task.delay is None else [phone_step(AGENT_ID, delay=timedelta(minutes=task.delay))]
    return OpenCXCreateSequenceOperator(
        task_id=task.task_id,
        name="Campaign",
        steps=[phone_step(AGENT_ID), *delayed],
        contacts_from=tried.people,
        custom_id=custom_ids.get(task.custom_id),
        max_contacts=task.max_contacts,
        calling_hours=task.hours.written,
        missing_contacts=task.missing_contacts,
        retries=task.retries,
        **task.do_not_call_list(),
    )


def draw_sequence_run(draws: Random, *, may_be_shared: bool = True) -> SequenceRun:
    """Draw what a run is about.

    :param may_be_shared: whether two tasks may start the same sequence.
    """
    region = draws.choice(sorted(CLOSINGS))
    of_region = [number for number, zones in PEOPLE.items() if zones == (region,)]
    others = draws.sample(sorted(PEOPLE.keys() - {*of_region}), draws.randint(1, 4))
    strangers = draws.sample([*of_region, *others], 1) if draws.random() < 0.25 else []
    contacts = [number for number in (*of_region, *others) if number not in strangers]
    if draws.random() < 0.06:
        contacts.append(draws.choice(contacts))
    listed = [*contacts, *strangers]
    begins_at = draws.uniform(0.0, 3 * DAY)
    kind = draws.choices(("any time", "open", "closing"), weights=(2, 5, 3))[0]
    if kind != "any time":
        begins_at = CLOSINGS[region] - draws.uniform(0.0, 200.0 if kind == "closing" else 9 * 3600.0)
    agent_type = draws.choices(("outbound", "inbound", "none"), weights=(94, 3, 3))[0]
    surroundings = _Surroundings(
        near=[number for number in listed if number in of_region],
        known=listed,
        has_state_store=draws.random() < 0.7,
        finds_by_custom_id=draws.random() < 0.5,
        may_be_shared=may_be_shared,
    )
    return SequenceRun(
        service=replace(draw_service(draws), generation=draws.choice(("2025", "2026")), tidies=None),
        agent=None if agent_type == "none" else {"name": AGENT_NAME, "type": agent_type},
        provision_after=draws.choices(("now", "90s", "never"), weights=(85, 12, 3))[0],
        begins_at=begins_at,
        latency=draws.choice((0.0, 0.0, 20.0, 120.0)),
        tasks=_draw_tasks(draws, surroundings),
        phases=[_draw_phase(draws, is_first=number == 0) for number in range(draws.randint(2, 4))],
        clears_on_success=draws.random() < 0.15,
        fault_rate=draws.choice((0.0, 0.05, 0.1, 0.2, 0.3)),
        storage_rate=draws.choice((0.0, 0.0, 0.02, 0.06)),
        takeover_rate=draws.choice((0.0, 0.0, 0.05)),
        secrets_outage=draw_outage(draws, begins_at),
        contacts=contacts,
        strangers=strangers,
        admitted=draws.sample(listed, draws.randint(1, len(listed))) if draws.random() < 0.4 else None,
        lag=draws.uniform(0.0, LONGEST_LAG) if draws.random() < 0.4 else 0.0,
        finds_by_custom_id=surroundings.finds_by_custom_id,
        step_takes=draws.uniform(1.0, 10.0),
        page_size=draws.randint(3, 8),
    )


@dataclass(frozen=True)
class _Surroundings:
    """What the tasks of a run are drawn for.

    :param near: numbers of one region, who may be called at the same hours.
    :param known: all numbers.
    """

    near: Sequence[str]
    known: Sequence[str]
    has_state_store: bool
    finds_by_custom_id: bool
    may_be_shared: bool

    @property
    def weights_of_custom_ids(self) -> tuple[int, int, int]:
        """How probable each kind of custom id is. One that is given is refused where the service does not find it."""
        given = 3 if self.finds_by_custom_id else 1
        return (7, given, given if self.may_be_shared else 0)


def _draw_tasks(draws: Random, of: _Surroundings) -> list[DagTask]:
    kind = draws.choices(("campaign", "both", "add"), weights=(5, 4, 2))[0]
    campaign = [] if kind == "add" else _draw_campaign(draws, of)
    return campaign if kind == "campaign" else [*campaign, _draw_add(draws, of)]


def _draw_campaign(draws: Random, of: _Surroundings) -> list[DagTask]:
    listed = draws.sample(of.near, draws.randint(1, len(of.near)))
    if draws.random() < 0.25:
        listed = draws.sample(of.known, draws.randint(2, len(of.known) - 1))
    create = CreateTask(
        task_id=CREATE,
        people=changed(draws, listed, "doubled") if draws.random() < 0.05 else [*dict.fromkeys(listed)],
        place="state" if of.has_state_store else "none",
        has_state_store=of.has_state_store,
        outside_hours="fail",
        hours=draws.choices(HOURS, weights=(8, 3, 1))[0],
        do_not_call=draws.sample(of.known, draws.randint(1, 2)) if draws.random() < 0.3 else None,
        max_contacts=draws.choices((100, None, 2), weights=(16, 2, 1))[0],
        allow_backfill=True,
        retries=draws.randint(1, 4),
        retry_delay=draws.choice((0.0, 5.0, 300.0)),
        custom_id=draws.choices(("made", "of a run", "of all runs"), weights=of.weights_of_custom_ids)[0],
        missing_contacts=draws.choice(("fail", "leave_out", "leave_out", "leave_out")),
        delay=draws.choice((5.0, 60.0, 600.0)) if draws.random() < 0.2 else None,
    )
    starts = [_draw_start(draws, create, "start")]
    if of.may_be_shared and draws.random() < 0.25:
        starts.append(_draw_start(draws, create, "start_again"))
    return [create, *starts]


def _draw_start(draws: Random, create: CreateTask, task_id: str) -> StartTask:
    has_state_store = create.has_state_store
    place: Place = draws.choices(
        ("state", "folder", "memory", "none"), weights=(55, 15, 5, 0) if has_state_store else (0, 45, 10, 35)
    )[0]
    do_not_call = list(create.do_not_call or ())
    if draws.random() < 0.2:
        do_not_call.append(draws.choice(create.people))
    is_another = draws.random() < 0.1
    common = {each.name: getattr(create, each.name) for each in fields(DagTask)}
    return StartTask(
        **{
            **common,
            "task_id": task_id,
            "people": [],
            "place": place,
            "outside_hours": draws.choice(("fail", "reschedule")) if has_state_store else "fail",
            "hours": draws.choice(HOURS) if is_another else create.hours,
            "do_not_call": do_not_call or None,
            "max_contacts": draws.choices((100, 2), weights=(4, 1))[0],
            "allow_backfill": draws.random() < 0.3,
            "retries": draws.randint(0, 3),
        },
        given=draws.choices(("result", "id", "custom_id"), weights=(7, 2, 2))[0],
    )


def _draw_add(draws: Random, of: _Surroundings) -> AddTask:
    place: Place = draws.choices(
        ("state", "folder", "memory", "none"), weights=(60, 20, 10, 0) if of.has_state_store else (0, 25, 5, 45)
    )[0]
    is_shared = place in ("folder", "memory")
    numbers = sorted({*of.known})
    return AddTask(
        task_id="add",
        by=draws.choice(("list", "list", "mapped")),
        people=draws.sample(numbers, draws.randint(1, min(5, len(numbers)))),
        place=place,
        has_state_store=of.has_state_store,
        once_per="ever" if is_shared and draws.random() < 0.5 else "run",
        on_unknown=draws.choices(("fail", "skip", "repeat"), weights=(4, 2, 4))[0],
        outside_hours=draws.choice(("skip", "skip", "fail", "reschedule") if of.has_state_store else ("skip", "fail")),
        hours=draws.choices(HOURS, weights=(3, 2, 1))[0],
        do_not_call=draws.sample(numbers, 1) if draws.random() < 0.25 else None,
        max_contacts=draws.choices((100, None, 2), weights=(8, 1, 1))[0],
        allow_backfill=draws.random() < 0.3,
        retries=draws.randint(0, 3),
        retry_delay=draws.choice((0.0, 5.0, 300.0)),
        batch_size=draws.randint(1, 3),
    )


def _draw_phase(draws: Random, *, is_first: bool) -> SequencePhase:
    phase = draw_phase(draws, is_first=is_first)
    edits: Sequence[Edit] = ("people", "everybody", "steps", "is_continuous")
    edit = draws.choice(edits) if draws.random() < 0.3 else None
    edits_between = is_first or draws.random() < 0.4
    if edit is not None and not edits_between and draws.random() < 0.5:
        phase = replace(phase, event="clear task")
    waits_for_start = draws.random() < 0.2
    if waits_for_start:
        phase = replace(
            phase, switched=(draws.uniform(0.0, draws.choice((5.0, 60.0, 200.0))), draws.uniform(1.0, 600.0))
        )
    return SequencePhase(
        **{each.name: getattr(phase, each.name) for each in fields(Phase)},
        dropped=draws.choice(_DROPPED) if draws.random() < 0.12 else (),
        edit=edit,
        edits_between=edits_between,
        waits_for_start=waits_for_start,
    )


def numbers_in(content: bytes) -> list[str]:
    """Return the numbers that a request adds to a sequence."""
    return [str(contact["phone_number"]) for contact in json.loads(content)["contacts"]]
