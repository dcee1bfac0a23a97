"""Creates agents, one writer of a name at a time.

The API keeps no names unique, so whoever creates a name holds its lock from the second read of the list until a list
shows the new agent. A create leaves an intent behind: nobody creates the name again while the list may lag.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping, Sequence

from airflow_provider_opencx.client.retry_after import RetryAfter
from airflow_provider_opencx.exceptions import (
    OpenCXError,
    OpenCXNameMismatchError,
    OpenCXRequestRefusedPermanentError,
    OpenCXUnknownOutcomeError,
)
from airflow_provider_opencx.intents import Intent, IntentStore
from airflow_provider_opencx.phone_agents.listing import LAGS_FOR, fresh, list_again, list_until
from airflow_provider_opencx.phone_agents.plan import Create, PhoneAgents, Refuse
from airflow_provider_opencx.phone_agents.progress import CONFIRM_AFTER, Progress
from airflow_provider_opencx.phone_agents.writes import (
    Outcome,
    Pending,
    create,
    may_be_about_language,
    refused_in_both_forms,
)
from airflow_provider_opencx.resources.phone_agents import PhoneAgentSpec
from airflow_provider_opencx.text import listed
from airflow_provider_opencx.visible_text import in_quotes

CREATES_AT_ONCE = 50
"""Creates of a fleet that are sent, and confirmed, under the locks of their names together."""

READ_AFTER_REFUSAL: Sequence[float] = (0, 1, 2, 4, 8)
"""Seconds before each read of the list for an agent whose create was refused, before it is sent in another form."""

log = logging.getLogger(__name__)


class CreateWriter:
    """Sends the creates among some plans, and confirms them.

    :param progress: what is planned, and how far it is.
    :param intents: where the intent of a create survives this process, beside the lock of its name.
    """

    def __init__(self, progress: Progress, intents: IntentStore | None) -> None:
        self._progress = progress
        self._client = progress.client
        self._intents = intents

    def write(self) -> None:
        """Send the creates, some at a time. An agent that exists by now gets another plan, and is left."""
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
        names = {index: self._name_of(index) for index in left}
        try:
            with self._client.lock([*names.values()]) as locks:
                stores = [locks] if self._intents is None else [locks, self._intents]
                self._progress.agents = list_again(self._client, self._progress.agents, names.values())
                self._look_for_intents(names, stores)
                for index in self._progress.left(left):
                    self._progress.agents = fresh(self._client, self._progress.agents)
                    plan = self._progress.replan(index)
                    if isinstance(plan, Create) and not self._progress.is_stopped(index):
                        locks.check(plan.spec.agent_name)
                        self._send(index, plan.spec, stores)
                return self._confirm(names, locks)
        except OpenCXError as error:
            return error

    def _name_of(self, index: int) -> str:
        return self._progress.declared_of(index).name or ""

    def _look_for_intents(self, names: Mapping[int, str], stores: Sequence[IntentStore]) -> None:
        """Look for the agents that somebody may have created just now.

        One that does not appear is not created, unless a list has shown it since: then it was deleted.
        """
        recent = {name: intent for name, intent in _read(stores, names.values()).items() if _is_recent(intent)}
        missing = {
            index: name
            for index, name in names.items()
            if name in recent and self._progress.creates_from(self._progress.agents, index)
        }
        if not missing:
            return
        log.info(
            "Reading the list until it shows %s, whose create was recorded less than %.0f s ago.",
            listed([in_quotes(name) for name in missing.values()], 20),
            LAGS_FOR,
        )
        self._progress.agents = list_until(
            self._client,
            lambda agents: not any(self._progress.creates_from(agents, index) for index in missing),
            CONFIRM_AFTER[1:],
            self._progress.agents,
        )
        for index, name in missing.items():
            if _may_appear(recent[name]) and isinstance(self._progress.replan(index), Create):
                self._progress.postpone(index, _not_created_again(name, recent[name]))

    def _send(self, index: int, spec: PhoneAgentSpec, stores: Sequence[IntentStore]) -> None:
        """Send one create.

        :raises OpenCXError: if the service asks to wait before the next request.
        """
        for store in stores:
            store.write({spec.agent_name: Intent(time.time())})
        try:
            pending = self._create(index, spec)
        except OpenCXNameMismatchError as error:
            self._progress.settle(index, error)  # the list may not show yet what others must not create again
            return
        except OpenCXError as error:
            for store in stores:
                store.delete([spec.agent_name])  # it was not handled
            if error.retry_after is not None and not error.is_permanent:
                raise
            self._progress.settle(index, error)
            return
        if pending is not None:
            self._progress.sent(index, pending)
            if pending.failure is not None and pending.failure.retry_after is not None:
                raise pending.failure

    def _create(self, index: int, spec: PhoneAgentSpec) -> Pending | None:
        """Send one create in the form of language that the service shows, and in the other one if that is refused.

        :return: what the list must confirm; ``None`` if the agent was stored although its create was refused.
        """
        agents = self._progress.agents
        form = self._progress.language_form
        as_text = form.first(shown_as_text=agents.language_is_text)
        try:
            return create(self._client, spec, agents, language_as_text=as_text)
        except OpenCXRequestRefusedPermanentError as refused:
            if not may_be_about_language(refused, spec):
                raise
            self._progress.agents = list_until(
                self._client,
                lambda agents: not self._progress.creates_from(agents, index),
                READ_AFTER_REFUSAL,
                PhoneAgents([]),
            )
            if not isinstance(self._progress.replan(index), Create):
                return None
            try:
                pending = create(self._client, spec, agents, language_as_text=not as_text)
            except OpenCXRequestRefusedPermanentError as again:
                raise refused_in_both_forms(refused, again) from None
            form.as_text = not as_text
            return pending

    def _confirm(self, names: Mapping[int, str], locks: IntentStore) -> OpenCXError | None:
        """Read the list until it shows what was sent.

        The intent beside a lock stays, because the list may show the agent to this writer, and not yet to the next.
        That of this task is deleted: its next try has nothing to look for.
        """
        failure = self._progress.look()
        for index, name in names.items():
            if isinstance(result := self._progress.result_of(index), Outcome):
                locks.write({name: Intent(time.time(), result.agent.id)})
        if self._intents is not None:
            self._intents.delete([name for index, name in names.items() if self._is_known(index)])
        if failure is None or failure.retry_after is None:
            self._progress.give_up(failure)
        return failure

    def _is_known(self, index: int) -> bool:
        """Return whether the result of a create is known: the agent is there, or was not created."""
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


def _not_created_again(name: str, intent: Intent) -> OpenCXUnknownOutcomeError:
    age = time.time() - intent.sent_at
    return OpenCXUnknownOutcomeError(
        f"Whether phone agent {in_quotes(name)} was created is not known: a create was sent {age:.0f} s ago, and no"
        f" list has shown the agent since. It was not sent again: for {LAGS_FOR:.0f} s the list may be behind. A try"
        " after that begins with the list, adopts the agent if it is there, and creates it if it is not.",
        retry_after=max(0.0, LAGS_FOR - age),
    )
