"""A fleet: many declarations, one plan. Pure; sends nothing.

The plan is shown to people in words, and handed from task to task as plain JSON.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar

from pydantic import JsonValue

from airflow_provider_opencx.exceptions import OpenCXDriftError, OpenCXNearNameError, OpenCXPlanRefusedError
from airflow_provider_opencx.normalization import normalize_name
from airflow_provider_opencx.phone_agents.names import NearNames, difference_of, name_fits
from airflow_provider_opencx.phone_agents.numbers import LostNumber, lost_numbers, numbers_seen
from airflow_provider_opencx.phone_agents.plan import (
    PhoneAgents,
    Plan,
    comparable_form,
    declared_id,
    names_of,
    plan_upsert,
)
from airflow_provider_opencx.phone_agents.plan_words import document_of
from airflow_provider_opencx.phone_agents.renames import PossibleRename, possible_renames
from airflow_provider_opencx.reconciliation.organization import Organization
from airflow_provider_opencx.reconciliation.plan_document import Document
from airflow_provider_opencx.reconciliation.plans import Create, Refuse
from airflow_provider_opencx.reconciliation.step import Step, sharing_an_item
from airflow_provider_opencx.reconciliation.sync_plan import MOST_NAMED, SyncPlan, Words
from airflow_provider_opencx.resources.phone_agents import PhoneAgent, PhoneAgentChanges, PhoneAgentSpec
from airflow_provider_opencx.text import listed
from airflow_provider_opencx.visible_text import identifier, in_quotes


@dataclass(frozen=True)
class FleetStep(Step[PhoneAgentSpec, PhoneAgent, PhoneAgentChanges, PhoneAgents]):
    """One agent of a fleet: its declaration, and the plan for it.

    :param spec: the declaration.
    :param plan: the plan.
    :param allow_near_name: whether the agent may be created beside another whose name is near.
    :param near_declared: the names of the fleet that are near, and yet to be created as well.
    """

    named_by: ClassVar[str] = "name"

    allow_near_name: bool = False
    near_declared: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The declared name."""
        return self.spec.agent_name

    def plan_from(self, items: PhoneAgents) -> Plan:
        """Return the plan for the agent from another list."""
        return plan_upsert(self.spec, items, allow_near_name=self.allow_near_name)

    def planned_from(self, items: PhoneAgents) -> FleetStep:
        """Return this step with its plan from another list, which says nothing of the other declared names."""
        return replace(self, plan=self.plan_from(items), near_declared=())

    def comparable_form(self, field: str, value: JsonValue) -> JsonValue:
        """Return the form of a field's value that is the same for all values of one meaning."""
        return comparable_form(field, value)

    def as_dict(self) -> dict[str, JsonValue]:
        """Return the step as plain JSON."""
        phone_number = None if self.item is None else self.item.phone_number
        return {**super().as_dict(), "phone_number": phone_number, "near": self._near()}

    def is_approved_by(self, approved: Mapping[str, JsonValue] | None) -> bool:
        """Return whether this step matches the approval, near names included, or has nothing left to do."""
        if not super().is_approved_by(approved):
            return False
        is_done = self.item_id is not None and not self.drift
        return is_done or not _names_in(self._near()) - _names_in((approved or {}).get("near"))

    def _near(self) -> list[JsonValue]:
        agents = self.plan.near if isinstance(self.plan, Create) else ()
        near = [*((agent.id, agent.name) for agent in agents), *((None, name) for name in self.near_declared)]
        return [{"id": agent_id, "name": name} for agent_id, name in near]


