"""Tests that one agent that cannot be read stops only the tasks that need what cannot be read."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from copy import deepcopy
from typing import Any, ClassVar

import pytest

from airflow_provider_opencx.client.operation import Request, Response
from airflow_provider_opencx.exceptions import (
    OpenCXError,
    OpenCXFleetError,
    OpenCXPlanChangedError,
    OpenCXResponseError,
)
from airflow_provider_opencx.intents import Intent
from airflow_provider_opencx.phone_agents import reconcile
from airflow_provider_opencx.phone_agents.listing import list_agents
from airflow_provider_opencx.phone_agents.plan import (
    PhoneAgents,
    Refuse,
    Unchanged,
    find_agent,
    plan_create,
    plan_upsert,
    require_agent,
)
from airflow_provider_opencx.phone_agents.waiting import Wait, success
from airflow_provider_opencx.phone_agents.writes import PhoneAgentResource
from airflow_provider_opencx.resources import odd_items
from airflow_provider_opencx.resources.phone_agents import (
    PhoneAgent,
    PhoneAgentChanges,
    PhoneAgentSpec,
    list_phone_agents,
)
from airflow_provider_opencx.resources.voices import list_voices

from .replies import Replies

GOOD = {"id": "1", "name": "good", "type": "outbound", "phone_number": "+15550000001"}
ODD = {"id": "2", "name": "odd", "type": "outbound", "phone_number": "+15550000002"}
DEEP: Any = json.loads("[" * 400 + "]" * 400)

UNREADABLE = [
    ("handoff_phone_number", 5, "handoff_phone_number: must be text"),
    ("language", [None], "language.0: must be text"),
    ("language", {"code": "en"}, "language: must be a list"),
    ("language", [1] * 100_000, "language.0: must be text"),
    ("model", {}, "model: must be text"),
    ("type", 7, "type: must be text"),
    ("phone_number", ["+1"], "phone_number: must be text"),
    ("name", 5, "name: must be text"),
    ("actionIds", DEEP, "actionIds"),
    ("newer", DEEP, "newer"),
]
"""A key of an agent, a value that it cannot have, and how what is wrong with it begins."""

NO_AGENT = [None, "text", 7, [], {}, {"id": None}, {"id": 7}, {"id": ""}, {"id": "x" * 10_000_000}, {"name": "new"}]
"""Items of a list that may be an agent of any name."""


@pytest.fixture(autouse=True)
def warned_of_nothing(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    odd_items._warn_once.cache_clear()
    yield
    odd_items._warn_once.cache_clear()


class Service:
    """Agents that are kept as raw JSON, what they are after the first read, and what was written."""

    def __init__(self, *items: object) -> None:
        self.items = deepcopy([*items])
        self.then = self.items
        self.client = Replies(self.respond)

    @property
    def writes(self) -> list[tuple[str, Any]]:
        return [(str(sent), sent.body) for sent in self.client.sent if sent.operation.method != "GET"]

    def respond(self, request: Request) -> Response:
        body: Any = request.body
        if request.operation.method == "GET":
            items, self.items = self.items, self.then
            return Response(200, body=json.dumps(items).encode())
        if request.operation.method == "POST":
            self.items.append({"id": f"new {len(self.items)}", **body})
            return Response(200, body=json.dumps(self.items[-1]).encode())
        [agent] = [item for item in self.items if isinstance(item, dict) and request.path == f"/phone/{item.get('id')}"]
        agent.update(body)
        return Response(200, body=json.dumps(agent).encode())


@pytest.mark.parametrize(("key", "value", "problem"), UNREADABLE)
def test_agent_is_read_but_for_the_field_that_cannot_be(key: str, value: object, problem: str) -> None:
    agent = PhoneAgent.from_response({**ODD, "accent": "us", "newest": 1, key: value})
    field = "action_ids" if key == "actionIds" else key
    assert [*agent.unreadable] == [field]
    assert problem in agent.unreadable[field]
    assert (agent.id, agent.field("accent"), agent.field("newest")) == ("2", "us", 1)
    with pytest.raises(OpenCXResponseError, match=rf"has a {field} that cannot be read \('?{problem}") as error:
        agent.field(field)
    assert not error.value.is_permanent
    shown = agent.as_dict()
    assert shown[key] is None
    assert shown["unreadable"] == {key: agent.unreadable[field]}
    assert json.dumps(shown)
    assert shown.keys() == {*PhoneAgent.from_response({**ODD, "newest": 1}).as_dict(), key, "unreadable"}


@pytest.mark.parametrize("name", [None, 5, {}])
def test_agent_without_a_name_is_called_by_its_id(name: object) -> None:
    agent = PhoneAgent.from_response({**ODD, "name": name})
    assert agent.label == "phone agent 2"
    assert success(agent.as_dict()) == "Number +15550000002: phone agent 2 has it."


def test_agent_that_can_be_read_has_no_key_more() -> None:
    assert "unreadable" not in PhoneAgent.from_response(ODD).as_dict()


@pytest.mark.parametrize(("key", "value", "problem"), UNREADABLE)
def test_odd_agent_holds_up_nobody_else(key: str, value: object, problem: str) -> None:
    service = Service({**ODD, key: value}, GOOD)
    reconcile.upsert(service.client, PhoneAgentSpec(name="good", first_message="Hi"))
    reconcile.update(service.client, PhoneAgentChanges(first_message="Ho"), agent_name="good")
    assert [body for _, body in service.writes] == [{"first_message": "Hi"}, {"first_message": "Ho"}]
    wait = Wait(agent_name="good")
    assert wait.evaluate(list_agents(service.client), 0) is not None
    assert wait.warnings == []


@pytest.mark.parametrize(("key", "value", "problem"), UNREADABLE)
def test_odd_agent_itself_is_written_where_the_field_is_not_declared(key: str, value: object, problem: str) -> None:
    service = Service({**ODD, key: value}, GOOD)
    reconcile.update(service.client, PhoneAgentChanges(first_message="Hi"), agent_id="2")
    assert service.writes == [("PATCH /phone/2", {"first_message": "Hi"})]


DECLARED: Mapping[str, dict[str, Any]] = {
    "handoff_phone_number": {"handoff_phone_number": "+14155550100"},
    "language": {"language": "en"},
    "model": {"model": "oppie-vox"},
    "type": {"type": "outbound"},
    "actionIds": {"action_ids": ["a"]},
    "newer": {"additional_fields": {"newer": 1}},
}


@pytest.mark.parametrize(("key", "value", "problem"), [row for row in UNREADABLE if row[0] in DECLARED])
def test_who_declares_the_field_is_told_and_may_try_again(key: str, value: object, problem: str) -> None:
    service = Service({**ODD, key: value}, GOOD)
    spec = PhoneAgentSpec(name="odd", **DECLARED[key])
    for declare in (reconcile.upsert, reconcile.create):
        with pytest.raises(OpenCXResponseError, match=r"phone agent 'odd' \(2\) has a \w+ that cannot be") as error:
            declare(service.client, spec)
        assert problem in str(error.value)
        assert not error.value.is_permanent
    assert service.writes == []


def test_service_that_shows_no_names_gets_one_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a change of the API that calls the name otherwise."""
    monkeypatch.setattr(Service, "respond", _under_another_key(Service.respond))
    service = Service()
    for _ in range(3):
        with pytest.raises(OpenCXError):
            reconcile.upsert(service.client, PhoneAgentSpec(name="new"))
    assert len(service.writes) == 1


