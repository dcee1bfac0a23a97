"""Takes single fixes out of the provider, to show that the campaign finds each missing fix."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

from airflow_provider_opencx.campaigns.calls import CallBatch, CallResult, CallsMade
from airflow_provider_opencx.campaigns.guards import Verdict
from airflow_provider_opencx.campaigns.ledger import Decision, Entry, Ledger, NoLedger, ObjectLedger
from airflow_provider_opencx.campaigns.sequences import start
from airflow_provider_opencx.campaigns.sequences.declaration import SequenceDeclaration
from airflow_provider_opencx.campaigns.sequences.enrolment import EnrolmentSender
from airflow_provider_opencx.campaigns.sequences.guards import StartGuards
from airflow_provider_opencx.client.client import OpenCXClient
from airflow_provider_opencx.client.once import Handled
from airflow_provider_opencx.exceptions import (
    OpenCXConfigError,
    OpenCXError,
    OpenCXNotFoundError,
    OpenCXUnknownOutcomeError,
)
from airflow_provider_opencx.extraction import parts, reading
from airflow_provider_opencx.extraction.interval import Interval
from airflow_provider_opencx.extraction.sources import Filters
from airflow_provider_opencx.extraction.spool import Spool
from airflow_provider_opencx.extraction.storage import Target
from airflow_provider_opencx.hooks.opencx import OpenCXHook
from airflow_provider_opencx.intents import Intent
from airflow_provider_opencx.phone_agents import listing
from airflow_provider_opencx.phone_agents.plan import PhoneAgents
from airflow_provider_opencx.reconciliation import progress
from airflow_provider_opencx.reconciliation.resource import Outcome, Pending
from airflow_provider_opencx.resources.calls import Callee, PlacedCall
from airflow_provider_opencx.resources.phone_agents import PhoneAgent
from airflow_provider_opencx.resources.sequences import OutboundSequence, get_sequence
from airflow_provider_opencx.resources.times import MARGIN
from fault_campaign.checks import Promise
from fault_campaign.scenario import Part


@dataclass(frozen=True)
class RemovedFix:
    """A fix of the provider, and what breaks without it.

    :param breaks: the promise of which the campaign finds that it is broken.
    :param patches: what stands in for a function or a constant, by its place in the package.
    :param part: the part of a run that finds it.
    """

    breaks: Promise
    patches: Mapping[str, object]
    part: Part = "agents"


@contextmanager
def without(name: str) -> Generator[None]:
    """Take a fix out for a while.

    :param name: a key of :data:`REMOVED_FIXES`.
    """
    with ExitStack() as patches:
        for place, replacement in REMOVED_FIXES[name].patches.items():
            patches.enter_context(patch(f"airflow_provider_opencx.{place}", replacement))
        yield


class _NoLocks:
    """Locks that nobody else respects, and that keep no intents."""

    def read(self, names: object) -> Mapping[str, Intent]:
        return {}

    def write(self, intents: object) -> None:
        pass

    def delete(self, names: object) -> None:
        pass

    def check(self, name: str) -> None:
        pass


@contextmanager
def _no_lock(*_: object) -> Generator[_NoLocks]:
    yield _NoLocks()


def _no_list(*_: object) -> PhoneAgents:
    return PhoneAgents([])


def _one_list(list_items: Callable[[], PhoneAgents], *_: object) -> PhoneAgents:
    return list_items()


def _first_list(list_items: object, before: PhoneAgents, *_: object) -> PhoneAgents:
    return before


def _two_lists(
    client: OpenCXClient, list_agents: Callable[[OpenCXClient], PhoneAgents] = listing.list_agents
) -> PhoneAgents:
    list_agents(client)
    return list_agents(client)


def _nothing(*_: object, **__: object) -> tuple[()]:
    return ()


def _no_agents(*_: object) -> list[PhoneAgent]:
    return []


def _no_loss(*_: object) -> bool:
    return False


def _no_scenarios(*_: object) -> list[object]:
    return []


def _no_intents(*_: object) -> Mapping[str, Intent]:
    return {}


def _bug(*_: object, **__: object) -> None:
    raise RuntimeError("a bug")


def _untrue_fields(agent: PhoneAgent, dump: Callable[[PhoneAgent], Any] = PhoneAgent.as_dict) -> dict[str, object]:
    return {**dump(agent), "first_message": "Good evening."}


def _believed(
    this: progress.Progress,
    index: int,
    pending: Pending,
    sent: Callable[[progress.Progress, int, Pending], None] = progress.Progress.sent,
) -> None:
    """Settle a write from its response, where the response shows an agent."""
    returned = getattr(pending, "returned", None) or pending.item
    if pending.failure is None and returned is not None:
        this.settle(index, Outcome(returned, this.plan_of(index).decision))
    else:
        sent(this, index, pending)


def _any_text(agent: PhoneAgent) -> bool:
    return bool(agent.phone_number)


def _from_anybody(response: Any) -> bool:
    """Take a refusal for the service's own whatever its body is."""
    return 300 <= response.status_code < 500 and response.status_code not in (408, 429)


