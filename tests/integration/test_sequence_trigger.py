"""Tests the trigger that waits for sequences: each sequence is polled in turn, and many tasks share one poll."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

import pytest
from airflow_standalone import connection_json

from airflow_provider_opencx import metrics, waiting
from airflow_provider_opencx.client.client import OpenCXClient
from airflow_provider_opencx.exceptions import (
    OpenCXArgumentError,
    OpenCXAuthenticationPermanentError,
    OpenCXError,
    OpenCXNotFoundPermanentError,
    OpenCXSequenceCanceledError,
    OpenCXSequenceTimeoutError,
)
from airflow_provider_opencx.simulator import Respond, Simulator
from airflow_provider_opencx.simulator.responses import error_body
from airflow_provider_opencx.triggers import connections, polling, threads
from airflow_provider_opencx.triggers.phone_number import OpenCXPhoneNumberTrigger
from airflow_provider_opencx.triggers.sequence import OpenCXSequenceTrigger, result_of
from airflow_provider_opencx.triggers.waiting import WaitTrigger

API_KEY = "ocx_live_integrati0n-s3cret"
GET = "getSequence"
PERSON = "+14155550101"
FILTER = {"or": [{"and": [{"type": "contacts_phone_number_in", "phone_number_in": [PERSON]}]}]}
STEP = {"action": {"type": "make_phone_calls", "data": {}}}
MANY = 1000
WITHIN = 120
LONGEST_BLOCK = 2.0


def trigger(sequence_id: Any, **arguments: Any) -> OpenCXSequenceTrigger:
    defaults = {"opencx_conn_id": "opencx_default", "until": "started", "poll_interval": 3600.0}
    return OpenCXSequenceTrigger(sequence_id=sequence_id, **defaults | arguments)


def fire(waiting: WaitTrigger[Any]) -> asyncio.Task[Any]:
    """Run a trigger as Airflow's triggerer does, until it fires."""

    async def event() -> Any:
        async with aclosing(waiting.run()) as events:
            return (await anext(events)).payload

    return asyncio.create_task(event())


async def ended(tasks: list[asyncio.Task[Any]]) -> list[Any]:
    async with asyncio.timeout(WITHIN):
        return await asyncio.gather(*tasks)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN):
        while not condition():
            await asyncio.sleep(0.01)  # what is waited for happens in the simulator's thread


