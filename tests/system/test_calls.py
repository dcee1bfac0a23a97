"""Tests that nobody is called twice by a real Airflow that is killed, cleared, backfilled and switched off."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any, TypeAlias

import pytest
from airflow_standalone import AirflowStandalone, wait_for
from starlette.responses import Response

from airflow_provider_opencx.simulator import Fault, Simulator
from airflow_provider_opencx.simulator.call import Call
from airflow_provider_opencx.simulator.faults import Handle

from .held_tasks import (
    A_SLOW_MACHINE,
    BACKFILL,
    KILLED,
    NOT_ALLOWED,
    Answered,
    Holds,
    Kills,
    Moment,
    begin_backfill,
    clear,
    connection,
    end_backfill,
    instances,
    list_file,
    report,
    said,
    skipped_because,
    states,
    write_list,
)

ONE = "+14155550100"
SEVERAL = [f"+1415555010{number}" for number in range(1, 6)]
MANY = [f"+1415555{number}" for number in range(2000, 2200)]
DAYS = 8
SWITCHED_OFF_AFTER = 20

LISTS = {
    "calls_reordered": ["+14155550300", "+14155550301", "+14155550302"],
    "calls_grown": ["+14155550400", "+14155550401"],
}
"""The people of each file, as its run begins."""

MAY_HAVE_BEEN_CALLED = "May have been called: {} (at "
NOT_AGAIN = "Nothing is sent again automatically."
NOTHING_SENT = "Nothing is sent for people who were reached before: "
KNOWN = "{} was called at "
CHANGED = "nothing was sent, because the list changed since"
WAITS = "has not said yet whom it has called"

UNKNOWN = (MAY_HAVE_BEEN_CALLED.format(ONE), "may have been called by try 1 of", "0 of 1 people were called", NOT_AGAIN)

MOMENTS: dict[str, Moment[int]] = {
    "while_it_lists": Moment("listPhoneAgents", 0, 1, "success", [f"Called {ONE} at "]),
    "before_the_request": Moment(".recorded.1", 0, 0, "failed", UNKNOWN),
    "before_the_request_is_handled": Moment("makeOutboundCall", 0, 0, "failed", UNKNOWN),
    "after_the_request_was_handled": Moment("makeOutboundCall", 1, 1, "failed", UNKNOWN, is_handled=True),
    "before_the_outcome_is_recorded": Moment(".answered.1", 1, 1, "failed", UNKNOWN),
    "after_the_outcome_is_recorded": Moment(".finished.1", 1, 1, "success", [KNOWN.format(ONE)]),
    "before_the_task_ends": Moment(".returns", 1, 1, "success", [KNOWN.format(ONE)]),
    "list_between_two_people": Moment(
        ".finished.2", 2, 5, "success", [*map(KNOWN.format, SEVERAL[:2]), "5 of 5 people were called"]
    ),
    "list_after_a_request_was_handled": Moment(
        "makeOutboundCall",
        3,
        5,
        "failed",
        [MAY_HAVE_BEEN_CALLED.format(SEVERAL[2]), "4 of 5 people were called", NOT_AGAIN],
        answered=2,
        is_handled=True,
    ),
}
"""The moments of the tasks that are killed; what is counted is how many people were called."""

SERVICES = (*MOMENTS, "cleared", "mapped", "backfilled", "allowed", "switched", "without_switch")


class AnsweredAfter(Fault):
    """Handle a request, and answer it after something else was done."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.act = act

    async def respond(self, call: Call, handle: Handle) -> Response:
        response = handle(call)
        await asyncio.to_thread(self.act)
        return response


@pytest.fixture(scope="module")
def services(airflow: AirflowStandalone) -> Iterator[dict[str, Simulator]]:
    """A simulator for each task that is killed, and for each Dag; their connections are in Airflow's database."""
    with ExitStack() as running:
        services = {name: running.enter_context(Simulator(requests_per_minute=None)) for name in SERVICES}
        for name, simulator in services.items():
            simulator.add_agent("Caller", type="outbound")
            allowed = name != "without_switch"
            airflow.call("POST", "/connections", connection(f"calls_{name}", simulator, allow_calls=allowed))
        yield services


Runs: TypeAlias = dict[str, str]
"""The ids of runs, by their Dags; of the Dag with mapped tasks, by their lists."""


@pytest.fixture(scope="module")
def kills(services: dict[str, Simulator], holds: Holds) -> Kills[int]:
    return Kills(holds, services, MOMENTS)


