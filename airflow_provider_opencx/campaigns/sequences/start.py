"""Starts a sequence at most once: reads the record and the sequence, sends one request, records the outcome.

A one-off sequence begins once, and says since when. So where the outcome of a start is not known, the sequence is read,
and the start is never sent again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from airflow_provider_opencx.campaigns.ledger import Entry, Ledger, decide, digest
from airflow_provider_opencx.campaigns.rate_limited import wait_for_rate_limit
from airflow_provider_opencx.campaigns.sequences.reading import read_until
from airflow_provider_opencx.client.once import Handled, now
from airflow_provider_opencx.exceptions import (
    OpenCXCallRefusedError,
    OpenCXError,
    OpenCXLedgerError,
    OpenCXRateLimitError,
    OpenCXSequenceCanceledError,
    OpenCXSequenceRefusedError,
    OpenCXUnknownOutcomeError,
    OpenCXUnknownStartError,
)
from airflow_provider_opencx.intents import Intent
from airflow_provider_opencx.resources.sequences import (
    OutboundSequence,
    cancel_sequence,
    get_sequence,
    start_request,
    start_sequence,
)

if TYPE_CHECKING:
    from airflow_provider_opencx.client.client import OpenCXClient
    from airflow_provider_opencx.client.locks import NameLocks

SLOT = "start"
"""The slot of a sent start in the ledger of a task."""

_ACCEPTED = "the service has accepted the start"

_WAYS_ON = (
    "Look in the OpenCX dashboard. If it has begun, clear the task, which reads it again. If it has not, start it"
    " there, and clear the task; or cancel it, and start a new Dag run."
)
_WAYS_ON_IF_ACCEPTED = (
    "It may begin late, such as after the delay of its first step: do not start it a second time. Clear the task later,"
    " which reads it again; or cancel it."
)

log = logging.getLogger(__name__)

Check = Callable[[OutboundSequence], None]
"""Raises an error if a sequence must not be started now."""


def start_once(
    client: OpenCXClient,
    sequence_id: str,
    ledger: Ledger,
    check: Check,
    *,
    prepare: Check = lambda sequence: None,
    slot: str = SLOT,
    by: str = "a script",
    no_record_means_nothing_sent: bool = True,
) -> OutboundSequence:
    """Start a sequence, unless it has begun or something keeps from it; return it as the service shows it then.

    :param sequence_id: its id, or its custom id where the service finds by it.
    :param ledger: where the start is recorded before it is sent.
    :param check: what is checked before the start is recorded, and again when it is about to be sent.
    :param prepare: what is checked once, such as the agents that are to call.
    :param slot: where the ledger has the start; of tasks that share a ledger, each has a slot of its own.
    :param by: which try of which task it is, for records and messages.
    :param no_record_means_nothing_sent: whether an earlier try without a record has not sent the start.
    :raises OpenCXUnknownStartError: if it may have begun, and no read shows it.
    :raises OpenCXSequenceRefusedError: if it has begun by something else, is canceled, or is continuous; or an earlier
        try of the task has started another sequence.
    :raises OpenCXError: that of the check, or one that says that it was not started.
    """
    record = _Record(ledger, slot)
    recorded = _nothing_sent(record.read)
    sequence = get_sequence(client, sequence_id)
    match decide(recorded, digest(sequence.id), "fail"):
        case "changed" if recorded is not None:
            raise OpenCXSequenceRefusedError(
                f"{sequence.label}: nothing was sent, because {recorded.by} started another sequence, or may have, at"
                f" {recorded.sent_at}. Start a new Dag run to start this one.",
                sequence_id=sequence.id,
            )
        case "known" if recorded is not None:
            log.info("%s was started at %s by %s: nothing is sent.", sequence.label, recorded.sent_at, recorded.by)
            return sequence
        case "unknown" if recorded is not None:
            reason = f"{recorded.by} may have started it at {recorded.sent_at}"
            return _settled(client, sequence, record, recorded, reason)
    if not no_record_means_nothing_sent:
        return _started_by_earlier_try(client, sequence)
    check_can_start(sequence)
    check(sequence)
    client.check_calls_allowed(start_request(sequence.id))
    prepare(sequence)
    with client.lock([lock_of(sequence.id)]) as locks:
        return _start_alone(client, sequence.id, record, check, by=by, locks=locks)


@dataclass(frozen=True)
class _Record:
    """The record of the start of one task."""

    ledger: Ledger
    slot: str

    def read(self) -> Entry | None:
        return self.ledger.read(self.slot)

    def begin(self, intent: Entry) -> Entry | None:
        return self.ledger.begin(self.slot, intent, after=None)

    def finish(self, entry: Entry) -> None:
        try:
            self.ledger.finish(self.slot, entry)
        except OpenCXLedgerError as error:
            log.warning("The sequence was started, and a later try will read it once more: %s", error)

    def forget(self) -> None:
        try:
            self.ledger.forget(self.slot, after=None)
        except OpenCXLedgerError as error:
            log.warning("The sequence was not started, but a later try will not know it: %s", error)


def _start_alone(
    client: OpenCXClient, sequence_id: str, record: _Record, check: Check, *, by: str, locks: NameLocks
) -> OutboundSequence:
    """Start a sequence, while nobody else who shares the coordination of the connection does.

    :param locks: the lock, which also keeps that a start was sent: another task may read a sequence as it was before.
    """
    sequence = get_sequence(client, sequence_id)
    check_can_start(sequence)
    intent = Entry(digest(sequence.id), now(), by)
    name = lock_of(sequence.id)
    if locks.read([name]):
        seen = _seen_begun(client, sequence, intent, "another task may have started it")
        check_can_start(seen)  # it says that it has begun, and not by this task
    meanwhile = _nothing_sent(lambda: record.begin(intent))
    if meanwhile is not None:
        return _settled(client, sequence, record, meanwhile, f"{meanwhile.by} is starting it, or may have")
    try:
        locks.write({name: Intent(time.time())})
        handled = _send_when_possible(client, sequence, check, lambda: locks.check(name))
    except OpenCXUnknownOutcomeError as unknown:
        log.error("%s may have begun: %s It is read, and not started again.", sequence.label, unknown)
        return _settled(client, sequence, record, intent, str(unknown))
    except OpenCXError:  # any other error proves that it was not started
        record.forget()
        locks.delete([name])
        raise
    log.info("%s: the service has accepted the start.", sequence.label)
    return _settled(client, sequence, record, replace(intent, sent_at=handled.sent_at), _ACCEPTED)


def _send_when_possible(
    client: OpenCXClient, sequence: OutboundSequence, check: Check, check_lock: Callable[[], None]
) -> Handled:
    """Send the start, and again after the service has asked to wait, if the sequence is still one to start."""

    def before_sending() -> None:
        check(sequence)
        check_lock()

    attempt = 1
    while True:
        try:
            return start_sequence(client, sequence.id, before_sending=before_sending)
        except OpenCXRateLimitError as error:
            wait_for_rate_limit(error, attempt, "The sequence was not started.")
            attempt += 1
        sequence = get_sequence(client, sequence.id)
        check_can_start(sequence)


def cancel(client: OpenCXClient, sequence_id: str) -> OutboundSequence:
    """Cancel a sequence, and return it when the service shows that it is canceled. One that is over is left unchanged.

    :param sequence_id: its id, or its custom id where the service finds by it.
    :raises OpenCXUnknownOutcomeError: if the service accepts it, and does not show it in two minutes.
    """
    sequence = get_sequence(client, sequence_id)
    if _is_over(sequence):
        log.info("%s %s: nothing is sent.", sequence.label, _state(sequence))
        return sequence
    try:
        cancel_sequence(client, sequence.id)
    except OpenCXError:
        now_stored = get_sequence(client, sequence.id)
        if not _is_over(now_stored):
            raise
        return now_stored
    canceled = read_until(client, sequence.id, _is_over)
    if canceled is None or not _is_over(canceled):
        raise OpenCXUnknownOutcomeError(
            f"{sequence.label}: the service has accepted to cancel it, and does not show that it is canceled. It may"
            " still call. Another try cancels it again; look in the OpenCX dashboard."
        )
    log.info("%s %s.", canceled.label, _state(canceled))
    return canceled


def _settled(
    client: OpenCXClient, sequence: OutboundSequence, record: _Record, intent: Entry, reason: str
) -> OutboundSequence:
    """Read a sequence until it shows that it has begun, record that, and return it.

    :raises OpenCXError: as :func:`_seen_begun`.
    """
    seen = _seen_begun(client, sequence, intent, reason)
    record.finish(replace(intent, outcome={"id": seen.id}))
    log.info("%s %s.", seen.label, _state(seen))
    return seen


def _seen_begun(client: OpenCXClient, sequence: OutboundSequence, intent: Entry, reason: str) -> OutboundSequence:
    """Read a sequence until it shows that it has begun, and return it.

    :param reason: why it may have begun.
    :raises OpenCXUnknownStartError: if it does not show it.
    :raises OpenCXSequenceCanceledError: if it was canceled, and does not show that it has begun.
    """
    try:
        seen = read_until(client, sequence.id, lambda found: found.has_begun or found.is_canceled)
    except OpenCXError as error:
        raise _unknown(sequence, intent, f"{reason}; it cannot be read: {error}", reason) from None
    if seen is None or not (seen.has_begun or seen.is_canceled):
        says = f"{reason}; for two minutes it has not shown that it has begun."
        raise _unknown(sequence, intent, says, reason)
    if not seen.has_begun:
        raise OpenCXSequenceCanceledError(
            f"{seen.label} was canceled before it began ({reason}). It calls nobody any more.", sequence_id=seen.id
        )
    return seen


def _started_by_earlier_try(client: OpenCXClient, sequence: OutboundSequence) -> OutboundSequence:
    """Return a sequence that an earlier try has started, of which no record is kept.

    :raises OpenCXCallRefusedError: if it does not show that it has begun: the start may be on its way.
    """
    seen = read_until(client, sequence.id, lambda found: found.has_begun or found.is_canceled)
    if seen is not None and seen.has_begun:
        log.info("%s %s, by an earlier try: nothing is sent.", seen.label, _state(seen))
        return seen
    raise OpenCXCallRefusedError(
        f"{sequence.label}: nothing was sent. An earlier try of this task may have started it, and no record is kept"
        " that would survive it. Airflow 3.3 keeps one, unless [state_store] clear_on_success is on; so does"
        " ledger_path, on every Airflow. Look in the OpenCX dashboard whether it has begun. If it has not, start it"
        " there, or start a new Dag run; where that makes a new sequence, it calls the same people."
    )


def check_can_start(sequence: OutboundSequence) -> None:
    """Check that a sequence is a one-off one that has not begun.

    :raises OpenCXSequenceRefusedError: if it is not.
    """
    if sequence.is_continuous is not False:
        raise OpenCXSequenceRefusedError(
            f"{sequence.label} is not a one-off sequence, and is not started: a continuous one begins by itself.",
            sequence_id=sequence.id,
        )
    if sequence.is_canceled:
        raise OpenCXSequenceCanceledError(
            f"{sequence.label} is canceled, and cannot be started any more.", sequence_id=sequence.id
        )
    if sequence.has_begun:
        raise OpenCXSequenceRefusedError(
            f"{sequence.label} {_state(sequence)} already, and not by this task: a one-off sequence begins once."
            " Nothing was sent. Where that is meant, wait for it with OpenCXSequenceSensor; for another campaign,"
            " create another sequence.",
            sequence_id=sequence.id,
        )


def _unknown(sequence: OutboundSequence, intent: Entry, says: str, reason: str) -> OpenCXUnknownStartError:
    ways_on = _WAYS_ON_IF_ACCEPTED if reason == _ACCEPTED else _WAYS_ON
    return OpenCXUnknownStartError(
        f"{sequence.label} may or may not have begun: {says} It is never started again automatically. {ways_on}",
        sequence_id=sequence.id,
        sent_at=intent.sent_at,
    )


def lock_of(sequence_id: str) -> str:
    """Return the name of the lock under which a sequence is started, or changed before it has begun."""
    return f"start of sequence {sequence_id}"


def _is_over(sequence: OutboundSequence) -> bool:
    return sequence.is_canceled or sequence.has_ended


def _state(sequence: OutboundSequence) -> str:
    if sequence.is_canceled:
        return "is canceled"
    what, when = ("ended", sequence.ended_at) if sequence.has_ended else ("begun", sequence.started_at)
    return f"has {what}" if when is None else f"has {what} at {when}"  # it may not say when


def _nothing_sent(use: Callable[[], Entry | None]) -> Entry | None:
    try:
        return use()
    except OpenCXLedgerError as error:
        raise error.with_message(f"No start was sent in this try. {error}") from error.__cause__
