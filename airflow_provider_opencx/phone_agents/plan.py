"""Decides what to do: compares a declaration with the agents that exist. Pure; sends nothing.

The same comparison serves before a write (what differs?) and after it (was it stored?).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Literal, TypeAlias

from pydantic import JsonValue

from airflow_provider_opencx.exceptions import (
    OpenCXAgentExistsError,
    OpenCXAgentNotFoundError,
    OpenCXAmbiguousNameError,
    OpenCXArgumentError,
    OpenCXNearNameError,
    OpenCXPlanRefusedError,
    OpenCXResponseError,
)
from airflow_provider_opencx.normalization import normalize_name
from airflow_provider_opencx.phone_agents.entry import FleetEntry
from airflow_provider_opencx.phone_agents.names import NearNames, difference_of, tidied
from airflow_provider_opencx.phone_numbers import normalize_phone_number
from airflow_provider_opencx.reconciliation import plans
from airflow_provider_opencx.reconciliation.items import ItemList
from airflow_provider_opencx.reconciliation.plans import Adopt, Create, Difference, Refuse, Unchanged, Update
from airflow_provider_opencx.resources.languages import language_codes
from airflow_provider_opencx.resources.phone_agents import (
    SERVICE_CHOOSES,
    PhoneAgent,
    PhoneAgentChanges,
    PhoneAgentSpec,
)
from airflow_provider_opencx.text import UNSTORABLE, listed
from airflow_provider_opencx.visible_text import identifier, in_quotes

_MOST_NEAR = 3
_MOST_UNREADABLE = 3
_LONGEST_NUMBER = 100
_TELEPHONE_NUMBER = re.compile(r"\+?(?!0+\Z)[0-9]{7,15}")

IfExists: TypeAlias = Literal["adopt", "fail"]


class PhoneAgents(ItemList[PhoneAgent]):
    """All agents of an organization, indexed by id and by name.

    A thousand waiting tasks search one list of thousands of agents, so a search must cost next to nothing.

    :param agents: the agents, as listed.
    :param listed_at: when their list was asked for, by ``time.monotonic()``; by default now. What was written later may
        be missing.
    :param unreadable: what is wrong with items of the list that cannot be read; by default what the list says.

    Where a list shows an agent twice, the newer state counts, see :func:`.resources.phone_agents.list_phone_agents`.
    """

    def __init__(
        self,
        agents: Iterable[PhoneAgent],
        listed_at: float | None = None,
        unreadable: Sequence[str] | None = None,
    ) -> None:
        super().__init__(agents, listed_at, unreadable)
        self._by_name: dict[str, list[PhoneAgent]] = {}
        for agent in self:
            if agent.name is not None:
                self._by_name.setdefault(normalize_name(agent.name), []).append(agent)

    def shows(self, identity: str) -> bool:
        """Return whether an agent has a name."""
        return bool(self.named(identity))

    def named(self, name: str) -> list[PhoneAgent]:
        """Return the agents of a name; nothing says that the service keeps names unique."""
        return self._by_name.get(normalize_name(name), [])

    def near(self, name: str) -> list[PhoneAgent]:
        """Return the agents whose names are another one than this, and near it: a reader may take them for one."""
        return list({agent.id: agent for agent in (*self._near.of(name), *self.stored_otherwise(name))}.values())

    def stored_otherwise(self, name: str) -> list[PhoneAgent]:
        """Return the agents whose names are what a service may have made of this one: fewer than are near it."""
        return self._tidied.of(name)

    @cached_property
    def _near(self) -> NearNames[PhoneAgent]:
        return NearNames(self._with_names())

    @cached_property
    def _tidied(self) -> NearNames[PhoneAgent]:
        return NearNames(self._with_names(), tidied)

    def _with_names(self) -> Iterator[tuple[str, PhoneAgent]]:
        return ((agent.name, agent) for agent in self if agent.name is not None)

    @cached_property
    def org_id(self) -> str | None:
        """The id of their organization; ``None`` if there are no agents, or they do not all show the same."""
        shown = {agent.org_id if isinstance(agent.org_id, str) else None for agent in self}
        return shown.pop() if len(shown) == 1 else None

    @cached_property
    def of_unknown_name(self) -> Sequence[str]:
        """Listed items that may have any name: unreadable items, and agents whose names are not shown."""
        problems = ((agent, agent.unreadable.get("name")) for agent in self if "name" not in agent.model_fields_set)
        return [*self.unreadable, *(f"{agent.label}: {problem or 'name: is not shown'}" for agent, problem in problems)]

    @cached_property
    def language_is_text(self) -> bool:
        """Whether the service writes an agent's ``language`` as a string, as it did before 2026, and not as a list."""
        return any(agent.language_is_text for agent in self) and not any(
            agent.language_is_text is False for agent in self
        )