@dataclass
class FleetPlan(SyncPlan[PhoneAgentSpec, PhoneAgent, PhoneAgentChanges, PhoneAgents]):
    """A plan for a fleet.

    :param steps: one for each declared agent, in the declared order.
    :param undeclared: agents that exist and are not declared: they are reported, and never touched.
    :param organization: the organization for which it was made.
    :param ignored: the number of agents that are not declared, and need not be reported.
    :param names: the names of what agents refer to by id, as far as they were listed, by ids.
    :param warnings: what a person should know of what the declarations name, in sentences.
    :param known_numbers: the phone numbers that were seen before, by the ids of their agents.
    :param items: the list of agents from which it was made. Before a create, the list is read again.
    """

    words: ClassVar[Words] = Words(
        "agent", "the fleet", "OpenCXPlanPhoneAgentsOperator", "OpenCXSyncPhoneAgentsOperator"
    )
    entries_key: ClassVar[str] = "agents"
    named_by: ClassVar[str] = "name"

    steps: tuple[FleetStep, ...]
    undeclared: tuple[PhoneAgent, ...] = ()
    organization: Organization = field(default_factory=Organization)
    ignored: int = 0
    known_numbers: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    items: PhoneAgents = field(default_factory=lambda: PhoneAgents([]), compare=False, repr=False)

    @classmethod
    def normalized_name(cls, name: str) -> str:
        """Return the form of a name in which two are compared."""
        return normalize_name(name)

    @property
    def summary(self) -> str:
        """The plan in a sentence."""
        ignored = f", {self.ignored} ignored" if self.ignored else ""
        return f"{self.counts}; {len(self.undeclared)} not declared and left alone{ignored}."

    @cached_property
    def possible_renames(self) -> tuple[PossibleRename, ...]:
        """The agents that would be created, and may be undeclared ones under another name.

        An undeclared agent for whose sake a declaration is refused is none of them.
        """
        created = [step.spec.agent_name for step in self.steps if isinstance(step.plan, Create)]
        refused = [step.spec.agent_name for step in self.steps if isinstance(step.plan, Refuse)]
        near = {agent.id for name in refused for agent in self.items.near(name)}
        return possible_renames(created, [agent for agent in self.undeclared if agent.id not in near])

    @property
    def lost_numbers(self) -> tuple[LostNumber, ...]:
        """The agents of the fleet that had a phone number before, and have none now, or another one."""
        return lost_numbers(self.declared_items, self.known_numbers)

    @property
    def numbers_seen(self) -> dict[str, str]:
        """The phone numbers to compare with next time, by the ids of their agents.

        Those of agents that are refused in this plan are among them: one that cannot be read now may be read next time.
        """
        declared = {agent.id for agent in self.declared_items}
        agents = [agent for agent in self.items if agent.id in declared or agent.id in self.known_numbers]
        return numbers_seen(agents, self.known_numbers)

    @cached_property
    def document(self) -> Document:
        """The plan as people read it: what needs attention first; of long values a part, and a count of the rest."""
        return document_of(self)

    def as_dict(self) -> dict[str, JsonValue]:
        """Return the plan as plain JSON: what the plan operator returns, and what can be approved."""
        return {
            **self.organization.as_dict(),
            "agents": [step.as_dict() for step in self.steps],
            "undeclared": [{"id": agent.id, "name": agent.name} for agent in self.undeclared],
            "ignored": self.ignored,
            "possible_renames": [
                {"name": pair.name, "id": pair.agent.id, "current_name": pair.agent.name}
                for pair in self.possible_renames
            ],
            "lost_numbers": [
                {"id": lost.agent.id, "name": lost.agent.name, "phone_number": lost.number}
                for lost in self.lost_numbers
            ],
            "warnings": [*self.warnings],
            "changes": self.changes,
            "summary": self.summary,
            "markdown": self.markdown,
        }

    def _more_drift(self) -> list[str]:
        """Return which agents have lost their phone numbers."""
        lost = self.lost_numbers
        if not lost:
            return []
        gone = listed([*map(str, lost)], MOST_NAMED, separator="; ", more="; and {} more")
        return [
            f"{len(lost)} of {len(self.steps)} agents have lost their phone numbers: {gone}. No declaration brings"
            " a number back: ask the support of OpenCX, and inform the people who call it."
        ]

    def _drift_error(self, message: str, changes: Mapping[str, Sequence[str]]) -> OpenCXDriftError:
        lost = {each.agent.id: each.number for each in self.lost_numbers}
        return OpenCXDriftError(message, changes=changes, lost_numbers=lost)


