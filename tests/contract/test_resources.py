"""A resource is a module of its own and paths in the OpenAPI documents; the simulator finds it and routes to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from airflow_provider_opencx.simulator import HandleLate, LoseResponse, RespondInGeneration, Simulator, resources
from airflow_provider_opencx.simulator import contract as contracts
from airflow_provider_opencx.simulator.contract import ContractError
from airflow_provider_opencx.simulator.resources import voices

PLUGIN = Path(__file__).with_name("plugin")
CONTACT = {"type": "object", "required": ["id", "org_id"]}
LIST_CONTACTS = {
    "operationId": "listContacts",
    "responses": {
        "200": {
            "description": "Every contact.",
            "content": {"application/json": {"schema": {"type": "array", "items": CONTACT}}},
        },
        "401": {"$ref": "#/components/responses/Unauthorized"},
    },
}


@pytest.fixture
def add_module(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Puts contacts.py among the resources."""
    return lambda: monkeypatch.setattr(resources, "__path__", [*resources.__path__, str(PLUGIN)])


@pytest.fixture
def add_path(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Puts ``GET /contacts`` into the document of 2026."""
    load_document = contracts.load_document

    def with_contacts(generation: contracts.Generation) -> dict[str, Any]:
        document = load_document(generation)
        if generation == "2026":
            document["paths"]["/contacts"] = {"get": LIST_CONTACTS}
        return document

    def add() -> None:
        monkeypatch.setattr(contracts, "load_document", with_contacts)
        contracts.load_contract.cache_clear()

    yield add
    contracts.load_contract.cache_clear()


@pytest.fixture
def contacts(add_module: Callable[[], None], add_path: Callable[[], None]) -> None:
    add_module()
    add_path()


@pytest.mark.usefixtures("contacts")
class TestContacts:
    def test_resource_is_found_and_served(self, opencx_simulator: Simulator) -> None:
        url, key = f"{opencx_simulator.url}/contacts", {"Authorization": "Bearer test-key"}
        assert httpx.get(url, headers=key).json() == [{"id": "contact_1", "org_id": "org_000001"}]
        assert httpx.get(url).status_code == 401
        assert [record.status for record in opencx_simulator.requests] == [200, 401]
        assert opencx_simulator.count("listContacts") == 2

    def test_resource_has_faults(self, opencx_simulator: Simulator) -> None:
        admin = f"{opencx_simulator.url}/_simulator/faults"
        fault = {"operation": "listContacts", "fault": {"type": "LoseResponse"}}
        assert httpx.post(admin, json=fault).status_code == 201
        opencx_simulator.fail("listContacts", LoseResponse())
        for _ in range(2):
            with pytest.raises(httpx.RemoteProtocolError):
                httpx.get(f"{opencx_simulator.url}/contacts")
        with pytest.raises(ValueError, match=r"'listCalls', only .*listPhoneAgents.*, listContacts"):
            opencx_simulator.fail("listCalls", LoseResponse())

    def test_resource_is_routed_by_the_current_generation(self, simulator: Simulator, client: Any) -> None:
        statuses = []
        for generation in ("2024", "2026", "2025", "2026"):
            simulator.generation = generation
            response = client.get("/contacts")
            statuses.append(response.status_code)
        assert statuses == [404, 200, 404, 200]
        assert [record.operation for record in simulator.requests] == [None, "listContacts"] * 2

    @pytest.mark.parametrize("generation", ["2024"])
    def test_resource_of_another_generation_is_not_found(self, simulator: Simulator, client: Any) -> None:
        simulator.fail("listContacts", LoseResponse())
        response = client.get("/contacts")
        assert response.json() == {
            "statusCode": 404,
            "message": "Route GET:/contacts not found",
            "error": "Not Found",
        }
        assert simulator.faults_met() == {}

    def test_resource_is_not_found_if_a_fault_responds_in_another_generation(
        self, simulator: Simulator, client: Any
    ) -> None:
        simulator.fail("listContacts", RespondInGeneration("2025"))
        assert client.get("/contacts").json()["message"] == "Route GET:/contacts not found"

    def test_resource_may_disappear_before_a_late_request(self, simulator: Simulator, client: Any) -> None:
        simulator.fail("listContacts", HandleLate(5))
        with pytest.raises(httpx.RemoteProtocolError):
            client.get("/contacts")
        simulator.generation = "2024"
        simulator.advance(5)
        assert simulator.agents() == []
        assert simulator.bugs == []


def test_resource_needs_an_operation_for_each_handler(add_module: Callable[[], None]) -> None:
    add_module()
    with pytest.raises(ContractError, match="No OpenAPI document has listContacts"):
        Simulator()


def test_resource_needs_a_handler_for_each_operation(add_path: Callable[[], None]) -> None:
    add_path()
    with pytest.raises(ContractError, match="No resource has a handler for listContacts"):
        Simulator()


def test_resource_needs_operations_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    handlers = {**voices.HANDLERS, "listPhoneAgents": voices.list_phone_voices}
    monkeypatch.setattr(voices, "HANDLERS", handlers)
    with pytest.raises(ContractError, match="several handlers for listPhoneAgents"):
        Simulator()
