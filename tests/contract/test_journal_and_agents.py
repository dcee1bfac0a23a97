"""Tests how tests read the simulator's journal, and change agents without a request."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from airflow_provider_opencx.simulator import Simulator
from airflow_provider_opencx.simulator.contract import ContractError

KEY = "a-key-that-nobody-may-see"
OTHER_KEY = "a-key-of-somebody-else"


def test_journal_counts_and_records(simulator: Simulator, client: Any) -> None:
    agent = client.create("Support")
    client.patch(f"/phone/{agent['id']}", json={"name": "Sales"})
    client.patch("/phone/nobody", content="{")
    client.get("/phone", params={"cursor": "x"})
    client.get("/phone")
    assert simulator.count("listPhoneAgents") == 2
    assert [
        (record.operation, record.method, record.path, record.body, record.status) for record in simulator.writes
    ] == [
        ("createPhoneAgent", "POST", "/phone", {"name": "Support"}, 200),
        ("updatePhoneAgent", "PATCH", f"/phone/{agent['id']}", {"name": "Sales"}, 200),
        ("updatePhoneAgent", "PATCH", "/phone/nobody", None, 400),
    ]
    assert simulator.requests[3].query == {"cursor": "x"}
    assert simulator.requests[3].headers["user-agent"].startswith("python-httpx")
    simulator.forget_requests()
    assert simulator.requests == []


def test_journal_has_no_key(simulator: Simulator, client: Any) -> None:
    client.create()
    httpx.get(f"{simulator.url}/phone", headers={"Authorization": f"bearer {OTHER_KEY}", "Cookie": KEY})
    shown = repr(simulator.requests) + repr(simulator) + repr(simulator.agents(KEY))
    assert len(simulator.requests) == 2
    assert KEY not in shown
    assert OTHER_KEY not in shown


def test_agents_add_change_and_remove(simulator: Simulator, client: Any) -> None:
    first = simulator.add_agent("First", language=["es"], phone_number="+15550100")
    second = simulator.add_agent("Second")
    assert client.listed() == [first, second]
    changed = simulator.change_agent(str(first["id"]), voice_id=None)
    simulator.remove_agent(str(second["id"]))
    assert client.listed() == [changed]
    assert changed["voice_id"] is None


def test_agents_reject_unknown_fields(simulator: Simulator) -> None:
    with pytest.raises(ValueError, match="colour"):
        simulator.add_agent("x", colour="red")
    with pytest.raises(ContractError, match="oppie-vox-99"):
        simulator.add_agent("x", model="oppie-vox-99")
    agent = simulator.add_agent("y")
    with pytest.raises(ContractError, match="oppie-vox-99"):
        simulator.change_agent(str(agent["id"]), model="oppie-vox-99")
    assert simulator.agents() == [agent]


def test_agents_can_be_many(simulator: Simulator, client: Any) -> None:
    for number in range(2000):
        simulator.add_agent(f"Agent {number}")
    assert len(client.listed()) == 2000
