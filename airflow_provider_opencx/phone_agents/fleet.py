"""A fleet: many declarations, one plan. Pure; sends nothing.

The plan is shown to people in words, and handed from task to task as plain JSON.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from typing import cast

from pydantic import JsonValue

from airflow_provider_opencx.exceptions import (
    OpenCXArgumentError,
    OpenCXDriftError,
    OpenCXError,
    OpenCXNearNameError,
    OpenCXPlanChangedError,
    OpenCXPlanRefusedError,
    OpenCXResponseError,
)
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
from airflow_provider_opencx.reconciliation.guards import Guards
from airflow_provider_opencx.reconciliation.organization import Organization
from airflow_provider_opencx.reconciliation.plan_document import Document, to_markdown, to_text
from airflow_provider_opencx.reconciliation.plans import Create, Refuse, Unchanged, Update
from airflow_provider_opencx.resources.phone_agents import (
    PhoneAgent,
    PhoneAgentSpec,
    normalize_name,
)
from airflow_provider_opencx.text import listed
from airflow_provider_opencx.visible_text import identifier, in_quotes

_MOST_NAMED = 20
_PLAN_ANEW = "Make a new plan, and have it approved; in a Dag, start a new run for that."


@dataclass(frozen=True)
class Step:
    """One agent of a fleet: its declaration, and the plan for it.

    :param spec: the declaration.
    :param plan: the plan.
    :param allow_near_name: whether the agent may be created beside another whose name is near.
    :param near_declared: the names of the fleet that are near, and yet to be created as well.
    """

    spec: PhoneAgentSpec
    plan: Plan
    allow_near_name: bool = False
    near_declared: tuple[str, ...] = ()

    @property
    def agent_id(self) -> str | None:
        """The id of the agent, ``None`` if it is yet to be created."""
        return self.plan.item.id if isinstance(self.plan, Update | Unchanged) else None

    @property
    def action(self) -> str:
        """What is done, as people and other tasks read it: ``create``, ``update``, ``unchanged`` or ``refuse``."""
        return self.plan.action

    def as_dict(self) -> dict[str, JsonValue]:
        """Return the step as plain JSON."""
        return {
            "name": self.spec.agent_name,
            "id": self.agent_id,
            "phone_number": self.plan.item.phone_number if isinstance(self.plan, Update | Unchanged) else None,
            "action": self.action,
            "changes": self._changes(),
            "near": self._near(),
            "declaration": self._declaration(),
        }

    def is_approved_by(self, approved: Mapping[str, JsonValue] | None) -> bool:
        """Return whether this step matches the approval, or has nothing left to do.

        :param approved: the same agent's step as JSON, ``None`` if nothing was approved for it.
        """
        if approved is None or approved.get("declaration") != self._declaration():
            return False
        if approved.get("id") not in (None, self.agent_id):
            return False
        if self.agent_id is not None and not self.drift:
            return True
        changes = approved.get("changes")
        known = {*map(_meaning_of, changes)} if isinstance(changes, list) else set()
        if approved.get("action") != self.action or _names_in(self._near()) - _names_in(approved.get("near")):
            return False
        return all(_meaning_of(change) in known for change in self._changes())

    def plan_again(self, agents: PhoneAgents, approved: Mapping[str, JsonValue] | None) -> Plan:
        """Return the plan for the agent from another list of the agents; a refusal, if that was not approved.

        :param approved: the plan that somebody has approved, as JSON; ``None`` if nobody was asked.
        """
        step = _step(self.spec, agents, self.allow_near_name)
        if approved is None or step.is_unreadable or step.is_approved_by(_entries(approved).get(self.spec.agent_name)):
            return step.plan
        return Refuse(_not_approved("Nothing was sent for it", [step], [self.spec.agent_name]))

    @property
    def is_unreadable(self) -> bool:
        """Whether there is no plan because something cannot be read; another try may be able to."""
        return isinstance(self.plan, Refuse) and not self.plan.error.is_permanent

    @property
    def drift(self) -> tuple[str, ...]:
        """The fields in which the agent is not as declared.

        A declared null for which the service chose a value of its own is no drift, although every run sends it again.
        """
        return tuple(
            difference.field
            for difference in self.plan.differences
            if isinstance(self.plan, Create) or not difference.is_left_to_the_service
        )

    def _changes(self) -> list[JsonValue]:
        return [
            {"field": change.field, "actual": change.actual, "wanted": change.wanted}
            for change in self.plan.differences
        ]

    def _near(self) -> list[JsonValue]:
        agents = self.plan.near if isinstance(self.plan, Create) else ()
        near = [*((agent.id, agent.name) for agent in agents), *((None, name) for name in self.near_declared)]
        return [{"id": agent_id, "name": name} for agent_id, name in near]

    def _declaration(self) -> str:
        declared = {field: comparable_form(field, value) for field, value in self.spec.declared_fields.items()}
        return sha256(_canonical(declared).encode()).hexdigest()


@dataclass
class FleetPlan:
    """What is to be done for a fleet.

    :param steps: one for each declared agent, in the declared order.
    :param undeclared: agents that exist and are not declared: they are reported, and never touched.
    :param ignored: the number of agents that are not declared, and need not be reported.
    :param known_numbers: the phone numbers that were seen before, by the ids of their agents.
    :param organization: the organization for which it was made.
    :param agents: the list of agents from which it was made. Before a create, the list is read again.
    """

    steps: tuple[Step, ...]
    undeclared: tuple[PhoneAgent, ...] = ()
    organization: Organization = field(default_factory=Organization)
    ignored: int = 0
    known_numbers: Mapping[str, str] = field(default_factory=dict)
    agents: PhoneAgents = field(default_factory=lambda: PhoneAgents([]), compare=False, repr=False)

    @property
    def refused(self) -> int:
        """The number of agents that cannot be as declared."""
        return sum(isinstance(step.plan, Refuse) for step in self.steps)

    @property
    def refusals(self) -> list[OpenCXError]:
        """Why agents cannot be as declared, those left out of which another try may be able to read what it needs."""
        return [step.plan.error for step in self.steps if isinstance(step.plan, Refuse) and not step.is_unreadable]

    @property
    def summary(self) -> str:
        """The plan in a sentence."""
        actions = Counter(step.action for step in self.steps)
        refused = f", {self.refused} refused" if self.refused else ""
        ignored = f", {self.ignored} ignored" if self.ignored else ""
        return (
            f"{actions['create']} to create, {actions['update']} to update, {actions['unchanged']} unchanged{refused};"
            f" {len(self.undeclared)} not declared and left alone{ignored}."
        )

    @property
    def changes(self) -> int:
        """The number of writes."""
        return sum(step.plan.writes for step in self.steps)

    @cached_property
    def possible_renames(self) -> tuple[PossibleRename, ...]:
        """The agents that would be created, and may be undeclared ones under another name."""
        created = [step.spec.agent_name for step in self.steps if isinstance(step.plan, Create)]
        return possible_renames(created, self.undeclared)

    @property
    def declared_agents(self) -> list[PhoneAgent]:
        """The agents of the fleet that exist, as they are."""
        return [step.plan.item for step in self.steps if isinstance(step.plan, Update | Unchanged)]

    @property
    def lost_numbers(self) -> tuple[LostNumber, ...]:
        """The agents of the fleet that had a phone number before, and have none now, or another one."""
        return lost_numbers(self.declared_agents, self.known_numbers)

    @property
    def numbers_seen(self) -> dict[str, str]:
        """The phone numbers to compare with next time, by the ids of their agents.

        Those of agents that are refused in this plan are among them: one that cannot be read now may be read next time.
        """
        declared = {agent.id for agent in self.declared_agents}
        agents = [agent for agent in self.agents if agent.id in declared or agent.id in self.known_numbers]
        return numbers_seen(agents, self.known_numbers)

    @cached_property
    def document(self) -> Document:
        """The plan as people read it: what needs attention first; of long values a part, and a count of the rest."""
        return document_of(self)

    @property
    def markdown(self) -> str:
        """The plan as people read it, in Markdown: for an approval in Airflow's pages."""
        return to_markdown(self.document)

    @property
    def text(self) -> str:
        """The plan as people read it, in plain text: for a log or a terminal."""
        return to_text(self.document)

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
            "changes": self.changes,
            "summary": self.summary,
            "markdown": self.markdown,
        }

    def check_drift(self) -> None:
        """Check that every agent is as declared, and has the phone number that it had.

        :raises OpenCXDriftError: naming each agent that is not, and the fields; and each that has lost its number.
        :raises OpenCXResponseError: if that is not known of some, because something cannot be read.
        """
        drift = {step.spec.agent_name: step for step in self.steps if step.drift}
        lost = self.lost_numbers
        sentences = []
        if drift:
            differences = listed([*map(_drift_of, drift.values())], _MOST_NAMED, separator="; ", more="; and {} more")
            sentences.append(
                f"{len(drift)} of {len(self.steps)} agents are not as declared: {differences}. The plan in the log has"
                " the values; OpenCXSyncPhoneAgentsOperator brings the agents to the declarations."
            )
        if lost:
            gone = listed([*map(str, lost)], _MOST_NAMED, separator="; ", more="; and {} more")
            sentences.append(
                f"{len(lost)} of {len(self.steps)} agents have lost their phone numbers: {gone}. No declaration brings"
                " a number back: ask the support of OpenCX, and tell whoever calls it."
            )
        if sentences:
            raise OpenCXDriftError(
                " ".join(sentences),
                changes={name: step.drift for name, step in drift.items()},
                lost_numbers={each.agent.id: each.number for each in lost},
            )
        unknown = [str(step.plan.error) for step in self.steps if isinstance(step.plan, Refuse) and step.is_unreadable]
        if unknown:
            raise OpenCXResponseError(listed(unknown, _MOST_NAMED, separator=" ", more=" {} more cannot be read."))

    def check(self, approved: Mapping[str, JsonValue] | None = None, guards: Guards | None = None) -> None:
        """Check that the plan may be applied, before the first write.

        :param approved: a plan as JSON that somebody has approved; ``None`` if nobody was asked.
        :param guards: what it may do at most, and for which organization.
        :raises OpenCXGuardError: if it would do more, or is for another organization.
        :raises OpenCXPlanRefusedError: if an agent cannot be brought to its declaration.
        :raises OpenCXPlanChangedError: if something else is to be done than what was approved. What an earlier try has
            done already may be missing.
        """
        if guards is not None:
            self.check_guards(guards)
        refusals = self.refusals
        if refusals:
            ids = [agent_id for error in refusals for agent_id in getattr(error, "agent_ids", [])]
            reasons = listed(
                [*dict.fromkeys(map(str, refusals))], _MOST_NAMED, separator=" ", more=" {} more are in the log."
            )
            raise OpenCXPlanRefusedError(
                f"Nothing was sent for the fleet, because {len(refusals)} of its agents cannot be as declared."
                f" {reasons}",
                agent_ids=ids,
            )
        if approved is not None:
            self._check_approved(approved)

    def check_guards(self, guards: Guards) -> None:
        """Check that the plan does no more than guards allow; raises ``OpenCXGuardError`` if it does."""
        creates, updates = (
            [step.spec.agent_name for step in self.steps if isinstance(step.plan, kind)] for kind in (Create, Update)
        )
        guards.check(creates, updates, self.organization)

    def _check_approved(self, plan: Mapping[str, JsonValue]) -> None:
        approved = _entries(plan)
        organization = Organization.of_plan(plan)
        if not organization.is_still(self.organization):
            raise OpenCXPlanChangedError(
                f"Nothing was sent, because the plan was approved for {organization}, and this is {self.organization}."
                f" Apply it over the connection over which it was made. {_PLAN_ANEW}"
            )
        strangers = {agent.id for agent in self.undeclared} - _ids_in(plan.get("undeclared"))
        if organization.org_id is None and strangers:
            raise OpenCXPlanChangedError(
                f"Nothing was sent, because the plan was approved for {organization}, and there"
                " are agents outside the fleet now that were not there then: this may be another organization."
                f" {_PLAN_ANEW}",
                agent_ids=sorted(strangers),
            )
        changed = [
            step
            for step in self.steps
            if not (step.is_unreadable or step.is_approved_by(approved.get(step.spec.agent_name)))
        ]
        names = [step.spec.agent_name for step in changed]
        names += approved.keys() - {step.spec.agent_name for step in self.steps}
        if names:
            raise _not_approved("Nothing was sent", changed, names)