def _wrong_connection(conn_id: str, *_: object) -> OpenCXConfigError:
    return OpenCXConfigError(f"Connection {conn_id!r} is not defined.")


def _never_handled(error: object) -> bool:
    return False


def _not_settled(*_: object) -> bool:
    return False


def _not_recorded(*_: object, **__: object) -> None:
    return None


def _nobody_was_called(reason: str, *_: object) -> OpenCXError:
    return OpenCXError(reason)


def _not_listed(*_: object) -> bool:
    return False


def _first_verdict(
    this: CallBatch, callee: Callee, verdict: Callable[[CallBatch, Callee], Verdict] = CallBatch._verdict
) -> Verdict:
    """Return what was so of a person when the batch began."""
    kept: dict[Callee, Verdict] = this.__dict__.setdefault("kept", {})
    if callee not in kept:
        kept[callee] = verdict(this, callee)
    return kept[callee]


def _allowed_at_first(this: OpenCXHook) -> bool:
    return this.get_conn().settings.allow_calls


def _no_check(*_: object) -> Callable[[Callee], None]:
    return lambda callee: None


def _first_try(*_: object) -> bool:
    return False


def _told_as_called(
    this: CallBatch,
    decision: Decision,
    entry: Entry | None,
    callee: Callee,
    result_of: Callable[[CallBatch, Decision, Entry | None, Callee], CallResult | None] = CallBatch._result_of,
) -> CallResult | None:
    """Return a call for every intent that was not to be repeated."""
    if entry is not None and decision in ("unknown", "skip"):
        return CallResult(callee, "called", called_at=entry.sent_at)
    return result_of(this, decision, entry, callee)


def _recorded_anyway(this: ObjectLedger, slot: str, entry: Entry, *, after: Entry | None) -> None:
    """Record an intent, whoever has recorded one meanwhile."""
    last, _ = this._last(slot)
    with this._storage("written") as (storage, folder):
        text = json.dumps(entry.as_json()).encode()
        storage.pipe_file(f"{folder}/{slot}.{last + 1}.intent.json", text, mode="overwrite")
    this._begun[slot] = last + 1


def _only_hindered(
    this: CallBatch,
    made: CallsMade,
    index: int,
    verdict: Verdict,
    is_hindered: Callable[[CallBatch, CallsMade, int, Verdict], bool] = CallBatch._is_hindered,
) -> bool:
    """Forget that a person may have been called, where a guard keeps from calling again."""
    this._repeated.clear()
    return is_hindered(this, made, index, verdict)


def _start_without_record(
    client: OpenCXClient,
    sequence_id: str,
    ledger: Ledger,
    check: start.Check,
    begin: Callable[..., OutboundSequence] = start.start_once,
    **options: Any,
) -> OutboundSequence:
    """Start a sequence without a look at what earlier tries have recorded, and record nothing."""
    return begin(client, sequence_id, NoLedger(), check, **options)


def _start_trusting(*arguments: Any, begin: Callable[..., OutboundSequence] = start.start_once, **options: Any) -> Any:
    """Take it that no record means that nothing was sent."""
    return begin(*arguments, **{**options, "no_record_means_nothing_sent": True})


def _started_anyway(
    client: OpenCXClient,
    sequence_id: str,
    before_sending: Callable[[], None],
    begin: Callable[..., Handled] = start.start_sequence,
) -> Handled:
    """Start a sequence whatever the connection says by now."""
    with patch.object(client, "_calls_allowed", lambda: True):
        return begin(client, sequence_id, before_sending)


def _started_again(
    client: OpenCXClient,
    sequence_id: str,
    before_sending: Callable[[], None],
    begin: Callable[..., Handled] = start.start_sequence,
) -> Handled:
    """Send a start of unknown outcome again."""
    try:
        return begin(client, sequence_id, before_sending)
    except OpenCXUnknownOutcomeError:
        return begin(client, sequence_id, before_sending)