def plan_fleet(
    specs: Sequence[PhoneAgentSpec],
    agents: PhoneAgents,
    organization: Organization | None = None,
    *,
    allow_near_name: bool = False,
    ignore: Sequence[str] = (),
) -> FleetPlan:
    """Plan for exactly one agent of each declared name, as declared.

    :param specs: the declarations, as ``parse_fleet`` returns them.
    :param agents: all agents that exist.
    :param organization: the organization whose agents they are; its id is the one that they show.
    :param allow_near_name: whether an agent may be created beside another, of the fleet or not, whose name is near.
    :param ignore: names, or globs such as ``"Test *"``, of undeclared agents that need not be reported.
    """
    steps = [_step(spec, agents, allow_near_name) for spec in specs]
    undeclared = _undeclared(steps, agents)
    reported = [agent for agent in undeclared if not name_fits(agent.name, ignore)]
    return FleetPlan(
        steps=tuple(_with_near_declared(_with_one_step_an_agent(steps))),
        undeclared=tuple(reported),
        organization=replace(organization or Organization(), org_id=agents.org_id),
        ignored=len(undeclared) - len(reported),
        items=agents,
    )


def _undeclared(steps: Sequence[FleetStep], agents: PhoneAgents) -> list[PhoneAgent]:
    """Return the agents that no declaration is about, as far as that is known."""
    ids = {step.item_id or declared_id(step.spec) for step in steps}
    names = {normalize_name(name) for step in steps if step.item_id is None for name in names_of(step.spec)}
    return [agent for agent in agents if agent.id not in ids and normalize_name(agent.name or "") not in names]


def _with_one_step_an_agent(steps: Sequence[FleetStep]) -> list[FleetStep]:
    """Refuse the declarations that are about one and the same agent, by its id and by its name for example."""
    return [
        replace(step, plan=_refuse_one_agent_declared_twice(step, others)) if others else step
        for step, others in zip(steps, sharing_an_item(steps), strict=True)
    ]


def _refuse_one_agent_declared_twice(step: FleetStep, steps: Sequence[FleetStep]) -> Refuse:
    names = listed([in_quotes(each.spec.agent_name) for each in steps], separator=" and ")
    return Refuse(
        OpenCXPlanRefusedError(
            f"{names} are declarations of one agent, {identifier(step.item_id or '')}: by its id, its name or its"
            " previous name. Nothing was sent. Declare it once; to give its old name to another agent, rename it in one"
            " run, and declare the other in the next.",
            agent_ids=[step.item_id or ""],
        )
    )


def _step(spec: PhoneAgentSpec, agents: PhoneAgents, allow_near_name: bool) -> FleetStep:
    return FleetStep(spec, plan_upsert(spec, agents, allow_near_name=allow_near_name), allow_near_name)


def _with_near_declared(steps: Sequence[FleetStep]) -> Iterator[FleetStep]:
    """Look for names of a fleet that are near each other, and are all to be created: they are refused, or allowed."""
    names = NearNames((step.spec.agent_name,) * 2 for step in steps if isinstance(step.plan, Create))
    for step in steps:
        near = tuple(names.of(step.spec.agent_name)) if isinstance(step.plan, Create) else ()
        if not near or step.allow_near_name:
            yield replace(step, near_declared=near)
        else:
            yield replace(step, plan=_refuse_near_declaration(step.spec.agent_name, near[0]))


def _refuse_near_declaration(name: str, other: str) -> Refuse:
    return Refuse(
        OpenCXNearNameError(
            f"{in_quotes(name)} and {in_quotes(other)} are both declared, and differ only in"
            f" {difference_of(name, other)}. So neither is created. If they are one agent, declare it once; if they are"
            " two, allow it with allow_near_name."
        )
    )


def _names_in(agents: object) -> set[str]:
    entries = agents if isinstance(agents, list) else []
    return {normalize_name(str(entry.get("name"))) for entry in entries if isinstance(entry, Mapping)}
