"""Tests that the simulator finds a resource: a module, and paths in the OpenAPI documents."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from time import sleep
from typing import Any

import httpx
import pytest

from airflow_provider_opencx.simulator import HandleLate, LoseResponse, RespondInGeneration, Simulator, resources
from airflow_provider_opencx.simulator import contract as contracts
from airflow_provider_opencx.simulator.contract import ContractError
from airflow_provider_opencx.simulator.resources import voices
from airflow_provider_opencx.simulator.service import Service

PLUGIN = Path(__file__).with_name("plugin")
EXAMPLE = {"type": "object", "required": ["id", "org_id"]}
LIST_EXAMPLES = {
    "operationId": "listExamples",
    "responses": {
        "200": {
            "description": "Every example.",
            "content": {"application/json": {"schema": {"type": "array", "items": EXAMPLE}}},
        },
        "401": {"$ref": "#/components/responses/Unauthorized"},
    },
}


@pytest.fixture
def add_module(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Puts examples.py among the resources."""
    return lambda: monkeypatch.setattr(resources, "__path__", [*resources.__path__, str(PLUGIN)])


@pytest.fixture
def add_path(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Puts ``GET /examples`` into the document of 2026."""
    load_document = contracts.load_document

    def with_examples(generation: contracts.Generation) -> dict[str, Any]:
        document = load_document(generation)
        if generation == "2026":
            document["paths"]["/examples"] = {"get": LIST_EXAMPLES}
        return document

    def add() -> None:
        monkeypatch.setattr(contracts, "load_document", with_examples)
        contracts.load_contract.cache_clear()

    yield add
    contracts.load_contract.cache_clear()


@pytest.fixture
def examples(add_module: Callable[[], None], add_path: Callable[[], None]) -> None:
    add_module()
    add_path()


@pytest.mark.usefixtures("examples")
class TestExamples:
    def test_resource_is_found_and_served(self, opencx_simulator: Simulator) -> None:
        url, key = f"{opencx_simulator.url}/examples", {"Authorization": "Bearer test-key"}
        assert httpx.get(url, headers=key).json() == [{"id": "example_1", "org_id": "org_000001"}]
        assert httpx.get(url).status_code == 401
        assert [record.status for record in opencx_simulator.requests] == [200, 401]
        assert opencx_simulator.count("listExamples") == 2

    def test_resource_has_state_until_reset(self, simulator: Simulator, client: Any) -> None:
        def read() -> str:
            [example] = client.get("/examples").json()
            return str(example["id"])

        assert [read(), read()] == ["example_1", "example_2"]
        simulator.reset()
        assert [read(), read()] == ["example_1", "example_2"]

    def test_resource_has_state_of_its_own_in_each_service(self, simulator: Simulator, client: Any) -> None:
        with Simulator() as other:
            for _ in range(2):
                httpx.get(f"{other.url}/examples", headers={"Authorization": "Bearer test-key"})
            assert client.get("/examples").json()[0]["id"] == "example_1"

    def test_resource_has_faults(self, opencx_simulator: Simulator) -> None:
        admin = f"{opencx_simulator.url}/_simulator/faults"
        fault = {"operation": "listExamples", "fault": {"type": "LoseResponse"}}
        assert httpx.post(admin, json=fault).status_code == 201
        opencx_simulator.fail("listExamples", LoseResponse())
        for _ in range(2):
            with pytest.raises(httpx.RemoteProtocolError):
                httpx.get(f"{opencx_simulator.url}/examples")
        with pytest.raises(ValueError, match=r"'listNothing', only .*listPhoneAgents.*, listExamples"):
            opencx_simulator.fail("listNothing", LoseResponse())

    def test_resource_is_routed_by_the_current_generation(self, simulator: Simulator, client: Any) -> None:
        statuses = []
        for generation in ("2024", "2026", "2025", "2026"):
            simulator.generation = generation
            response = client.get("/examples")
            statuses.append(response.status_code)
        assert statuses == [404, 200, 404, 200]
        assert [record.operation for record in simulator.requests] == [None, "listExamples"] * 2

    @pytest.mark.parametrize("generation", ["2024"])
    def test_resource_of_another_generation_is_not_found(self, simulator: Simulator, client: Any) -> None:
        simulator.fail("listExamples", LoseResponse())
        response = client.get("/examples")
        assert response.json() == {
            "statusCode": 404,
            "message": "Route GET:/examples not found",
            "error": "Not Found",
        }
        assert simulator.faults_met() == {}

    def test_resource_is_not_found_if_a_fault_responds_in_another_generation(
        self, simulator: Simulator, client: Any
    ) -> None:
        simulator.fail("listExamples", RespondInGeneration("2025"))
        assert client.get("/examples").json()["message"] == "Route GET:/examples not found"

    def test_resource_may_disappear_before_a_late_request(self, simulator: Simulator, client: Any) -> None:
        simulator.fail("listExamples", HandleLate(5))
        with pytest.raises(httpx.RemoteProtocolError):
            client.get("/examples")
        simulator.generation = "2024"
        simulator.advance(5)
        assert simulator.agents() == []
        assert simulator.bugs == []


def test_resource_has_one_state_for_all_threads() -> None:
    simulator, together = Simulator(), Barrier(8)

    def slow_state(service: Service) -> object:
        sleep(0.05)
        return object()

    def state() -> object:
        together.wait(10)
        return simulator.state(slow_state)

    with ThreadPoolExecutor(8) as threads:
        states = [threads.submit(state) for _ in range(8)]
    assert len({id(state.result()) for state in states}) == 1


def test_resource_needs_an_operation_for_each_handler(add_module: Callable[[], None]) -> None:
    add_module()
    with pytest.raises(ContractError, match="No OpenAPI document has listExamples"):
        Simulator()


def test_resource_needs_a_handler_for_each_operation(add_path: Callable[[], None]) -> None:
    add_path()
    with pytest.raises(ContractError, match="No resource has a handler for listExamples"):
        Simulator()


def test_resource_needs_operations_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    handlers = {**voices.HANDLERS, "listPhoneAgents": voices.list_phone_voices}
    monkeypatch.setattr(voices, "HANDLERS", handlers)
    with pytest.raises(ContractError, match="several handlers for listPhoneAgents"):
        Simulator()