def _under_another_key(respond: Callable[[Service, Request], Response]) -> Callable[[Service, Request], Response]:
    def respond_so(service: Service, request: Request) -> Response:
        response = respond(service, request)
        return Response(response.status_code, body=response.body.replace(b'"name"', b'"title"'))

    return respond_so


def test_type_that_cannot_be_read_is_not_taken_for_outbound() -> None:
    agents = PhoneAgents([PhoneAgent.from_response({**ODD, "type": 7})])
    for plan in (
        plan_upsert(PhoneAgentSpec(name="odd"), agents),
        plan_create(PhoneAgentSpec(name="odd"), agents, "adopt"),
    ):
        assert isinstance(plan, Refuse)
        assert "has a type that cannot be read" in str(plan.error)


@pytest.mark.parametrize(
    "item", [*NO_AGENT, {**ODD, "name": 5}, {"id": "2"}, {"id": "2", "title": "new"}], ids=lambda item: str(item)[:30]
)
def test_nothing_is_created_beside_what_may_be_the_agent(item: object) -> None:
    service = Service(GOOD, item)
    for declare in (reconcile.upsert, reconcile.create):
        with pytest.raises(OpenCXResponseError, match="Whether an agent is named 'new' is not known") as error:
            declare(service.client, PhoneAgentSpec(name="new"))
        assert not error.value.is_permanent
        assert len(str(error.value)) < 1000
        assert ".." not in str(error.value)
    with pytest.raises(OpenCXResponseError, match="Whether an agent is named 'new' is not known"):
        reconcile.update(service.client, PhoneAgentChanges(name="new"), agent_id="1")
    assert service.writes == []
    reconcile.update(service.client, PhoneAgentChanges(first_message="Hi"), agent_name="good")
    assert len(service.writes) == 1


