"""Tests the trigger that waits for conversations: all waiting tasks share one list request per interval."""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow_standalone import connection_json

from airflow_provider_opencx import metrics
from airflow_provider_opencx.exceptions import (
    OpenCXArgumentError,
    OpenCXAuthenticationPermanentError,
    OpenCXConversationTimeoutError,
    OpenCXError,
)
from airflow_provider_opencx.simulator import Respond, Simulator
from airflow_provider_opencx.triggers import conversation as module
from airflow_provider_opencx.triggers import polling
from airflow_provider_opencx.triggers.conversation import OpenCXConversationTrigger, PolledConversations, result_of

LIST = "listChatSessions"
MANY = 1000
WITHIN = 120
BEGAN = datetime.now(UTC).replace(microsecond=0)


def number_of(person: int) -> str:
    return f"+1415555{person:04}"


def trigger(person: int = 101, **arguments: Any) -> OpenCXConversationTrigger:
    named = {} if {"phone_number", "contact_id"} & arguments.keys() else {"phone_number": number_of(person)}
    defaults = {"opencx_conn_id": "opencx_default", "since": BEGAN.isoformat(), "poll_interval": 3600.0}
    return OpenCXConversationTrigger(**defaults | named | arguments)


def fire(waiting: OpenCXConversationTrigger) -> asyncio.Task[Any]:
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


def leave_behind(simulator: Simulator, person: int = 101, **fields: Any) -> str:
    contact = {"id": f"con_{person}", "phone_number": number_of(person)}
    return str(simulator.add_conversation(**{"contact": contact, "status": "open", **fields})["id"])


def queries(simulator: Simulator) -> list[dict[str, Any]]:
    return [dict(request.query) for request in simulator.requests if request.operation == LIST]


def test_thousand_tasks_for_a_thousand_people_share_one_list_an_interval(simulator: Simulator) -> None:
    simulator.page_size = MANY

    async def test() -> None:
        tasks = [fire(trigger(person, poll_interval=1)) for person in range(MANY)]
        await until(lambda: simulator.count(LIST) == 3)
        ids = [leave_behind(simulator, person) for person in range(MANY)]
        assert [result_of(event)["id"] for event in await ended(tasks)] == ids  # type: ignore[index,call-overload]

    began = time.monotonic()
    in_event_loop(test)
    assert 4 <= simulator.count(LIST) <= time.monotonic() - began + 2


def test_list_is_asked_for_as_all_who_wait_need_it(simulator: Simulator) -> None:
    early, late = BEGAN - timedelta(hours=2), BEGAN

    async def test() -> None:
        tasks = [
            fire(trigger(1, since=late.isoformat(), poll_interval=0.3)),
            fire(trigger(2, since=early.isoformat(), poll_interval=0.3)),
        ]
        await until(lambda: simulator.count(LIST) == 2)
        tasks.append(fire(trigger(3, channel_type=None, poll_interval=0.3)))
        await until(lambda: simulator.count(LIST) == 4)
        leave_behind(simulator, 2)
        leave_behind(simulator, 3, channel={"type": "email"})
        await ended(tasks[1:])
        seen = simulator.count(LIST)
        await until(lambda: simulator.count(LIST) == seen + 2)
        await stop(tasks)

    in_event_loop(test)
    asked = queries(simulator)
    margin = timedelta(seconds=61)
    assert asked[1] == {"created_after": (early - margin).isoformat(), "channel_type": "phone_voice"}
    assert asked[3] == {"created_after": (early - margin).isoformat()}
    assert asked[-1] == {"created_after": (late - margin).isoformat(), "channel_type": "phone_voice"}


def test_each_gets_the_conversation_of_its_own_time_channel_and_state(simulator: Simulator) -> None:
    old = leave_behind(simulator, created_at=(BEGAN - timedelta(hours=1)).isoformat(), status="closed_resolved")
    mail = leave_behind(simulator, channel={"type": "email"})
    call = leave_behind(simulator)

    async def test() -> None:
        waiting = [
            trigger(since=(BEGAN - timedelta(hours=1)).isoformat(), until="closed", poll_interval=0.2),
            trigger(poll_interval=0.2),
            trigger(channel_type="email", poll_interval=0.2),
            trigger(contact_id="con_101", poll_interval=0.2),
        ]
        events = await ended([*map(fire, waiting)])
        assert [event["conversation"]["id"] for event in events] == [old, call, mail, call]
        closed = fire(trigger(until="closed", poll_interval=0.2))
        polls = simulator.count(LIST)
        await until(lambda: simulator.count(LIST) >= polls + 2)
        assert not closed.done()
        simulator.update_conversation(call, status="closed_unresolved")
        [event] = await ended([closed])
        assert event["conversation"]["status"] == "closed_unresolved"

    in_event_loop(test)


