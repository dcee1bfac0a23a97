"""Applies plans: sends each write once, and confirms from the list what a response did not show.

One agent is a fleet of one: the same code writes either.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import methodcaller
from typing import TypeAlias

from airflow_provider_opencx import metrics
from airflow_provider_opencx.client.client import OpenCXClient
from airflow_provider_opencx.client.retry_after import RetryAfter
from airflow_provider_opencx.exceptions import (
    OpenCXAuthenticationError,
    OpenCXConfigError,
    OpenCXError,
    OpenCXPermissionError,
    OpenCXRedirectError,
)
from airflow_provider_opencx.phone_agents import writes
from airflow_provider_opencx.phone_agents.plan import Adopt, Create, PhoneAgents, Plan, Refuse, Unchanged, Update
from airflow_provider_opencx.phone_agents.writes import Outcome, Pending
from airflow_provider_opencx.resources.phone_agents import PhoneAgentChanges, list_phone_agents

LIST_AGAIN_AFTER: Sequence[float] = (0, 1, 2, 4, 8)
"""Seconds before each read of the list for an agent whose create had no response, in this try or in an earlier one."""

LIST_IS_STALE_AFTER = 10.0
"""Seconds after which the list is read again before a create: somebody else may have created one of the names.

The wait of a create for the rate limit, or after a 429, comes on top.
"""

FAILURES_IN_A_ROW = 5
"""Consecutive failed writes after which the circuit breaker leaves the rest for the next try."""

log = logging.getLogger(__name__)


Result: TypeAlias = Outcome | OpenCXError
"""What one plan of several resulted in: an error of one does not hold up the others."""


def list_agents(client: OpenCXClient) -> PhoneAgents:
    """List the agents, to search them."""
    listed_at = time.monotonic()
    return PhoneAgents(list_phone_agents(client), listed_at)


def apply_plan(client: OpenCXClient, plan: Plan, declared: PhoneAgentChanges, listed_at: float) -> Outcome:
    """Apply one plan.

    :param client: sends the requests.
    :param plan: what is to be done.
    :param declared: what was declared of the agent, with which the result is compared.
    :param listed_at: when the list from which it was planned was asked for, by ``time.monotonic()``.
    :raises OpenCXError: the refusal of the plan, or why it could not be applied.
    """
    [result] = FleetWriter(client, [(plan, declared)], listed_at).write()
    if isinstance(result, OpenCXError):
        raise result
    return result


class FleetWriter:
    """Sends the write of each plan that needs one, then reads the list for what the responses did not show.

    :param client: sends the requests.
    :param plans: each with what was declared of its agent.
    :param listed_at: when the list from which they were planned was asked for, by ``time.monotonic()``.
    """

    def __init__(self, client: OpenCXClient, plans: Sequence[tuple[Plan, PhoneAgentChanges]], listed_at: float) -> None:
        self._client = client
        self._plans = plans
        self._breaker = CircuitBreaker()
        self._guard = StaleListGuard(client, listed_at)
        self._report = _Report(len(plans), sum(plan.writes for plan, _ in plans))
        self._pending: dict[int, Pending] = {}
        self._results: dict[int, Result] = {}

    def write(self) -> list[Result]:
        """Apply the plans, and return their results in the same order."""
        for index, plan, declared in self._creates_first():
            if plan.writes and self._breaker.error is not None:
                self._results[index] = self._breaker.error.with_message(
                    f"Nothing was sent for it, because others failed: {self._breaker.error}"
                )
                continue
            try:
                written = self._send(plan, declared)
            except OpenCXError as error:
                self._results[index] = error
                self._breaker.record(error)
                self._report.failed(plan, error)
            else:
                self._record(index, plan, written)
        self._confirm()
        return [self._results[index] for index in range(len(self._plans))]

    def _creates_first(self) -> Iterator[tuple[int, Plan, PhoneAgentChanges]]:
        """Return the plans with creates first: the list from which they were planned must not be stale."""
        for creates in (True, False):
            for index, (plan, declared) in enumerate(self._plans):
                if isinstance(plan, Create) is creates:
                    yield index, plan, declared

    def _send(self, plan: Plan, declared: PhoneAgentChanges) -> Outcome | Pending:
        """Send what one plan needs, and return its outcome, or a write that the list must confirm."""
        if isinstance(plan, Refuse):
            raise plan.error
        if isinstance(plan, Create):
            self._guard.check(plan)
            return writes.create(self._client, plan.spec)
        if isinstance(plan, Update):
            return writes.update(self._client, plan, declared)
        return Outcome(plan.agent, plan.decision)

    def _record(self, index: int, plan: Plan, written: Outcome | Pending) -> None:
        if isinstance(written, Outcome):
            self._results[index] = written
        else:
            self._pending[index] = written
        if plan.writes:
            self._breaker.record(None if isinstance(written, Outcome) else written.failure)
        self._report.decided(plan, written)

    def _confirm(self) -> None:
        """Read the list until it has shown the outcome of each pending write, or another read cannot help."""
        failure = self._asked_to_wait()
        pauses = iter(() if failure else self._pauses())
        while self._pending and (seconds := next(pauses, None)) is not None:
            time.sleep(seconds)
            try:
                agents = list_agents(self._client)
            except OpenCXError as error:
                failure = error
                if error.is_permanent or RetryAfter.too_long(error):
                    break
            else:
                self._settle(methodcaller("seen_in", agents))
        self._settle(methodcaller("unseen", failure))

    def _asked_to_wait(self) -> OpenCXError | None:
        """Return an error that asks for a wait longer than a worker should wait out: nothing is read then."""
        errors = [self._breaker.error, *(write.failure for write in self._pending.values())]
        return next((error for error in errors if RetryAfter.too_long(error)), None)

    def _pauses(self) -> Sequence[float]:
        appear_late = any(write.appears_late for write in self._pending.values())
        return LIST_AGAIN_AFTER if appear_late else (0,)

    def _settle(self, outcome_of: Callable[[Pending], Outcome | None]) -> None:
        """Take the result of each pending write for which there is one now."""
        for index, write in list(self._pending.items()):
            result: Result | None
            try:
                result = outcome_of(write)
            except OpenCXError as error:
                result = error
            if result is not None:
                self._results[index] = result
                del self._pending[index]
                self._report.settled(write, result)


class StaleListGuard:
    """Reads the list again before a create when the one from which it was planned is stale.

    :param client: sends the requests.
    :param listed_at: when that list was asked for, by ``time.monotonic()``.
    """

    def __init__(self, client: OpenCXClient, listed_at: float) -> None:
        self._client = client
        self._agents = PhoneAgents([], listed_at)

    def check(self, plan: Create) -> None:
        """Raise an ``OpenCXError`` if the agent has appeared since it was planned."""
        age = time.monotonic() - self._agents.listed_at
        if not 0 <= age <= LIST_IS_STALE_AFTER:  # a plan from another machine has another clock
            self._agents = list_agents(self._client)
        for agent in self._agents.named(plan.spec.agent_name):
            raise OpenCXError(
                f"The {agent.label} has appeared since the plan was made, so it was not created. The next try begins"
                " with it."
            )


@dataclass
class CircuitBreaker:
    """Stops a fleet when failures affect every agent.

    :param error: the failure that says so; ``None`` while writes go on.
    """

    error: OpenCXError | None = None
    _in_a_row: int = field(default=0, init=False)

    def record(self, error: OpenCXError | None) -> None:
        """Record the result of a write: ``None`` if the service accepted it."""
        # A permanent error is about one agent, or in the list below.
        self._in_a_row = 0 if error is None or error.is_permanent else self._in_a_row + 1
        affects_all = isinstance(error, _ABOUT_THE_CONNECTION) or RetryAfter.too_long(error) is not None
        if affects_all or self._in_a_row >= FAILURES_IN_A_ROW:
            self.error = error


_ABOUT_THE_CONNECTION = (
    OpenCXAuthenticationError,
    OpenCXPermissionError,
    OpenCXRedirectError,
    OpenCXConfigError,
)
"""Errors that are not about one agent: the next write would meet the same."""


class _Report:
    """Reports to the log and the metrics what is done for each agent, and the progress (3 of 10).

    :param agents: the number of agents.
    :param writes: how many of them are written.
    """

    def __init__(self, agents: int, writes: int) -> None:
        self._agents = agents
        self._writes = writes
        self._done = 0

    def decided(self, plan: Plan, written: Outcome | Pending) -> None:
        """Report an agent that was written, or left as it is."""
        progress = self._progress() if plan.writes else ""
        if written.agent is None:
            log.warning("%sThe outcome is not known yet: %s. %s", progress, plan, written)
            return
        metrics.count_decision(plan.decision)
        done = f"{plan.decision.capitalize()} {written.agent.label}"
        log.log(self._level_of(plan), "%s%s%s", progress, done, _details_of(plan))

    def settled(self, write: Pending, result: Result) -> None:
        """Report what the list has shown of a create without a response; the others were reported when written."""
        if write.agent is not None:
            return
        if isinstance(result, OpenCXError):
            metrics.count_decision("failed")
        else:
            metrics.count_decision(result.decision)
            log.info("Created %s: it has appeared in the list.", result.agent.label)

    def failed(self, plan: Plan, error: OpenCXError) -> None:
        """Report an agent that could not be written; of a single one, Airflow logs the error that is raised."""
        metrics.count_decision("refused" if isinstance(plan, Refuse) else "failed")
        if self._writes > 1:
            log.warning("%s%s failed: %s", self._progress(), plan, error)

    def _progress(self) -> str:
        self._done += 1
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
    differences = "; ".join(map(str, plan.differences))
    return f" as it is. It is not as declared: {differences}." if isinstance(plan, Adopt) else f": {differences}."