@pytest.mark.parametrize("item", NO_AGENT, ids=lambda item: str(item)[:30])
def test_agent_is_not_said_to_be_missing_beside_what_may_be_it(item: object) -> None:
    agents = list_agents(Service(GOOD, item).client)
    for selector in ({"agent_id": "3"}, {"agent_name": "third"}):
        with pytest.raises(OpenCXResponseError, match="is not known, because the list holds what cannot be read"):
            require_agent(agents, **selector)
        with pytest.raises(OpenCXResponseError, match="is not known, because the list holds what cannot be read"):
            find_agent(agents, **selector)
    assert find_agent(agents, agent_name="good") is not None
    assert find_agent(list_agents(Service(GOOD).client), agent_name="third") is None
    for wait in (Wait(agent_id="3"), Wait(agent_name="third")):
        assert wait.evaluate(agents, 0) is None
        assert (wait.warnings, wait.not_listed) == ([], [])
    wait = Wait(agent_id="3")
    assert [wait.evaluate(agents, at) for at in (0, 1000, 2000, 3000)] == [None] * 4


def test_item_of_an_earlier_list_counts_before_a_create() -> None:
    odd, good = list_agents(Service(GOOD, None).client), list_agents(Service(GOOD).client)
    spec = PhoneAgentSpec(name="new")
    assert isinstance(plan_upsert(spec, good.with_those_of(odd)), Refuse)
    assert isinstance(plan_upsert(spec, odd.with_those_of(good)), Refuse)
    assert good.with_those_of(good) is good


def test_name_that_can_be_read_again_frees_the_create() -> None:
    odd, good = list_agents(Service({**ODD, "name": 5}).client), list_agents(Service(ODD).client)
    assert isinstance(plan_upsert(PhoneAgentSpec(name="odd"), good.with_those_of(odd)), Unchanged)


def test_fleet_applies_the_others_and_retries(caplog: pytest.LogCaptureFixture) -> None:
    service = Service({**ODD, "handoff_phone_number": 5}, GOOD)
    specs = [
        PhoneAgentSpec(name="odd", handoff_phone_number="+14155550100"),
        PhoneAgentSpec(name="good", first_message="Hi"),
        PhoneAgentSpec(name="new"),
    ]
    plan = reconcile.plan_fleet(service.client, specs)
    assert [step.action for step in plan.steps] == ["refuse", "update", "create"]
    with pytest.raises(OpenCXFleetError, match="1 of 3 agents are not as declared; the others are") as error:
        reconcile.apply_fleet(service.client, plan)
    assert [*error.value.failures] == ["odd"]
    assert "Nothing was sent for a phone agent: The phone agent 'odd' (2) has a handoff_pho" in caplog.text
    assert not error.value.is_permanent
    assert [body["name"] for sent, body in service.writes if sent.startswith("POST")] == ["new"]
    assert len(service.writes) == 2
    service.items[0] = {**ODD, "handoff_phone_number": "+14155550100"}
    assert len(reconcile.apply_fleet(service.client, reconcile.plan_fleet(service.client, specs))) == 3
    assert len(service.writes) == 2