@pytest.fixture(scope="module")
def runs(airflow: AirflowStandalone, services: dict[str, Simulator], kills: Kills[int]) -> Runs:
    """A run of each Dag, all begun at once, so that none waits for another."""
    simulator = services["switched"]
    simulator.fail("makeOutboundCall", Answered(), times=SWITCHED_OFF_AFTER - 1)
    simulator.fail("makeOutboundCall", AnsweredAfter(lambda: switch(airflow, simulator, allow_calls=False)))
    kills.plan()
    dag_ids = ("calls_switched", "calls_killed", "calls_cleared", "calls_without_switch")
    runs = {dag_id: airflow.start_dag(dag_id) for dag_id in dag_ids}
    for name, people in LISTS.items():
        write_list(airflow, name, people)
        runs[name] = airflow.start_dag("calls_mapped", conf={"file": str(list_file(airflow, name))})
    return runs


@pytest.fixture(scope="module")
def killed(airflow: AirflowStandalone, runs: Runs, kills: Kills[int]) -> dict[str, int]:
    """How many had been called when each task was killed, at its moment; their run is at its end."""
    called = kills.kill_each(lambda simulator: len(simulator.dialed()))
    airflow.end_state("calls_killed", runs["calls_killed"], within=A_SLOW_MACHINE)
    return called


@pytest.fixture(scope="module")
def switched_off(
    airflow: AirflowStandalone, services: dict[str, Simulator], runs: Runs
) -> tuple[list[str], dict[str, Any]]:
    """Who was called before calls were switched off, and the task; since then it is switched on again, and cleared."""
    run_id = runs["calls_switched"]
    airflow.end_state("calls_switched", run_id, within=A_SLOW_MACHINE)
    [instance] = airflow.task_instances("calls_switched", run_id)
    called = dialed(services["switched"])
    switch(airflow, services["switched"], allow_calls=True)
    clear(airflow, "calls_switched", run_id)
    return called, instance


@pytest.mark.parametrize("task_id", MOMENTS)
def test_killed_task_calls_nobody_twice(
    task_id: str, killed: dict[str, int], runs: Runs, airflow: AirflowStandalone, services: dict[str, Simulator]
) -> None:
    run_id, moment = runs["calls_killed"], MOMENTS[task_id]
    called = dialed(services[task_id])
    [instance] = instances(airflow, "calls_killed", run_id, task_id)
    first, second = (airflow.task_log("calls_killed", run_id, task_id, try_number=number) for number in (1, 2))
    report(
        f"{task_id}: {killed[task_id]} called when killed, {len(called)} in the end; {instance['state']} in try"
        f" {instance['try_number']}",
        *said(first, KILLED),
        *said(second, *moment.told),
    )
    assert killed[task_id] == moment.before
    assert max(Counter(called).values(), default=0) <= 1
    assert len(called) == moment.after
    assert (instance["state"], instance["try_number"]) == (moment.state, 2)
    assert said(first, KILLED)
    for sentence in moment.told:
        assert said(second, sentence), sentence


def test_task_killed_in_a_list_calls_the_rest(
    killed: dict[str, int], runs: Runs, airflow: AirflowStandalone, services: dict[str, Simulator]
) -> None:
    for task_id, statuses in {
        "list_between_two_people": ["called"] * 5,
        "list_after_a_request_was_handled": ["called", "called", "unknown", "called", "called"],
    }.items():
        results = airflow.xcom("calls_killed", runs["calls_killed"], task_id, key="calls")
        assert dialed(services[task_id]) == SEVERAL
        assert [result["phone_number"] for result in results] == SEVERAL
        assert [result["status"] for result in results] == statuses
        report(f"{task_id}: {len(SEVERAL)} of {len(SEVERAL)} dialed, each once; {statuses}")


def test_cleared_run_calls_nobody_and_returns_the_same(
    airflow: AirflowStandalone, services: dict[str, Simulator], runs: Runs
) -> None:
    run_id = runs["calls_cleared"]
    assert airflow.end_state("calls_cleared", run_id, within=A_SLOW_MACHINE) == "success"
    results = {task_id: airflow.xcom("calls_cleared", run_id, task_id) for task_id in ("one", "several")}
    called = dialed(services["cleared"])
    assert sorted(called) == [ONE, *SEVERAL]

    clear(airflow, "calls_cleared", run_id)
    assert airflow.end_state("calls_cleared", run_id, within=A_SLOW_MACHINE) == "success"
    assert {ti["try_number"] for ti in airflow.task_instances("calls_cleared", run_id)} == {2}
    assert dialed(services["cleared"]) == called
    assert {task_id: airflow.xcom("calls_cleared", run_id, task_id) for task_id in results} == results
    report(f"{len(called)} called, {len(dialed(services['cleared'])) - len(called)} more after the clear")
    for task_id, people in {"one": [ONE], "several": SEVERAL}.items():
        log = airflow.task_log("calls_cleared", run_id, task_id, try_number=2)
        [line] = said(log, NOTHING_SENT)
        report(line)
        for person in people:
            assert KNOWN.format(person) in line
        assert line.count(f"by try 1 of {task_id} in the run '{run_id}'") == len(people)


