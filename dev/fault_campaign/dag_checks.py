"""Shared by the checks of all Dags that call: whom requests were for, whom they reached, what tasks report."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import httpx
from airflow.sdk.exceptions import AirflowRescheduleException, AirflowSkipException

from airflow_provider_opencx import exceptions
from airflow_provider_opencx.campaigns.ledger import digests
from airflow_provider_opencx.resources.calls import Callee
from airflow_provider_opencx.simulator import Simulator
from fault_campaign.checks import BrokenPromises
from fault_campaign.dag_runs import DagTry, current_try
from fault_campaign.dags import PeopleTask
from fault_campaign.stage import Stage
from fault_campaign.wire import Killed

_DONE = ("called", "added")
_MAY_HAVE_BEEN = (*_DONE, "unknown")
"""What a task says of somebody of whom it does not say that nothing was done."""

Scope = tuple[str, ...]
"""A person, in the run and task, or the place of records, in which one call is promised."""


class Happened(NamedTuple):
    """What the service did because of one request.

    :param what: what it did.
    :param numbers: to whom.
    """

    what: str
    numbers: Sequence[str]


@dataclass
class PersonSent:
    """One person of a request as it left a worker.

    :param by: the try that sent it.
    :param is_repeat: whether it was asked for by ``on_unknown="repeat"``, after an unknown outcome.
    :param is_reached: whether the person was called, or added, because of it.
    """

    by: DagTry
    number: str
    is_repeat: bool
    is_reached: bool = False


@dataclass
class RequestSent:
    """One request that calls, as it left a worker.

    :param what: what it asks for.
    :param people: for whom; nobody where the service selects them.
    """

    by: DagTry
    what: str
    people: Sequence[PersonSent] = ()
    is_handled: bool = False

    def explains(self, happened: Happened) -> bool:
        """Return whether something may have happened because of it."""
        asked = {person.number for person in self.people}
        return not self.is_handled and self.what == happened.what and asked >= {*happened.numbers}


@dataclass
class DagChecker(ABC):
    """Checks one run.

    :param simulator: the service.
    :param allowed: whether the connection allows calls.
    """

    simulator: Simulator
    stage: Stage
    api_key: str
    allowed: bool = True
    broken: BrokenPromises = field(default_factory=BrokenPromises)
    tries: list[DagTry] = field(default_factory=list)
    sent: list[RequestSent] = field(default_factory=list)
    handled: list[RequestSent] = field(default_factory=list)
    reached: list[PersonSent] = field(default_factory=list)
    _late: list[RequestSent] = field(default_factory=list)
    _sending: ContextVar[RequestSent | None] = field(
        default_factory=lambda: ContextVar("sending", default=None), compare=False
    )
    _is_between: bool = False

    @abstractmethod
    def request_of(self, tried: DagTry, request: httpx.Request) -> RequestSent | None:
        """Return a request that leaves a worker, ``None`` if it calls nobody; note what is against it."""

    @abstractmethod
    def happened(self) -> Iterable[Happened]:
        """Return what the service has done since the last time."""

    @property
    @abstractmethod
    def counted(self) -> Mapping[str, int]:
        """What was done, for the table."""

    @property
    @abstractmethod
    def expected(self) -> tuple[type[Exception], ...]:
        """The errors with which guards end a task where nothing goes wrong."""

    def leave(self, request: httpx.Request) -> None:
        """Check a request that leaves a worker, if it calls."""
        self._sending.set(None)
        sent = self.request_of(current_try(), request)
        if sent is not None:
            self.sent.append(sent)
            self._sending.set(sent)

    def observe(self) -> None:
        """Note what happened, before and after each exchange."""
        sending = self._sending.get() if self._is_between else None
        self._is_between = not self._is_between
        for happened in self.happened():
            if sending is not None and sending.explains(happened):
                self._handle(sending, happened)
            else:
                late = next(sent for sent in self._late if sent.explains(happened))
                self._late.remove(late)
                self._handle(late, happened)
        if sending is not None and not sending.is_handled and sending.by.attempt.sent[-1].fault == "HandleLate":
            self._late.append(sending)

    def observe_late(self) -> None:
        """Note what happened late, outside of an exchange."""
        self._is_between = False
        self.observe()
        self._is_between = False

    def end(self, tried: DagTry) -> None:
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

    def end_calmly(self, tried: DagTry) -> None:
        """Check a try that nothing stood in the way of, but guards."""
        error = tried.attempt.error
        if error is None or isinstance(error, (*self.expected, AirflowSkipException, AirflowRescheduleException)):
            return
        if not self.is_known(tried, error):
            self.broken.add("untrue results", f"{tried.described}, which nothing stood in the way of, raised {error!r}")

    def is_known(self, tried: DagTry, error: BaseException) -> bool:
        """Return whether an error says of an earlier Dag run that its outcome is not known."""
        is_unknown = isinstance(error, exceptions.OpenCXUnknownCallOutcomeError)
        return is_unknown and isinstance(tried.task, PeopleTask) and tried.task.once_per == "ever"

    def close(self) -> None:
        """Check what is known at the end."""
        self.observe_late()
        by_scope: defaultdict[Scope, list[PersonSent]] = defaultdict(list)
        for sent in self.reached:
            by_scope[_scope(sent.by, sent.number)].append(sent)
        for (*_, number), reached in by_scope.items():
            for first, second in pairwise(reached):
                if not _is_asked_for(first, second):
                    self.broken.add(
                        "called twice", f"{number} by {first.by.described}, and then by {second.by.described}"
                    )
        for tried in self.tries:
            if isinstance(tried.task, PeopleTask):
                self._check_said(tried, tried.task, by_scope)

    def sent_to(self, tried: DagTry, what: str, numbers: Iterable[str]) -> RequestSent:
        """Return a request that leaves a worker, for some people."""
        task: Any = tried.task
        unknown = {person for person, _ in tried.seen_unknown}
        repeats = [
            task.on_unknown == "repeat" and not unknown.isdisjoint(digests(Callee(number))) for number in numbers
        ]
        people = [PersonSent(tried, number, repeat) for number, repeat in zip(numbers, repeats, strict=True)]
        return RequestSent(tried, what, people)

    def watched(self) -> AbstractContextManager[object]:
        """Note what each try is about, as long as it is entered."""
        return nullcontext()

    def reasons_against(self, tried: DagTry, agent_ids: Iterable[object]) -> Iterator[str]:
        """Return what is against a request, whomever it is for.

        :param agent_ids: the agents that are to call.
        """
        if not self.allowed:
            yield "though the connection does not allow calls"
        if tried.run.run_type == "backfill" and not tried.task.allow_backfill:
            yield "in a backfill"
        if tried.task.place == "none" and tried.number > 1:
            yield "though nothing is known of the tries before"
        agents = {agent["id"]: agent for agent in self.simulator.agents()}
        for agent in (agents.get(agent_id) for agent_id in agent_ids):
            if agent is None or agent["type"] != "outbound" or not agent["phone_number"]:
                yield "by an agent that cannot call"

    def reasons_against_person(self, tried: DagTry, number: str) -> Iterator[str]:
        """Return why a person must not be called now."""
        task = tried.task
        if task.do_not_call is not None and number in task.do_not_call:
            yield "who must not be called"
        if not task.hours.allow(number, self.stage.now):
            yield f"outside the hours {task.hours.written} at {self.stage.now:.0f} s"

    def reasons_against_number(self, tried: DagTry, numbers: Sequence[str]) -> Iterator[str]:
        """Return whether a request is for more people than a task may call: in a try, or by all mapped tasks together.

        What counts is all since the newest clear.
        """
        task = tried.task
        if task.max_contacts is None:
            return
        asked = {
            person.number
            for sent in self.sent
            for person in sent.people
            if sent.by is tried
            or (
                task.form == "mapped"
                and (sent.by.run, sent.by.clears, sent.by.task) == (tried.run, tried.clears, tried.task)
            )
        }
        if len({*asked, *numbers}) > task.max_contacts:
            yield f"and to more people than {task.max_contacts}"

    def untrue(self, tried: DagTry, said: str) -> None:
        """Note that a try says what is not so."""
        self.broken.add("reported as called and not", f"{tried.described} {said}")

    def _handle(self, sent: RequestSent, happened: Happened) -> None:
        sent.is_handled = True
        self.handled.append(sent)
        reached = Counter(happened.numbers)
        for person in sent.people:
            if person.number in reached:
                person.is_reached = True
                self.reached.append(person)

    def _check_said(self, tried: DagTry, task: PeopleTask, reached: Mapping[Scope, list[PersonSent]]) -> None:
        results = {result["phone_number"]: result for result in tried.results}
        for number, result in results.items():
            calls = reached.get(_scope(tried, number), [])
            if result["status"] in _DONE and not calls:
                self.untrue(tried, f"says that {number} was {result['status']}, and nobody was")
            before = [sent for sent in calls if self._is_known_before(tried, sent.by)]
            if before and not tried.is_over and result["status"] not in _MAY_HAVE_BEEN:
                self.untrue(tried, f"says of {number}, reached by {before[0].by.described}: {result['reason']}")
        if not isinstance(tried.attempt.error, Killed):
            for sent in (sent for sent in self.reached if sent.by is tried):
                if results.get(sent.number, {}).get("status") not in _MAY_HAVE_BEEN:
                    self.untrue(tried, f"reached {sent.number}, and says {tried.attempt.error!r} and {results}")
        if tried.is_final and tried.attempt.error is None:
            self._check_success(tried, task, results)

    def _is_known_before(self, tried: DagTry, other: DagTry) -> bool:
        """Return whether a try could know what another one did.

        A task that runs at the same time may have read its records before another task called.
        """
        if other.instance is tried.instance:
            return other in self.tries[: self.tries.index(tried)]
        return other.ended <= tried.began

    def _check_success(self, tried: DagTry, task: PeopleTask, results: Mapping[str, Any]) -> None:
        if results.keys() != {*tried.people}:
            self.untrue(tried, f"succeeds for {tried.people}, and tells the outcome of {list(results)}")
        unknown = [number for number, result in results.items() if result["status"] == "unknown"]
        if unknown and task.on_unknown != "skip":
            self.untrue(tried, f"succeeds, though nobody knows whether {unknown} were reached")


def _is_asked_for(first: PersonSent, second: PersonSent) -> bool:
    """Return whether a second call was asked for by ``on_unknown="repeat"``.

    It may be the older one that comes second: its worker was paused with its intent recorded.
    """
    is_older = second.by.instance is first.by.instance and second.by.turn < first.by.turn
    return second.is_repeat or (first.is_repeat and is_older)


def _scope(tried: DagTry, number: str) -> Scope:
    """Return where a person is to be called once."""
    if isinstance(tried.task, PeopleTask) and tried.task.once_per == "ever":
        return ("ever", tried.task.place, number)
    return ("run", tried.run.run_id, tried.task.task_id, number)