def has_number(agent: PhoneAgent) -> bool:
    """Return whether an agent has its phone number: 7 to 15 digits, not all of them zero, with spacing or without."""
    number = agent.phone_number or ""
    return len(number) <= _LONGEST_NUMBER and bool(_TELEPHONE_NUMBER.fullmatch(normalize_phone_number(number)))


Plan: TypeAlias = plans.Plan[PhoneAgentSpec, PhoneAgent, PhoneAgentChanges]
"""The plan for one agent."""


def plan_create(
    spec: PhoneAgentSpec, agents: PhoneAgents, if_exists: IfExists, *, allow_near_name: bool = False
) -> Create[PhoneAgentSpec, PhoneAgent] | Adopt[PhoneAgent] | Refuse:
    """Plan for exactly one agent of the declared name, left unchanged if it exists.

    :param allow_near_name: whether one may be created beside another whose name is near.
    """
    agent = _the_agent_of(spec, agents, allow_near_name)
    if not isinstance(agent, PhoneAgent):
        return agent
    if refusal := _refuse_unreadable({"type", *spec.declared_fields}, agent):
        return refusal
    if if_exists == "fail":
        return Refuse(
            OpenCXAgentExistsError(
                f"An agent of that name exists: {agent.label}. Use if_exists='adopt' to take it as it is, or"
                " OpenCXUpsertPhoneAgentOperator to keep it as declared.",
                agent_ids=[agent.id],
            )
        )
    return _refuse_another_type(spec, agent) or Adopt(agent, find_differences(spec, agent))


def plan_upsert(spec: PhoneAgentSpec, agents: PhoneAgents, *, allow_near_name: bool = False) -> Plan:
    """Plan for exactly one agent of the declared name, as declared.

    :param allow_near_name: whether one may be created beside another whose name is near.
    """
    agent = _the_agent_of(spec, agents, allow_near_name)
    if not isinstance(agent, PhoneAgent):
        return agent
    if refusal := _refuse_unreadable({"type"}, agent):
        return refusal
    if "type" not in spec.declared_fields and (refusal := _refuse_another_type(spec, agent)):
        return refusal
    return plan_update(spec, agent, agents)


def plan_update(changes: PhoneAgentChanges, agent: PhoneAgent, agents: PhoneAgents) -> Plan:
    """Plan to bring one existing agent to the declared fields, by sending only those that differ.

    :param agents: all agents, so that a new name does not make a second agent of that name.
    """
    if refusal := _refuse_unreadable(changes.declared_fields, agent):
        return refusal
    differences = tuple(filter(is_comparable, find_differences(changes, agent)))
    fields = {difference.field for difference in differences}
    if "model" in fields:
        return _refuse_model(changes, agent)
    if "name" in fields and (others := agents.named(changes.name or "")):
        return Refuse(
            OpenCXAmbiguousNameError(
                f"The {agent.label} cannot be renamed to {in_quotes(changes.name or '')}: {others[0].label} has that"
                " name. Nothing was sent.",
                agent_ids=[agent.id, *(other.id for other in others)],
            )
        )
    if "name" in fields and agents.of_unknown_name:
        return _refuse_unknown_names(changes.name or "", agents)
    return Update(agent, changes.only(fields), differences) if differences else Unchanged(agent)


def pick_agent(agents: PhoneAgents, *, agent_id: str | None = None, agent_name: str | None = None) -> PhoneAgent | None:
    """Return the agent of an id or of a name, ``None`` if there is none.

    :raises OpenCXAmbiguousNameError: if several have the name.
    """
    agent_id, agent_name = checked_selector(agent_id, agent_name)
    if agent_id is not None:
        return agents.with_id(agent_id)
    return agent_named(agents, agent_name or "")


def agent_named(agents: PhoneAgents, name: str) -> PhoneAgent | None:
    """Return the agent of a name, ``None`` if there is none; raises ``OpenCXAmbiguousNameError`` if several have it."""
    named = agents.named(name)
    if refusal := _refuse_several(name, named):
        raise refusal.error
    return named[0] if named else None


