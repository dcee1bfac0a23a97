"""Tests what the simulator does with sequences, beyond what its OpenAPI documents can say."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from airflow_provider_opencx.simulator import (
    AlterItems,
    CloseBeforeHandling,
    EmptyResponse,
    ErrorResponse,
    HandleLate,
    IgnoreFields,
    LoseResponse,
    MalformedResponse,
    ProxyPage,
    RefuseAfterHandling,
    RespondInGeneration,
    RespondWithAnotherId,
    Simulator,
    TooManyRequests,
)

KEY = "a-key-that-nobody-may-see"
OTHER_KEY = "a-key-of-somebody-else"

EVERYBODY = {"or": [{"and": [{"type": "all_contacts"}]}]}
ADA, BOB, CY = "+14155550101", "+14155550102", "+14155550103"
WRITES = [
    ("createSequence", "POST", "/sequences"),
    ("updateSequence", "PATCH", "/sequences/seq_000001"),
    ("startSequence", "PUT", "/sequences/seq_000001/start"),
    ("cancelSequence", "PUT", "/sequences/seq_000001/cancel"),
    ("addContactsToSequence", "POST", "/sequences/seq_000001/contacts"),
]


def phone_step(agent_id: str = "pa_000001", delay: float | None = None) -> dict[str, Any]:
    delays = {} if delay is None else {"delay_in_minutes": delay}
    return {"action": {"type": "make_phone_calls", "data": {"aiPhoneAgentId": agent_id}}, **delays}


def one(**single: object) -> dict[str, Any]:
    """A filter of one condition."""
    return {"or": [{"and": [single]}]}


def body(*steps: dict[str, Any], **fields: object) -> dict[str, Any]:
    """A one-off sequence that calls everybody at once."""
    return {"filter": EVERYBODY, "steps": list(steps or [phone_step()]), "is_continuous": False, **fields}


def made(client: Any, *steps: dict[str, Any], **fields: object) -> str:
    response = client.post("/sequences", json=body(*steps, **fields))
    assert response.status_code == 201, response.text
    return str(response.json()["id"])


def read(client: Any, sequence_id: str) -> dict[str, Any]:
    response = client.get(f"/sequences/{sequence_id}")
    assert response.is_success, response.text
    sequence = response.json()
    assert isinstance(sequence, dict)
    return sequence


def start(client: Any, sequence_id: str) -> None:
    response = client.put(f"/sequences/{sequence_id}/start")
    assert (response.status_code, response.content) == (200, b"")


def called(simulator: Simulator) -> list[str | None]:
    return [dialed.phone_number for dialed in simulator.dialed()]


@pytest.fixture
def simulator(simulator: Simulator) -> Iterator[Simulator]:
    """A simulator with an agent that can call, and people: one of them has no number."""
    simulator.add_agent("Caller", type="outbound")
    simulator.add_contact(ADA, name="Ada", email="ada@example.com")
    simulator.add_contact(BOB, name="Bob", email="bob@example.org")
    simulator.add_contact(None, name="Nobody", email="nobody@example.com")
    return simulator


@pytest.mark.parametrize("generation", ["2025", "2026"])
def test_sequences_follow_the_document(
    simulator: Simulator, client: Any, generation: str, assert_documented: Any
) -> None:
    created = client.post("/sequences", json=body(phone_step(delay=1), name="Recall", custom_id="recall-1"))
    responses = {
        "createSequence": created,
        "getSequence": client.get("/sequences/seq_000001"),
        "updateSequence": client.patch("/sequences/seq_000001", json={"name": "Recall now"}),
        "startSequence": client.put("/sequences/seq_000001/start"),
        "cancelSequence": client.put("/sequences/seq_000001/cancel"),
    }
    client.post("/sequences", json=body(is_continuous=True))
    responses["addContactsToSequence"] = client.post("/sequences/seq_000002/contacts", json={"contacts": []})
    for operation, response in responses.items():
        assert response.is_success
        assert_documented(response, operation, generation)
    assert (created.status_code, created.json()) == (201, {"id": "seq_000001"})
    sequence = read(client, "seq_000001")
    assert sequence == simulator.sequences()[0]
    assert_documented(client.get("/sequences/seq_000001"), "getSequence", generation)
    assert (sequence["name"], sequence["custom_id"], sequence["status"]) == ("Recall now", "recall-1", "canceled")
    for operation, method, path in WRITES[1:]:
        unknown = client.request(method, path.replace("000001", "000009"), json={"contacts": []})
        assert (unknown.status_code, unknown.json()["message"]) == (404, "sequence_not_found")
        assert_documented(unknown, operation, generation)


@pytest.mark.parametrize("generation", ["2024"])
@pytest.mark.parametrize(("operation", "method", "path"), [*WRITES, ("getSequence", "GET", "/sequences/seq_000001")])
def test_sequences_are_of_2025_and_later(client: Any, operation: str, method: str, path: str) -> None:
    response = client.request(method, path)
    assert (response.status_code, response.json()["message"]) == (404, f"Route {method}:{path} not found")


def test_create_has_defaults(simulator: Simulator, client: Any) -> None:
    simulator.continuous_begin = False
    sequence_id = client.post("/sequences", json={"filter": None, "steps": [phone_step()]}).json()["id"]
    assert read(client, sequence_id) == {
        "id": "seq_000001",
        "org_id": "org_000001",
        "name": "New Sequence",
        "custom_id": None,
        "filter": None,
        "steps": [{**phone_step(), "started_at": None, "ended_at": None}],
        "is_continuous": True,
        "started_at": None,
        "canceled_at": None,
        "ended_at": None,
        "status": "pending",
    }


CUSTOM_FILTER = {"type": "contacts_attributes_in", "attributes": [{"key": "plan", "in": ["gold"]}], "more": {"x": [1]}}
MAIL = {"action": {"type": "send_emails", "data": {"subject": "Hello", "more": {"x": 1}}}}


@pytest.mark.parametrize(
    ("field", "sent", "kept"),
    [
        ("status", "active", None),
        ("started_at", "2026-01-01T00:00:00Z", None),
        ("id", "seq_7", None),
        ("colour", "red", None),
        ("filter", {**EVERYBODY, "not": 1}, EVERYBODY),
        ("filter", {"or": [{"and": [{"type": "all_contacts"}], "not": 1}]}, EVERYBODY),
        ("filter", one(type="all_contacts", phone_number_in=[ADA]), EVERYBODY),
        (
            "filter",
            one(type="contacts_phone_number_in", phone_number_in=[ADA], phone_numbers=[BOB]),
            one(type="contacts_phone_number_in", phone_number_in=[ADA]),
        ),
        (
            "filter",
            one(type="contacts_created_at_between", after=None, since="x"),
            one(type="contacts_created_at_between", after=None),
        ),
        ("filter", one(**CUSTOM_FILTER), one(**CUSTOM_FILTER)),
        ("filter", {"or": [{"and": []}]}, {"or": [{"and": []}]}),
        ("steps", [{**phone_step(delay=2), "name": "x"}], [phone_step(delay=2)]),
        ("steps", [{"action": {**phone_step()["action"], "retries": 3}}], [phone_step()]),
        (
            "steps",
            [{"action": {"type": "make_phone_calls", "data": {"aiPhoneAgentId": "pa_000001", "voice": "x"}}}],
            [phone_step()],
        ),
        ("steps", [{**MAIL, "wait": 1}], [MAIL]),
    ],
)
@pytest.mark.parametrize("is_update", [False, True])
def test_unknown_fields_are_dropped_without_a_word(
    client: Any, field: str, sent: object, kept: object, is_update: bool
) -> None:
    sequence_id = made(client, **({} if is_update else {field: sent}))
    before = read(client, sequence_id)
    if is_update:
        assert client.patch(f"/sequences/{sequence_id}", json={field: sent}).status_code == 200
    sequence = read(client, sequence_id)
    steps = [
        {name: value for name, value in step.items() if name not in ("started_at", "ended_at")}
        for step in sequence["steps"]
    ]
    if kept is None:
        assert sequence == before
        assert sequence.get(field) != sent
    else:
        assert (steps if field == "steps" else sequence[field]) == kept


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"filter": ...}, "'filter' is a required"),
        ({"steps": ...}, "'steps' is a required"),
        ({"steps": []}, "steps"),
        ({"steps": [{}]}, "steps.0"),
        ({"steps": [{"action": {"type": "make_phone_calls"}}]}, "steps.0.action"),
        ({"steps": [phone_step(delay=-1)]}, "steps.0.delay_in_minutes"),
        ({"filter": {}}, "filter"),
        ({"filter": {"or": []}}, "filter.or"),
        ({"filter": {"or": [{}]}}, "filter.or.0"),
        ({"filter": one(kind="all_contacts")}, "filter.or.0.and.0"),
        ({"filter": one(type="contacts_phone_number_in")}, "filter.or.0.and.0"),
        ({"filter": one(type="contacts_phone_number_in", phone_number_in=ADA)}, "filter.or.0.and.0.phone_number_in"),
        ({"custom_id": "x" * 51}, "custom_id"),
        ({"name": None}, "name"),
        ({"is_continuous": "false"}, "is_continuous"),
    ],
)
def test_body_that_is_not_valid_changes_nothing(
    simulator: Simulator, client: Any, change: dict[str, Any], named: str
) -> None:
    made(client)
    before = simulator.sequences()
    whole = {name: value for name, value in (body() | change).items() if value is not ...}
    responses = [client.post("/sequences", json=whole)]
    if ... not in change.values():
        responses.append(client.patch("/sequences/seq_000001", json=change))
    for response in responses:
        assert (response.status_code, response.json()["code"]) == (400, "FST_ERR_VALIDATION")
        assert named in response.json()["message"]
    assert simulator.sequences() == before


def test_newest_of_a_custom_id_is_read(simulator: Simulator, client: Any) -> None:
    first, second = (made(client, custom_id="x" * 50) for _ in range(2))
    assert first != second
    assert read(client, "x" * 50)["id"] == second
    client.patch(f"/sequences/{second}", json={"custom_id": None})
    assert read(client, "x" * 50)["id"] == first
    simulator.create_sequence(api_key=OTHER_KEY, **body(custom_id="x" * 50))
    assert read(client, "x" * 50)["id"] == first
    simulator.finds_sequences_by_custom_id = False
    response = client.get(f"/sequences/{'x' * 50}")
    assert (response.status_code, response.json()["message"]) == (404, "sequence_not_found")
    assert read(client, first)["custom_id"] == "x" * 50


def test_custom_id_is_for_reading_alone(simulator: Simulator, client: Any) -> None:
    made(client, custom_id="mine")
    for _, method, path in WRITES[1:]:
        place = path.replace("seq_000001", "mine")
        assert client.request(method, place, json={"contacts": []}).status_code == 404
    assert (simulator.started(), simulator.sequences()[0]["status"]) == ([], "pending")


@pytest.mark.parametrize(
    ("contacts_filter", "numbers"),
    [
        (None, [ADA, BOB]),
        (EVERYBODY, [ADA, BOB]),
        ({"or": [{"and": []}]}, [ADA, BOB]),
        (one(type="contact_id_in", contact_ids=["con_000002", "con_000003", "con_000009"]), [BOB]),
        (one(type="contacts_phone_number_in", phone_number_in=[ADA, "+19999999999"]), [ADA]),
        (one(type="contacts_phone_number_in", phone_number_in=[]), []),
        (one(type="contacts_email_in", email_in=["bob@example.org"]), [BOB]),
        (one(type="contacts_name_in", name_in=["Ada", "Nobody"]), [ADA]),
        (one(type="contacts_email_domain_name_in", domain_name_in=["example.com"]), [ADA]),
        (one(type="contacts_created_at_between"), [ADA, BOB]),
        (one(type="contacts_created_at_between", after="2000-01-01", before=None), [ADA, BOB]),
        (one(type="contacts_created_at_between", after=None, before="2000-01-01T00:00:00Z"), []),
        (one(type="contacts_created_at_between", after="soon"), []),
        (one(**CUSTOM_FILTER), []),
        (one(type="contacts_affected_by_sequence", sequence_id="seq_000001"), []),
        (
            {
                "or": [
                    {
                        "and": [
                            {"type": "contacts_name_in", "name_in": ["Ada", "Bob"]},
                            {"type": "contacts_email_domain_name_in", "domain_name_in": ["example.org"]},
                        ]
                    },
                    {"and": [CUSTOM_FILTER, {"type": "all_contacts"}]},
                ]
            },
            [BOB],
        ),
        (
            {
                "or": [
                    {"and": [{"type": "contacts_name_in", "name_in": ["Bob"]}]},
                    {"and": [{"type": "contacts_name_in", "name_in": ["Ada"]}]},
                    {"and": [{"type": "all_contacts"}]},
                ]
            },
            [ADA, BOB],
        ),
    ],
)
def test_filter_selects_who_is_called(
    simulator: Simulator, client: Any, contacts_filter: object, numbers: list[str]
) -> None:
    simulator.add_contact(CY, api_key=OTHER_KEY)
    start(client, made(client, filter=contacts_filter))
    assert called(simulator) == numbers


def test_filter_selects_by_the_time_of_creation(simulator: Simulator, client: Any) -> None:
    simulator.advance("1m")
    cy = simulator.add_contact(CY)
    start(client, made(client, filter=one(type="contacts_created_at_between", after=cy["created_at"])))
    assert called(simulator) == [CY]


@pytest.mark.parametrize(
    ("minutes", "status", "numbers", "times"),
    [
        (0, "active", 0, "--|--|--"),
        (1.99, "active", 0, "--|--|--"),
        (2, "active", 2, "s-|--|--"),
        (2.05, "active", 2, "s-|--|--"),
        (2.1, "active", 4, "se|s-|--"),
        (2.2, "active", 4, "se|se|--"),
        (2.69, "active", 4, "se|se|--"),
        (2.7, "active", 4, "se|se|s-"),
        (2.79, "active", 4, "se|se|s-"),
        (2.8, "complete", 4, "se|se|se"),
        (100, "complete", 4, "se|se|se"),
    ],
)
def test_steps_go_on_with_the_clock(
    simulator: Simulator, client: Any, minutes: float, status: str, numbers: int, times: str
) -> None:
    simulator.step_takes = "6s"
    sequence_id = made(client, phone_step(delay=2), phone_step(), {**MAIL, "delay_in_minutes": 0.5})
    assert (read(client, sequence_id)["status"], called(simulator)) == ("pending", [])
    simulator.advance("10m")
    assert (read(client, sequence_id)["status"], called(simulator)) == ("pending", [])
    start(client, sequence_id)
    simulator.advance(minutes * 60)
    sequence = read(client, sequence_id)
    shown = "|".join(
        ("s" if step["started_at"] else "-") + ("e" if step["ended_at"] else "-") for step in sequence["steps"]
    )
    assert (sequence["status"], len(called(simulator)), shown) == (status, numbers, times)
    assert (sequence["ended_at"] is not None) == (status == "complete")


def test_times_are_those_at_which_things_were_due(simulator: Simulator, client: Any, clock: Any) -> None:
    sequence_id = made(client, phone_step(delay=1), phone_step(delay=2))
    start(client, sequence_id)
    clock.now += 100_000
    first, second = simulator.dialed()[::2]
    assert (first.time, second.time) == (1060, 1185)
    sequence = read(client, sequence_id)
    steps = sequence["steps"]
    times = [sequence["started_at"], *(step[name] for step in steps for name in ("started_at", "ended_at"))]
    assert times == sorted({*times})
    assert sequence["ended_at"] == times[-1]


def test_step_calls_whom_the_filter_selects_when_it_begins(simulator: Simulator, client: Any) -> None:
    sequence_id = made(client, phone_step(delay=1), phone_step(delay=1))
    start(client, sequence_id)
    simulator.add_contact(CY)
    simulator.advance("1m")
    assert called(simulator) == [ADA, BOB, CY]
    client.patch("/contacts/con_000001", json={"contact": {"phone": ""}})
    client.patch("/contacts/con_000003", json={"contact": {"phone": ADA}})
    simulator.advance("2m")
    assert called(simulator)[3:] == [BOB, ADA, CY]


def test_call_of_a_sequence_says_who_called_whom(simulator: Simulator, client: Any) -> None:
    start(client, made(client, filter=one(type="contacts_name_in", name_in=["Bob"])))
    [dialed] = simulator.dialed()
    assert dialed.as_json() == {
        "agent_id": "pa_000001",
        "agent_name": "Caller",
        "from_number": "+15550000001",
        "phone_number": BOB,
        "contact_id": "con_000002",
        "called_at": dialed.called_at,
        "time": 1000.0,
        "sequence_id": "seq_000001",
    }
    assert httpx.get(f"{simulator.url}/_simulator/calls").json() == {"calls": [dialed.as_json()]}
    client.post("/phone/outbound-call", json={"phoneAgentId": "pa_000001", "contact": {"phoneNumber": ADA}})
    assert [each.sequence_id for each in simulator.dialed()] == ["seq_000001", None]
    assert simulator.dialed(OTHER_KEY) == []


@pytest.mark.parametrize(
    "step",
    [
        phone_step("pa_000002"),  # receives calls
        phone_step("pa_000003"),  # has no number
        phone_step("pa_000004"),  # of another organization
        phone_step("pa_000009"),
        {"action": {"type": "make_phone_calls", "data": {}}},
        {"action": {"type": "make_phone_calls", "data": {"phone_agent_id": "pa_000001"}}},
        {"action": {"type": "send_emails", "data": {"aiPhoneAgentId": "pa_000001"}}},
    ],
)
def test_step_without_an_agent_that_can_call_calls_nobody(simulator: Simulator, client: Any, step: Any) -> None:
    simulator.add_agent("Front desk", type="inbound")
    simulator.add_agent("Late", type="outbound", progression="1m")
    simulator.add_agent("Theirs", type="outbound", api_key=OTHER_KEY)
    sequence_id = made(client, step)
    start(client, sequence_id)
    simulator.advance(5)
    assert (called(simulator), read(client, sequence_id)["status"]) == ([], "complete")


def test_agent_is_the_one_that_it_is_when_the_step_begins(simulator: Simulator, client: Any) -> None:
    simulator.add_agent("Late", type="outbound", progression="1m")
    start(client, made(client, phone_step("pa_000002", delay=1)))
    simulator.advance("5m")
    assert {(dialed.agent_name, dialed.from_number) for dialed in simulator.dialed()} == {("Late", "+15550000002")}


@pytest.mark.parametrize(
    ("fields", "before", "message"),
    [
        ({}, ["start"], "sequence_already_started"),
        ({}, ["start", "end"], "sequence_already_started"),
        ({}, ["cancel"], "one_off_sequence_is_canceled"),
        ({}, ["start", "cancel"], "one_off_sequence_is_canceled"),
        ({"is_continuous": True}, [], "sequence_is_continuous"),
    ],
)
def test_start_is_refused(
    simulator: Simulator, client: Any, fields: dict[str, Any], before: list[str], message: str, assert_documented: Any
) -> None:
    sequence_id = made(client, **fields)
    for what in before:
        if what == "end":
            simulator.advance(5)
        else:
            assert client.put(f"/sequences/{sequence_id}/{what}").is_success
    expected = called(simulator)
    refused = client.put(f"/sequences/{sequence_id}/start")
    assert (refused.status_code, refused.json()["message"]) == (400, message)
    assert_documented(refused, "startSequence", "2026")
    with pytest.raises(ValueError, match=message):
        simulator.start_sequence(sequence_id)
    simulator.advance("1m")
    assert called(simulator) == expected
    assert simulator.started() == [sequence_id] * before.count("start")


@pytest.mark.parametrize("between", [0, 1, 5, 3600])
def test_service_that_starts_again_calls_everybody_twice(simulator: Simulator, client: Any, between: float) -> None:
    simulator.starts_again = True
    sequence_id = made(client, phone_step(delay=0.01))
    start(client, sequence_id)
    simulator.advance(between)
    first = read(client, sequence_id)
    start(client, sequence_id)
    again = read(client, sequence_id)
    assert (again["status"], again["ended_at"], again["steps"][0]["started_at"]) == ("active", None, None)
    assert again["started_at"] >= first["started_at"]
    simulator.advance("1m")
    assert called(simulator) == [ADA, BOB] * 2
    assert simulator.started() == [sequence_id] * 2
    assert read(client, sequence_id)["status"] == "complete"
    client.put(f"/sequences/{made(client)}/cancel")
    assert client.put("/sequences/seq_000002/start").status_code == 400


def test_sequence_that_was_started_again_shows_the_steps_of_the_last_start(simulator: Simulator, client: Any) -> None:
    simulator.starts_again = True
    sequence_id = made(client, phone_step(), phone_step())
    start(client, sequence_id)
    simulator.advance(3)
    start(client, sequence_id)
    expected = read(client, sequence_id)
    simulator.advance(2)
    assert (len(called(simulator)), read(client, sequence_id)) == (6, expected)
    simulator.advance(6)
    assert (len(called(simulator)), read(client, sequence_id)["status"]) == (8, "active")
    simulator.advance(2)
    assert read(client, sequence_id)["status"] == "complete"


@pytest.mark.parametrize(
    ("seconds", "numbers"), [(None, 0), (0, 0), (59, 0), (60, 2), (65, 2), (124, 2), (125, 4), (129, 4)]
)
@pytest.mark.parametrize("ends", [False, True])
def test_canceled_sequence_calls_nobody_any_more(
    simulator: Simulator, client: Any, seconds: float | None, numbers: int, ends: bool
) -> None:
    simulator.cancel_ends = ends
    sequence_id = made(client, phone_step(delay=1), phone_step(delay=1))
    if seconds is not None:
        start(client, sequence_id)
        simulator.advance(seconds)
    shown = []
    for _ in range(2):
        response = client.put(f"/sequences/{sequence_id}/cancel")
        assert (response.status_code, response.content) == (200, b"")
        shown.append(read(client, sequence_id))
        simulator.advance(1)
    before = read(client, sequence_id)
    assert shown == [before, before]
    assert (before["status"], before["ended_at"]) == ("canceled", before["canceled_at"] if ends else None)
    simulator.advance("10m")
    assert read(client, sequence_id) == before
    assert len(called(simulator)) == numbers


def test_sequence_that_has_ended_cannot_be_canceled(simulator: Simulator, client: Any, assert_documented: Any) -> None:
    sequence_id = made(client)
    start(client, sequence_id)
    simulator.advance(5)
    before = read(client, sequence_id)
    refused = client.put(f"/sequences/{sequence_id}/cancel")
    assert (refused.status_code, refused.json()["message"]) == (400, "sequence_already_ended")
    assert_documented(refused, "cancelSequence", "2026")
    assert read(client, sequence_id) == before
    assert before["status"] == "complete"


@pytest.mark.parametrize("begins", [True, False])
def test_continuous_sequence_begins_when_it_is_created(simulator: Simulator, client: Any, begins: bool) -> None:
    simulator.continuous_begin = begins
    sequence_id = made(client, phone_step(delay=1), is_continuous=True)
    simulator.advance("10m")
    simulator.add_contact(CY)
    simulator.advance("10m")
    sequence = read(client, sequence_id)
    assert called(simulator) == ([ADA, BOB] if begins else [])
    assert (sequence["status"], sequence["ended_at"]) == ("active" if begins else "pending", None)
    assert (sequence["steps"][0]["ended_at"] is not None) == begins
    assert (simulator.started(), simulator.enrolled()) == ([], [])


@pytest.mark.parametrize(
    ("references", "numbers", "contacts"),
    [
        ([], [], 3),
        ([{"id": "con_000001"}], [ADA], 3),
        ([{"email": "bob@example.org"}, {"phone_number": ADA}], [BOB, ADA], 3),
        ([{"id": "con_000009"}, {"id": "con_000004"}], [], 3),
        ([{"id": "con_000009", "phone_number": ADA}], [], 3),
        ([{"id": "con_000002", "phone_number": ADA}], [BOB], 3),
        ([{"phone_number": CY}, {"phone_number": CY}], [CY, CY], 4),
        ([{"phone_number": CY, "email": "cy@example.com", "name": "Cy"}], [CY], 4),
        ([{"phone_number": CY, "email": "ada@example.com"}], [ADA], 3),
        ([{"email": "cy@example.com"}], [], 4),
        ([{"id": "con_000001"}, {"phone_number": ADA}], [ADA, ADA], 3),
        ([{"id": "con_000003"}], [], 3),
    ],
)
def test_contacts_go_through_the_steps_from_when_they_are_put_in(
    simulator: Simulator, client: Any, references: list[Any], numbers: list[str], contacts: int
) -> None:
    simulator.add_contact("+14155550199", api_key=OTHER_KEY)
    simulator.continuous_begin = False
    made(client, phone_step(delay=1), phone_step(delay=1), is_continuous=True)
    simulator.advance("10m")
    response = client.post("/sequences/seq_000001/contacts", json={"contacts": references})
    assert (response.status_code, response.json()) == (201, {"run_id": "run_000001"})
    assert len(simulator.contacts()) == contacts
    enrolled = simulator.enrolled()
    assert {(each.sequence_id, each.run_id, each.time) for each in enrolled} <= {("seq_000001", "run_000001", 1600)}
    assert [each.phone_number for each in enrolled if each.phone_number] == numbers
    for seconds, times in ((59, 0), (1, 1), (64, 1), (1, 2)):
        simulator.advance(seconds)
        assert called(simulator) == numbers * times
    assert simulator.sequences()[0]["status"] == ("active" if enrolled else "pending")
    shown = httpx.get(f"{simulator.url}/_simulator/sequences/enrolled").json()
    assert shown == {"enrolled": [each.as_json() for each in enrolled]}


def test_contact_that_was_put_in_before_is_put_in_again(simulator: Simulator, client: Any) -> None:
    made(client, is_continuous=True)
    runs = [
        client.post("/sequences/seq_000001/contacts", json={"contacts": [{"phone_number": ADA}]}).json()["run_id"]
        for _ in range(2)
    ]
    assert len({*runs}) == 2
    assert [each.run_id for each in simulator.enrolled()] == runs
    assert called(simulator) == [ADA, BOB, ADA, ADA]
    assert {each.sequence_id for each in simulator.dialed()} == {"seq_000001"}


def test_contact_of_several_with_a_number_is_the_oldest(simulator: Simulator, client: Any) -> None:
    simulator.continuous_begin = False
    simulator.add_contact(ADA)
    made(client, is_continuous=True)
    client.post("/sequences/seq_000001/contacts", json={"contacts": [{"phone_number": ADA}]})
    assert [each.contact_id for each in simulator.enrolled()] == ["con_000001"]


@pytest.mark.parametrize("begins", [True, False])
def test_sequence_does_not_show_the_steps_of_contacts_that_were_put_in(
    simulator: Simulator, client: Any, begins: bool
) -> None:
    simulator.continuous_begin = begins
    made(client, is_continuous=True)
    shown = []
    for _ in range(3):
        simulator.advance("1m")
        client.post("/sequences/seq_000001/contacts", json={"contacts": [{"phone_number": ADA}]})
        shown.append(read(client, "seq_000001"))
    simulator.advance("1m")
    assert shown == [read(client, "seq_000001")] * 3
    assert (shown[0]["steps"][0]["ended_at"] is not None, shown[0]["status"]) == (begins, "active")
    assert len(called(simulator)) == 3 + 2 * begins


def test_contacts_that_the_filter_does_not_select_are_skipped(simulator: Simulator, client: Any) -> None:
    simulator.continuous_begin = False
    made(client, filter=one(type="contacts_phone_number_in", phone_number_in=[BOB]), is_continuous=True)
    references = [{"phone_number": number} for number in (ADA, BOB, CY)]
    assert client.post("/sequences/seq_000001/contacts", json={"contacts": references}).status_code == 201
    assert [each.contact_id for each in simulator.enrolled()] == ["con_000002"]
    assert called(simulator) == [BOB]
    assert simulator.contacts()[-1]["phone_number"] == CY


@pytest.mark.parametrize(
    ("fields", "is_canceled", "message"),
    [
        ({}, False, "sequence_is_not_continuous"),
        ({}, True, "sequence_is_canceled"),
        ({"is_continuous": True}, True, "sequence_is_canceled"),
    ],
)
def test_contacts_are_refused(
    simulator: Simulator, client: Any, fields: dict[str, Any], is_canceled: bool, message: str
) -> None:
    sequence_id = made(client, phone_step(delay=1), **fields)
    if is_canceled:
        simulator.cancel_sequence(sequence_id)
    response = client.post(f"/sequences/{sequence_id}/contacts", json={"contacts": [{"phone_number": CY}]})
    assert (response.status_code, response.json()["message"]) == (400, message)
    assert (simulator.enrolled(), len(simulator.contacts()), called(simulator)) == ([], 3, [])


@pytest.mark.parametrize("reference", [{}, {"name": "Ada"}, {"phone_number": 1}, "con_000001"])
def test_contact_that_is_not_valid_is_refused(simulator: Simulator, client: Any, reference: object) -> None:
    made(client, is_continuous=True)
    references = [{"phone_number": CY}, reference]
    response = client.post("/sequences/seq_000001/contacts", json={"contacts": references})
    assert (response.status_code, "contacts.1" in response.json()["message"]) == (400, True)
    assert (simulator.enrolled(), len(simulator.contacts())) == ([], 3)


def test_one_run_is_canceled_by_its_id(simulator: Simulator, client: Any) -> None:
    simulator.continuous_begin = False
    made(client, phone_step(delay=1), is_continuous=True)
    runs = [
        client.post("/sequences/seq_000001/contacts", json={"contacts": [{"phone_number": number}]}).json()["run_id"]
        for number in (ADA, BOB)
    ]
    assert client.put(f"/sequences/{runs[0]}/cancel", headers={"Authorization": f"Bearer {OTHER_KEY}"}).is_error
    assert client.put(f"/sequences/{runs[0]}/cancel").status_code == 200
    simulator.advance("2m")
    assert (called(simulator), read(client, "seq_000001")["status"]) == ([BOB], "active")


@pytest.mark.parametrize("state", ["pending", "active", "complete", "canceled"])
def test_change_is_possible_in_every_state(simulator: Simulator, client: Any, state: str) -> None:
    sequence_id = made(client, phone_step(delay=1))
    if state != "pending":
        start(client, sequence_id)
    if state == "complete":
        simulator.advance("2m")
    if state == "canceled":
        simulator.cancel_sequence(sequence_id)
    before = read(client, sequence_id)
    change = {"name": "Now", "custom_id": "now", "filter": None, "is_continuous": state == "pending"}
    response = client.patch(f"/sequences/{sequence_id}", json=change)
    assert (response.status_code, response.content) == (200, b"")
    assert read(client, sequence_id) == before | change
    assert before["status"] == state


def test_changed_steps_are_those_that_begin_later(simulator: Simulator, client: Any) -> None:
    sequence_id = made(client, phone_step(delay=1), phone_step(delay=1), phone_step())
    start(client, sequence_id)
    simulator.advance("1m")
    client.patch(f"/sequences/{sequence_id}", json={"filter": one(type="contacts_name_in", name_in=["Bob"])})
    simulator.update_sequence(sequence_id, steps=[phone_step(), phone_step(delay=2)])
    simulator.advance("2m")
    assert called(simulator) == [ADA, BOB]
    simulator.advance("1m")
    assert called(simulator) == [ADA, BOB, BOB]
    assert read(client, sequence_id)["status"] == "complete"


def test_steps_that_were_taken_away_do_not_happen(simulator: Simulator, client: Any) -> None:
    sequence_id = made(client, phone_step(), phone_step(delay=1))
    start(client, sequence_id)
    simulator.advance("10s")
    assert called(simulator) == [ADA, BOB]
    client.patch(f"/sequences/{sequence_id}", json={"steps": [phone_step()]})
    simulator.advance("2m")
    assert (called(simulator), read(client, sequence_id)["status"]) == ([ADA, BOB], "complete")


def test_reads_may_lag(simulator: Simulator, client: Any) -> None:
    simulator.sequences_lag = "10s"
    sequence_id = made(client, phone_step(delay=1), custom_id="mine")
    for name in (sequence_id, "mine"):
        assert client.get(f"/sequences/{name}").json()["message"] == "sequence_not_found"
    simulator.advance(9.9)
    assert client.get(f"/sequences/{sequence_id}").status_code == 404
    simulator.advance(0.1)
    assert read(client, "mine")["started_at"] is None
    start(client, sequence_id)
    client.patch(f"/sequences/{sequence_id}", json={"custom_id": "yours"})
    assert simulator.sequences()[0]["status"] == "active"
    assert client.get("/sequences/yours").status_code == 404
    simulator.advance(9.9)
    assert read(client, "mine")["status"] == "pending"
    simulator.advance(0.1)
    assert read(client, "yours")["status"] == "active"
    assert client.get("/sequences/mine").status_code == 404
    assert client.put(f"/sequences/{sequence_id}/start").json()["message"] == "sequence_already_started"


NUMBERS = one(type="contacts_phone_number_in", phone_number_in=[ADA])


@pytest.mark.parametrize(
    ("dropped", "fields", "shown", "numbers"),
    [
        (["filter"], {"filter": NUMBERS}, {"filter": None}, [ADA, BOB]),
        (["phone_number_in"], {"filter": NUMBERS}, {"filter": one(type="contacts_phone_number_in")}, [ADA, BOB]),
        (["and"], {"filter": NUMBERS}, {"filter": {"or": [{}]}}, [ADA, BOB]),
        (["filter.or"], {"filter": NUMBERS}, {"filter": {}}, [ADA, BOB]),
        (["filter.or.and.type"], {"filter": NUMBERS}, {"filter": one(phone_number_in=[ADA])}, []),
        (["steps.delay_in_minutes"], {"steps": [phone_step(delay=60)]}, {"steps": [phone_step()]}, [ADA, BOB]),
        (["delay_in_minutes", "custom_id"], {"steps": [phone_step(delay=60)]}, {"custom_id": None}, [ADA, BOB]),
        (["filter.delay_in_minutes"], {"steps": [phone_step(delay=60)]}, {"custom_id": "mine"}, []),
        (["is_continuous"], {}, {"is_continuous": True}, [ADA, BOB]),
        (["name"], {}, {"name": "New Sequence"}, [ADA, BOB]),
        (["aiPhoneAgentId"], {}, {"steps": [{"action": {"type": "make_phone_calls", "data": {}}}]}, []),
        (["steps.action"], {}, {"steps": [{}]}, []),
        (["steps"], {}, {"steps": []}, []),
    ],
)
def test_service_that_drops_fields_does_something_else(
    simulator: Simulator, client: Any, dropped: list[str], fields: dict[str, Any], shown: dict[str, Any], numbers: Any
) -> None:
    simulator.drops_sequence_fields = dropped
    sequence_id = made(client, **{"name": "Recall", "custom_id": "mine", **fields})
    sequence = read(client, sequence_id)
    for step in sequence["steps"]:
        del step["started_at"], step["ended_at"]
    assert sequence | shown == sequence
    client.put(f"/sequences/{sequence_id}/start")
    simulator.advance("1m")
    assert called(simulator) == numbers


def test_dropped_field_of_a_change_stays_as_it_was(simulator: Simulator, client: Any) -> None:
    sequence_id = made(client, filter=NUMBERS, custom_id="mine")
    before = read(client, sequence_id)
    simulator.drops_sequence_fields = ("filter", "is_continuous", "custom_id", "steps")
    change = {"filter": None, "is_continuous": True, "custom_id": None, "steps": [phone_step(delay=1)]}
    assert client.patch(f"/sequences/{sequence_id}", json=change).status_code == 200
    assert read(client, sequence_id) == before
    simulator.update_sequence(sequence_id, **change)
    assert read(client, sequence_id)["custom_id"] is None


@pytest.mark.parametrize(("generation", "starts"), [("2025", True), ("2026", False)])
def test_start_that_announces_json_and_has_no_body_is_refused_in_2026(
    simulator: Simulator, client: Any, starts: bool
) -> None:
    sequence_id = made(client)
    response = client.put(f"/sequences/{sequence_id}/start", headers={"Content-Type": "application/json"})
    assert response.status_code == (200 if starts else 400)
    assert (len(simulator.started()), len(called(simulator))) == ((1, 2) if starts else (0, 0))


@pytest.mark.parametrize("content_type", [None, "text/plain"])
def test_empty_body_that_is_not_announced_is_none(client: Any, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    assert client.put(f"/sequences/{made(client)}/start", headers=headers).status_code == 200
    assert client.put("/sequences/seq_000001/cancel", headers=headers, content="{}").status_code == 200


@pytest.mark.parametrize(("operation", "method", "path"), WRITES)
@pytest.mark.parametrize(
    ("fault", "status", "is_handled"),
    [
        (LoseResponse(), None, True),
        (CloseBeforeHandling(), None, False),
        (HandleLate(30), None, True),
        (ErrorResponse(500), 500, False),
        (ProxyPage(200, handled=True), 200, True),
        (RefuseAfterHandling(), 400, True),
        (RefuseAfterHandling(404, "sequence_not_found"), 404, True),
        (EmptyResponse(), ..., True),
        (MalformedResponse(), ..., True),
        (RespondWithAnotherId(), ..., True),
        (AlterItems({"run_id": None}), ..., True),
        (IgnoreFields("colour"), ..., True),
        (TooManyRequests(), 429, False),
        (RespondInGeneration("2024"), 404, False),
    ],
)
def test_faults_are_those_of_agents(
    simulator: Simulator, client: Any, operation: str, method: str, path: str, fault: Any, status: Any, is_handled: bool
) -> None:
    is_continuous = operation == "addContactsToSequence"
    simulator.continuous_begin = False
    made(client, is_continuous=is_continuous)
    before = (simulator.sequences(), simulator.started(), simulator.enrolled())
    sent = {
        "createSequence": body(),
        "updateSequence": {"name": "Later"},
        "addContactsToSequence": {"contacts": [{"phone_number": ADA}]},
    }
    simulator.fail(operation, fault)
    how = {"json": sent[operation]} if operation in sent else {}
    if status is None:
        with pytest.raises(httpx.TransportError):
            client.request(method, path, **how)
    else:
        success = 201 if method == "POST" else 200
        assert client.request(method, path, **how).status_code == (success if status is ... else status)
    assert simulator.faults_met() == {type(fault).__name__: 1}
    if isinstance(fault, HandleLate):
        assert (simulator.sequences(), simulator.started(), simulator.enrolled()) == before
        simulator.advance(30)
    assert ((simulator.sequences(), simulator.started(), simulator.enrolled()) != before) == is_handled


@pytest.mark.parametrize("fault", [LoseResponse(), HandleLate(30), RefuseAfterHandling(500)])
def test_start_whose_response_is_lost_calls_everybody(simulator: Simulator, client: Any, fault: Any) -> None:
    sequence_id = made(client, phone_step(delay=1))
    simulator.fail("startSequence", fault)
    try:
        assert client.put(f"/sequences/{sequence_id}/start").status_code == 500
    except httpx.TransportError:
        assert not isinstance(fault, RefuseAfterHandling)
    simulator.advance("2m")
    assert (called(simulator), simulator.started()) == ([ADA, BOB], [sequence_id])


def test_response_to_a_read_may_show_something_else(simulator: Simulator, client: Any) -> None:
    sequence_id = made(client)
    simulator.fail("getSequence", AlterItems({"status": "exploded", "started_at": 5}, without=["steps"]))
    assert client.get(f"/sequences/{sequence_id}").json()["status"] == "exploded"
    assert read(client, sequence_id)["status"] == "pending"


def test_sequences_are_of_one_organization(simulator: Simulator, client: Any) -> None:
    theirs = simulator.create_sequence(api_key=OTHER_KEY, **body())
    for _, method, path in [*WRITES[1:], ("getSequence", "GET", "/sequences/seq_000001")]:
        response = client.request(method, path, **({} if method == "GET" else {"json": {"contacts": []}}))
        assert (response.status_code, response.json()["message"]) == (404, "sequence_not_found")
    assert (simulator.sequences(), simulator.sequences(OTHER_KEY)) == ([], [theirs])
    simulator.start_sequence(str(theirs["id"]))
    assert (simulator.started(), simulator.started(OTHER_KEY)) == ([], ["seq_000001"])
    assert simulator.dialed() == simulator.dialed(OTHER_KEY) == []


def test_dashboard_does_what_requests_do(simulator: Simulator, client: Any) -> None:
    created = simulator.create_sequence(**body(name="Recall"))
    assert created == read(client, "seq_000001") == simulator.sequences()[0]
    assert simulator.update_sequence("seq_000001", name="Now")["name"] == "Now"
    assert simulator.start_sequence("seq_000001")["status"] == "active"
    assert (called(simulator), simulator.started()) == ([ADA, BOB], ["seq_000001"])
    simulator.cancel_sequence("seq_000001")
    assert simulator.sequences()[0]["status"] == "canceled"
    assert simulator.requests == [simulator.requests[0]]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"filter": None}, "'steps' is a required property"),
        ({"steps": [phone_step()]}, "'filter' is a required property"),
        (body(steps=[]), "steps"),
        (body(colour="red"), "A sequence has no field colour"),
    ],
)
def test_dashboard_knows_the_fields(simulator: Simulator, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        simulator.create_sequence(**fields)
    response = httpx.post(f"{simulator.url}/_simulator/sequences", json=fields)
    assert response.status_code == 400
    assert simulator.sequences() == []


@pytest.mark.parametrize("what", ["start_sequence", "cancel_sequence", "update_sequence"])
def test_dashboard_does_not_know_every_id(simulator: Simulator, what: str) -> None:
    with pytest.raises(LookupError, match="seq_000001"):
        getattr(simulator, what)("seq_000001")


SETTINGS: dict[str, tuple[Any, Any, list[Any]]] = {
    "finds_sequences_by_custom_id": (True, False, ["yes", 1, None]),
    "starts_again": (False, True, ["yes", 0, None]),
    "continuous_begin": (True, False, ["no", None]),
    "cancel_ends": (False, True, ["no", None]),
    "step_takes": (5, 90, ["soon", -1, None]),
    "sequences_lag": (0, 0.5, ["soon", -1, None]),
    "drops_sequence_fields": ((), ("filter", "steps.delay_in_minutes"), ["filter", [""], ["steps."], [1]]),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_are_checked_and_restored(simulator: Simulator, name: str) -> None:
    default, other, wrong = SETTINGS[name]
    assert getattr(simulator, name) == default
    setattr(simulator, name, other)
    assert getattr(simulator, name) == other
    for value in wrong:
        with pytest.raises(ValueError, match=r"true or false|duration|are names"):
            setattr(simulator, name, value)
    assert getattr(simulator, name) == other
    simulator.reset()
    assert getattr(simulator, name) == default


def test_settings_over_http(simulator: Simulator) -> None:
    place = f"{simulator.url}/_simulator/sequences/settings"
    before = httpx.get(place).json()
    assert before == {name: list(value[0]) if value[0] == () else value[0] for name, value in SETTINGS.items()}
    for name, (_, _, wrong) in SETTINGS.items():
        for value in wrong:
            response = httpx.patch(place, json={"step_takes": "7s", name: value})
            assert (response.status_code, response.json()["statusCode"]) == (400, 400)
    assert httpx.patch(place, json={"color": 1}).status_code == 400
    assert httpx.get(place).json() == before
    changed = {name: list(value[1]) if isinstance(value[1], tuple) else value[1] for name, value in SETTINGS.items()}
    assert httpx.patch(place, json={**changed, "step_takes": "90s"}).json() == changed
    assert simulator.drops_sequence_fields == ("filter", "steps.delay_in_minutes")
    httpx.post(f"{simulator.url}/_simulator/reset", json={})
    assert httpx.get(place).json() == before


def test_admin_controls_sequences(simulator: Simulator) -> None:
    with httpx.Client(base_url=f"{simulator.url}/_simulator", headers={"Content-Type": "application/json"}) as admin:
        created = admin.post("/sequences", json=body(phone_step(delay=1)))
        assert (created.status_code, created.json()) == (201, simulator.sequences()[0])
        assert admin.patch("/sequences/seq_000001", json={"name": "Now"}).json()["name"] == "Now"
        assert admin.patch("/sequences/seq_000001", json={"color": 1}).status_code == 400
        assert admin.patch("/sequences/seq_000001", json={"steps": []}).status_code == 400
        assert admin.put("/sequences/seq_000001/start").json()["status"] == "active"
        refused = admin.put("/sequences/seq_000001/start")
        assert (refused.status_code, refused.json()["message"]) == (400, "sequence_already_started")
        assert admin.get("/sequences/started").json() == {"started": ["seq_000001"]}
        assert admin.put("/sequences/seq_000001/cancel").status_code == 204
        admin.post("/sequences", json=body())
        admin.put("/sequences/seq_000002/start")
        simulator.advance(5)
        assert admin.put("/sequences/seq_000002/cancel").status_code == 400
        assert [each["status"] for each in admin.get("/sequences").json()["sequences"]] == ["canceled", "complete"]
        for method, path in (("PATCH", ""), ("PUT", "/start"), ("PUT", "/cancel")):
            assert admin.request(method, f"/sequences/seq_000009{path}", content="{}").status_code == 404
        theirs = {"Authorization": f"Bearer {OTHER_KEY}"}
        assert admin.get("/sequences", headers=theirs).json() == {"sequences": []}
        assert admin.post("/sequences", json=body(), headers=theirs).json()["org_id"] == "org_000002"


def test_reset_ends_what_goes_on(simulator: Simulator, client: Any) -> None:
    start(client, made(client, phone_step(delay=1)))
    simulator.reset()
    simulator.advance("10m")
    assert (simulator.dialed(), simulator.sequences(), simulator.started(), simulator.contacts()) == ([], [], [], [])


def test_requests_and_the_clock_do_not_wait_for_each_other(simulator: Simulator) -> None:
    number = 60

    def create_and_start(each: int) -> None:
        with httpx.Client(base_url=simulator.url, headers={"Authorization": f"Bearer {KEY}"}, timeout=30) as client:
            start(client, made(client, name=str(each)))

    with ThreadPoolExecutor(4) as threads:
        created = [threads.submit(create_and_start, each) for each in range(number)]
        while not all(each.done() for each in created):
            simulator.advance(0.01)
            simulator.dialed()
            simulator.create_sequence(**body(phone_step(delay=0.001)))
        for each in created:
            each.result()
    assert len(called(simulator)) == 2 * number
    assert len(simulator.started()) == len({*simulator.started()}) == number
