"""The work of this provider's operators, done with ``HttpOperator`` as a user of it would write it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from airflow.providers.http.operators.http import HttpOperator
from requests import Response


def list_agents() -> HttpOperator:
    """Return a task that lists all agents."""
    return HttpOperator(task_id="list", method="GET", endpoint="phone", response_filter=Response.json)


def find_agent(name: str) -> HttpOperator:
    """Return a task that finds one agent by its name: the API has no other way to read one."""

    def found(response: Response) -> dict[str, Any]:
        agent: dict[str, Any] = next(agent for agent in response.json() if agent["name"] == name)
        return agent

    return HttpOperator(task_id="find", method="GET", endpoint="phone", response_filter=found)


def change_agent(agent_id: str, changes: Mapping[str, object]) -> HttpOperator:
    """Return a task that changes one agent."""
    return HttpOperator(
        task_id="change",
        method="PATCH",
        endpoint=f"phone/{agent_id}",
        headers={"Content-Type": "application/json"},
        data=json.dumps(changes),
        response_filter=Response.json,
    )


def differences(declared: Mapping[str, object], agent: Mapping[str, object]) -> dict[str, object]:
    """Return the declared fields that an agent has otherwise."""
    return {field: value for field, value in declared.items() if agent[field] != value}
