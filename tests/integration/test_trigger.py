"""Tests the trigger for phone numbers in an event loop: many waiting tasks send one request per interval."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import AssetWatcher
from airflow_standalone import connection_json

from airflow_provider_opencx import metrics, waiting
from airflow_provider_opencx.exceptions import OpenCXArgumentError, OpenCXAuthenticationPermanentError, OpenCXError
from airflow_provider_opencx.hooks.opencx import OpenCXHook
from airflow_provider_opencx.resources.phone_agents import PhoneAgentChanges
from airflow_provider_opencx.simulator import Fault, Respond, Simulator, SlowResponse
from airflow_provider_opencx.simulator.responses import error_body
from airflow_provider_opencx.triggers import connections, polling, threads
from airflow_provider_opencx.triggers import waiting as triggers_waiting
from airflow_provider_opencx.triggers.phone_number import OpenCXPhoneNumberTrigger, result_of

API_KEY = "ocx_live_integrati0n-s3cret"
WITHIN = 30


def trigger(**arguments: Any) -> OpenCXPhoneNumberTrigger:
    return OpenCXPhoneNumberTrigger(**{"opencx_conn_id": "opencx_default", "poll_interval": 3600.0} | arguments)


def started(waiting: OpenCXPhoneNumberTrigger) -> asyncio.Task[Any]:
    """Run a trigger as Airflow's triggerer does, until it fires."""

    async def event() -> Any:
        async with aclosing(waiting.run()) as events:
            return (await anext(events)).payload

    return asyncio.create_task(event())


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


def test_trigger_shares_poll_among_thousand_tasks(simulator: Simulator) -> None:
    simulator.provision_after = "4reads"
    ids = [simulator.add_agent(f"agent {number}")["id"] for number in range(1000)]

    async def test() -> None:
        events = await ended([started(trigger(agent_id=id, poll_interval=1)) for id in ids])
        assert [result_of(event)["id"] for event in events] == ids
        assert all(result_of(event)["phone_number"] for event in events)

    began = time.monotonic()
    in_event_loop(test)
    intervals = time.monotonic() - began
    assert 5 <= simulator.count("listPhoneAgents") <= intervals + 1


@pytest.mark.parametrize("has_ended", [True, False], ids=["after a poll", "during a poll"])
def test_trigger_serves_new_task_from_next_poll(has_ended: bool, simulator: Simulator) -> None:
    simulator.provision_after = "never"
    old = simulator.give_number(str(simulator.add_agent("a", first_message="old")["id"]))
    poll_may_end = threading.Event()

    class Held(Respond):
        async def respond(self, call: Any, handle: Any) -> Any:
            await asyncio.to_thread(poll_may_end.wait, WITHIN)
            return await super().respond(call, handle)

    simulator.fail("listPhoneAgents", Held(200, [old]))

    async def test() -> None:
        waiting = started(trigger(agent_name="nobody", poll_interval=1))
        await until(lambda: simulator.count("listPhoneAgents") == 1)
        if has_ended:
            poll_may_end.set()
            await until(lambda: newest_poll() is not None)
        changes = PhoneAgentChanges.parse({"first_message": "new"})
        await asyncio.to_thread(OpenCXHook().update_phone_agent, agent_id=old["id"], changes=changes)
        polls = simulator.count("listPhoneAgents")
        joined = started(trigger(agent_name="a", poll_interval=1))
        poll_may_end.set()
        [event] = await ended([joined])
        assert result_of(event)["first_message"] == "new"
        assert simulator.count("listPhoneAgents") == polls + 1
        waiting.cancel()

    in_event_loop(test)


def test_trigger_keeps_interval_as_tasks_come_and_go(simulator: Simulator) -> None:
    simulator.add_agent("a")

    async def test() -> None:
        for _ in range(4):
            events = await ended([started(trigger(agent_name="a", poll_interval=0.5)) for _ in range(3)])
            assert [result_of(event)["name"] for event in events] == ["a"] * 3

    in_event_loop(test)
    times = [request.time for request in simulator.requests]
    assert len(times) == 4
    assert min(later - earlier for earlier, later in pairwise(times)) > 0.4