def test_many_odd_agents_of_a_fleet_do_not_stop_the_others() -> None:
    odd = [{**ODD, "id": f"odd {number}", "name": f"odd {number}", "language": [None]} for number in range(20)]
    service = Service(*odd, GOOD)
    specs = [PhoneAgentSpec(name=agent["name"], language="en") for agent in odd]
    specs.append(PhoneAgentSpec(name="good", first_message="Hi"))
    with pytest.raises(OpenCXFleetError, match="20 of 21 agents are not as declared; the others are"):
        reconcile.apply_fleet(service.client, reconcile.plan_fleet(service.client, specs))
    assert service.writes == [("PATCH /phone/1", {"first_message": "Hi"})]


def test_intent_outlives_an_item_that_cannot_be_read() -> None:
    class Intents:
        kept: ClassVar = {"new": Intent(time.time())}

        def read(self, names: Collection[str]) -> Mapping[str, Intent]:
            return {name: intent for name, intent in self.kept.items() if name in names}

        def write(self, intents: Mapping[str, Intent]) -> None:
            self.kept.update(intents)

        def delete(self, names: Collection[str]) -> None:
            for name in names:
                self.kept.pop(name, None)

    service, intents = Service(GOOD), Intents()
    service.then = [GOOD, None]
    with pytest.raises(OpenCXResponseError, match="is not known"):
        reconcile.upsert(service.client, PhoneAgentSpec(name="new"), intents=intents)
    assert service.writes == []
    assert [*intents.kept] == ["new"]


@pytest.mark.parametrize("item", [None, {**ODD, "name": 5}], ids=["item", "name"])
def test_fleet_creates_nothing_beside_what_may_be_the_agent(item: object) -> None:
    service = Service(GOOD, item)
    specs = [PhoneAgentSpec(name="good", first_message="Hi"), PhoneAgentSpec(name="new")]
    with pytest.raises(OpenCXFleetError, match="'new': Whether an agent is named 'new' is not known") as error:
        reconcile.apply_fleet(service.client, reconcile.plan_fleet(service.client, specs))
    assert not error.value.is_permanent
    assert service.writes == [("PATCH /phone/1", {"first_message": "Hi"})]


def test_approval_outlives_an_agent_that_cannot_be_read_for_a_while() -> None:
    service = Service(ODD, GOOD)
    specs = [PhoneAgentSpec(name=name, first_message="Hi") for name in ("odd", "good")]
    approved = reconcile.plan_fleet(service.client, specs).as_dict()
    service.items[0] = {**ODD, "first_message": "Hello", "type": 7}
    with pytest.raises(OpenCXFleetError) as error:
        reconcile.apply_fleet(service.client, reconcile.plan_fleet(service.client, specs), approved=approved)
    assert not error.value.is_permanent
    service.items[0] = deepcopy(ODD)
    reconcile.apply_fleet(service.client, reconcile.plan_fleet(service.client, specs), approved=approved)
    service.items[0] = {**ODD, "first_message": "Hello"}
    with pytest.raises(OpenCXPlanChangedError):
        reconcile.apply_fleet(service.client, reconcile.plan_fleet(service.client, specs), approved=approved)


def test_approved_create_is_tried_again_after_an_item_that_cannot_be_read() -> None:
    service = Service(GOOD)
    specs = [PhoneAgentSpec(name="new")]
    plan = reconcile.plan_fleet(service.client, specs)
    service.items = [GOOD, None]
    with pytest.raises(OpenCXFleetError, match="Whether an agent is named 'new' is not known") as error:
        reconcile.apply_fleet(service.client, plan, approved=plan.as_dict())
    assert not error.value.is_permanent
    assert service.writes == []


@pytest.mark.parametrize("field", ["language", "type", "phone_number", "voice_id"])
def test_create_that_was_handled_is_pending_whatever_its_response_holds(field: str) -> None:
    stored = Response(200, body=json.dumps({**ODD, "name": "new", field: DEEP}).encode())
    spec = PhoneAgentSpec(name="new", language="en", type="outbound", voice_id="v")
    pending = PhoneAgentResource(Replies(lambda request: stored)).create(spec, PhoneAgents([]), lambda pauses: False)
    assert pending is not None
    assert pending.item


