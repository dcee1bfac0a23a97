"""Draws runs in which an agent calls people, from tasks that are retried, cleared, killed and replaced."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_opencx.operators.call import OpenCXPlaceCallOperator
from fault_campaign.dags import (
    AGENT_NAME,
    CLOSINGS,
    DAY,
    HOURS,
    PEOPLE,
    DagScenario,
    Form,
    PeopleTask,
    Place,
    changed,
    draw_outage,
    draw_phase,
)
from fault_campaign.faults import draw_service

if TYPE_CHECKING:
    from fault_campaign.dag_runs import DagTry


@dataclass(frozen=True)
class CallTask(PeopleTask):
    """A task that calls, as a Dag file has it."""

    result_key: ClassVar[str] = "calls"

    def people_in(self, result: Any) -> Sequence[Mapping[str, Any]]:
        """Return what its result says of people."""
        return result or ()


def operator_of(tried: DagTry, folder: str) -> OpenCXPlaceCallOperator:
    """Return the operator that a Dag file would have for a task.

    :param folder: a folder for records.
    """
    task: Any = tried.task
    people = tried.people
    named: dict[str, Any] = {"contacts": people} if task.form == "list" else {"phone_number": people[0]}
    return OpenCXPlaceCallOperator(
        agent_name=AGENT_NAME, on_unknown=task.on_unknown, once_per=task.once_per, **task.guards(folder), **named
    )


def draw_call_run(draws: Random) -> DagScenario:
    """Draw what a run is about."""
    begins_at = draws.uniform(0.0, 3 * DAY)
    if draws.random() < 0.4:
        begins_at = draws.choice(sorted(CLOSINGS.values())) - draws.uniform(0.0, 200.0)
    agent_type = draws.choices(("outbound", "inbound", "none"), weights=(90, 5, 5))[0]
    return DagScenario(
        service=replace(draw_service(draws), generation="2026", tidies=None),
        agent=None if agent_type == "none" else {"name": AGENT_NAME, "type": agent_type},
        provision_after=draws.choices(("now", "90s", "never"), weights=(90, 5, 5))[0],
        begins_at=begins_at,
        latency=draws.choice((0.0, 0.0, 20.0, 120.0)),
        tasks=_draw_tasks(draws),
        phases=[draw_phase(draws, is_first=number == 0) for number in range(draws.randint(2, 5))],
        clears_on_success=draws.random() < 0.15,
        fault_rate=draws.choice((0.0, 0.1, 0.2, 0.4)),
        storage_rate=draws.choice((0.0, 0.0, 0.02, 0.06)),
        takeover_rate=draws.choice((0.0, 0.0, 0.03)),
        secrets_outage=draw_outage(draws, begins_at),
    )


def _draw_tasks(draws: Random) -> list[CallTask]:
    # Two tasks that share their records for ever are to meet the same people.
    known = draws.sample(sorted(PEOPLE), 5)
    first = _draw_task(draws, 1, known)
    if draws.random() < 0.6:
        return [first]
    second = _draw_task(draws, 2, known)
    if draws.random() < 0.5:
        second = replace(
            second,
            place=first.place,
            has_state_store=first.has_state_store,
            once_per=first.once_per,
            outside_hours=first.outside_hours,
        )
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
        by=form,
        people=listed,
        place=place,
        has_state_store=place != "none",
        once_per="ever" if is_shared and draws.random() < 0.5 else "run",
        on_unknown=draws.choices(("fail", "skip", "repeat"), weights=(4, 2, 4))[0],
        # An Airflow that has no task state store cannot come back to a task.
        outside_hours=draws.choice(("skip", "fail") if place == "none" else ("skip", "skip", "fail", "reschedule")),
        hours=draws.choices(HOURS, weights=(1, 2, 1))[0],
        do_not_call=draws.sample(known, draws.randint(1, 2)) if draws.random() < 0.3 else None,
        max_contacts=draws.choices((100, None, 2), weights=(8, 1, 1))[0],
        allow_backfill=draws.random() < 0.3,
        retries=draws.randint(0, 4),
        retry_delay=draws.choice((0.0, 5.0, 300.0)),
    )


def read_call(content: bytes) -> tuple[str, str]:
    """Return the agent and the number that a request for a call names."""
    body = json.loads(content)
    return body["phoneAgentId"], body["contact"]["phoneNumber"]
