"""Executes the runs of a campaign, and adds up their results."""

from __future__ import annotations

import logging
import os
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

from airflow.sdk import BaseOperator
from airflow_standalone import connection_json

from airflow_provider_opencx.client import client
from airflow_provider_opencx.operators.sequence import phone_step
from airflow_provider_opencx.simulator import Simulator
from airflow_provider_opencx.simulator.timestamps import Calendar
from fault_campaign import calls, sequences
from fault_campaign.attempts import Attempt, run_task, secrets_of, time_of
from fault_campaign.call_checks import CallChecker
from fault_campaign.checks import PROMISES, BrokenPromises, Checker, Observer
from fault_campaign.coordination import Coordination, coordinated, forget
from fault_campaign.dag_checks import DagChecker
from fault_campaign.dag_phases import PlayedRun, PlayedSequences
from fault_campaign.dag_runs import DagTry, Scheduler, records
from fault_campaign.dags import DagScenario
from fault_campaign.extraction_checks import ExtractionChecker, Truth
from fault_campaign.extraction_tries import Extractor
from fault_campaign.extractions import ExtractionRun, draw_extraction_run, time_at
from fault_campaign.faults import LATEST, LONGEST_LAG, TIMEOUT, DrawnFaults
from fault_campaign.removed_fixes import without
from fault_campaign.scenario import ACTION_IDS, PARTS, SECONDS_BETWEEN_TASKS, Part, Scenario, Task, draw_scenario
from fault_campaign.sequence_checks import SequenceChecker
from fault_campaign.stage import Stage
from fault_campaign.training import TrainingChecker, draw_training_run, parts_of
from fault_campaign.wire import MachineStalledError, Wire

API_KEY = "ocx_live_fault-campaign"

MOST_ATTEMPTS = 3
"""How often a run is tried where the machine stalls."""

_CONNECTION = "AIRFLOW_CONN_OPENCX_DEFAULT"


@dataclass(frozen=True)
class Share:
    """Some runs of a campaign.

    :param without: the name of the fix of the provider that is taken out, ``None`` for none.
    :param parts: what is run of each.
    """

    seed: int
    numbers: Sequence[int]
    coordination: Coordination = "machine"
    without: str | None = None
    parts: Sequence[Part] = PARTS


@dataclass
class Tally:
    """What came of some runs.

    :param counted: runs, tasks, tries and requests.
    :param faults: how often each thing went wrong.
    :param endings: how the tasks ended.
    :param broken: how often each promise was broken.
    :param sentences: what was broken, of each run in which something was.
    """

    counted: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    endings: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(PROMISES, 0)))
    sentences: dict[int, list[str]] = field(default_factory=dict)

    def count(self, attempts: Sequence[Attempt]) -> None:
        """Count a task that has ended."""
        self.counted["tasks"] += 1
        self.counted["tries"] += len(attempts)
        self.counted["requests"] += sum(len(attempt.sent) for attempt in attempts)
        error = attempts[-1].error
        self.endings["success" if error is None else type(error).__name__] += 1

    def note(self, number: int, broken: BrokenPromises) -> None:
        """Note what a run broke.

        :param number: the number of the run.
        """
        self.broken.update(broken.counted)
        if broken.sentences:
            self.sentences[number] = broken.sentences

    def add(self, other: Tally) -> None:
        """Add what came of other runs."""
        for own, others in (
            (self.counted, other.counted),
            (self.faults, other.faults),
            (self.endings, other.endings),
            (self.broken, other.broken),
        ):
            own.update(others)
        for number, sentences in other.sentences.items():
            self.sentences[number] = [*self.sentences.get(number, []), *sentences]


def run_many(
    seed: int, numbers: Iterable[int], coordination: Coordination = "machine", parts: Sequence[Part] = PARTS
) -> Tally:
    """Run the runs of these numbers, one after the other, and add them up.

    :param coordination: what the processes share: ``"machine"``, or ``"none"`` for no locks.
    :param parts: what is run of each.
    """
    tally = Tally()
    stage = Stage()
    with (
        Simulator(api_keys=(API_KEY,), requests_per_minute=None, clock=stage.clock) as simulator,
        coordinated(coordination) as directory,
    ):

        def run(number: int) -> Tally:
            forget(directory)
            return run_one(simulator, stage, seed, number, coordination, parts=parts)

        for number in numbers:
            tally.add(_undisturbed(partial(run, number)))
    return tally


