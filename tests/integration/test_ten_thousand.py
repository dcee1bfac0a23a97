"""Large numbers: ten thousand agents in one list, a thousand tasks in one triggerer."""

from __future__ import annotations

import asyncio
import gc
import json
import ssl
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import httpx
import pytest

from airflow_provider_opencx.client import network
from airflow_provider_opencx.exceptions import OpenCXError, OpenCXResponseError
from airflow_provider_opencx.hooks.opencx import OpenCXHook
from airflow_provider_opencx.phone_agents.plan import PhoneAgents
from airflow_provider_opencx.resources.phone_agents import PhoneAgent
from airflow_provider_opencx.simulator import Simulator
from airflow_provider_opencx.triggers.packed_agents import PackedAgents, pack
from airflow_provider_opencx.triggers.phone_number import OpenCXPhoneNumberTrigger
from airflow_provider_opencx.triggers.polling import SharedPolls, Snapshot

API_KEY = "ocx_live_integrati0n-s3cret"
AGENTS = 10_000
WAITING = 1000
LONGEST_BLOCK = 0.1

SERVICE = f"""
import sys
from airflow_provider_opencx.simulator import Simulator
with Simulator(api_keys=({API_KEY!r},), requests_per_minute=None) as simulator:
    for number in range({AGENTS}):
        simulator.add_agent(f"agent {{number}}", type="outbound", instructions=["Speak clearly."] * 4)
    print(simulator.url, flush=True)
    sys.stdin.read()
"""


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


@asynccontextmanager
async def longest_block() -> AsyncIterator[Callable[[], float]]:
    """Tell the longest time, until now, for which nothing else had its turn in the event loop."""
    longest = 0.0

    async def tick() -> None:
        nonlocal longest
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.005)
            longest = max(longest, time.monotonic() - began)

    ticking = asyncio.create_task(tick())
    try:
        yield lambda: longest
    finally:
        ticking.cancel()


async def longest_block_of_a_poll() -> float:
    """Poll once, and return the longest time for which nothing else had its turn."""
    polls = SharedPolls.join("opencx_default", 3600)
    async with longest_block() as longest:
        try:
            poll = (await polls.after(None)).poll
        finally:
            await polls.leave()
        blocked = longest()
    assert not isinstance(poll, OpenCXError)
    [agent] = poll.named("agent 9999")
    assert agent.id == "pa_010000"
    return blocked


def test_list_of_ten_thousand_keeps_event_loop_free(large_organization: str, monkeypatch: pytest.MonkeyPatch) -> None:
    body = httpx.get(f"{large_organization}/phone", headers={"Authorization": f"Bearer {API_KEY}"}, timeout=60).content
    assert len(body) > 7_000_000
    began = time.monotonic()
    json.loads(body)
    # On a machine that is busy, or fast, a tenth of a second may be what all would take in one go.
    bound = min(LONGEST_BLOCK, (time.monotonic() - began) / 2)
    blocks = []
    while not blocks or (min(blocks) > bound and len(blocks) < 10):
        blocks.append(asyncio.run(longest_block_of_a_poll()))
    print(f"{len(body) / 1e6:.1f} MB: longest block {1000 * min(blocks):.0f} ms")
    assert min(blocks) <= bound


def test_trigger_for_ten_thousand_keeps_event_loop_free() -> None:
    ids = [f"pa_{number}" for number in range(AGENTS)]
    items = [{"id": id, "name": f"agent {id}", "instructions": ["Speak clearly."] * 4} for id in ids]
    waiting = PackedAgents(map(pack, items))
    ready = PackedAgents(pack({**item, "phone_number": "+1555"}) for item in items)

    async def wait_for_all() -> float:
        async def polls() -> AsyncIterator[Snapshot]:
            for poll in (waiting, ready):
                yield Snapshot(poll, begun_at=time.monotonic(), taken_at=time.monotonic())
                await asyncio.sleep(0.01)

        trigger = OpenCXPhoneNumberTrigger("opencx_default", agent_name=[f"agent {id}" for id in ids])
        async with longest_block() as longest:
            await asyncio.sleep(0.01)
            [event] = [event async for event in trigger.filter_shared_stream(polls())]
            await asyncio.sleep(0.01)
            blocked = longest()
        assert [agent["id"] for agent in event.payload["agents"]] == ids
        return blocked

    began = time.monotonic()
    for agent_id in ids:
        ready.with_id(agent_id)
    # On a machine that is busy, or fast, a tenth of a second may be what reading them all would take in one go.
    bound = min(LONGEST_BLOCK, (time.monotonic() - began) / 2)
    blocks = []
    while not blocks or (min(blocks) > bound and len(blocks) < 10):
        blocks.append(asyncio.run(wait_for_all()))
    print(f"{AGENTS} waited for: longest block {1000 * min(blocks):.0f} ms, of at most {1000 * bound:.0f} ms")
    assert min(blocks) <= bound


