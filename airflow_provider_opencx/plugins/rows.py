"""The rows of the page: agents with their plan, filtered and sorted by the query string. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Self, TypeAlias

from pydantic import JsonValue

from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.phone_agents.numbers import lost_numbers
from airflow_provider_opencx.phone_agents.plan import has_number
from airflow_provider_opencx.plugins.drift import Drift, Verdict, judge
from airflow_provider_opencx.plugins.last_plan import LastPlan, PlannedAgent
from airflow_provider_opencx.resources.phone_agents import PhoneAgent
from airflow_provider_opencx.resources.times import time_in
from airflow_provider_opencx.visible_text import in_quotes

PAGE_SIZE: Final = 100
"""Rows of one page."""


class Number(StrEnum):
    """Whether an agent has its phone number; the values are those of the query string and of the downloads."""

    HAS = "has"
    WAITING = "waiting"
    LOST = "lost"
    NONE = "none"


@dataclass(frozen=True)
class Row:
    """One row: an agent, or one that was planned and does not exist.

    :param id: its id, ``None`` if it does not exist.
    :param name: its name.
    :param type: ``inbound``, ``outbound``, or what else the service says.
    :param languages: codes of its languages.
    :param number: whether it has its phone number.
    :param phone_number: the number, as far as there is one.
    :param created_at: when it was created, as far as the service says.
    :param updated_at: when it was changed last, as far as the service says.
    :param verdict: how it differs from the last plan.
    :param unreadable: the fields that cannot be read.
    """

    id: str | None
    name: str | None
    type: str | None
    languages: tuple[str, ...]
    number: Number
    phone_number: str | None
    created_at: datetime | None
    updated_at: datetime | None
    verdict: Verdict
    unreadable: tuple[str, ...] = ()

    @property
    def last_change(self) -> datetime | None:
        """When it was changed last, or created."""
        return self.updated_at or self.created_at

    def as_dict(self) -> dict[str, JsonValue]:
        """Return the row as plain JSON, with the service's names of fields."""
        return {
            "id": self.id,
            "name": self.name,
            "type": self.type,
            "language": [*self.languages],
            "phone_number": self.phone_number,
            "number": self.number.value,
            "created_at": _iso(self.created_at),
            "updated_at": _iso(self.updated_at),
            "drift": self.verdict.drift.value,
            "drift_fields": [*self.verdict.fields],
        }


def rows_of(agents: Sequence[PhoneAgent], plan: LastPlan | None, unreadable: int = 0) -> list[Row]:
    """Return a row for each agent, and for each that was planned and does not exist.

    :param agents: all agents of the organization that can be read.
    :param plan: the last plan for it, ``None`` if there is none.
    :param unreadable: how many more cannot be read.
    """
    judged = judge(agents, plan, unreadable)
    lost = {each.agent.id for each in lost_numbers(agents, plan.numbers if plan else {})}
    shown = [_row(agent, judged.verdicts[agent.id], agent.id in lost) for agent in agents]
    missing = [_missing_row(planned, Drift.MISSING) for planned in judged.missing]
    return [*shown, *missing, *(_missing_row(planned, Drift.UNKNOWN) for planned in judged.unseen)]


def _row(agent: PhoneAgent, verdict: Verdict, is_lost: bool) -> Row:
    if "phone_number" in agent.unreadable:
        number = Number.NONE
    else:
        number = Number.LOST if is_lost else Number.HAS if has_number(agent) else Number.WAITING
    return Row(
        id=agent.id,
        name=agent.name,
        type=agent.type,
        languages=tuple(agent.language),
        number=number,
        phone_number=agent.phone_number if has_number(agent) else None,
        created_at=time_in(agent.created_at),
        updated_at=time_in(agent.updated_at),
        verdict=verdict,
        unreadable=tuple(agent.unreadable),
    )


def _missing_row(planned: PlannedAgent, drift: Drift) -> Row:
    return Row(planned.id, planned.name, None, (), Number.NONE, None, None, None, Verdict(drift))


def masked(rows: Iterable[Row]) -> list[Row]:
    """Return rows for those who may not edit the connection: of each phone number the last two digits."""
    return [replace(row, phone_number=masked_number(row.phone_number)) for row in rows]


def masked_number(number: str | None) -> str | None:
    """Return a phone number with only its last two digits."""
    return None if number is None else f"•••••••{re.sub(r'[^0-9]', '', number)[-2:]}"


Key: TypeAlias = Callable[[Row], Any]

_DRIFT_ORDER: Final = {drift: place for place, drift in enumerate(Drift)}
_NUMBER_ORDER: Final = {number: place for place, number in enumerate((Number.LOST, Number.WAITING, Number.HAS))}

