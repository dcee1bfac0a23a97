"""Tests two tasks that create one name at the same moment: one agent with locks, else an error that names both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from random import Random

import pytest
from airflow_standalone import connection_json
from fault_campaign.attempts import Attempt, run_task, time_of
from fault_campaign.coordination import coordinated, forget
from fault_campaign.scenario import Task
from fault_campaign.stage import Stage
from fault_campaign.wire import NoFaults, Wire

from airflow_provider_opencx.exceptions import OpenCXAmbiguousNameError
from airflow_provider_opencx.simulator import Simulator

SEEDS = range(40)
DECLARED = Task("upsert", "a", {}, deferrable=False, retries=0, retry_delay=0)


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    with Simulator(requests_per_minute=None) as simulator:
        connection = connection_json(simulator.url, "test-key", requests_per_minute=1_000_000)
        monkeypatch.setenv("AIRFLOW_CONN_OPENCX_DEFAULT", connection)
        yield simulator


def upsert_together(simulator: Simulator, seed: int) -> tuple[Attempt, Attempt]:
    """Two workers upsert one name, their requests in an order drawn from the seed."""
    simulator.reset()
    stage, attempts = Stage(), dict[str, Attempt]()
    stage.begin(Random(seed))
    wire = Wire(simulator, stage, NoFaults(), observe=lambda: None)

    def work(worker: str) -> None:
        [attempts[worker]] = run_task(DECLARED, wire, stage, simulator.agents)

    with time_of(stage), wire.tapped():
        stage.perform({worker: lambda worker=worker: work(worker) for worker in ("one", "other")})
    return attempts["one"], attempts["other"]


def test_upserts_that_take_turns_end_with_one_agent(simulator: Simulator) -> None:
    with coordinated("machine") as directory:
        for seed in SEEDS:
            forget(directory)
            attempts = upsert_together(simulator, seed)
            [agent] = simulator.agents()
            assert [attempt.error for attempt in attempts] == [None, None], f"seed {seed}"
            assert [attempt.result and attempt.result["id"] for attempt in attempts] == [agent["id"]] * 2


def test_upserts_that_do_not_take_turns_report_the_duplicate_with_ids(simulator: Simulator) -> None:
    seen: Counter[str] = Counter()
    with coordinated("none"):
        for seed in SEEDS:
            attempts = upsert_together(simulator, seed)
            ids = [str(agent["id"]) for agent in simulator.agents()]
            errors = [attempt.error for attempt in attempts if attempt.error is not None]
            if len(ids) == 1:
                assert errors == []
                assert [attempt.result and attempt.result["id"] for attempt in attempts] == ids * 2
            else:
                assert errors, f"seed {seed}: there are {len(ids)} agents, and nobody says so"
                for error in errors:
                    assert isinstance(error, OpenCXAmbiguousNameError)
                    assert error.agent_ids == ids
                    assert all(part in str(error) for part in (*ids, "Rename all but one"))
            seen[f"{len(ids)} agents, {len(errors)} errors"] += 1
    print(seen)
    assert set(seen) == {"1 agents, 0 errors", "2 agents, 1 errors", "2 agents, 2 errors"}, "every ending was tried"