def _not_started(
    client: OpenCXClient,
    sequence_id: str,
    before_sending: Callable[[], None],
    begin: Callable[..., Handled] = start.start_sequence,
) -> Handled:
    """Say of a start of unknown outcome that it was not handled."""
    try:
        return begin(client, sequence_id, before_sending)
    except OpenCXUnknownOutcomeError as unknown:
        raise OpenCXError(f"The sequence was not started: {unknown}") from None


def _without_guard(**changes: Any) -> Callable[..., None]:
    """Return a check of the people of a sequence that leaves a guard out."""
    check = StartGuards._check_people

    def check_others(this: StartGuards, *arguments: Any) -> None:
        check(replace(this, guards=replace(this.guards, **changes)), *arguments)

    return check_others


def _read_as_it_is(client: OpenCXClient, declared: object, sequence_id: str) -> OutboundSequence:
    return get_sequence(client, sequence_id)


def _left_as_it_is(client: OpenCXClient, declared: object, found: OutboundSequence) -> OutboundSequence:
    return found


def _any_differences(declared: SequenceDeclaration, found: OutboundSequence) -> dict[str, str]:
    """Return how a sequence differs, whether it has begun or not."""
    return declared.asked.differences(found)


def _not_added(
    this: EnrolmentSender, *arguments: Any, send: Callable[..., PlacedCall] = EnrolmentSender.send
) -> PlacedCall:
    """Say of a slice of unknown outcome that nobody was added."""
    try:
        return send(this, *arguments)
    except OpenCXUnknownOutcomeError as unknown:
        raise OpenCXError(str(unknown)) from None


def _nobody(*_: object) -> frozenset[Callee]:
    return frozenset()


def _never(*_: object) -> bool:
    return False


def _moved_within(
    this: reading.Reading,
    since: Filters,
    before: datetime,
    may_have_moved: Callable[[reading.Reading, Filters, datetime], bool] = reading._may_have_moved,
) -> bool:
    """Look only at what may have been in the interval itself."""
    return may_have_moved(this, since, before - MARGIN)


def _without_bounds(
    this: Spool, folder: Path, interval: Interval, begin: Callable[[Spool, Path, None], None] = Spool.__init__
) -> None:
    """Keep whatever the service lists."""
    begin(this, folder, None)


def _put_in_place(this: Target, file: Path, path: str) -> None:
    """Write a file where it belongs, and not aside."""
    this._storage.makedirs(this._aside, exist_ok=True)
    this._storage.put_file(os.fspath(file), path)


class _Digest(str):
    """A digest of which the beginning, which the name of a part has, is always the same."""

    def __getitem__(self, key: object) -> str:
        return "0" * 12


def _same_names(file: Path, digest: Callable[[Path], str] = parts._sha256) -> str:
    return _Digest(digest(file))


def _manifest_first(
    this: Target, file: Path, name: str = "", put: Callable[[Target, Path, str], None] = Target.put
) -> None:
    """Put the parts of a folder only after their manifest."""
    held: dict[str, Path] = this.__dict__.setdefault("held", {})
    if name.startswith("part-"):
        held[name] = file.rename(file.with_name(name))
        return
    put(this, file, name)
    for part, content in held.items():
        put(this, content, part)


_NO_PAUSES: Sequence[float] = ()

_NO_INTENTS: Mapping[str, object] = {
    "call_ledgers.TaskStateLedger.begin": _not_recorded,
    "campaigns.ledger.ObjectLedger.begin": _not_recorded,
}
"""Neither ledger records what is about to be sent."""

