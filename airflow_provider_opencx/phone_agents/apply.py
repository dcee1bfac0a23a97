"""Applies plans: sends each write once, and confirms from the list what a response did not show.

One agent is a fleet of one: the same code writes either. Everything here is a flow (see :mod:`..client.flow`), so the
blocking and the async client run the same code.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from airflow_provider_opencx import metrics
from airflow_provider_opencx.client.errors import long_retry_after
from airflow_provider_opencx.client.flow import Flow, Pause
from airflow_provider_opencx.exceptions import (
    OpenCXAgentNotFoundError,
    OpenCXAmbiguousNameError,
    OpenCXAuthenticationError,
    OpenCXConfigError,
    OpenCXError,
    OpenCXNameMismatchError,
    OpenCXPermissionError,
    OpenCXRedirectError,
    OpenCXResponseError,
    OpenCXServerError,
    OpenCXUnknownOutcomeError,
    OpenCXUnreachableError,
)
from airflow_provider_opencx.phone_agents.plan import (
    Adopt,
    Create,
    Difference,
    PhoneAgents,
    Plan,
    Refuse,
    Unchanged,
    Update,
    find_mismatches,
    is_comparable,
    pick_agent,
)
from airflow_provider_opencx.resources.phone_agents import (
    PhoneAgent,
    PhoneAgentChanges,
    PhoneAgentSpec,
    create_phone_agent,
    list_phone_agents,
    update_phone_agent,
)
from airflow_provider_opencx.text import shortened

LIST_AGAIN_AFTER: Sequence[float] = (0, 1, 2, 4, 8)
"""Seconds before each read of the list for an agent whose create had no response, in this try or in an earlier one."""

LIST_IS_STALE_AFTER = 10.0
"""Seconds after which the list is read again before a create: somebody else may have created one of the names.

