"""Tests what the simulator does with contacts, beyond what its OpenAPI documents can say."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from airflow_provider_opencx.simulator import (
    AlterItems,
    EndlessPages,
    HandleLate,
    IncompleteList,
    LoseResponse,
    MovedPages,
    RefuseAfterHandling,
    RepeatedIds,
    Simulator,
    StaleList,
)

OTHER_KEY = "a-key-of-somebody-else"
ADA = {"email": "ada@example.com", "phone": "+14155550101", "name": "Ada", "custom_data": {"plan": "gold", "n": 1}}
ADA_READ = {"email": ADA["email"], "phone_number": ADA["phone"], "name": "Ada", "custom_data": ADA["custom_data"]}
NOTHING = {"email": None, "phone_number": None, "name": None, "custom_data": None}


def without_times(contact: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in contact.items() if name not in ("created_at", "updated_at")}


def names(client: Any, **query: str) -> list[str]:
    """The names of a whole list, page by page."""
    seen: list[str] = []
    cursor = None
    while True:
        page = client.get("/contacts", params={**query, **({"cursor": cursor} if cursor else {})}).json()
        seen += [contact["name"] for contact in page["items"]]
        cursor = page["next"]
        if cursor is None:
            return seen


@pytest.mark.parametrize("generation", ["2025", "2026"])
def test_contacts_follow_the_document(
    simulator: Simulator, client: Any, generation: str, assert_documented: Any
) -> None:
    created = client.post("/contacts", json={"contact": ADA})
    changed = client.patch(f"/contacts/{created.json()['id']}", json={"contact": {"name": "Ada L."}})
    listing = client.get("/contacts")
    assert_documented(created, "createContact", generation)
    assert_documented(changed, "updateContact", generation)
    assert_documented(listing, "listContacts", generation)
    assert (created.status_code, created.json()) == (201, {"id": "con_000001"})
    assert (changed.status_code, changed.content) == (200, b"")
    assert listing.json() == {"items": simulator.contacts(), "next": None}
    assert [without_times(contact) for contact in simulator.contacts()] == [
        {"id": "con_000001", **ADA_READ, "name": "Ada L."}
    ]
    unknown = client.patch("/contacts/con_000002", json={"contact": {}})
    assert (unknown.status_code, unknown.json()["message"]) == (404, "There is no contact con_000002")
    assert_documented(unknown, "updateContact", generation)


@pytest.mark.parametrize("generation", ["2024"])
@pytest.mark.parametrize(("method", "path"), [("GET", "/contacts"), ("POST", "/contacts"), ("PATCH", "/contacts/c")])
def test_contacts_are_of_2025_and_later(client: Any, method: str, path: str) -> None:
    response = client.request(method, path, json={"contact": {}})
    assert (response.status_code, response.json()["message"]) == (404, f"Route {method}:{path} not found")


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ({}, NOTHING),
        (ADA, ADA_READ),
        ({"phone": "+14155550101"}, {**NOTHING, "phone_number": "+14155550101"}),
        # The name that is read is not the one that is sent.
        ({"phone_number": "+14155550101", "id": "con_7", "created_at": "x", "zodiac": "leo"}, NOTHING),
    ],
)
def test_create_keeps_what_it_knows(simulator: Simulator, client: Any, sent: object, read: dict[str, Any]) -> None:
    assert client.post("/contacts", json={"contact": sent, "more": 1}).status_code == 201
    assert [without_times(contact) for contact in simulator.contacts()] == [{"id": "con_000001", **read}]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "contact"),
        ({"contact": []}, "contact"),
        ({"contact": {"phone": 1}}, "contact.phone"),
        ({"contact": {"email": None}}, "contact.email"),
        ({"contact": {"name": ["x"]}}, "contact.name"),
        ({"contact": {"custom_data": "x"}}, "contact.custom_data"),
    ],
)
def test_body_that_is_not_valid_changes_nothing(simulator: Simulator, client: Any, body: object, named: str) -> None:
    before = [simulator.add_contact("+14155550101")]
    for response in (client.post("/contacts", json=body), client.patch("/contacts/con_000001", json=body)):
        assert (response.status_code, response.json()["code"]) == (400, "FST_ERR_VALIDATION")
        assert named in response.json()["message"]
    assert simulator.contacts() == before


def test_change_leaves_other_fields_as_they_are(simulator: Simulator, client: Any) -> None:
    before = simulator.add_contact("+14155550101", name="Ada", email="ada@example.com", custom_data={"a": 1})
    for change in ({"custom_data": {"b": 2}}, {"phone": "+14155550102"}):
        assert client.patch("/contacts/con_000001", json={"contact": change}).is_success
    [after] = simulator.contacts()
    assert after == before | {
        "custom_data": {"b": 2},
        "phone_number": "+14155550102",
        "updated_at": after["updated_at"],
    }
    assert str(after["updated_at"]) > str(before["updated_at"])


def test_create_never_merges(simulator: Simulator, client: Any) -> None:
    ids = [client.post("/contacts", json={"contact": ADA}).json()["id"] for _ in range(2)]
    assert [contact["id"] for contact in simulator.contacts()] == ids == ["con_000001", "con_000002"]


def test_contacts_are_of_one_organization(simulator: Simulator, client: Any) -> None:
    theirs = simulator.add_contact("+14155550101", api_key=OTHER_KEY)
    assert client.get("/contacts").json() == {"items": [], "next": None}
    assert client.patch(f"/contacts/{theirs['id']}", json={"contact": {"name": "Mine"}}).status_code == 404
    assert (simulator.contacts(), simulator.contacts(OTHER_KEY)) == ([], [theirs])


@pytest.mark.parametrize("number", [0, 1, 2, 3, 5])
def test_list_is_in_pages_oldest_first(simulator: Simulator, client: Any, number: int) -> None:
    for each in range(number):
        simulator.add_contact(name=str(each))
    assert names(client) == [str(each) for each in range(number)]
    assert simulator.count("listContacts") == max(1, -(-number // simulator.page_size))


def test_contact_that_is_added_between_pages_is_on_a_later_one(simulator: Simulator, client: Any) -> None:
    for name in "abc":
        simulator.add_contact(name=name)
    cursor = client.get("/contacts").json()["next"]
    simulator.add_contact(name="d")
    page = client.get("/contacts", params={"cursor": cursor}).json()
    assert ([contact["name"] for contact in page["items"]], page["next"]) == (["c", "d"], None)
    assert client.get("/contacts", params={"cursor": "page 2"}).status_code == 400


def test_list_is_filtered_by_times(simulator: Simulator, client: Any) -> None:
    times: list[str] = []
    for name in "abc":
        times.append(str(simulator.add_contact(name=name)["created_at"]))
        simulator.advance("1m")
    client.patch("/contacts/con_000001", json={"contact": {"name": "A"}})
    changed = str(simulator.contacts()[0]["updated_at"])
    table: list[tuple[dict[str, str], list[str]]] = [
        ({"created_after": times[1]}, ["b", "c"]),
        ({"created_before": times[1]}, ["A", "b"]),
        ({"created_after": times[1], "created_before": times[1]}, ["b"]),
        ({"updated_after": changed}, ["A"]),
        ({"updated_before": times[2]}, ["b", "c"]),
        ({"created_before": times[0], "updated_after": changed}, ["A"]),
        ({"created_after": "2000-01-01"}, ["A", "b", "c"]),
        ({"created_after": "9999-12-31T23:59:59-14:00"}, []),
        ({"created_before": "0001-01-01T00:00:00+14:00"}, []),
        ({"created_after": "yesterday"}, []),
        ({"updated_before": ""}, []),
    ]
    for query, listed in table:
        assert names(client, **query) == listed, query


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        (StaleList(30), ["a", "b"]),
        (IncompleteList(lost=2), ["a"]),
        (RepeatedIds(), ["a", "b", "a", "b", "c", "c"]),
        (MovedPages(), ["a", "b", "b", "c"]),
        (AlterItems({"name": "x"}), ["x", "b", "x"]),
    ],
)
def test_faults_of_lists_are_those_of_agents(simulator: Simulator, client: Any, fault: Any, seen: list[str]) -> None:
    for name in "ab":
        simulator.add_contact(name=name)
    simulator.advance("1m")
    simulator.add_contact(name="c")
    simulator.fail("listContacts", fault, times=None)
    assert names(client) == seen


def test_list_may_have_no_end(simulator: Simulator, client: Any) -> None:
    simulator.add_contact(name="a")
    simulator.fail("listContacts", EndlessPages(), times=None)
    page = client.get("/contacts", params={"cursor": "after-7"}).json()
    assert (page["items"][0]["id"], page["next"]) == ("con_000001_7", "after-8")


@pytest.mark.parametrize(
    ("fault", "status", "later"),
    [(LoseResponse(), None, 0), (HandleLate(60), None, 60), (RefuseAfterHandling(), 400, 0)],
)
def test_create_is_handled_whatever_the_client_gets(
    simulator: Simulator, client: Any, fault: Any, status: int | None, later: float
) -> None:
    simulator.fail("createContact", fault)
    try:
        assert client.post("/contacts", json={"contact": ADA}).status_code == status
    except httpx.TransportError:
        assert status is None
    assert len(simulator.contacts()) == (not later)
    simulator.advance(later)
    assert len(simulator.contacts()) == 1


def test_times_are_those_of_the_clock(simulator: Simulator) -> None:
    first = simulator.add_contact()
    simulator.advance("61m")
    second = simulator.add_contact()
    assert second["created_at"] > first["created_at"]  # type: ignore[operator]
    assert httpx.get(f"{simulator.url}/_simulator/contacts").json() == {"contacts": [first, second]}


def test_admin_adds_and_reads_contacts(simulator: Simulator) -> None:
    admin = f"{simulator.url}/_simulator/contacts"
    sent = [{"phone_number": "+14155550101", "name": "Ada", "custom_data": {"a": 1}}, {"email": "b@example.com"}]
    added = httpx.post(admin, json={"contacts": sent}, headers={"Authorization": f"Bearer {OTHER_KEY}"})
    assert added.status_code == 201
    assert added.json()["contacts"] == simulator.contacts(OTHER_KEY)
    assert [without_times(contact) for contact in simulator.contacts(OTHER_KEY)] == [
        {"id": "con_000001", **NOTHING, **sent[0]},
        {"id": "con_000002", **NOTHING, **sent[1]},
    ]
    assert httpx.get(admin).json() == {"contacts": []}
    refused = httpx.post(admin, json={"contacts": [{"name": "x"}, {"phone": "+14155550101"}]})
    assert (refused.status_code, "contacts.1.phone" in refused.json()["message"]) == (400, True)
    assert simulator.contacts() == []
    simulator.reset()
    assert simulator.contacts(OTHER_KEY) == []