def test_cleared_run_with_a_reordered_list_calls_nobody(
    airflow: AirflowStandalone, services: dict[str, Simulator], runs: Runs
) -> None:
    run_id, people = runs["calls_reordered"], LISTS["calls_reordered"]
    first, second, third = people
    assert airflow.end_state("calls_mapped", run_id, within=A_SLOW_MACHINE) == "success"
    assert sorted(dialed(services["mapped"], people)) == people

    write_list(airflow, "calls_reordered", [second, first, third])
    clear(airflow, "calls_mapped", run_id)
    assert airflow.end_state("calls_mapped", run_id, within=A_SLOW_MACHINE) == "failed"
    called = dialed(services["mapped"], people)
    states = mapped_states(airflow, run_id)
    logs = [every_try(airflow, run_id, map_index=index) for index in range(3)]
    report(
        f"{len(people)} called, {len(called) - len(people)} more after the clear; {states}",
        *said(logs[0], CHANGED),
        *said(logs[1], CHANGED),
        *said(logs[2], KNOWN.format(third)),
    )
    assert sorted(called) == people
    assert states == ["failed", "failed", "success"]
    assert said(logs[0], f"{second}: {CHANGED}")
    assert said(logs[1], f"{first}: {CHANGED}")
    assert said(logs[2], KNOWN.format(third))


def test_cleared_run_with_a_grown_list_calls_nobody_who_moved(
    airflow: AirflowStandalone, services: dict[str, Simulator], runs: Runs, holds: Holds
) -> None:
    run_id, (moved, stays) = runs["calls_grown"], LISTS["calls_grown"]
    new, newer = "+14155550402", "+14155550403"
    people = [moved, stays, new, newer]
    assert airflow.end_state("calls_mapped", run_id, within=A_SLOW_MACHINE) == "success"
    assert sorted(dialed(services["mapped"], people)) == [moved, stays]

    # The task that has called begins first, and is held: Airflow has deleted what its first try told the others.
    has_called, has_moved = (f"{run_id}.{index}.begins" for index in (0, 2))
    for moment in (has_called, has_moved):
        holds.at(moment)
    write_list(airflow, "calls_grown", [new, stays, moved, newer])
    clear(airflow, "calls_mapped", run_id)
    for moment in (has_called, has_moved):
        wait_for(moment, partial(holds.held, moment), within=A_SLOW_MACHINE)
    holds.release(has_moved)

    def ended_or_waits() -> bool | None:
        [task] = [ti for ti in instances(airflow, "calls_mapped", run_id, "call") if ti["map_index"] == 2]
        waits = said(airflow.task_log("calls_mapped", run_id, "call", map_index=2), WAITS)
        return True if waits or task["state"] in ("success", "failed") else None

    wait_for("end of the task of the person who moved, unless it waits", ended_or_waits, within=A_SLOW_MACHINE)
    holds.release(has_called)
    assert airflow.end_state("calls_mapped", run_id, within=A_SLOW_MACHINE) == "failed"
    called = dialed(services["mapped"], people)
    states = mapped_states(airflow, run_id)
    log = every_try(airflow, run_id, map_index=2)
    report(f"{called[:2]} called, then {called[2:]} after the clear; {states}", *said(log, WAITS, moved))
    assert sorted(called) == [moved, stays, newer]
    assert states == ["failed", "success", "failed", "success"]
    assert said(log, f"{moved}: nothing was sent, because another mapped task of this run has called this person")