def test_drift_alarm_is_no_success_where_something_cannot_be_read() -> None:
    service = Service({**ODD, "handoff_phone_number": 5})
    plan = reconcile.plan_fleet(service.client, [PhoneAgentSpec(name="odd", handoff_phone_number="+14155550100")])
    with pytest.raises(OpenCXResponseError, match="cannot be read"):
        plan.check_drift()


@pytest.mark.parametrize(("key", "value", "problem"), [row for row in UNREADABLE if row[0] in DECLARED])
def test_create_whose_response_cannot_be_read_in_full_is_not_sent_again(key: str, value: object, problem: str) -> None:
    service = Service(GOOD)
    stored = service.respond

    def respond(request: Request) -> Response:
        response = stored(request)
        if request.operation.method == "POST":
            service.items[-1][key] = value  # type: ignore[index]
            response = Response(200, body=json.dumps(service.items[-1]).encode())
        return response

    service.client._respond = respond
    spec = PhoneAgentSpec(name="new", **DECLARED[key])
    for _ in range(3):
        with pytest.raises(OpenCXError) as error:
            reconcile.upsert(service.client, spec, is_retry=True)
        assert not error.value.is_permanent
    assert [sent for sent, _ in service.writes] == ["POST /phone for phone agent 'new'"]


def test_wait_goes_on_for_a_number_that_cannot_be_read_and_warns_once() -> None:
    odd = PhoneAgent.from_response({**ODD, "phone_number": ["+1"]})
    wait = Wait(agent_id="2")
    assert wait.evaluate(PhoneAgents([odd]), 0) is None
    assert wait.warnings == [
        "The phone agent 'odd' (2) has a number that cannot be read (phone_number: must be text). The wait goes on."
    ]
    assert wait.evaluate(PhoneAgents([odd]), 1) is None
    assert wait.warnings == []
    assert wait.evaluate(PhoneAgents([PhoneAgent.from_response(ODD)]), 2) is not None


def test_each_odd_item_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    client = Service({**ODD, "language": [None]}, None, GOOD).client
    for _ in range(3):
        list_phone_agents(client)
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        "GET /phone: cannot be read in full: item 2 of the list: the service's response is not an agent: must be an"
        " object",
        "GET /phone: cannot be read in full: phone agent 'odd' (2) (language.0: must be text)",
    ]


def test_ten_thousand_odd_items_make_few_warnings(caplog: pytest.LogCaptureFixture) -> None:
    odd = [{**ODD, "id": str(number), "language": [None]} for number in range(10_000)]
    agents = list_phone_agents(Service(*odd, *[None] * 10_000).client)
    assert (len(agents), agents.unreadable, len(agents.problems)) == (10_000, 10_000, 10)
    assert len(caplog.records) == 21
    assert caplog.records[-1].getMessage() == "GET /phone: 19,980 more items cannot be read in full."


def test_list_of_which_nothing_can_be_read_is_an_error() -> None:
    with pytest.raises(OpenCXResponseError, match="nothing in the service's list can be read: item 1 of the list"):
        list_phone_agents(Service(None, {}).client)


def test_agent_that_is_listed_twice_and_cannot_be_read_once_is_not_created() -> None:
    service = Service(GOOD, ODD, {**ODD, "name": 5})
    with pytest.raises(OpenCXResponseError, match="Whether an agent is named 'odd' is not known"):
        reconcile.upsert(service.client, PhoneAgentSpec(name="odd"))
    assert service.writes == []


def test_voices_are_read_as_far_as_they_can_be(caplog: pytest.LogCaptureFixture) -> None:
    voices = list_voices(Service({"voice_id": "v", "name": 5}, None, {"voice_id": "w"}).client)
    assert [(voice.voice_id, voice.name) for voice in voices] == [("v", None), ("w", None)]
    assert voices[0].as_dict()["unreadable"] == {"name": "name: must be text"}
    assert len(caplog.records) == 2
