"""Compares agents with the last plan for them. Pure.

A plan says what was to be done for each declared agent, and not what is declared: fields that were as declared are not
in it. So an agent that was changed since is known only by its time of change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import JsonValue

from airflow_provider_opencx.normalization import normalize_name
from airflow_provider_opencx.phone_agents.plan import comparable_form, has_number
from airflow_provider_opencx.plugins.last_plan import LastPlan, PlannedAgent
from airflow_provider_opencx.reconciliation.plans import equal
from airflow_provider_opencx.resources.phone_agents import SERVICE_CHOOSES, PhoneAgent
from airflow_provider_opencx.resources.times import time_in

CLOCKS_DIFFER = timedelta(minutes=1)
"""By how much the clocks of the service and of Airflow may differ: a change is later than a plan only beyond it."""


class Drift(StrEnum):
    """How an agent differs from the last plan; the values are those of the query string and of the downloads."""

    DIFFERS = "differs"
    MISSING = "missing"
    CHANGED = "changed_since"
    REFUSED = "refused"
    NOT_DECLARED = "not_declared"
    IGNORED = "ignored"
    UNKNOWN = "unknown"
    AS_PLANNED = "as_planned"


WORDS: Mapping[Drift, str] = {
    Drift.DIFFERS: "differs",
    Drift.MISSING: "declared, does not exist",
    Drift.CHANGED: "changed since the plan",
    Drift.REFUSED: "refused by the plan",
    Drift.NOT_DECLARED: "not declared",
    Drift.IGNORED: "ignored by the plan",
    Drift.UNKNOWN: "not known",
    Drift.AS_PLANNED: "as planned",
}
"""The words of the page."""


@dataclass(frozen=True)
class Verdict:
    """How one agent differs from the last plan.

    :param drift: how.
    :param fields: the fields in which it differs, or which cannot be read. Never their values, which may be secret.
    """

    drift: Drift
    fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class Judged:
    """All agents, compared with the last plan.

    :param verdicts: how each agent differs, by its id.
    :param missing: what was planned, and no agent is.
    :param unseen: what was planned, and may be among what cannot be read.
    """

    verdicts: Mapping[str, Verdict]
    missing: tuple[PlannedAgent, ...] = ()
    unseen: tuple[PlannedAgent, ...] = ()


def judge(agents: Iterable[PhoneAgent], plan: LastPlan | None, unreadable: int = 0) -> Judged:
    """Compare agents with a plan.

    :param agents: all agents of the organization that can be read.
    :param plan: the last plan for it, ``None`` if there is none.
    :param unreadable: how many more cannot be read. Then nothing is known to be missing.
    """
    agents = list(agents)
    if plan is None:
        return Judged({agent.id: Verdict(Drift.UNKNOWN) for agent in agents})
    ids = {agent.id for agent in agents}
    by_id = {planned.id: planned for planned in plan.agents if planned.id in ids}
    by_name = {normalize_name(planned.name): planned for planned in plan.agents if planned.id not in ids}
    verdicts: dict[str, Verdict] = {}
    found: set[str] = set()
    for agent in agents:
        planned = by_id.get(agent.id) or by_name.get(normalize_name(agent.name or ""))
        if planned is None:
            verdicts[agent.id] = _undeclared(agent, plan)
        else:
            found.add(planned.name)
            verdicts[agent.id] = _declared(agent, planned, plan)
    missing = [planned for planned in plan.agents if planned.name not in found and planned.action != "refuse"]
    is_unnamed = any(agent.name is None for agent in agents)
    unseen = [planned for planned in missing if unreadable or (planned.id is None and is_unnamed)]
    return Judged(verdicts, tuple(each for each in missing if each not in unseen), tuple(unseen))


def _undeclared(agent: PhoneAgent, plan: LastPlan) -> Verdict:
    was_there = agent.id not in plan.undeclared_ids and plan.ignored > 0
    is_new = _is_later(time_in(agent.created_at), plan.made_at)
    return Verdict(Drift.IGNORED if was_there and not is_new else Drift.NOT_DECLARED)


def _declared(agent: PhoneAgent, planned: PlannedAgent, plan: LastPlan) -> Verdict:
    if planned.action == "refuse":
        return Verdict(Drift.REFUSED)
    unreadable = tuple(field for field in planned.wanted if field in agent.unreadable)
    if unreadable:
        return Verdict(Drift.UNKNOWN, unreadable)
    differing = tuple(field for field, wanted in planned.wanted.items() if _differs(agent, field, wanted))
    if differing:
        return Verdict(Drift.DIFFERS, differing)
    return Verdict(_since(agent, planned, plan))


def _differs(agent: PhoneAgent, field: str, wanted: JsonValue) -> bool:
    if wanted is None and field in SERVICE_CHOOSES:
        return False
    return not equal(comparable_form(field, wanted), comparable_form(field, agent.field(field)))


def _since(agent: PhoneAgent, planned: PlannedAgent, plan: LastPlan) -> Drift:
    """Return whether an agent that is as the plan wanted it was changed since."""
    if planned.id is not None and planned.id != agent.id:
        return Drift.CHANGED  # another agent has the name
    changed_at = time_in(agent.updated_at)
    if changed_at is None:
        return Drift.UNKNOWN
    is_written = planned.writes and plan.written_at is not None
    if not _is_later(changed_at, plan.written_at if is_written else plan.made_at):
        return Drift.AS_PLANNED
    # Applying the plan, and a new number, are changes, too: the time of change does not show the cause.
    is_expected = (planned.writes and not is_written) or (planned.phone_number is None and has_number(agent))
    return Drift.UNKNOWN if is_expected else Drift.CHANGED


def _is_later(time: datetime | None, than: datetime | None) -> bool:
    return time is not None and than is not None and time > than + CLOCKS_DIFFER
