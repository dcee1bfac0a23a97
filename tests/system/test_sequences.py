"""Tests that a real Airflow that is killed, cleared, backfilled and switched off starts each sequence at most once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import pytest
from airflow_standalone import AirflowStandalone

from airflow_provider_opencx.simulator import Simulator

from .held_tasks import (
    A_SLOW_MACHINE,
    BACKFILL,
    KILLED,
    NOT_ALLOWED,
    Holds,
    Kills,
    Moment,
    begin_backfill,
    clear,
    connection,
    end_backfill,
    list_file,
    report,
    said,
    skipped_because,
    states,
    write_list,
)

PEOPLE = [f"+1415555060{number}" for number in range(1, 4)]
FIVE = [f"+1415555070{number}" for number in range(1, 6)]
NEW = "+14155550699"
AGENT, SEQUENCE, OTHER = "pa_000001", "seq_000001", "seq_000002"
DAYS = 3

LISTS = {
    "sequences_same": ["+14155550801", "+14155550802"],
    "sequences_changed": ["+14155550803", "+14155550804"],
}
"""The people of each file, as its run begins."""

ACCEPTED = "the service has accepted the start"
HAS_BEGUN = " has begun at "
KNOWN = "nothing is sent."
NEVER_AGAIN = "It is never started again automatically."
MAY_HAVE_BEEN_ADDED = "May have been added: {} (at "
NOT_AGAIN = "Nothing is sent again automatically."
UNKNOWN = (
    "may or may not have begun: try 1 of ",
    "for two minutes it has not shown that it has begun.",
    NEVER_AGAIN,
)


class Counted(NamedTuple):
    """What a service has had: sequences and starts, people who were added to a sequence, and calls."""

    sequences: int
    starts: int = 0
    added: int = 0
    called: int = 0


NONE_YET = Counted(sequences=0)
CREATED = Counted(sequences=1)
STARTED = Counted(sequences=1, starts=1, called=len(PEOPLE))


def added(people: int) -> Counted:
    """Return what is counted where some people were added to a sequence, which has called each of them."""
    return Counted(sequences=1, added=people, called=people)


CREATES = {
    "create_before_the_request": Moment(".recorded.1", NONE_YET, STARTED, "success", [" was created: seq_000001."]),
    "create_after_the_request_was_handled": Moment(
        "createSequence", CREATED, STARTED, "success", [" is there: "], is_handled=True
    ),
    "create_that_is_not_found": Moment(
        "createSequence",
        CREATED,
        STARTED._replace(sequences=2),
        "success",
        [" was created: seq_000002.", "The service does not find a sequence by its custom id"],
        is_handled=True,
    ),
    "create_after_the_record": Moment(".finished.1", CREATED, STARTED, "success", [" is there: "]),
}
NOT_FOUND = ("create_that_is_not_found", "create_after_the_record")
"""Of these, the service does not find a sequence by its custom id."""

STARTS = {
    "start_before_the_record": Moment("listPhoneAgents", CREATED, STARTED, "success", [ACCEPTED, HAS_BEGUN]),
    "start_before_the_request": Moment(".recorded.1", CREATED, CREATED, "failed", UNKNOWN),
    "start_before_the_request_is_handled": Moment("startSequence", CREATED, CREATED, "failed", UNKNOWN),
    "start_after_the_request_was_handled": Moment(
        "startSequence", STARTED, STARTED, "success", [HAS_BEGUN], is_handled=True
    ),
    "start_that_is_not_shown": Moment("startSequence", STARTED, STARTED, "failed", UNKNOWN, is_handled=True),
    "start_before_the_outcome_is_recorded": Moment(".answered.1", STARTED, STARTED, "success", [HAS_BEGUN]),
    "start_after_the_outcome_is_recorded": Moment(".finished.1", STARTED, STARTED, "success", [KNOWN]),
}


class Cleared(NamedTuple):
    """How a start of unknown outcome ends that is cleared: what is counted, its requests in all tries, its log."""

    state: str
    after: Counted
    requests: int
    told: str


CLEARED_STARTS = {
    "start_before_the_request": Cleared("success", STARTED, 0, HAS_BEGUN),  # somebody has started it by hand
    "start_that_is_not_shown": Cleared("success", STARTED, 1, HAS_BEGUN),  # it is shown by now
    "start_before_the_request_is_handled": Cleared("failed", CREATED, 1, NEVER_AGAIN),  # as it was
}

ENROLMENTS = {
    "enrol_before_the_records": Moment("listPhoneAgents", added(0), added(5), "success", ["5 of 5 people were added"]),
    "enrol_between_two_records": Moment(
        ".recorded.1",
        added(0),
        added(4),
        "failed",
        [MAY_HAVE_BEEN_ADDED.format(FIVE[0]), "4 of 5 people were added.", NOT_AGAIN],
    ),
    "enrol_before_the_request": Moment(
        ".recorded.2",
        added(0),
        added(3),
        "failed",
        [MAY_HAVE_BEEN_ADDED.format(FIVE[0]), f"; {FIVE[1]} (at ", "3 of 5 people were added.", NOT_AGAIN],
    ),
    "enrol_between_two_slices": Moment(
        ".finished.2",
        added(2),
        added(5),
        "success",
        [*(f"{person} was added at " for person in FIVE[:2]), "5 of 5 people were added"],
    ),
    "enrol_after_a_request_was_handled": Moment(
        "addContactsToSequence",
        added(4),
        added(5),
        "failed",
        [MAY_HAVE_BEEN_ADDED.format(FIVE[2]), f"; {FIVE[3]} (at ", "3 of 5 people were added.", NOT_AGAIN],
        answered=1,
        is_handled=True,
    ),
    "enrol_between_two_outcomes": Moment(
        ".finished.3",
        added(4),
        added(5),
        "failed",
        [f"{FIVE[2]} was added at ", MAY_HAVE_BEEN_ADDED.format(FIVE[3]), "4 of 5 people were added.", NOT_AGAIN],
    ),
}
UNKNOWN_AFTER = {
    "enrol_between_two_records": FIVE[:1],
    "enrol_before_the_request": FIVE[:2],
    "enrol_after_a_request_was_handled": FIVE[2:4],
    "enrol_between_two_outcomes": FIVE[3:4],
}
"""Who may have been added in the end; all others were."""

MOMENTS = CREATES | STARTS | ENROLMENTS
DAGS = {
    **dict.fromkeys(CREATES, "sequences_created"),
    **dict.fromkeys(STARTS, "sequences_started"),
    **dict.fromkeys(ENROLMENTS, "sequences_enrolled"),
}
SERVICES = (*MOMENTS, "cleared", "named", "backfilled", "allowed", "without_switch", "torn_down")


@pytest.fixture(scope="module")
def services(airflow: AirflowStandalone) -> Iterator[dict[str, Simulator]]:
    """A simulator for each task that is killed, and for each Dag, which would start a sequence a second time."""
    with ExitStack() as running:
        services = {name: running.enter_context(Simulator(requests_per_minute=None)) for name in SERVICES}
        for name, simulator in services.items():
            simulator.starts_again = True
            assert simulator.add_agent("Caller", type="outbound")["id"] == AGENT
            for person in (*PEOPLE, *LISTS["sequences_same"], *LISTS["sequences_changed"], NEW):
                simulator.add_contact(person)
            allowed = name != "without_switch"
            airflow.call("POST", "/connections", connection(f"sequences_{name}", simulator, allow_calls=allowed))
        for name in NOT_FOUND:
            services[name].finds_sequences_by_custom_id = False
        for name in (*STARTS, "without_switch"):
            services[name].step_takes = "60m"  # it has not ended when it is read again
            assert make(services[name], PEOPLE) == SEQUENCE
        assert [make(services["named"], people) for people in LISTS.values()] == [SEQUENCE, OTHER]
        for name in ENROLMENTS:
            services[name].continuous_begin = False
            assert make(services[name], FIVE, is_continuous=True) == SEQUENCE
        services["cleared"].step_takes = 0.1
        services["start_that_is_not_shown"].advance("10m")  # it shows what was there five minutes ago
        services["start_that_is_not_shown"].sequences_lag = "5m"
        yield services


Runs: TypeAlias = dict[str, str]
"""The ids of runs, by their Dags; of the Dag that is cleared, by their lists."""


@pytest.fixture(scope="module")
def kills(services: dict[str, Simulator], holds: Holds) -> Kills[Counted]:
    return Kills(holds, services, MOMENTS)


@pytest.fixture(scope="module")
def runs(airflow: AirflowStandalone, services: dict[str, Simulator], kills: Kills[Counted]) -> Runs:
    """A run of each Dag, all begun at once, so that none waits for another."""
    kills.plan()
    dag_ids = (*dict.fromkeys(DAGS.values()), "sequences_without_switch", "sequences_torn_down")
    runs = {dag_id: airflow.start_dag(dag_id) for dag_id in dag_ids}
    for name, people in LISTS.items():
        write_list(airflow, name, people)
        runs[name] = airflow.start_dag("sequences_cleared", conf={"file": str(list_file(airflow, name))})
    file = airflow.home / "sequences_named.txt"
    file.write_text(SEQUENCE)
    runs["sequences_named"] = airflow.start_dag("sequences_named", conf={"file": str(file)})
    return runs


@dataclass(frozen=True)
class Killed:
    """What was counted for tasks that were killed.

    :param before: when each was killed.
    :param after: when their runs had ended.
    :param ended: how each ended, and in which try.
    """

    before: dict[str, Counted]
    after: dict[str, Counted]
    ended: dict[str, tuple[str, int]]


@pytest.fixture(scope="module")
def killed(airflow: AirflowStandalone, services: dict[str, Simulator], runs: Runs, kills: Kills[Counted]) -> Killed:
    """Each task was killed at its moment, and the runs are at their end."""
    before = kills.kill_each(counted)
    ended: dict[str, tuple[str, int]] = {}
    for dag_id in dict.fromkeys(DAGS.values()):
        airflow.end_state(dag_id, runs[dag_id], within=A_SLOW_MACHINE)
        ended |= states(airflow, dag_id, runs[dag_id])
    return Killed(before, {name: counted(services[name]) for name in MOMENTS}, ended)


@pytest.fixture(scope="module")
def backfilled(airflow: AirflowStandalone, services: dict[str, Simulator], killed: object) -> list[str]:
    """The runs of a backfill, at their end."""
    begin_backfill(airflow, "sequences_backfilled", days=DAYS)
    return end_backfill(airflow, "sequences_backfilled", days=DAYS)


@pytest.mark.parametrize("task_id", CREATES)
def test_killed_create_leaves_one_sequence_that_is_started(
    task_id: str, killed: Killed, runs: Runs, airflow: AirflowStandalone, services: dict[str, Simulator]
) -> None:
    simulator = services[task_id]
    check_killed(task_id, killed, runs, airflow)
    assert killed.ended[f"{task_id}_then_start"] == ("success", 1)
    created = airflow.xcom("sequences_created", runs["sequences_created"], task_id)
    assert simulator.started() == [created["id"]]
    assert sorted(dialed(simulator)) == PEOPLE
    assert {call.sequence_id for call in simulator.dialed()} == {created["id"]}
    assert {each["custom_id"] for each in simulator.sequences()} == {created["custom_id"]}


@pytest.mark.parametrize("task_id", STARTS)
def test_killed_start_starts_no_sequence_twice(
    task_id: str, killed: Killed, runs: Runs, airflow: AirflowStandalone
) -> None:
    check_killed(task_id, killed, runs, airflow)
    assert killed.after[task_id].starts <= 1


@pytest.mark.parametrize("task_id", ENROLMENTS)
def test_killed_enrolment_adds_nobody_twice(
    task_id: str, killed: Killed, runs: Runs, airflow: AirflowStandalone, services: dict[str, Simulator]
) -> None:
    simulator = services[task_id]
    check_killed(task_id, killed, runs, airflow)
    everybody = [enrolled.phone_number for enrolled in simulator.enrolled()]
    assert len(everybody) == len({*everybody})
    assert Counter(dialed(simulator)) == Counter(everybody)
    result = airflow.xcom("sequences_enrolled", runs["sequences_enrolled"], task_id, key="added")
    statuses = {each["phone_number"]: each["status"] for each in result["contacts"]}
    unknown = UNKNOWN_AFTER.get(task_id, [])
    report(f"{task_id}: {statuses}")
    assert statuses == {person: "unknown" if person in unknown else "added" for person in FIVE}
    assert {*everybody} >= {*FIVE} - {*unknown}


@pytest.fixture(scope="module")
def cleared_starts(
    killed: Killed, runs: Runs, airflow: AirflowStandalone, services: dict[str, Simulator]
) -> dict[str, tuple[str, int]]:
    """How the starts of unknown outcome ended, which were cleared after somebody had done as their messages say."""
    services["start_before_the_request"].start_sequence(SEQUENCE)
    services["start_that_is_not_shown"].advance("10m")
    clear(airflow, "sequences_started", runs["sequences_started"], only_failed=True)
    airflow.end_state("sequences_started", runs["sequences_started"], within=A_SLOW_MACHINE)
    return states(airflow, "sequences_started", runs["sequences_started"])


@pytest.mark.parametrize("task_id", CLEARED_STARTS)
def test_cleared_start_of_unknown_outcome_is_read_again(
    task_id: str,
    cleared_starts: dict[str, tuple[str, int]],
    runs: Runs,
    airflow: AirflowStandalone,
    services: dict[str, Simulator],
) -> None:
    expected, simulator = CLEARED_STARTS[task_id], services[task_id]
    log = airflow.task_log("sequences_started", runs["sequences_started"], task_id, try_number=3)
    report(f"{task_id}, cleared: {counted(simulator)}, {cleared_starts[task_id]}", *said(log, expected.told))
    assert cleared_starts[task_id] == (expected.state, 3)
    assert counted(simulator) == expected.after
    assert simulator.count("startSequence") == expected.requests
    assert said(log, expected.told)


def test_cleared_run_starts_nothing_again_and_returns_the_same(
    airflow: AirflowStandalone, services: dict[str, Simulator], runs: Runs
) -> None:
    simulator, run_id, people = services["cleared"], runs["sequences_same"], LISTS["sequences_same"]
    assert airflow.end_state("sequences_cleared", run_id, within=A_SLOW_MACHINE) == "success"
    results = xcoms(airflow, run_id)
    [sequence_id] = [each for each in simulator.started() if each == results["create"]["id"]]
    assert sorted(dialed(simulator, people)) == people
    assert results["ended"]["status"] == "complete"

    clear(airflow, "sequences_cleared", run_id)
    assert airflow.end_state("sequences_cleared", run_id, within=A_SLOW_MACHINE) == "success"
    again = xcoms(airflow, run_id)
    log = airflow.task_log("sequences_cleared", run_id, "start", try_number=2)
    starts = simulator.started().count(sequence_id)
    report(
        f"{starts} start and {len(dialed(simulator, people))} calls for {len(people)} people after the clear",
        *said(log, KNOWN),
    )
    assert {try_number for _, try_number in states(airflow, "sequences_cleared", run_id).values()} == {2}
    assert starts == 1
    assert sorted(dialed(simulator, people)) == people
    assert said(log, f"by try 1 of start in the run '{run_id}': {KNOWN}")
    changes = {"create": ("status", "started_at"), "start": ("status", "steps", "ended_at"), "ended": ()}
    for task_id, changed in changes.items():
        for key in results[task_id].keys() - {*changed}:
            assert again[task_id][key] == results[task_id][key], (task_id, key)
    for task_id in ("create", "start"):
        for key in ("id", "custom_id"):
            assert airflow.xcom("sequences_cleared", run_id, task_id, key=key) == results["create"][key]


def test_cleared_run_with_a_changed_list_calls_nobody(
    airflow: AirflowStandalone, services: dict[str, Simulator], runs: Runs
) -> None:
    simulator, run_id, people = services["cleared"], runs["sequences_changed"], LISTS["sequences_changed"]
    assert airflow.end_state("sequences_cleared", run_id, within=A_SLOW_MACHINE) == "success"
    assert sorted(dialed(simulator, people)) == people
    sequences, starts = len(simulator.sequences()), len(simulator.started())

    write_list(airflow, "sequences_changed", [people[0], NEW])
    clear(airflow, "sequences_cleared", run_id)
    assert airflow.end_state("sequences_cleared", run_id, within=A_SLOW_MACHINE) == "failed"
    ended = states(airflow, "sequences_cleared", run_id)
    told = said(airflow.task_log("sequences_cleared", run_id, "create", try_number=2), "is not as declared: filter")
    called = dialed(simulator, [*people, NEW])
    report(f"{len(called)} called for {len(people)} people after the clear; {ended}", *told)
    assert sorted(called) == people
    assert (len(simulator.sequences()), len(simulator.started())) == (sequences, starts)
    assert {task_id: state for task_id, (state, _) in ended.items()} == {
        "create": "failed",
        "start": "upstream_failed",
        "ended": "upstream_failed",
    }
    assert said(told, "has begun")


def test_cleared_start_of_another_sequence_is_refused(
    airflow: AirflowStandalone, services: dict[str, Simulator], runs: Runs
) -> None:
    simulator, run_id, (people, _) = services["named"], runs["sequences_named"], LISTS.values()
    assert airflow.end_state("sequences_named", run_id, within=A_SLOW_MACHINE) == "success"
    assert simulator.started() == [SEQUENCE]

    (airflow.home / "sequences_named.txt").write_text(OTHER)
    clear(airflow, "sequences_named", run_id)
    assert airflow.end_state("sequences_named", run_id, within=A_SLOW_MACHINE) == "failed"
    ended = states(airflow, "sequences_named", run_id)
    told = said(airflow.task_log("sequences_named", run_id, "start", try_number=2), "nothing was sent, because")
    report(f"{len(simulator.started())} start, {len(dialed(simulator))} calls; {ended}", *told)
    assert simulator.started() == [SEQUENCE]
    assert sorted(dialed(simulator)) == people
    assert ended == {"start": ("failed", 2)}
    assert said(told, "nothing was sent, because try 1 of start in the run ", " started another sequence")


def test_backfill_starts_nothing_unless_it_may(
    airflow: AirflowStandalone, services: dict[str, Simulator], backfilled: list[str]
) -> None:
    ended = Counter(
        (task_id, state)
        for run_id in backfilled
        for task_id, (state, _) in states(airflow, "sequences_backfilled", run_id).items()
    )
    reasons = [
        reason
        for run_id in backfilled
        for reason in skipped_because(airflow, "sequences_backfilled", run_id, "start_backfilled")
    ]
    report(
        f"without allow_backfill: {counted(services['backfilled'])}; with it: {counted(services['allowed'])};"
        f" {dict(ended)}",
        *reasons[:1],
    )
    assert ended == {
        ("create_backfilled", "success"): DAYS,
        ("start_backfilled", "skipped"): DAYS,
        ("create_allowed", "success"): DAYS,
        ("start_allowed", "success"): DAYS,
    }
    assert counted(services["backfilled"]) == Counted(sequences=DAYS)
    assert [reason.startswith(BACKFILL) for reason in reasons] == [True] * DAYS
    created = [str(sequence["id"]) for sequence in services["allowed"].sequences()]
    assert len(created) == DAYS
    assert sorted(services["allowed"].started()) == created
    assert sorted(dialed(services["allowed"])) == sorted(PEOPLE * DAYS)


def test_connection_without_the_switch_writes_nothing(
    airflow: AirflowStandalone, services: dict[str, Simulator], runs: Runs
) -> None:
    run_id, simulator = runs["sequences_without_switch"], services["without_switch"]
    assert airflow.end_state("sequences_without_switch", run_id, within=A_SLOW_MACHINE) == "failed"
    ended = states(airflow, "sequences_without_switch", run_id)
    report(f"{len(simulator.writes)} of {len(simulator.requests)} requests write; {counted(simulator)}; {ended}")
    assert simulator.writes == []
    assert counted(simulator) == CREATED  # made by hand
    assert ended == {"create": ("failed", 1), "start": ("failed", 1)}
    for task_id in ended:
        told = said(airflow.task_log("sequences_without_switch", run_id, task_id), NOT_ALLOWED)
        report(*told)
        assert said(told, "switch on its extra allow_calls")


def test_teardown_cancels_what_a_failed_run_has_started(
    airflow: AirflowStandalone, services: dict[str, Simulator], runs: Runs
) -> None:
    run_id, simulator = runs["sequences_torn_down"], services["torn_down"]
    assert airflow.end_state("sequences_torn_down", run_id, within=A_SLOW_MACHINE) == "failed"
    ended = states(airflow, "sequences_torn_down", run_id)
    [sequence] = simulator.sequences()
    called = dialed(simulator)
    told = said(airflow.task_log("sequences_torn_down", run_id, "cancel"), " is canceled.")
    assert ended == {"create": ("success", 1), "start": ("success", 1), "fail": ("failed", 1), "cancel": ("success", 1)}
    assert (simulator.started(), sequence["status"]) == ([sequence["id"]], "canceled")
    assert sorted(called) == PEOPLE
    assert told

    # Its second step would call everybody an hour after the first; another sequence does, as it was not canceled.
    other = make(simulator, [NEW], steps=sequence["steps"])
    simulator.start_sequence(other)
    for _ in range(3):
        simulator.advance("61m")
        simulator.dialed()
    report(f"{len(called)} called when canceled, {len(dialed(simulator, PEOPLE))} hours later; {ended}", *told)
    assert dialed(simulator, PEOPLE) == called
    assert dialed(simulator, [NEW]) == [NEW, NEW]


def check_killed(task_id: str, killed: Killed, runs: Runs, airflow: AirflowStandalone) -> None:
    """Check what was counted for a task that was killed, how it ended, and what its second try said."""
    dag_id, moment = DAGS[task_id], MOMENTS[task_id]
    first, second = (airflow.task_log(dag_id, runs[dag_id], task_id, try_number=number) for number in (1, 2))
    report(
        f"{task_id}: {killed.before[task_id]} when killed, {killed.after[task_id]} in the end; {killed.ended[task_id]}",
        *said(first, KILLED),
        *said(second, *moment.told),
    )
    assert killed.before[task_id] == moment.before
    assert killed.after[task_id] == moment.after
    assert killed.ended[task_id] == (moment.state, 2)
    assert said(first, KILLED)
    for sentence in moment.told:
        assert said(second, sentence), sentence


def counted(simulator: Simulator) -> Counted:
    return Counted(
        len(simulator.sequences()), len(simulator.started()), len(simulator.enrolled()), len(simulator.dialed())
    )


def dialed(simulator: Simulator, people: Sequence[str] | None = None) -> list[str]:
    """Return who was called, in order; of some people alone, where others are called as well."""
    called = [str(call.phone_number) for call in simulator.dialed()]
    return called if people is None else [number for number in called if number in people]


def make(simulator: Simulator, people: Sequence[str], **fields: Any) -> str:
    """Make a sequence of some people as somebody in the dashboard does, and return its id."""
    calls = {"action": {"type": "make_phone_calls", "data": {"aiPhoneAgentId": AGENT}}}
    selected = {"type": "contacts_phone_number_in", "phone_number_in": [*people]}
    given = {"is_continuous": False, "steps": [calls], **fields}
    return str(simulator.create_sequence(filter={"or": [{"and": [selected]}]}, **given)["id"])


def xcoms(airflow: AirflowStandalone, run_id: str) -> dict[str, Any]:
    """Return what the tasks of the Dag that is cleared returned."""
    return {task_id: airflow.xcom("sequences_cleared", run_id, task_id) for task_id in ("create", "start", "ended")}