def test_trigger_polls_at_once_after_earlier_error(simulator: Simulator) -> None:
    simulator.fail("listPhoneAgents", Respond(401, error_body(401, "No")), times=3)
    simulator.add_agent("a")

    async def test() -> None:
        [event] = await ended([started(trigger(agent_name="a"))])
        assert event["status"] == "error"
        await until(lambda: newest_poll() is None)
        [event] = await ended([started(trigger(agent_name="a"))])
        assert result_of(event)["name"] == "a"

    in_event_loop(test)


def test_trigger_429_slows_later_tasks_too(simulator: Simulator) -> None:
    simulator.fail("listPhoneAgents", Respond(429, headers={"Retry-After": "2"}))
    simulator.add_agent("a")

    async def test() -> None:
        waiting = started(trigger(agent_name="a", poll_interval=0.01))
        await until(lambda: newest_poll() is not None)
        waiting.cancel()
        await asyncio.wait([waiting])
        await ended([started(trigger(agent_name="a", poll_interval=0.01)) for _ in range(3)])

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
        waiting = [started(trigger(agent_name="a", poll_interval=0.5)) for _ in range(20)]
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


def test_trigger_reports_waiting_agents_to_the_last(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[int] = []
    monkeypatch.setattr(metrics, "gauge_waiting_agents", lambda conn_id, agents: reported.append(agents))
    simulator.add_agent("a")
    in_event_loop(lambda: ended([started(trigger(agent_name=["a"] * 3, poll_interval=0.2)) for _ in range(2)]))
    assert reported == [6, 0]


def test_trigger_closes_no_socket_that_a_thread_reads_from(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    response_may_come, closed_in = threading.Event(), []
    close = polling.OpenCXClient.close

    def noted(client: Any) -> None:
        closed_in.append(threading.current_thread())
        close(client)

    class Held(Respond):
        async def respond(self, call: Any, handle: Any) -> Any:
            await asyncio.to_thread(response_may_come.wait, WITHIN)
            return await super().respond(call, handle)

    monkeypatch.setattr(polling.OpenCXClient, "close", noted)
    simulator.fail("listPhoneAgents", Held(200, []))

    async def test() -> None:
        abandoned = started(trigger(agent_name="a"))
        await until(lambda: simulator.count("listPhoneAgents") == 1)
        abandoned.cancel()
        await asyncio.wait([abandoned])
        assert closed_in == []
        response_may_come.set()
        await until(lambda: len(closed_in) == 1)
        assert closed_in[0] is not threading.current_thread()

    in_event_loop(test)


def test_trigger_forgets_polls_nobody_needs(simulator: Simulator) -> None:
    simulator.add_agent("a")

    async def test() -> None:
        await ended([started(trigger(agent_name="a", poll_interval=0.2))])
        await until(lambda: not polling._shared)

    in_event_loop(test)


def test_trigger_waits_for_many_agents(simulator: Simulator) -> None:
    simulator.provision_after = "3reads"
    ids = [simulator.add_agent(f"agent {number}")["id"] for number in range(50)]

    async def test() -> None:
        waiting = [
            started(trigger(agent_id=ids[::-1], poll_interval=0.5)),
            started(trigger(agent_name=[])),
        ]
        events = await ended(waiting)
        many, none = map(result_of, events)
        assert many == simulator.agents()[::-1]
        assert none == []

    in_event_loop(test)
    assert simulator.count("listPhoneAgents") == 4


def test_trigger_reports_wrong_selector_as_error_event(simulator: Simulator) -> None:
    async def test() -> None:
        for wrong in ({"agent_id": "1", "agent_name": "a"}, {"agent_name": ""}, {"agent_id": ["1", None]}):
            [event] = await ended([started(trigger(**wrong))])
            with pytest.raises(OpenCXArgumentError):
                result_of(event)

    in_event_loop(test)
    assert simulator.requests == []


def test_trigger_counts_each_poll_once(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "LAGS_FOR", 0.0)

    async def test() -> None:
        events = await ended([started(trigger(agent_id="gone", poll_interval=0.05)) for _ in range(20)])
        for event in events:
            with pytest.raises(OpenCXError, match="in 3 polls in a row"):
                result_of(event)

    in_event_loop(test)
    assert simulator.count("listPhoneAgents") == 3


def test_trigger_settles_before_task_resumes(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triggers_waiting, "SECONDS_TO_SETTLE", 1.0)
    simulator.add_agent("a")

    async def test() -> None:
        for trigger_id, at_the_earliest in ((7, 1.0), (None, 0.0)):
            waiting = trigger(agent_name="a", poll_interval=0.01)
            waiting.trigger_id = trigger_id
            began = asyncio.get_running_loop().time()
            [event] = await ended([started(waiting)])
            assert asyncio.get_running_loop().time() - began >= at_the_earliest
            assert result_of(event)["name"] == "a"

    in_event_loop(test)


def test_trigger_resumes_no_task_within_ten_seconds(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)  # and no time is lost

    monkeypatch.setattr(triggers_waiting, "asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": sleep}))
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
            await ended([started(waiting)])
            assert at_the_earliest - (time.monotonic() - began) <= sum(slept) <= at_the_earliest

    in_event_loop(test)


