"""Gives the tests a simulator with a stopped clock, and a client that uses it over a socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from importlib.resources import files
from typing import Any

import httpx
import pytest
import yaml
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from airflow_provider_opencx.simulator import Simulator

KEY = "a-key-that-nobody-may-see"
OTHER_KEY = "a-key-of-somebody-else"


class Clock:
    """Stands still until ``now`` is set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Client(httpx.Client):
    """A client of the simulated API."""

    def create(self, name: str = "Support", **fields: object) -> dict[str, Any]:
        response = self.post("/phone", json={"name": name, **fields})
        assert response.is_success, response.text
        agent = response.json()
        assert isinstance(agent, dict)
        return agent

    def listed(self) -> list[dict[str, Any]]:
        """Return the whole list, or its first page in a generation with pages."""
        body = self.get("/phone").json()
        agents = body if isinstance(body, list) else body["items"]
        assert isinstance(agents, list)
        return agents

    def numbers(self) -> list[str | None]:
        return [agent["phone_number"] for agent in self.listed()]


@pytest.fixture
def generation() -> str:
    return "2026"


@pytest.fixture
def routes(generation: str) -> dict[str, tuple[str, str]]:
    """The method and the path of each operation."""
    return _routes(generation)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def simulator(generation: str, clock: Clock) -> Iterator[Simulator]:
    with Simulator(
        (KEY, OTHER_KEY), generation=generation, clock=clock, page_size=2, requests_per_minute=None
    ) as simulator:
        yield simulator


@pytest.fixture
def client(simulator: Simulator) -> Iterator[Client]:
    with Client(base_url=simulator.url, headers={"Authorization": f"Bearer {KEY}"}, timeout=10) as client:
        yield client


@pytest.fixture(scope="session")
def assert_documented() -> Callable[[httpx.Response, str, str], None]:
    """Validates a response by the document alone, without the simulator's code."""

    def check(response: httpx.Response, operation: str, generation: str) -> None:
        method, path = _routes(generation)[operation]
        described = _document(generation)["paths"][path][method.lower()]["responses"]
        status = str(response.status_code)
        assert status in described
        pointer = f"/paths/{path.replace('/', '~1')}/{method.lower()}/responses/{status}"
        if "$ref" in described[status]:
            pointer = described[status]["$ref"].removeprefix("#")
            described = {status: _document(generation)["components"]["responses"][pointer.rsplit("/", 1)[1]]}
        if "content" not in described[status]:
            assert response.content == b""
            return
        assert response.headers["content-type"] == "application/json"
        document = DRAFT202012.create_resource(_document(generation))
        registry: Registry[Any] = Registry().with_resource("urn:api", document)
        schema = {"$ref": f"urn:api#{pointer}/content/application~1json/schema"}
        Draft202012Validator(schema, registry=registry).validate(response.json())

    return check


@cache
def _document(generation: str) -> dict[str, Any]:
    text = files("airflow_provider_opencx.simulator").joinpath("openapi", f"{generation}.yaml").read_bytes()
    loaded = yaml.safe_load(text)
    assert isinstance(loaded, dict)
    return loaded


@cache
def _routes(generation: str) -> dict[str, tuple[str, str]]:
    return {
        details["operationId"]: (method.upper(), path)
        for path, methods in _document(generation)["paths"].items()
        for method, details in methods.items()
    }
