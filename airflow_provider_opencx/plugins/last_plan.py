"""Reads the last plan for a connection from the XCom of a task. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from pydantic import JsonValue

from airflow_provider_opencx.reconciliation.organization import Organization


@dataclass(frozen=True)
class TaskOfPlan:
    """The task that made a plan.

    :param dag_id: its Dag.
    :param run_id: the run.
    :param task_id: the task.
    :param map_index: its index, where it is mapped; otherwise -1.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1


@dataclass(frozen=True)
class PlannedAgent:
    """The plan for one agent.

    :param name: its declared name.
    :param id: its id, ``None`` if it was yet to be created, or the plan was refused.
    :param action: ``create``, ``update``, ``unchanged`` or ``refuse``.
    :param wanted: the declared values of the fields that were to be changed.
    :param phone_number: the number that it had.
    """

    name: str
    id: str | None
    action: str
    wanted: Mapping[str, JsonValue]
    phone_number: str | None = None

    @property
    def writes(self) -> bool:
        """Whether the agent was to be created or changed."""
        return self.action in ("create", "update")


@dataclass(frozen=True)
class LastPlan:
    """A plan of a fleet.

    :param organization: the organization for which it was made.
    :param agents: what was planned for each declared agent.
    :param undeclared_ids: the ids of the agents that were not declared.
    :param ignored: how many more were not declared, and need not be reported.
    :param numbers: the phone numbers that were seen, by the ids of their agents.
    :param task: the task that made it.
    :param made_at: when.
    :param written_at: when a sync had carried it out; ``None`` if it has not, or only planned.
    """

    organization: Organization
    agents: tuple[PlannedAgent, ...]
    undeclared_ids: frozenset[str]
    ignored: int
    numbers: Mapping[str, str]
    task: TaskOfPlan
    made_at: datetime
    written_at: datetime | None = None

    @classmethod
    def of_xcom(
        cls, value: object, task: TaskOfPlan, made_at: datetime, written_at: datetime | None = None
    ) -> Self | None:
        """Return the plan that an XCom holds, ``None`` if it holds none: a custom backend keeps what it likes.

        :param value: the XCom as it lies in the database.
        """
        plan = plain_value(value)
        if not isinstance(plan, dict) or not {"base_url", "connection", "agents", "undeclared"} <= plan.keys():
            return None
        entries = [entry for entry in _mappings(plan["agents"]) if isinstance(entry.get("name"), str)]
        agents = tuple(map(_planned_agent, entries))
        ignored = plan.get("ignored")
        return cls(
            organization=Organization.of_plan(plan),
            agents=agents,
            undeclared_ids=frozenset(str(entry.get("id")) for entry in _mappings(plan["undeclared"])),
            ignored=ignored if isinstance(ignored, int) else 0,
            numbers={
                **{agent.id: agent.phone_number for agent in agents if agent.id and agent.phone_number},
                **{str(lost.get("id")): str(lost.get("phone_number")) for lost in _mappings(plan.get("lost_numbers"))},
            },
            task=task,
            made_at=made_at,
            written_at=written_at,
        )

    def is_for(self, here: Organization) -> bool:
        """Return whether the plan is about the agents of a connection.

        :param here: the organization as the connection shows it now; the id is not known where there are no agents.
        """
        if self.organization.base_url != here.base_url:
            return False
        if self.organization.org_id is None or here.org_id is None:
            return self.organization.connection == here.connection
        return self.organization.org_id == here.org_id


def plain_value(value: object) -> object:
    """Return what an XCom holds as plain JSON: Airflow keeps it as JSON, or as a text that is JSON."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):  # brackets in brackets, thousands of them
            return value
    return value


def _planned_agent(entry: Mapping[str, JsonValue]) -> PlannedAgent:
    number = entry.get("phone_number")
    agent_id = entry.get("id")
    return PlannedAgent(
        name=str(entry["name"]),
        id=agent_id if isinstance(agent_id, str) else None,
        action=str(entry.get("action")),
        wanted={str(change.get("field")): change.get("wanted") for change in _mappings(entry.get("changes"))},
        phone_number=number if isinstance(number, str) and number.strip() else None,
    )


def _mappings(value: JsonValue) -> list[dict[str, JsonValue]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