def find_agent(agents: PhoneAgents, *, agent_id: str | None = None, agent_name: str | None = None) -> PhoneAgent | None:
    """Return the agent of an id or of a name, ``None`` if there is certainly none.

    :raises OpenCXResponseError: if what cannot be read in the list may be the agent.
    """
    agent = pick_agent(agents, agent_id=agent_id, agent_name=agent_name)
    if agent is None and (unreadable := agents.of_unknown_name if agent_id is None else agents.unreadable):
        raise OpenCXResponseError(
            f"Whether there is a {describe_selector(agent_id, agent_name)} is not known, because the list holds what"
            f" cannot be read: {listed(unreadable, _MOST_UNREADABLE, separator='; ')}. Another try reads it again."
        )
    return agent


def require_agent(agents: PhoneAgents, *, agent_id: str | None = None, agent_name: str | None = None) -> PhoneAgent:
    """Return the agent of an id or of a name; raises ``OpenCXAgentNotFoundError`` if there is none."""
    agent = find_agent(agents, agent_id=agent_id, agent_name=agent_name)
    if agent is None:
        near = [] if agent_name is None else agents.near(agent_name)
        hint = f" Did you mean {near_described(agent_name or '', near)}?" if near else ""
        raise not_found(describe_selector(agent_id, agent_name), [agent_id] if agent_id else [], hint=hint)
    return agent


def near_described(name: str, near: Sequence[PhoneAgent]) -> str:
    """Return the agents whose names are near one, and what they differ in, for messages."""
    return listed(
        [f"{agent.label}, whose name differs only in {difference_of(name, agent.name or '')}" for agent in near],
        _MOST_NEAR,
        separator="; ",
        more="; and {} more",
    )


def not_found(
    described: str, agent_ids: Sequence[str], observed: str = "", *, hint: str = ""
) -> OpenCXAgentNotFoundError:
    """Return the error that an agent is not there.

    :param described: the agent, or several of them.
    :param agent_ids: their ids, if known.
    :param observed: how that was observed, for the message.
    :param hint: which one may be meant, as a sentence after a blank.
    """
    return OpenCXAgentNotFoundError(
        f"There is no {described} in this organization{observed}.{hint} Has it been deleted, or does the connection's"
        " API key belong to another organization?",
        agent_ids=agent_ids,
    )


def checked_selector(agent_id: object, agent_name: object) -> tuple[str | None, str | None]:
    """Return an id or a name that selects an agent, the other ``None``.

    :param agent_id: an id, or an agent as a task returns it.
    :param agent_name: a name.
    :raises OpenCXArgumentError: if there is not exactly one of them, or it is not a string, or empty.
    """
    if agent_id is None and agent_name is None:
        raise OpenCXArgumentError(
            "give either agent_id or agent_name; one that was given is None where the task that should have returned it"
            " was skipped, or pushes no result"
        )
    if agent_id is not None and agent_name is not None:
        raise OpenCXArgumentError("give either agent_id or agent_name, and not both")
    if agent_name is None:
        return _checked_text("agent_id", id_of(agent_id)), None
    if isinstance(agent_name, Mapping):
        raise OpenCXArgumentError(
            "agent_name: must be a name, and not an agent; write agent_id=agent.output, or"
            " agent_name=agent.output['name']"
        )
    return None, _checked_text("agent_name", agent_name)


def _checked_text(argument: str, value: object) -> str:
    if isinstance(value, list | tuple):
        raise OpenCXArgumentError(
            f"{argument}: must be one agent, and is a list of {len(value)}; to make a task for each, write"
            f" .partial(...).expand({argument}=...)"
        )
    if not isinstance(value, str) or not value.strip():
        raise OpenCXArgumentError(f"{argument}: must be a string that is not empty")
    if UNSTORABLE.search(value):
        raise OpenCXArgumentError(f"{argument}: holds a NUL, or half of a character, which no agent has")
    return value


def id_of(agent: object) -> object:
    """Return the id of an agent that a task has returned, and any other value unchanged.

    :raises OpenCXArgumentError: if it is a mapping without the id of an agent.
    """
    if not isinstance(agent, Mapping):
        return agent
    if not isinstance(agent.get("id"), str):
        raise OpenCXArgumentError(
            "agent_id: a mapping must be an agent as a task returns it, with its id; write agent_id=agent.output, or"
            " agent_id=agent.output['id']"
        )
    return agent["id"]


def describe_selector(agent_id: str | None, agent_name: str | None) -> str:
    """Describe an agent that was not found yet, for messages."""
    if agent_id is not None:
        return f"phone agent {identifier(agent_id)}"
    return f"phone agent named {in_quotes(agent_name or '')}"


