"""Writes of agents, each sent once, and what is known of one until a list shows it.

The API has no idempotency key, a response may be lost or untrue, and a list may lag: a write is done when a list shows
it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from airflow_provider_opencx.client.client import OpenCXClient
from airflow_provider_opencx.client.retry_after import RetryAfter
from airflow_provider_opencx.exceptions import (
    OpenCXAmbiguousNameError,
    OpenCXAPIError,
    OpenCXError,
    OpenCXNameMismatchError,
    OpenCXRateLimitError,
    OpenCXRequestRefusedError,
    OpenCXResponseError,
    OpenCXUnconfirmedError,
    OpenCXUnknownOutcomeError,
    OpenCXUnreachableError,
)
from airflow_provider_opencx.metrics import Decision
from airflow_provider_opencx.phone_agents.plan import (
    Create,
    Difference,
    PhoneAgents,
    Update,
    agent_named,
    find_mismatches,
    is_comparable,
)
from airflow_provider_opencx.resources.phone_agents import (
    PhoneAgent,
    PhoneAgentChanges,
    PhoneAgentSpec,
    agent_label,
    create_phone_agent,
    normalize_name,
    update_phone_agent,
)
from airflow_provider_opencx.visible_text import in_quotes


@dataclass(frozen=True)
class Outcome:
    """What one plan resulted in.

    :param agent: the agent, as the service describes it now.
    :param decision: what was decided for it.
    :param mismatches: the fields in which the service stored other values than declared.
    """

    agent: PhoneAgent
    decision: Decision
    mismatches: tuple[Difference, ...] = ()


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


class Pending(Protocol):
    """A write that the list must confirm."""

    @property
    def agent(self) -> PhoneAgent | None:
        """The agent as far as it is known; ``None`` if no response showed it."""

    @property
    def failure(self) -> OpenCXError | None:
        """Why it is not known whether the service handled the write; ``None`` if it said that it did."""

    def seen_in(self, agents: PhoneAgents) -> Outcome | None:
        """Return the outcome if a list shows it; ``None`` to read the list once more."""

    def unseen(self, failure: OpenCXError | None) -> Outcome:
        """Return the outcome where no list has shown it, or raise that it is not known.

        :param failure: why the list could not be read; ``None`` if it was.
        """


def create(client: OpenCXClient, spec: PhoneAgentSpec, agents: PhoneAgents, *, language_as_text: bool) -> Pending:
    """Send a create, and return what the list must confirm; raises the error of one that was not handled.

    :param agents: the agents that existed before.
    :param language_as_text: send one language as a string, as before 2026.
    :raises OpenCXNameMismatchError: if the response shows the agent under another name.
    """
    try:
        agent = create_phone_agent(client, spec, language_as_text=language_as_text)
    except OpenCXError as error:
        if not _may_have_been_handled(error):
            raise
        return _UnconfirmedCreate(spec, agents, error)
    if agent is None:
        return _UnconfirmedCreate(spec, agents)
    _check_name(spec, agent)
    return _Created(spec, agent)


def _may_have_been_handled(error: OpenCXError) -> bool:
    """Return whether an agent may exist after a create that failed so.

    Only a request that never arrived, or a refusal by the service itself, says that none does.
    """
    if isinstance(error, OpenCXUnreachableError):
        return error.request_sent
    return isinstance(error, OpenCXAPIError) and not (error.is_permanent or isinstance(error, OpenCXRateLimitError))


def _check_name(spec: PhoneAgentSpec, agent: PhoneAgent) -> None:
    if agent.name is not None and normalize_name(agent.name) != spec.agent_name:
        raise OpenCXNameMismatchError(
            f"OpenCX created {agent.label}, though the name {in_quotes(spec.agent_name)} was declared. Declare the"
            " name as OpenCX stores it: under another name the agent is not found again, and each run would create one"
            " more.",
            agent_id=agent.id,
            fields=["name"],
        )


def update(client: OpenCXClient, plan: Update, declared: PhoneAgentChanges, form: LanguageForm) -> Pending:
    """Send an update, and return what the list must confirm.

    One language is sent in the form in which the service shows it; where that is refused, in the other one.

    :param declared: what was declared of the agent, with which the result is compared.
    :param form: the form that the service took before; the one that it takes now is noted there.
    """
    as_text = form.first(shown_as_text=bool(plan.agent.language_is_text))
    try:
        returned = _send_update(client, plan, language_as_text=as_text)
    except OpenCXRequestRefusedError as refused:
        if not may_be_about_language(refused, plan.changes):
            raise
        try:
            returned = _send_update(client, plan, language_as_text=not as_text)
        except OpenCXRequestRefusedError as again:
            raise refused_in_both_forms(refused, again) from None
        form.as_text = not as_text
    return _Updated(plan, declared, returned if returned is not None and returned.id == plan.agent.id else None)


def _send_update(client: OpenCXClient, plan: Update, *, language_as_text: bool) -> PhoneAgent | None:
    try:
        return update_phone_agent(client, plan.agent.id, plan.changes, language_as_text=language_as_text)
    except OpenCXResponseError:
        return None  # the service accepted the changes, and the list shows them


def may_be_about_language(refused: OpenCXRequestRefusedError, changes: PhoneAgentChanges) -> bool:
    """Return whether a write was refused, perhaps, for the form of its language alone, which is another before 2026."""
    return refused.status_code in (400, 422) and changes.one_language is not None


def refused_in_both_forms(
    refused: OpenCXRequestRefusedError, again: OpenCXRequestRefusedError
) -> OpenCXRequestRefusedError:
    """Return the error of a write that was refused in both forms: the reader decides which refusal is about more.

    It is permanent only where both refusals are.
    """
    error = refused if again.is_permanent else again
    return error.with_message(f"{refused} With the language in its other form, a list or a string: {again}")


@dataclass
class _Created:
    """A create that the service accepted; the list shows whether that is so, and whether another has the name.

    :param agent: the agent as the response shows it.
    """

    spec: PhoneAgentSpec
    agent: PhoneAgent
    failure: OpenCXError | None = field(default=None, init=False)
    _listed: Outcome | None = field(default=None, init=False)

    @property
    def _label(self) -> str:
        """What messages call the agent: its declared name where the response leaves the name out."""
        return agent_label(self.spec.agent_name if self.agent.name is None else self.agent.name, self.agent.id)

    def seen_in(self, agents: PhoneAgents) -> Outcome | None:
        """Return the outcome if a list shows the agent as declared, or as the response shows it.

        :raises OpenCXAmbiguousNameError: if several agents have the name now.
        """
        try:
            agent_named(agents, self.spec.agent_name)
        except OpenCXAmbiguousNameError as several:
            raise several.with_message(
                f"The {self._label} was created while another of its name was. {several}"
            ) from None
        agent = agents.with_id(self.agent.id)
        if agent is None:
            return None
        self._listed = _outcome_of_create(self.spec, agent)
        return self._listed if _agrees(self._listed, self.agent) else None

    def unseen(self, failure: OpenCXError | None) -> Outcome:
        """Return the outcome where the list shows the agent otherwise than the response did.

        :raises OpenCXError: if no list has shown it: the response is not believed.
        """
        if self._listed is not None:
            return self._listed
        if failure is not None:
            raise failure.with_message(f"The {self._label} was created, and could not be read back: {failure}")
        raise OpenCXUnconfirmedError(
            f"OpenCX said that it created {self._label}, and no list has shown it since. It was not sent again."
            " The next try begins with the list, and adopts the agent if it is there.",
            agent_id=self.agent.id,
        )


@dataclass(frozen=True)
class _UnconfirmedCreate:
    """A create that may have been handled, and whose response did not show the agent.

    :param before: the agents that existed before.
    :param failure: what came instead of a response; ``None`` if there was one, which was empty.
    """

    spec: PhoneAgentSpec
    before: PhoneAgents
    failure: OpenCXError | None = None
    agent: None = field(default=None, init=False)

    def __str__(self) -> str:
        return "The service accepted it with an empty response." if self.failure is None else str(self.failure)

    def seen_in(self, agents: PhoneAgents) -> Outcome | None:
        """Return the outcome if the agent has appeared; raises an error if it has under another name."""
        agent = agent_named(agents, self.spec.agent_name)
        if agent is not None:
            return _outcome_of_create(self.spec, agent)
        for near in agents.stored_otherwise(self.spec.agent_name):
            if self.before.with_id(near.id) is None:
                _check_name(self.spec, near)
        return None

    def unseen(self, failure: OpenCXError | None) -> Outcome:
        """Raise that the outcome is not known."""
        not_known = f"Whether phone agent {in_quotes(self.spec.agent_name)} was created is not known: {self}"
        if failure is not None and failure.is_permanent:
            raise failure.with_message(f"{not_known} Listing the agents failed: {failure}")
        asked = RetryAfter.too_long(failure)
        raise OpenCXUnknownOutcomeError(
            f"{not_known} No agent of that name has appeared since, and the create was not sent again. The next try"
            " begins with the list, and adopts the agent if it is there.",
            retry_after=None if asked is None else asked.seconds,
        )


@dataclass
class _Updated:
    """An update that the service accepted, until a list shows it.

    :param returned: the agent as the response shows it; ``None`` if it shows none.
    """

    plan: Update
    declared: PhoneAgentChanges
    returned: PhoneAgent | None
    failure: OpenCXError | None = field(default=None, init=False)
    _listed: Outcome | None = field(default=None, init=False)

    @property
    def agent(self) -> PhoneAgent:
        """The agent as it was before."""
        return self.plan.agent

    def seen_in(self, agents: PhoneAgents) -> Outcome | None:
        """Return the outcome if the list shows the agent as declared, or as it is after the update."""
        agent = agents.with_id(self.agent.id)
        if agent is None:
            return None
        mismatches = tuple(filter(is_comparable, find_mismatches(self.declared, agent)))
        self._listed = Outcome(agent, self.plan.decision, mismatches)
        return self._listed if _agrees(self._listed, self.returned) or self._was_changed_since(agent) else None

    def _was_changed_since(self, agent: PhoneAgent) -> bool:
        """Return whether a list shows the agent after the update, where no response has shown it."""
        before, after = self.agent.updated_at, agent.updated_at
        return self.returned is None and isinstance(before, str) and isinstance(after, str) and after > before

    def unseen(self, failure: OpenCXError | None) -> Outcome:
        """Return the outcome if no response has shown another one.

        :raises OpenCXError: if the list could not be read, or does not show what the response did.
        """
        if failure is not None:
            raise failure.with_message(f"The {self.agent.label} was updated, and could not be read back: {failure}")
        if self._listed is not None and self.returned is None:
            return self._listed
        shows = "shows it no more" if self._listed is None else "still shows it as it was before"
        raise OpenCXUnconfirmedError(
            f"OpenCX said that it updated {self.agent.label}, and the list {shows}. The next try compares again.",
            agent_id=self.agent.id,
        )


def _agrees(listed: Outcome, returned: PhoneAgent | None) -> bool:
    """Return whether nothing is left to wait for: all is as declared, or differs as the response says as well."""
    return all(
        returned is not None
        and mismatch.field not in returned.unreadable
        and returned.field(mismatch.field) == mismatch.actual
        for mismatch in listed.mismatches
    )


def _outcome_of_create(spec: PhoneAgentSpec, agent: PhoneAgent) -> Outcome:
    _check_name(spec, agent)
    return Outcome(agent, Create.decision, find_mismatches(spec.for_creation(), agent))
