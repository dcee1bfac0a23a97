"""Tests the trigger of an asset watcher, in an event loop: each change is one event, whatever happens."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
import threading
import types
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator
from contextlib import asynccontextmanager
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import pytest
from airflow.sdk import Asset, AssetWatcher
from airflow.triggers.base import BaseEventTrigger

from airflow_provider_opencx import metrics, waiting
from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.phone_agents.events import AGENT_EVENTS
from airflow_provider_opencx.simulator import CloseBeforeHandling, Fault, Respond, Simulator, SlowResponse
from airflow_provider_opencx.simulator.responses import error_body
from airflow_provider_opencx.triggers import agent_watch, connections, polling
from airflow_provider_opencx.triggers.phone_agent_events import OpenCXPhoneAgentEventTrigger
from airflow_provider_opencx.triggers.phone_number import OpenCXPhoneNumberTrigger

API_KEY = "ocx_live_integrati0n-s3cret"
NUMBER, OTHER = "+15550000001", "+15550000002"
INTERVAL = 0.05
WITHIN = 30
LIST = "listPhoneAgents"

needs_store = pytest.mark.skipif(
    not hasattr(import_module("airflow.sdk.execution_time.context"), "AssetStateStoreAccessors"),
    reason="Airflow 3.3 brings the asset state store",
)


def trigger(*, assets: tuple[str, ...] = (), **arguments: Any) -> OpenCXPhoneAgentEventTrigger:
    """Return a trigger as a triggerer makes it.

    :param assets: the assets whose states it gets.
    """
    made = OpenCXPhoneAgentEventTrigger(**{"poll_interval": INTERVAL} | arguments)
    if assets:
        accessors = import_module("airflow.sdk.execution_time.context").AssetStateStoreAccessors
        made.asset_state_store = accessors(inlets=[Asset(name) for name in assets])
    return made


class Fired(list[Any]):
    """The payloads that a running trigger has fired."""

    task: asyncio.Task[None]

    @property
    def kinds(self) -> list[str]:
        return [event["event"] for event in self]

    async def some(self, number: int) -> None:
        """Wait for a number of events."""
        await until(lambda: len(self) >= number)


@asynccontextmanager
async def running(made: OpenCXPhoneAgentEventTrigger) -> AsyncIterator[Fired]:
    """Run a trigger as Airflow's triggerer does, until it is cancelled."""
    fired = Fired()

    async def run() -> None:
        async for event in made.run():
            json.dumps(event.payload)
            fired.append(event.payload)

    fired.task = asyncio.create_task(run())
    try:
        yield fired
        assert not fired.task.done()
    finally:
        fired.task.cancel()
        await asyncio.wait([fired.task])


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN):
        while not condition():
            await asyncio.sleep(0.01)  # what is waited for happens in the simulator's thread


