"""Keeps the intents of a task in Airflow's task state store (Airflow 3.3 and later), so that retries find them."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_provider_opencx.exceptions import OpenCXCoordinationError
from airflow_provider_opencx.intents import Intent, IntentStore
from airflow_provider_opencx.visible_text import in_quotes

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.execution_time.context import TaskStateStoreAccessor
    from pydantic import JsonValue

_KEY = "opencx_creates"

# Longer than any task waits for its next try, regardless of Airflow's default.
_RETENTION = timedelta(days=30)

log = logging.getLogger(__name__)


def intents_of(context: Context) -> tuple[IntentStore | None, bool]:
    """Return where a task records its creates, and whether an earlier try may have sent one that is not recorded there.

    Before Airflow 3.3, and with a context that Airflow did not make, there is no such place: the first value is
    ``None``.
    """
    store = context.get("task_state_store")
    if store is None:
        return None, _is_retry(context)
    try:
        recorded = store.get(_KEY)
    except Exception:
        log.warning("Which creates earlier tries of this task have sent could not be read.", exc_info=True)
        return TaskStateIntents(store), _is_retry(context)
    if recorded is None:
        return TaskStateIntents(store), False
    if not isinstance(recorded, Mapping):
        log.warning("Which creates earlier tries of this task have sent is not as this provider records it.")
        return TaskStateIntents(store), True
    return TaskStateIntents(
        store, {name: Intent.from_json(value, time.time()) for name, value in recorded.items()}
    ), False


class TaskStateIntents:
    """The intents of one task, which its next try finds.

    :param store: the store of the task, ``context["task_state_store"]``.
    :param recorded: the intents that are in it.
    """

    def __init__(self, store: TaskStateStoreAccessor, recorded: Mapping[str, Intent] | None = None) -> None:
        self._store = store
        self._recorded = dict(recorded or {})

    def read(self, names: Collection[str]) -> Mapping[str, Intent]:
        """Return the intents of these names, as far as there are any."""
        return {name: self._recorded[name] for name in names if name in self._recorded}

    def write(self, intents: Mapping[str, Intent]) -> None:
        """Record intents. They replace earlier ones of the same names; the others stay.

        :raises OpenCXCoordinationError: if they could not be recorded. Nothing must be sent then.
        """
        recorded = {**self._recorded, **intents}
        try:
            self._store.set(_KEY, _as_json(recorded), retention=_RETENTION)
        except Exception as error:
            names = ", ".join(in_quotes(name) for name in intents)
            raise OpenCXCoordinationError(
                f"Airflow's task state store did not record that {names} is about to be created, so nothing"
                " was sent. The next try begins again."
            ) from error
        self._recorded = recorded

    def delete(self, names: Collection[str]) -> None:
        """Delete the intents of these names; there may be none. One that is not deleted makes the next try slower."""
        if not self.read(names):
            return
        self._recorded = {name: intent for name, intent in self._recorded.items() if name not in names}
        try:
            if self._recorded:
                self._store.set(_KEY, _as_json(self._recorded), retention=_RETENTION)
            else:
                self._store.delete(_KEY)
        except Exception:
            log.warning("Airflow's task state store did not delete what is known to be created.", exc_info=True)


def _is_retry(context: Context) -> bool:
    """Return whether an earlier try of the task may have been killed with its create on the way.

    A task that the retry policy has rescheduled is in the same try as before.
    """
    task_instance = context.get("ti")
    is_later_try = task_instance is not None and task_instance.try_number > 1
    return is_later_try or bool(context.get("task_reschedule_count"))


def _as_json(intents: Mapping[str, Intent]) -> JsonValue:
    return {name: intent.as_json() for name, intent in intents.items()}
