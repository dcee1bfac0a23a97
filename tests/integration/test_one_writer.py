"""Tests that processes that upsert one name at the same moment take turns, and all get the same agent."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from airflow_standalone import connection_json
from servers import running_redis

from airflow_provider_opencx.simulator import Simulator, SlowResponse

KEY = "test-key"
PROCESSES = 16
WITHIN = 300

UPSERTS = """
import os, sys
from airflow_provider_opencx.hooks.opencx import OpenCXHook
from airflow_provider_opencx.resources.phone_agents import PhoneAgentSpec

def upsert():
    try:
        agent = OpenCXHook().upsert_phone_agent(PhoneAgentSpec(name="a", language=["en"]))
        ended = f"success {agent.id}"
    except Exception as error:
        ended = f"{type(error).__name__} {error}"
    os.write(1, f"ended: {ended}\\n".encode())

print("ready", flush=True)
sys.stdin.readline()
processes = int(sys.argv[1])
for _ in range(processes):
    if not os.fork():
        upsert()
        os._exit(0)
for _ in range(processes):
    os.wait()
"""


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A service whose list is half a second old when it arrives: longer than the processes need to begin."""
    with Simulator(api_keys=(KEY,), requests_per_minute=None) as running:
        running.fail("listPhoneAgents", SlowResponse(0.5), times=None)
        yield running


@contextmanager
def upserting(
    simulator: Simulator, coordination: str, machine: Path, processes: int
) -> Iterator[subprocess.Popen[str]]:
    """Processes of one machine that are ready to upsert one name, and begin with a line of input.

    :param machine: its temporary directory.
    """
    machine.mkdir()
    # So many requests a minute that only the lock makes anybody wait.
    connection = connection_json(simulator.url, KEY, coordination=coordination, requests_per_minute=1_000_000)
    parent = subprocess.Popen(
        [sys.executable, "-c", UPSERTS, str(processes)],
        env={**os.environ, "AIRFLOW_CONN_OPENCX_DEFAULT": connection, "TMPDIR": str(machine)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield parent
    finally:
        with suppress(ProcessLookupError):
            os.killpg(parent.pid, signal.SIGKILL)
        parent.communicate()


@pytest.mark.parametrize("machines", [1, 2], ids=["one machine", "two machines over a Redis"])
def test_processes_that_upsert_one_name_make_one_agent(
    machines: int, simulator: Simulator, program: Callable[[str], Path], tmp_path: Path
) -> None:
    with ExitStack() as running:
        coordination = "machine"
        if machines > 1:
            coordination = f"{running.enter_context(running_redis(program('redis-server')))}/0"
        parents = [
            running.enter_context(
                upserting(simulator, coordination, tmp_path / f"machine-{number}", PROCESSES // machines)
            )
            for number in range(machines)
        ]
        for parent in parents:
            assert parent.stdout is not None
            while parent.stdout.readline() != "ready\n":
                assert parent.poll() is None
        for parent in parents:
            assert parent.stdin is not None
            parent.stdin.write("go\n")
            parent.stdin.flush()
        printed = "".join(parent.communicate(timeout=WITHIN)[0] for parent in parents)

    agents = simulator.agents()
    assert [agent["name"] for agent in agents] == ["a"]
    assert re.findall(r"^ended: (.*)$", printed, re.M) == [f"success {agents[0]['id']}"] * PROCESSES
    assert [write.operation for write in simulator.writes] == ["createPhoneAgent"]
    print(f"{PROCESSES} processes made one agent with {len(simulator.requests)} requests")