def in_event_loop(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(4 * WITHIN):
            await test()

    asyncio.run(bounded())


async def evaluated(simulator: Simulator, polls: int = 1) -> None:
    """Wait until polls that begin from now on have been evaluated."""
    wanted = simulator.count(LIST) + polls + 2
    await until(lambda: simulator.count(LIST) >= wanted)


class Supervisor:
    """What a triggerer's process of triggers asks for the state of assets."""

    def __init__(self) -> None:
        self.comms = import_module("airflow.sdk.execution_time.comms")
        self.stored: dict[tuple[str, str], str] = {}
        self.fails_on: tuple[str, ...] = ()
        self.inactive: set[str] = set()
        self.after_failure: Callable[[], None] = lambda: None
        self.asked: Counter[str] = Counter()

    async def asend(self, message: Any) -> Any:
        kind = type(message).__name__[:3].lower()
        self.asked[kind] += 1
        await asyncio.sleep(0)
        if kind in self.fails_on:
            self.after_failure()
            raise RuntimeError("the database is away")
        place = (message.name, message.key)
        if kind == "set" and message.name in self.inactive:
            raise RuntimeError("not found")
        if kind == "set":
            self.stored[place] = json.dumps(message.value)
            return None
        if place in self.stored:
            return self.comms.AssetStateStoreResult(value=json.loads(self.stored[place]))
        not_found = import_module("airflow.sdk.exceptions").ErrorType.ASSET_STORE_NOT_FOUND
        return self.comms.ErrorResponse(error=not_found)

    def record(self, asset: str = "agents") -> dict[str, Any]:
        [value] = [json.loads(value) for (name, _), value in self.stored.items() if name == asset]
        return dict(value)

    def has_record(self, asset: str = "agents") -> bool:
        return asset in {name for name, _ in self.stored}


ENCODERS = ("airflow.serialization.encoders", "airflow.serialization.serialized_objects")
"""Where Airflows have what a Dag's watchers are encoded with."""


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    """The supervisor that Airflow's accessors of the store ask."""
    made = Supervisor()
    task_runner = import_module("airflow.sdk.execution_time.task_runner")
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", made, raising=False)
    return made


@pytest.fixture
def errors(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """The errors that watchers have counted."""
    counted: Counter[str] = Counter()
    monkeypatch.setattr(metrics, "count_watch_error", lambda cause: counted.update([cause]))
    return counted


def test_watcher_fires_each_change_once(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[str] = []
    monkeypatch.setattr(metrics, "count_event", counted.append)
    simulator.provision_after = "never"
    id = str(simulator.add_agent("Front desk")["id"])
    simulator.add_agent("Other", phone_number="+15550000009")

    async def test() -> None:
        async with running(trigger()) as fired:
            await evaluated(simulator)
            assert fired == []
            simulator.give_number(id, NUMBER)
            await fired.some(1)
            simulator.give_number(id, OTHER)
            await fired.some(2)
            simulator.take_number(id)
            await fired.some(3)
            simulator.change_agent(id, first_message="Hello")
            await fired.some(4)
            await evaluated(simulator, 3)
        assert [(event["event"], event["phone_number"], event["fields"]) for event in fired] == [
            ("number_assigned", NUMBER, []),
            ("number_changed", OTHER, []),
            ("number_lost", None, []),
            ("agent_changed", None, ["first_message"]),
        ]
        assert len({event["event_id"] for event in fired}) == 4
        assert {event["agent_id"] for event in fired} == {id}
        assert counted == fired.kinds

    in_event_loop(test)


def test_watchers_and_sensors_share_one_request_an_interval(simulator: Simulator) -> None:
    simulator.provision_after = "never"
    id = str(simulator.add_agent("Front desk")["id"])

    async def test() -> None:
        watchers = [trigger(poll_interval=1, events=AGENT_EVENTS[: 1 + number % 6]) for number in range(100)]
        runs = [running(watcher) for watcher in watchers]
        fired = [await run.__aenter__() for run in runs]
        sensor = OpenCXPhoneNumberTrigger("opencx_default", agent_id=id, poll_interval=1)
        waiting_sensor = asyncio.create_task(anext(aiter(sensor.run())))
        await until(lambda: simulator.count(LIST) >= 2)
        simulator.give_number(id, NUMBER)
        for events in fired:
            await events.some(1)
        event = await waiting_sensor
        assert event.payload["agent"]["phone_number"] == NUMBER
        for run in runs:
            await run.__aexit__(None, None, None)
        assert {tuple(events.kinds) for events in fired} == {("number_assigned",)}

    monkeypatched = pytest.MonkeyPatch()
    monkeypatched.setattr("airflow_provider_opencx.triggers.waiting.SECONDS_TO_SETTLE", 0.0)
    try:
        in_event_loop(test)
    finally:
        monkeypatched.undo()
    times = [request.time for request in simulator.requests]
    assert all(later - earlier > 0.9 for earlier, later in pairwise(times))


NOT_A_LIST: dict[str, Fault] = {
    "500": Respond(500, error_body(500, "No")),
    "401": Respond(401, error_body(401, "No")),
    "403": Respond(403, error_body(403, "No")),
    "429": Respond(429, headers={"Retry-After": "0"}),
    "page of a proxy": Respond(200, "<html>Welcome</html>"),
    "no agents": Respond(200, {"items": 7}),
    "no response": CloseBeforeHandling(),
}


@pytest.mark.parametrize("fault", NOT_A_LIST.values(), ids=NOT_A_LIST)
def test_watcher_fires_no_error_and_goes_on(
    fault: Fault, simulator: Simulator, errors: Counter[str], caplog: pytest.LogCaptureFixture
) -> None:
    simulator.provision_after = "never"
    id = str(simulator.add_agent("Front desk")["id"])

    async def test() -> None:
        async with running(trigger()) as fired:
            await evaluated(simulator)
            simulator.fail(LIST, fault, times=None)
            await until(lambda: errors["poll"] >= 2)
            warned = [record for record in caplog.records if "Polling for" in record.getMessage()]
            assert len(warned) <= errors["poll"] + 1  # one line for each poll
            simulator.heal()
            simulator.give_number(id, NUMBER)
            await fired.some(1)
            await evaluated(simulator)
        assert fired.kinds == ["number_assigned"]

    in_event_loop(test)
    assert set(errors) == {"poll"}


def test_watcher_outlives_its_connection(
    simulator: Simulator, errors: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator.provision_after = "never"
    id = str(simulator.add_agent("Front desk")["id"])
    connection = os.environ["AIRFLOW_CONN_OPENCX_DEFAULT"]
    monkeypatch.delenv("AIRFLOW_CONN_OPENCX_DEFAULT")

    async def test() -> None:
        async with running(trigger()) as fired:
            await until(lambda: errors["poll"] >= 2)
            monkeypatch.setenv("AIRFLOW_CONN_OPENCX_DEFAULT", connection)
            await evaluated(simulator)
            simulator.give_number(id, NUMBER)
            await fired.some(1)
        assert fired.kinds == ["number_assigned"]

    in_event_loop(test)


def test_watcher_goes_on_after_a_poll_that_could_not_be_evaluated(
    simulator: Simulator, errors: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator.provision_after = "never"
    id = str(simulator.add_agent("Front desk")["id"])
    in_thread = agent_watch.in_thread

    async def no_thread_left(call: Callable[[], Any]) -> Any:
        raise RuntimeError("can't start new thread")

    async def test() -> None:
        async with running(trigger()) as fired:
            await evaluated(simulator)
            monkeypatch.setattr(agent_watch, "in_thread", no_thread_left)
            await until(lambda: errors["evaluation"] >= 2)
            monkeypatch.setattr(agent_watch, "in_thread", in_thread)
            simulator.give_number(id, NUMBER)
            await fired.some(1)
        assert fired.kinds == ["number_assigned"]

    in_event_loop(test)
    assert set(errors) == {"evaluation"}


def test_watcher_logs_one_line_an_event_and_never_the_key(
    simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "airflow_provider_opencx")
    simulator.provision_after = "never"
    ids = [str(simulator.add_agent(f"agent {number}")["id"]) for number in range(3)]

    async def test() -> None:
        async with running(trigger()) as fired:
            await evaluated(simulator)
            for id in ids:
                simulator.give_number(id)
            await fired.some(3)
            await evaluated(simulator, 3)
            assert API_KEY not in json.dumps(fired)

    in_event_loop(test)
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("airflow_provider_opencx")]
    assert sum(line.startswith("Fired number_assigned of phone agent 'agent ") for line in lines) == 3
    assert len(lines) == 4  # and the baseline
    assert API_KEY not in str(lines)


def test_agent_that_one_list_lacks_is_not_removed(simulator: Simulator) -> None:
    for name in ("kept", "gone"):
        simulator.add_agent(name)

    async def test() -> None:
        async with running(trigger()) as fired:
            await evaluated(simulator)
            simulator.fail(LIST, Respond(200, []), times=6)
            await evaluated(simulator, 8)
            assert fired == []

    in_event_loop(test)


def test_agent_that_stays_missing_is_removed(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "LAGS_FOR", 0.0)
    simulator.provision_after = "never"
    gone = str(simulator.add_agent("gone")["id"])
    simulator.add_agent("kept")

    async def test() -> None:
        async with running(trigger()) as fired:
            await evaluated(simulator)
            simulator.fail(LIST, Respond(200, []), times=2)
            await evaluated(simulator, 4)
            assert fired == []
            simulator.remove_agent(gone)
            await fired.some(1)
            await evaluated(simulator, 3)
        assert [(event["event"], event["agent_id"]) for event in fired] == [("agent_removed", gone)]

    in_event_loop(test)


def test_another_organization_fires_nothing_and_loses_nothing(
    monkeypatch: pytest.MonkeyPatch,
    errors: Counter[str],
    caplog: pytest.LogCaptureFixture,
    connect: Callable[[str, str], None],
) -> None:
    with Simulator(api_keys=("first", "second"), requests_per_minute=None) as simulator:
        connect(simulator.url, "first")
        simulator.provision_after = "never"
        id = str(simulator.add_agent("Front desk")["id"])
        other = str(simulator.add_agent("Front desk", api_key="second")["id"])
        simulator.add_agent("Another", api_key="second")

        async def use(key: str) -> None:
            """Put another key behind the connection; the next request that is refused lets it be read."""
            connect(simulator.url, key)
            simulator.fail(LIST, Respond(401, error_body(401, "No")), times=3)

        async def test() -> None:
            async with running(trigger()) as fired:
                await evaluated(simulator)
                await use("second")
                await until(lambda: errors["organization"] >= 2)
                simulator.give_number(id, NUMBER)
                await use("first")
                await fired.some(1)
                assert fired.kinds == ["number_assigned"]
                monkeypatch.setattr(waiting, "LAGS_FOR", 0.0)
                await use("second")
                await until(lambda: "Its agents are watched from now on" in caplog.text)
                await evaluated(simulator)
                assert fired.kinds == ["number_assigned"]
                simulator.give_number(other, OTHER)
                await fired.some(2)
            assert fired[1]["agent_id"] == other
            assert fired[0]["org_id"] != fired[1]["org_id"]

        in_event_loop(test)
    assert "If its API key is wrong, correct it: nothing is lost." in caplog.text


def test_watcher_that_is_cancelled_leaves_at_once(simulator: Simulator) -> None:
    simulator.fail(LIST, SlowResponse(10), times=None)

    async def test() -> None:
        async with running(trigger()) as fired:
            await until(lambda: simulator.count(LIST) == 1)
        assert fired.task.cancelled()
        assert not any(polls._waiters for polls in polling._shared.values())

    before = asyncio.run(_timed(test))
    assert before < 5

    def ended() -> bool:
        return not any(thread.name == "opencx" for thread in threading.enumerate())

    simulator.heal()
    asyncio.run(_timed(lambda: until(ended)))


async def _timed(test: Callable[[], Awaitable[None]]) -> float:
    began = asyncio.get_running_loop().time()
    async with asyncio.timeout(WITHIN):
        await test()
    return asyncio.get_running_loop().time() - began


@needs_store
def test_watcher_fires_what_changed_while_it_was_down(simulator: Simulator, supervisor: Supervisor) -> None:
    simulator.provision_after = "never"
    id = str(simulator.add_agent("Front desk")["id"])

    async def test() -> None:
        async with running(trigger(assets=("agents",))) as fired:
            await until(supervisor.has_record)
        assert fired == []
        simulator.give_number(id, NUMBER)
        async with running(trigger(assets=("agents",), poll_interval=2 * INTERVAL)) as fired:
            await fired.some(1)
            [event] = fired
        async with running(trigger(assets=("agents",))) as fired:  # killed before Airflow had certainly stored it
            await fired.some(1)
            await evaluated(simulator, 3)
        assert fired == [event]

    in_event_loop(test)


@needs_store
def test_watcher_fires_nothing_again_when_it_is_stored(
    simulator: Simulator, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_watch, "SETTLES_IN", 0.1)
    simulator.provision_after = "never"
    id = str(simulator.add_agent("Front desk")["id"])

    async def test() -> None:
        async with running(trigger(assets=("agents",))) as fired:
            await until(supervisor.has_record)
            simulator.give_number(id, NUMBER)
            await fired.some(1)
            await until(lambda: supervisor.record()["pending"] == [] and supervisor.record()["revision"] == 1)
            writes = supervisor.asked["set"]
            await evaluated(simulator, 3)
            assert supervisor.asked["set"] == writes == 3  # the baseline, the change, and that it is stored
        async with running(trigger(assets=("agents",))) as fired:
            await evaluated(simulator, 3)
        assert fired == []

    in_event_loop(test)


@needs_store
def test_watchers_of_other_things_have_records_of_their_own(simulator: Simulator, supervisor: Supervisor) -> None:
    keys = {
        trigger(**arguments).state_key
        for arguments in ({}, {"names": "a"}, {"events": "number_lost"}, {"opencx_conn_id": "other"})
    }
    assert len(keys) == 4
    assert trigger().state_key == trigger(poll_interval=7).state_key
    simulator.add_agent("a")

    async def test() -> None:
        async with running(trigger(assets=("agents",))), running(trigger(assets=("agents",), names="a")):
            await until(lambda: len(supervisor.stored) == 2)

    in_event_loop(test)


@needs_store
def test_watcher_of_several_assets_goes_on_from_the_newest_record(
    simulator: Simulator, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_watch, "SETTLES_IN", 0.1)
    simulator.provision_after = "never"
    id = str(simulator.add_agent("Front desk")["id"])

    async def test() -> None:
        async with running(trigger(assets=("agents",))) as fired:
            await until(supervisor.has_record)
            [((_, key), oldest)] = supervisor.stored.items()
            simulator.give_number(id, NUMBER)
            await fired.some(1)
            await until(lambda: not supervisor.record()["pending"])
        supervisor.stored["older", key] = oldest
        async with running(trigger(assets=("older", "agents", "unknown"))) as fired:
            await evaluated(simulator)
            assert fired == []
            simulator.take_number(id)
            await fired.some(1)
        assert fired.kinds == ["number_lost"]
        assert supervisor.record("older") == supervisor.record("unknown") == supervisor.record("agents")

    in_event_loop(test)


@needs_store
@pytest.mark.parametrize(
    "value",
    [
        "7",
        '"text"',
        '{"version": 99}',
        '{"version": 1}',
        '{"version": 1, "epoch": "e", "revision": 1, "org_id": null, "fields": [], "agents": {}, "pending": [{}]}',
    ],
)
def test_record_that_cannot_be_used_is_a_new_baseline(
    value: str, simulator: Simulator, supervisor: Supervisor, errors: Counter[str], caplog: pytest.LogCaptureFixture
) -> None:
    simulator.provision_after = "never"
    id = str(simulator.add_agent("Front desk")["id"])
    supervisor.stored["agents", trigger().state_key] = value

    async def test() -> None:
        async with running(trigger(assets=("agents",))) as fired:
            await until(lambda: supervisor.stored["agents", trigger().state_key] != value)
            simulator.give_number(id, NUMBER)
            await fired.some(1)
        assert fired.kinds == ["number_assigned"]

    in_event_loop(test)
    assert "cannot be used" in caplog.text
    assert errors == {"state": 1}


@needs_store
def test_store_that_cannot_be_read_is_no_baseline(
    simulator: Simulator, supervisor: Supervisor, errors: Counter[str]
) -> None:
    simulator.provision_after = "never"
    id = str(simulator.add_agent("Front desk")["id"])

    async def test() -> None:
        async with running(trigger(assets=("agents",))):
            await until(supervisor.has_record)
        simulator.give_number(id, NUMBER)
        supervisor.fails_on = ("get",)
        async with running(trigger(assets=("agents",))) as fired:
            await until(lambda: errors["state"] >= 3)
            assert fired == []
            supervisor.fails_on = ()
            await fired.some(1)
        assert fired.kinds == ["number_assigned"]

    in_event_loop(test)
    assert set(errors) == {"state"}


@needs_store
def test_store_that_cannot_be_written_keeps_no_event_back(
    simulator: Simulator, supervisor: Supervisor, errors: Counter[str]
) -> None:
    simulator.provision_after = "never"
    id = str(simulator.add_agent("Front desk")["id"])

    async def test() -> None:
        async with running(trigger(assets=("agents",))):
            await until(supervisor.has_record)
        supervisor.fails_on = ("set",)
        async with running(trigger(assets=("agents",))) as fired:
            await evaluated(simulator)
            simulator.give_number(id, NUMBER)
            await fired.some(1)
        async with running(trigger(assets=("agents",))) as again:
            await again.some(1)
            supervisor.fails_on = ()
            await until(lambda: supervisor.record()["revision"] == 1)
        assert [event["event_id"] for event in again] == [event["event_id"] for event in fired]

    in_event_loop(test)
    assert errors["state"] >= 2


@needs_store
def test_baseline_that_could_not_be_stored_takes_no_record_s_place(
    simulator: Simulator, supervisor: Supervisor
) -> None:
    # While an asset is inactive, Airflow says that nothing is stored, and stores nothing.
    simulator.provision_after = "never"
    id = str(simulator.add_agent("Front desk")["id"])

    async def test() -> None:
        async with running(trigger(assets=("agents",))):
            await until(supervisor.has_record)
        stored, supervisor.stored, supervisor.fails_on = supervisor.stored, {}, ("set",)

        def activate() -> None:
            supervisor.stored, supervisor.fails_on = stored, ()

        simulator.give_number(id, NUMBER)
        async with running(trigger(assets=("agents",))) as fired:
            await evaluated(simulator)
            supervisor.after_failure = activate
            await fired.some(1)
        assert fired.kinds == ["number_assigned"]

    in_event_loop(test)


@needs_store
def test_list_from_before_the_record_is_not_compared_with_it(simulator: Simulator, supervisor: Supervisor) -> None:
    # Another triggerer may still run the trigger, and see and record a change while the first list is on its way.
    simulator.provision_after = "never"
    id = str(simulator.add_agent("Front desk")["id"])

    async def test() -> None:
        async with running(trigger(assets=("agents",))) as fired:
            await until(supervisor.has_record)
            simulator.fail(LIST, SlowResponse(1), times=1)
            polls = simulator.count(LIST)
            async with running(trigger(assets=("agents",), poll_interval=2 * INTERVAL)) as late:
                await until(lambda: simulator.count(LIST) > polls)
                simulator.give_number(id, NUMBER)
                await fired.some(1)
                await asyncio.sleep(1.2)
                await evaluated(simulator, 3)
        assert {event["event_id"] for event in late} <= {event["event_id"] for event in fired}
        assert fired.kinds == ["number_assigned"]

    in_event_loop(test)


@needs_store
def test_asset_that_cannot_be_written_keeps_no_other_from_it(
    simulator: Simulator, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So is an asset whose last Dag is deleted while the triggerer goes on with it.
    simulator.provision_after = "never"
    id = str(simulator.add_agent("Front desk")["id"])
    supervisor.inactive = {"inactive"}

    async def test() -> None:
        async with running(trigger(assets=("inactive", "agents"))) as fired:
            await until(supervisor.has_record)
            simulator.give_number(id, NUMBER)
            await fired.some(1)
            await until(lambda: supervisor.record()["revision"] == 1)
        async with running(trigger(assets=("inactive", "agents"))) as again:
            await again.some(1)
            await evaluated(simulator, 3)
        assert again == fired

    in_event_loop(test)


KILLED_AFTER = (*range(1, 30), *range(30, 90, 3))
"""Steps of an event loop."""


@types.coroutine
def some_steps(coroutine: Coroutine[Any, Any, None], steps: int) -> Generator[Any, Any, None]:
    """Run a coroutine until it has been suspended a number of times, and end it there."""
    value = None
    for _ in range(steps):
        value = yield coroutine.send(value)
    coroutine.close()


@needs_store
def test_change_is_fired_at_least_once_wherever_the_triggerer_is_killed(
    simulator: Simulator, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_watch, "SETTLES_IN", 0.4)
    simulator.provision_after = "never"
    id = str(simulator.add_agent("Front desk")["id"])
    stages: Counter[str] = Counter()

    async def triggerer(database: list[str], steps: int) -> None:
        """Run the trigger as Airflow does: what it yields is fetched a little later, unless it is killed before."""
        outbound: deque[str] = deque()

        async def run() -> None:
            async for event in trigger(assets=("agents",)).run():
                outbound.append(event.payload["event_id"])

        async def synchronize() -> None:
            while True:
                await asyncio.sleep(0.2)  # as Airflow's second, against half a minute
                while outbound:
                    database.append(outbound.popleft())

        synchronizing = asyncio.create_task(synchronize())
        await asyncio.create_task(_awaited(some_steps(run(), steps)))
        synchronizing.cancel()
        # A kill ends the process, and with it what this one still holds: its locks among it.
        polling._shared.clear()
        connections._connections.clear()
        record = supervisor.record()
        stages["found" if record["revision"] and record["pending"] else "stored" if record["revision"] else "new"] += 1
        stages["lost"] += len(outbound)

    async def test() -> None:
        async with running(trigger(assets=("agents",))):
            await until(supervisor.has_record)
        simulator.give_number(id, NUMBER)
        before = dict(supervisor.stored)
        ids = set()
        for steps in KILLED_AFTER:
            supervisor.stored = dict(before)
            database: list[str] = []
            await triggerer(database, steps)
            if not database:
                await triggerer(database, KILLED_AFTER[-1])
            assert len(set(database)) == 1, f"killed after {steps} steps"
            ids.update(database)
        assert len(ids) == 1

    in_event_loop(test)
    assert min(stages[stage] for stage in ("new", "found", "stored", "lost")) > 0


async def _awaited(awaitable: Any) -> None:
    await awaitable


def test_trigger_is_the_same_at_each_parse() -> None:
    probe = (
        "import json; from airflow_provider_opencx.triggers.phone_agent_events import *;"
        "made = OpenCXPhoneAgentEventTrigger('c', events={'number_lost', 'agent_created', 'agent_changed'},"
        " names={'b', 'a', 'c'});"
        "print(json.dumps(made.serialize()))"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", probe],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()[-1]
        for seed in ("1", "2", "3")
    }
    assert len(printed) == 1
    path, arguments = json.loads(printed.pop())
    again = OpenCXPhoneAgentEventTrigger(**arguments)
    assert again.serialize() == (path, arguments)
    assert arguments["names"] == ["a", "b", "c"]


def test_airflow_takes_trigger_for_same_after_its_database(airflow_database: None) -> None:
    from airflow.models.trigger import Trigger

    made = AssetWatcher(name="changes", trigger=trigger(names=["a", "b"])).trigger
    encode = next(
        getattr(module, name)
        for module in map(import_module, filter(find_spec, ENCODERS))
        for name in ("encode_trigger", "_encode_trigger")
        if hasattr(module, name)
    )
    parsed = encode(made)
    stored = Trigger(classpath=parsed["classpath"], kwargs=parsed["kwargs"])
    assert BaseEventTrigger.hash(parsed["classpath"], parsed["kwargs"]) == BaseEventTrigger.hash(
        stored.classpath, stored.kwargs
    )


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"events": ["number_gone"]}, "events: there is no event 'number_gone'; there are 'number_assigned'"),
    ({"events": []}, "events: must not be empty"),
    ({"events": 7}, "events: must be a text, or a list of texts"),
    ({"names": []}, "names: must not be empty"),
    ({"names": ["a", " "]}, "names: must not be empty"),
    ({"names": "{{ var.value.name }}"}, "names: holds a template, and the arguments of a watcher are not rendered"),
    ({"opencx_conn_id": "{{ params.conn }}"}, "opencx_conn_id: holds a template"),
    ({"opencx_conn_id": None}, "opencx_conn_id: must be the id of a connection"),
    ({"poll_interval": 0}, "poll_interval: must be more than zero seconds"),
    ({"poll_interval": -1}, "poll_interval: must be a timedelta, or a number of seconds"),
    ({"poll_interval": "60"}, "poll_interval: must be a timedelta, or a number of seconds"),
]


@pytest.mark.parametrize(("arguments", "says"), WRONG, ids=[str(arguments) for arguments, _ in WRONG])
def test_wrong_argument_is_refused_and_does_not_end_a_triggerer(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(OpenCXArgumentError) as raised:
        OpenCXPhoneAgentEventTrigger(**arguments)
    assert str(raised.value).startswith(says)
    assert isinstance(raised.value, TypeError)


def test_name_with_braces_of_its_own_is_a_name() -> None:
    assert trigger(names="Desk {#1}").names == ["Desk {#1}"]


def test_watchers_take_this_trigger_and_no_other() -> None:
    assert AssetWatcher(name="changes", trigger=trigger()).trigger.events == sorted(AGENT_EVENTS)
    with pytest.raises(ValueError, match="BaseEventTrigger"):
        AssetWatcher(name="number", trigger=OpenCXPhoneNumberTrigger("opencx_default", agent_name="a"))


def test_import_of_the_trigger_loads_no_client() -> None:
    probe = (
        "import sys, airflow.sdk, airflow.triggers.base; before = set(sys.modules);"
        "from airflow_provider_opencx.triggers.phone_agent_events import OpenCXPhoneAgentEventTrigger;"
        "OpenCXPhoneAgentEventTrigger(names=['a']).serialize();"
        "print(*set(sys.modules) - before)"
    )
    printed = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout
    ours = {name for name in printed.split() if name.startswith("airflow_provider_opencx.")}
    light = {
        "phone_agents",
        "phone_agents.events",
        "triggers",
        "triggers.phone_agent_events",
        "connection",
        "connection.form",
    }
    nested = {name.removeprefix("airflow_provider_opencx.") for name in ours}
    assert {name for name in nested if name.partition(".")[0] in ("phone_agents", "triggers", "connection")} <= light
    assert not nested & {"client", "resources", "hooks.opencx", "reconciliation"}
