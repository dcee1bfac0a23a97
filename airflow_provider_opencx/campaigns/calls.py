"""Calls people, each at most once: what is known of each, what keeps from a call, one request, and its outcome.

The order matters. What the ledger knows comes first, so that a retry or a clear returns what was done and sends
nothing. Then come the guards, all of them before the first request. Then, for each person in turn: the guards once
more, because a long batch may reach the end of the calling hours; the intent; the request; the outcome.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, TypeAlias

from pydantic import JsonValue

from airflow_provider_opencx import metrics
from airflow_provider_opencx.campaigns.guards import Guards, Hindrance, Verdict
from airflow_provider_opencx.campaigns.ledger import Decision, Entry, Ledger, OnUnknown, decide
from airflow_provider_opencx.client.exchange import DEADLINE_FACTOR
from airflow_provider_opencx.client.retry_after import MAX_RETRY_AFTER
from airflow_provider_opencx.exceptions import (
    OpenCXCallRefusedError,
    OpenCXContactsChangedError,
    OpenCXError,
    OpenCXLedgerError,
    OpenCXOutsideCallingHoursError,
    OpenCXRateLimitError,
    OpenCXUnknownCallOutcomeError,
)
from airflow_provider_opencx.resources.calls import (
    MAKE_OUTBOUND_CALL,
    WAYS_ON,
    Callee,
    PlacedCall,
    call_request,
    place_call,
)
from airflow_provider_opencx.text import listed

if TYPE_CHECKING:
    from airflow_provider_opencx.client.client import OpenCXClient

CallStatus: TypeAlias = Literal["called", "unknown", "do_not_call", "unknown_zone", "outside_hours"]
"""The outcome for a person: called; may have been called; or why not."""

OutsideHours: TypeAlias = Literal["skip", "fail", "reschedule"]
"""What to do about a person who must not be called now: leave out, fail the task, or come back when it is time."""

MOST_UNKNOWN_IN_A_ROW = 3
"""After this many calls of unknown outcome in a row nobody else is called: something is wrong with the service."""

LONGEST_ON_ITS_WAY = 600.0
"""Seconds for which a call without an outcome may still be made by another task, and is not repeated, at least."""

MOST_RATE_LIMITED = 5
"""How often in a row the service may say that there are too many requests, before the task gives up its worker."""

_IN_ORDER: Sequence[Decision] = ("changed", "known", "unknown", "skip", "send")
"""Of the decisions that follow from several records of a person, the first of these counts."""

_PAUSE_AFTER_429 = 5.0
_MOST_NAMED = 5
_MOST_LOGGED = 20

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CallResult:
    """The outcome for one person.

    :param callee: the person.
    :param status: the outcome for the person.
    :param agent_id: the agent that called; ``None`` if none did.
    :param called_at: when the call was asked for; of one of unknown outcome, about when. ``None`` if it was not.
    :param response: what the service returned, as it is.
    :param reason: why the person was not called; empty if so.
    """

    callee: Callee
    status: CallStatus
    agent_id: str | None = None
    called_at: str | None = None
    response: JsonValue = None
    reason: str = ""

    def as_dict(self) -> dict[str, JsonValue]:
        """Return the result as plain JSON."""
        return {
            "phone_number": self.callee.phone_number,
            "contact_id": self.callee.contact_id,
            "status": self.status,
            "agent_id": self.agent_id,
            "called_at": self.called_at,
            "response": self.response,
            "reason": self.reason or None,
        }


@dataclass(frozen=True)
class CallPolicy:
    """How a batch of calls is made.

    :param guards: what is checked of each person.
    :param on_unknown: what to do about a person who may have been called.
    :param outside_hours: what to do about a person who must not be called at this time.
    :param by: which try of which task it is, for records and messages.
    """

    guards: Guards
    on_unknown: OnUnknown = "fail"
    outside_hours: OutsideHours = "skip"
    by: str = "a script"


@dataclass
class CallsMade:
    """The outcome of a batch.

    :param people: who was to be called.
    :param results: the result of each person, by the position in the list; one who waits for the hours has none.
    :param opens_at: when the first of those who wait may be called; ``None`` if nobody waits.
    :param error: why the task must fail; ``None`` if it need not.
    """

    people: Sequence[Callee]
    results: dict[int, CallResult] = field(default_factory=dict)
    opens_at: datetime | None = None
    error: OpenCXError | None = None

    def in_order(self) -> list[CallResult]:
        """Return the results in the order of the people."""
        return [self.results[index] for index in sorted(self.results)]

    @property
    def called(self) -> int:
        """How many people were called, in this try or an earlier one."""
        return sum(result.status == "called" for result in self.results.values())


class _HinderedError(OpenCXError):
    """A guard keeps from a call that was about to be sent. It does not leave this module.

    :param verdict: what the guard says.
    """

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.reason)
        self.verdict = verdict


class CallBatch:
    """Calls some people, one after the other.

    :param client: sends the requests; it checks before each that calls are allowed.
    :param ledger: where records are kept.
    :param slots_of: returns the slots of the ledger for a person: one for the number, one for the contact. Each comes
        with the digest that it is about. Whoever was called by one of them is not called by the other.
    :param policy: how the calls are made.
    :param no_record_means_nothing_sent: whether a person without a record has not been called by an earlier try.
    """

    def __init__(
        self,
        client: OpenCXClient,
        ledger: Ledger,
        slots_of: Callable[[Callee], Mapping[str, str]],
        policy: CallPolicy,
        *,
        no_record_means_nothing_sent: bool = True,
    ) -> None:
        self._client = client
        self._ledger = ledger
        self._slots_of = slots_of
        self._policy = policy
        self._is_trusted = no_record_means_nothing_sent
        self._unknown: list[CallResult] = []  # those for whom the task must fail
        self._known: list[str] = []
        self._repeated: dict[Callee, Mapping[str, Entry]] = {}

    def call(
        self,
        people: Sequence[Callee],
        find_agent: Callable[[], str],
        body_of: Callable[[str, Callee], Mapping[str, JsonValue]],
        check: Callable[[Callee], None] = lambda callee: None,
    ) -> CallsMade:
        """Call people, unless something keeps from it.

        :param people: who is to be called, nobody twice.
        :param find_agent: returns the id of the agent that calls, after checking that it can; asked only where there is
            somebody to call.
        :param body_of: returns the body of the request for a person.
        :param check: raises an error if a person, of whom there is no record, must not be called.
        :return: the outcome of each, with the error that the task must fail with, where something is amiss.
        :raises OpenCXContactsChangedError: if a record is about somebody else; nothing was sent.
        :raises OpenCXCallRefusedError: if nothing is known of what an earlier try has sent; nothing was sent.
        :raises OpenCXOutsideCallingHoursError: with ``outside_hours="fail"``, before the first request.
        :raises OpenCXError: that of :meth:`find_agent`, or of a client that may not call.
        """
        made = CallsMade(people)
        left = [index for index, callee in enumerate(people) if not self._settle_known(made, index, callee)]
        if self._known:
            known = listed(self._known, _MOST_LOGGED, separator="; ", more="; and {} more people were called")
            log.info("Nothing is sent for people who were called before: %s.", known)
        with self._saying_what_was_done(made):
            for index in left:
                check(people[index])
            left = self._settle_hindered(made, left)
            if left:
                self._client.check_calls_allowed(
                    MAKE_OUTBOUND_CALL.request(about="1 person" if len(left) == 1 else f"{len(left)} people")
                )
                self._call_each(made, left, find_agent(), body_of)
        if made.error is None and self._unknown:
            made.error = self._unknown_error(made, self._unknown)
        return made

    def _settle_known(self, made: CallsMade, index: int, callee: Callee) -> bool:
        """Settle a person by what is recorded; return whether that was possible."""
        slots = self._slots_of(callee)
        with _nothing_sent(callee):
            recorded = {slot: entry for slot in slots if (entry := self._ledger.read(slot)) is not None}
        decisions = [(decide(each, slots[slot], self._policy.on_unknown), each) for slot, each in recorded.items()]
        nothing: tuple[Decision, Entry | None] = ("send", None)
        decision, entry = min(decisions, key=lambda each: _IN_ORDER.index(each[0]), default=nothing)
        if entry is None and not self._is_trusted:
            raise OpenCXCallRefusedError(
                f"{callee.label}: nothing was sent. An earlier try of this task may have called, and no record is kept"
                " that would survive it. Airflow 3.3 keeps one, unless [state_store] clear_on_success is on; so does"
                " ledger_path, on every Airflow. To call nevertheless, start a new Dag run."
            )
        if decision == "send" and entry is not None and self._may_be_on_its_way(entry):
            decision = "unknown"
        result = self._result_of(decision, entry, callee)
        if result is None:
            self._repeated[callee] = recorded
            return False
        made.results[index] = result
        return True

    def _may_be_on_its_way(self, entry: Entry) -> bool:
        """Return whether a call of unknown outcome may be one that another task makes at this moment."""
        try:
            age = time.time() - datetime.fromisoformat(entry.sent_at).timestamp()
        except ValueError:
            return False
        return age < self._longest_on_its_way

    @property
    def _longest_on_its_way(self) -> float:
        return max(LONGEST_ON_ITS_WAY, DEADLINE_FACTOR * self._client.settings.timeout)

    def _result_of(self, decision: Decision, entry: Entry | None, callee: Callee) -> CallResult | None:
        """Return what is known of a person; ``None`` if the person is to be called."""
        if entry is None or decision == "send":
            return None
        if decision == "changed":
            raise OpenCXContactsChangedError(
                f"{callee.label}: nothing was sent, because the list changed since: {entry.by} called, or may have"
                f" called, somebody else at {entry.sent_at} in its place. Start a new Dag run for the new list, or"
                " clear the task with the list as it was."
            )
        if decision == "known" and entry.outcome is not None:
            self._known.append(f"{callee.label} was called at {entry.sent_at} by {entry.by}")
            return CallResult(
                callee, "called", _text(entry.outcome.get("agent_id")), entry.sent_at, entry.outcome.get("response")
            )
        reason = f"may have been called by {entry.by}"
        if self._policy.on_unknown == "repeat":
            reason += f", which may be making it now: not repeated for {self._longest_on_its_way / 60:.0f} minutes"
        result = CallResult(callee, "unknown", called_at=entry.sent_at, reason=reason)
        if decision == "skip":
            log.warning("%s may have been called at %s by %s: left out.", callee.label, entry.sent_at, entry.by)
        else:
            self._unknown.append(result)
        return result

    def _settle_hindered(self, made: CallsMade, left: Sequence[int]) -> list[int]:
        """Settle those whom a guard keeps from being called now; return the others."""
        verdicts = {index: self._verdict(made.people[index]) for index in left}
        outside = [index for index in left if verdicts[index].hindrance == "outside_hours"]
        if outside and self._policy.outside_hours == "fail":
            first = outside[0]
            more = "" if len(outside) == 1 else f" So are {len(outside) - 1} more."
            raise OpenCXOutsideCallingHoursError(
                f"Nobody was called in this try: {made.people[first].label} {verdicts[first].reason}.{more}"
            )
        return [index for index in left if not self._is_hindered(made, index, verdicts[index])]

    def _is_hindered(self, made: CallsMade, index: int, verdict: Verdict) -> bool:
        """Note that a person is not called; return whether it is so."""
        hindrance: Hindrance | None = verdict.hindrance
        if hindrance is None:
            return False
        callee = made.people[index]
        log.info("%s %s: not called.", callee.label, verdict.reason)
        if hindrance == "outside_hours" and self._policy.outside_hours == "reschedule" and verdict.opens_at is not None:
            made.opens_at = min(made.opens_at or verdict.opens_at, verdict.opens_at)
        elif (recorded := next(iter(self._unknown_before(callee).values()), None)) is not None:
            reason = f"may have been called by {recorded.by}, and cannot be called again: {verdict.reason}"
            result = CallResult(callee, "unknown", called_at=recorded.sent_at, reason=reason)
            made.results[index] = result
            self._unknown.append(result)
        else:
            self._settle(made, index, CallResult(callee, hindrance, reason=verdict.reason))
        return True

    @staticmethod
    def _settle(made: CallsMade, index: int, result: CallResult) -> None:
        """Note the outcome for a person in this try."""
        made.results[index] = result
        metrics.count_call(result.status)

    def _settle_unknown(self, made: CallsMade, index: int, result: CallResult) -> None:
        """Note that a person may have been called; the task must fail, unless it is to leave such people out."""
        self._settle(made, index, result)
        if self._policy.on_unknown != "skip":
            self._unknown.append(result)

    def _verdict(self, callee: Callee) -> Verdict:
        return self._policy.guards.verdict(callee, datetime.fromtimestamp(time.time(), UTC))

    def _call_each(
        self,
        made: CallsMade,
        left: Sequence[int],
        agent_id: str,
        body_of: Callable[[str, Callee], Mapping[str, JsonValue]],
    ) -> None:
        """Call people in turn, until all are called or something says that the others should not be."""
        unknown_in_a_row: list[CallResult] = []
        for done, index in enumerate(left, start=1):
            callee = made.people[index]
            try:
                result = self._call_one(made, index, agent_id, body_of(agent_id, callee))
            except OpenCXUnknownCallOutcomeError as error:
                log.error("%s", error)
                reason = str(error).removeprefix(f"{callee.label} ")
                result = CallResult(callee, "unknown", agent_id, error.sent_at, reason=reason)
                self._settle_unknown(made, index, result)
                unknown_in_a_row.append(result)
                if len(unknown_in_a_row) == MOST_UNKNOWN_IN_A_ROW and done < len(left):
                    stopped = f"{len(unknown_in_a_row)} in a row: {len(left) - done} people were not called."
                    made.error = self._unknown_error(made, self._unknown or unknown_in_a_row, stopped)
                    return
                continue
            except OpenCXError as error:
                made.error = self._with_what_was_done(made, error)
                return
            if result is None:
                continue
            if result.status == "unknown":  # somebody else calls, which says nothing about the service
                log.error("%s %s", callee.label, result.reason)
                self._settle_unknown(made, index, result)
            else:
                unknown_in_a_row.clear()
                self._settle(made, index, result)
                log.info("Called %s at %s (%d of %d).", callee.label, result.called_at, done, len(left))

    def _call_one(self, made: CallsMade, index: int, agent_id: str, body: Mapping[str, JsonValue]) -> CallResult | None:
        """Call one person, unless a guard keeps from it by now; ``None`` if so."""
        callee = made.people[index]
        for attempt in range(1, MOST_RATE_LIMITED + 1):
            try:
                self._check_guards(callee)
                return self._send(callee, agent_id, body)
            except _HinderedError as hindered:
                verdict = hindered.verdict
                if verdict.hindrance == "outside_hours" and self._policy.outside_hours == "fail":
                    raise OpenCXOutsideCallingHoursError(f"{callee.label} {verdict.reason}.") from None
                self._is_hindered(made, index, verdict)
                return None
            except OpenCXRateLimitError as error:
                pause = _PAUSE_AFTER_429 if error.retry_after is None else error.retry_after
                if pause > MAX_RETRY_AFTER or attempt == MOST_RATE_LIMITED:
                    raise
                log.info("%s Nobody was called. Sent again in %.0f s.", error, pause)
                time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def _send(self, callee: Callee, agent_id: str, body: Mapping[str, JsonValue]) -> CallResult:
        """Record the intent, send, and record the outcome."""
        intents = {slot: Entry(to, _now(), self._policy.by) for slot, to in self._slots_of(callee).items()}
        begun: list[str] = []
        try:
            for slot, intent in intents.items():
                with _nothing_sent(callee):
                    recorded = self._ledger.begin(slot, intent, after=self._unknown_before(callee).get(slot))
                if recorded is not None:
                    self._forget(callee, begun)
                    return self._recorded_meanwhile(recorded, intent.to, callee)
                begun.append(slot)
            # Once more when the request is about to be sent: the wait for the rate limit may have taken a minute.
            request = call_request(agent_id, callee, body)
            placed = place_call(self._client, request, callee, before_sending=lambda: self._check_guards(callee))
        except OpenCXUnknownCallOutcomeError:
            raise
        except OpenCXError:
            self._forget(callee, begun)  # any other error proves that nobody was called
            raise
        for slot, intent in intents.items():
            self._finish(slot, replace(intent, sent_at=placed.called_at), agent_id, placed)
        return CallResult(callee, "called", agent_id, placed.called_at, placed.response)

    def _unknown_before(self, callee: Callee) -> Mapping[str, Entry]:
        """Return the records of unknown outcome, by slot, that a call to a person repeats."""
        return self._repeated.get(callee, {})

    def _check_guards(self, callee: Callee) -> None:
        """Raise a :class:`_HinderedError` if a guard keeps a person from being called now."""
        verdict = self._verdict(callee)
        if verdict.hindrance is not None:
            raise _HinderedError(verdict)

    def _recorded_meanwhile(self, recorded: Entry, to: str, callee: Callee) -> CallResult:
        """Return the result of a call that somebody else has made, or makes, since the ledger was read."""
        result = self._result_of("known", recorded, callee) if decide(recorded, to, "fail") == "known" else None
        if result is not None:
            return result
        reason = f"is being called, or may have been, by {recorded.by}; nothing was sent in this try."
        return CallResult(callee, "unknown", called_at=recorded.sent_at, reason=reason)

    def _forget(self, callee: Callee, slots: Sequence[str]) -> None:
        for slot in slots:
            try:
                self._ledger.forget(slot, after=self._unknown_before(callee).get(slot))
            except OpenCXLedgerError as error:
                log.warning("Nobody was called, but a later try will not know it: %s", error)

    def _finish(self, slot: str, intent: Entry, agent_id: str, placed: PlacedCall) -> None:
        outcome: dict[str, JsonValue] = {"agent_id": agent_id, "response": placed.response}
        try:
            self._ledger.finish(slot, replace(intent, outcome=outcome))
        except OpenCXLedgerError as error:
            log.warning("The call was made, but a later try will not know it, and send nothing: %s", error)

    @contextmanager
    def _saying_what_was_done(self, made: CallsMade) -> Generator[None]:
        try:
            yield
        except OpenCXError as error:
            raise self._with_what_was_done(made, error) from error.__cause__

    def _with_what_was_done(self, made: CallsMade, error: OpenCXError) -> OpenCXError:
        """Return an error that stops the batch, after what people were called, and who may have been."""
        done = (_may_have_been_called(self._unknown) if self._unknown else "", _called(made) if made.called else "")
        before = " ".join(filter(None, done))
        return error.with_message(f"{before} Then: {error}") if before else error

    def _unknown_error(self, made: CallsMade, unknown: Sequence[CallResult], more: str = "") -> OpenCXError:
        """Return the error that people may have been called.

        :param unknown: the results of these people.
        :param more: what else is to be said.
        """
        sentences = (_may_have_been_called(unknown), _called(made), more, WAYS_ON)
        return OpenCXUnknownCallOutcomeError(
            " ".join(filter(None, sentences)),
            contacts=[result.callee.number_or_contact for result in unknown],
            sent_at=unknown[0].called_at,
        )


@contextmanager
def _nothing_sent(callee: Callee) -> Generator[None]:
    """Say of a record that cannot be read or written that nothing was sent: no record is not known from no reading."""
    try:
        yield
    except OpenCXLedgerError as error:
        raise error.with_message(f"{callee.label}: nothing was sent. {error}") from error.__cause__


def _may_have_been_called(unknown: Sequence[CallResult]) -> str:
    who = [f"{result.callee.label} (at {result.called_at}: {result.reason})" for result in unknown]
    return f"May have been called: {listed(who, _MOST_NAMED, separator='; ')}."


def _called(made: CallsMade) -> str:
    return f"{made.called} of {len(made.people)} people were called."


def _now() -> str:
    return datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds")


def _text(value: JsonValue) -> str | None:
    return value if isinstance(value, str) else None