def test_backfill_calls_nobody_unless_it_may(airflow: AirflowStandalone, services: dict[str, Simulator]) -> None:
    begin_backfill(airflow, "calls_backfilled", days=DAYS)
    runs = end_backfill(airflow, "calls_backfilled", days=DAYS)
    ended = Counter(
        (ti["task_id"], ti["state"]) for run_id in runs for ti in airflow.task_instances("calls_backfilled", run_id)
    )
    reasons = [
        reason for run_id in runs for reason in skipped_because(airflow, "calls_backfilled", run_id, "not_allowed")
    ]
    report(
        f"{len(dialed(services['backfilled']))} called without allow_backfill, {len(dialed(services['allowed']))} with"
        f" it; {dict(ended)}",
        reasons[0],
    )
    assert dialed(services["backfilled"]) == []
    assert dialed(services["allowed"]) == [ONE] * DAYS
    assert ended == {("not_allowed", "skipped"): DAYS, ("allowed", "success"): DAYS}
    assert [reason.startswith(BACKFILL) for reason in reasons] == [True] * DAYS


def test_connection_without_the_switch_calls_nobody(
    airflow: AirflowStandalone, services: dict[str, Simulator], runs: Runs
) -> None:
    run_id = runs["calls_without_switch"]
    assert airflow.end_state("calls_without_switch", run_id, within=A_SLOW_MACHINE) == "failed"
    ended = states(airflow, "calls_without_switch", run_id)
    report(f"{len(dialed(services['without_switch']))} called; {ended}")
    assert services["without_switch"].requests == []
    assert ended == {"one": ("failed", 1), "several": ("failed", 1)}
    for task_id in ended:
        told = said(airflow.task_log("calls_without_switch", run_id, task_id), NOT_ALLOWED)
        report(*told)
        assert said(told, "switch on its extra allow_calls")


def test_batch_stops_when_calls_are_switched_off(
    airflow: AirflowStandalone, runs: Runs, switched_off: tuple[list[str], dict[str, Any]]
) -> None:
    called, instance = switched_off
    log = airflow.task_log("calls_switched", runs["calls_switched"], "call")
    told = said(log, f"{SWITCHED_OFF_AFTER} of 200 people were called. Then: ")
    report(
        f"{len(called)} dialed when switched off; {instance['state']} in try {instance['try_number']}",
        *told,
    )
    assert called == MANY[:SWITCHED_OFF_AFTER]
    assert (instance["state"], instance["try_number"]) == ("failed", 1)
    assert said(told, NOT_ALLOWED)


def test_batch_goes_on_when_calls_are_switched_on_again(
    airflow: AirflowStandalone, services: dict[str, Simulator], runs: Runs, switched_off: object
) -> None:
    run_id = runs["calls_switched"]
    assert airflow.end_state("calls_switched", run_id, within=A_SLOW_MACHINE) == "success"
    called = dialed(services["switched"])
    log = airflow.task_log("calls_switched", run_id, "call", try_number=2)
    [known] = said(log, NOTHING_SENT)
    report(f"{len(called)} dialed in both tries", known, *said(log, "200 people were called"))
    assert called == MANY
    assert known.count("by try 1 of call in the run") == SWITCHED_OFF_AFTER
    assert said(log, "200 of 200 people were called.")
    results = airflow.xcom("calls_switched", run_id, "call")
    assert [(result["phone_number"], result["status"]) for result in results] == [(each, "called") for each in MANY]


def switch(airflow: AirflowStandalone, simulator: Simulator, *, allow_calls: bool) -> None:
    """Switch calls off or on, while the batch runs."""
    body = connection("calls_switched", simulator, allow_calls=allow_calls)
    airflow.call("PATCH", "/connections/calls_switched", body)


def dialed(simulator: Simulator, people: Sequence[str] | None = None) -> list[str]:
    """Return who was called, in order; of some people alone, where others are called as well."""
    called = [str(call.phone_number) for call in simulator.dialed()]
    return called if people is None else [number for number in called if number in people]


def every_try(airflow: AirflowStandalone, run_id: str, *, map_index: int) -> list[str]:
    """Return the log of all tries of a mapped task: one that waits for another too long is tried again."""
    [task] = [ti for ti in instances(airflow, "calls_mapped", run_id, "call") if ti["map_index"] == map_index]
    numbers = range(1, task["try_number"] + 1)
    logs = [
        airflow.task_log("calls_mapped", run_id, "call", try_number=number, map_index=map_index) for number in numbers
    ]
    return [line for log in logs for line in log]


def mapped_states(airflow: AirflowStandalone, run_id: str) -> list[str]:
    tasks = instances(airflow, "calls_mapped", run_id, "call")
    return [str(ti["state"]) for ti in sorted(tasks, key=lambda ti: int(ti["map_index"]))]