The wait of a create for the rate limit, or after a 429, comes on top.
"""

FAILURES_IN_A_ROW = 5
"""Consecutive failed writes after which the circuit breaker leaves the rest for the next try."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What one plan resulted in.

    :param agent: the agent, as the service describes it now.
    :param action: what was done to it.
    :param mismatches: the fields in which the service stored other values than declared.
    """

    agent: PhoneAgent
    action: Literal["created", "updated", "adopted", "unchanged"]
    mismatches: tuple[Difference, ...] = ()


Result: TypeAlias = Outcome | OpenCXError
"""What one plan of several resulted in: an error of one does not hold up the others."""


def list_agents() -> Flow[PhoneAgents]:
    """List the agents, to look them up."""
    return PhoneAgents((yield from list_phone_agents()))


def apply_plan(plan: Plan, declared: PhoneAgentChanges) -> Flow[Outcome]:
    """Apply one plan.

    :param declared: what was declared of the agent, with which the result is compared.
    :raises OpenCXError: the refusal of the plan, or why it could not be applied.
    """
    [result] = yield from apply_plans([(plan, declared)])
    if isinstance(result, OpenCXError):
        raise result
    return result


def apply_plans(plans: Sequence[tuple[Plan, PhoneAgentChanges]]) -> Flow[list[Result]]:
    """Send the write of each plan that needs one, then read the list once for what the responses did not show.

    :param plans: each with what was declared of its agent. Creates are sent first, because the list from which they
        were planned must not be stale.
    :return: the results in the order of the plans.
    """
    results: dict[int, Result] = {}
    unconfirmed: dict[int, _Unconfirmed] = {}
    breaker = _CircuitBreaker()
    guard = _StaleListGuard()
    report = _Report(len(plans), sum(isinstance(plan, Create | Update) for plan, _ in plans))
    for index in sorted(range(len(plans)), key=lambda index: not isinstance(plans[index][0], Create)):
        plan, declared = plans[index]
        if breaker.error is not None and isinstance(plan, Create | Update):
            results[index] = breaker.error.with_message(
                f"Nothing was sent for it, because others failed: {breaker.error}"
            )
            continue
        try:
            if isinstance(plan, Create):
                yield from guard.check(plan)
            written = yield from _write(plan, declared)
        except OpenCXError as error:
            results[index] = error
            breaker.record(error)
            report.failed(plan, error)
            continue
        if isinstance(written, Outcome):
            results[index] = written
        else:
            unconfirmed[index] = written
        if isinstance(plan, Create | Update):
            breaker.record(written.reason if isinstance(written, _UnconfirmedCreate) and not written.accepted else None)
        report.decided(plan, written)
    results |= yield from _confirm(unconfirmed, breaker.error)
    for index, write in unconfirmed.items():
        if isinstance(write, _UnconfirmedCreate):
            report.confirmed(results[index])
    return [results[index] for index in range(len(plans))]


def _write(plan: Plan, declared: PhoneAgentChanges) -> Flow[Outcome | _Unconfirmed]:
    """Send what one plan needs, and return its outcome, or a write that the list must confirm."""
    if isinstance(plan, Refuse):
        raise plan.error
    if isinstance(plan, Create):
        return (yield from _create(plan.spec))
    if isinstance(plan, Update):
        return (yield from _update(plan, declared))
    return Outcome(plan.agent, "adopted" if isinstance(plan, Adopt) else "unchanged")


def _create(spec: PhoneAgentSpec) -> Flow[_Created | _UnconfirmedCreate]:
    try:
        agent = yield from create_phone_agent(spec)
    except OpenCXError as error:
        if not _may_have_been_handled(error):
            raise
        return _UnconfirmedCreate(spec, error)
    if agent is None:
        return _UnconfirmedCreate(spec, OpenCXError("The service accepted it with an empty response."), accepted=True)
    return _Created(spec, agent)


def _may_have_been_handled(error: OpenCXError) -> bool:
    """Return whether an agent may exist after a create that failed so.

    Only a request that never arrived, or a refusal, says that none does.
    """
    if isinstance(error, OpenCXUnreachableError):
        return error.request_sent
    return isinstance(error, OpenCXServerError | OpenCXResponseError)


def _update(plan: Update, declared: PhoneAgentChanges) -> Flow[Outcome | _Updated]:
    try:
        returned = yield from update_phone_agent(plan.agent.id, plan.changes)
    except OpenCXResponseError:
        # The service accepted the changes, and the list shows them.
        returned = None
    updated = _Updated(plan, declared, returned)
    outcome = None if returned is None else updated.outcome(returned)
    return updated if outcome is None or outcome.mismatches else outcome


class _StaleListGuard:
    """Re-reads the list before a create when it is stale."""

    def __init__(self) -> None:
        self._listed_at = time.monotonic()
        self._agents = PhoneAgents([])

    def check(self, plan: Create) -> Flow[None]:
        """List again if the list is stale, and raise if the agent has appeared since it was planned."""
        if time.monotonic() - self._listed_at > LIST_IS_STALE_AFTER:
            self._agents = yield from list_agents()
            self._listed_at = time.monotonic()
        for agent in self._agents.named(plan.spec.agent_name):
            raise OpenCXError(
                f"The {agent.label} has appeared since the plan was made, so it was not created. The next try begins"
                " with it."
            )


@dataclass
class _CircuitBreaker:
    """Stops a fleet when failures affect every agent.

    :param error: the failure that says so; ``None`` while writes go on.
    """

    error: OpenCXError | None = None
    _in_a_row: int = field(default=0, init=False)

    def record(self, error: OpenCXError | None) -> None:
        """Record the result of a write: ``None`` if the service accepted it."""
        # A permanent error is about one agent, or in the list below.
        self._in_a_row = 0 if error is None or error.is_permanent else self._in_a_row + 1
        affects_all = isinstance(error, _ABOUT_THE_CONNECTION) or long_retry_after(error) is not None
        if affects_all or self._in_a_row >= FAILURES_IN_A_ROW:
            self.error = error


_ABOUT_THE_CONNECTION = (
    OpenCXAuthenticationError,
    OpenCXPermissionError,
    OpenCXRedirectError,
    OpenCXConfigError,
)
"""Errors that are not about one agent: the next write would meet the same."""


@dataclass(frozen=True)
class _Created:
    """A create that the service accepted; the list shows whether somebody else created the name at the same moment.

    The API has no way to prevent that, but the writer that lists last sees both agents and fails.
    """

    spec: PhoneAgentSpec
    agent: PhoneAgent

    def seen_in(self, agents: PhoneAgents) -> Outcome | None:
        """Return the outcome, ``None`` while neither the response nor the list shows the agent as declared.

        :raises OpenCXAmbiguousNameError: if several agents have the name now.
        """
        try:
            pick_agent(agents, agent_name=self.spec.agent_name)
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

    :param reason: why the agent is not known.
    :param accepted: whether there was a response, which only said that the create is accepted.
    """

    spec: PhoneAgentSpec
    reason: OpenCXError
    accepted: bool = False

    def seen_in(self, agents: PhoneAgents) -> Outcome | None:
        """Return the outcome if the agent has appeared."""
        agent = pick_agent(agents, agent_name=self.spec.agent_name)
        return None if agent is None else _outcome_of_create(self.spec, agent)

    def unseen(self, failure: OpenCXError | None) -> Outcome:
        """Raise that the outcome is not known."""
        not_known = f"Whether phone agent {shortened(self.spec.agent_name)!r} was created is not known: {self.reason}"
        if failure is not None and failure.is_permanent:
            raise failure.with_message(f"{not_known} Listing the agents failed: {failure}")
        raise OpenCXUnknownOutcomeError(
            f"{not_known} No agent of that name has appeared since, and the create was not sent again. The next try"
            " begins with the list, and adopts the agent if it is there.",
            retry_after=long_retry_after(failure),
        )