def test_trigger_yields_when_many_finish_together() -> None:
    agents = [{"id": f"pa_{number}", "name": f"agent {number}", "phone_number": "+1555"} for number in range(WAITING)]
    poll = PackedAgents(map(pack, agents))

    async def turns_of_others() -> int:
        snapshot = asyncio.get_running_loop().create_future()
        turns = 0

        async def polls() -> AsyncIterator[Snapshot]:
            yield await asyncio.shield(snapshot)

        async def wait_for_one(number: int) -> None:
            trigger = OpenCXPhoneNumberTrigger("opencx_default", agent_id=f"pa_{number}")
            [event] = [event async for event in trigger.filter_shared_stream(polls())]
            assert event.payload["agent"]["id"] == f"pa_{number}"

        async def others() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        waiting = [asyncio.create_task(wait_for_one(number)) for number in range(WAITING)]
        await asyncio.sleep(0)
        taking_turns = asyncio.create_task(others())
        snapshot.set_result(Snapshot(poll, begun_at=time.monotonic(), taken_at=time.monotonic()))
        await asyncio.gather(*waiting)
        taking_turns.cancel()
        return turns

    assert asyncio.run(turns_of_others()) >= WAITING / 50


def test_tls_certificates_load_outside_event_loop(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    create, made_in = network.httpx.create_ssl_context, []

    def noted() -> ssl.SSLContext:
        made_in.append(threading.current_thread())
        return create()

    monkeypatch.setattr(network.httpx, "create_ssl_context", noted)
    network.tls_context.cache_clear()
    for _ in range(2):
        assert asyncio.run(OpenCXHook().alist_phone_agents()) == []
    [thread] = made_in
    assert thread is not threading.current_thread()


def test_packed_agents_match_unpacked_agents() -> None:
    items: list[dict[str, object]] = [
        {"id": "1", "name": " a ", "speed": 1.5, "flow": {"x": [None, 2**63, 1e22]}, "newer": ["é"]},
        {"id": "2", "name": None, "language": "en", "actionIds": [], "phone_number": " "},
        {"id": "3", "name": "a", "phone_number": "+1555"},
    ]
    agents = [PhoneAgent.from_response(item) for item in items]
    packed = PackedAgents(map(pack, [items[1], *items]))
    for poll in (packed, PhoneAgents(agents)):
        assert [(poll.has_id(id), poll.is_ready(id)) for id in "1234"] == [
            (True, False),
            (True, False),
            (True, True),
            (False, False),
        ]
        assert [*poll.ids_named("a ")] == ["1", "3"]
        assert [*poll.ids_named("b")] == []
    assert [packed.with_id(agent.id) for agent in agents] == agents
    assert [agent.as_dict() for agent in map(packed.with_id, "123") if agent] == [agent.as_dict() for agent in agents]
    assert packed.named("a ") == [agents[0], agents[2]]
    assert packed.named("b") == []
    assert packed.with_id("4") is None


def test_packed_agents_accept_any_readable_depth() -> None:
    deepest: object = None
    while True:
        item: dict[str, object] = {"id": "1", "flow": deepest}
        try:
            agent = PhoneAgent.from_response(item)
        except OpenCXError:
            break
        assert PackedAgents([pack(item)]).with_id("1") == agent
        deepest = [deepest]
    with pytest.raises(OpenCXResponseError):
        pack(item)


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