def _undisturbed(run: Callable[[], Tally]) -> Tally:
    """Run a run, and run it anew where the machine stalled: that is not what its seed draws."""
    for _ in range(MOST_ATTEMPTS - 1):
        with suppress(MachineStalledError):
            return run()
    return run()


def run_share(share: Share) -> Tally:
    """Run a share of a campaign in a process of its own."""
    logging.disable(logging.CRITICAL)
    with ExitStack() as stack:
        if share.without is not None:
            stack.enter_context(without(share.without))
            # As in the tests, which name a run for each fix.
            stack.enter_context(patch.object(client, "READ_AGAIN_AFTER", 0.0))
        return run_many(share.seed, share.numbers, share.coordination, share.parts)


def run_one(
    simulator: Simulator,
    stage: Stage,
    seed: int,
    number: int,
    coordination: Coordination,
    *,
    parts: Sequence[Part] = PARTS,
) -> Tally:
    """Run one run, all of it drawn from its seed and number: one part after the other."""
    tally = Tally()
    tally.counted["runs"] += 1
    for part in parts:
        tally.add(_RUN[part](simulator, stage, seed, number, coordination))
    return tally


def _run_agents(simulator: Simulator, stage: Stage, seed: int, number: int, coordination: Coordination) -> Tally:
    """Run the agents of a run."""
    draws = Random(f"{seed}/{number}")  # noqa: S311 - to be repeated is what it is for
    random.seed(draws.random())  # the jitter of the retries
    # Without locks, two tasks that create one agent at the same moment may create two.
    scenario = draw_scenario(draws, may_be_shared=coordination != "none")
    stage.begin(draws)
    _prepare(simulator, scenario, stage)
    faults = DrawnFaults(draws, scenario.fault_rate, scenario.service)
    observer = Observer(simulator, {name: scenario.service.stored_name(name.strip()) for name in scenario.names})
    wire = Wire(simulator, stage, faults, observer.observe)
    checker = Checker(scenario, observer, API_KEY)
    tally = Tally(faults=faults.counted)

    def perform(task: Task) -> Attempt:
        attempts = run_task(task, wire, stage, lambda: observer.agents_of(task.agent_name))
        checker.check_task(task, attempts)
        tally.count(attempts)
        stage.sleep(SECONDS_BETWEEN_TASKS)
        return attempts[-1]

    def play(script: Iterable[Task]) -> None:
        for task in script:
            perform(task)

    with ExitStack() as stack:
        stack.enter_context(_connected(simulator))
        if scenario.secrets_outage is not None:
            stack.enter_context(secrets_of(stage, scenario.secrets_outage, faults.counted))
        stack.enter_context(time_of(stage))
        stack.enter_context(wire.tapped())
        stage.perform({name: partial(play, script) for name, script in scenario.scripts.items()})

        # The next runs find a service that is well again: from whatever is there, each agent becomes as declared.
        wire.calm()
        simulator.requests_per_minute = None
        simulator.provision_after = "now"
        stage.sleep(3600)
        for script in scenario.scripts.values():
            for _ in range(2):
                afterwards = _afterwards(script[-1])
                checker.expect_success(afterwards, perform(afterwards))
    checker.close()
    tally.note(number, checker.broken)
    return tally


def _run_training(simulator: Simulator, stage: Stage, seed: int, number: int, coordination: Coordination) -> Tally:
    """Run the training scenarios of a run."""
    draws = Random(f"{seed}/{number}/training")  # noqa: S311 - to be repeated is what it is for
    random.seed(draws.random())  # the jitter of the retries
    run = draw_training_run(draws, may_be_shared=coordination != "none")
    stage.begin(draws)
    simulator.reset()
    simulator.requests_per_minute = run.requests_per_minute
    for title in run.existing:
        simulator.create_training(title, "By somebody else.")
    stage.sleep(LONGEST_LAG)
    faults = DrawnFaults(draws, run.fault_rate, run.service)
    checker = TrainingChecker(simulator, run, API_KEY)
    wire = Wire(simulator, stage, faults, checker.observe)
    tally = Tally(faults=faults.counted)

    def perform(task: Task) -> Attempt:
        attempts = run_task(task, wire, stage, lambda: [])
        checker.check_task(task, attempts)
        tally.count(attempts)
        stage.sleep(SECONDS_BETWEEN_TASKS)
        return attempts[-1]

    with ExitStack() as stack:
        stack.enter_context(_connected(simulator))
        stack.enter_context(time_of(stage))
        stack.enter_context(wire.tapped())
        stack.enter_context(checker.updates_seen())
        stage.perform(parts_of(run, checker, stage, draws, perform))

        wire.calm()
        simulator.requests_per_minute = None
        stage.sleep(3600)
        for script in run.scripts.values():
            for is_second in (False, True):
                afterwards = replace(script[-1], retries=0)
                checker.check_afterwards(afterwards, perform(afterwards), is_second=is_second)
    checker.close()
    tally.note(number, checker.broken)
    return tally