def find_differences(declared: PhoneAgentChanges, agent: PhoneAgent) -> tuple[Difference, ...]:
    """Return the declared fields in which the agent differs, compared by meaning."""
    return tuple(
        replace(difference, is_left_to_the_service=difference.wanted is None and difference.field in SERVICE_CHOOSES)
        for difference in plans.find_differences(declared.declared_fields, agent.field, comparable_form)
        if not _is_documented_default(difference)
    )


def is_comparable(difference: Difference) -> bool:
    """Return whether a difference from an agent that existed before can be compared.

    A service that does not return the model gives nothing to compare, and null asks for no model in particular.
    """
    return difference.field != "model" or None not in (difference.wanted, difference.actual)


def find_mismatches(declared: PhoneAgentChanges, stored: PhoneAgent) -> tuple[Difference, ...]:
    """Return the fields in which a write stored other values than declared.

    A declared ``None`` for which the service stored a default is not a mismatch.
    """
    return tuple(
        difference for difference in find_differences(declared, stored) if not difference.is_left_to_the_service
    )


DOCUMENTED_DEFAULTS: dict[str, JsonValue] = {
    "first_message": "Hello?",
    "use_org_knowledgebase": False,
    "interruptible": True,
}
"""Values that the API's pages give for null, so that a declared ``None`` is reached once and then left alone."""


def _is_documented_default(difference: Difference) -> bool:
    field = difference.field
    return (
        difference.wanted is None and field in DOCUMENTED_DEFAULTS and difference.actual == DOCUMENTED_DEFAULTS[field]
    )


def comparable_form(field: str, value: JsonValue) -> JsonValue:
    """Return the form of a field's value that is the same for all values of one meaning."""
    form = FORMS.get(field)
    return value if form is None else form(value)


def _language_form(value: JsonValue) -> JsonValue:
    codes = language_codes(value)
    return _set_form([str(code).lower() for code in codes]) if isinstance(codes, list) else value


def _set_form(value: JsonValue) -> JsonValue:
    if not isinstance(value, list):
        return value
    return [*sorted({item if isinstance(item, str) else json.dumps(item, sort_keys=True) for item in value})]


def _phone_number_form(value: JsonValue) -> JsonValue:
    return normalize_phone_number(value) if isinstance(value, str) else value


def _name_form(value: JsonValue) -> JsonValue:
    return normalize_name(value) if isinstance(value, str) else value


def _number_form(value: JsonValue) -> JsonValue:
    return int(value) if isinstance(value, float) and value.is_integer() else value


FORMS: dict[str, Callable[[JsonValue], JsonValue]] = {
    "name": _name_form,
    "language": _language_form,
    "handoff_phone_number": _phone_number_form,
    "action_ids": _set_form,
    "speed": _number_form,
    "data_collection_fields": _set_form,
}
"""The form in which two values of a field are compared, where it is not the value itself."""


def _the_agent_of(
    spec: PhoneAgentSpec, agents: PhoneAgents, allow_near_name: bool
) -> PhoneAgent | Create[PhoneAgentSpec, PhoneAgent] | Refuse:
    if (agent_id := declared_id(spec)) is not None:
        return agents.with_id(agent_id) or _refuse_unknown_id(spec, agent_id, agents)
    for name in names_of(spec):
        if named := agents.named(name):
            return _refuse_several(name, named) or named[0]
    if agents.of_unknown_name:
        return _refuse_unknown_names(spec.agent_name, agents)
    if not allow_near_name:
        for name in names_of(spec):
            if near := agents.near(name):
                return _refuse_near_name(spec, name, near)
    return Create(spec, tuple(agents.near(spec.agent_name)))


def declared_id(spec: PhoneAgentSpec) -> str | None:
    """Return the id of the agent that a declaration is about; ``None`` if the agent is found by its name."""
    return spec.id if isinstance(spec, FleetEntry) else None


def names_of(spec: PhoneAgentSpec) -> list[str]:
    """Return the names by which an agent is found, the declared one first; none where its id is declared."""
    if declared_id(spec) is not None:
        return []
    previous = spec.previous_name if isinstance(spec, FleetEntry) else None
    return [spec.agent_name] if previous is None else [spec.agent_name, previous]


def is_shown(spec: PhoneAgentSpec, agents: PhoneAgents) -> bool:
    """Return whether a list shows the agent of a declaration, or several that it may be about."""
    if (agent_id := declared_id(spec)) is not None:
        return agents.with_id(agent_id) is not None
    return any(map(agents.named, names_of(spec)))


