"""Runs the runs, and adds up what came of them."""

from __future__ import annotations

import logging
import os
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random
from unittest.mock import patch

from airflow_standalone import connection_json

from airflow_provider_opencx.simulator import Simulator
from fault_campaign.attempts import Attempt, run_task, time_of
from fault_campaign.scenario import SECONDS_BETWEEN_TASKS, TIMEOUT, DrawnMischief, Scenario, Task, draw_scenario
from fault_campaign.stage import Stage
from fault_campaign.verdict import PROMISES, Judge, Witness
from fault_campaign.wire import Wire

API_KEY = "ocx_live_fault-campaign"


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

    def add(self, other: Tally) -> None:
        """Add what came of other runs."""
        for own, others in (
            (self.counted, other.counted),
            (self.faults, other.faults),
            (self.endings, other.endings),
            (self.broken, other.broken),
        ):
            own.update(others)
        self.sentences.update(other.sentences)


def run_many(seed: int, numbers: Iterable[int]) -> Tally:
    """Run the runs of these numbers, one after the other, and add them up."""
    tally = Tally()
    stage = Stage()
    with Simulator(api_keys=(API_KEY,), requests_per_minute=None, clock=stage.clock) as simulator:
        for number in numbers:
            tally.add(run_one(simulator, stage, seed, number))
    return tally


def run_share(share: tuple[int, Sequence[int]]) -> Tally:
    """Run a share of a campaign, its seed and numbers, in a process of its own."""
    logging.disable(logging.CRITICAL)
    return run_many(*share)


def run_one(simulator: Simulator, stage: Stage, seed: int, number: int) -> Tally:
    """Run one run, all of it drawn from its seed and number."""
    draws = Random(f"{seed}/{number}")  # noqa: S311 - to be repeated is what it is for
    random.seed(draws.random())  # the jitter of the retries
    scenario = draw_scenario(draws)
    stage.begin(draws)
    _prepare(simulator, scenario)
    mischief = DrawnMischief(draws, scenario.trouble, scenario.generation)
    witness = Witness(simulator)
    wire = Wire(simulator, stage, mischief, witness.look)
    judge = Judge(scenario, witness, API_KEY)
    tally = Tally(faults=mischief.counted)
    tally.counted["runs"] += 1

    def perform(task: Task) -> Attempt:
        attempts = run_task(task, wire, stage, lambda: witness.agents_of(task.agent_name))
        judge.hear(task, attempts)
        tally.counted["tasks"] += 1
        tally.counted["tries"] += len(attempts)
        tally.counted["requests"] += sum(len(attempt.sent) for attempt in attempts)
        error = attempts[-1].error
        tally.endings["success" if error is None else type(error).__name__] += 1
        stage.sleep(SECONDS_BETWEEN_TASKS)
        return attempts[-1]

    def play(script: Iterable[Task]) -> None:
        for task in script:
            perform(task)

    with ExitStack() as stack:
        connection = connection_json(
            simulator.url, API_KEY, timeout=TIMEOUT, max_retries=2, requests_per_minute=1_000_000
        )
        stack.enter_context(patch.dict(os.environ, AIRFLOW_CONN_OPENCX_DEFAULT=connection))
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
                judge.expect_success(perform(_afterwards(script[-1])))
    judge.close()
    tally.broken.update(judge.verdict.broken)
    if judge.verdict.sentences:
        tally.sentences[number] = judge.verdict.sentences
    return tally


def _prepare(simulator: Simulator, scenario: Scenario) -> None:
    simulator.reset()
    simulator.generation = scenario.generation
    simulator.page_size = scenario.page_size
    simulator.provision_after = scenario.provision_after
    simulator.requests_per_minute = scenario.requests_per_minute
    for agent in scenario.existing:
        simulator.add_agent(**agent)


def _afterwards(task: Task) -> Task:
    """Return the next run's task on an agent: an upsert, to be tried once."""
    return replace(task, verb="upsert", retries=0)
