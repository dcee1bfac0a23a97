"""The trigger that waits for sequences. Many tasks that wait for one sequence share one request per interval."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import JsonValue

from airflow_provider_opencx import metrics
from airflow_provider_opencx.campaigns.sequences.waiting import SequenceWait, SequenceWaits, Until
from airflow_provider_opencx.exceptions import OpenCXSequenceTimeoutError
from airflow_provider_opencx.resources.sequences import OutboundSequence, poll_sequence, sequence_label
from airflow_provider_opencx.triggers.polling import Snapshot
from airflow_provider_opencx.triggers.waiting import WaitTrigger, result_in
from airflow_provider_opencx.waiting import log_poll

if TYPE_CHECKING:
    from airflow_provider_opencx.client.client import OpenCXClient

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PolledSequence:
    """Polls one sequence, and keeps it from poll to poll without its filter.

    :param sequence_id: its id or custom id.
    """

    sequence_id: str
    kind: ClassVar[str] = "sequences"

    def __str__(self) -> str:
        return sequence_label(self.sequence_id)

    def read(self, client: OpenCXClient) -> OutboundSequence | None:
        """Read the sequence; ``None`` if the service says that there is none."""
        sequence = poll_sequence(client, self.sequence_id)
        return None if sequence is None else sequence.without_filter()

    def report_waiting(self, conn_id: str, waiting: int) -> None:
        """Report how many sequences are waited for."""
        metrics.gauge_waiting_sequences(conn_id, waiting)


class OpenCXSequenceTrigger(WaitTrigger[SequenceWaits]):
    """Fires once, when a sequence, or each of several, has done what is waited for, or when the wait must stop.

    All triggers of one connection and interval in a triggerer share their polls: one ``GET /sequences/{id}`` an
    interval for each sequence, even if many tasks wait for it. The sequences of a connection are polled one at a time,
    in turn: where the service's limit allows fewer requests than there are sequences, the interval becomes longer. A
    result is always of a poll that began after the trigger was made.

    The event is plain JSON: ``{"status": "success", "sequence": {...}}``, or ``"sequences": [...]`` where a list was
    given, or ``{"status": "error", ...}`` with the error, or ``{"status": "timeout", ...}`` with the progress. It never
    holds the key, nor the filter of a sequence.

    :param opencx_conn_id: the connection.
    :param sequence_id: the sequence, by its id, or by its custom id if the service supports that; or a list of these.
    :param until: what is waited for: ``"started"``, ``"ended"`` (default) or ``"canceled"``.
    :param poll_interval: seconds between two polls of one sequence. Default 60.
    :param waiting_since: when the task began to wait, in seconds since the epoch; by default now.
    :param timeout: seconds after ``waiting_since`` after which the trigger ends the wait in ``dag.test()``, where
        nothing else does. In the triggerer Airflow ends it, by the timeout of the deferral. Default ``None``: no limit.
    """

    result_keys = ("sequence", "sequences")

    def __init__(
        self,
        opencx_conn_id: str,
        sequence_id: str | Sequence[str],
        until: Until = "ended",
        poll_interval: float = 60.0,
        *,
        waiting_since: float | None = None,
        timeout: float | None = None,
    ) -> None:
        super().__init__(
            opencx_conn_id, poll_interval, started_by_worker=True, waiting_since=waiting_since, timeout=timeout
        )
        self.sequence_id = sequence_id
        self.until = until

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what Airflow makes this trigger again from."""
        return (
            f"{OpenCXSequenceTrigger.__module__}.{OpenCXSequenceTrigger.__qualname__}",
            {
                "opencx_conn_id": self.opencx_conn_id,
                "sequence_id": self.sequence_id,
                "until": self.until,
                "poll_interval": self.poll_interval,
                "waiting_since": self.waiting_since,
                "timeout": self.timeout,
            },
        )

    def _new_wait(self) -> SequenceWaits:
        return SequenceWaits(self.sequence_id, self.until)

    async def _result(self, wait: SequenceWaits) -> JsonValue:
        try:
            async with asyncio.TaskGroup() as group:
                for each in wait.open:
                    group.create_task(self._follow_one(each, wait))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return wait.result

    async def _follow_one(self, one: SequenceWait, wait: SequenceWaits) -> None:
        async def evaluate(snapshot: Snapshot[OutboundSequence | None]) -> OutboundSequence | None:
            reached = one.evaluate(snapshot.poll, snapshot.begun_at)
            log_poll(log, one, None if wait.is_over else wait.progress)
            return reached

        await self._follow(PolledSequence(one.sequence_id), evaluate)


def result_of(event: Mapping[str, Any] | None) -> JsonValue:
    """Return the sequence of an event, or the sequences, or raise its error as it would have been raised in the worker.

    :raises OpenCXSequenceTimeoutError: if the time was over; the message says which sequences are not there yet.
    :raises OpenCXError: the error of the event, or one that says that the event is not this trigger's.
    """
    return result_in(event, OpenCXSequenceTrigger, _is_sequence, OpenCXSequenceTimeoutError)


def _is_sequence(value: object) -> bool:
    return isinstance(value, dict) and "id" in value
