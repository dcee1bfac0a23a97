"""Calls people, each at most once: reads the ledger, checks the guards, sends one request, records the outcome.

The order matters. What the ledger knows comes first, so that a retry or a clear returns what was done and sends
nothing. Then come the guards, all of them before the first request. Then, for each request in turn: the guards once
more, because a long batch may reach the end of the calling hours; the intents; the request; the outcomes.

What a request does to people is the matter of a :class:`Sender`: one call, or a slice of people for a sequence that
calls them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, cast

from pydantic import JsonValue

from airflow_provider_opencx import metrics
from airflow_provider_opencx.campaigns.guards import Guards, Hindrance, Verdict
from airflow_provider_opencx.campaigns.ledger import Decision, Entry, Ledger, OncePer, OnUnknown, decide
from airflow_provider_opencx.campaigns.rate_limited import wait_for_rate_limit
from airflow_provider_opencx.client.exchange import DEADLINE_FACTOR
from airflow_provider_opencx.client.once import now
from airflow_provider_opencx.client.operation import Request
from airflow_provider_opencx.exceptions import (
    OpenCXCallRefusedError,
    OpenCXContactsChangedError,
    OpenCXError,
    OpenCXLedgerError,
    OpenCXOutsideCallingHoursError,
    OpenCXRateLimitError,
    OpenCXSequenceRefusedError,
    OpenCXUnknownCallOutcomeError,
    OpenCXUnknownOutcomeError,
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
from airflow_provider_opencx.visible_text import identifier

if TYPE_CHECKING:
    from airflow_provider_opencx.client.client import OpenCXClient

Done: TypeAlias = Literal["called", "added"]
"""What was done to a person: called, or added to a sequence that calls."""

CallStatus: TypeAlias = Literal[
    Done, "unknown", "reached_elsewhere", "do_not_call", "not_admitted", "unknown_zone", "outside_hours"
]
"""The outcome for a person: done; may have been done; or why not."""

OutsideHours: TypeAlias = Literal["skip", "fail", "reschedule"]
"""What to do about a person who must not be called now: leave out, fail the task, or come back when it is time."""

MOST_UNKNOWN_IN_A_ROW = 3
"""After this many people of unknown outcome in a row nobody else is called: something is wrong with the service."""

LONGEST_ON_ITS_WAY = 600.0
"""Seconds for which a call without an outcome may still be made by another task, and is not repeated, at least."""

_IN_ORDER: Sequence[Decision] = ("changed", "known", "unknown", "skip", "send")
"""Of the decisions that follow from several records of a person, the first of these counts."""

_MOST_NAMED = 5
_MOST_LOGGED = 20

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CallResult:
    """The outcome for one person.

    :param callee: the person.
    :param status: the outcome for the person.
    :param through: the id of the agent that called, or of the sequence; ``None`` if none did.
    :param called_at: when it was asked for; of one of unknown outcome, about when. ``None`` if it was not.
    :param response: what the service returned, unchanged.
    :param reason: why the person was not called; empty if so.
    """

    callee: Callee
    status: CallStatus
    through: str | None = None
    called_at: str | None = None
    response: JsonValue = None
    reason: str = ""

    def as_dict(self) -> dict[str, JsonValue]:
        """Return the result as plain JSON."""
        return {
            "phone_number": self.callee.phone_number,
            "contact_id": self.callee.contact_id,
            "status": self.status,
            "agent_id": self.through,
            "called_at": self.called_at,
            "response": self.response,
            "reason": self.reason or None,
        }


@dataclass(frozen=True)
class CallPolicy:
    """The settings of a batch of calls.

    :param guards: what is checked of each person.
    :param on_unknown: what to do about a person who may have been called.
    :param outside_hours: what to do about a person who must not be called at this time.
    :param once_per: how long records count. A person who was reached by something else is left out where they count for
        ever; within a run it is an error.
    :param by: which try of which task it is, for records and messages.
    """

    guards: Guards
    on_unknown: OnUnknown = "fail"
    outside_hours: OutsideHours = "skip"
    once_per: OncePer = "run"
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
        """How many people were called or added, in this try or an earlier one."""
        return sum(result.status in ("called", "added") for result in self.results.values())


class Sender(Protocol):
    """The action of a batch: its requests, and the words for messages."""

    @property
    def done(self) -> Done:
        """The word for what was done to a person."""

    @property
    def most_at_once(self) -> int:
        """The most people in one request."""

    @property
    def ways_on(self) -> str:
        """What to do about people of unknown outcome."""

    def elsewhere(self, done: Done, through: str | None) -> str:
        """Return how a person was reached by something else than this; an empty text if it was by this.

        :param done: what was done, as it is recorded.
        :param through: the id of what did it.
        """

    def unsent(self, about: str) -> Request:
        """Return what would be sent for some people, for a message; it is never sent."""

    def prepare(self) -> str:
        """Return the id of what is to call, after checking that it can."""

    def request(self, through: str, people: Sequence[Callee]) -> Request:
        """Return a request.

        :param through: what :meth:`prepare` returned.
        :param people: whom it is about.
        """

    def send(self, request: Request, people: Sequence[Callee], before_sending: Callable[[], None]) -> PlacedCall:
        """Send a request, once.

        :param request: what :meth:`request` returned.
        :param people: whom it is about.
        :param before_sending: called when the request is about to be sent; an error keeps it from that.
        :raises OpenCXUnknownOutcomeError: if it is not known whether it was handled; the message is the reason.
        :raises OpenCXError: any other error says that it was not.
        """


@dataclass(frozen=True)
class CallSender:
    """Calls a person with a request.

    :param client: sends the requests.
    :param find_agent: returns the id of the agent that calls, after checking that it can; asked only where there is
        somebody to call.
    :param body_of: returns the body of the request for a person.
    :param done: what a request does to a person, for messages and records.
    :param most_at_once: how many people one request calls.
    :param ways_on: the last sentence of an error: what a person can do.
    """

    client: OpenCXClient
    find_agent: Callable[[], str]
    body_of: Callable[[str, Callee], Mapping[str, JsonValue]]
    done: Done = "called"
    most_at_once: int = 1
    ways_on: str = WAYS_ON

    def elsewhere(self, done: Done, through: str | None) -> str:
        """Return that a person was added to a sequence; one who was called by any agent was called."""
        return "" if done == self.done else f"{done} to a sequence ({identifier(through or '')})"

    def unsent(self, about: str) -> Request:
        """Return what would be sent, for a message."""
        return MAKE_OUTBOUND_CALL.request(about=about)

    def prepare(self) -> str:
        """Return the id of the agent."""
        return self.find_agent()

    def request(self, through: str, people: Sequence[Callee]) -> Request:
        """Return the request that calls one person."""
        [callee] = people
        return call_request(through, callee, self.body_of(through, callee))

    def send(self, request: Request, people: Sequence[Callee], before_sending: Callable[[], None]) -> PlacedCall:
        """Call the one person of a request."""
        [callee] = people
        return place_call(self.client, request, callee, before_sending)


class _HinderedError(OpenCXError):
    """A guard keeps from a request that was about to be sent. It does not leave this module."""


class CallBatch:
    """Calls some people, one request after the other.

    :param client: sends the requests; it checks before each that calls are allowed.
    :param ledger: where records are kept.
    :param slots_of: returns the slots of the ledger for a person: one for the number, one for the contact. Each comes
        with the digest that it is about. A person who was called by one of them is not called by the other.
    :param policy: how the calls are made.
    :param sender: what is done to people.
    :param no_record_means_nothing_sent: whether a person without a record has not been called by an earlier try.
    """

    def __init__(
        self,
        client: OpenCXClient,
        ledger: Ledger,
        slots_of: Callable[[Callee], Mapping[str, str]],
        policy: CallPolicy,
        sender: Sender,
        *,
        no_record_means_nothing_sent: bool = True,
    ) -> None:
        self._client = client
        self._ledger = ledger
        self._slots_of = slots_of
        self._policy = policy
        self._sender = sender
        self._is_trusted = no_record_means_nothing_sent
        self._unknown: list[CallResult] = []  # those for whom the task must fail
        self._known: list[str] = []
        self._repeated: dict[Callee, Mapping[str, Entry]] = {}

    def call(self, people: Sequence[Callee], check: Callable[[Callee], None] = lambda callee: None) -> CallsMade:
        """Call people, unless something keeps from it.

        :param people: who is to be called, nobody twice.
        :param check: raises an error if a person, of whom there is no record, must not be called.
        :return: the outcome of each, with the error that the task must fail with, where something is amiss.
        :raises OpenCXContactsChangedError: if a record is about somebody else; nothing was sent.
        :raises OpenCXSequenceRefusedError: if something else has reached a person, and that is to be an error; nothing
            was sent.
        :raises OpenCXCallRefusedError: if nothing is known of what an earlier try has sent; nothing was sent.
        :raises OpenCXOutsideCallingHoursError: with ``outside_hours="fail"``, before the first request.
        :raises OpenCXError: that of :meth:`Sender.prepare`, or of a client that may not call.
        """
        made = CallsMade(people)
        left = [index for index, callee in enumerate(people) if not self._settle_known(made, index, callee)]
        if self._known:
            known = listed(self._known, _MOST_LOGGED, separator="; ", more="; and {} more people were reached")
            log.info("Nothing is sent for people who were reached before: %s.", known)
        with self._saying_what_was_done(made):
            for index in left:
                check(people[index])
            left = self._settle_hindered(made, left)
            if left:
                about = "1 person" if len(left) == 1 else f"{len(left)} people"
                self._client.check_calls_allowed(self._sender.unsent(about))
                self._send_all(made, left, self._sender.prepare())
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
            return self._known_result(entry, entry.outcome, callee)
        reason = f"may have been {self._sender.done} by {entry.by}"
        if self._policy.on_unknown == "repeat":
            reason += f", which may be making it now: not repeated for {self._longest_on_its_way / 60:.0f} minutes"
        result = CallResult(callee, "unknown", called_at=entry.sent_at, reason=reason)
        if decision == "skip":
            log.warning("%s %s at %s: left out.", callee.label, reason, entry.sent_at)
        else:
            self._unknown.append(result)
        return result

    def _known_result(self, entry: Entry, outcome: Mapping[str, JsonValue], callee: Callee) -> CallResult:
        """Return the result of a person who was reached before.

        :raises OpenCXSequenceRefusedError: if it was by something else, and that is to be an error.
        """
        done, through = cast(Done, outcome.get("done", self._sender.done)), _text(outcome.get("through"))
        elsewhere = self._sender.elsewhere(done, through)
        reason = f"was {elsewhere or done} at {entry.sent_at} by {entry.by}"
        if elsewhere and self._policy.once_per == "run":
            raise OpenCXSequenceRefusedError(
                f"{callee.label}: nothing was sent, because this person {reason}. Start a new Dag run.",
                sequence_id=through,
            )
        self._known.append(f"{callee.label} {reason}")
        if elsewhere:
            return CallResult(callee, "reached_elsewhere", reason=reason)
        return CallResult(callee, done, through, entry.sent_at, outcome.get("response"))

    def _settle_hindered(self, made: CallsMade, left: Sequence[int]) -> list[int]:
        """Settle those whom a guard keeps from being called now; return the others."""
        verdicts = {index: self._verdict(made.people[index]) for index in left}
        outside = [index for index in left if verdicts[index].hindrance == "outside_hours"]
        if outside and self._policy.outside_hours == "fail":
            first = outside[0]
            more = "" if len(outside) == 1 else f" So are {len(outside) - 1} more."
            raise OpenCXOutsideCallingHoursError(
                f"Nobody was {self._sender.done} in this try: {made.people[first].label}"
                f" {verdicts[first].reason}.{more}"
            )
        return [index for index in left if not self._is_hindered(made, index, verdicts[index])]

    def _is_hindered(self, made: CallsMade, index: int, verdict: Verdict) -> bool:
        """Note that a person is not called; return whether it is so."""
        hindrance: Hindrance | None = verdict.hindrance
        if hindrance is None:
            return False
        callee = made.people[index]
        log.info("%s %s: not %s.", callee.label, verdict.reason, self._sender.done)
        if hindrance == "outside_hours" and self._policy.outside_hours == "reschedule" and verdict.opens_at is not None:
            made.opens_at = min(made.opens_at or verdict.opens_at, verdict.opens_at)
        elif (recorded := next(iter(self._unknown_before(callee).values()), None)) is not None:
            done = self._sender.done
            reason = f"may have been {done} by {recorded.by}, and cannot be {done} again: {verdict.reason}"
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

    def _send_all(self, made: CallsMade, left: Sequence[int], through: str) -> None:
        """Send request after request, until all people are called or something says that the others should not be."""
        unknown_in_a_row: list[CallResult] = []
        for first in range(0, len(left), self._sender.most_at_once):
            indexes = left[first : first + self._sender.most_at_once]
            done = first + len(indexes)
            try:
                results = self._send_when_possible(made, indexes, through)
            except OpenCXError as error:
                made.error = self._with_what_was_done(made, error)
                return
            called = [index for index, result in results.items() if result.status == self._sender.done]
            for index, result in results.items():
                (self._settle_unknown if result.status == "unknown" else self._settle)(made, index, result)
            if called:
                unknown_in_a_row.clear()
                who = made.people[called[0]].label if len(called) == 1 else f"{len(called)} people"
                what = self._sender.done.capitalize()
                log.info("%s %s at %s (%d of %d).", what, who, results[called[0]].called_at, done, len(left))
                continue
            # If another task calls a person, this says nothing about the service.
            unknown = [result for result in results.values() if result.status == "unknown"]
            unknown_in_a_row += [result for result in unknown if result.through is not None]
            if len(unknown_in_a_row) >= MOST_UNKNOWN_IN_A_ROW and done < len(left):
                stopped = f"{len(unknown_in_a_row)} in a row: {len(left) - done} people were not {self._sender.done}."
                made.error = self._unknown_error(made, self._unknown or unknown_in_a_row, stopped)
                return

    def _send_when_possible(self, made: CallsMade, indexes: Sequence[int], through: str) -> Mapping[int, CallResult]:
        """Send one request for some people, except those whom a guard excludes by now; return their results."""
        attempt = 1
        while True:
            ready = [index for index in indexes if not self._is_hindered_now(made, index)]
            try:
                results = self._send([made.people[index] for index in ready], through) if ready else []
                return dict(zip(ready, results, strict=True))
            except _HinderedError:
                continue  # the guards are asked again, and leave out whom they keep from it
            except OpenCXRateLimitError as error:
                wait_for_rate_limit(error, attempt, f"Nobody was {self._sender.done}.")
                attempt += 1

    def _is_hindered_now(self, made: CallsMade, index: int) -> bool:
        verdict = self._verdict(made.people[index])
        if verdict.hindrance == "outside_hours" and self._policy.outside_hours == "fail":
            raise OpenCXOutsideCallingHoursError(f"{made.people[index].label} {verdict.reason}.")
        return self._is_hindered(made, index, verdict)

    def _send(self, people: Sequence[Callee], through: str) -> list[CallResult]:
        """Record the intents, send one request, and record the outcomes; return the result of each person."""
        request = self._sender.request(through, people)  # before the records: what cannot be sent leaves none
        begun: dict[Callee, Mapping[str, Entry]] = {}
        results: dict[Callee, CallResult] = {}
        try:
            for callee in people:
                recorded = self._begin(callee, begun)
                if recorded is not None:
                    results[callee] = recorded
            ready = [callee for callee in people if callee not in results]
            if ready:
                request = request if len(ready) == len(people) else self._sender.request(through, ready)
                # Check again when the request is about to be sent: the wait for the rate limit may have taken a minute.
                placed = self._sender.send(request, ready, lambda: self._check_guards(ready))
                for callee in ready:
                    self._finish(begun[callee], through, placed)
                    results[callee] = CallResult(callee, self._sender.done, through, placed.called_at, placed.response)
        except OpenCXUnknownOutcomeError as error:
            log.error("%s", error)
            for callee in ready:
                reason = str(error).removeprefix(f"{callee.label} ")
                results[callee] = CallResult(callee, "unknown", through, error.sent_at, reason=reason)
        except OpenCXError:
            for callee, intents in begun.items():
                self._forget(callee, intents)  # any other error proves that nobody was called
            raise
        return [results[callee] for callee in people]

    def _begin(self, callee: Callee, begun: dict[Callee, Mapping[str, Entry]]) -> CallResult | None:
        """Record the intent for a person; return what somebody else has recorded meanwhile, ``None`` if nobody has.

        :param begun: gets what is recorded.
        """
        intents = {slot: Entry(to, now(), self._policy.by) for slot, to in self._slots_of(callee).items()}
        recorded_here: dict[str, Entry] = {}
        begun[callee] = recorded_here
        for slot, intent in intents.items():
            with _nothing_sent(callee):
                recorded = self._ledger.begin(slot, intent, after=self._unknown_before(callee).get(slot))
            if recorded is not None:
                del begun[callee]
                self._forget(callee, recorded_here)
                return self._recorded_meanwhile(recorded, intent.to, callee)
            recorded_here[slot] = intent
        return None

    def _unknown_before(self, callee: Callee) -> Mapping[str, Entry]:
        """Return the records of unknown outcome, by slot, that a call to a person repeats."""
        return self._repeated.get(callee, {})

    def _check_guards(self, people: Sequence[Callee]) -> None:
        """Raise a :class:`_HinderedError` if a guard keeps one of some people from being called now."""
        for callee in people:
            verdict = self._verdict(callee)
            if verdict.hindrance is not None:
                raise _HinderedError(verdict.reason)

    def _recorded_meanwhile(self, recorded: Entry, to: str, callee: Callee) -> CallResult:
        """Return the result of a call that somebody else has made, or makes, since the ledger was read."""
        result = self._result_of("known", recorded, callee) if decide(recorded, to, "fail") == "known" else None
        if result is not None:
            return result
        reason = f"is being {self._sender.done}, or may have been, by {recorded.by}; nothing was sent in this try."
        log.error("%s %s", callee.label, reason)
        return CallResult(callee, "unknown", called_at=recorded.sent_at, reason=reason)

    def _forget(self, callee: Callee, slots: Iterable[str]) -> None:
        for slot in slots:
            try:
                self._ledger.forget(slot, after=self._unknown_before(callee).get(slot))
            except OpenCXLedgerError as error:
                log.warning("Nobody was called, but a later try will not know it: %s", error)

    def _finish(self, intents: Mapping[str, Entry], through: str, placed: PlacedCall) -> None:
        outcome: dict[str, JsonValue] = {
            "done": self._sender.done,
            "through": through,
            "response": placed.response,
        }
        for slot, intent in intents.items():
            try:
                self._ledger.finish(slot, replace(intent, sent_at=placed.called_at, outcome=outcome))
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
        unknown = self._may_have_been(self._unknown) if self._unknown else ""
        before = " ".join(filter(None, (unknown, self._called(made) if made.called else "")))
        return error.with_message(f"{before} Then: {error}") if before else error

    def _unknown_error(self, made: CallsMade, unknown: Sequence[CallResult], more: str = "") -> OpenCXError:
        """Return the error that people may have been called.

        :param unknown: the results of these people.
        :param more: what else is to be said.
        """
        sentences = (self._may_have_been(unknown), self._called(made), more, self._sender.ways_on)
        return OpenCXUnknownCallOutcomeError(
            " ".join(filter(None, sentences)),
            contacts=[result.callee.number_or_contact for result in unknown],
            sent_at=unknown[0].called_at,
        )

    def _may_have_been(self, unknown: Sequence[CallResult]) -> str:
        who = [f"{result.callee.label} (at {result.called_at}: {result.reason})" for result in unknown]
        return f"May have been {self._sender.done}: {listed(who, _MOST_NAMED, separator='; ')}."

    def _called(self, made: CallsMade) -> str:
        return f"{made.called} of {len(made.people)} people were {self._sender.done}."


@contextmanager
def _nothing_sent(callee: Callee) -> Generator[None]:
    """Say of a record that cannot be read or written that nothing was sent: no record is not known from no reading."""
    try:
        yield
    except OpenCXLedgerError as error:
        raise error.with_message(f"{callee.label}: nothing was sent. {error}") from error.__cause__


def _text(value: JsonValue) -> str | None:
    return value if isinstance(value, str) else None
