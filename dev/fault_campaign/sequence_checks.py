"""Checks a run of sequences: what was started, and who was called or added, compared with what was asked for."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any
from unittest.mock import patch

import httpx

from airflow_provider_opencx import exceptions
from airflow_provider_opencx.campaigns.sequences import creation
from airflow_provider_opencx.resources.contacts import LIST_CONTACTS
from airflow_provider_opencx.resources.sequences import (
    ADD_CONTACTS_TO_SEQUENCE,
    CREATE_SEQUENCE,
    START_SEQUENCE,
    UPDATE_SEQUENCE,
)
from airflow_provider_opencx.simulator.resources.contacts.store import Contacts
from airflow_provider_opencx.simulator.resources.sequences.filters import selection
from fault_campaign.dag_checks import DagChecker, Happened, RequestSent
from fault_campaign.dag_runs import DagTry, current_try
from fault_campaign.faults import HIDING
from fault_campaign.sequences import CONTINUOUS_ID, CreateTask, SequenceRun, StartTask, numbers_in
from fault_campaign.wire import Killed, operation_of

Stored = Mapping[str, Any]

_NOT_STARTED = re.compile("(?:was|is) not started|[Nn]othing was sent|Nobody is called")
_MAY_HAVE_STARTED = re.compile("may have|in this try")


@dataclass
class SequenceChecker(DagChecker):
    """Checks one run of sequences.

    :param run: what the run is about.
    """

    run: SequenceRun = field(kw_only=True)
    edited: set[str] = field(default_factory=set)
    """The sequences that somebody has changed in the dashboard."""
    _started: int = 0
    _enrolled: int = 0

    @property
    def counted(self) -> Mapping[str, int]:
        """What was done, for the table."""
        return {
            "sequences started": len(self.simulator.started(self.api_key)),
            "people called by them": len([each for each in self._dialed() if each[0] != CONTINUOUS_ID]),
            "people added to sequences": len(self.reached),
        }

    @property
    def expected(self) -> tuple[type[Exception], ...]:
        """The errors with which guards end a task where nothing goes wrong."""
        return (
            exceptions.OpenCXCallRefusedError,
            exceptions.OpenCXAgentNotReadyError,
            exceptions.OpenCXOutsideCallingHoursError,
        )

    def is_known(self, tried: DagTry, error: BaseException) -> bool:
        """Return whether an error says of an earlier Dag run that its outcome is not known, or what is so for all."""
        task = tried.task
        if isinstance(task, StartTask):
            create = next(each for each in self.run.tasks if isinstance(each, CreateTask))
            is_shared = create.custom_id == "of all runs"
            is_not_found = isinstance(error, exceptions.OpenCXNotFoundError) and task.given == "custom_id"
            return (is_shared and isinstance(error, exceptions.OpenCXUnknownStartError)) or (
                is_not_found and not self.run.finds_by_custom_id
            )
        return super().is_known(tried, error)

    @contextmanager
    def watched(self) -> Generator[None]:
        """Note what each try declares."""
        make = creation.make_sequence

        def noted(client: Any, declared: Any, *arguments: Any, **options: Any) -> Any:
            current_try().noted["declared"] = declared.body()
            return make(client, declared, *arguments, **options)

        with patch.object(creation, "make_sequence", noted):
            yield

    def request_of(self, tried: DagTry, request: httpx.Request) -> RequestSent | None:
        """Return a request that leaves a worker, if it starts a sequence, or adds people to one."""
        operation = operation_of(request)
        if operation == CREATE_SEQUENCE:
            self._check_create(tried)
        if operation == UPDATE_SEQUENCE:
            self._check_change(tried, request.url.path.split("/")[-1])
        if operation == START_SEQUENCE:
            return self._start_of(tried, request.url.path.split("/")[-2])
        if operation != ADD_CONTACTS_TO_SEQUENCE:
            return None
        sequence_id, numbers = request.url.path.split("/")[-2], numbers_in(request.content)
        reasons = [
            *(reason for number in numbers for reason in self.reasons_against_person(tried, number)),
            *self.reasons_against(tried, _agents_of(self._stored(sequence_id))),
            *self.reasons_against_number(tried, numbers),
        ]
        for reason in reasons:
            self.broken.add("called against a guard", f"{tried.described} asked to add {numbers}, {reason}")
        return self.sent_to(tried, _adding(sequence_id), numbers)

    def happened(self) -> Iterable[Happened]:
        """Return which sequences were started, and who was added, since the last time."""
        started, enrolled = self.simulator.started(self.api_key), self.simulator.enrolled(self.api_key)
        new_started, self._started = started[self._started :], len(started)
        new_enrolled, self._enrolled = enrolled[self._enrolled :], len(enrolled)
        for sequence_id in new_started:
            yield Happened(_starting(sequence_id), [])
        for _, run in groupby(new_enrolled, key=lambda each: each.run_id):
            people = list(run)
            yield Happened(_adding(people[0].sequence_id), [str(each.phone_number) for each in people])

    def end(self, tried: DagTry) -> None:
        """Check a try that has ended."""
        super().end(tried)
        if tried.attempt.error is not None:
            return
        if isinstance(tried.task, StartTask) and tried.attempt.result["id"] not in self.simulator.started(self.api_key):
            self.untrue(tried, f"says that {tried.attempt.result['id']} was started, and it never began")
        if isinstance(tried.task, CreateTask):
            self._check_made(tried)

    def close(self) -> None:
        """Check what is known at the end."""
        super().close()
        self._check_started_twice()
        self._check_called_twice()
        for index, tried in enumerate(self.tries):
            if isinstance(tried.task, StartTask):
                self._check_said_of_start(tried, self.tries[:index])

    def _check_made(self, tried: DagTry) -> None:
        """Check that a sequence is as the task that has made it says.

        A read that is behind may show it as it was before a try changed it that declared something else, because a list
        hid contacts from it, and was killed. So only reads that are not behind are held to it; every start compares.
        """
        stored = self._stored(tried.attempt.result["id"])
        if stored is None or (not self.run.lag and _differences(tried.noted["declared"], stored)):
            self.broken.add("untrue results", f"{tried.described} succeeds, and the sequence is {stored}")

    def _start_of(self, tried: DagTry, sequence_id: str) -> RequestSent:
        stored = self._stored(sequence_id)
        sent = RequestSent(tried, _starting(sequence_id))
        if stored is None:
            return sent
        asked = f"{tried.described} asked to start {sequence_id}"
        for reason in (*self.reasons_against(tried, _agents_of(stored)), *self._reasons_against_start(tried, stored)):
            self.broken.add("called against a guard", f"{asked}, {reason}")
        differences = _differences(tried.given_by.noted["declared"] if tried.given_by else {}, stored)
        if differences and self._can_compare(tried, sequence_id):
            self.broken.add("started otherwise than asked", f"{asked}, of which {differences} are not as declared")
        return sent

    def _can_compare(self, tried: DagTry, sequence_id: str) -> bool:
        """Return whether a start can be compared with what was declared.

        Of an id alone, the start knows nothing to compare with: what somebody has changed in the dashboard after the
        sequence was made is as it should be. A custom id may in addition be that of several sequences.
        """
        task: Any = tried.task
        if task.given == "result":
            return True
        same = [each for each in self.simulator.sequences(self.api_key) if each["id"] != sequence_id]
        custom_ids = [each["custom_id"] for each in same]
        stored = self._stored(sequence_id)
        is_one = task.given == "id" or stored is None or stored["custom_id"] not in custom_ids
        return sequence_id not in self.edited and is_one

    def _reasons_against_start(self, tried: DagTry, stored: Stored) -> Iterator[str]:
        """Return what is against a start for the people whom the sequence selects."""
        selected = {*self._selected(stored)}
        for number in sorted(selected):
            for reason in self.reasons_against_person(tried, number):
                yield f"which calls {number}, {reason}"
        task: Any = tried.task
        limits = [] if task.given == "result" else [task.max_contacts]
        if tried.given_by is not None and self._can_compare(tried, stored["id"]):
            create = tried.given_by.task
            limits.append(create.max_contacts)
            for number in sorted(selected & {*(create.do_not_call or ())}):
                yield f"which calls {number}, who must not be called, as the create knew"
        for limit in limits:
            if limit is not None and len(selected) > limit:
                yield f"which calls {len(selected)} people, more than {limit}"

    def _check_create(self, tried: DagTry) -> None:
        """Check that a task makes no second sequence where it has a record of the first."""
        if not tried.task.has_state_store or self._loses_records:
            return
        for before in self.tries:
            made = [sent for sent in before.attempt.sent if sent.operation == CREATE_SEQUENCE and sent.is_sound]
            if made and before.instance is tried.instance and not isinstance(before.attempt.error, Killed):
                self.broken.add("duplicates", f"{tried.described} makes another sequence than {before.described}")

    def _check_change(self, tried: DagTry, sequence_id: str) -> None:
        """Check that no sequence is changed that has begun."""
        stored = self._stored(sequence_id)
        if stored is not None and stored["started_at"]:
            self.broken.add("started otherwise than asked", f"{tried.described} changes {sequence_id}, which has begun")

    @property
    def _loses_records(self) -> bool:
        return self.run.clears_on_success or self.run.storage_rate > 0 or self.run.takeover_rate > 0

    def _check_started_twice(self) -> None:
        for sequence_id, times in Counter(self.simulator.started(self.api_key)).items():
            if times > 1:
                by = [sent.by.described for sent in self.handled if sent.what == _starting(sequence_id)]
                self.broken.add("started twice", f"{sequence_id} was started {times} times, by {by}")
        of_instance: defaultdict[int, dict[str, DagTry]] = defaultdict(dict)
        for sent in self.handled:
            if isinstance(sent.by.task, StartTask):
                of_instance[id(sent.by.instance)].setdefault(sent.what, sent.by)
        for starts in of_instance.values():
            if len(starts) > 1:
                self.broken.add("started twice", f"{[(what, by.described) for what, by in starts.items()]}")

    def _check_called_twice(self) -> None:
        steps = {each["id"]: len(each["steps"]) for each in self.simulator.sequences(self.api_key)}
        for (sequence_id, number), times in Counter(self._dialed()).items():
            if sequence_id == CONTINUOUS_ID or times <= steps[sequence_id] or self._is_hidden(sequence_id, number):
                continue
            self.broken.add("called twice", f"{number} was called {times} times by {sequence_id}")

    def _is_hidden(self, sequence_id: str, number: str) -> bool:
        """Return whether the list of contacts did not show that several of them have one number.

        Nobody can see that from a list without one of them.
        """
        starts = [sent.by for sent in self.handled if sent.what == _starting(sequence_id)]
        sent = [each for by in starts if by.given_by for each in by.given_by.attempt.sent]
        hides = any(each.operation == LIST_CONTACTS and each.fault in HIDING for each in sent)
        return hides and number in self.run.shared_numbers and len(starts) == 1

    def _check_said_of_start(self, tried: DagTry, before: Sequence[DagTry]) -> None:
        error = tried.attempt.error
        if error is None or isinstance(error, Killed):
            return
        if isinstance(error, exceptions.OpenCXUnknownOutcomeError | exceptions.OpenCXSequenceCanceledError):
            return
        for sent in self.handled:
            if sent.by is tried and isinstance(sent.by.task, StartTask):
                self.untrue(tried, f"has started it, and says {error!r}")
        says = _NOT_STARTED.search(str(error)) and not _MAY_HAVE_STARTED.search(str(error))
        earlier = [sent.by for sent in self.handled if sent.by.instance is tried.instance and sent.by in before]
        if says and earlier and not tried.is_over:
            self.untrue(tried, f"says {error!r}, after {earlier[0].described} has started it")

    def _selected(self, stored: Stored) -> list[str]:
        """Return the numbers of the contacts that a sequence selects."""
        selects = selection(stored["filter"])
        organization = self.simulator.organization_of(self.api_key)
        contacts = self.simulator.state(Contacts).of(str(organization))
        return [contact.phone_number for contact in contacts if contact.phone_number and selects(contact)]

    def _stored(self, sequence_id: str) -> Stored | None:
        stored = self.simulator.sequences(self.api_key)
        return next((each for each in stored if each["id"] == sequence_id), None)

    def _dialed(self) -> list[tuple[str, str]]:
        """Return the sequence and the number of each call that a sequence made."""
        dialed = self.simulator.dialed(self.api_key)
        return [(str(each.sequence_id), str(each.phone_number)) for each in dialed if each.sequence_id is not None]


def _starting(sequence_id: str) -> str:
    return f"start of {sequence_id}"


def _adding(sequence_id: str) -> str:
    return f"add to {sequence_id}"


def _agents_of(stored: Stored | None) -> list[object]:
    """Return the agents that call in the steps of a sequence."""
    return [] if stored is None else [step["action"]["data"].get("aiPhoneAgentId") for step in stored["steps"]]


def _differences(declared: Stored, stored: Stored) -> list[str]:
    """Return the fields that are not stored as they were declared."""
    differing = [] if stored["is_continuous"] is False else ["is_continuous"]
    if _numbers(stored["filter"]) != _numbers(declared["filter"]):
        differing.append("filter")
    if _meaning(stored["steps"]) != _meaning(declared["steps"]):
        differing.append("steps")
    return differing


def _numbers(filter: Any) -> list[str] | None:
    """Return the numbers of a filter, ``None`` of any other one."""
    match filter:
        case {"or": [{"and": [{"type": "contacts_phone_number_in", "phone_number_in": [*numbers]}]}]}:
            return sorted({*map(str, numbers)})
    return None


def _meaning(steps: Any) -> list[Any]:
    return [(step["action"], step.get("delay_in_minutes") or 0) for step in steps]