def test_trigger_separates_connections_and_intervals(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    simulator.provision_after = "never"
    agent = simulator.add_agent("a")
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", connection_json(simulator.url, API_KEY))

    async def test() -> None:
        waiting = [
            started(trigger(**arguments))
            for arguments in (
                {"agent_id": agent["id"]},
                {"agent_name": "a"},
                {"agent_name": "a", "poll_interval": 3601},
                {"agent_name": "a", "opencx_conn_id": "other"},
            )
        ]
        await until(lambda: simulator.count("listPhoneAgents") >= 3 and len(polling._shared) == 3)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)

    in_event_loop(test)
    assert simulator.count("listPhoneAgents") == 3


def test_trigger_is_refused_in_asset_watcher() -> None:
    with pytest.raises(ValueError, match=r"must inherit `*BaseEventTrigger"):
        AssetWatcher("number", trigger=trigger(agent_name="a"))


def test_trigger_serves_others_while_services_hang(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    simulator.add_agent("a")
    with Simulator(api_keys=(API_KEY,)) as hanging:
        for number in range(threads.MOST_THREADS - 1):
            monkeypatch.setenv(f"AIRFLOW_CONN_HANGING_{number}", connection_json(hanging.url, API_KEY))
        hanging.fail("listPhoneAgents", SlowResponse(60), times=None)

        async def test() -> None:
            waiting = [
                started(trigger(agent_name="a", opencx_conn_id=f"hanging_{number}"))
                for number in range(threads.MOST_THREADS - 1)
            ]
            await until(lambda: hanging.count("listPhoneAgents") == len(waiting))
            [event] = await ended([started(trigger(agent_name="a"))])
            assert result_of(event)["name"] == "a"
            stopped_at = time.monotonic()
            for task in waiting:
                task.cancel()
            await asyncio.wait(waiting)
            assert time.monotonic() - stopped_at < 10  # and not the minute for which the service hangs

        in_event_loop(test)


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
        simulator.fail("listPhoneAgents", Replaced(401, error_body(401, "No")))
        [event] = await ended([started(trigger(agent_name="a", poll_interval=0.05))])
        assert result_of(event)["name"] == "a"

    in_event_loop(test)


def test_trigger_follows_connection_that_has_changed(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "KEPT_FOR", 0)
    simulator.provision_after = "never"
    simulator.add_agent("a")
    with Simulator(api_keys=(API_KEY,)) as other:
        agent = other.add_agent("a")

        async def test() -> None:
            waiting = started(trigger(agent_name="a", poll_interval=0.05))
            await until(lambda: newest_poll() is not None)
            monkeypatch.setenv("AIRFLOW_CONN_OPENCX_DEFAULT", connection_json(other.url, API_KEY))
            [event] = await ended([waiting])
            assert result_of(event)["id"] == agent["id"]

        in_event_loop(test)


def test_trigger_keeps_connection_that_cannot_be_read_any_more(
    simulator: Simulator,
    secrets_backend_away: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(connections, "KEPT_FOR", 0)
    simulator.provision_after = "10reads"
    agent = simulator.add_agent("a")
    secrets_backend_away(lambda number: number > 1)

    async def test() -> None:
        [event] = await ended([started(trigger(agent_id=agent["id"], poll_interval=0.05))])
        assert result_of(event)["id"] == agent["id"]

    in_event_loop(test)
    assert (
        "Polling goes on as connection 'opencx_default' was before. Connection 'opencx_default' is not" in caplog.text
    )


def test_triggers_survive_one_odd_response(odd_response: Fault, simulator: Simulator) -> None:
    simulator.provision_after = "3reads"
    ids = [simulator.add_agent(f"agent {number}")["id"] for number in range(50)]
    simulator.fail("listPhoneAgents", odd_response)

    async def test() -> None:
        events = await ended([started(trigger(agent_id=id, poll_interval=0.2)) for id in ids])
        assert [result_of(event)["id"] for event in events] == ids
        assert all(result_of(event)["phone_number"] for event in events)

    in_event_loop(test)


@pytest.mark.parametrize("reads_that_fail", [(), (2, 3, 4)], ids=["", "with the secrets backend away"])
def test_rejected_key_fails_all_triggers(
    reads_that_fail: tuple[int, ...],
    simulator: Simulator,
    secrets_backend_away: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OPENCX_DEFAULT", connection_json(simulator.url, "an-old-key"))
    secrets_backend_away(lambda number: number in reads_that_fail)

    async def test() -> None:
        events = await ended([started(trigger(agent_name="a", poll_interval=0.01)) for _ in range(50)])
        for event in events:
            with pytest.raises(OpenCXAuthenticationPermanentError, match=r"rejected.* 3 times"):
                result_of(event)

    in_event_loop(test)
    assert simulator.count("listPhoneAgents") == (6 if reads_that_fail else 3)


def test_triggers_wait_while_secrets_backend_is_away(
    simulator: Simulator, secrets_backend_away: Callable[..., None]
) -> None:
    agent = simulator.add_agent("a")
    secrets_backend_away(lambda number: number <= 5)

    async def test() -> None:
        events = await ended([started(trigger(agent_id=agent["id"], poll_interval=0.01)) for _ in range(50)])
        assert all(result_of(event)["phone_number"] for event in events)

    in_event_loop(test)
    assert simulator.count("listPhoneAgents") == 1


def test_trigger_picks_up_replaced_key_after_secrets_backend_was_away(
    simulator: Simulator, secrets_backend_away: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = simulator.add_agent("a")
    monkeypatch.setenv("AIRFLOW_CONN_OPENCX_DEFAULT", connection_json(simulator.url, "an-old-key"))

    def is_away(number: int) -> bool:
        if number == 2:
            monkeypatch.setenv("AIRFLOW_CONN_OPENCX_DEFAULT", connection_json(simulator.url, API_KEY))
        return number in (2, 3, 4)

    secrets_backend_away(is_away)

    async def test() -> None:
        events = await ended([started(trigger(agent_id=agent["id"], poll_interval=0.01)) for _ in range(50)])
        assert all(result_of(event)["phone_number"] for event in events)

    in_event_loop(test)
    assert [request.status for request in simulator.requests] == [401, 401, 401, 200]


def test_trigger_survives_unexpected_errors(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = simulator.add_agent("a")
    attempts = 0
    get_connection = OpenCXHook.get_connection

    def failing_at_first(conn_id: str) -> Any:
        nonlocal attempts
        attempts += 1
        if attempts <= 3:
            raise RuntimeError("the API server is being restarted")
        return get_connection(conn_id)

    monkeypatch.setattr(OpenCXHook, "get_connection", staticmethod(failing_at_first))

    async def test() -> None:
        [event] = await ended([started(trigger(agent_id=agent["id"], poll_interval=0.01))])
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
