"""A plan for many items: shown in words, passed between tasks as JSON, approved, and guarded.

Pure; sends nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Generic, cast

from pydantic import JsonValue

from airflow_provider_opencx.exceptions import (
    OpenCXArgumentError,
    OpenCXDriftError,
    OpenCXError,
    OpenCXPlanChangedError,
    OpenCXPlanRefusedError,
    OpenCXResponseError,
)
from airflow_provider_opencx.reconciliation.guards import Guards
from airflow_provider_opencx.reconciliation.items import ItemsT, ItemT
from airflow_provider_opencx.reconciliation.organization import Organization
from airflow_provider_opencx.reconciliation.plan_document import Document, to_markdown, to_text
from airflow_provider_opencx.reconciliation.plans import ChangesT, Create, Plan, Refuse, SpecT, Update
from airflow_provider_opencx.reconciliation.step import Step
from airflow_provider_opencx.text import listed
from airflow_provider_opencx.visible_text import identifier, in_quotes

MOST_NAMED = 20
"""Items that a message names."""

_PLAN_ANEW = "Make a new plan, and have it approved; in a Dag, start a new run for that."


@dataclass(frozen=True)
class Words:
    """The words for messages about a kind of plan.

    :param item: one of its items, such as ``agent``.
    :param whole: all that is declared, such as ``the fleet``.
    :param plan_operator: the operator that returns such a plan.
    :param sync_operator: the operator that applies one.
    """

    item: str
    whole: str
    plan_operator: str
    sync_operator: str


@dataclass
class SyncPlan(ABC, Generic[SpecT, ItemT, ChangesT, ItemsT]):
    """A plan for many declarations.

    :param steps: one for each declaration, in their order.
    :param items: the list from which it was made. Before a create, the list is read again.
    :param organization: the organization for which it was made.
    :param undeclared: items that exist and are not declared: they are reported, and left unchanged.
    """

    words: ClassVar[Words]
    entries_key: ClassVar[str]
    """The key under which :meth:`as_dict` has the steps."""
    named_by: ClassVar[str]
    """The key under which a step has its name."""

    steps: Sequence[Step[SpecT, ItemT, ChangesT, ItemsT]]
    items: ItemsT
    organization: Organization
    undeclared: Sequence[ItemT]

    @property
    @abstractmethod
    def document(self) -> Document:
        """The plan as people read it: what needs attention first; of long values a part, and a count of the rest."""

    @property
    def refused(self) -> int:
        """The number of items that cannot be as declared."""
        return sum(isinstance(step.plan, Refuse) for step in self.steps)

    @property
    def refusals(self) -> list[OpenCXError]:
        """The reasons why items cannot be as declared. Items that another try may be able to read are left out."""
        return [step.plan.error for step in self.steps if isinstance(step.plan, Refuse) and not step.is_unreadable]

    @property
    def counts(self) -> str:
        """A summary of the work, in words."""
        actions = Counter(step.action for step in self.steps)
        refused = f", {self.refused} refused" if self.refused else ""
        return (
            f"{actions['create']} to create, {actions['update']} to update, {actions['unchanged']} unchanged{refused}"
        )

    @property
    def changes(self) -> int:
        """The number of writes."""
        return sum(step.plan.writes for step in self.steps)

    @property
    def declared_items(self) -> list[ItemT]:
        """The declared items that exist, as they are."""
        return [step.item for step in self.steps if step.item is not None]

    @cached_property
    def markdown(self) -> str:
        """The plan as people read it, in Markdown: for an approval in Airflow's pages."""
        return to_markdown(self.document)

    @property
    def text(self) -> str:
        """The plan as people read it, in plain text: for a log or a terminal."""
        return to_text(self.document)

    @abstractmethod
    def as_dict(self) -> dict[str, JsonValue]:
        """Return the plan as plain JSON: what the plan operator returns, and what can be approved."""

    def check_drift(self) -> None:
        """Check that every item is as declared.

        :raises OpenCXDriftError: naming each that is not, and the fields.
        :raises OpenCXResponseError: if that is not known of some, because something cannot be read.
        """
        drift = {step.name: step for step in self.steps if step.drift}
        sentences = [self._drift_sentence(drift)] if drift else []
        sentences += self._more_drift()
        if sentences:
            raise self._drift_error(" ".join(sentences), {name: step.drift for name, step in drift.items()})
        unknown = [str(step.plan.error) for step in self.steps if isinstance(step.plan, Refuse) and step.is_unreadable]
        if unknown:
            raise OpenCXResponseError(listed(unknown, MOST_NAMED, separator=" ", more=" {} more cannot be read."))

    def _drift_sentence(self, drift: Mapping[str, Step[SpecT, ItemT, ChangesT, ItemsT]]) -> str:
        differences = listed([*map(_drift_of, drift.values())], MOST_NAMED, separator="; ", more="; and {} more")
        return (
            f"{len(drift)} of {len(self.steps)} {self.words.item}s are not as declared: {differences}. The plan in the"
            f" log has the values; {self.words.sync_operator} brings the {self.words.item}s to the declarations."
        )

    def _more_drift(self) -> list[str]:
        """Return what else is drift, in sentences."""
        return []

    def _drift_error(self, message: str, changes: Mapping[str, Sequence[str]]) -> OpenCXDriftError:
        return OpenCXDriftError(message, changes=changes)

    def check(self, approved: Mapping[str, JsonValue] | None = None, guards: Guards | None = None) -> None:
        """Check that the plan may be applied, before the first write.

        :param approved: a plan as JSON that somebody has approved; ``None`` if nobody was asked.
        :param guards: what it may do at most, and for which organization.
        :raises OpenCXGuardError: if it would do more, or is for another organization.
        :raises OpenCXPlanRefusedError: if an item cannot be brought to its declaration.
        :raises OpenCXPlanChangedError: if something else is to be done than what was approved. What an earlier try has
            done already may be missing.
        """
        if guards is not None:
            self.check_guards(guards)
        refusals = self.refusals
        if refusals:
            ids = [item_id for error in refusals for item_id in getattr(error, "agent_ids", [])]
            reasons = listed(
                [*dict.fromkeys(map(str, refusals))], MOST_NAMED, separator=" ", more=" {} more are in the log."
            )
            raise OpenCXPlanRefusedError(
                f"Nothing was sent for {self.words.whole}, because {len(refusals)} of its {self.words.item}s cannot be"
                f" as declared. {reasons}",
                agent_ids=ids,
            )
        if approved is not None:
            self._check_approved(approved)

    def check_guards(self, guards: Guards) -> None:
        """Check that the plan does no more than guards allow; raises ``OpenCXGuardError`` if it does."""
        creates, updates = (
            [step.name for step in self.steps if isinstance(step.plan, kind)] for kind in (Create, Update)
        )
        guards.check(creates, updates, self.organization, item=self.words.item)

    def plan_again(
        self,
        step: Step[SpecT, ItemT, ChangesT, ItemsT],
        items: ItemsT,
        approved: Mapping[str, JsonValue] | None,
    ) -> Plan[SpecT, ItemT, ChangesT]:
        """Return the plan of a step from another list of the items; a refusal, if that was not approved.

        :param approved: the plan that somebody has approved, as JSON; ``None`` if nobody was asked.
        """
        now = step.planned_from(items)
        if approved is None or now.is_unreadable or now.is_approved_by(self._approved_steps(approved).get(now.name)):
            return now.plan
        return Refuse(self._not_approved("Nothing was sent for it", [now], [now.name]))

    @classmethod
    def checked_plan(cls, approved: object) -> Mapping[str, JsonValue]:
        """Return a plan that somebody has approved; raises ``OpenCXArgumentError`` if it is not the JSON of a plan."""
        cls._approved_steps(approved)
        return cast("Mapping[str, JsonValue]", approved)

    @classmethod
    def normalized_name(cls, name: str) -> str:
        """Return the form of a step's name in which two are compared."""
        return name

    @classmethod
    def _approved_steps(cls, approved: object) -> dict[str, Mapping[str, JsonValue]]:
        entries = approved.get(cls.entries_key) if isinstance(approved, Mapping) else None
        if isinstance(entries, list) and all(isinstance(entry, Mapping) for entry in entries):
            return {cls.normalized_name(str(entry.get(cls.named_by))): entry for entry in entries}
        raise OpenCXArgumentError(
            f"approved_plan: must be what {cls.words.plan_operator} returned; hand it over as the output of that task"
        )

    def _check_approved(self, plan: Mapping[str, JsonValue]) -> None:
        approved = self._approved_steps(plan)
        organization = Organization.of_plan(plan)
        if not organization.is_still(self.organization):
            raise OpenCXPlanChangedError(
                f"Nothing was sent, because the plan was approved for {organization}, and this is {self.organization}."
                f" Apply it over the connection over which it was made. {_PLAN_ANEW}"
            )
        strangers = {item.id for item in self.undeclared} - _ids_in(plan.get("undeclared"))
        if organization.org_id is None and strangers:
            raise OpenCXPlanChangedError(
                f"Nothing was sent, because the plan was approved for {organization}, and there are {self.words.item}s"
                f" outside {self.words.whole} now that were not there then: this may be another organization."
                f" {_PLAN_ANEW}",
                agent_ids=sorted(strangers),
            )
        changed = [
            step for step in self.steps if not (step.is_unreadable or step.is_approved_by(approved.get(step.name)))
        ]
        names = [step.name for step in changed]
        names += approved.keys() - {step.name for step in self.steps}
        if names:
            raise self._not_approved("Nothing was sent", changed, names)

    def _not_approved(
        self, unsent: str, changed: Sequence[Step[SpecT, ItemT, ChangesT, ItemsT]], names: Sequence[str]
    ) -> OpenCXPlanChangedError:
        named = listed([in_quotes(name) for name in names], MOST_NAMED)
        return OpenCXPlanChangedError(
            f"{unsent}, because the {self.words.item}s or their declarations changed since the plan was approved:"
            f" {named}. What would be done now was shown, or is in the log. {_PLAN_ANEW}",
            agent_ids=[step.item_id for step in changed if step.item_id],
        )


def _ids_in(items: JsonValue) -> set[str]:
    entries = items if isinstance(items, list) else []
    return {str(entry.get("id")) for entry in entries if isinstance(entry, Mapping)}


def _drift_of(step: Step[SpecT, ItemT, ChangesT, ItemsT]) -> str:
    name = in_quotes(step.name)
    if isinstance(step.plan, Create):
        return f"{name} does not exist"
    return f"{name} ({listed([*map(identifier, step.drift)])})"