SORT_KEYS: Final[Mapping[str, Key]] = {
    "name": lambda row: None if row.name is None else (row.name.casefold(), row.name),
    "id": lambda row: row.id,
    "type": lambda row: row.type,
    "language": lambda row: row.languages or None,
    # Never sort by the digits: a user who sees a masked number could infer it from its neighbors.
    "number": lambda row: _NUMBER_ORDER.get(row.number),
    "last_change": lambda row: row.last_change,
    "drift": lambda row: _DRIFT_ORDER[row.verdict.drift],
}
"""By what rows are sorted."""


@dataclass(frozen=True)
class Query:
    """Which rows are shown, and in which order.

    :param sort: one of :data:`SORT_KEYS`, after a minus sign from the last to the first. Default ``name``.
    :param q: a part of the name or of the id, in any letter case.
    :param name: the name, as a whole.
    :param agent_id: the id, as a whole.
    :param type: the type.
    :param number: whether it has its number.
    :param drift: how it differs from the last plan.
    :param page: the page, from 1.
    """

    sort: str = "name"
    q: str = ""
    name: str = ""
    agent_id: str = ""
    type: str = ""
    number: str = ""
    drift: str = ""
    page: int = 1

    @classmethod
    def parse(cls, parameters: Mapping[str, str]) -> Self:
        """Return the query that a query string says. Parameters that it does not know make no difference.

        :raises OpenCXArgumentError: naming a parameter whose value is none, and what it may be.
        """
        given = {name: parameters.get(name, "").strip() for name in ("q", "name", "agent_id", "type")}
        page = parameters.get("page", "") or "1"
        if not (page.isascii() and page.isdigit() and 0 < len(page) < 7 and int(page) > 0):
            raise OpenCXArgumentError(f"page: must be a whole number from 1, and is {in_quotes(page)}.")
        sort = parameters.get("sort", "") or "name"
        _check_choice("sort", sort.removeprefix("-"), [*SORT_KEYS])
        number, drift = parameters.get("number", ""), parameters.get("drift", "")
        _check_choice("number", number, ["", *map(str, Number)])
        _check_choice("drift", drift, ["", *map(str, Drift)])
        return cls(sort=sort, number=number, drift=drift, page=int(page), **given)

    @property
    def is_filtered(self) -> bool:
        """Whether not all rows are shown."""
        return any((self.q, self.name, self.agent_id, self.type, self.number, self.drift))

    def parameters(self, **changes: object) -> dict[str, str]:
        """Return the parameters of a query string, without those that have their defaults.

        :param changes: what is otherwise than here.
        """
        default = type(self)()
        values = {**vars(self), **changes}
        return {name: str(value) for name, value in values.items() if value != getattr(default, name)}

    def apply(self, rows: Iterable[Row]) -> list[Row]:
        """Return the rows that are asked for, in their order, of all pages."""
        return sorted_rows([row for row in rows if self._fits(row)], self.sort)

    def _fits(self, row: Row) -> bool:
        part = self.q.casefold()
        return (
            (not part or part in (row.name or "").casefold() or part in (row.id or "").casefold())
            and self.name in ("", row.name)
            and self.agent_id in ("", row.id)
            and self.type in ("", row.type)
            and self.number in ("", row.number)
            and self.drift in ("", row.verdict.drift)
        )


def sorted_rows(rows: Sequence[Row], sort: str) -> list[Row]:
    """Return rows in an order; what they are sorted by comes last where it is not known, in both directions.

    :param sort: one of :data:`SORT_KEYS`, after a minus sign from the last to the first.
    """
    key = SORT_KEYS[sort.removeprefix("-")]
    by_name = SORT_KEYS["name"]
    known = [row for row in rows if key(row) is not None]
    unknown = [row for row in rows if key(row) is None]
    for part in (known, unknown):
        part.sort(key=lambda row: (row.name is None, by_name(row) or (), row.id or ""))
    known.sort(key=key, reverse=sort.startswith("-"))
    return [*known, *unknown]


def page_of(rows: Sequence[Row], page: int) -> tuple[Sequence[Row], int]:
    """Return the rows of a page, and how many pages there are, at least one; after the last there are no rows."""
    start = (page - 1) * PAGE_SIZE
    return rows[start : start + PAGE_SIZE], max(1, -(-len(rows) // PAGE_SIZE))


def _check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        allowed = ", ".join(choice for choice in choices if choice)
        raise OpenCXArgumentError(f"{name}: must be one of {allowed}, and is {in_quotes(value)}.")


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()
