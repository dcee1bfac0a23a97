"""Tests large numbers: ten thousand agents in one list, a thousand tasks in one triggerer."""

from __future__ import annotations

import asyncio
import gc
import ssl
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import aclosing
from typing import Any

import pytest

from airflow_provider_opencx.client import network
from airflow_provider_opencx.phone_agents.plan import PhoneAgents
from airflow_provider_opencx.resources.phone_agents import PhoneAgent
from airflow_provider_opencx.simulator import Simulator
from airflow_provider_opencx.triggers.phone_number import OpenCXPhoneNumberTrigger

API_KEY = "ocx_live_integrati0n-s3cret"
AGENTS = 10_000
WAITING = 1000

SERVICE = f"""
import sys
from airflow_provider_opencx.simulator import Simulator
with Simulator(api_keys=({API_KEY!r},), requests_per_minute=None) as simulator:
    for number in range({AGENTS}):
        simulator.add_agent(f"agent {{number}}", type="outbound", instructions=["Speak clearly."] * 4)
    print(simulator.url, flush=True)
    sys.stdin.read()
"""


async def fired(trigger: OpenCXPhoneNumberTrigger) -> dict[str, Any]:
    """Run a trigger until it fires, and return the payload of its event."""
    async with aclosing(trigger.run()) as events:
        return (await anext(events)).payload


@pytest.fixture
def large_organization(connect: Callable[[str, str], None]) -> Iterator[str]:
    """The URL of a service with ten thousand agents, in a process of its own."""
    command = [sys.executable, "-c", SERVICE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            connect(url, API_KEY)
            yield url
        finally:
            process.kill()


def test_trigger_serves_ten_thousand_tasks(large_organization: str) -> None:
    ids = [f"pa_{number:06}" for number in range(1, AGENTS + 1)]

    async def wait_for_all() -> list[dict[str, Any]]:
        triggers = [OpenCXPhoneNumberTrigger("opencx_default", agent_id=id) for id in ids]
        async with asyncio.timeout(300):
            return await asyncio.gather(*(fired(trigger) for trigger in triggers))

    assert [event["agent"]["id"] for event in asyncio.run(wait_for_all())] == ids


def test_trigger_reads_list_outside_event_loop(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    read, read_in = PhoneAgent.from_response, set()

    def noted(value: object) -> PhoneAgent:
        read_in.add(threading.current_thread())
        return read(value)

    monkeypatch.setattr(PhoneAgent, "from_response", noted)
    simulator.add_agent("a")
    assert asyncio.run(fired(OpenCXPhoneNumberTrigger("opencx_default", agent_name="a")))["status"] == "success"
    [thread] = read_in
    assert thread is not threading.current_thread()


def test_trigger_looks_for_near_names_outside_event_loop(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    near, looked_in = PhoneAgents.near, set()

    def noted(agents: PhoneAgents, name: str) -> list[PhoneAgent]:
        looked_in.add(threading.current_thread())
        simulator.add_agent(name, phone_number="+15550000001")
        return near(agents, name)

    monkeypatch.setattr(PhoneAgents, "near", noted)
    trigger = OpenCXPhoneNumberTrigger("opencx_default", agent_name="a", poll_interval=0.1)
    assert asyncio.run(fired(trigger))["status"] == "success"
    [thread] = looked_in
    assert thread is not threading.current_thread()


def test_trigger_yields_when_many_finish_together(simulator: Simulator) -> None:
    ids = [simulator.add_agent(f"agent {number}")["id"] for number in range(WAITING)]

    async def turns_of_others() -> int:
        turns = 0
        turns_at_end: list[int] = []

        async def wait_for_one(trigger: OpenCXPhoneNumberTrigger) -> None:
            event = await fired(trigger)
            assert event["agent"]["id"] == trigger.agent_id
            turns_at_end.append(turns)

        async def others() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        taking_turns = asyncio.create_task(others())
        triggers = [OpenCXPhoneNumberTrigger("opencx_default", agent_id=id) for id in ids]
        await asyncio.gather(*map(wait_for_one, triggers))
        taking_turns.cancel()
        return turns_at_end[-1] - turns_at_end[0]

    assert asyncio.run(turns_of_others()) >= WAITING / 50
    assert simulator.count("listPhoneAgents") == 1


def test_tls_certificates_load_outside_event_loop(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    create, made_in = network.httpx.create_ssl_context, []

    def noted() -> ssl.SSLContext:
        made_in.append(threading.current_thread())
        return create()

    monkeypatch.delenv("SSL_CERT_FILE", raising=False)  # whose certificates httpx does not load
    monkeypatch.setattr(network.httpx, "create_ssl_context", noted)
    network.tls_context.cache_clear()
    agent_id = str(simulator.add_agent("a")["id"])
    for _ in range(2):
        assert asyncio.run(fired(OpenCXPhoneNumberTrigger("opencx_default", agent_id=agent_id, poll_interval=0.01)))
    [thread] = made_in
    assert thread is not threading.current_thread()


def test_trigger_uses_under_ten_kilobytes(simulator: Simulator) -> None:
    simulator.provision_after = "never"
    simulator.add_agent("a")

    async def waiting(tasks: int) -> list[asyncio.Task[object]]:
        triggers = [
            OpenCXPhoneNumberTrigger("opencx_default", agent_name="a", poll_interval=3600) for _ in range(tasks)
        ]
        started = [asyncio.create_task(anext(trigger.run())) for trigger in triggers]
        await asyncio.sleep(0)
        async with asyncio.timeout(60):
            while simulator.count("listPhoneAgents") < 1:
                await asyncio.sleep(0.01)
        await asyncio.sleep(1)
        return started

    async def test() -> float:
        first = await waiting(1)
        gc.collect()
        tracemalloc.start()
        try:
            more = await waiting(WAITING)
            gc.collect()
            taken = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        for task in [*first, *more]:
            task.cancel()
        await asyncio.wait([*first, *more])
        return taken / WAITING

    bytes_each = asyncio.run(test())
    print(f"{bytes_each:.0f} bytes for each waiting trigger")
    assert bytes_each < 10_000
    assert simulator.count("listPhoneAgents") == 1
