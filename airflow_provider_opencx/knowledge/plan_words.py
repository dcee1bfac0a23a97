"""Describes a plan for training scenarios in words: first what needs attention, then each change.

Pure. What is long is cut, and counted, and the plan begins with saying so; a plan as JSON contains it completely.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from airflow_provider_opencx.reconciliation.change_words import FieldWords, change_line, place
from airflow_provider_opencx.reconciliation.plan_blocks import plan_blocks
from airflow_provider_opencx.reconciliation.plan_document import Block, Document, Line, Quoted, Words, quoted
from airflow_provider_opencx.reconciliation.plans import Create, Refuse, Update
from airflow_provider_opencx.resources.training import (
    COLLECTION_IN_METADATA,
    KEY_IN_METADATA,
    METADATA,
    TrainingScenario,
)

if TYPE_CHECKING:
    from airflow_provider_opencx.knowledge.training_plan import TrainingPlan, TrainingStep

_LONGEST_TITLE = 300
_MOST_NAMED = 50

FIELD_WORDS: Mapping[str, FieldWords] = {
    "title": FieldWords("title"),
    "content": FieldWords("content"),
    "type": FieldWords(
        "kind",
        "not known",
        {"SCENARIO_SPECIFIC": "about one scenario (SCENARIO_SPECIFIC)", "BEHAVIORAL": "about behaviour (BEHAVIORAL)"},
    ),
    "channels": FieldWords("restricted to channels", "every channel", empty="every channel", is_set=True),
    "segments": FieldWords("restricted to segments", "everybody", empty="everybody", is_set=True),
    "draft": FieldWords("a draft, which no agent uses"),
    "directory_id": FieldWords("folder in the dashboard", "none"),
    "start_time": FieldWords("begins to hold", "at once"),
    "end_time": FieldWords("ceases to hold", "never"),
    f"{METADATA}{KEY_IN_METADATA}": FieldWords("key", "none"),
    f"{METADATA}{COLLECTION_IN_METADATA}": FieldWords("collection", "none"),
}
"""The fields of a declaration."""


def document_of(plan: TrainingPlan) -> Document:
    """Return a plan as people read it."""
    blocks = plan_blocks(plan.steps, _urgency, _heading, _lines)
    where = place(plan.organization)
    opening = Line((*where, ", collection " if where else "Collection ", quoted(plan.collection)))
    return Document(
        (
            Block(lines=(opening, *blocks.attention(_scenarios, "title"))),
            *blocks.refused,
            *_named(plan.unpublished, "ATTENTION: {} an edit in the dashboard that is not published", ("has", "have")),
            *blocks.others,
            *_named(plan.undeclared, "{} not declared in this collection any more, and left alone", ("is", "are")),
            *_unchanged(blocks.unchanged),
        )
    )


def _urgency(step: TrainingStep) -> int:
    """Return the position of a step: refusals first, then what becomes a draft, creates, updates."""
    if isinstance(step.plan, Refuse):
        return 0
    if step.spec.is_removed:
        return 1
    return 2 if isinstance(step.plan, Create) else 3


def _heading(step: TrainingStep) -> Words:
    title = quoted(step.spec.title, _LONGEST_TITLE)
    if isinstance(step.plan, Refuse):
        return title, " cannot be created or changed"
    if step.spec.is_removed:
        return title, " is no longer declared, and will be a draft"
    if isinstance(step.plan, Create):
        return title, " will be created"
    adopted = isinstance(step.plan, Update) and step.plan.item.key is None
    return title, " will be adopted, and changed" if adopted else " will be changed"


def _lines(step: TrainingStep) -> Iterator[Line]:
    if isinstance(step.plan, Refuse):
        yield Line(("reason: ", Quoted(str(step.plan.error))))  # what others wrote is visible in it already
    if isinstance(step.plan, Create):
        for other in step.plan.near:
            yield Line(("ATTENTION: there is another of this title, ", *_title_and_id(other)))
    if isinstance(step.plan, Update):
        yield Line(("id ", quoted(step.plan.item.id), ", key ", quoted(step.spec.key)))
        if step.plan.item.unpublished_edits:
            yield Line(("ATTENTION: an edit that is not published is overwritten",))
    for difference in step.plan.differences:
        # A new scenario has its title in the heading, unless it is too long for one.
        is_in_heading = isinstance(step.plan, Create) and len(step.spec.title) <= _LONGEST_TITLE
        if difference.field != "title" or not is_in_heading:
            yield change_line(difference, FIELD_WORDS, is_new=isinstance(step.plan, Create))


def _named(scenarios: Sequence[TrainingScenario], heading: str, verbs: tuple[str, str]) -> Iterator[Block]:
    """Return a block that names scenarios, with a heading that says how many they are."""
    if scenarios:
        number = f"{_scenarios(len(scenarios))} {verbs[len(scenarios) > 1]}"
        lines = [Line(_title_and_id(scenario)) for scenario in scenarios[:_MOST_NAMED]]
        if len(scenarios) > _MOST_NAMED:
            lines.append(Line((f"and {_scenarios(len(scenarios) - _MOST_NAMED)} more",)))
        yield Block((heading.format(number),), tuple(lines))


def _unchanged(number: int) -> Iterator[Block]:
    if number:
        yield Block((f"{_scenarios(number)} {'stays as it is' if number == 1 else 'stay as they are'}",))


def _title_and_id(scenario: TrainingScenario) -> Words:
    title = scenario.current_title
    named = "a scenario without a title" if title is None else quoted(title, _LONGEST_TITLE)
    return named, ", id ", quoted(scenario.id)


def _scenarios(number: int) -> str:
    return "1 training scenario" if number == 1 else f"{number:,} training scenarios"