@dataclass(frozen=True)
class _Updated:
    """An update that the service accepted, and whose response does not show what was declared.

    :param returned: the agent as the response shows it, ``None`` if it shows none.
    """

    plan: Update
    declared: PhoneAgentChanges
    returned: PhoneAgent | None

    def outcome(self, agent: PhoneAgent) -> Outcome:
        """Return the outcome if the agent is now as given."""
        return Outcome(agent, "updated", tuple(filter(is_comparable, find_mismatches(self.declared, agent))))

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


_Unconfirmed: TypeAlias = _Created | _UnconfirmedCreate | _Updated
"""A write whose outcome must be confirmed from the list."""


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
    return Outcome(agent, "created", mismatches)


class _Report:
    """Reports to the log and the metrics what is done for each agent, and the progress (3 of 10).

    :param agents: the number of agents.
    :param writes: how many of them are written.
    """

    def __init__(self, agents: int, writes: int) -> None:
        self._agents = agents
        self._writes = writes
        self._done = 0

    def decided(self, plan: Plan, written: Outcome | _Unconfirmed) -> None:
        """Report an agent that was written, or left as it is."""
        if isinstance(written, _UnconfirmedCreate):
            name = shortened(written.spec.agent_name)
            log.warning("%sThe create of phone agent %r had no response: %s", self._count(), name, written.reason)
        elif isinstance(written, _Created):
            log.info("%sCreated %s.", self._count(), written.agent.label)
            metrics.count_decision("created")
        elif isinstance(plan, Update):
            log.info("%sUpdated %s: %s.", self._count(), plan.agent.label, _listed(plan.differences))
            metrics.count_decision("updated")
        elif isinstance(plan, Adopt):
            if plan.differences:
                differences = _listed(plan.differences)
                log.warning("Adopted %s as it is. It is not as declared: %s.", plan.agent.label, differences)
            else:
                log.info("Adopted %s as it is: nothing differs.", plan.agent.label)
            metrics.count_decision("adopted")
        elif isinstance(plan, Unchanged):
            # Of a fleet, most agents are unchanged on most days: the plan has their number.
            level = logging.INFO if self._agents == 1 else logging.DEBUG
            log.log(level, "Left %s as it is: nothing differs.", plan.agent.label)
            metrics.count_decision("unchanged")

    def confirmed(self, result: Result) -> None:
        """Report what the list has shown of a create without a response."""
        if isinstance(result, OpenCXError):
            metrics.count_decision("failed")
        else:
            log.info("Created %s: it has appeared in the list.", result.agent.label)
            metrics.count_decision("created")

    def failed(self, plan: Plan, error: OpenCXError) -> None:
        """Report an agent that could not be written; of a single one, Airflow logs the error that is raised."""
        metrics.count_decision("refused" if isinstance(plan, Refuse) else "failed")
        if self._writes > 1:
            log.warning("%s%s failed: %s", self._count(), plan, error)

    def _count(self) -> str:
        self._done += 1
        return f"{self._done} of {self._writes}: " if self._writes > 1 else ""


def _listed(differences: Sequence[Difference]) -> str:
    return "; ".join(map(str, differences))


def _confirm(unconfirmed: Mapping[int, _Unconfirmed], stopped_by: OpenCXError | None) -> Flow[dict[int, Result]]:
    """Read the list until it has shown the outcome of each write, or another read cannot help.

    :param stopped_by: the error that stopped the writes, ``None`` if nothing did.
    """
    results: dict[int, Result] = {}
    reasons = [write.reason for write in unconfirmed.values() if isinstance(write, _UnconfirmedCreate)]
    failure = next((error for error in [stopped_by, *reasons] if long_retry_after(error) is not None), None)
    # An update was handled, so there is nothing to wait for.
    is_waiting = any(not isinstance(write, _Updated) for write in unconfirmed.values())
    for seconds in () if failure else LIST_AGAIN_AFTER if is_waiting else (None,):
        if len(results) == len(unconfirmed):
            break
        if seconds is not None:
            yield Pause(seconds)
        try:
            agents = yield from list_agents()
        except OpenCXError as error:
            failure = error
            if error.is_permanent or long_retry_after(error) is not None:
                break
            continue
        for index in unconfirmed.keys() - results.keys():
            try:
                outcome = unconfirmed[index].seen_in(agents)
            except OpenCXError as error:
                results[index] = error
            else:
                if outcome is not None:
                    results[index] = outcome
    for index in unconfirmed.keys() - results.keys():
        try:
            results[index] = unconfirmed[index].unseen(failure)
        except OpenCXError as error:
            results[index] = error
    return results
