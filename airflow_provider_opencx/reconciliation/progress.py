"""Tracks how far plans are applied: what is done, and what the list must still show."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from operator import methodcaller
from typing import Generic, TypeAlias

from airflow_provider_opencx import metrics
from airflow_provider_opencx.client.retry_after import RetryAfter
from airflow_provider_opencx.exceptions import OpenCXError
from airflow_provider_opencx.reconciliation.circuit_breaker import CircuitBreaker
from airflow_provider_opencx.reconciliation.items import ItemsT, ItemT
from airflow_provider_opencx.reconciliation.plans import (
    Adopt,
    ChangesT,
    Create,
    Plan,
    Refuse,
    SpecT,
    Unchanged,
    described,
)
from airflow_provider_opencx.reconciliation.resource import Outcome, Pending, Resource

CONFIRM_AFTER: Sequence[float] = (0, 1, 2, 4, 8, 15, 30)
"""Seconds before each read of the list for an item that was written."""

log = logging.getLogger(__name__)


OnResult: TypeAlias = Callable[[int, int], None]
"""Is called after each write, with the number of writes that are done, and of all."""

Result: TypeAlias = Outcome[ItemT] | OpenCXError
"""The result of one plan of several: an error of one does not stop the others."""


@dataclass(frozen=True)
class Planned(Generic[SpecT, ChangesT, ItemT, ItemsT]):
    """The work for one item.

    :param plan: the plan.
    :param declared: what was declared of the item, with which the result is compared.
    :param replan: makes the plan again from another list.
    """

    plan: Plan[SpecT, ItemT, ChangesT]
    declared: ChangesT
    replan: Callable[[ItemsT], Plan[SpecT, ItemT, ChangesT]]


class Progress(Generic[SpecT, ChangesT, ItemT, ItemsT]):
    """The state of each item: planned, written or settled. Items are identified by their position.

    :param resource: reads the list.
    :param planned: what is to be done for each item.
    :param items: the list from which it was planned; then the newest one.
    :param on_result: called after each write, with the number of writes that are done, and of all.
    """

    def __init__(
        self,
        resource: Resource[SpecT, ChangesT, ItemT, ItemsT],
        planned: Sequence[Planned[SpecT, ChangesT, ItemT, ItemsT]],
        items: ItemsT,
        on_result: OnResult | None = None,
    ) -> None:
        self.resource = resource
        self.items = items
        self._planned = list(planned)
        self._breaker = CircuitBreaker()
        self._report = _Report[SpecT, ChangesT, ItemT, ItemsT](
            resource.noun, len(planned), sum(each.plan.writes for each in planned), on_result
        )
        self._pending: dict[int, Pending[ItemT, ItemsT]] = {}
        self._results: dict[int, Result[ItemT]] = {}

    @property
    def results(self) -> list[Result[ItemT]]:
        """The results of all, in their order."""
        return [self._results[index] for index in range(len(self._planned))]

    def plan_of(self, index: int) -> Plan[SpecT, ItemT, ChangesT]:
        """Return the newest plan for an agent."""
        return self._planned[index].plan

    def replan(self, index: int) -> Plan[SpecT, ItemT, ChangesT]:
        """Plan an item again from the newest list, and return the plan."""
        planned = self._planned[index]
        self._planned[index] = replace(planned, plan=planned.replan(self.items))
        return self._planned[index].plan

    def creates_from(self, items: ItemsT, index: int) -> bool:
        """Return whether an item would be created from a list: it does not show the item."""
        return isinstance(self._planned[index].replan(items), Create)

    def declared_of(self, index: int) -> ChangesT:
        """Return what was declared of an item."""
        return self._planned[index].declared

    def left(self, indexes: Collection[int] | None = None) -> list[int]:
        """Return those of which nothing is settled, and nothing was sent."""
        among = range(len(self._planned)) if indexes is None else indexes
        return [index for index in among if index not in self._results and index not in self._pending]

    def creates_left(self, indexes: Collection[int] | None = None) -> list[int]:
        """Return those that are yet to be created."""
        return [index for index in self.left(indexes) if isinstance(self.plan_of(index), Create)]

    def result_of(self, index: int) -> Result[ItemT] | None:
        """Return the result for an item, ``None`` while it is not settled."""
        return self._results.get(index)

    def is_stopped(self, index: int) -> bool:
        """Return whether the write for an item must not be sent, because others failed; its result is then known."""
        stopping = self._breaker.stopping(self.plan_of(index))
        if stopping is not None:
            self._results[index] = stopping
        return stopping is not None

    def settle(self, index: int, result: Result[ItemT]) -> None:
        """Record the result for an item for which no write is pending."""
        plan = self.plan_of(index)
        self._results[index] = result
        if isinstance(result, OpenCXError):
            self._breaker.record(plan, result)
            self._report.failed(plan, result)
        else:
            self._report.decided(plan, result)

    def postpone(self, index: int, error: OpenCXError) -> None:
        """Record that nothing may be sent for an item yet, which says nothing about the others."""
        self._results[index] = error
        self._report.failed(self.plan_of(index), error)

    def sent(self, index: int, pending: Pending[ItemT, ItemsT]) -> None:
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
                self.items = self.resource.list_items()
            except OpenCXError as error:
                failure = error
                if error.is_permanent or error.retry_after is not None:
                    return error
            else:
                failure = None
                self._settle_pending(methodcaller("seen_in", self.items))
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

    def _settle_pending(self, outcome_of: Callable[[Pending[ItemT, ItemsT]], Outcome[ItemT] | None]) -> None:
        """Take the result of each pending write for which there is one now."""
        for index, write in list(self._pending.items()):
            result: Result[ItemT] | None
            try:
                result = outcome_of(write)
            except OpenCXError as error:
                result = error
                self._breaker.record(self.plan_of(index), error if error.is_permanent else None)
            if result is not None:
                self._results[index] = result
                del self._pending[index]
                self._report.shown(self.plan_of(index), write, result)


class _Report(Generic[SpecT, ChangesT, ItemT, ItemsT]):
    """Reports to the log and the metrics what is done for each item, and the progress (3 of 10).

    :param noun: what messages call an item.
    :param items: the number of items.
    :param writes: how many of them are written.
    :param on_result: called after each write, with the number of writes that are done, and of all.
    """

    def __init__(self, noun: str, items: int, writes: int, on_result: OnResult | None) -> None:
        self._noun = noun
        self._items = items
        self._writes = writes
        self._on_result = on_result
        self._done = 0

    def decided(self, plan: Plan[SpecT, ItemT, ChangesT], outcome: Outcome[ItemT]) -> None:
        """Report an item that is left unchanged."""
        metrics.count_decision(outcome.decision, noun=self._noun)
        done = f"{outcome.decision.capitalize()} {outcome.item.label}"
        log.log(self._level_of(plan), "%s%s", done, _details_of(plan))

    def sent(self, plan: Plan[SpecT, ItemT, ChangesT], pending: Pending[ItemT, ItemsT]) -> None:
        """Report a write that was sent."""
        if pending.item is None:
            log.warning("%sThe outcome is not known yet: %s. %s", self._progress(), plan, pending)
        else:
            done = f"{plan.decision.capitalize()} {pending.item.label}"
            log.info("%s%s%s", self._progress(), done, _details_of(plan))

    def shown(self, plan: Plan[SpecT, ItemT, ChangesT], write: Pending[ItemT, ItemsT], result: Result[ItemT]) -> None:
        """Report what the list has shown of a write, or that it has not."""
        if isinstance(result, OpenCXError):
            metrics.count_decision("failed", noun=self._noun)
            return
        metrics.count_decision(result.decision, noun=self._noun)
        if write.item is None:
            log.info("%s %s: it has appeared in the list.", result.decision.capitalize(), result.item.label)

    def failed(self, plan: Plan[SpecT, ItemT, ChangesT], error: OpenCXError) -> None:
        """Report an item that could not be written; of a single one, Airflow logs the error that is raised."""
        metrics.count_decision("refused" if isinstance(plan, Refuse) else "failed", noun=self._noun)
        if isinstance(plan, Refuse):
            if self._items > 1:
                log.warning("Nothing was sent for a %s: %s", self._noun, error)
            return
        progress = self._progress()
        if self._writes > 1:
            log.warning("%s%s failed: %s", progress, plan, error)

    def _progress(self) -> str:
        self._done += 1
        if self._on_result is not None:
            self._on_result(self._done, self._writes)
        return f"{self._done} of {self._writes}: " if self._writes > 1 else ""

    def _level_of(self, plan: Plan[SpecT, ItemT, ChangesT]) -> int:
        if isinstance(plan, Adopt) and plan.differences:
            return logging.WARNING
        # Usually most items are unchanged: the plan has their number.
        return logging.DEBUG if isinstance(plan, Unchanged) and self._items > 1 else logging.INFO


def _details_of(plan: Plan[SpecT, ItemT, ChangesT]) -> str:
    if isinstance(plan, Create):
        return "."
    if not plan.differences:
        return ": nothing differs."
    differences = described(plan.differences)
    return f" as it is. It is not as declared: {differences}." if isinstance(plan, Adopt) else f": {differences}."
