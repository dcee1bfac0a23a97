"""A plan of a fleet in plain words: what needs attention first, then what happens to which agent.

Pure. What is long is cut, and counted, and the plan begins with saying so; a plan as JSON has it whole.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import JsonValue

from airflow_provider_opencx.phone_agents.plan import SERVICE_CHOOSES, has_number
from airflow_provider_opencx.reconciliation.plan_document import (
    Block,
    Document,
    ExcerptLine,
    Line,
    Mark,
    NotShown,
    Quoted,
    Words,
    quoted,
)
from airflow_provider_opencx.reconciliation.plans import Create, Difference, Refuse, Unchanged, Update
from airflow_provider_opencx.reconciliation.text_changes import LONG, TextChange, text_changes

if TYPE_CHECKING:
    from airflow_provider_opencx.phone_agents.fleet import FleetPlan, FleetStep
    from airflow_provider_opencx.reconciliation.organization import Organization
    from airflow_provider_opencx.resources.phone_agents import PhoneAgent

LONGEST_DOCUMENT = 200_000
"""Characters that the blocks of all agents may have together; the rest of the agents have their heading alone."""

_LONGEST_NAME = 300
_LONGEST_EXCERPT = 3000
_LONGEST_PART = 800
_MOST_LINES = 60
_MOST_ITEMS = 20
_MOST_UNDECLARED = 50

_LINES = re.compile(r"[^\n]*\n|[^\n]+")


@dataclass(frozen=True)
class FieldWords:
    """How a field and its values are called.

    :param label: the field.
    :param null: no value.
    :param values: values that have words of their own, ``True`` and ``False`` among them.
    :param empty: an empty list.
    """

    label: str
    null: str = "not set"
    values: Mapping[object, str] = field(default_factory=dict)
    empty: str = "an empty list"


FIELD_WORDS: Mapping[str, FieldWords] = {
    "name": FieldWords("name"),
    "type": FieldWords(
        "kind", "not known", {"outbound": "makes calls (outbound)", "inbound": "receives calls (inbound)"}
    ),
    "language": FieldWords("language", empty="not set"),
    "voice_id": FieldWords("voice"),
    "first_message": FieldWords("first message"),
    "instructions": FieldWords("instructions", "none"),
    "handoff_phone_number": FieldWords("hands calls over to", "nobody"),
    "use_org_knowledgebase": FieldWords("uses the organization's knowledge base"),
    "action_ids": FieldWords("actions it may use", "every action", empty="no action"),
    "accent": FieldWords("accent", "none"),
    "speed": FieldWords("speed of speech"),
    "interruptible": FieldWords("callers may interrupt it"),
    "data_collection_fields": FieldWords("data it collects", "none"),
    "data_collection_webhook_url": FieldWords("address that receives the data", "none"),
    "model": FieldWords("AI model"),
    "flow": FieldWords("flow", "none"),
    "manual_mode": FieldWords("manual mode"),
    "custom_llm": FieldWords("language model of its own", "none"),
}
"""The fields of a declaration; every other one is called by its name in the API."""

_LEFT_TO_THE_SERVICE = "left to the service"


def document_of(plan: FleetPlan) -> Document:
    """Return a plan as people read it."""
    steps = sorted((step for step in plan.steps if not isinstance(step.plan, Unchanged)), key=_urgency)
    blocks: list[Block] = []
    left, hidden, cut = LONGEST_DOCUMENT, 0, 0
    for step in steps:
        block = Block(_heading(step), tuple(_lines(step))) if left > 0 else Block((*_heading(step), _HIDDEN))
        hidden += left <= 0
        cut += not (isinstance(step.plan, Refuse) or block.is_whole)
        left -= block.size
        blocks.append(block)
    refused = sum(isinstance(step.plan, Refuse) for step in steps)
    return Document(
        (
            Block(lines=tuple(_opening(plan, hidden, cut))),
            *blocks[:refused],
            *_lost_numbers(plan),
            *_renamed_perhaps(plan),
            *blocks[refused:],
            *_without_number(plan),
            *_undeclared(plan.undeclared),
            *_unchanged(sum(isinstance(step.plan, Unchanged) for step in plan.steps)),
        )
    )


_HIDDEN = ": values not shown"


def _urgency(step: FleetStep) -> int:
    """Return where a step stands: refusals first, then creates that may be a mistake, other creates, updates."""
    if isinstance(step.plan, Create):
        return 1 if step.plan.near or step.near_declared else 2
    return 0 if isinstance(step.plan, Refuse) else 3


def _opening(plan: FleetPlan, hidden: int, cut: int) -> Iterator[Line]:
    """Return what stands before the agents.

    :param hidden: of how many agents only the name is shown.
    :param cut: of how many others a part of the values is not shown.
    """
    if place := _place(plan.organization):
        yield Line(place)
    if hidden:
        yield Line(
            (
                f"ATTENTION: this plan is too long to be shown whole. Of {_agents(hidden)}, only the name is shown, and"
                " what happens to it. Approving the plan approves their values as well; the plan as JSON has them.",
            )
        )
    if cut:
        yield Line(
            (
                f"ATTENTION: of {_agents(cut)}, a part of the values is not shown, and how long it is stands there."
                " Approving the plan approves that part as well; the plan as JSON has it.",
            )
        )


def _place(organization: Organization) -> Words:
    parts = {
        "Organization ": organization.org_id,
        "connection ": organization.connection,
        "service ": organization.base_url,
    }
    known = [(what, quoted(value)) for what, value in parts.items() if value]
    return tuple(word for number, part in enumerate(known) for word in ((", ", *part) if number else part))


def _heading(step: FleetStep) -> Words:
    name = quoted(step.spec.agent_name, _LONGEST_NAME)
    if isinstance(step.plan, Refuse):
        return name, " cannot be created or changed"
    return name, " will be created" if isinstance(step.plan, Create) else " will be changed"


def _lines(step: FleetStep) -> Iterator[Line]:
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
            yield _line(difference, is_new=isinstance(step.plan, Create))


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


def _line(difference: Difference, *, is_new: bool) -> Line:
    """Return what happens to one field."""
    words = FIELD_WORDS.get(difference.field)
    label: Words = (f"{words.label}: ",) if words else ("field ", quoted(difference.field), ": ")
    words = words or FieldWords("", "nothing (null)")
    texts = [_plain_text(difference.actual), _plain_text(difference.wanted)]
    if None in texts:
        texts = [_json_lines(difference.actual), _json_lines(difference.wanted)]
    actual, wanted = (text or "" for text in texts)
    new = _value_or_length(words, difference, difference.wanted, wanted, is_wanted=True)
    if is_new:
        return Line((*label, *new, ":"), tuple(_excerpt_of(wanted, ""))) if _is_long(wanted) else Line((*label, *new))
    old = _value_or_length(words, difference, difference.actual, actual)
    if not _is_long(actual) and not _is_long(wanted):
        if _look_the_same(old, new):
            old, new = (_json(difference.actual),), (_json(difference.wanted),)
        return Line((*label, *(_items_changed(difference) or ("from ", *old, " to ", *new))))
    changes = text_changes(actual, wanted) or text_changes(*map(_json_lines, (difference.actual, difference.wanted)))
    places = "1 place" if len(changes) == 1 else f"{len(changes):,} places"
    differ = f", which differ in {places}" if actual and wanted else ""
    return Line((*label, "from ", *old, " to ", *new, f"{differ}:"), tuple(_excerpt(changes)))


def _value_or_length(
    words: FieldWords, difference: Difference, value: JsonValue, text: str, *, is_wanted: bool = False
) -> Words:
    if _is_long(text):
        return (f"a text of {len(text):,} characters",)
    return _value(words, difference, value, is_wanted=is_wanted)


def _value(words: FieldWords, difference: Difference, value: JsonValue, *, is_wanted: bool = False) -> Words:
    """Return a value that is not long in words."""
    if value is None:
        return (_LEFT_TO_THE_SERVICE if is_wanted and difference.field in SERVICE_CHOOSES else words.null,)
    if isinstance(value, bool):
        return ("yes" if value else "no",)
    if isinstance(value, str):
        return (words.values.get(value, quoted(value)) if value else "an empty text",)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return _items([*map(str, value)]) if value else (words.empty,)
    return (_json(value),)


def _items(items: Sequence[str]) -> Words:
    words: list[str | Quoted] = []
    for item in items[:_MOST_ITEMS]:
        words += [", ", quoted(item)] if words else [quoted(item)]
    more = len(items) - _MOST_ITEMS
    return *words, *((NotShown(f" and {more:,} more"),) if more > 0 else ())


def _items_changed(difference: Difference) -> Words:
    """Return which items of a list come and go, where its order does not matter and it is not short."""
    actual, wanted = difference.actual, difference.wanted
    if difference.field not in ("language", "action_ids", "data_collection_fields"):
        return ()
    if not isinstance(actual, list) or not isinstance(wanted, list) or max(len(actual), len(wanted)) <= 3:
        return ()
    before, after = dict.fromkeys(map(str, actual)), dict.fromkeys(map(str, wanted))
    come, go = [item for item in after if item not in before], [item for item in before if item not in after]
    parts = [(word, _items(items)) for word, items in (("now also ", come), ("no longer ", go)) if items]
    stays = f"; {len(before) - len(go):,} stay"
    return *[word for number, part in enumerate(parts) for word in ("; " if number else "", part[0], *part[1])], stays


def _json(value: JsonValue) -> Quoted:
    """Return a value as JSON, in which two values that look the same do not."""
    return quoted(json.dumps(value))


def _look_the_same(one: Words, other: Words) -> bool:
    first, second = (
        unicodedata.normalize("NFKC", "".join(word if isinstance(word, str) else word.text for word in words))
        for words in (one, other)
    )
    return first == second


def _plain_text(value: JsonValue) -> str | None:
    """Return the text that a value is, alone or in a list, ``None`` for another value."""
    if value is None or value == []:
        return ""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value if isinstance(value, str) else None


def _json_lines(value: JsonValue) -> str:
    """Return a value as JSON in lines; a list of short texts, which is shown by its items, needs none."""
    if value is None or (
        isinstance(value, list) and all(isinstance(item, str) and not _is_long(item) for item in value)
    ):
        return ""
    return json.dumps(value, ensure_ascii=False, indent=None if _is_short_json(value) else 2)


def _is_short_json(value: JsonValue) -> bool:
    return not _is_long(json.dumps(value, ensure_ascii=False))


def _is_long(text: str) -> bool:
    """Return whether a text is better shown in lines of its own."""
    return len(text) > LONG or "\n" in text


def _excerpt(changes: Sequence[TextChange]) -> Iterator[ExcerptLine]:
    """Return the changes of a text in lines, as many as fit."""
    shown = lines = 0
    for number, change in enumerate(changes):
        if number and (shown > _LONGEST_EXCERPT or lines > _MOST_LINES):
            rest = changes[number:]
            removed, added = (sum(map(len, texts)) for texts in zip(*((c.removed, c.added) for c in rest), strict=True))
            yield ExcerptLine(
                "",
                (
                    NotShown(
                        f"... and {len(rest):,} more places, which are not shown: {removed:,} characters go,"
                        f" {added:,} come"
                    ),
                ),
            )
            return
        for line in _excerpt_of_change(change):
            lines += 1
            shown += sum(len(word if isinstance(word, str) else word.text) for word in line.words)
            yield line


def _excerpt_of_change(change: TextChange) -> Iterator[ExcerptLine]:
    ends = change.removed.rstrip("\n") == change.added.rstrip("\n")  # then only line breaks differ, and must be seen
    if change.before:
        yield ExcerptLine("", ("... ", quoted(change.before)))
    yield from _excerpt_of(change.removed, "removed: ", show_ends=ends)
    yield from _excerpt_of(change.added, "added: ", show_ends=ends)
    if change.after:
        yield ExcerptLine("", (quoted(change.after), " ..."))


def _excerpt_of(text: str, mark: Mark, *, show_ends: bool = False) -> Iterator[ExcerptLine]:
    """Return the lines of a text, as many as fit."""
    part = text[: _LONGEST_PART if mark else _LONGEST_EXCERPT]
    lines = _LINES.findall(part)[:_MOST_LINES]
    for line in lines:
        yield ExcerptLine(mark, (quoted(line if show_ends else line.removesuffix("\n"), _LONGEST_EXCERPT),))
    left_out = len(text) - sum(map(len, lines))
    if left_out:
        yield ExcerptLine(mark, (NotShown(f"... and {left_out:,} more characters, which are not shown"),))


def _agents(number: int) -> str:
    return "1 agent" if number == 1 else f"{number:,} agents"
