"""A simulator with a clock of its own, and a client that speaks to it over a socket."""

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
PLACES = {
    "listPhoneAgents": ("GET", "/phone"),
    "createPhoneAgent": ("POST", "/phone"),
    "updatePhoneAgent": ("PATCH", "/phone/{phone_agent_id}"),
    "listPhoneVoices": ("GET", "/phone/voices"),
}


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Client(httpx.Client):
    """A client of the simulated API."""

    def create(self, name: str = "Support", **members: object) -> dict[str, Any]:
        answer = self.post("/phone", json={"name": name, **members})
        assert answer.is_success, answer.text
        agent = answer.json()
        assert isinstance(agent, dict)
        return agent

    def listed(self) -> list[dict[str, Any]]:
        """Read the whole list of a generation that has one, or its first page."""
        body = self.get("/phone").json()
        agents = body if isinstance(body, list) else body["items"]
        assert isinstance(agents, list)
        return agents

    def numbers(self) -> list[str | None]:
        return [agent["phone_number"] for agent in self.listed()]


@pytest.fixture(scope="session")
def places() -> dict[str, tuple[str, str]]:
    """The method and the path of each operation."""
    return PLACES


@pytest.fixture
def generation() -> str:
    return "2026"


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
def assert_as_documented() -> Callable[[httpx.Response, str, str], None]:
    """Judges an answer by the document alone, with none of the simulator's own code."""

    def judge(answer: httpx.Response, operation: str, generation: str) -> None:
        method, path = PLACES[operation]
        described = _document(generation)["paths"][path][method.lower()]["responses"]
        status = str(answer.status_code)
        assert status in described
        place = f"/paths/{path.replace('/', '~1')}/{method.lower()}/responses/{status}"
        if "$ref" in described[status]:
            place = described[status]["$ref"].removeprefix("#")
            described = {status: _document(generation)["components"]["responses"][place.rsplit("/", 1)[1]]}
        if "content" not in described[status]:
            assert answer.content == b""
            return
        assert answer.headers["content-type"] == "application/json"
        document = DRAFT202012.create_resource(_document(generation))
        registry: Registry[Any] = Registry().with_resource("urn:api", document)
        schema = {"$ref": f"urn:api#{place}/content/application~1json/schema"}
        Draft202012Validator(schema, registry=registry).validate(answer.json())

    return judge


@cache
def _document(generation: str) -> dict[str, Any]:
    text = files("airflow_provider_opencx.simulator").joinpath("openapi", f"{generation}.yaml").read_bytes()
    loaded = yaml.safe_load(text)
    assert isinstance(loaded, dict)
    return loaded