def _run_calls(simulator: Simulator, stage: Stage, seed: int, number: int, coordination: Coordination) -> Tally:
    """Run the calls of a run."""
    draws = Random(f"{seed}/{number}/calls")  # noqa: S311 - to be repeated is what it is for
    random.seed(draws.random())  # the jitter of the retries
    run = calls.draw_call_run(draws)
    _prepare_dags(simulator, stage, draws, run)
    checker = CallChecker(simulator, stage, API_KEY)
    return _run_dags(run, checker, calls.operator_of, number=number, draws=draws)


def _run_sequences(simulator: Simulator, stage: Stage, seed: int, number: int, coordination: Coordination) -> Tally:
    """Run the sequences of a run."""
    draws = Random(f"{seed}/{number}/sequences")  # noqa: S311 - to be repeated is what it is for
    random.seed(draws.random())  # the jitter of the retries
    # Without locks, two tasks that start one sequence at the same moment may start it twice.
    run = sequences.draw_sequence_run(draws, may_be_shared=coordination != "none")
    _prepare_dags(simulator, stage, draws, run)
    simulator.generation = run.service.generation
    simulator.page_size = run.page_size
    simulator.starts_again = True  # nothing but the provider keeps from a second start
    simulator.continuous_begin = False
    simulator.finds_sequences_by_custom_id = run.finds_by_custom_id
    simulator.step_takes = run.step_takes
    for phone_number in run.contacts:
        simulator.add_contact(phone_number)
    steps: list[Any] = [phone_step(sequences.AGENT_ID)]
    simulator.create_sequence(name="Goes on", filter=sequences.filter_of(run.admitted), steps=steps, is_continuous=True)
    stage.sleep(LONGEST_LAG)
    simulator.sequences_lag = run.lag
    checker = SequenceChecker(simulator, stage, API_KEY, run=run)
    return _run_dags(run, checker, sequences.operator_of, number=number, draws=draws, played=PlayedSequences)


def _run_extractions(simulator: Simulator, stage: Stage, seed: int, number: int, coordination: Coordination) -> Tally:
    """Run the extractions of a run."""
    draws = Random(f"{seed}/{number}/extractions")  # noqa: S311 - to be repeated is what it is for
    random.seed(draws.random())  # the jitter of the retries
    run = draw_extraction_run(draws)
    stage.begin(draws)
    truth = _prepare_extractions(simulator, stage, run)
    faults = DrawnFaults(draws, run.fault_rate, run.service)
    tally = Tally(faults=faults.counted)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="extractions-"))
        checker = ExtractionChecker(truth, Path(folder), API_KEY)
        wire = Wire(
            simulator,
            stage,
            faults,
            lambda: None,
            leaving=lambda _: extractor.change_something(),
            takes=lambda: draws.uniform(0.0, run.latency),
        )
        extractor = Extractor(run, stage, wire, checker, draws, faults.counted)
        stack.enter_context(_connected(simulator))
        stack.enter_context(time_of(stage))
        stack.enter_context(wire.tapped())
        stack.enter_context(extractor.watched())
        for index in run.script:
            tally.count(extractor.play(run.tasks[index]))
            stage.sleep(draws.choice((0.0, SECONDS_BETWEEN_TASKS)))

        # The last extraction of each interval runs after all changes, and then once more.
        wire.calm()
        extractor.is_calm = True
        stage.sleep(3600)
        end = time_at(stage.now + min(0, run.clock_ahead))
        tasks = [*run.tasks, replace(run.tasks[-1], name="last.jsonl", start=run.tasks[-1].end, end=end)]
        written = []
        for _ in range(2):
            for task in tasks:
                attempts = extractor.play(replace(task, retries=0))
                checker.check_result(task, attempts[-1])
                tally.count(attempts)
            written.append(checker.files(tasks))
        checker.check_all(tasks)
        checker.check_second(*written)
    tally.counted.update(checker.counted)
    tally.note(number, checker.broken)
    return tally