REMOVED_FIXES: Mapping[str, RemovedFix] = {
    "list before a create": RemovedFix(
        "duplicates",
        {"phone_agents.reconcile._list_before_creating": _no_list, "reconciliation.creates.list_again": _first_list},
    ),
    "second list before a create": RemovedFix("duplicates", {"reconciliation.creates.list_again": _first_list}),
    "third list before a create": RemovedFix("duplicates", {"reconciliation.creates.list_again": _one_list}),
    "locks": RemovedFix("duplicates", {"client.client.OpenCXClient.lock": _no_lock}),
    "intents": RemovedFix("duplicates", {"reconciliation.creates._read": _no_intents}),
    "names that the service tidied": RemovedFix(
        "duplicates",
        {
            "phone_agents.plan.PhoneAgents.near": _no_agents,
            "phone_agents.plan.PhoneAgents.stored_otherwise": _no_agents,
        },
    ),
    "creates of unknown outcome": RemovedFix(
        "duplicates", {"reconciliation.confirmation.may_have_been_handled": _never_handled}
    ),
    "list after a write": RemovedFix("untrue results", {"reconciliation.progress.Progress.sent": _believed}),
    "comparison after a write": RemovedFix("lost writes", {"phone_agents.writes.find_mismatches": _nothing}),
    "numbers that are none": RemovedFix("untrue results", {"phone_agents.waiting.has_number": _any_text}),
    "refusals that are read again": RemovedFix("untrue results", {"client.client.REFUSALS_TO_BELIEVE": 1}),
    "refusals of a proxy": RemovedFix("untrue results", {"client.errors.is_from_service": _from_anybody}),
    "lists for an agent to update": RemovedFix(
        "untrue results", {"phone_agents.reconcile.FIND_NAME_AFTER": _NO_PAUSES}
    ),
    "connections that cannot be read": RemovedFix(
        "untyped errors",
        {
            "hooks.opencx.connection_not_found": _wrong_connection,
            "triggers.connections.connection_not_found": _wrong_connection,
        },
    ),
    "types of errors": RemovedFix("untyped errors", {"phone_agents.reconcile.plan_upsert": _bug}),
    "fields of a result": RemovedFix("untrue results", {"resources.phone_agents.PhoneAgent.as_dict": _untrue_fields}),
    "edits that are not published": RemovedFix(
        "overwritten drafts", {"knowledge.plan._loses_an_edit": _no_loss}, "training"
    ),
    "keys of training scenarios": RemovedFix(
        "duplicates", {"knowledge.plan.Scenarios.of_identity": _no_scenarios}, "training"
    ),
    "what is recorded of a call": RemovedFix(
        "called twice", {"campaigns.calls.CallBatch._settle_known": _not_settled}, "calls"
    ),
    "intents of calls": RemovedFix("called twice", _NO_INTENTS, "calls"),
    "intents that are created once": RemovedFix(
        "called twice", {"campaigns.ledger.ObjectLedger.begin": _recorded_anyway}, "calls"
    ),
    "calls of unknown outcome": RemovedFix("called twice", {"resources.calls._unknown": _nobody_was_called}, "calls"),
    "people of other mapped tasks": RemovedFix("called twice", {"mapped_calls.check_other_tasks": _no_check}, "calls"),
    "mapped tasks that have not told": RemovedFix("called twice", {"mapped_calls._may_have_called": _nothing}, "calls"),
    "first tries after a clear": RemovedFix("called twice", {"call_ledgers.is_cleared": _first_try}, "calls"),
    "second tries without records": RemovedFix(
        "called against a guard", {"call_ledgers._is_later_try": _first_try}, "calls"
    ),
    "do-not-call list": RemovedFix("called against a guard", {"campaigns.guards.DoNotCall.has": _not_listed}, "calls"),
    "hours before each call": RemovedFix(
        "called against a guard", {"campaigns.calls.CallBatch._verdict": _first_verdict}, "calls"
    ),
    "switch before each call": RemovedFix(
        "called against a guard", {"hooks.opencx.OpenCXHook._calls_allowed": _allowed_at_first}, "calls"
    ),
    "backfill": RemovedFix("called against a guard", {"operators.calling.is_backfill": _first_try}, "calls"),
    "most people": RemovedFix("called against a guard", {"campaigns.guards.check_count": _not_recorded}, "calls"),
    "agents that cannot call": RemovedFix(
        "called against a guard", {"campaigns.agent.check_can_call": _not_recorded}, "calls"
    ),
    "intents without an outcome": RemovedFix(
        "reported as called and not", {"campaigns.calls.CallBatch._result_of": _told_as_called}, "calls"
    ),
    "people who cannot be called again": RemovedFix(
        "reported as called and not", {"campaigns.calls.CallBatch._is_hindered": _only_hindered}, "calls"
    ),
    "record of a start": RemovedFix(
        "started twice", {"campaigns.sequences.start.start_once": _start_without_record}, "sequences"
    ),
    "lock of a start": RemovedFix("started twice", {"client.client.OpenCXClient.lock": _no_lock}, "sequences"),
    "reads after a start of unknown outcome": RemovedFix(
        "started twice", {"campaigns.sequences.start.start_sequence": _started_again}, "sequences"
    ),
    "starts of unknown outcome": RemovedFix(
        "reported as called and not", {"campaigns.sequences.start.start_sequence": _not_started}, "sequences"
    ),
    "comparison before a start": RemovedFix(
        "started otherwise than asked",
        {"campaigns.sequences.guards.StartGuards._check_asked": _not_recorded},
        "sequences",
    ),
    "sequences that have begun": RemovedFix(
        "started otherwise than asked",
        {"campaigns.sequences.creation._differences": _any_differences, "client.locks.NameLocks.read": _no_intents},
        "sequences",
    ),
    "hours of a start": RemovedFix(
        "called against a guard",
        {"campaigns.sequences.guards.StartGuards._check_people": _without_guard(hours=None)},
        "sequences",
    ),
    "do-not-call list of a start": RemovedFix(
        "called against a guard",
        {"campaigns.sequences.guards.StartGuards._check_people": _without_guard(do_not_call=None)},
        "sequences",
    ),
    "backfill of a start": RemovedFix(
        "called against a guard",
        {"operators.sequence.OpenCXStartSequenceOperator._skip_backfill": _not_recorded},
        "sequences",
    ),
    "agents of a start": RemovedFix(
        "called against a guard",
        {"operators.sequence.OpenCXStartSequenceOperator._check_agents": _not_recorded},
        "sequences",
    ),
    "switch before a start": RemovedFix(
        "called against a guard", {"campaigns.sequences.start.start_sequence": _started_anyway}, "sequences"
    ),
    "second tries of a start without records": RemovedFix(
        "called against a guard", {"campaigns.sequences.start.start_once": _start_trusting}, "sequences"
    ),
    "most people of a sequence": RemovedFix(
        "called against a guard",
        {"campaigns.guards.check_count": _not_recorded, "campaigns.sequences.guards.check_count": _not_recorded},
        "sequences",
    ),
    "contacts of one number": RemovedFix(
        "called twice", {"campaigns.sequences.guards.KnownContacts.check_repeated": _not_recorded}, "sequences"
    ),
    "recorded id of a sequence": RemovedFix(
        "duplicates", {"campaigns.sequences.creation._record": _not_recorded}, "sequences"
    ),
    "comparison after a create": RemovedFix(
        "untrue results", {"campaigns.sequences.creation._confirmed": _read_as_it_is}, "sequences"
    ),
    "changes of a sequence": RemovedFix(
        "untrue results", {"campaigns.sequences.creation._as_declared": _left_as_it_is}, "sequences"
    ),
    "what is recorded of an added person": RemovedFix("called twice", _NO_INTENTS, "sequences"),
    "slices of unknown outcome": RemovedFix(
        "called twice", {"campaigns.sequences.enrolment.EnrolmentSender.send": _not_added}, "sequences"
    ),
    "people whom a filter does not admit": RemovedFix(
        "reported as called and not", {"campaigns.sequences.enrolment.not_admitted": _nobody}, "sequences"
    ),
    "second reading of a list that moved": RemovedFix(
        "missing from its interval", {"extraction.reading._may_have_moved": _never}, "extractions"
    ),
    "what moves a list from beyond the interval": RemovedFix(
        "missing from its interval", {"extraction.reading._may_have_moved": _moved_within}, "extractions"
    ),
    "margin of an interval": RemovedFix(
        "missing from its interval",
        {"extraction.interval.Interval.asked": property(lambda this: (this.start, this.end))},
        "extractions",
    ),
    "bounds of an interval": RemovedFix(
        "in two intervals", {"extraction.spool.Spool.__init__": _without_bounds}, "extractions"
    ),
    "newest row": RemovedFix(
        "untrue results",
        {"extraction.spool.is_newer": _never},
        "extractions",
    ),
    "file that is written aside": RemovedFix(
        "half a file", {"extraction.storage.Target._put": _put_in_place}, "extractions"
    ),
    "names of parts": RemovedFix("half a file", {"extraction.parts._sha256": _same_names}, "extractions"),
    "manifest after its parts": RemovedFix(
        "half a file", {"extraction.storage.Target.put": _manifest_first}, "extractions"
    ),
    "histories that are gone": RemovedFix(
        "untrue results", {"extraction.histories.OpenCXNotFoundPermanentError": OpenCXNotFoundError}, "extractions"
    ),
    "one list": RemovedFix("needless requests", {"phone_agents.reconcile.list_agents": _two_lists}),
}
"""Each row is a fix, by a name for the option ``--find``."""