def _not_approved(unsent: str, changed: Sequence[Step], names: Sequence[str]) -> OpenCXPlanChangedError:
    named = listed([in_quotes(name) for name in names], _MOST_NAMED)
    return OpenCXPlanChangedError(
        f"{unsent}, because the agents or their declarations changed since the plan was approved: {named}. What"
        f" would be done now was shown, or is in the log. {_PLAN_ANEW}",
        agent_ids=[step.agent_id for step in changed if step.agent_id],
    )


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
        agents=agents,
    )


def _undeclared(steps: Sequence[Step], agents: PhoneAgents) -> list[PhoneAgent]:
    """Return the agents that no declaration is about, as far as that is known."""
    ids = {step.agent_id or declared_id(step.spec) for step in steps}
    names = {normalize_name(name) for step in steps if step.agent_id is None for name in names_of(step.spec)}
    return [agent for agent in agents if agent.id not in ids and normalize_name(agent.name or "") not in names]


def _with_one_step_an_agent(steps: Sequence[Step]) -> list[Step]:
    """Refuse the declarations that are about one and the same agent, by its id and by its name for example."""
    steps_by_id: dict[str, list[Step]] = {}
    for step in steps:
        if step.agent_id is not None:
            steps_by_id.setdefault(step.agent_id, []).append(step)
    return [
        step
        if step.agent_id is None or len(steps_by_id[step.agent_id]) == 1
        else replace(step, plan=_refuse_one_agent_declared_twice(step, steps_by_id[step.agent_id]))
        for step in steps
    ]