def test_who_begins_to_wait_while_a_list_is_read_is_found_in_the_next_one(simulator: Simulator) -> None:
    leave_behind(simulator, 2)
    joined: list[asyncio.Task[Any]] = []

    async def test() -> None:
        loop = asyncio.get_running_loop()
        late = trigger(2, poll_interval=0.3)

        class Joins(Respond):
            async def respond(self, call: Any, handle: Any) -> Any:
                loop.call_soon_threadsafe(lambda: joined.append(fire(late)))
                await asyncio.sleep(0.3)
                return handle(call)

        simulator.fail(LIST, Joins(200))
        first = fire(trigger(1, poll_interval=0.3))
        await until(lambda: bool(joined))
        [event] = await ended(joined)
        assert event["conversation"]["contact"]["phone_number"] == number_of(2)
        await stop([first])

    in_event_loop(test)
    assert simulator.count(LIST) == 2


def test_rejected_key_ends_all_waits(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OPENCX_DEFAULT", connection_json(simulator.url, "an-old-key"))

    async def test() -> None:
        for event in await ended([fire(trigger(person)) for person in range(50)]):
            with pytest.raises(OpenCXAuthenticationPermanentError, match=r"rejected.* 3 times"):
                result_of(event)
            assert "an-old-key" not in json.dumps(event)

    in_event_loop(test)
    assert simulator.count(LIST) == 3


def test_nothing_is_left_when_the_last_one_has_left(simulator: Simulator) -> None:
    leave_behind(simulator)

    async def test() -> None:
        await ended([fire(trigger(poll_interval=0.1)) for _ in range(3)])
        polled = PolledConversations.over("opencx_default", 0.1)
        assert not polled._wanted
        del polled
        await until(lambda: not polling._shared)
        gc.collect()
        assert not module._polled

    in_event_loop(test)


def test_gauge_counts_waiting_tasks_and_names_nobody(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[str, float, dict[str, str]]] = []

    class Stats:
        def __getattr__(self, kind: str) -> Any:
            return lambda name="", value=0, tags=None: sent.append((name, value, dict(tags or {})))

    monkeypatch.setattr(metrics, "_send", lambda send: send(Stats()))
    leave_behind(simulator)

    async def test() -> None:
        await ended([fire(trigger()), fire(trigger()), fire(trigger(contact_id="con_101"))])

    in_event_loop(test)
    waiting = [value for name, value, _ in sent if name == "opencx.waiting_conversations"]
    assert (max(waiting), waiting[-1]) == (3, 0)
    assert {"opencx.requests", "opencx.request_duration"} <= {name for name, _, _ in sent}
    assert number_of(101)[1:] not in repr(sent)
    assert "con_101" not in repr(sent)


def test_trigger_and_event_are_plain_json_without_key(simulator: Simulator) -> None:
    conversation_id = leave_behind(simulator)
    classpath, arguments = trigger().serialize()
    copy = OpenCXConversationTrigger(**json.loads(json.dumps(arguments)))
    assert (classpath, arguments) == copy.serialize()

    async def test() -> None:
        [event] = await ended([fire(copy)])
        written = json.dumps(event)
        assert result_of(json.loads(written))["id"] == conversation_id  # type: ignore[index,call-overload]
        assert "s3cret" not in written

    in_event_loop(test)


def test_trigger_ends_the_wait_itself_where_airflow_does_not(simulator: Simulator) -> None:
    async def test() -> None:
        [event] = await ended([fire(trigger(poll_interval=0.1, timeout=3))])
        with pytest.raises(OpenCXConversationTimeoutError, match=r"was seen since .* not the same as a missed call"):
            result_of(event)

    in_event_loop(test)


def test_wrong_argument_is_an_error_event(simulator: Simulator) -> None:
    wrong: list[dict[str, Any]] = [
        {"phone_number": None},
        {"phone_number": "x"},
        {"since": "now"},
        {"until": "ended"},
        {"channel_type": ""},
    ]

    async def test() -> None:
        for arguments in wrong:
            [event] = await ended([fire(trigger(**arguments))])
            with pytest.raises(OpenCXArgumentError):
                result_of(event)

    in_event_loop(test)
    assert simulator.requests == []


@pytest.mark.parametrize("event", [None, {}, {"status": "success"}, {"status": "later"}, "done", {"conversation": {}}])
def test_event_with_unknown_content_raises(event: Any) -> None:
    with pytest.raises(OpenCXError, match="not one of OpenCXConversationTrigger"):
        result_of(event)
