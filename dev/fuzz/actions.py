"""The actions that an example can run: each function of the client, and the functions that use them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from pydantic import JsonValue

from airflow_provider_opencx.client.client import OpenCXClient
from airflow_provider_opencx.hooks.opencx import OpenCXHook
from airflow_provider_opencx.phone_agents import reconcile
from airflow_provider_opencx.phone_agents.polling import poll_once
from airflow_provider_opencx.phone_agents.waiting import Wait
from airflow_provider_opencx.resources.phone_agents import (
    PhoneAgent,
    PhoneAgentChanges,
    PhoneAgentSpec,
    create_phone_agent,
    list_phone_agents,
    ping,
    update_phone_agent,
)
from airflow_provider_opencx.resources.voices import list_voices
from airflow_provider_opencx.triggers.phone_number import OpenCXPhoneNumberTrigger

NAME = "a fz"
OTHER_NAME = "b fz"

POLLS = 8
"""More than failed polls are tolerated in a row."""

TRIGGER_SECONDS = 0.5


@dataclass(frozen=True)
class Action:
    """What the provider does.

    :param perform: does it, and returns the result as plain JSON.
    :param existing: the names of the agents that are there before.
    :param lists: whether the result is the whole list of agents.
    """

    perform: Callable[[OpenCXClient], JsonValue]
    existing: Sequence[str] = ()
    lists: bool = False


def _agents(agents: Sequence[PhoneAgent | None]) -> JsonValue:
    return [agent.as_dict() for agent in agents if agent is not None]


def _spec(name: str = NAME) -> PhoneAgentSpec:
    return PhoneAgentSpec.parse({"name": name, "language": "en", "first_message": "Hello"})


def _changes() -> PhoneAgentChanges:
    return PhoneAgentChanges.parse({"first_message": "Good day"})


def _ping(client: OpenCXClient) -> JsonValue:
    ping(client)
    return None


def _fleet(client: OpenCXClient) -> JsonValue:
    plan = reconcile.plan_fleet(client, [_spec(), _spec(OTHER_NAME)], connection="opencx_default")
    document = plan.as_dict()  # what is shown to people, and stored for an approval
    return [document, plan.text, _agents(reconcile.apply_fleet(client, plan, connection="opencx_default"))]


def _plan(client: OpenCXClient) -> JsonValue:
    plan = reconcile.plan_fleet(client, [_spec(), _spec(OTHER_NAME)], connection="opencx_default")
    return [plan.as_dict(), plan.text]


def _poll(client: OpenCXClient) -> JsonValue:
    wait = Wait(None, NAME)
    for _ in range(POLLS):
        poll = poll_once(lambda: list_phone_agents(client), wait)
        if poll.result is not None:
            return poll.result
    return None


def _trigger(client: OpenCXClient) -> JsonValue:
    """Wait in a trigger as ``dag.test()`` does; return the event."""

    async def first_event() -> Mapping[str, Any]:
        trigger = OpenCXPhoneNumberTrigger(
            "opencx_default", agent_name=NAME, poll_interval=0.002, timeout=TRIGGER_SECONDS
        )
        async for event in trigger.run():
            payload: Mapping[str, Any] = event.payload
            return payload
        raise AssertionError("the trigger ended without an event")

    with patch.object(OpenCXHook, "settings_of", lambda hook, connection: client.settings):
        return dict(asyncio.run(first_event()))


def _request(method: Any) -> Callable[[OpenCXClient], JsonValue]:
    def request(client: OpenCXClient) -> JsonValue:
        response = client.request(method, "/other", json=None if method == "GET" else {"a": 1})
        return [repr(response), response.json()]

    return request


ACTIONS: Mapping[str, Action] = {
    "list": Action(lambda client: _agents(list_phone_agents(client)), [OTHER_NAME], lists=True),
    "voices": Action(lambda client: [voice.as_dict() for voice in list_voices(client)]),
    "ping": Action(_ping),
    "post": Action(lambda client: _agents([create_phone_agent(client, _spec())])),
    "patch": Action(lambda client: _agents([update_phone_agent(client, "s0", _changes())]), [NAME]),
    "other GET": Action(_request("GET")),
    "other POST": Action(_request("POST")),
    "other DELETE": Action(_request("DELETE")),
    "create": Action(lambda client: reconcile.create(client, _spec()).as_dict()),
    "upsert": Action(lambda client: reconcile.upsert(client, _spec()).as_dict()),
    "upsert, a retry": Action(lambda client: reconcile.upsert(client, _spec(), is_retry=True).as_dict(), [NAME]),
    "update": Action(lambda client: reconcile.update(client, _changes(), agent_name=NAME).as_dict(), [NAME]),
    "plan": Action(_plan, [NAME]),
    "fleet": Action(_fleet, [OTHER_NAME]),
    "poll": Action(_poll, [NAME]),
    "trigger": Action(_trigger, [NAME]),
}
