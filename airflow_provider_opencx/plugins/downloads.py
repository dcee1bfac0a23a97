"""Writes the tables of the page as JSON and as CSV. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from pydantic import JsonValue

from airflow_provider_opencx.plugins.csv_text import csv_text
from airflow_provider_opencx.plugins.drift import Drift, Verdict
from airflow_provider_opencx.plugins.last_plan import LastPlan, TaskOfPlan
from airflow_provider_opencx.plugins.rows import Number, Row
from airflow_provider_opencx.plugins.shown_sequences import ShownSequence

AGENT_COLUMNS: Final = tuple(Row(None, None, None, (), Number.NONE, None, None, None, Verdict(Drift.UNKNOWN)).as_dict())
"""The columns of the table of agents, which are the keys of an agent in the JSON."""

SEQUENCE_COLUMNS: Final = (
    *("sequence_id", "custom_id", "name", "status", "started_at", "canceled_at", "ended_at", "seen_at"),
    *("step", "action", "delay_in_minutes", "step_started_at", "step_ended_at"),
)
"""The columns of the table of sequences, which has a row for each step."""


def agents_json(
    conn_id: str, rows: Sequence[Row], plan: LastPlan | None, read_at: datetime | None, *, are_masked: bool
) -> str:
    """Return the agents as JSON.

    :param conn_id: the connection.
    :param rows: those that are asked for, of all pages.
    :param plan: the plan with which they are compared.
    :param read_at: when they were read.
    :param are_masked: whether their phone numbers are masked.
    """
    body: dict[str, JsonValue] = {
        "connection_id": conn_id,
        "read_at": None if read_at is None else read_at.isoformat(),
        "plan": None if plan is None else {**_task(plan.task), "made_at": plan.made_at.isoformat()},
        "phone_numbers_masked": are_masked,
        "total": len(rows),
        "agents": [row.as_dict() for row in rows],
    }
    return json.dumps(body, indent=2)


def agents_csv(rows: Iterable[Row]) -> str:
    """Return the agents as CSV; lists are words with a blank between them."""
    return csv_text(AGENT_COLUMNS, ([_cell(value) for value in row.as_dict().values()] for row in rows))


def sequences_json(conn_id: str, sequences: Iterable[ShownSequence]) -> str:
    """Return the sequences as JSON, with their steps."""
    shown: list[JsonValue] = [{**each.as_dict(), **_task(each.task)} for each in sequences]
    return json.dumps({"connection_id": conn_id, "total": len(shown), "sequences": shown}, indent=2)


def sequences_csv(sequences: Iterable[ShownSequence]) -> str:
    """Return the sequences as CSV: a row for each step, and one for a sequence without steps."""
    rows: list[list[str | None]] = []
    for each in sequences:
        fields = each.as_dict()
        own = [fields["id"], *(fields[name] for name in SEQUENCE_COLUMNS[1:8])]
        steps = [[str(step.number), step.action, step.delay, step.started_at, step.ended_at] for step in each.steps]
        rows.extend([*map(_cell, own), *step] for step in steps or [[None] * 5])
    return csv_text(SEQUENCE_COLUMNS, rows)


def _task(task: TaskOfPlan | None) -> Mapping[str, JsonValue]:
    return {} if task is None else dict(vars(task))


def _cell(value: JsonValue) -> str | None:
    if isinstance(value, list):
        return " ".join(map(str, value))
    return None if value is None else str(value)
