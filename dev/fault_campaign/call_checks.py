"""Checks a run of calls: who was called, compared with whom and when the tasks may call, and with what they say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import httpx
from airflow.sdk.exceptions import AirflowRescheduleException, AirflowSkipException

from airflow_provider_opencx import exceptions
from airflow_provider_opencx.campaigns.ledger import digests
from airflow_provider_opencx.resources.calls import MAKE_OUTBOUND_CALL, Callee
from airflow_provider_opencx.simulator import Simulator
from fault_campaign.calls import CallTask, read_call
from fault_campaign.checks import BrokenPromises
from fault_campaign.dag_runs import CallTry, current_try
from fault_campaign.stage import Stage
from fault_campaign.wire import Killed, operation_of

_MAY_HAVE_BEEN = ("called", "unknown")
"""What a task says of somebody of whom it does not say that there was no call."""

Scope = tuple[str, ...]
"""A person, in the run and task, or the place of records, in which one call is promised."""


@dataclass
class CallSent:
    """One request for a call as it left a worker.

    :param by: the try that sent it.
    :param is_repeat: whether it was asked for by ``on_unknown="repeat"``, after an unknown outcome.
    :param is_dialed: whether the person was called because of it.
    """

    by: CallTry
    number: str
    is_repeat: bool
    is_dialed: bool = False


@dataclass
class CallChecker:
    """Checks one run.

    :param simulator: the service.
    :param allowed: whether the connection allows calls.
    """

    simulator: Simulator
    stage: Stage
    api_key: str
    allowed: bool = True
    broken: BrokenPromises = field(default_factory=BrokenPromises)
    tries: list[CallTry] = field(default_factory=list)
    _sent: list[CallSent] = field(default_factory=list)
    _late: list[CallSent] = field(default_factory=list)
    _dialed: list[CallSent] = field(default_factory=list)
    _seen: int = 0
    _sending: ContextVar[CallSent | None] = field(default_factory=lambda: ContextVar("sending", default=None))
    _is_between: bool = False

    def leave(self, request: httpx.Request) -> None:
        """Check a request that leaves a worker, if it is one for a call."""
        self._sending.set(None)
        if operation_of(request) != MAKE_OUTBOUND_CALL:
            return
        tried = current_try()
        agent_id, number = read_call(request.content)
        may_repeat = tried.task.on_unknown == "repeat"
        unknown = {person for person, _ in tried.seen_unknown}
        is_repeat = may_repeat and not unknown.isdisjoint(digests(Callee(number)))
        sent = CallSent(tried, number, is_repeat)
        for reason in self._reasons_against(tried, agent_id, number):
            self.broken.add("called against a guard", f"{tried.described} asked for a call to {number}, {reason}")
        self._sent.append(sent)
        self._sending.set(sent)

    def observe(self) -> None:
        """Note who was called, before and after each exchange."""
        dialed = self.simulator.dialed(self.api_key)
        new, self._seen = dialed[self._seen :], len(dialed)
        sending = self._sending.get() if self._is_between else None
        self._is_between = not self._is_between
        for each in new:
            if sending is not None and each.phone_number == sending.number:
                self._dial(sending)
            else:
                late = next(sent for sent in self._late if sent.number == each.phone_number)
                self._late.remove(late)
                self._dial(late)
        if sending is not None and not sending.is_dialed and sending.by.attempt.sent[-1].fault == "HandleLate":
            self._late.append(sending)

    def observe_late(self) -> None:
        """Note who was called late, outside of an exchange."""
        self._is_between = False
        self.observe()
        self._is_between = False

    def end(self, tried: CallTry) -> None:
        """Check a try that has ended."""
        self.tries.append(tried)
        error = tried.attempt.error
        if error is None or isinstance(error, Killed | AirflowSkipException | AirflowRescheduleException):
            return
        if not isinstance(error, exceptions.OpenCXError) or not str(error).strip():
            self.broken.add("untyped errors", f"{tried.described} raised {error!r}")
        if self.api_key in f"{error!r} {error} {vars(error)}":
            self.broken.add("untyped errors", f"{type(error).__name__} holds the API key")
        if isinstance(error, exceptions.OpenCXConfigError):
            self.broken.add("untyped errors", f"{tried.described} raised {error!r}: the connection is sound")

    def end_calmly(self, tried: CallTry) -> None:
        """Check a try that nothing stood in the way of, but guards."""
        refused = (
            exceptions.OpenCXCallRefusedError,
            exceptions.OpenCXAgentNotReadyError,
            exceptions.OpenCXAgentNotFoundError,
            exceptions.OpenCXOutsideCallingHoursError,
        )
        error = tried.attempt.error
        outcomes = (*refused, AirflowSkipException, AirflowRescheduleException)
        is_known = isinstance(error, exceptions.OpenCXUnknownCallOutcomeError) and tried.task.once_per == "ever"
        if error is not None and not isinstance(error, outcomes) and not is_known:
            self.broken.add("untrue results", f"{tried.described}, which nothing stood in the way of, raised {error!r}")

    def close(self) -> None:
        """Check what is known at the end."""
        self.observe_late()
        by_scope: defaultdict[Scope, list[CallSent]] = defaultdict(list)
        for sent in self._dialed:
            by_scope[_scope(sent.by, sent.number)].append(sent)
        for (*_, number), calls in by_scope.items():
            for first, second in pairwise(calls):
                if not _is_asked_for(first, second):
                    self.broken.add(
                        "called twice", f"{number} by {first.by.described}, and then by {second.by.described}"
                    )
        for tried in self.tries:
            self._check_said(tried, by_scope)

    def _dial(self, sent: CallSent) -> None:
        sent.is_dialed = True
        self._dialed.append(sent)

    def _reasons_against(self, tried: CallTry, agent_id: str, number: str) -> Iterable[str]:
        task = tried.task
        if task.do_not_call is not None and number in task.do_not_call:
            yield "who must not be called"
        asked_at = self.stage.now if tried.asked_at is None else tried.asked_at
        if not task.hours.allow(number, asked_at):
            yield f"outside the hours {task.hours.written} at {asked_at:.0f} s"
        if not self.allowed:
            yield "though the connection does not allow calls"
        if tried.run.run_type == "backfill" and not task.allow_backfill:
            yield "in a backfill"
        if task.place == "none" and tried.number > 1:
            yield "though nothing is known of the tries before"
        agents = {agent["id"]: agent for agent in self.simulator.agents()}
        agent = agents.get(agent_id)
        if agent is None or agent["type"] != "outbound" or not agent["phone_number"]:
            yield "by an agent that cannot call"
        if task.max_contacts is not None and self._asked_for(tried, number) > task.max_contacts:
            yield f"and to more people than {task.max_contacts}"

    def _asked_for(self, tried: CallTry, number: str) -> int:
        """Return for how many people a call is asked: by a try; or by all mapped tasks since the newest clear."""
        asked = {
            sent.number
            for sent in self._sent
            if sent.by is tried
            or (
                tried.task.form == "mapped"
                and (sent.by.run, sent.by.clears, sent.by.task) == (tried.run, tried.clears, tried.task)
            )
        }
        return len({*asked, number})

    def _check_said(self, tried: CallTry, dialed: Mapping[Scope, list[CallSent]]) -> None:
        results = {result["phone_number"]: result for result in tried.results or ()}
        for number, result in results.items():
            calls = dialed.get(_scope(tried, number), [])
            if result["status"] == "called" and not calls:
                self._untrue(tried, f"says that {number} was called, and nobody called")
            before = [sent for sent in calls if sent.by in self.tries[: self.tries.index(tried)]]
            if before and not tried.is_over and result["status"] not in _MAY_HAVE_BEEN:
                self._untrue(tried, f"says of {number}, who was called by {before[0].by.described}: {result['reason']}")
        own = [sent for sent in self._dialed if sent.by is tried]
        if not isinstance(tried.attempt.error, Killed):
            for sent in own:
                if results.get(sent.number, {}).get("status") not in _MAY_HAVE_BEEN:
                    self._untrue(tried, f"called {sent.number}, and says {tried.attempt.error!r} and {results}")
        if tried.is_final and tried.attempt.error is None:
            self._check_success(tried, tried.task, results)

    def _check_success(self, tried: CallTry, task: CallTask, results: Mapping[str, Any]) -> None:
        if results.keys() != {*tried.people}:
            self._untrue(tried, f"succeeds for {tried.people}, and tells the outcome of {list(results)}")
        unknown = [number for number, result in results.items() if result["status"] == "unknown"]
        if unknown and task.on_unknown != "skip":
            self._untrue(tried, f"succeeds, though nobody knows whether {unknown} were called")

    def _untrue(self, tried: CallTry, said: str) -> None:
        self.broken.add("reported as called and not", f"{tried.described} {said}")


def _is_asked_for(first: CallSent, second: CallSent) -> bool:
    """Return whether a second call was asked for by ``on_unknown="repeat"``.

    It may be the older one that comes second: its worker was paused with its intent recorded.
    """
    is_older = second.by.instance is first.by.instance and second.by.turn < first.by.turn
    return second.is_repeat or (first.is_repeat and is_older)


def _scope(tried: CallTry, number: str) -> Scope:
    """Return where a person is to be called once."""
    if tried.task.once_per == "ever":
        return ("ever", tried.task.place, number)
    return ("run", tried.run.run_id, tried.task.task_id, number)
