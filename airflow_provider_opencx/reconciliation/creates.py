"""Creates items, one writer of an identity at a time.

The API does not keep names unique, so a process that creates one holds its lock from the second read of the list until
a list shows the new item. A create leaves an intent behind: nobody creates it again while the list may lag.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Generic

from airflow_provider_opencx.client.client import OpenCXClient
from airflow_provider_opencx.client.retry_after import RetryAfter
from airflow_provider_opencx.exceptions import OpenCXError, OpenCXNotFoundAgainError, OpenCXUnknownOutcomeError
from airflow_provider_opencx.intents import Intent, IntentStore
from airflow_provider_opencx.reconciliation.items import ItemsT, ItemT
from airflow_provider_opencx.reconciliation.listing import LAGS_FOR, fresh, list_again, list_until
from airflow_provider_opencx.reconciliation.plans import ChangesT, Create, Refuse, SpecT
from airflow_provider_opencx.reconciliation.progress import CONFIRM_AFTER, Progress
from airflow_provider_opencx.reconciliation.resource import Outcome
from airflow_provider_opencx.text import listed

CREATES_AT_ONCE = 50
"""Creates that are sent, and confirmed, under their locks together."""

log = logging.getLogger(__name__)


class CreateWriter(Generic[SpecT, ChangesT, ItemT, ItemsT]):
    """Sends the creates among some plans, and confirms them.

    :param client: has the locks.
    :param progress: what is planned, and how far it is.
    :param intents: where the intent of a create survives this process, beside its lock.
    """

    def __init__(
        self, client: OpenCXClient, progress: Progress[SpecT, ChangesT, ItemT, ItemsT], intents: IntentStore | None
    ) -> None:
        self._client = client
        self._progress = progress
        self._list_items = progress.resource.list_items
        self._intents = intents

    def write(self) -> None:
        """Send the creates, some at a time. What exists by now gets another plan, and is left."""
        creates = self._progress.creates_left()
        for start in range(0, len(creates), CREATES_AT_ONCE):
            self._write_some(creates[start : start + CREATES_AT_ONCE])

    def _write_some(self, indexes: Sequence[int]) -> None:
        """Send some creates. Nobody waits under a lock because the service asks to: it is released meanwhile."""
        failure = self._write_under_lock(indexes)
        for _ in range(self._client.settings.max_retries):
            if failure is None or failure.retry_after is None or RetryAfter.too_long(failure):
                break
            log.info("The service asks to wait %.0f s before the next request.", failure.retry_after)
            time.sleep(failure.retry_after)
            failure = self._write_under_lock(indexes)
        for index in self._progress.creates_left(indexes):
            if failure is not None and not self._progress.is_stopped(index):
                self._progress.settle(index, failure)
        self._progress.give_up(failure if RetryAfter.too_long(failure) else self._progress.look())

    def _write_under_lock(self, indexes: Sequence[int]) -> OpenCXError | None:
        """Create what does not exist, and read the list until it shows it; return what stood in the way."""
        left = [index for index in self._progress.creates_left(indexes) if not self._progress.is_stopped(index)]
        if not left:
            return self._progress.look()
        specs = {index: self._spec_of(index) for index in left}
        try:
            with self._client.lock([spec.identity for spec in specs.values()]) as locks:
                stores = [locks] if self._intents is None else [locks, self._intents]
                self._progress.items = list_again(
                    self._list_items,
                    self._progress.items,
                    lambda items: all(items.shows(spec.identity) for spec in specs.values()),
                )
                self._look_for_intents(specs, stores)
                for index in self._progress.left(left):
                    self._progress.items = fresh(self._list_items, self._progress.items)
                    plan = self._progress.replan(index)
                    if isinstance(plan, Create) and not self._progress.is_stopped(index):
                        locks.check(plan.spec.identity)
                        self._send(index, plan.spec, stores)
                return self._confirm(specs, locks)
        except OpenCXError as error:
            return error

    def _spec_of(self, index: int) -> SpecT:
        plan = self._progress.plan_of(index)
        assert isinstance(plan, Create)  # noqa: S101  # it is one of those that are yet to be created
        return plan.spec

    def _look_for_intents(self, specs: Mapping[int, SpecT], stores: Sequence[IntentStore]) -> None:
        """Look for the items that somebody may have created just now.

        One that does not appear is not created, unless a list has shown it since: then it was deleted.
        """
        known = _read(stores, [spec.identity for spec in specs.values()])
        missing = {
            index: (spec, known[spec.identity])
            for index, spec in specs.items()
            if spec.identity in known
            and _is_recent(known[spec.identity])
            and self._progress.creates_from(self._progress.items, index)
        }
        if not missing:
            return
        log.info(
            "Reading the list until it shows %s, whose create was recorded less than %.0f s ago.",
            listed([spec.label for spec, _ in missing.values()], 20),
            LAGS_FOR,
        )
        self._progress.items = list_until(
            self._list_items,
            lambda items: not any(self._progress.creates_from(items, index) for index in missing),
            CONFIRM_AFTER[1:],
            self._progress.items,
        )
        for index, (spec, intent) in missing.items():
            if _may_appear(intent) and isinstance(self._progress.replan(index), Create):
                self._progress.postpone(index, _not_created_again(spec.label, intent))

    def _send(self, index: int, spec: SpecT, stores: Sequence[IntentStore]) -> None:
        """Send one create.

        :raises OpenCXError: if the service asks to wait before the next request.
        """
        for store in stores:
            store.write({spec.identity: Intent(time.time())})
        try:
            pending = self._progress.resource.create(spec, self._progress.items, partial(self._appears, index))
        except OpenCXNotFoundAgainError as error:
            self._progress.settle(index, error)  # the list may not show yet what others must not create again
            return
        except OpenCXError as error:
            for store in stores:
                store.delete([spec.identity])  # it was not handled
            if error.retry_after is not None and not error.is_permanent:
                raise
            self._progress.settle(index, error)
            return
        if pending is not None:
            self._progress.sent(index, pending)
            if pending.failure is not None and pending.failure.retry_after is not None:
                raise pending.failure

    def _appears(self, index: int, pauses: Sequence[float]) -> bool:
        """Read the list after each of some pauses until it shows an item, and return whether it does."""
        items = self._progress.items
        for seconds in pauses:
            time.sleep(seconds)
            items = self._list_items()
            if not self._progress.creates_from(items, index):
                break
        self._progress.items = items
        return not isinstance(self._progress.replan(index), Create)

    def _confirm(self, specs: Mapping[int, SpecT], locks: IntentStore) -> OpenCXError | None:
        """Read the list until it shows what was sent.

        The intent beside a lock stays, because the list may show the item to this writer, and not yet to the next.
        That of this task is deleted: its next try has nothing to look for.
        """
        failure = self._progress.look()
        for index, spec in specs.items():
            if isinstance(result := self._progress.result_of(index), Outcome):
                locks.write({spec.identity: Intent(time.time(), result.item.id)})
        if self._intents is not None:
            self._intents.delete([spec.identity for index, spec in specs.items() if self._is_known(index)])
        if failure is None or failure.retry_after is None:
            self._progress.give_up(failure)
        return failure

    def _is_known(self, index: int) -> bool:
        """Return whether the result of a create is known: the item is there, or was not created."""
        result = self._progress.result_of(index)
        plan = self._progress.plan_of(index)
        if isinstance(plan, Refuse) and not plan.error.is_permanent:
            return False
        is_there = not isinstance(plan, Create)
        return is_there or (result is not None and not isinstance(result, OpenCXUnknownOutcomeError))


def _read(stores: Sequence[IntentStore], names: Collection[str]) -> Mapping[str, Intent]:
    intents: dict[str, Intent] = {}
    for store in stores:
        for name, intent in store.read(names).items():
            intents[name] = max(intent, intents.get(name, intent), key=lambda known: known.sent_at)
    return intents


def _is_recent(intent: Intent) -> bool:
    return abs(time.time() - intent.sent_at) < LAGS_FOR


def _may_appear(intent: Intent) -> bool:
    return _is_recent(intent) and intent.agent_id is None


def _not_created_again(label: str, intent: Intent) -> OpenCXUnknownOutcomeError:
    age = time.time() - intent.sent_at
    return OpenCXUnknownOutcomeError(
        f"Whether {label} was created is not known: a create was sent {age:.0f} s ago, and no list has shown it since."
        f" It was not sent again: for {LAGS_FOR:.0f} s the list may be behind. A try after that begins with the list,"
        " adopts it if it is there, and creates it if it is not.",
        retry_after=max(0.0, LAGS_FOR - age),
    )
