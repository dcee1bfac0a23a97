"""How far the plans of a fleet are applied: what is settled, and what the list has yet to show."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from operator import methodcaller
from typing import TypeAlias

from airflow_provider_opencx import metrics
from airflow_provider_opencx.client.client import OpenCXClient
from airflow_provider_opencx.client.retry_after import RetryAfter
from airflow_provider_opencx.exceptions import OpenCXError
from airflow_provider_opencx.phone_agents.circuit_breaker import CircuitBreaker
from airflow_provider_opencx.phone_agents.listing import list_agents
from airflow_provider_opencx.phone_agents.plan import Adopt, Create, PhoneAgents, Plan, Refuse, Unchanged, described
from airflow_provider_opencx.phone_agents.writes import LanguageForm, Outcome, Pending
from airflow_provider_opencx.resources.phone_agents import PhoneAgentChanges

CONFIRM_AFTER: Sequence[float] = (0, 1, 2, 4, 8, 15, 30)
"""Seconds before each read of the list for an agent that was written."""

log = logging.getLogger(__name__)


OnResult: TypeAlias = Callable[[int, int], None]
"""Is called after each write, with the number of writes that are done, and of all."""

Result: TypeAlias = Outcome | OpenCXError
"""What one plan of several resulted in: an error of one does not hold up the others."""


@dataclass(frozen=True)
class Planned:
    """What is to be done for one agent.

    :param plan: the plan.
    :param declared: what was declared of the agent, with which the result is compared.
    :param replan: makes the plan anew from another list of the agents.
    """

    plan: Plan
    declared: PhoneAgentChanges
    replan: Callable[[PhoneAgents], Plan]


class Progress:
    """What is planned, written and settled, agent by agent; each is known by its position.

    :param client: reads the list.
    :param planned: what is to be done for each agent.
    :param agents: the list from which it was planned; then the newest one.
    :param on_result: called after each write, with the number of writes that are done, and of all.
    """

    def __init__(
        self,
        client: OpenCXClient,
        planned: Sequence[Planned],
        agents: PhoneAgents,
        on_result: OnResult | None = None,
    ) -> None:
        self.client = client
        self.agents = agents
        self.language_form = LanguageForm()
        self._planned = list(planned)
        self._breaker = CircuitBreaker()
        self._report = _Report(len(planned), sum(each.plan.writes for each in planned), on_result)
        self._pending: dict[int, Pending] = {}
        self._results: dict[int, Result] = {}

    @property
    def results(self) -> list[Result]:
        """The results of all, in their order."""
        return [self._results[index] for index in range(len(self._planned))]

    def plan_of(self, index: int) -> Plan:
        """Return the newest plan for an agent."""
        return self._planned[index].plan

    def replan(self, index: int) -> Plan:
        """Make the plan for an agent anew, from the newest list, and return it."""
        planned = self._planned[index]
        self._planned[index] = replace(planned, plan=planned.replan(self.agents))
        return self._planned[index].plan

    def creates_from(self, agents: PhoneAgents, index: int) -> bool:
        """Return whether an agent would be created from a list of the agents: it does not show the agent."""
        return isinstance(self._planned[index].replan(agents), Create)

    def declared_of(self, index: int) -> PhoneAgentChanges:
        """Return what was declared of an agent."""
        return self._planned[index].declared

    def left(self, indexes: Collection[int] | None = None) -> list[int]:
        """Return those of which nothing is settled, and nothing was sent."""
        among = range(len(self._planned)) if indexes is None else indexes
        return [index for index in among if index not in self._results and index not in self._pending]

    def creates_left(self, indexes: Collection[int] | None = None) -> list[int]:
        """Return those that are yet to be created."""
        return [index for index in self.left(indexes) if isinstance(self.plan_of(index), Create)]

    def result_of(self, index: int) -> Result | None:
        """Return the result for an agent, ``None`` while it is not settled."""
        return self._results.get(index)

    def is_stopped(self, index: int) -> bool:
        """Return whether the write for an agent must not be sent, because others failed; its result is then known."""
        stopping = self._breaker.stopping(self.plan_of(index))
        if stopping is not None:
            self._results[index] = stopping
        return stopping is not None

    def settle(self, index: int, result: Result) -> None:
        """Record the result for an agent for which no write is pending."""
        plan = self.plan_of(index)
        self._results[index] = result
        if isinstance(result, OpenCXError):
            self._breaker.record(plan, result)
            self._report.failed(plan, result)
        else:
            self._report.decided(plan, result)

    def postpone(self, index: int, error: OpenCXError) -> None:
        """Record that nothing may be sent for an agent yet, which says nothing about the others."""
        self._results[index] = error
        self._report.failed(self.plan_of(index), error)

    def sent(self, index: int, pending: Pending) -> None:
        """Record that a write was sent, and that the list has yet to show it."""
        self._pending[index] = pending
        self._breaker.record(self.plan_of(index), pending.failure)
        self._report.sent(self.plan_of(index), pending)

    def look(self) -> OpenCXError | None:
        """Read the list until it shows every write, or another read cannot help; return why the last read failed."""
        failure: OpenCXError | None = None
        for seconds in CONFIRM_AFTER:
            if not self._pending:
                return None
            if asked := self._asked_to_wait():
                return asked
            time.sleep(seconds)
            try:
                self.agents = list_agents(self.client)
            except OpenCXError as error:
                failure = error
                if error.is_permanent or error.retry_after is not None:
                    return error
            else:
                failure = None
                self._settle_pending(methodcaller("seen_in", self.agents))
        return failure

    def give_up(self, failure: OpenCXError | None) -> None:
        """Settle what no list has shown.

        :param failure: why the list could not be read; ``None`` if it was.
        """
        self._settle_pending(methodcaller("unseen", failure))

    def _asked_to_wait(self) -> OpenCXError | None:
        """Return an error that asks for a wait longer than a worker should wait out: nothing is read then."""
        errors = [self._breaker.error, *(write.failure for write in self._pending.values())]
        return next((error for error in errors if RetryAfter.too_long(error)), None)

    def _settle_pending(self, outcome_of: Callable[[Pending], Outcome | None]) -> None:
        """Take the result of each pending write for which there is one now."""
        for index, write in list(self._pending.items()):
            result: Result | None
            try:
                result = outcome_of(write)
            except OpenCXError as error:
                result = error
                self._breaker.record(self.plan_of(index), error if error.is_permanent else None)
            if result is not None:
                self._results[index] = result
                del self._pending[index]
                self._report.shown(self.plan_of(index), write, result)


class _Report:
    """Reports to the log and the metrics what is done for each agent, and the progress (3 of 10).

    :param agents: the number of agents.
    :param writes: how many of them are written.
    :param on_result: called after each write, with the number of writes that are done, and of all.
    """

    def __init__(self, agents: int, writes: int, on_result: OnResult | None) -> None:
        self._agents = agents
        self._writes = writes
        self._on_result = on_result
        self._done = 0

    def decided(self, plan: Plan, outcome: Outcome) -> None:
        """Report an agent that is left as it is."""
        metrics.count_decision(outcome.decision)
        done = f"{outcome.decision.capitalize()} {outcome.agent.label}"
        log.log(self._level_of(plan), "%s%s", done, _details_of(plan))

    def sent(self, plan: Plan, pending: Pending) -> None:
        """Report a write that was sent."""
        if pending.agent is None:
            log.warning("%sThe outcome is not known yet: %s. %s", self._progress(), plan, pending)
        else:
            done = f"{plan.decision.capitalize()} {pending.agent.label}"
            log.info("%s%s%s", self._progress(), done, _details_of(plan))

    def shown(self, plan: Plan, write: Pending, result: Result) -> None:
        """Report what the list has shown of a write, or that it has not."""
        if isinstance(result, OpenCXError):
            metrics.count_decision("failed")
            return
        metrics.count_decision(result.decision)
        if write.agent is None:
            log.info("%s %s: it has appeared in the list.", result.decision.capitalize(), result.agent.label)

    def failed(self, plan: Plan, error: OpenCXError) -> None:
        """Report an agent that could not be written; of a single one, Airflow logs the error that is raised."""
        metrics.count_decision("refused" if isinstance(plan, Refuse) else "failed")
        if isinstance(plan, Refuse):
            if self._agents > 1:
                log.warning("Nothing was sent for an agent of the fleet: %s", error)
            return
        progress = self._progress()
        if self._writes > 1:
            log.warning("%s%s failed: %s", progress, plan, error)

    def _progress(self) -> str:
        self._done += 1
        if self._on_result is not None:
            self._on_result(self._done, self._writes)
        return f"{self._done} of {self._writes}: " if self._writes > 1 else ""

    def _level_of(self, plan: Plan) -> int:
        if isinstance(plan, Adopt) and plan.differences:
            return logging.WARNING
        # Of a fleet, most agents are unchanged on most days: the plan has their number.
        return logging.DEBUG if isinstance(plan, Unchanged) and self._agents > 1 else logging.INFO


def _details_of(plan: Plan) -> str:
    if isinstance(plan, Create):
        return "."
    if not plan.differences:
        return ": nothing differs."
    differences = described(plan.differences)
    return f" as it is. It is not as declared: {differences}." if isinstance(plan, Adopt) else f": {differences}."