def _prepare_extractions(simulator: Simulator, stage: Stage, run: ExtractionRun) -> Truth:
    """Let a run of extractions begin at a service with conversations, and return what is true of them."""
    simulator.reset()
    simulator.requests_per_minute = None
    simulator.page_size = run.page_size
    simulator.list_conversations_by(**run.listed_by)
    simulator.state(Calendar).set(time_at(stage.now + run.clock_ahead))
    stage.sleep(run.begins_at - LONGEST_LAG)
    truth = Truth(simulator, stage, run)
    for conversation in run.conversations:
        truth.add(**conversation)
    stage.sleep(LONGEST_LAG)
    return truth


def _prepare_dags(simulator: Simulator, stage: Stage, draws: Random, run: DagScenario) -> None:
    """Let a run of Dags begin at a service with the agent that calls, which has been there for a while."""
    stage.begin(draws)
    simulator.reset()
    simulator.requests_per_minute = None
    simulator.provision_after = run.provision_after
    stage.sleep(run.begins_at - LONGEST_LAG)
    if run.agent is not None:
        simulator.add_agent(**run.agent)
    stage.sleep(LONGEST_LAG)


def _run_dags(
    run: DagScenario,
    checker: DagChecker,
    operator_of: Callable[[DagTry, str], BaseOperator],
    *,
    number: int,
    draws: Random,
    played: type[PlayedRun] = PlayedRun,
) -> Tally:
    """Run Dags that call, phase after phase, and then once more, when nothing goes wrong.

    :param operator_of: returns the operator of a try, given a folder for records.
    :param number: the number of the run.
    """
    simulator, stage = checker.simulator, checker.stage
    faults = DrawnFaults(draws, run.fault_rate, run.service)
    wire = Wire(
        simulator, stage, faults, checker.observe, leaving=checker.leave, takes=lambda: draws.uniform(0.0, run.latency)
    )
    tally = Tally(faults=faults.counted)

    def switch(allowed: bool) -> None:
        os.environ[_CONNECTION] = _connection(simulator, allow_calls=allowed)

    with ExitStack() as stack:
        folder = stack.enter_context(records())
        scheduler = Scheduler(
            run,
            stage,
            wire,
            draws=draws,
            counted=faults.counted,
            operator_of=operator_of,
            folder=folder,
            tried=checker.end,
        )
        stack.enter_context(_connected(simulator))
        stack.enter_context(patch.dict(os.environ, AIRFLOW__STATE_STORE__CLEAR_ON_SUCCESS=str(run.clears_on_success)))
        if run.secrets_outage is not None:
            stack.enter_context(secrets_of(stage, run.secrets_outage, faults.counted))
        stack.enter_context(time_of(stage))
        stack.enter_context(wire.tapped())
        stack.enter_context(scheduler.watched())
        stack.enter_context(checker.watched())
        play = played(run, stage, scheduler=scheduler, checker=checker, draws=draws, tally=tally, switch=switch)
        for phase in run.phases:
            play.phase(phase)
        wire.calm()
        scheduler.calm()
        over = stage.now if run.secrets_outage is None else run.secrets_outage.ends_at
        stage.sleep(max(LATEST, over - stage.now))
        checker.observe_late()
        play.calm_run()
    checker.close()
    tally.counted.update(checker.counted)
    tally.note(number, checker.broken)
    return tally


_RUN = {
    "agents": _run_agents,
    "training": _run_training,
    "calls": _run_calls,
    "sequences": _run_sequences,
    "extractions": _run_extractions,
}


@contextmanager
def _connected(simulator: Simulator) -> Generator[None]:
    """Put the simulator behind the default connection."""
    with patch.dict(os.environ, {_CONNECTION: _connection(simulator)}):
        yield


def _connection(simulator: Simulator, *, allow_calls: bool = True) -> str:
    return connection_json(
        simulator.url,
        API_KEY,
        timeout=TIMEOUT,
        max_retries=2,
        requests_per_minute=1_000_000,
        coordination="machine",
        allow_calls=allow_calls,
    )


def _prepare(simulator: Simulator, scenario: Scenario, stage: Stage) -> None:
    simulator.reset()
    simulator.generation = scenario.service.generation
    simulator.page_size = scenario.page_size
    simulator.provision_after = scenario.provision_after
    simulator.requests_per_minute = scenario.requests_per_minute
    simulator.set_actions([{"id": action_id, "name": action_id} for action_id in ACTION_IDS])
    for agent in scenario.existing:
        simulator.add_agent(**agent)
    stage.sleep(LONGEST_LAG)  # they have been there for longer than a list is behind


def _afterwards(task: Task) -> Task:
    """Return the next run's task on an agent: an upsert, to be tried once."""
    return replace(task, action="upsert", retries=0)
