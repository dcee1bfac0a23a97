"""Describes a plan of a fleet in words: first what needs attention, then each change.

Pure. What is long is cut, and counted, and the plan begins with saying so; a plan as JSON contains it completely.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import JsonValue

from airflow_provider_opencx.phone_agents.plan import has_number
from airflow_provider_opencx.reconciliation.change_words import FieldWords, change_line, place
from airflow_provider_opencx.reconciliation.plan_blocks import plan_blocks
from airflow_provider_opencx.reconciliation.plan_document import (
    Block,
    Document,
    Line,
    Quoted,
    Words,
    quoted,
)
from airflow_provider_opencx.reconciliation.plans import Create, Difference, Refuse, Unchanged, Update
from airflow_provider_opencx.resources.phone_agents import IDS_BY_NAMES

if TYPE_CHECKING:
    from airflow_provider_opencx.phone_agents.fleet import FleetPlan, FleetStep
    from airflow_provider_opencx.resources.phone_agents import PhoneAgent


_LONGEST_NAME = 300
_MOST_UNDECLARED = 50


FIELD_WORDS: Mapping[str, FieldWords] = {
    "name": FieldWords("name"),
    "type": FieldWords(
        "kind", "not known", {"outbound": "makes calls (outbound)", "inbound": "receives calls (inbound)"}
    ),
    "language": FieldWords("language", empty="not set", is_set=True),
    "voice_id": FieldWords("voice"),
    "first_message": FieldWords("first message"),
    "instructions": FieldWords("instructions", "none"),
    "handoff_phone_number": FieldWords("hands calls over to", "nobody"),
    "use_org_knowledgebase": FieldWords("uses the organization's knowledge base"),
    "action_ids": FieldWords("actions it may use", "every action", empty="no action", is_set=True),
    "accent": FieldWords("accent", "none"),
    "speed": FieldWords("speed of speech"),
    "interruptible": FieldWords("callers may interrupt it"),
    "data_collection_fields": FieldWords("data it collects", "none", is_set=True),
    "data_collection_webhook_url": FieldWords("address that receives the data", "none"),
    "model": FieldWords("AI model"),
    "flow": FieldWords("flow", "none"),
    "manual_mode": FieldWords("manual mode"),
    "custom_llm": FieldWords("language model of its own", "none"),
}
"""The fields of a declaration; every other one is called by its name in the API."""


def document_of(plan: FleetPlan) -> Document:
    """Return a plan as people read it."""
    blocks = plan_blocks(plan.steps, _urgency, _heading, lambda step: _lines(step, plan.names))
    where = place(plan.organization)
    opening = [*([Line(where)] if where else []), *blocks.attention(_agents, "name")]
    return Document(
        (
            Block(lines=tuple(opening)),
            *blocks.refused,
            *_warnings(plan.warnings),
            *_lost_numbers(plan),
            *_renamed_perhaps(plan),
            *blocks.others,
            *_without_number(plan),
            *_undeclared(plan.undeclared),
            *_unchanged(blocks.unchanged),
        )
    )


def _urgency(step: FleetStep) -> int:
    """Return the position of a step: refusals first, then creates that may be a mistake, other creates, updates."""
    if isinstance(step.plan, Create):
        return 1 if step.plan.near or step.near_declared else 2
    return 0 if isinstance(step.plan, Refuse) else 3


def _heading(step: FleetStep) -> Words:
    name = quoted(step.spec.agent_name, _LONGEST_NAME)
    if isinstance(step.plan, Refuse):
        return name, " cannot be created or changed"
    return name, " will be created" if isinstance(step.plan, Create) else " will be changed"


def _lines(step: FleetStep, names: Mapping[str, str]) -> Iterator[Line]:
    if isinstance(step.plan, Refuse):
        yield Line(("reason: ", Quoted(str(step.plan.error))))  # what others wrote is visible in it already
    if isinstance(step.plan, Create):
        for agent in step.plan.near:
            yield Line(("ATTENTION: there is an agent with nearly the same name, ", *_agent(agent)))
        for name in step.near_declared:
            yield Line(("ATTENTION: this fleet has another one with nearly the same name, ", quoted(name)))
    if isinstance(step.plan, Update):
        yield Line(_number_and_id(step.plan.item))
    for difference in step.plan.differences:
        # A new agent has its name in the heading, unless it is too long for one.
        is_in_heading = isinstance(step.plan, Create) and len(step.spec.agent_name) <= _LONGEST_NAME
        if difference.field != "name" or not is_in_heading:
            yield change_line(_with_names(difference, names), FIELD_WORDS, is_new=isinstance(step.plan, Create))


def _with_names(difference: Difference, names: Mapping[str, str]) -> Difference:
    """Return a difference in which ids have the names beside them that are known."""
    if difference.field not in IDS_BY_NAMES.values():
        return difference
    actual, wanted = (_with_name(value, names) for value in (difference.actual, difference.wanted))
    return replace(difference, actual=actual, wanted=wanted)


def _with_name(value: JsonValue, names: Mapping[str, str]) -> JsonValue:
    if isinstance(value, list):
        return [_with_name(each, names) for each in value]
    return f"{names[value]} ({value})" if isinstance(value, str) and value in names else value


def _warnings(warnings: Sequence[str]) -> Iterator[Block]:
    if warnings:
        lines = [Line((Quoted(warning),)) for warning in warnings[:_MOST_UNDECLARED]]
        if len(warnings) > _MOST_UNDECLARED:
            lines.append(Line((f"and {len(warnings) - _MOST_UNDECLARED:,} more",)))
        yield Block(("ATTENTION: what agents name may not work on the phone",), tuple(lines))


def _renamed_perhaps(plan: FleetPlan) -> Iterator[Block]:
    created = sum(isinstance(step.plan, Create) for step in plan.steps)
    if not (created and plan.undeclared):
        return
    pairs = plan.possible_renames
    lines = [
        Line(
            (
                f"{_agents(created)} will be created, and {_agents(len(plan.undeclared))} outside this fleet"
                f" {'exists' if len(plan.undeclared) == 1 else 'exist'} already: see the end.",
            )
        ),
        *(
            Line((quoted(pair.name, _LONGEST_NAME), " may be the new name of ", *_agent(pair.agent)))
            for pair in pairs[:_MOST_UNDECLARED]
        ),
    ]
    if len(pairs) > _MOST_UNDECLARED:
        lines.append(Line((f"and {len(pairs) - _MOST_UNDECLARED:,} more such pairs",)))
    lines.append(
        Line(
            (
                "If it is the same agent under a new name, reject this plan: the new agent would get another phone"
                " number. Write the old name into its declaration as previous_name, or its id as id: then it is"
                " renamed, and keeps its number.",
            )
        )
    )
    yield Block(("Was an agent renamed?",), tuple(lines))


def _lost_numbers(plan: FleetPlan) -> Iterator[Block]:
    lost = plan.lost_numbers
    if not lost:
        return
    lines = [
        Line(
            (
                *_name_and_id(each.agent),
                ", had the phone number ",
                quoted(each.number),
                *((", and has ", quoted(each.agent.phone_number or "")) if each.is_replaced else (", and has none",)),
            )
        )
        for each in lost[:_MOST_UNDECLARED]
    ]
    if len(lost) > _MOST_UNDECLARED:
        lines.append(Line((f"and {_agents(len(lost) - _MOST_UNDECLARED)} more",)))
    yield Block((f"ATTENTION: {_agents(len(lost))} lost the phone number",), tuple(lines))


def _without_number(plan: FleetPlan) -> Iterator[Block]:
    lost = {each.agent.id for each in plan.lost_numbers}
    unchanged = [step.plan.item for step in plan.steps if isinstance(step.plan, Unchanged)]
    agents = [agent for agent in unchanged if not has_number(agent) and agent.id not in lost]
    if agents:
        lines = [Line(_name_and_id(agent)) for agent in agents[:_MOST_UNDECLARED]]
        if len(agents) > _MOST_UNDECLARED:
            lines.append(Line((f"and {_agents(len(agents) - _MOST_UNDECLARED)} more",)))
        has = "has" if len(agents) == 1 else "have"
        yield Block((f"{_agents(len(agents))} of this fleet {has} no phone number yet",), tuple(lines))


def _undeclared(agents: Sequence[PhoneAgent]) -> Iterator[Block]:
    if agents:
        lines = [Line(_agent(agent)) for agent in agents[:_MOST_UNDECLARED]]
        if len(agents) > _MOST_UNDECLARED:
            lines.append(Line((f"and {_agents(len(agents) - _MOST_UNDECLARED)} more",)))
        stay = "stays as it is" if len(agents) == 1 else "stay as they are"
        yield Block((f"{_agents(len(agents))} outside this fleet {stay}",), tuple(lines))


def _unchanged(number: int) -> Iterator[Block]:
    if number:
        yield Block((f"{_agents(number)} of this fleet {'stays as it is' if number == 1 else 'stay as they are'}",))


def _agent(agent: PhoneAgent) -> Words:
    name = "an agent without a name" if agent.name is None else quoted(agent.name, _LONGEST_NAME)
    return name, ": ", *_number_and_id(agent)


def _name_and_id(agent: PhoneAgent) -> Words:
    name = "an agent without a name" if agent.name is None else quoted(agent.name, _LONGEST_NAME)
    return name, ", id ", quoted(agent.id)


def _number_and_id(agent: PhoneAgent) -> Words:
    number = ("no phone number yet",) if agent.phone_number is None else ("phone number ", quoted(agent.phone_number))
    return *number, ", id ", quoted(agent.id)


def _agents(number: int) -> str:
    return "1 agent" if number == 1 else f"{number:,} agents"
