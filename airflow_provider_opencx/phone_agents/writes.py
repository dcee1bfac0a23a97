"""Writes of agents, each sent once, and what is known of one until the list confirms it.

The API has no idempotency key, and a response may be lost or show less than was declared: the list has the last word.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

from airflow_provider_opencx.client.client import OpenCXClient
from airflow_provider_opencx.client.retry_after import RetryAfter
from airflow_provider_opencx.exceptions import (
    OpenCXAgentNotFoundError,
    OpenCXAmbiguousNameError,
    OpenCXError,
    OpenCXNameMismatchError,
    OpenCXResponseError,
    OpenCXServerError,
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
    create_phone_agent,
    update_phone_agent,
)
from airflow_provider_opencx.text import shortened


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


class Pending(Protocol):
    """A write whose outcome the list must confirm."""

    @property
    def agent(self) -> PhoneAgent | None:
        """The agent as far as it is known; ``None`` if no response showed it."""

    @property
    def failure(self) -> OpenCXError | None:
        """Why it is not known whether the service handled the write; ``None`` if it said that it did."""

    @property
    def appears_late(self) -> bool:
        """Whether a list may show it only after a while."""

    def seen_in(self, agents: PhoneAgents) -> Outcome | None:
        """Return the outcome if a list shows it; ``None`` to read the list once more."""

    def unseen(self, failure: OpenCXError | None) -> Outcome:
        """Return the outcome where no list has shown it, or raise that it is not known.

        :param failure: why the list could not be read; ``None`` if it was.
        """


def create(client: OpenCXClient, spec: PhoneAgentSpec) -> Pending:
    """Send a create, and return what the list must confirm; raises the error of one that was not handled."""
    try:
        agent = create_phone_agent(client, spec)
    except OpenCXError as error:
        if not _may_have_been_handled(error):
            raise
        return _UnconfirmedCreate(spec, error)
    return _UnconfirmedCreate(spec) if agent is None else _Created(spec, agent)


def _may_have_been_handled(error: OpenCXError) -> bool:
    """Return whether an agent may exist after a create that failed so.

    Only a request that never arrived, or a refusal, says that none does.
    """
    if isinstance(error, OpenCXUnreachableError):
        return error.request_sent
    return isinstance(error, OpenCXServerError | OpenCXResponseError)


def update(client: OpenCXClient, plan: Update, declared: PhoneAgentChanges) -> Outcome | Pending:
    """Send an update, and return its outcome, or what the list must confirm.

    :param declared: what was declared of the agent, with which the result is compared.
    """
    try:
        returned = update_phone_agent(client, plan.agent.id, plan.changes)
    except OpenCXResponseError:
        # The service accepted the changes, and the list shows them.
        returned = None
    updated = _Updated(plan, declared, returned)
    outcome = None if returned is None else updated.outcome(returned)
    return updated if outcome is None or outcome.mismatches else outcome


@dataclass(frozen=True)
class _Created:
    """A create that the service accepted; the list shows whether somebody else created the name at the same moment.

    The API has no way to prevent that, but the writer that lists last sees both agents and fails.
    """

    failure: ClassVar[OpenCXError | None] = None
    appears_late: ClassVar[bool] = True

    spec: PhoneAgentSpec
    agent: PhoneAgent

    def seen_in(self, agents: PhoneAgents) -> Outcome | None:
        """Return the outcome, ``None`` while neither the response nor the list shows the agent as declared.

        :raises OpenCXAmbiguousNameError: if several agents have the name now.
        """
        try:
            agent_named(agents, self.spec.agent_name)
        except OpenCXAmbiguousNameError as several:
            raise several.with_message(
                f"The {self.agent.label} was created while another of its name was. {several}"
            ) from None
        listed = agents.with_id(self.agent.id)
        outcome = _outcome_of_create(self.spec, listed or self.agent)
        return None if listed is None and outcome.mismatches else outcome

    def unseen(self, failure: OpenCXError | None) -> Outcome:
        """Return the outcome where no list showed the agent: it exists, and the next run finds it.

        :raises OpenCXError: if the response left out what was declared, so that nothing is known of it.
        """
        outcome = _outcome_of_create(self.spec, self.agent)
        if outcome.mismatches and all(mismatch.actual is None for mismatch in outcome.mismatches):
            failure = failure or OpenCXError("The list does not show it.")
            raise failure.with_message(f"The {self.agent.label} was created, and could not be read back: {failure}")
        return outcome


@dataclass(frozen=True)
class _UnconfirmedCreate:
    """A create that may have been handled, and whose response did not show the agent.

    :param failure: what came instead of a response; ``None`` if there was one, which was empty.
    """

    agent: ClassVar[PhoneAgent | None] = None
    appears_late: ClassVar[bool] = True

    spec: PhoneAgentSpec
    failure: OpenCXError | None = None

    def __str__(self) -> str:
        return "The service accepted it with an empty response." if self.failure is None else str(self.failure)

    def seen_in(self, agents: PhoneAgents) -> Outcome | None:
        """Return the outcome if the agent has appeared."""
        agent = agent_named(agents, self.spec.agent_name)
        return None if agent is None else _outcome_of_create(self.spec, agent)

    def unseen(self, failure: OpenCXError | None) -> Outcome:
        """Raise that the outcome is not known."""
        not_known = f"Whether phone agent {shortened(self.spec.agent_name)!r} was created is not known: {self}"
        if failure is not None and failure.is_permanent:
            raise failure.with_message(f"{not_known} Listing the agents failed: {failure}")
        asked = RetryAfter.too_long(failure)
        raise OpenCXUnknownOutcomeError(
            f"{not_known} No agent of that name has appeared since, and the create was not sent again. The next try"
            " begins with the list, and adopts the agent if it is there.",
            retry_after=None if asked is None else asked.seconds,
        )


@dataclass(frozen=True)
class _Updated:
    """An update that the service accepted, and whose response does not show what was declared.

    :param returned: the agent as the response shows it, ``None`` if it shows none.
    """

    failure: ClassVar[OpenCXError | None] = None
    appears_late: ClassVar[bool] = False

    plan: Update
    declared: PhoneAgentChanges
    returned: PhoneAgent | None

    @property
    def agent(self) -> PhoneAgent:
        """The agent as it was before."""
        return self.plan.agent

    def outcome(self, agent: PhoneAgent) -> Outcome:
        """Return the outcome if the agent is now as given."""
        mismatches = tuple(filter(is_comparable, find_mismatches(self.declared, agent)))
        return Outcome(agent, self.plan.decision, mismatches)

    def seen_in(self, agents: PhoneAgents) -> Outcome:
        """Return the outcome; raises ``OpenCXAgentNotFoundError`` if the agent is gone."""
        agent = agents.with_id(self.plan.agent.id) or self.returned
        if agent is None:
            raise OpenCXAgentNotFoundError(
                f"The {self.plan.agent.label} was updated and is not in the organization's list any more.",
                agent_ids=[self.plan.agent.id],
            )
        return self.outcome(agent)

    def unseen(self, failure: OpenCXError | None) -> Outcome:
        """Raise that it could not be read back."""
        failure = failure or OpenCXError("the list was not read.")
        raise failure.with_message(f"The {self.plan.agent.label} was updated, and could not be read back: {failure}")


def _outcome_of_create(spec: PhoneAgentSpec, agent: PhoneAgent) -> Outcome:
    mismatches = find_mismatches(spec.for_creation(), agent)
    if agent.name is not None and any(mismatch.field == "name" for mismatch in mismatches):
        raise OpenCXNameMismatchError(
            f"OpenCX created {agent.label}, though the name {shortened(spec.agent_name)!r} was declared. Declare the"
            " name as OpenCX stores it: under another name the agent is not found again, and each run would create one"
            " more.",
            agent_id=agent.id,
            fields=["name"],
        )
    return Outcome(agent, Create.decision, mismatches)
