"""The trigger on Airflow's shared stream: however many tasks wait, one request an interval."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from airflow_standalone import connection_json

from airflow_provider_opencx.exceptions import OpenCXArgumentError, OpenCXError
from airflow_provider_opencx.hooks.opencx import OpenCXHook
from airflow_provider_opencx.resources.phone_agents import PhoneAgentChanges
from airflow_provider_opencx.simulator import Respond, Simulator
from airflow_provider_opencx.triggers import phone_number, polling
from airflow_provider_opencx.triggers.phone_number import OpenCXPhoneNumberTrigger, result_of

try:
    from airflow.triggers.shared_stream import SharedStreamManager
except ImportError:
    SharedStreamManager = None

API_KEY = "ocx_live_integrati0n-s3cret"
WITHIN = 30


def trigger(**arguments: Any) -> OpenCXPhoneNumberTrigger:
    return OpenCXPhoneNumberTrigger(**{"opencx_conn_id": "opencx_default", "poll_interval": 3600.0} | arguments)


class Triggerer:
    """Runs triggers as Airflow's TriggerRunner does.

    :param shares_streams: over a SharedStreamManager, as since 3.3, and not each by itself; by default as this Airflow.
    """

    def __init__(self, shares_streams: bool = SharedStreamManager is not None) -> None:
        self._streams = SharedStreamManager() if shares_streams else None
        self._started = 0

    def start(self, waiting: OpenCXPhoneNumberTrigger) -> asyncio.Task[Any]:
        self._started += 1
        return asyncio.create_task(self._event(self._started, waiting))

    async def _event(self, trigger_id: int, waiting: OpenCXPhoneNumberTrigger) -> Any:
        if self._streams is None:
            async with aclosing(waiting.run()) as events:
                return (await anext(events)).payload
        key = waiting.shared_stream_key()
        stream = self._streams.subscribe(trigger_id=trigger_id, trigger=waiting, key=key)
        try:
            async for event in waiting.filter_shared_stream(stream):
                return event.payload
        finally:
            await self._streams.unsubscribe(trigger_id, key)

    async def stop(self) -> None:
        if self._streams is not None:
            await self._streams.stop_all()


@asynccontextmanager
async def triggerer(**how: bool) -> AsyncIterator[Triggerer]:
    running = Triggerer(**how)
    try:
        yield running
    finally:
        await running.stop()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN):
        while not condition():
            await asyncio.sleep(0.01)  # what is waited for happens in the simulator's thread


async def ended(tasks: list[asyncio.Task[Any]]) -> list[Any]:
    async with asyncio.timeout(WITHIN):
        return await asyncio.gather(*tasks)


def in_event_loop(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(2 * WITHIN):
            await test()

    asyncio.run(bounded())


def newest_poll() -> polling.Snapshot | None:
    """Return the newest poll that this event loop remembers."""
    loop = asyncio.get_running_loop()
    return next((polls._newest for (of_loop, *_), polls in polling._shared.items() if of_loop is loop), None)


SHARED_STREAMS = pytest.mark.skipif(SharedStreamManager is None, reason="Airflow shares streams since 3.3")
ON_EACH_AIRFLOW = pytest.mark.parametrize(
    "shares_streams", [pytest.param(True, id="since 3.3", marks=SHARED_STREAMS), pytest.param(False, id="before 3.3")]
)


@ON_EACH_AIRFLOW
def test_trigger_shares_poll_among_thousand_tasks(shares_streams: bool, simulator: Simulator) -> None:
    simulator.provision_after = "4reads"
    ids = [simulator.add_agent(f"agent {number}")["id"] for number in range(1000)]

    async def test() -> None:
        async with triggerer(shares_streams=shares_streams) as running:
            events = await ended([running.start(trigger(agent_id=id, poll_interval=1)) for id in ids])
        assert [result_of(event)["id"] for event in events] == ids
        assert all(result_of(event)["phone_number"] for event in events)

    began = time.monotonic()
    in_event_loop(test)
    intervals = time.monotonic() - began
    assert 5 <= simulator.count("listPhoneAgents") <= intervals + 1


@ON_EACH_AIRFLOW
@pytest.mark.parametrize("has_ended", [True, False], ids=["after a poll", "during a poll"])
def test_trigger_serves_new_task_from_next_poll(has_ended: bool, shares_streams: bool, simulator: Simulator) -> None:
    simulator.provision_after = "never"
    old = simulator.give_number(str(simulator.add_agent("a", first_message="old")["id"]))
    poll_may_end = threading.Event()

    class Held(Respond):
        async def respond(self, call: Any, handle: Any) -> Any:
            await asyncio.to_thread(poll_may_end.wait, WITHIN)
            return await super().respond(call, handle)

    simulator.fail("listPhoneAgents", Held(200, [old]))

    async def test() -> None:
        hook = OpenCXHook("opencx_default")
        async with triggerer(shares_streams=shares_streams) as running:
            waiting = running.start(trigger(agent_name="nobody", poll_interval=1))
            await until(lambda: simulator.count("listPhoneAgents") == 1)
            if has_ended:
                poll_may_end.set()
                await until(lambda: newest_poll() is not None)
            await hook.aupdate_phone_agent(old["id"], PhoneAgentChanges.parse({"first_message": "new"}))
            polls = simulator.count("listPhoneAgents")
            joined = running.start(trigger(agent_name="a", poll_interval=1))
            poll_may_end.set()
            [event] = await ended([joined])
            assert result_of(event)["first_message"] == "new"
            assert simulator.count("listPhoneAgents") == polls + 1
            waiting.cancel()

    in_event_loop(test)


@ON_EACH_AIRFLOW
def test_trigger_keeps_interval_as_tasks_come_and_go(shares_streams: bool, simulator: Simulator) -> None:
    simulator.add_agent("a")

    async def test() -> None:
        async with triggerer(shares_streams=shares_streams) as running:
            for _ in range(4):
                events = await ended([running.start(trigger(agent_name="a", poll_interval=0.5)) for _ in range(3)])
                assert [result_of(event)["name"] for event in events] == ["a"] * 3

    in_event_loop(test)
    times = [request.time for request in simulator.requests]
    assert len(times) == 4
    assert min(later - earlier for earlier, later in pairwise(times)) > 0.4


@ON_EACH_AIRFLOW
def test_trigger_polls_at_once_after_earlier_error(shares_streams: bool, simulator: Simulator) -> None:
    simulator.fail("listPhoneAgents", Respond(401))
    simulator.add_agent("a")

    async def test() -> None:
        async with triggerer(shares_streams=shares_streams) as running:
            [event] = await ended([running.start(trigger(agent_name="a"))])
            assert event["status"] == "error"
            await until(lambda: newest_poll() is None)
            [event] = await ended([running.start(trigger(agent_name="a"))])
            assert result_of(event)["name"] == "a"

    in_event_loop(test)


@ON_EACH_AIRFLOW
def test_trigger_429_slows_later_tasks_too(shares_streams: bool, simulator: Simulator) -> None:
    simulator.fail("listPhoneAgents", Respond(429, headers={"Retry-After": "2"}))
    simulator.add_agent("a")

    async def test() -> None:
        async with triggerer(shares_streams=shares_streams) as running:
            waiting = running.start(trigger(agent_name="a", poll_interval=0.01))
            await until(lambda: newest_poll() is not None)
            waiting.cancel()
            await asyncio.wait([waiting])
            await ended([running.start(trigger(agent_name="a", poll_interval=0.01)) for _ in range(3)])

    in_event_loop(test)
    refused, served = simulator.requests
    assert served.time - refused.time >= 2


def test_trigger_continues_when_poller_is_cancelled(simulator: Simulator) -> None:
    simulator.provision_after = "3reads"
    simulator.add_agent("a")

    def is_fresh() -> bool:
        poll = newest_poll()
        return poll is not None and time.monotonic() - poll.taken_at < 0.4

    async def test() -> None:
        async with triggerer(shares_streams=False) as running:
            waiting = [running.start(trigger(agent_name="a", poll_interval=0.5)) for _ in range(20)]
            for polls in (1, 2):
                await until(lambda polls=polls: simulator.count("listPhoneAgents") == polls and is_fresh())
                for cancelled in waiting[:5]:
                    cancelled.cancel()
                del waiting[:5]
            events = await ended(waiting)
        assert [result_of(event)["name"] for event in events] == ["a"] * 10

    in_event_loop(test)
    times = [request.time for request in simulator.requests]
    assert len(times) == 4
    assert min(later - earlier for earlier, later in pairwise(times)) > 0.4


def test_trigger_forgets_polls_nobody_needs(simulator: Simulator) -> None:
    simulator.add_agent("a")

    async def test() -> None:
        async with triggerer() as running:
            await ended([running.start(trigger(agent_name="a", poll_interval=0.2))])
        await until(lambda: not polling._shared)

    in_event_loop(test)


@ON_EACH_AIRFLOW
def test_trigger_waits_for_many_agents(shares_streams: bool, simulator: Simulator) -> None:
    simulator.provision_after = "3reads"
    ids = [simulator.add_agent(f"agent {number}")["id"] for number in range(50)]

    async def test() -> None:
        async with triggerer(shares_streams=shares_streams) as running:
            waiting = [
                running.start(trigger(agent_id=ids[::-1], poll_interval=0.5)),
                running.start(trigger(agent_name=[])),
            ]
            events = await ended(waiting)
        many, none = map(result_of, events)
        assert many == simulator.agents()[::-1]
        assert none == []

    in_event_loop(test)
    assert simulator.count("listPhoneAgents") == 4


def test_trigger_reports_wrong_selector_as_error_event(simulator: Simulator) -> None:
    async def test() -> None:
        async with triggerer() as running:
            for wrong in ({"agent_id": "1", "agent_name": "a"}, {"agent_name": ""}, {"agent_id": ["1", None]}):
                [event] = await ended([running.start(trigger(**wrong))])
                with pytest.raises(OpenCXArgumentError):
                    result_of(event)

    in_event_loop(test)
    assert simulator.requests == []


def test_trigger_counts_each_poll_once(simulator: Simulator) -> None:
    async def test() -> None:
        async with triggerer() as running:
            events = await ended([running.start(trigger(agent_id="gone", poll_interval=0.05)) for _ in range(20)])
        for event in events:
            with pytest.raises(OpenCXError, match="missing 3 times in a row"):
                result_of(event)

    in_event_loop(test)
    assert simulator.count("listPhoneAgents") == 3


def test_trigger_settles_before_task_resumes(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phone_number, "SECONDS_TO_SETTLE", 1.0)
    simulator.add_agent("a")

    async def test() -> None:
        for trigger_id, at_the_earliest in ((7, 1.0), (None, 0.0)):
            waiting = trigger(agent_name="a", poll_interval=0.01)
            waiting.trigger_id = trigger_id
            async with triggerer() as running:
                started = asyncio.get_running_loop().time()
                [event] = await ended([running.start(waiting)])
                assert asyncio.get_running_loop().time() - started >= at_the_earliest
            assert result_of(event)["name"] == "a"

    in_event_loop(test)


def test_trigger_resumes_no_task_within_ten_seconds(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)  # and no time is lost

    monkeypatch.setattr(phone_number, "asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": sleep}))
    simulator.add_agent("a")

    async def test() -> None:
        for selector, started_by_worker, at_the_earliest in (
            ({"agent_name": "a"}, True, 10),
            ({"agent_name": []}, True, 10),
            ({"agent_name": ""}, True, 10),
            ({"agent_name": "a"}, False, 0),
        ):
            waiting = trigger(**selector, poll_interval=0.01, started_by_worker=started_by_worker)
            waiting.trigger_id = 7
            slept.clear()
            began = time.monotonic()
            async with triggerer() as running:
                await ended([running.start(waiting)])
            assert at_the_earliest - (time.monotonic() - began) <= sum(slept) <= at_the_earliest

    in_event_loop(test)


def test_trigger_separates_connections_and_intervals() -> None:
    keys = [
        trigger(agent_id="1").shared_stream_key(),
        trigger(agent_name="b").shared_stream_key(),
        trigger(agent_id="1", poll_interval=1).shared_stream_key(),
        trigger(agent_id="1", opencx_conn_id="other").shared_stream_key(),
    ]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


def test_trigger_picks_up_replaced_key(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    simulator.provision_after = "3reads"
    simulator.add_agent("a")
    monkeypatch.setenv("AIRFLOW_CONN_OPENCX_DEFAULT", connection_json(simulator.url, "an-old-key"))

    async def test() -> None:
        class Replaced(Respond):
            async def respond(self, call: Any, handle: Any) -> Any:
                monkeypatch.setenv("AIRFLOW_CONN_OPENCX_DEFAULT", connection_json(simulator.url, API_KEY))
                return await super().respond(call, handle)

        simulator.fail("listPhoneAgents", Respond(200, []))
        simulator.fail("listPhoneAgents", Replaced(401))
        async with triggerer() as running:
            [event] = await ended([running.start(trigger(agent_name="a", poll_interval=0.05))])
        assert result_of(event)["name"] == "a"

    in_event_loop(test)


def test_trigger_survives_unexpected_errors(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = simulator.add_agent("a")
    attempts = 0
    connect = OpenCXHook.aget_conn

    async def failing_at_first(hook: Any) -> Any:
        nonlocal attempts
        attempts += 1
        if attempts <= 3:
            raise RuntimeError("the API server is being restarted")
        return await connect(hook)

    monkeypatch.setattr(OpenCXHook, "aget_conn", failing_at_first)

    async def test() -> None:
        async with triggerer() as running:
            [event] = await ended([running.start(trigger(agent_id=agent["id"], poll_interval=0.01))])
        assert result_of(event)["id"] == agent["id"]

    in_event_loop(test)


def test_trigger_and_events_round_trip_as_json(simulator: Simulator) -> None:
    agent = simulator.add_agent("a")
    classpath, arguments = trigger(agent_id=agent["id"]).serialize()
    assert OpenCXPhoneNumberTrigger("c", agent_id="1").serialize()[1]["end_from_trigger"] is False
    copy = OpenCXPhoneNumberTrigger(**json.loads(json.dumps(arguments)))
    assert (classpath, arguments) == copy.serialize()

    async def test() -> None:
        async for event in copy.run():
            assert result_of(json.loads(json.dumps(event.payload)))["id"] == agent["id"]
            assert "s3cret" not in json.dumps(event.payload)

    in_event_loop(test)


@pytest.mark.parametrize(
    "event",
    [None, {}, {"status": "success"}, {"status": "later"}, "done", {"status": "success", "agents": [{"id": "1"}]}],
)
def test_event_with_unknown_content_raises(event: Any) -> None:
    with pytest.raises(OpenCXError, match="not one of OpenCXPhoneNumberTrigger"):
        result_of(event)