def _refuse_one_agent_declared_twice(step: Step, steps: Sequence[Step]) -> Refuse:
    names = listed([in_quotes(each.spec.agent_name) for each in steps], separator=" and ")
    return Refuse(
        OpenCXPlanRefusedError(
            f"{names} are declarations of one agent, {identifier(step.agent_id or '')}: by its id, its name or its"
            " previous name. Nothing was sent. Declare it once; to give its old name to another agent, rename it in one"
            " run, and declare the other in the next.",
            agent_ids=[step.agent_id or ""],
        )
    )


def _step(spec: PhoneAgentSpec, agents: PhoneAgents, allow_near_name: bool) -> Step:
    return Step(spec, plan_upsert(spec, agents, allow_near_name=allow_near_name), allow_near_name)


def _with_near_declared(steps: Sequence[Step]) -> Iterator[Step]:
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


def _ids_in(agents: JsonValue) -> set[str]:
    entries = agents if isinstance(agents, list) else []
    return {str(entry.get("id")) for entry in entries if isinstance(entry, Mapping)}


def _drift_of(step: Step) -> str:
    name = in_quotes(step.spec.agent_name)
    if isinstance(step.plan, Create):
        return f"{name} does not exist"
    return f"{name} ({listed([*map(identifier, step.drift)])})"