def _refuse_unknown_id(spec: PhoneAgentSpec, agent_id: str, agents: PhoneAgents) -> Refuse:
    if agents.unreadable:
        unreadable = listed(agents.unreadable, _MOST_UNREADABLE, separator="; ")
        return Refuse(
            OpenCXResponseError(
                f"Whether there is a phone agent {identifier(agent_id)}, declared as {in_quotes(spec.agent_name)},"
                f" is not known, because the list holds what cannot be read: {unreadable}. Another try reads it"
                " again."
            )
        )
    named = agents.named(spec.agent_name)
    hint = f" The agent of that name has the id {identifier(named[0].id)}." if len(named) == 1 else ""
    return Refuse(
        OpenCXAgentNotFoundError(
            f"There is no phone agent {identifier(agent_id)} in this organization, declared as"
            f" {in_quotes(spec.agent_name)}, and an agent with an id is not created.{hint} Has it been deleted, or is"
            " this another organization? Correct its id; to create an agent, leave the id out.",
            agent_ids=[agent_id],
        )
    )


def _refuse_unreadable(fields: Collection[str], agent: PhoneAgent) -> Refuse | None:
    """Refuse to compare fields of an agent if one of them cannot be read; another try may read it."""
    unreadable = next((field for field in agent.unreadable if field in fields), None)
    return None if unreadable is None else Refuse(agent.not_readable(unreadable))


def _refuse_unknown_names(name: str, agents: PhoneAgents) -> Refuse:
    unreadable = listed(agents.of_unknown_name, _MOST_UNREADABLE, separator="; ")
    return Refuse(
        OpenCXResponseError(
            f"Whether an agent is named {in_quotes(name)} is not known, because the list holds what cannot be read:"
            f" {unreadable}. So no agent gets this name. Another try reads the list again; if this stays, correct or"
            " delete that agent in the OpenCX dashboard."
        )
    )


def _refuse_near_name(spec: PhoneAgentSpec, name: str, near: Sequence[PhoneAgent]) -> Refuse:
    """Refuse to create an agent.

    :param name: the declared name, or the previous one, that the names of some agents are near.
    """
    remedy = (
        "If the same agent is meant, declare its name as it is; if another one is, allow it with allow_near_name."
        if name == spec.agent_name
        else f"If it is the agent to be renamed to {in_quotes(spec.agent_name)}, write its name as it is as"
        " previous_name; if another one is meant, leave previous_name out."
    )
    return Refuse(
        OpenCXNearNameError(
            f"No agent is named {in_quotes(name)}, and there is"
            f" {near_described(name, near)}. So none is created. {remedy}",
            agent_ids=[agent.id for agent in near],
        )
    )


def _refuse_model(changes: PhoneAgentChanges, agent: PhoneAgent) -> Refuse:
    return Refuse(
        OpenCXPlanRefusedError(
            f"The model of {agent.label} is {in_quotes(agent.model or '')} and cannot be changed to"
            f" {in_quotes(changes.model or '')}: OpenCX fixes it at creation. Nothing was sent. Leave model out, or"
            " declare an agent of another name.",
            agent_ids=[agent.id],
        )
    )


def _refuse_several(name: str, agents: Sequence[PhoneAgent]) -> Refuse | None:
    if len(agents) < 2:
        return None
    ids = [agent.id for agent in agents]
    return Refuse(
        OpenCXAmbiguousNameError(
            f"{len(agents)} agents are named {in_quotes(name)}: {listed([*map(identifier, ids)])}. Rename all but one"
            " in the OpenCX dashboard, or with OpenCXUpdatePhoneAgentOperator by agent_id; deleting one loses its"
            " number.",
            agent_ids=ids,
        )
    )


def _refuse_another_type(spec: PhoneAgentSpec, agent: PhoneAgent) -> Refuse | None:
    is_written = "type" in spec.declared_fields
    wanted = spec.for_creation().type
    if agent.type is None or agent.type == wanted or (not is_written and agent.type != "inbound"):
        return None
    declared = f"an {wanted} agent is declared" if is_written else f"no type is written, which means {wanted}"
    return Refuse(
        OpenCXPlanRefusedError(
            f"The {agent.label} exists and is {identifier(agent.type)}, while {declared}. Nothing was sent. If that"
            f" line is meant to become {wanted}, declare it in an upsert or a sync with type={wanted!r}; if it is to"
            f" stay {identifier(agent.type)}, write type={in_quotes(agent.type)}; otherwise choose another name.",
            agent_ids=[agent.id],
        )
    )
