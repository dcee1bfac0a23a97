"""Measures the sync of a fleet: its requests and its time, compared with the least that the service's limit allows."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import http_tasks
from airflow.exceptions import AirflowException
from report import Section, Table, seconds, show
from running import connect, execute
from simulated_service import SimulatedService, simulated_service

from airflow_provider_opencx.operators.phone_agent import OpenCXSyncPhoneAgentsOperator, OpenCXUpsertPhoneAgentOperator

LIMIT, PACE = 100, 90
"""The requests that the service takes in a minute, and those that this provider sends by default."""

NOTES = """
- *An upsert for each* and *a task for each* were measured with {sample} agents of each kind, in a list of {size:,},
  and multiplied. Times are those of `execute`, in one process, one task after the other. A task an agent is a worker
  process an agent, of which Airflow runs several at once; what one costs, the first `execute` of a process shows
  below.
- An upsert in a process of its own paces itself alone; a 429 it waits out and sends again. With the connection's extra
  `coordination` the processes share one pace, and the bound of their requests at that is their time.
- The bound: the first {limit} requests go at once, and so many more each minute after. The time at a pace is the
  longer of the bound that it sets and of the time without a limit; the second table shows in earnest that this holds.
- *One list, a task for each that differs*: written with care, `HttpOperator` needs as few requests, and is quicker
  where nothing has changed, since it checks less. It is not paced: a task past the limit fails.