def _meaning_of(change: JsonValue) -> str:
    """Return a text that is the same for two changes of one meaning."""
    if not isinstance(change, dict):
        return _canonical(change)
    field = str(change.get("field"))
    forms = [comparable_form(field, change.get(side)) for side in ("actual", "wanted")]
    return _canonical([field, *forms])


def _canonical(value: object) -> str:
    """Return the canonical text of a JSON value, to compare two of them: true is not 1."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def checked_plan(approved: object) -> Mapping[str, JsonValue]:
    """Return a plan that somebody has approved; raises ``OpenCXArgumentError`` if it is not the JSON of a plan."""
    _entries(approved)
    return cast("Mapping[str, JsonValue]", approved)


def _names_in(agents: object) -> set[str]:
    entries = agents if isinstance(agents, list) else []
    return {normalize_name(str(entry.get("name"))) for entry in entries if isinstance(entry, Mapping)}


def _entries(approved: object) -> dict[str, Mapping[str, JsonValue]]:
    entries = approved.get("agents") if isinstance(approved, Mapping) else None
    if isinstance(entries, list) and all(isinstance(entry, Mapping) for entry in entries):
        return {normalize_name(str(entry.get("name"))): entry for entry in entries}
    raise OpenCXArgumentError(
        "approved_plan: must be what OpenCXPlanPhoneAgentsOperator returned; hand it over as the output of that task"
    )
