"""A plan for the training scenarios of a collection. Pure; sends nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar

from pydantic import JsonValue

from airflow_provider_opencx.exceptions import OpenCXPlanRefusedError
from airflow_provider_opencx.knowledge.comparison import comparable_form
from airflow_provider_opencx.knowledge.declared import DeclaredScenario
from airflow_provider_opencx.knowledge.plan import Rules, ScenarioPlan, plan_scenario, plan_update
from airflow_provider_opencx.knowledge.plan_words import document_of
from airflow_provider_opencx.knowledge.scenarios import Scenarios
from airflow_provider_opencx.reconciliation.organization import Organization
from airflow_provider_opencx.reconciliation.plan_document import Document
from airflow_provider_opencx.reconciliation.plans import Refuse
from airflow_provider_opencx.reconciliation.step import Step, sharing_an_item
from airflow_provider_opencx.reconciliation.sync_plan import SyncPlan, Words
from airflow_provider_opencx.resources.training import TrainingScenario
from airflow_provider_opencx.text import listed
from airflow_provider_opencx.visible_text import identifier, in_quotes


@dataclass(frozen=True)
class TrainingStep(Step[DeclaredScenario, TrainingScenario, DeclaredScenario, Scenarios]):
    """One training scenario: its declaration, and the plan for it.

    :param rules: what may be done beside what is declared.
    """

    named_by: ClassVar[str] = "key"

    rules: Rules = field(default_factory=Rules)

    @property
    def name(self) -> str:
        """The key, by which the scenario is found."""
        return self.spec.key

    def plan_from(self, items: Scenarios) -> ScenarioPlan:
        """Return the plan for the scenario from another list."""
        return plan_scenario(self.spec, items, self.rules)

    def comparable_form(self, field: str, value: JsonValue) -> JsonValue:
        """Return the form of a field's value that is the same for all values of one meaning."""
        return comparable_form(field, value)

    def as_dict(self) -> dict[str, JsonValue]:
        """Return the step as plain JSON."""
        return {**super().as_dict(), "title": self.spec.title, "removed": self.spec.is_removed}


@dataclass
class TrainingPlan(SyncPlan[DeclaredScenario, TrainingScenario, DeclaredScenario, Scenarios]):
    """A plan for the training scenarios of a collection.

    :param steps: one for each declared scenario, in the declared order, then one for each that becomes a draft because
        it is no longer declared.
    :param undeclared: scenarios of the collection that are not declared, and are left unchanged.
    :param organization: the organization for which it was made.
    :param collection: the collection.
    :param rules: what may be done beside what is declared.
    :param items: the list from which it was made. Before a create, the list is read again.
    """

    words: ClassVar[Words] = Words(
        "training scenario",
        "the collection",
        "OpenCXPlanTrainingScenariosOperator",
        "OpenCXSyncTrainingScenariosOperator",
    )
    entries_key: ClassVar[str] = "training_scenarios"
    named_by: ClassVar[str] = "key"

    steps: tuple[TrainingStep, ...]
    undeclared: tuple[TrainingScenario, ...] = ()
    organization: Organization = field(default_factory=Organization)
    collection: str = "default"
    rules: Rules = field(default_factory=Rules)
    items: Scenarios = field(default_factory=lambda: Scenarios([]), compare=False, repr=False)

    @property
    def summary(self) -> str:
        """The plan in a sentence."""
        return f"{self.counts}; {len(self.undeclared)} of the collection not declared and left alone."

    @cached_property
    def document(self) -> Document:
        """The plan as people read it: what needs attention first; of long values a part, and a count of the rest."""
        return document_of(self)

    @property
    def unpublished(self) -> list[TrainingScenario]:
        """The declared scenarios that have an edit which is not published."""
        return [item for item in self.declared_items if item.unpublished_edits]

    def as_dict(self) -> dict[str, JsonValue]:
        """Return the plan as plain JSON: what the plan operator returns, and what can be approved."""
        return {
            **self.organization.as_dict(),
            "collection": self.collection,
            self.entries_key: [step.as_dict() for step in self.steps],
            "undeclared": [{"id": item.id, "key": item.key, "title": item.current_title} for item in self.undeclared],
            "unpublished_edits": [{"id": item.id, "title": item.current_title} for item in self.unpublished],
            "changes": self.changes,
            "summary": self.summary,
            "markdown": self.markdown,
        }


def plan_scenarios(
    declared: Sequence[DeclaredScenario],
    scenarios: Scenarios,
    rules: Rules,
    collection: str,
    organization: Organization | None = None,
) -> TrainingPlan:
    """Plan for exactly one scenario of each declared key, as declared.

    :param declared: the declarations, no key twice.
    :param scenarios: all scenarios that exist, or those of the collection where each declared one is among them.
    :param rules: what may be done beside what is declared.
    :param collection: the collection of all of them.
    :param organization: the organization whose scenarios they are.
    """
    steps = [TrainingStep(each, plan_scenario(each, scenarios, rules), rules) for each in declared]
    keys = {each.key for each in declared}
    adopted = {step.item_id for step in steps}
    others = [each for each in scenarios.of_collection(collection) if each.key not in keys and each.id not in adopted]
    removed = [each for each in others if rules.on_removed == "draft" and not each.is_draft]
    steps += _steps_of_removed(removed, rules)
    return TrainingPlan(
        steps=tuple(_with_one_step_a_scenario(steps)),
        undeclared=tuple(each for each in others if each not in removed),
        organization=organization or Organization(),
        collection=collection,
        rules=rules,
        items=scenarios,
    )


def _steps_of_removed(removed: Iterable[TrainingScenario], rules: Rules) -> list[TrainingStep]:
    steps = []
    for scenario in removed:
        declared = DeclaredScenario.removed(scenario)
        steps.append(TrainingStep(declared, plan_update(declared, scenario, rules), rules))
    return steps


def _with_one_step_a_scenario(steps: Sequence[TrainingStep]) -> list[TrainingStep]:
    """Refuse the declarations that would adopt one and the same scenario."""
    return [
        replace(step, plan=_refuse_declared_twice(step.item_id or "", others)) if others else step
        for step, others in zip(steps, sharing_an_item(steps), strict=True)
    ]


def _refuse_declared_twice(scenario_id: str, steps: Sequence[TrainingStep]) -> Refuse:
    keys = listed([in_quotes(step.name) for step in steps], separator=" and ")
    return Refuse(
        OpenCXPlanRefusedError(
            f"{keys} are declarations of one training scenario, {identifier(scenario_id)}. Nothing was sent. Declare it"
            " once, under the key that it has.",
            agent_ids=[scenario_id],
        )
    )
