"""Creates a sequence as declared, or finds it. A sequence calls nobody before it is started.

A one-off sequence is found again by its custom id, and by the id that an earlier try has recorded. Where the service
finds none, another one is created: two sequences that were never started call nobody, and the start is about one id.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_opencx.campaigns.ledger import Entry, Ledger, digest
from airflow_provider_opencx.campaigns.rate_limited import wait_for_rate_limit
from airflow_provider_opencx.campaigns.sequences.declaration import SequenceDeclaration
from airflow_provider_opencx.campaigns.sequences.reading import read_until
from airflow_provider_opencx.campaigns.sequences.start import cancel, lock_of
from airflow_provider_opencx.client.once import now
from airflow_provider_opencx.exceptions import (
    OpenCXError,
    OpenCXLedgerError,
    OpenCXRateLimitError,
    OpenCXRequestRefusedError,
    OpenCXSequenceCanceledError,
    OpenCXSequenceMismatchError,
    OpenCXSequenceRefusedError,
    OpenCXUnconfirmedError,
    OpenCXUnknownOutcomeError,
)
from airflow_provider_opencx.intents import Intent
from airflow_provider_opencx.reconciliation.listing import LAGS_FOR
from airflow_provider_opencx.reconciliation.secrets import check_fields
from airflow_provider_opencx.resources.sequences import (
    OutboundSequence,
    create_sequence,
    get_sequence,
    update_sequence,
)
from airflow_provider_opencx.visible_text import identifier

if TYPE_CHECKING:
    from airflow_provider_opencx.client.client import OpenCXClient

SLOT = "sequence"
"""The slot of a created sequence in the ledger of a task."""

FIND_PAUSES: Sequence[float] = (1, 2, 4, 8, 15)
"""Seconds before each further read for a sequence that may have been created: half a minute together."""

log = logging.getLogger(__name__)

_Result = TypeVar("_Result")


def make_sequence(
    client: OpenCXClient,
    declared: SequenceDeclaration,
    ledger: Ledger,
    *,
    by: str = "a script",
    must_be_found: bool = False,
) -> OutboundSequence:
    """Make sure that there is a sequence as declared, and that it has not begun otherwise.

    One that has begun is left unchanged. One that has not is changed where it differs.

    :param declared: what it should be.
    :param ledger: where the id of the sequence is recorded, for the next try.
    :param by: which try of which task it is, for messages.
    :param must_be_found: whether it must be found by its custom id, because other runs rely on it.
    :raises OpenCXSequenceMismatchError: if the service stores it otherwise, or does not find it where it must.
    :raises OpenCXSequenceRefusedError: if it has begun and differs, is canceled, or is a continuous one.
    :raises OpenCXUnknownOutcomeError: if it may have been created. Another try looks for it.
    """
    check_fields(declared.body(), declared.label, client.settings)
    intent = Entry(digest(declared.custom_id), now(), by)
    recorded = ledger.read(SLOT)
    try:
        made = _when_possible(lambda: _find_or_create(client, declared, ledger, intent, recorded), "Nothing was done.")
    except OpenCXUnknownOutcomeError as unknown:
        made = _found_after(client, declared, unknown).id
    if isinstance(made, OutboundSequence):
        log.info("%s is there: %s.", declared.label, made.label)
        sequence = _as_declared(client, declared, made)
    else:
        _record(lambda: ledger.finish(SLOT, replace(intent, outcome={"id": made})))
        log.info("%s was created: %s.", declared.label, identifier(made))
        sequence = _confirmed(client, declared, made)
        if not must_be_found:
            _warn_unless_found(client, declared, made)
    if must_be_found:
        _check_found(client, declared, sequence.id)
    return sequence


def _find_or_create(
    client: OpenCXClient, declared: SequenceDeclaration, ledger: Ledger, intent: Entry, recorded: Entry | None
) -> OutboundSequence | str:
    """Return the sequence that is there, or the id of a new one; nobody else creates one of the custom id meanwhile.

    :param recorded: what an earlier try has recorded; it may be about another custom id, with which it was cleared.
    """
    own = recorded if recorded is not None and recorded.to in (intent.to, "") else None
    name = f"sequence {declared.custom_id}"
    with client.lock([name]) as locks:
        meanwhile = locks.read([name])
        may_be_there = own is not None or any(abs(time.time() - each.sent_at) < LAGS_FOR for each in meanwhile.values())
        found = _find(client, declared, own, FIND_PAUSES if may_be_there else ())
        if found is not None:
            return found
        begun = ledger.begin(SLOT, intent, after=recorded)
        if begun is not None:
            raise OpenCXLedgerError(f"{declared.label}: nothing was sent, because {begun.by} is creating it now.")
        try:
            locks.write({name: Intent(time.time())})
            locks.check(name)
            return create_sequence(client, declared.body(), declared.name)
        except OpenCXUnknownOutcomeError:
            raise
        except OpenCXError:  # any other error proves that nothing was created
            _record(lambda: ledger.forget(SLOT, after=recorded))
            locks.delete([name])
            locks.write(meanwhile)
            raise


def _find(
    client: OpenCXClient, declared: SequenceDeclaration, own: Entry | None, pauses: Sequence[float]
) -> OutboundSequence | None:
    """Return the sequence that an earlier try has made, or that has the custom id; ``None`` if there is none.

    :param pauses: seconds before each further read for the custom id.
    """
    own_id = None if own is None or own.outcome is None else own.outcome.get("id")
    if own is not None and isinstance(own_id, str):
        found = read_until(client, own_id, bool, FIND_PAUSES)
        if found is None:
            raise OpenCXUnconfirmedError(
                f"{declared.label}: {identifier(own_id)}, which {own.by} created, is not shown by any read. Another try"
                " reads it again; where somebody has deleted it, start a new Dag run for a new sequence."
            )
        return found
    found = _by_custom_id(client, declared.custom_id, pauses)
    if found is not None and found.custom_id != declared.custom_id:
        raise OpenCXSequenceRefusedError(
            f"{declared.label}: nothing was sent, because the custom id is the id of another sequence, {found.label}."
            " Give another custom_id.",
            sequence_id=found.id,
        )
    return found


def _found_after(
    client: OpenCXClient, declared: SequenceDeclaration, unknown: OpenCXUnknownOutcomeError
) -> OutboundSequence:
    """Return the sequence that a create of unknown outcome has made; raise the error where there is none to be seen."""
    log.warning("%s may have been created: %s", declared.label, unknown)
    found = _by_custom_id(client, declared.custom_id, FIND_PAUSES)
    if found is None:
        raise unknown.with_message(
            f"{declared.label} may have been created, and is not found by its custom id: {unknown} Another try looks"
            " for it, and creates it if it does not find it. A sequence that was never started calls nobody."
        ) from None
    return found


def _as_declared(client: OpenCXClient, declared: SequenceDeclaration, found: OutboundSequence) -> OutboundSequence:
    """Bring a sequence to its declaration, if it has not begun; return it."""
    differences = _differences(declared, found)
    if not differences:
        return found
    try:
        _when_possible(lambda: _change(client, declared, found.id), "Nothing was changed.")
    except OpenCXUnknownOutcomeError as unknown:
        log.warning("%s may have been changed: %s", found.label, unknown)
    return _confirmed(client, declared, found.id)


def _change(client: OpenCXClient, declared: SequenceDeclaration, sequence_id: str) -> None:
    """Change a sequence where it differs, while nobody else starts it."""
    name = lock_of(sequence_id)
    with client.lock([name]) as locks:
        found = get_sequence(client, sequence_id)
        differences = _differences(declared, found)
        if not differences:
            return
        if locks.read([name]):
            raise OpenCXSequenceRefusedError(
                f"{found.label} is not as declared ({_in_words(differences)}), and is not changed: another task may"
                " have started it. Start a new Dag run for a new sequence, or give another custom_id.",
                sequence_id=found.id,
            )
        log.info("%s differs, and has not begun: %s.", found.label, _in_words(differences))
        locks.check(name)
        update_sequence(client, found.id, declared.changes())


def _differences(declared: SequenceDeclaration, found: OutboundSequence) -> dict[str, str]:
    """Return how a sequence differs from its declaration.

    :raises OpenCXSequenceRefusedError: if it is canceled, or differs and must not be changed.
    """
    if found.is_canceled:
        raise OpenCXSequenceCanceledError(
            f"{found.label} is canceled, and cannot be started any more. Start a new Dag run for a new sequence, or"
            " give another custom_id.",
            sequence_id=found.id,
        )
    differences = declared.asked.differences(found)
    if differences and found.is_continuous is not False:
        raise OpenCXSequenceRefusedError(
            f"{found.label} has the custom id {identifier(declared.custom_id)} and is continuous: it may call by"
            " itself. Only one-off sequences are created here; give another custom_id.",
            sequence_id=found.id,
        )
    if differences and found.has_begun:
        raise OpenCXSequenceRefusedError(
            f"{found.label} has begun, and is not as declared: {_in_words(differences)}. A sequence that has"
            " begun is not changed. Start a new Dag run for a new sequence, or give another custom_id.",
            sequence_id=found.id,
        )
    return differences


def _confirmed(client: OpenCXClient, declared: SequenceDeclaration, sequence_id: str) -> OutboundSequence:
    """Return the sequence as the service shows it after a write; raise if it is not as declared.

    One that the service has made a continuous one may call by itself, and is canceled.
    """
    stored = read_until(
        client,
        sequence_id,
        lambda found: found.is_continuous is True or not declared.asked.differences(found),
        FIND_PAUSES,
    )
    if stored is None:
        raise OpenCXUnconfirmedError(
            f"{declared.label} was created as {identifier(sequence_id)}, and no read has shown it since. Another try"
            " reads it again."
        )
    differences = declared.asked.differences(stored)
    if differences:
        canceled = _canceled(client, stored) if stored.is_continuous is True else "It must not be started."
        raise OpenCXSequenceMismatchError(
            f"{stored.label} is not stored as declared: {_in_words(differences)}. {canceled} The service silently"
            " drops fields that it does not know; the steps and filters that it knows are in its dashboard.",
            sequence_id=stored.id,
            fields=list(differences),
        )
    if stored.has_begun:
        raise OpenCXSequenceRefusedError(
            f"{stored.label} has begun meanwhile, but this task did not start it. If another task started it, clear"
            " this one, which then finds it. If the sequence must not call, cancel it in the OpenCX dashboard, or with"
            " OpenCXCancelSequenceOperator.",
            sequence_id=stored.id,
        )
    return stored


def _canceled(client: OpenCXClient, sequence: OutboundSequence) -> str:
    """Cancel a sequence that may call by itself, and return what came of it, in a sentence."""
    try:
        cancel(client, sequence.id)
    except OpenCXError as error:
        log.error("%s may call by itself, and could not be canceled: %s", sequence.label, error)
        return f"It may call by itself, and could not be canceled ({error}): cancel it in the OpenCX dashboard."
    return "It was canceled; the OpenCX dashboard shows whom it called before that."


def _check_found(client: OpenCXClient, declared: SequenceDeclaration, sequence_id: str) -> None:
    """Check that every other run would find the sequence by its custom id, and no other one.

    :raises OpenCXSequenceMismatchError: if it would not; a run that makes another sequence calls everybody again.
    :raises OpenCXError: if that cannot be read.
    """
    found = _by_custom_id(client, declared.custom_id, FIND_PAUSES)
    if found is None:
        raise OpenCXSequenceMismatchError(
            f"{declared.label} is there as {identifier(sequence_id)}, and the service does not find it by its custom"
            " id. Another run, or another task with this custom_id, would create and start one more. It must not be"
            " started: leave custom_id out, so that each run has a sequence of its own, which no other run looks for.",
            sequence_id=sequence_id,
            fields=["custom_id"],
        )
    if found.id != sequence_id:
        raise OpenCXSequenceMismatchError(
            f"{declared.label} is there as {identifier(sequence_id)}, and the service finds another one by its custom"
            f" id, {found.label}. To start both would call their people twice. Cancel one of them in the OpenCX"
            " dashboard, and give another custom_id.",
            sequence_id=sequence_id,
            fields=["custom_id"],
        )


def _warn_unless_found(client: OpenCXClient, declared: SequenceDeclaration, sequence_id: str) -> None:
    """Say so where a new sequence is not found by its custom id: a lost response then leaves another one."""
    try:
        found = _by_custom_id(client, declared.custom_id)
    except OpenCXError as error:
        log.info("Whether sequences are found by their custom id is not known: %s", error)
        return
    if found is None:
        log.warning(
            "The service does not find a sequence by its custom id (%s). Where the response to a create is lost, the"
            " next try creates another sequence. The first one is never started, and calls nobody.",
            identifier(declared.custom_id),
        )
    elif found.id != sequence_id:
        log.warning("%s has the custom id of %s as well. It is not changed.", found.label, identifier(sequence_id))


def _by_custom_id(client: OpenCXClient, custom_id: str, pauses: Sequence[float] = ()) -> OutboundSequence | None:
    """Return the sequence that the service finds by a custom id, ``None`` if it finds none.

    A service that finds by ids alone may refuse the form of a custom id, as no id of its own.
    """
    try:
        return read_until(client, custom_id, bool, pauses)
    except OpenCXRequestRefusedError as refused:
        log.info("No sequence is found by the custom id %s: %s", identifier(custom_id), refused)
        return None


def _when_possible(send: Callable[[], _Result], nothing_done: str) -> _Result:
    """Send a request, and again after the service has asked to wait."""
    attempt = 1
    while True:
        try:
            return send()
        except OpenCXRateLimitError as error:
            wait_for_rate_limit(error, attempt, nothing_done)
            attempt += 1


def _record(write: Callable[[], None]) -> None:
    try:
        write()
    except OpenCXLedgerError as error:
        log.warning("Another try will look for the sequence by its custom id: %s", error)


def _in_words(differences: dict[str, str]) -> str:
    return "; ".join(f"{field}: {difference}" for field, difference in differences.items())