"""

Declarations = Sequence[Mapping[str, Any]]


def measure(quick: bool) -> Section:
    """Bring fleets to their declarations."""
    size, some, sample, paced = (200, 10, 20, 120) if quick else (1000, 10, 50, 150)
    with simulated_service() as service:
        connect(service)
        for run in _SUBJECTS.values():
            run(service, 1, 0, 1)  # what the first task of a process pays is shown elsewhere
        rows, by_subject = [], {}
        for changed in (0, some, size):
            for subject, run in _SUBJECTS.items():
                requests, took = run(service, size, changed, sample)
                by_subject[subject, changed] = requests, took
                what = {0: "nothing changed", size: "all changed"}.get(changed, f"{changed} changed")
                paced_time = seconds(max(took, _bound(requests, PACE))) if subject in _PACED else "not paced"
                rows.append(
                    [what, subject, f"{requests:,}", seconds(took), seconds(_bound(requests, LIMIT)), paced_time]
                )
        unpaced = _unpaced(service, paced)
        limited = _limited(service, paced)

    sync, _, per_agent, by_hand = _SUBJECTS
    nothing, all_changed = by_subject[sync, 0], by_subject[sync, size]
    one_by_one = by_subject[per_agent, 0][0]
    return Section(
        "A fleet",
        [
            f"A fleet of {size:,}, nothing changed: {nothing[0]} request and {seconds(nothing[1])}. A task an agent, of"
            f" either provider, takes {one_by_one:,} requests, for which the service's limit alone sets"
            f" {seconds(_bound(one_by_one, LIMIT))}.",
            f"A fleet of {size:,}, all changed: {all_changed[0]:,} requests, two to list and one for each write. The"
            f" limit sets {seconds(_bound(all_changed[0], LIMIT))}, this provider's pace"
            f" {seconds(_bound(all_changed[0], PACE))}; the work itself takes {seconds(all_changed[1])}.",
        ],
        [
            Table(
                f"A fleet of {size:,}",
                (
                    "Fleet",
                    "How",
                    "Requests",
                    "Time without a limit",
                    f"Bound at {LIMIT} a minute",
                    f"Time at this provider's pace, {PACE}",
                ),
                rows,
            ),
            Table(
                f"{paced} agents, all changed, in earnest under the service's limit",
                ("How", "Requests", "Predicted", "Measured", "Tasks that failed"),
                [
                    [sync, f"{limited[0]:,}", seconds(_bound(limited[0], PACE)), seconds(limited[1]), "0"],
                    [by_hand, f"{paced + 1:,}", "not paced", seconds(unpaced[0]), f"{unpaced[1]} of {paced + 1}"],
                ],
            ),
        ],
        NOTES.format(sample=sample, size=size, limit=LIMIT),
    )


def _bound(requests: int, a_minute: int) -> float:
    """Return the least seconds in which so many requests can be sent."""
    return 60.0 * (max(0, requests - 1) // a_minute)


def _declared(size: int, changed: int) -> Declarations:
    return [
        {"name": f"agent {place}", "language": ["en"], "first_message": "Hello again!" if place < changed else "Hello!"}
        for place in range(size)
    ]


def _begin(service: SimulatedService, size: int) -> None:
    service.reset()
    service.limit(None)
    service.add_agents([{**declared, "type": "outbound"} for declared in _declared(size, 0)])
    service.forget_requests()


def _measured(service: SimulatedService, work: Callable[[], object]) -> tuple[int, float]:
    started = time.perf_counter()
    work()
    took = time.perf_counter() - started
    responses = service.responses() or {}
    return sum(responses.values()), took


def _sync(service: SimulatedService, size: int, changed: int, sample: int) -> tuple[int, float]:
    _begin(service, size)
    operator = OpenCXSyncPhoneAgentsOperator(task_id="fleet", agents=_declared(size, changed))
    return _measured(service, lambda: execute(operator))


def _by_hand(service: SimulatedService, size: int, changed: int, sample: int) -> tuple[int, float]:
    _begin(service, size)

    def work() -> None:
        for agent_id, changes in _changes(_declared(size, changed)):
            execute(http_tasks.change_agent(agent_id, changes))

    return _measured(service, work)


def _upserts(service: SimulatedService, size: int, changed: int, sample: int) -> tuple[int, float]:
    def work(declared: Mapping[str, Any]) -> None:
        execute(OpenCXUpsertPhoneAgentOperator(task_id="agent", **declared))

    return _one_by_one(service, size, changed, sample, work)


def _per_agent(service: SimulatedService, size: int, changed: int, sample: int) -> tuple[int, float]:
    def work(declared: Mapping[str, Any]) -> None:
        agent = execute(http_tasks.find_agent(declared["name"]))
        if changes := http_tasks.differences(declared, agent):
            execute(http_tasks.change_agent(agent["id"], changes))

    return _one_by_one(service, size, changed, sample, work)


def _one_by_one(
    service: SimulatedService, size: int, changed: int, sample: int, work: Callable[[Mapping[str, Any]], None]
) -> tuple[int, float]:
    """Measure some that changed and some that did not, and multiply."""
    _begin(service, size)
    requests = took = 0.0
    kinds = ((_declared(size, size), changed), (_declared(size, 0), size - changed))
    for declarations, of_this_kind in kinds:
        if of_this_kind:
            # From the end for those that did not change: the first have changed by then.
            chosen = declarations[:sample] if of_this_kind == changed else declarations[-sample:]
            service.forget_requests()
            sent, spent = _measured(service, lambda chosen=chosen: [work(declared) for declared in chosen])
            requests += of_this_kind * sent / len(chosen)
            took += of_this_kind * spent / len(chosen)
    return round(requests), took


def _changes(declarations: Declarations) -> list[tuple[str, dict[str, object]]]:
    agents = {agent["name"]: agent for agent in execute(http_tasks.list_agents())}
    found = [(agents[declared["name"]], declared) for declared in declarations]
    return [(agent["id"], changes) for agent, declared in found if (changes := http_tasks.differences(declared, agent))]


def _unpaced(service: SimulatedService, size: int) -> tuple[float, int]:
    """Return the seconds, and how many tasks fail, where a task for each agent meets the service's limit."""
    _begin(service, size)
    service.limit(LIMIT)
    failed, started = 0, time.perf_counter()
    for agent_id, changes in _changes(_declared(size, size)):
        try:
            execute(http_tasks.change_agent(agent_id, changes))
        except AirflowException:
            failed += 1
    return time.perf_counter() - started, failed


def _limited(service: SimulatedService, size: int) -> tuple[int, float]:
    """Return the requests and the seconds of one task that keeps to its pace under the service's limit."""
    connect(service, paced=True)
    _begin(service, size)
    service.limit(LIMIT)
    operator = OpenCXSyncPhoneAgentsOperator(task_id="fleet", agents=_declared(size, size))
    return _measured(service, lambda: execute(operator))


_SUBJECTS = {
    "OpenCXSyncPhoneAgentsOperator": _sync,
    "an upsert for each": _upserts,
    "HttpOperator, a task for each": _per_agent,
    "HttpOperator, one list, a task for each that differs": _by_hand,
}
_PACED = list(_SUBJECTS)[:1]

if __name__ == "__main__":
    show(measure)
