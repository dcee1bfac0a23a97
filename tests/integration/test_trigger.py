"""The trigger on Airflow's shared stream: however many tasks wait, one request an interval."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from airflow.triggers.shared_stream import SharedStreamManager
from airflow_standalone import connection_json

from airflow_provider_opencx.exceptions import OpenCXError
from airflow_provider_opencx.hooks.opencx import OpenCXHook
from airflow_provider_opencx.simulator import Answer, Simulator
from airflow_provider_opencx.triggers import phone_number
from airflow_provider_opencx.triggers.phone_number import OpenCXPhoneNumberTrigger, result_of

API_KEY = "ocx_live_integrati0n-s3cret"
WITHIN = 30


def trigger(**arguments: Any) -> OpenCXPhoneNumberTrigger:
    return OpenCXPhoneNumberTrigger(**{"opencx_conn_id": "opencx_default", "poll_interval": 3600.0} | arguments)


class Triggerer:
    """Runs triggers as Airflow's TriggerRunner does: over a SharedStreamManager."""

    def __init__(self) -> None:
        self._streams = SharedStreamManager()
        self._started = 0

    def start(self, waiting: OpenCXPhoneNumberTrigger) -> asyncio.Task[Any]:
        self._started += 1
        return asyncio.create_task(self._event(self._started, waiting))

    async def _event(self, trigger_id: int, waiting: OpenCXPhoneNumberTrigger) -> Any:
        key = waiting.shared_stream_key()
        stream = self._streams.subscribe(trigger_id=trigger_id, trigger=waiting, key=key)
        try:
            async for event in waiting.filter_shared_stream(stream):
                return event.payload
        finally:
            await self._streams.unsubscribe(trigger_id, key)


@asynccontextmanager
async def triggerer() -> AsyncIterator[Triggerer]:
    running = Triggerer()
    try:
        yield running
    finally:
        await running._streams.stop_all()


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


def test_a_thousand_waiting_tasks_cost_one_request_an_interval(simulator: Simulator) -> None:
    simulator.provision_after = "4reads"
    ids = [simulator.add_agent(f"agent {number}")["id"] for number in range(1000)]

    async def test() -> None:
        async with triggerer() as running:
            events = await ended([running.start(trigger(agent_id=id, poll_interval=0.2)) for id in ids])
        assert [result_of(event)["id"] for event in events] == ids
        assert all(result_of(event)["phone_number"] for event in events)

    in_event_loop(test)
    assert simulator.count("listPhoneAgents") == 5


def test_a_task_that_joins_is_judged_at_once_by_the_newest_poll(simulator: Simulator) -> None:
    simulator.provision_after = "never"
    simulator.add_agent("slow")
    ready = simulator.give_number(str(simulator.add_agent("ready")["id"]))

    async def test() -> None:
        async with triggerer() as running:
            waiting = running.start(trigger(agent_name="slow"))
            await until(lambda: simulator.count("listPhoneAgents") == 1)
            [event] = await ended([running.start(trigger(agent_name="ready"))])
            assert result_of(event)["phone_number"] == ready["phone_number"]
            waiting.cancel()

    in_event_loop(test)
    assert simulator.count("listPhoneAgents") == 1


def test_a_poll_is_not_judged_twice(simulator: Simulator) -> None:
    async def test() -> None:
        async with triggerer() as running:
            events = await ended([running.start(trigger(agent_id="gone", poll_interval=0.05)) for _ in range(20)])
        for event in events:
            with pytest.raises(OpenCXError, match="missing 3 times in a row"):
                result_of(event)

    in_event_loop(test)
    assert simulator.count("listPhoneAgents") == 3


def test_in_a_triggerer_no_task_resumes_before_the_scheduler_has_heard_of_its_deferral(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phone_number, "SECONDS_TO_SETTLE", 1.0)
    simulator.add_agent("a")

    async def test() -> None:
        for trigger_id, at_the_earliest in ((7, 1.0), (None, 0.0)):
            waiting = trigger(agent_name="a")
            waiting.trigger_id = trigger_id
            async with triggerer() as running:
                started = asyncio.get_running_loop().time()
                [event] = await ended([running.start(waiting)])
                assert asyncio.get_running_loop().time() - started >= at_the_earliest
            assert result_of(event)["name"] == "a"

    in_event_loop(test)


def test_other_connections_and_intervals_have_streams_of_their_own() -> None:
    keys = [
        trigger(agent_id="1").shared_stream_key(),
        trigger(agent_name="b").shared_stream_key(),
        trigger(agent_id="1", poll_interval=1).shared_stream_key(),
        trigger(agent_id="1", opencx_conn_id="other").shared_stream_key(),
    ]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


def test_a_replaced_key_is_taken_up_while_tasks_wait(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    simulator.provision_after = "3reads"
    simulator.add_agent("a")
    monkeypatch.setenv("AIRFLOW_CONN_OPENCX_DEFAULT", connection_json(simulator.url, "an-old-key"))

    async def test() -> None:
        class Replaced(Answer):
            async def answer(self, call: Any, handle: Any) -> Any:
                monkeypatch.setenv("AIRFLOW_CONN_OPENCX_DEFAULT", connection_json(simulator.url, API_KEY))
                return await super().answer(call, handle)

        simulator.fail("listPhoneAgents", Answer(200, []))
        simulator.fail("listPhoneAgents", Replaced(401))
        async with triggerer() as running:
            [event] = await ended([running.start(trigger(agent_name="a", poll_interval=0.05))])
        assert result_of(event)["name"] == "a"

    in_event_loop(test)


def test_nothing_that_can_go_wrong_ends_the_stream(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_429_slows_the_poll_down(simulator: Simulator) -> None:
    simulator.fail("listPhoneAgents", Answer(429, headers={"Retry-After": "1"}))
    simulator.add_agent("a")

    async def test() -> None:
        async with triggerer() as running:
            await ended([running.start(trigger(agent_name="a", poll_interval=0.01))])

    in_event_loop(test)
    refused, served = simulator.requests
    assert served.time - refused.time >= 1


def test_the_trigger_is_made_again_from_what_it_serializes_and_its_events_are_json(simulator: Simulator) -> None:
    agent = simulator.add_agent("a")
    classpath, arguments = trigger(agent_id=agent["id"]).serialize()
    copy = OpenCXPhoneNumberTrigger(**json.loads(json.dumps(arguments)))
    assert (classpath, arguments) == copy.serialize()

    async def test() -> None:
        async for event in copy.run():
            assert result_of(json.loads(json.dumps(event.payload)))["id"] == agent["id"]
            assert "s3cret" not in json.dumps(event.payload)

    in_event_loop(test)


@pytest.mark.parametrize("event", [None, {}, {"status": "success"}, {"status": "later"}, "done"])
def test_an_event_of_somebody_else_is_an_error(event: Any) -> None:
    with pytest.raises(OpenCXError, match="not one of OpenCXPhoneNumberTrigger"):
        result_of(event)
