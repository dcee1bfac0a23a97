"""Tests a fleet in one task, while requests fail and workers die: one agent each, and the next run repairs the rest."""

from __future__ import annotations

import os
from collections import Counter
from random import Random
from unittest.mock import patch

from airflow_standalone import connection_json
from fault_campaign.attempts import Attempt, run_task, time_of
from fault_campaign.coordination import coordinated, forget
from fault_campaign.faults import GENERATIONS, TIMEOUT, DrawnFaults, ServiceKind
from fault_campaign.scenario import Task
from fault_campaign.stage import Stage
from fault_campaign.wire import Killed, Wire

from airflow_provider_opencx.exceptions import OpenCXError
from airflow_provider_opencx.simulator import Simulator

RUNS = 150
NAMES = "abcdefgh"


def fleet(draws: Random, retries: int) -> Task:
    """A fleet of all names in any order, with greetings of its own."""
    agents = [
        {"name": name, "first_message": draws.choice(("Hello", "Hi"))} for name in draws.sample(NAMES, len(NAMES))
    ]
    return Task("sync", "", {"agents": agents}, deferrable=False, retries=retries, retry_delay=draws.choice((0, 300)))


def test_fleet_is_complete_despite_faults() -> None:
    stage, endings = Stage(), Counter[str]()
    with (
        Simulator(requests_per_minute=None, clock=stage.clock) as simulator,
        coordinated("machine") as directory,
    ):
        connection = connection_json(
            simulator.url, "test-key", timeout=TIMEOUT, max_retries=2, requests_per_minute=10**6
        )
        with patch.dict(os.environ, AIRFLOW_CONN_OPENCX_DEFAULT=connection), time_of(stage):
            for seed in range(RUNS):
                forget(directory)
                endings += run_once(Random(seed), simulator, stage)
    print(endings)
    assert set(endings) > {"success", "Killed", "OpenCXFleetError", "OpenCXFleetPermanentError"}, (
        "these must have happened"
    )


def run_once(draws: Random, simulator: Simulator, stage: Stage) -> Counter[str]:
    """Keep a fleet in two runs full of faults, then in two that are calm."""
    simulator.reset()
    simulator.generation = draws.choice(GENERATIONS)
    for name in draws.sample(NAMES, draws.randint(0, 4)):
        simulator.add_agent(name, type="outbound")
    simulator.add_agent("of somebody else", type="inbound")
    stage.begin(draws)
    faults = DrawnFaults(draws, draws.choice((0.05, 0.15, 0.3)), ServiceKind(simulator.generation))
    wire = Wire(simulator, stage, faults, observe=lambda: None)
    endings = Counter[str]()
    with wire.tapped():
        for _ in range(2):
            last = run_task(fleet(draws, retries=draws.randint(0, 4)), wire, stage, simulator.agents)[-1]
            assert_explained(last)
            endings["success" if last.error is None else type(last.error).__name__] += 1
            assert max(Counter(agent["name"] for agent in simulator.agents()).values()) == 1
            stage.sleep(3600)
        wire.calm()
        declared = fleet(draws, retries=0)
        [calm] = run_task(declared, wire, stage, simulator.agents)
        assert calm.error is None
        assert_as_declared(declared, simulator)
        [again] = run_task(declared, wire, stage, simulator.agents)
        assert {sent.operation.id for sent in again.sent} == {"listPhoneAgents"}
        assert again.result == calm.result
    return endings


def assert_explained(attempt: Attempt) -> None:
    """A task that succeeded returned the whole fleet; one that did not raised an error of this package."""
    if attempt.error is None:
        assert len(attempt.result or ()) == len(NAMES)
    else:
        assert isinstance(attempt.error, OpenCXError | Killed)


def assert_as_declared(declared: Task, simulator: Simulator) -> None:
    by_name = {agent["name"]: agent for agent in simulator.agents()}
    assert set(by_name) == {*NAMES, "of somebody else"}
    for agent in declared.fields["agents"]:  # type: ignore[attr-defined]  # a list, as fleet() made it
        assert by_name[agent["name"]]["first_message"] == agent["first_message"]
