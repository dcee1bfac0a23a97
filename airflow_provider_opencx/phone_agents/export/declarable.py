"""Decides which parts of the existing agents can be declared, and says why the others cannot. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import JsonValue, ValidationError

from airflow_provider_opencx.normalization import normalize_name
from airflow_provider_opencx.phone_agents.entry import FleetEntry
from airflow_provider_opencx.phone_agents.names import name_fits
from airflow_provider_opencx.phone_agents.plan import (
    DOCUMENTED_DEFAULTS,
    PhoneAgents,
    find_differences,
    near_described,
)
from airflow_provider_opencx.resources.models import problems_of
from airflow_provider_opencx.resources.phone_agents import PhoneAgent, PhoneAgentChanges
from airflow_provider_opencx.text import listed
from airflow_provider_opencx.visible_text import identifier, in_quotes

_FIELDS = (
    "type",
    "language",
    "accent",
    "voice_id",
    "speed",
    "model",
    "first_message",
    "instructions",
    "handoff_phone_number",
    "interruptible",
    "use_org_knowledgebase",
    "action_ids",
    "data_collection_fields",
    "data_collection_webhook_url",
    "manual_mode",
    "custom_llm",
    "flow",
)
"""The fields of a declaration that an agent has, beside its name, in the order of the file."""

_OF_THE_SERVICE = frozenset(
    {"id", "name", "org_id", "phone_number", "created_at", "updated_at", "provider_external_id"}
)
"""Fields that the service gives an agent, and its name."""

_DEFAULTS: Mapping[str, JsonValue] = {
    **DOCUMENTED_DEFAULTS,
    "type": "outbound",
    "model": "oppie-vox",
    "manual_mode": False,
}
"""Values that need no declaration: those of the API's pages, the type that the provider sends, a switch that is off."""

_DEEPEST = 100
_MOST_VALUES = 10_000
_MOST_NAMED = 20
_LONGEST_REASON = 400


@dataclass(frozen=True)
class Entry:
    """An agent as an entry of a fleet file.

    :param agent: the agent.
    :param fields: what is declared of it, ``name`` and ``id`` first.
    :param left_out: the fields that cannot be declared, and why.
    :param notes: sentences about its name.
    """

    agent: PhoneAgent
    fields: Mapping[str, JsonValue]
    left_out: Mapping[str, str]
    notes: tuple[str, ...] = ()

    @property
    def sentences(self) -> list[str]:
        """Notes about the agent for a person, each with its field."""
        left_out = (f"{field} is left out: {reason}" for field, reason in self.left_out.items())
        return [f"{self.agent.label}: {sentence}" for sentence in (*self.notes, *left_out)]


@dataclass(frozen=True)
class Fleet:
    """The agents of an organization as a fleet.

    :param entries: the agents that are exported.
    :param total: the number of agents that were asked for.
    :param not_exported: a sentence for each agent, or several of one name, that are not.
    :param remarks: sentences about the organization.
    """

    entries: tuple[Entry, ...]
    total: int
    not_exported: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    def without(self, reasons: Mapping[str, str]) -> Fleet:
        """Return the fleet without some agents.

        :param reasons: the ids of the agents, and why they are not exported.
        """
        sentences = (
            f"{entry.agent.label} is not exported: {reasons[entry.agent.id]}"
            for entry in self.entries
            if entry.agent.id in reasons
        )
        kept = tuple(entry for entry in self.entries if entry.agent.id not in reasons)
        return replace(self, entries=kept, not_exported=(*self.not_exported, *sentences))

    @property
    def sentences(self) -> list[str]:
        """Notes for a person: about the organization, about what is not exported, and about what is."""
        of_entries = (sentence for entry in self.entries for sentence in entry.sentences)
        return [*self.remarks, *self.not_exported, *of_entries]


def fleet_of(agents: PhoneAgents, names: Sequence[str] = ()) -> Fleet:
    """Return the agents as a fleet, as far as they can be declared.

    :param agents: all agents of the organization.
    :param names: globs such as ``"Spring *"``; only agents whose names match one of them are taken. Default all.
    """
    entries: list[Entry] = []
    not_exported: dict[str, None] = {}
    wanted = [agent for agent in agents if _is_wanted(agent, names)]
    for agent in wanted:
        entry = _entry_of(agent, agents)
        if isinstance(entry, Entry):
            entries.append(entry)
        else:
            not_exported[entry] = None
    return Fleet(tuple(entries), len(wanted), tuple(not_exported), tuple(_remarks(agents)))


def _is_wanted(agent: PhoneAgent, patterns: Sequence[str]) -> bool:
    """Return whether an agent is asked for; where names are, none without a name is."""
    return not patterns or (agent.name is not None and name_fits(agent.name, patterns))


def _of_one_name(agents: Sequence[PhoneAgent]) -> str:
    ids = listed([identifier(agent.id) for agent in agents], _MOST_NAMED)
    return (
        f"{len(agents)} agents are named {in_quotes(agents[0].name or '')} and are not exported: {ids}. Rename all but"
        " one in the OpenCX dashboard, and export again."
    )


