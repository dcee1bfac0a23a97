"""Tests which changes of agents a list shows, compared with an earlier record."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_opencx.normalization import normalize_name
from airflow_provider_opencx.phone_agents.changes import (
    FIELDS,
    Record,
    Watched,
    baseline,
    find_changes,
    is_of_another_organization,
    missing_from,
)
from airflow_provider_opencx.phone_agents.events import AGENT_EVENTS
from airflow_provider_opencx.phone_agents.plan import DOCUMENTED_DEFAULTS, FORMS, PhoneAgents
from airflow_provider_opencx.resources.phone_agents import PhoneAgent, PhoneAgentChanges

NUMBER = "+15550000001"
OTHER = "+15550000002"
AGENT = {"id": "1", "name": "Front desk", "org_id": "org_1", "phone_number": None, "first_message": "Hi"}
ALL = Watched("opencx_default", frozenset(AGENT_EVENTS), None)


def listed(*agents: dict[str, Any], unreadable: tuple[str, ...] = ()) -> PhoneAgents:
    return PhoneAgents([PhoneAgent.from_response(fields) for fields in agents], unreadable=unreadable)


def agent(**fields: Any) -> dict[str, Any]:
    return AGENT | fields


def recorded(*agents: dict[str, Any], epoch: str = "first") -> Record:
    """Return a record as the next triggerer reads it."""
    return Record.from_json(json.loads(json.dumps(baseline(listed(*agents), epoch).as_json())))


def changes(
    record: Record, *agents: dict[str, Any], gone: tuple[str, ...] = (), watched: Watched = ALL
) -> tuple[list[dict[str, Any]], Record]:
    return find_changes(record, listed(*agents), gone, watched, "2026-01-01T00:00:00+00:00")


def kinds(events: list[dict[str, Any]]) -> list[tuple[object, ...]]:
    return [
        (event["event"], event["phone_number"], event["previous_phone_number"], event["fields"]) for event in events
    ]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (agent(), agent(), []),
        (agent(), agent(phone_number=NUMBER), [("number_assigned", NUMBER, None, [])]),
        (agent(phone_number=NUMBER), agent(), [("number_lost", None, NUMBER, [])]),
        (agent(phone_number=NUMBER), agent(phone_number="pending"), [("number_lost", None, NUMBER, [])]),
        (agent(phone_number=NUMBER), {"id": "1", "name": "Front desk", "first_message": "Hi"},
         [("number_lost", None, NUMBER, [])]),
        (agent(phone_number=NUMBER), agent(phone_number=OTHER), [("number_changed", OTHER, NUMBER, [])]),
        (agent(phone_number="pending"), agent(phone_number="+00000000"), []),
        (agent(phone_number="pending"), agent(phone_number=NUMBER), [("number_assigned", NUMBER, None, [])]),
        (agent(phone_number=NUMBER), agent(phone_number="+1 (555) 000-0001"), []),
        (agent(), agent(first_message="Hello"), [("agent_changed", None, None, ["first_message"])]),
        (agent(), agent(first_message=None), [("agent_changed", None, None, ["first_message"])]),
        (agent(), agent(name="Back office"), [("agent_changed", None, None, ["name"])]),
        (agent(), agent(name=" Front desk "), []),
        (agent(), agent(name=None), [("agent_changed", None, None, ["name"])]),
        (agent(), agent(actionIds=[]), [("agent_changed", None, None, ["action_ids"])]),
        (agent(), agent(updated_at="2026-01-02", created_at="2026-01-01", provider_external_id="x", calls=7), []),
        (agent(language="en"), agent(language=["EN"]), []),
        (agent(language=["en", "es"]), agent(language=["es", "en"]), []),
        (agent(actionIds=["a", "b"]), agent(actionIds=["b", "a"]), []),
        (agent(instructions=["a", "b"]), agent(instructions=["b", "a"]),
         [("agent_changed", None, None, ["instructions"])]),
        (agent(handoff_phone_number="+1 555 000 0009"), agent(handoff_phone_number="+15550000009"), []),
        (agent(speed=1), agent(speed=1.0), []),
        (agent(tts_speed_pct=100), agent(tts_speed_pct=100.0), []),
        (agent(interruptible=None), agent(interruptible=True), []),
        (agent(flow={"a": 1, "b": [1]}), agent(flow={"b": [1], "a": 1}), []),
        (agent(phone_number=NUMBER), agent(phone_number=OTHER, name="Back office", voice_id="v", type="outbound"),
         [("number_changed", OTHER, NUMBER, []), ("agent_changed", OTHER, None, ["name", "type", "voice_id"])]),
    ],
)  # fmt: skip
def test_changes_of_an_agent(before: dict[str, Any], after: dict[str, Any], expected: list[tuple[object, ...]]) -> None:
    record = recorded(before)
    events, new = changes(record, after)
    assert kinds(events) == expected
    assert (new.revision > record.revision) or not events
    again, same = changes(Record.from_json(new.as_json()), after)
    assert again == []
    assert same.pending == new.pending == tuple(events)


def test_changes_are_named_by_every_field_that_can_be_declared_or_compared() -> None:
    declared = PhoneAgentChanges.model_fields.keys() - PhoneAgentChanges.not_sent - {"name"}
    assert declared | FORMS.keys() - {"name"} | DOCUMENTED_DEFAULTS.keys() <= {*FIELDS}
    known = {*FIELDS, "id", "org_id", "name", "phone_number", "created_at", "updated_at", "provider_external_id"}
    assert known == PhoneAgent.model_fields.keys()


def test_changes_of_several_agents_of_one_name_are_several_events() -> None:
    first, second, third = (agent(id=number, phone_number=None) for number in "123")
    events, _ = changes(recorded(first, second, third), first | {"phone_number": NUMBER}, second, third | {"type": "x"})
    assert [(event["event"], event["agent_id"]) for event in events] == [
        ("number_assigned", "1"),
        ("agent_changed", "3"),
    ]
    assert len({event["event_id"] for event in events}) == 2


def test_changes_hold_what_a_dag_needs_and_no_values_of_fields() -> None:
    [event], record = changes(recorded(agent()), agent(first_message="Hello", phone_number=None))
    assert event == {
        "event_id": event["event_id"],
        "event": "agent_changed",
        "opencx_conn_id": "opencx_default",
        "org_id": "org_1",
        "agent_id": "1",
        "agent_name": "Front desk",
        "phone_number": None,
        "previous_phone_number": None,
        "fields": ["first_message"],
        "seen_at": "2026-01-01T00:00:00+00:00",
    }
    assert "Hello" not in json.dumps(record.as_json())


def test_baseline_is_no_change() -> None:
    assert baseline(listed(agent(phone_number=NUMBER)), "x").pending == ()
    events, new = changes(recorded(agent(phone_number=NUMBER)), agent(phone_number=NUMBER))
    assert events == []
    assert new.revision == 0


def test_new_agent_is_created_and_its_number_assigned() -> None:
    events, record = changes(recorded(), agent(phone_number=NUMBER), agent(id="2"))
    assert kinds(events) == [
        ("agent_created", NUMBER, None, []),
        ("number_assigned", NUMBER, None, []),
        ("agent_created", None, None, []),
    ]
    assert set(record.agents) == {"1", "2"}


def test_missing_agent_is_removed_only_when_it_is_gone() -> None:
    record = recorded(agent(phone_number=NUMBER), agent(id="2"))
    left = agent(id="2")
    assert missing_from(listed(left), record) == ["1"]
    assert missing_from(listed(left, unreadable=("an item",)), record) == []  # it may be that
    events, new = changes(record, left)
    assert events == []
    assert changes(new, left, agent(phone_number=NUMBER))[0] == []
    events, new = changes(record, left, gone=("1",))
    assert kinds(events) == [("number_lost", None, NUMBER, []), ("agent_removed", None, NUMBER, [])]
    assert {event["agent_name"] for event in events} == {"Front desk"}
    assert set(new.agents) == {"2"}
    events, _ = changes(new, left, agent())
    assert kinds(events) == [("agent_created", None, None, [])]


@pytest.mark.parametrize(
    ("record", "agents", "is_another"),
    [
        (recorded(agent()), listed(agent(org_id="org_2")), True),
        (recorded(agent()), listed(agent()), False),
        (recorded(agent()), listed(), False),
        (recorded(agent(org_id=None)), listed(agent()), False),
        (recorded(agent()), listed(agent(org_id=None)), False),
        (recorded(agent()), listed(agent(org_id="org_2"), agent(id="2")), False),
        (recorded(agent()), listed(agent(org_id="org_2"), agent(id="2", org_id=None)), True),
        (recorded(agent(), agent(id="2", org_id=None)), listed(agent(org_id="org_2")), True),
    ],
)
def test_another_organization_is_one_that_is_certainly_another(
    record: Record, agents: PhoneAgents, is_another: bool
) -> None:
    assert is_of_another_organization(record, agents) is is_another


def test_organization_is_learned_without_an_event() -> None:
    events, record = changes(recorded(), agent(), gone=())
    assert record.org_id == "org_1"
    events, record = changes(recorded(agent(org_id=None)), agent())
    assert (events, record.org_id, record.revision) == ([], "org_1", 0)


@pytest.mark.parametrize(
    ("names", "before", "after", "expected"),
    [
        ({"Front desk"}, agent(), agent(phone_number=NUMBER), ["number_assigned"]),
        ({"Back office"}, agent(), agent(phone_number=NUMBER), []),
        ({"Back office", "Front desk"}, agent(), agent(phone_number=NUMBER), ["number_assigned"]),
        ({"Caf\u00e9"}, agent(name="Cafe\u0301"), agent(name=" Cafe\u0301", phone_number=NUMBER), ["number_assigned"]),
        ({"front desk"}, agent(), agent(phone_number=NUMBER), []),
        ({"Front desk"}, agent(), agent(name="Back office"), ["agent_changed"]),
        ({"Back office"}, agent(), agent(name="Back office", type="x"), ["agent_changed"]),
        ({"Third"}, agent(), agent(name="Back office"), []),
    ],
)
def test_names_choose_agents_that_have_or_had_one_of_them(
    names: set[str], before: dict[str, Any], after: dict[str, Any], expected: list[str]
) -> None:
    watched = Watched("c", frozenset(AGENT_EVENTS), frozenset(map(normalize_name, names)))
    events, record = changes(recorded(before), after, watched=watched)
    assert [event["event"] for event in events] == expected
    assert ["name" in event["fields"] for event in events if event["event"] == "agent_changed"] in ([], [True])
    assert changes(record, after)[0] == []


@pytest.mark.parametrize("kind", AGENT_EVENTS)
def test_only_wanted_events_are_fired(kind: str) -> None:
    record = recorded(agent(id="1"), *(agent(id=str(number), phone_number=NUMBER) for number in (2, 3, 4)))
    now = (
        agent(id="1", phone_number=NUMBER, type="x"),
        agent(id="2"),
        agent(id="3", phone_number=OTHER),
        agent(id="5"),
    )
    events, _ = changes(record, *now, gone=("4",), watched=Watched("c", frozenset({kind}), None))
    assert {event["event"] for event in events} == {kind}


def test_same_change_against_same_record_has_same_id() -> None:
    record = recorded(agent())
    after = agent(phone_number=NUMBER, name="Back office")
    (first, second), _ = changes(record, after)
    again, _ = changes(Record.from_json(record.as_json()), after, agent(id="2"))
    assert [first["event_id"], second["event_id"]] == [event["event_id"] for event in again[:2]]
    assert len({event["event_id"] for event in again}) == 3
    # What else has changed meanwhile makes no other event of it.
    assert changes(record, after | {"type": "x"})[0][0]["event_id"] == first["event_id"]


def test_there_and_back_and_there_again_are_three_events() -> None:
    record, ids = recorded(agent(phone_number=NUMBER)), []
    for number in (OTHER, NUMBER, OTHER, None, OTHER):
        [event], record = changes(record, agent(phone_number=number))
        ids.append(event["event_id"])
    assert len(set(ids)) == 5


def test_another_baseline_has_other_ids() -> None:
    ids = {changes(recorded(agent(), epoch=epoch), agent(type="x"))[0][0]["event_id"] for epoch in ("first", "second")}
    assert len(ids) == 2
    later = baseline(listed(agent()), "third", recorded(agent()))
    assert later.revision == 1


def test_field_that_cannot_be_read_is_as_it_was() -> None:
    before = agent(phone_number=NUMBER, type="inbound")
    events, record = changes(recorded(before), agent(phone_number=7, name=7, type=7, voice_id="v"))
    assert kinds(events) == [("agent_changed", NUMBER, None, ["voice_id"])]
    assert events[0]["agent_name"] == "Front desk"
    assert changes(record, before | {"voice_id": "v"})[0] == []


def test_field_that_could_never_be_read_is_learned_without_an_event() -> None:
    record = recorded(agent(type=7, phone_number=7))
    events, record = changes(record, agent(type="inbound", phone_number=NUMBER))
    assert kinds(events) == [("number_assigned", NUMBER, None, [])]
    assert kinds(changes(record, agent(type="outbound", phone_number=NUMBER))[0]) == [
        ("agent_changed", NUMBER, None, ["type"])
    ]


def test_record_of_an_older_version_with_fewer_fields_makes_no_events() -> None:
    stored = json.loads(json.dumps(recorded(agent(type="inbound", voice_id="v")).as_json()))
    stored["fields"] = ["type"]  # that version knew no more
    for recorded_agent in stored["agents"].values():
        recorded_agent[2] = recorded_agent[2].split(",")[0]
    record = Record.from_json(stored)
    events, record = changes(record, agent(type="inbound", voice_id="w"))
    assert events == []
    assert kinds(changes(record, agent(type="outbound", voice_id="x"))[0]) == [
        ("agent_changed", None, None, ["type", "voice_id"])
    ]


@pytest.mark.parametrize(
    "stored",
    [
        None, 7, "text", [], {}, {"version": 2}, {"version": 1}, {"version": 1, "agents": []},
        baseline(listed(agent()), "x").as_json() | {"agents": {"1": ["name"]}},
        baseline(listed(agent()), "x").as_json() | {"agents": {"1": 7}},
        baseline(listed(agent()), "x").as_json() | {"agents": {"1": [7, "", ""]}},
        baseline(listed(agent()), "x").as_json() | {"agents": {"1": ["name", 7, ""]}},
        baseline(listed(agent()), "x").as_json() | {"agents": {"1": "abc"}},
        baseline(listed(agent()), "x").as_json() | {"pending": [7]},
        baseline(listed(agent()), "x").as_json() | {"pending": [{}]},
        baseline(listed(agent()), "x").as_json() | {"revision": float("inf")},
        baseline(listed(agent()), "x").as_json() | {"revision": "first"},
        baseline(listed(agent()), "x").as_json() | {"fields": ["type"]},
    ],
)  # fmt: skip
def test_what_is_no_record_is_refused(stored: object) -> None:
    with pytest.raises(ValueError, match=r"it is no record|a part of it is missing"):
        Record.from_json(stored)


def test_record_of_thousand_agents_is_small() -> None:
    fields = {"language": ["en"], "voice_id": "v", "instructions": ["a"], "actionIds": None, "type": "outbound"}
    agents = [
        agent(
            id=f"{number:032x}-pad", name=f"Reminders of site {number:04}", phone_number=f"+1555{number:07}", **fields
        )
        for number in range(1000)
    ]
    record = baseline(listed(*agents), "x")
    size = len(json.dumps(record.as_json()))
    assert size < 150_000
    assert Record.from_json(record.as_json()) == record
