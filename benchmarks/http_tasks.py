"""Does the work of this provider's operators with ``HttpOperator``, as a user would write it, for comparison."""

from __future__ import annotations

import gzip
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


def extract_conversations(path: str, after: str, before: str) -> HttpOperator:
    """Return a task that writes the conversations of an interval to a file of JSON lines.

    The file is written by the filter of the responses: as the result of the task, all of them would be one XCom.
    """

    def next_page(response: Response) -> dict[str, Any] | None:
        cursor = response.json()["next"]
        return {"data": {"cursor": cursor}} if cursor else None

    def write(responses: Response | list[Response]) -> int:
        # One response comes as it is, several come as a list.
        pages = responses if isinstance(responses, list) else [responses]
        rows = [row for page in pages for row in page.json()["items"]]
        with gzip.open(path, "wt") as lines:
            lines.writelines(f"{json.dumps(row)}\n" for row in rows)
        return len(rows)

    return HttpOperator(
        task_id="extract",
        method="GET",
        endpoint="chat/sessions",
        data={"updated_after": after, "updated_before": before},
        pagination_function=next_page,
        response_filter=write,
    )