def _remarks(agents: PhoneAgents) -> Iterator[str]:
    if agents.unreadable:
        yield f"The list holds what cannot be read, and is not exported: {listed(agents.unreadable, separator='; ')}."
    shown = {
        field
        for agent in agents
        for field, value in {**dict(agent), **(agent.model_extra or {})}.items()
        if field not in _FIELDS and field not in _OF_THE_SERVICE and not _is_nothing(value) and value is not False
    }
    if shown:
        fields = listed([*map(identifier, sorted(shown))], _MOST_NAMED)
        yield f"The service shows fields that are no fields of a declaration, and stay as they are: {fields}."


def _entry_of(agent: PhoneAgent, agents: PhoneAgents) -> Entry | str:
    """Return an agent as an entry; a sentence that says why it cannot be one, if so."""
    if agent.name is not None and len(same := agents.named(agent.name)) > 1:
        return _of_one_name(same)
    name = normalize_name(agent.name or "")
    if reason := _why_not_exported(agent, name):
        return f"{agent.label} is not exported: {reason}."
    fields, left_out = _declared_fields(agent)
    return Entry(agent, {"name": name, "id": agent.id, **fields}, left_out, tuple(_notes(name, agent, agents)))


def _why_not_exported(agent: PhoneAgent, name: str) -> str | None:
    """Return why an agent cannot be declared, as the rest of a sentence; ``None`` if it can be.

    :param name: the normalized name of the agent; empty if it has none.
    """
    if agent.name is None:
        problem = agent.unreadable.get("name")
        return f"its name cannot be read ({problem})" if problem else "it has no name"
    if "type" in agent.unreadable:
        return f"its type cannot be read ({agent.unreadable['type']})"
    try:
        declared = FleetEntry.model_validate({"name": name, "id": agent.id})
    except ValidationError as invalid:
        return _described(invalid)
    if (declared.name, declared.id) != (name, agent.id):
        return "its name or its id cannot be declared as it is"
    return None


def _declared_fields(agent: PhoneAgent) -> tuple[dict[str, JsonValue], dict[str, str]]:
    """Return the fields that a declaration of an agent needs, and why other fields are left out, by field."""
    fields: dict[str, JsonValue] = {}
    left_out: dict[str, str] = {}
    for field in _FIELDS:
        if field in agent.unreadable:
            left_out[field] = f"it cannot be read ({agent.unreadable[field]})."
        elif field in agent.model_fields_set and not _needs_no_declaration(field, agent.field(field)):
            try:
                fields[field] = _declared_value(field, agent)
            except _UndeclarableError as reason:
                left_out[field] = f"{reason}."
    return fields, left_out


class _UndeclarableError(ValueError):
    """A field has a value that no declaration may hold."""


def _needs_no_declaration(field: str, value: JsonValue) -> bool:
    """Return whether a plan is the same without a value: it is empty, or the default.

    Null and an empty list of actions mean every action and none.
    """
    if field == "action_ids":
        return False
    default = _DEFAULTS.get(field)
    return _is_nothing(value) or (type(value) is type(default) and value == default)


def _is_nothing(value: JsonValue) -> bool:
    return value is None or (isinstance(value, str | list | dict) and not value)


def _declared_value(field: str, agent: PhoneAgent) -> JsonValue:
    """Return the value of a field as a declaration has it.

    :raises _UndeclarableError: if no declaration may hold it, or none means the same.
    """
    value = agent.field(field)
    if field == "type" and agent.type not in ("inbound", "outbound"):
        raise _UndeclarableError(f"{in_quotes(agent.type or '')} is neither inbound nor outbound")
    _check_size(value)
    try:
        changes = PhoneAgentChanges.model_validate({field: value})
    except ValidationError as invalid:
        raise _UndeclarableError(_described(invalid)) from None
    if differences := find_differences(changes, agent):
        raise _UndeclarableError(f"it would be changed ({cut(str(differences[0]))})")
    if field == "language" and changes.one_language is not None:
        return changes.one_language
    return value if field == "speed" else changes.declared_fields[field]


def _check_size(value: JsonValue) -> None:
    """Check that a value has its place in a file that people read.

    :raises _UndeclarableError: if it is nested too deeply, or holds too much.
    """
    level, number = [value], 0
    for _ in range(_DEEPEST):
        number += len(level)
        if number > _MOST_VALUES:
            raise _UndeclarableError(f"it holds more than {_MOST_VALUES:,} values")
        level = [
            child
            for parent in level
            if isinstance(parent, list | dict)
            for child in (parent.values() if isinstance(parent, dict) else parent)
        ]
        if not level:
            return
    raise _UndeclarableError(f"it is nested more than {_DEEPEST} levels deep")


def _described(invalid: ValidationError) -> str:
    return cut(listed([problem.message for problem in problems_of(invalid, FleetEntry)], 3, separator="; "))


def are_texts(items: list[JsonValue]) -> bool:
    """Return whether instructions are texts, and not ids of training scenarios: one of them holds a blank."""
    return any(isinstance(item, str) and len(item.split()) > 1 for item in items)


def cut(sentence: str) -> str:
    """Return a reason; of a very long one, the beginning."""
    return sentence if len(sentence) <= _LONGEST_REASON else f"{sentence[:_LONGEST_REASON]}..."


def _notes(name: str, agent: PhoneAgent, agents: PhoneAgents) -> Iterator[str]:
    if name != agent.name:
        yield (
            f"its name is stored as {in_quotes(agent.name or '')}; blanks at its ends and the composition of its"
            " characters make no difference."
        )
    if near := agents.near(name):
        yield f"its name is near that of {near_described(name, near)}."
