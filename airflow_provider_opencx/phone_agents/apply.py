"""Sends what plans ask for, once, and looks at the list for what became of it.

One agent is a fleet of one: the same code writes either. Everything here is a flow (see :mod:`.api.requests`), so the
sync and the async hook run the same code.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_opencx import metrics
from airflow_provider_opencx.client import requests
from airflow_provider_opencx.client.requests import Flow, Pause, asked_to_wait
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
from airflow_provider_opencx.resources.phone_agents import PhoneAgent, PhoneAgentChanges, PhoneAgentSpec, shortened

LIST_AGAIN_AFTER: Sequence[float] = (0, 1, 2, 4, 8)
"""Seconds before each look at the list for an agent whose create was not answered, in this try or in an earlier one."""

LIST_IS_STALE_AFTER = 10.0
"""Seconds after which many creates do not go on without a new list: somebody else may have created one of the names.

The wait of a create for its turn in the pace, or after a 429, comes on top.
"""

FAILURES_IN_A_ROW = 5
"""After so many failed writes in a row the rest is left for the next try: the service is in trouble."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What became of one plan.

    :param agent: the agent, as the service describes it now.
    :param action: what was done to it.
    :param mismatches: the members that the service left other than asked.
    """

    agent: PhoneAgent
    action: Literal["created", "updated", "adopted", "unchanged"]
    mismatches: tuple[Difference, ...] = ()


Result: TypeAlias = Outcome | OpenCXError
"""What became of one plan of several: an error of one does not hold up the others."""


def list_agents() -> Flow[PhoneAgents]:
    """List the agents, to look them up."""
    return PhoneAgents((yield from requests.list_phone_agents()))


def apply_plan(plan: Plan, declared: PhoneAgentChanges) -> Flow[Outcome]:
    """Carry out one plan.

    :param declared: what was declared of the agent, with which the result is compared.
    :raises OpenCXError: the refusal of the plan, or why it could not be carried out.
    """
    [result] = yield from apply_plans([(plan, declared)])
    if isinstance(result, OpenCXError):
        raise result
    return result


def apply_plans(plans: Sequence[tuple[Plan, PhoneAgentChanges]]) -> Flow[list[Result]]:
    """Send the write of each plan that asks for one, then look once at the list for what the answers did not show.

    :param plans: each with what was declared of its agent. Creates are sent first, because the list from which they
        were planned must not be old.
    :return: the results in the order of the plans.
    """
    results: dict[int, Result] = {}
    sent: dict[int, _Sent] = {}
    trouble = _Trouble()
    guard = _CreateGuard()
    report = _Report(len(plans), sum(isinstance(plan, Create | Update) for plan, _ in plans))
    for index in sorted(range(len(plans)), key=lambda index: not isinstance(plans[index][0], Create)):
        plan, declared = plans[index]
        if trouble.error is not None and isinstance(plan, Create | Update):
            results[index] = trouble.error.saying(f"Nothing was sent for it, because others failed: {trouble.error}")
            continue
        try:
            if isinstance(plan, Create):
                yield from guard.look_before(plan)
            written = yield from _write(plan, declared)
        except OpenCXError as error:
            results[index] = error
            trouble.judge(error)
            report.failed(plan, error)
            continue
        if isinstance(written, Outcome):
            results[index] = written
        else:
            sent[index] = written
        if isinstance(plan, Create | Update):
            trouble.judge(written.reason if isinstance(written, _Unanswered) and not written.accepted else None)
        report.decided(plan, written)
    results |= yield from _look_for(sent, trouble.error)
    for index, write in sent.items():
        if isinstance(write, _Unanswered):
            report.looked_for(results[index])
    return [results[index] for index in range(len(plans))]


def _write(plan: Plan, declared: PhoneAgentChanges) -> Flow[Outcome | _Sent]:
    """Send what one plan asks for, and return its outcome, or what the list is to be asked about."""
    if isinstance(plan, Refuse):
        raise plan.error
    if isinstance(plan, Create):
        return (yield from _create(plan.spec))
    if isinstance(plan, Update):
        return (yield from _update(plan, declared))
    return Outcome(plan.agent, "adopted" if isinstance(plan, Adopt) else "unchanged")


def _create(spec: PhoneAgentSpec) -> Flow[_Created | _Unanswered]:
    try:
        agent = yield from requests.create_phone_agent(spec)
    except OpenCXError as error:
        if not _may_have_been_handled(error):
            raise
        return _Unanswered(spec, error)
    if agent is None:
        return _Unanswered(spec, OpenCXError("The service accepted it with an empty answer."), accepted=True)
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
        answered = yield from requests.update_phone_agent(plan.agent.id, plan.changes)
    except OpenCXResponseError:
        # The service took the changes, and the list will tell.
        answered = None
    updated = _Updated(plan, declared, answered)
    outcome = None if answered is None else updated.outcome(answered)
    return updated if outcome is None or outcome.mismatches else outcome


class _CreateGuard:
    """Sees to it that many creates are not sent on the word of an old list."""

    def __init__(self) -> None:
        self._listed_at = time.monotonic()
        self._agents = PhoneAgents([])

    def look_before(self, plan: Create) -> Flow[None]:
        """List again where it is time, and raise if the agent has appeared since it was planned."""
        if time.monotonic() - self._listed_at > LIST_IS_STALE_AFTER:
            self._agents = yield from list_agents()
            self._listed_at = time.monotonic()
        for agent in self._agents.named(plan.spec.agent_name):
            raise OpenCXError(
                f"The {agent.label} has appeared since the plan was made, so it was not created. The next try begins"
                " with it."
            )


@dataclass
class _Trouble:
    """Knows when the failures of some writes say that the others would fail, too.

    :param error: the failure that said so.
    """

    error: OpenCXError | None = None
    _in_a_row: int = field(default=0, init=False)

    def judge(self, error: OpenCXError | None) -> None:
        """Take in how a write went: ``None`` if it was answered."""
        self._in_a_row = 0 if error is None or isinstance(error, AirflowFailException) else self._in_a_row + 1
        of_all = isinstance(error, _OF_THE_CONNECTION) or asked_to_wait(error) is not None
        if of_all or self._in_a_row >= FAILURES_IN_A_ROW:
            self.error = error


_OF_THE_CONNECTION = (
    OpenCXAuthenticationError,
    OpenCXPermissionError,
    OpenCXRedirectError,
    OpenCXConfigError,
)
"""Errors that are not about an agent: the next write would meet the same."""


@dataclass(frozen=True)
class _Created:
    """A create that was answered; the list tells whether somebody else created the name at the same moment.

    The API has no way to prevent that; but whoever lists last sees both, and does not report a success.
    """

    spec: PhoneAgentSpec
    agent: PhoneAgent

    def seen_in(self, agents: PhoneAgents) -> Outcome | None:
        """Return the outcome, ``None`` while neither the answer nor the list shows the agent as declared.

        :raises OpenCXAmbiguousNameError: if several agents have the name now.
        """
        try:
            pick_agent(agents, agent_name=self.spec.agent_name)
        except OpenCXAmbiguousNameError as several:
            raise several.saying(
                f"The {self.agent.label} was created while another of its name was. {several}"
            ) from None
        listed = agents.with_id(self.agent.id)
        outcome = _outcome_of_create(self.spec, listed or self.agent)
        return None if listed is None and outcome.mismatches else outcome

    def unseen(self, failure: OpenCXError | None) -> Outcome:
        """Return the outcome where no list showed the agent: it exists, and the next run looks again.

        :raises OpenCXError: if the answer left out what was declared, so that nothing is known of it.
        """
        outcome = _outcome_of_create(self.spec, self.agent)
        if outcome.mismatches and all(mismatch.actual is None for mismatch in outcome.mismatches):
            failure = failure or OpenCXError("The list does not show it.")
            raise failure.saying(f"The {self.agent.label} was created, and could not be read back: {failure}")
        return outcome


@dataclass(frozen=True)
class _Unanswered:
    """A create that may have been carried out, and was not answered.

    :param reason: why there was no answer.
    :param accepted: whether there was one, which said no more than that the create is taken.
    """

    spec: PhoneAgentSpec
    reason: OpenCXError
    accepted: bool = False

    def seen_in(self, agents: PhoneAgents) -> Outcome | None:
        """Return the outcome if the agent has shown up."""
        agent = pick_agent(agents, agent_name=self.spec.agent_name)
        return None if agent is None else _outcome_of_create(self.spec, agent)

    def unseen(self, failure: OpenCXError | None) -> Outcome:
        """Raise that the outcome is not known."""
        not_known = f"Whether phone agent {shortened(self.spec.agent_name)!r} was created is not known: {self.reason}"
        if isinstance(failure, AirflowFailException):
            raise failure.saying(f"{not_known} Looking for it failed: {failure}")
        raise OpenCXUnknownOutcomeError(
            f"{not_known} No agent of that name has appeared since, and the create was not sent again. The next try"
            " looks first, and adopts the agent if it is there.",
            retry_after=asked_to_wait(failure),
        )


@dataclass(frozen=True)
class _Updated:
    """An update that was taken, and whose answer does not show what was asked.

    :param answered: the agent as the answer shows it, ``None`` if it shows none.
    """

    plan: Update
    declared: PhoneAgentChanges
    answered: PhoneAgent | None

    def outcome(self, agent: PhoneAgent) -> Outcome:
        """Return the outcome if the agent is now as given."""
        return Outcome(agent, "updated", tuple(filter(is_comparable, find_mismatches(self.declared, agent))))

    def seen_in(self, agents: PhoneAgents) -> Outcome:
        """Return the outcome; raises ``OpenCXAgentNotFoundError`` if the agent is gone."""
        agent = agents.with_id(self.plan.agent.id) or self.answered
        if agent is None:
            raise OpenCXAgentNotFoundError(
                f"The {self.plan.agent.label} was updated and is not in the organization's list any more.",
                agent_ids=[self.plan.agent.id],
            )
        return self.outcome(agent)

    def unseen(self, failure: OpenCXError | None) -> Outcome:
        """Raise that it could not be read back."""
        failure = failure or OpenCXError("the list was not read.")
        raise failure.saying(f"The {self.plan.agent.label} was updated, and could not be read back: {failure}")


_Sent: TypeAlias = _Created | _Unanswered | _Updated
"""A write of which the list is to tell what became."""


def _outcome_of_create(spec: PhoneAgentSpec, agent: PhoneAgent) -> Outcome:
    mismatches = find_mismatches(spec.for_creation(), agent)
    if agent.name is not None and any(mismatch.member == "name" for mismatch in mismatches):
        raise OpenCXNameMismatchError(
            f"OpenCX created {agent.label}, though the name {shortened(spec.agent_name)!r} was declared. Declare the"
            " name as OpenCX stores it: under another name the agent is not found again, and each run would create one"
            " more.",
            agent_id=agent.id,
            members=["name"],
        )
    return Outcome(agent, "created", mismatches)


class _Report:
    """Tells the log and the metrics what is done for each agent: a line for each, and how far many writes are.

    :param agents: for how many.
    :param writes: how many of them are written.
    """

    def __init__(self, agents: int, writes: int) -> None:
        self._agents = agents
        self._writes = writes
        self._done = 0

    def decided(self, plan: Plan, written: Outcome | _Sent) -> None:
        """Tell of an agent that was written, or left as it is."""
        if isinstance(written, _Unanswered):
            name = shortened(written.spec.agent_name)
            log.warning("%sThe create of phone agent %r was not answered: %s", self._count(), name, written.reason)
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

    def looked_for(self, result: Result) -> None:
        """Tell what the list has shown after a create was not answered."""
        if isinstance(result, OpenCXError):
            metrics.count_decision("failed")
        else:
            log.info("Created %s: it has appeared in the list.", result.agent.label)
            metrics.count_decision("created")

    def failed(self, plan: Plan, error: OpenCXError) -> None:
        """Tell of an agent that could not be written; of a single one, Airflow logs the error that is raised."""
        metrics.count_decision("refused" if isinstance(plan, Refuse) else "failed")
        if self._writes > 1:
            log.warning("%s%s failed: %s", self._count(), plan, error)

    def _count(self) -> str:
        self._done += 1
        return f"{self._done} of {self._writes}: " if self._writes > 1 else ""


def _listed(differences: Sequence[Difference]) -> str:
    return "; ".join(map(str, differences))


def _look_for(sent: Mapping[int, _Sent], trouble: OpenCXError | None) -> Flow[dict[int, Result]]:
    """Look at the list until it has shown what became of each write, or there is no point in looking on.

    :param trouble: why the writes were broken off, ``None`` if they were not.
    """
    results: dict[int, Result] = {}
    failure = _asked_to_wait_by([trouble, *(write.reason for write in sent.values() if isinstance(write, _Unanswered))])
    # An update was carried out, so nothing is to be waited for.
    patient = any(not isinstance(write, _Updated) for write in sent.values())
    for seconds in () if failure else LIST_AGAIN_AFTER if patient else (None,):
        if len(results) == len(sent):
            break
        if seconds is not None:
            yield Pause(seconds)
        try:
            agents = yield from list_agents()
        except OpenCXError as error:
            failure = error
            if isinstance(error, AirflowFailException) or asked_to_wait(error) is not None:
                break
            continue
        for index in sent.keys() - results.keys():
            try:
                outcome = sent[index].seen_in(agents)
            except OpenCXError as error:
                results[index] = error
            else:
                if outcome is not None:
                    results[index] = outcome
    for index in sent.keys() - results.keys():
        try:
            results[index] = sent[index].unseen(failure)
        except OpenCXError as error:
            results[index] = error
    return results


def _asked_to_wait_by(errors: Sequence[OpenCXError | None]) -> OpenCXError | None:
    return next((error for error in errors if asked_to_wait(error) is not None), None)
