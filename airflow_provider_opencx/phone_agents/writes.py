"""Lists and writes agents for the reconciliation engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar, TypeAlias

from airflow_provider_opencx.client.client import OpenCXClient
from airflow_provider_opencx.exceptions import (
    OpenCXNameMismatchError,
    OpenCXRequestRefusedError,
    OpenCXRequestRefusedPermanentError,
    OpenCXResponseError,
)
from airflow_provider_opencx.normalization import normalize_name
from airflow_provider_opencx.phone_agents.listing import list_agents
from airflow_provider_opencx.phone_agents.plan import PhoneAgents, agent_named, find_mismatches, is_comparable
from airflow_provider_opencx.reconciliation.confirmation import Updated, created
from airflow_provider_opencx.reconciliation.plans import Difference, Update
from airflow_provider_opencx.reconciliation.resource import Pending, Resource
from airflow_provider_opencx.resources.phone_agents import (
    PhoneAgent,
    PhoneAgentChanges,
    PhoneAgentSpec,
    create_phone_agent,
    update_phone_agent,
)
from airflow_provider_opencx.visible_text import in_quotes

AgentWrite: TypeAlias = Pending[PhoneAgent, PhoneAgents]

READ_AFTER_REFUSAL: Sequence[float] = (0, 1, 2, 4, 8)
"""Seconds before each read of the list for an agent whose create was refused, before it is sent in another form."""


@dataclass
class LanguageForm:
    """The form in which the service has taken the one language of an agent, after it refused the other.

    :param as_text: whether that is a string, as before 2026, or a list; ``None`` as long as no form was refused.
    """

    as_text: bool | None = None

    def first(self, *, shown_as_text: bool) -> bool:
        """Return whether a language is sent as a string first.

        :param shown_as_text: whether the service shows it so.
        """
        return shown_as_text if self.as_text is None else self.as_text


@dataclass
class PhoneAgentResource(Resource[PhoneAgentSpec, PhoneAgentChanges, PhoneAgent, PhoneAgents]):
    """The agents of an organization, for the engine.

    :param client: sends the requests.
    """

    noun: ClassVar[str] = "phone agent"

    client: OpenCXClient
    _language_form: LanguageForm = field(default_factory=LanguageForm, init=False)

    def list_items(self) -> PhoneAgents:
        """Return all agents."""
        return list_agents(self.client)

    def create(
        self, spec: PhoneAgentSpec, items: PhoneAgents, appears: Callable[[Sequence[float]], bool]
    ) -> AgentWrite | None:
        """Send a create in the form of language that the service shows, and in the other one if that is refused.

        :param items: the agents that existed before.
        :param appears: reads the list until it shows the agent, and returns whether it does.
        :return: what the list must confirm; ``None`` if the agent was stored although its create was refused.
        :raises OpenCXNameMismatchError: if the response shows the agent under another name.
        """
        as_text = self._language_form.first(shown_as_text=items.language_is_text)
        try:
            return self._create(spec, items, language_as_text=as_text)
        except OpenCXRequestRefusedPermanentError as refused:
            if not _may_be_about_language(refused, spec):
                raise
            if appears(READ_AFTER_REFUSAL):
                return None
            try:
                pending = self._create(spec, items, language_as_text=not as_text)
            except OpenCXRequestRefusedPermanentError as again:
                raise _refused_in_both_forms(refused, again) from None
            self._language_form.as_text = not as_text
            return pending

    def update(self, plan: Update[PhoneAgentChanges, PhoneAgent], declared: PhoneAgentChanges) -> AgentWrite:
        """Send an update, in the form of language in which the service shows the agent, or in the other one.

        :param declared: what was declared of the agent, with which the result is compared.
        """
        as_text = self._language_form.first(shown_as_text=bool(plan.item.language_is_text))
        try:
            returned = _send_update(self.client, plan, language_as_text=as_text)
        except OpenCXRequestRefusedError as refused:
            if not _may_be_about_language(refused, plan.changes):
                raise
            try:
                returned = _send_update(self.client, plan, language_as_text=not as_text)
            except OpenCXRequestRefusedError as again:
                raise _refused_in_both_forms(refused, again) from None
            self._language_form.as_text = not as_text
        return Updated(self, plan, declared, returned if returned is not None and returned.id == plan.item.id else None)

    def find(self, spec: PhoneAgentSpec, items: PhoneAgents) -> PhoneAgent | None:
        """Return the agent of the declared name; raises ``OpenCXAmbiguousNameError`` if several have it."""
        return agent_named(items, spec.agent_name)

    def stored_otherwise(self, spec: PhoneAgentSpec, items: PhoneAgents) -> Sequence[PhoneAgent]:
        """Return the agents whose names may be what the service has made of the declared one."""
        return items.stored_otherwise(spec.agent_name)

    def check_identity(self, spec: PhoneAgentSpec, item: PhoneAgent) -> None:
        """Check that a new agent has the declared name; raises ``OpenCXNameMismatchError`` if not."""
        if item.name is not None and normalize_name(item.name) != spec.agent_name:
            raise OpenCXNameMismatchError(
                f"OpenCX created {item.label}, though the name {in_quotes(spec.agent_name)} was declared. Declare the"
                " name as OpenCX stores it: under another name the agent is not found again, and each run would create"
                " one more.",
                agent_id=item.id,
                fields=["name"],
            )

    def mismatches_of_new(self, spec: PhoneAgentSpec, item: PhoneAgent) -> tuple[Difference, ...]:
        """Return the fields in which a new agent was stored otherwise than declared."""
        return find_mismatches(spec.for_creation(), item)

    def mismatches(self, declared: PhoneAgentChanges, item: PhoneAgent) -> tuple[Difference, ...]:
        """Return the fields in which an agent was stored otherwise than declared, as far as they can be compared."""
        return tuple(filter(is_comparable, find_mismatches(declared, item)))

    def _create(self, spec: PhoneAgentSpec, agents: PhoneAgents, *, language_as_text: bool) -> AgentWrite:
        send = partial(create_phone_agent, self.client, spec, language_as_text=language_as_text)
        return created(self, spec, agents, send)


def _send_update(
    client: OpenCXClient, plan: Update[PhoneAgentChanges, PhoneAgent], *, language_as_text: bool
) -> PhoneAgent | None:
    try:
        return update_phone_agent(client, plan.item.id, plan.changes, language_as_text=language_as_text)
    except OpenCXResponseError:
        return None  # the service accepted the changes, and the list shows them


def _may_be_about_language(refused: OpenCXRequestRefusedError, changes: PhoneAgentChanges) -> bool:
    """Return whether a write was refused, perhaps, for the form of its language alone, which is another before 2026."""
    return refused.status_code in (400, 422) and changes.one_language is not None


def _refused_in_both_forms(
    refused: OpenCXRequestRefusedError, again: OpenCXRequestRefusedError
) -> OpenCXRequestRefusedError:
    """Return the error of a write that was refused in both forms: the reader decides which refusal is about more.

    It is permanent only where both refusals are.
    """
    error = refused if again.is_permanent else again
    return error.with_message(f"{refused} With the language in its other form, a list or a string: {again}")
