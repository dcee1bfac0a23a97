"""Tests that the simulator refuses a key without the scope that an operation needs."""

from __future__ import annotations

import subprocess
import sys

import httpx
import pytest

from airflow_provider_opencx.resources import all_operations
from airflow_provider_opencx.simulator import Simulator
from airflow_provider_opencx.simulator.contract import GENERATIONS, load_contract

SCOPES = {"reader": ["phone:read"], "writer": ["phone:write"], "neither": []}


def statuses(simulator: Simulator, api_key: str) -> list[int]:
    """The statuses of each operation with a key."""
    with httpx.Client(
        base_url=simulator.url, headers={"Authorization": f"Bearer {api_key}"}, trust_env=False
    ) as client:
        responses = [
            client.get("/phone"),
            client.get("/phone/voices"),
            client.post("/phone", json={"name": "a"}),
            client.patch("/phone/pa_none", json={"name": "b"}),
        ]
    for response in responses:
        if not response.is_success:
            assert response.json()["statusCode"] == response.status_code
    return [200 if response.is_success else response.status_code for response in responses]


@pytest.mark.parametrize("generation", GENERATIONS)
def test_key_is_refused_what_needs_another_scope(generation: str) -> None:
    with Simulator(("all", *SCOPES), generation=generation, scopes=SCOPES) as simulator:
        assert statuses(simulator, "all") == [200, 200, 200, 404]
        assert statuses(simulator, "reader") == [200, 200, 403, 403]
        assert statuses(simulator, "writer") == [403, 403, 200, 404]
        assert statuses(simulator, "neither") == [403, 403, 403, 403]
        assert statuses(simulator, "unknown") == [401, 401, 401, 401]
        simulator.reset()
        assert statuses(simulator, "neither") == [403, 403, 403, 403]


@pytest.mark.parametrize("generation", GENERATIONS)
def test_operations_need_the_scopes_that_the_provider_names(generation: str) -> None:
    operations = load_contract(generation).operations
    assert {operation.id: {operation.scope} for operation in all_operations() if operation.id in operations} == {
        name: {*operation.scopes} for name, operation in operations.items()
    }


@pytest.mark.parametrize("generation", GENERATIONS)
def test_each_operation_needs_its_scope_and_no_other(generation: str) -> None:
    operations = load_contract(generation).operations.values()
    every_scope = {scope for operation in operations for scope in operation.scopes}
    scopes = {f"only {scope}": {scope} for scope in every_scope} | {
        f"all but {scope}": every_scope - {scope} for scope in every_scope
    }
    with Simulator((*scopes,), generation=generation, scopes=scopes, requests_per_minute=None) as simulator:
        for operation in operations:
            [scope] = operation.scopes
            refused = {
                key: httpx.request(
                    operation.method,
                    simulator.url + operation.path,
                    headers={"Authorization": f"Bearer {key}"},
                    trust_env=False,
                ).status_code
                == 403
                for key in (f"only {scope}", f"all but {scope}")
            }
            assert refused == {f"only {scope}": False, f"all but {scope}": True}, operation.id


@pytest.mark.parametrize(
    ("scopes", "problem"),
    [({"other": ["phone:read"]}, "of a key that is not accepted"), ({"test-key": "phone:read"}, "are a list")],
)
def test_simulator_refuses_scopes_that_mean_nothing(scopes: dict[str, list[str]], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Simulator(scopes=scopes)


def test_command_line_takes_scopes() -> None:
    command = [sys.executable, "-m", "airflow_provider_opencx.simulator", "--port", "0", "--api-key", "k=1"]
    process = subprocess.Popen([*command, "--scopes", "k=1=phone:read"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = next(word for word in process.stdout.readline().split() if word.startswith("http://"))
        headers = {"Authorization": "Bearer k=1"}
        assert httpx.get(f"{url}/phone", headers=headers, trust_env=False).status_code == 200
        assert httpx.post(f"{url}/phone", json={"name": "a"}, headers=headers, trust_env=False).status_code == 403
    finally:
        process.kill()
        process.communicate()
    for wrong in ("phone:read", "other=phone:read"):
        done = subprocess.run([*command, "--scopes", wrong], capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert "scopes" in done.stderr
