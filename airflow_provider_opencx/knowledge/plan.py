"""Decides what to do for a training scenario: compares its declaration with what exists. Pure; sends nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from airflow_provider_opencx.arguments import check_choice
from airflow_provider_opencx.exceptions import (
    OpenCXAmbiguousNameError,
    OpenCXDraftError,
    OpenCXNearNameError,
    OpenCXPlanRefusedError,
    OpenCXResponseError,
)
from airflow_provider_opencx.knowledge.comparison import comparable_form
from airflow_provider_opencx.knowledge.declared import DeclaredScenario
from airflow_provider_opencx.knowledge.scenarios import Scenarios
from airflow_provider_opencx.reconciliation import plans
from airflow_provider_opencx.reconciliation.plans import Create, Refuse, Unchanged, Update
from airflow_provider_opencx.resources.training import TrainingScenario
from airflow_provider_opencx.text import listed
from airflow_provider_opencx.visible_text import identifier, in_quotes

Adopt: TypeAlias = Literal["by_title", "never"]
"""What to do about a scenario of the declared title that this provider does not manage."""

OnDraft: TypeAlias = Literal["fail", "overwrite"]
"""What to do about an edit that is not published."""

OnRemoved: TypeAlias = Literal["keep", "draft"]
"""What to do with a scenario of the collection that is no longer declared."""

ScenarioPlan: TypeAlias = plans.Plan[DeclaredScenario, TrainingScenario, DeclaredScenario]

_MOST_UNREADABLE = 3


@dataclass(frozen=True)
class Rules:
    """Actions that are allowed in addition to the declarations.

    :param adopt: what to do about a scenario of the declared title without a key of this collection: ``None`` (default)
        refuses, ``"by_title"`` takes the one that has no key and gives it the declared one, ``"never"`` creates another
        beside it.
    :param on_draft: what to do about an edit that is not published: ``"fail"`` (default) refuses to update that
        scenario, ``"overwrite"`` loses the edit.
    :param on_removed: what becomes of a scenario of the collection that is no longer declared: ``"keep"`` (default)
        leaves it unchanged, ``"draft"`` makes it a draft, which no agent uses.
    :raises OpenCXArgumentError: if one of them is something else.
    """

    adopt: Adopt | None = None
    on_draft: OnDraft = "fail"
    on_removed: OnRemoved = "keep"

    def __post_init__(self) -> None:
        check_choice("adopt", self.adopt, (None, *get_args(Adopt)))
        check_choice("on_draft", self.on_draft, get_args(OnDraft))
        check_choice("on_removed", self.on_removed, get_args(OnRemoved))


def plan_scenario(declared: DeclaredScenario, scenarios: Scenarios, rules: Rules) -> ScenarioPlan:
    """Plan for exactly one scenario of the declared key, as declared."""
    found = scenarios.of_identity(declared.identity)
    if len(found) > 1:
        return _refuse_several(declared, found)
    if found:
        return plan_update(declared, found[0], rules)
    if scenarios.of_unknown_key:
        return _refuse_unknown_keys(declared, scenarios)
    if scenarios.are_of_earlier_form:
        return _refuse_earlier_form(declared)
    titled = scenarios.titled(declared.title)
    if not titled:
        return Create(declared)
    return _plan_beside(declared, titled, scenarios, rules)


def plan_update(declared: DeclaredScenario, scenario: TrainingScenario, rules: Rules) -> ScenarioPlan:
    """Plan to bring one existing scenario to its declaration, without losing an edit that is not published."""
    try:
        differences = declared.differences(scenario)
        if differences:
            declared.body(scenario)  # the whole of it is sent, so all of it must be readable
    except OpenCXResponseError as unreadable:
        return Refuse(unreadable)
    if not differences:
        return Unchanged(scenario)
    if rules.on_draft != "overwrite" and _loses_an_edit(declared, scenario):
        return _refuse_draft(scenario)
    return Update(scenario, declared, differences)


def _loses_an_edit(declared: DeclaredScenario, scenario: TrainingScenario) -> bool:
    """Return whether an update would overwrite an edit that is not published, and is not what is declared."""
    fields = declared.declared_fields
    if scenario.is_draft and fields["draft"] and not declared.is_removed:
        return False  # the draft is what is declared
    return any(
        comparable_form(field, edit) != comparable_form(field, fields.get(field))
        for field, edit in scenario.unpublished_edits.items()
    )


def _refuse_draft(scenario: TrainingScenario) -> Refuse:
    return Refuse(
        OpenCXDraftError(
            f"The {scenario.label} differs from its declaration, and has an edit in the dashboard that is not"
            " published; an update would overwrite it. Nothing was sent for it. Publish the edit and take it over into"
            " the declaration, or discard it; on_draft='overwrite' overwrites it.",
            agent_ids=[scenario.id],
        )
    )


def _plan_beside(
    declared: DeclaredScenario, titled: Sequence[TrainingScenario], scenarios: Scenarios, rules: Rules
) -> ScenarioPlan:
    """Plan for a scenario that is not found by its key, where there are others of its title."""
    of_collection = [each for each in titled if each.key is not None and each.collection == declared.collection]
    if of_collection:
        return _refuse_other_key(declared, of_collection[0])
    if rules.adopt == "never":
        if scenarios.show_no_metadata:
            return _refuse_without_metadata(declared, titled)
        return Create(declared, tuple(titled))
    free = [each for each in titled if each.key is None]
    if rules.adopt is None or not free:
        return _refuse_title(declared, titled)
    if len(free) > 1:
        return _refuse_several_titles(declared, free)
    return plan_update(declared, free[0], rules)


def _refuse_several(declared: DeclaredScenario, found: Sequence[TrainingScenario]) -> Refuse:
    ids = [scenario.id for scenario in found]
    return Refuse(
        OpenCXAmbiguousNameError(
            f"{len(found)} training scenarios have the key {in_quotes(declared.key)} in the collection"
            f" {in_quotes(declared.collection)}: {listed([*map(identifier, ids)])}. Delete all but one in the OpenCX"
            " dashboard; see first which of them the agents use.",
            agent_ids=ids,
        )
    )


def _refuse_unknown_keys(declared: DeclaredScenario, scenarios: Scenarios) -> Refuse:
    unreadable = listed(scenarios.of_unknown_key, _MOST_UNREADABLE, separator="; ")
    return Refuse(
        OpenCXResponseError(
            f"Whether there is a {declared.label} is not known, because the list holds what cannot be read:"
            f" {unreadable}. So none is created. Another try reads the list again; if this stays, correct or delete it"
            " in the OpenCX dashboard."
        )
    )


def _refuse_earlier_form(declared: DeclaredScenario) -> Refuse:
    return Refuse(
        OpenCXPlanRefusedError(
            f"The {declared.label} is not created, because this service lists training scenarios in the form of 2025,"
            " without titles and metadata: it would not be found again. Make training scenarios in the OpenCX"
            " dashboard, and give agents their ids as instructions."
        )
    )


def _refuse_other_key(declared: DeclaredScenario, other: TrainingScenario) -> Refuse:
    return Refuse(
        OpenCXNearNameError(
            f"No training scenario has the key {in_quotes(declared.key)}, and {other.label} has this title and the key"
            f" {in_quotes(other.key or '')}. So none is created. If the same scenario is meant, because its file was"
            f" renamed, declare it with key: {other.key}; otherwise give it another title.",
            agent_ids=[other.id],
        )
    )


def _refuse_title(declared: DeclaredScenario, titled: Sequence[TrainingScenario]) -> Refuse:
    others = listed([scenario.label for scenario in titled], 3)
    managed = next((each for each in titled if each.key is not None), None)
    if managed is not None and all(each.key is not None for each in titled):
        remedy = (
            f"It belongs to the collection {in_quotes(managed.collection or '')}: declare it there alone, or allow"
            " another beside it with adopt='never'."
        )
    else:
        remedy = (
            "If it is the declared one, take it over with adopt='by_title'; to create another beside it, use"
            " adopt='never'."
        )
    return Refuse(
        OpenCXNearNameError(
            f"No training scenario has the key {in_quotes(declared.key)}, and there is {others} of the same title,"
            f" which was not made from this declaration. So none is created. {remedy}",
            agent_ids=[scenario.id for scenario in titled],
        )
    )


def _refuse_several_titles(declared: DeclaredScenario, free: Sequence[TrainingScenario]) -> Refuse:
    ids = [scenario.id for scenario in free]
    return Refuse(
        OpenCXAmbiguousNameError(
            f"{len(free)} training scenarios are titled {in_quotes(declared.title)}: {listed([*map(identifier, ids)])}."
            " So none is adopted. Rename or delete all but one in the OpenCX dashboard.",
            agent_ids=ids,
        )
    )


def _refuse_without_metadata(declared: DeclaredScenario, titled: Sequence[TrainingScenario]) -> Refuse:
    return Refuse(
        OpenCXPlanRefusedError(
            f"The {declared.label} is not created beside another of its title, because this service shows no metadata"
            " of training scenarios: it would not be found again, and each run would create one more.",
            agent_ids=[scenario.id for scenario in titled],
        )
    )