async def stop(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


def in_event_loop(test: Callable[[], Awaitable[object]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(2 * WITHIN):
            await test()

    asyncio.run(bounded())


def create(simulator: Simulator, number: int = 1) -> list[str]:
    return [
        str(simulator.create_sequence(filter=FILTER, steps=[STEP], is_continuous=False, name=f"Wave {place}")["id"])
        for place in range(number)
    ]


def start(simulator: Simulator, ids: list[str]) -> list[str]:
    for sequence_id in ids:
        simulator.start_sequence(sequence_id)
    return ids


def polls_of(simulator: Simulator) -> list[str]:
    """Return the ids of the sequences that were polled, in order."""
    return [request.path.rpartition("/")[2] for request in simulator.requests if request.operation == GET]


def waiting_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "opencx"}


class Meter:
    """Measures for how long the event loop runs nothing else, and how many threads wait for the network.

    Threads that other tests of this process have left waiting are not counted.
    """

    def __init__(self) -> None:
        self.longest_block = 0.0
        self.most_threads = 0
        self._earlier = waiting_threads()

    async def run(self) -> None:
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.005)
            self.longest_block = max(self.longest_block, time.monotonic() - began - 0.005)
            self.most_threads = max(self.most_threads, len(waiting_threads() - self._earlier))


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many clients the triggers have opened and closed."""
    counted: Counter[str] = Counter()

    class Counting(OpenCXClient):
        def __init__(self, *arguments: Any) -> None:
            counted["opened"] += 1
            super().__init__(*arguments)

        def close(self) -> None:
            counted["closed"] += 1
            super().close()

    monkeypatch.setattr(connections, "OpenCXClient", Counting)
    return counted


def test_thousand_tasks_on_one_sequence_share_each_poll(simulator: Simulator) -> None:
    [sequence_id] = create(simulator)

    async def test() -> None:
        tasks = [fire(trigger(sequence_id, poll_interval=1)) for _ in range(MANY)]
        await until(lambda: simulator.count(GET) == 3)
        simulator.start_sequence(sequence_id)
        assert all(result_of(event)["id"] == sequence_id for event in await ended(tasks))  # type: ignore[index,call-overload]

    began = time.monotonic()
    in_event_loop(test)
    assert 4 <= simulator.count(GET) <= time.monotonic() - began + 2


def test_thousand_sequences_have_their_turns_and_block_nothing(simulator: Simulator, clients: Counter[str]) -> None:
    ids = create(simulator, MANY)
    meter = Meter()

    async def test() -> None:
        measuring = asyncio.create_task(meter.run())
        tasks = [fire(trigger(sequence_id, poll_interval=2)) for sequence_id in ids]
        await until(lambda: simulator.count(GET) >= MANY + 10)
        start(simulator, ids)
        events = await ended(tasks)
        assert [result_of(event)["id"] for event in events] == ids  # type: ignore[index,call-overload]
        measuring.cancel()

    gc.freeze()  # what other tests have left is not collected here
    in_event_loop(test)
    gc.unfreeze()
    polls = polls_of(simulator)
    assert sorted(polls[:MANY]) == sorted(ids)  # nobody has a second turn before all had their first
    assert len(polls) <= 2 * MANY + 20
    assert clients == {"opened": 1, "closed": 1}
    assert meter.most_threads < threads.MOST_THREADS / 2
    assert meter.longest_block < LONGEST_BLOCK


def test_sequences_that_wait_for_the_limit_leave_threads_to_others(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids, agent = create(simulator, 2 * threads.MOST_THREADS), simulator.add_agent("a", phone_number="+14155550100")
    limited = connection_json(simulator.url, API_KEY, requests_per_minute=2, coordination="process")
    monkeypatch.setenv("AIRFLOW_CONN_LIMITED", limited)
    meter = Meter()

    async def test() -> None:
        measuring = asyncio.create_task(meter.run())
        tasks = [fire(trigger(sequence_id, opencx_conn_id="limited")) for sequence_id in ids]
        await until(lambda: simulator.count(GET) == 2)
        began = time.monotonic()
        others = [
            OpenCXPhoneNumberTrigger("opencx_default", agent_id=str(agent["id"])),
            trigger(start(simulator, create(simulator))[0]),
        ]
        for event in await ended([*map(fire, others)]):
            assert event["status"] == "success"
        assert time.monotonic() - began < 20  # and not the minute for which the others wait
        measuring.cancel()
        await stop(tasks)

    in_event_loop(test)
    assert meter.most_threads < threads.MOST_THREADS / 2


def test_429_lets_all_of_the_connection_pause_and_keeps_their_turns(simulator: Simulator) -> None:
    ids = start(simulator, create(simulator, 5))
    simulator.fail(GET, Respond(429, headers={"Retry-After": "2"}))

    async def test() -> None:
        events = await ended([fire(trigger(sequence_id, poll_interval=0.1)) for sequence_id in ids])
        assert [event["status"] for event in events] == ["success"] * 5

    in_event_loop(test)
    refused, *served = simulator.requests
    assert min(request.time for request in served) - refused.time >= 2
    assert polls_of(simulator) == [*ids, ids[0]]


def test_rejected_key_ends_all_waits_with_few_requests(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OPENCX_DEFAULT", connection_json(simulator.url, "an-old-key"))
    ids = create(simulator, 50)

    async def test() -> None:
        for event in await ended([fire(trigger(sequence_id)) for sequence_id in ids]):
            with pytest.raises(OpenCXAuthenticationPermanentError, match=r"rejected.* 3 times"):
                result_of(event)

    in_event_loop(test)
    # The poll that began before most have asked does not count for them.
    assert simulator.count(GET) == 6


def test_replaced_key_is_picked_up(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = start(simulator, create(simulator, 5))
    monkeypatch.setenv("AIRFLOW_CONN_OPENCX_DEFAULT", connection_json(simulator.url, "an-old-key"))

    class Replaced(Respond):
        async def respond(self, call: Any, handle: Any) -> Any:
            monkeypatch.setenv("AIRFLOW_CONN_OPENCX_DEFAULT", connection_json(simulator.url, API_KEY))
            return await super().respond(call, handle)

    simulator.fail(GET, Replaced(401, error_body(401, "No")))

    async def test() -> None:
        events = await ended([fire(trigger(sequence_id)) for sequence_id in ids])
        assert [event["status"] for event in events] == ["success"] * 5

    in_event_loop(test)


def test_client_is_one_for_all_and_closed_by_the_last(simulator: Simulator, clients: Counter[str]) -> None:
    early, late = create(simulator, 2)
    start(simulator, [early])

    async def test() -> None:
        tasks = [fire(trigger(sequence_id, poll_interval=0.2)) for sequence_id in (early, late)]
        await ended(tasks[:1])
        await until(lambda: polls_of(simulator).count(late) == 3)
        assert clients == {"opened": 1}
        simulator.start_sequence(late)
        await ended(tasks[1:])
        await until(lambda: clients == {"opened": 1, "closed": 1})
        await until(lambda: not polling._shared)
        gc.collect()
        assert not connections._connections

    in_event_loop(test)


def test_list_is_over_when_all_are_there(simulator: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    ids = create(simulator, 3)
    start(simulator, ids[:2])

    async def test() -> None:
        task = fire(trigger([*ids, ids[0]], poll_interval=0.2))
        await until(lambda: polls_of(simulator).count(ids[2]) == 2)
        simulator.start_sequence(ids[2])
        [event] = await ended([task])
        assert [sequence["id"] for sequence in event["sequences"]] == [*ids, ids[0]]

    in_event_loop(test)
    assert [polls_of(simulator).count(sequence_id) for sequence_id in ids] == [1, 1, 3]
    says = f"2 of 3 sequences have begun; still waiting for 'Wave 2' ({ids[2]}), which has not begun."
    assert caplog.text.count(says) == 1


def test_error_of_one_ends_the_wait_for_a_list(simulator: Simulator) -> None:
    ids = create(simulator, 20)

    async def test() -> None:
        task = fire(trigger(ids, poll_interval=0.1))
        await until(lambda: simulator.count(GET) > 20)
        simulator.cancel_sequence(ids[7])
        with pytest.raises(OpenCXSequenceCanceledError, match=ids[7]):
            result_of((await ended([task]))[0])
        polls = simulator.count(GET)
        await asyncio.sleep(0.5)
        assert simulator.count(GET) <= polls + 1  # nobody goes on

    in_event_loop(test)


def test_missing_sequence_is_counted_once_a_poll(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "LAGS_FOR", 0.0)

    async def test() -> None:
        for event in await ended([fire(trigger("gone", poll_interval=0.05)) for _ in range(20)]):
            with pytest.raises(OpenCXNotFoundPermanentError, match="in 3 polls in a row"):
                result_of(event)

    in_event_loop(test)
    assert simulator.count(GET) == 3


def test_waits_for_different_ends_share_the_polls(simulator: Simulator) -> None:
    [sequence_id] = start(simulator, create(simulator))

    async def test() -> None:
        begun = fire(trigger(sequence_id, poll_interval=0.2))
        over = fire(trigger(sequence_id, until="ended", poll_interval=0.2))
        await ended([begun])
        simulator.advance(60)
        assert result_of((await ended([over]))[0])["status"] == "complete"  # type: ignore[index,call-overload]

    in_event_loop(test)
    assert simulator.count(GET) <= 3


def test_gauge_counts_waiting_sequences_to_the_last(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[int] = []
    monkeypatch.setattr(metrics, "gauge_waiting_sequences", lambda conn_id, sequences: reported.append(sequences))
    ids = start(simulator, create(simulator, 3))
    in_event_loop(lambda: ended([fire(trigger(ids)), fire(trigger(ids[0]))]))
    assert max(reported) == 4
    assert reported[-1] == 0


def test_trigger_and_events_are_plain_json_without_key_and_filter(simulator: Simulator) -> None:
    [sequence_id] = start(simulator, create(simulator))
    classpath, arguments = trigger(sequence_id).serialize()
    copy = OpenCXSequenceTrigger(**json.loads(json.dumps(arguments)))
    assert (classpath, arguments) == copy.serialize()

    async def test() -> None:
        [event] = await ended([fire(copy)])
        written = json.dumps(event)
        assert result_of(json.loads(written))["id"] == sequence_id  # type: ignore[index,call-overload]
        assert "s3cret" not in written
        assert PERSON not in written
        assert "filter" not in event["sequence"]

    in_event_loop(test)


def test_trigger_ends_the_wait_itself_where_airflow_does_not(simulator: Simulator) -> None:
    ids = create(simulator, 2)

    async def test() -> None:
        [event] = await ended([fire(trigger(ids, poll_interval=0.1, timeout=5))])
        with pytest.raises(OpenCXSequenceTimeoutError, match="0 of 2 sequences have begun; still waiting for 'Wave 0'"):
            result_of(event)

    in_event_loop(test)


def test_wrong_argument_is_an_error_event(simulator: Simulator) -> None:
    async def test() -> None:
        for wrong in ({"sequence_id": ""}, {"sequence_id": ["1", None]}, {"sequence_id": "1", "until": "over"}):
            [event] = await ended([fire(trigger(**wrong))])
            with pytest.raises(OpenCXArgumentError):
                result_of(event)
        [event] = await ended([fire(trigger([]))])
        assert result_of(event) == []

    in_event_loop(test)
    assert simulator.requests == []


@pytest.mark.parametrize("event", [None, {}, {"status": "success"}, {"status": "later"}, "done", {"sequence": {}}])
def test_event_with_unknown_content_raises(event: Any) -> None:
    with pytest.raises(OpenCXError, match="not one of OpenCXSequenceTrigger"):
        result_of(event)
