"""Checks a run of agents: compares the promises with the requests, the results of the tasks, and the agents."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any, Literal, TypeAlias, get_args

from airflow.sdk.exceptions import AirflowSensorTimeout

from airflow_provider_opencx import exceptions
from airflow_provider_opencx.client.client import REFUSALS_TO_BELIEVE
from airflow_provider_opencx.client.operation import Operation
from airflow_provider_opencx.phone_agents.reconcile import FIND_NAME_AFTER, RETRY_LOOKS_AFTER
from airflow_provider_opencx.phone_agents.writes import READ_AFTER_REFUSAL
from airflow_provider_opencx.reconciliation.progress import CONFIRM_AFTER
from airflow_provider_opencx.resources.phone_agents import (
    CREATE_PHONE_AGENT,
    LIST_PHONE_AGENTS,
    UPDATE_PHONE_AGENT,
)
from airflow_provider_opencx.simulator import Simulator
from fault_campaign.attempts import POKE_INTERVAL, Attempt
from fault_campaign.faults import HIDING
from fault_campaign.scenario import Scenario, Task
from fault_campaign.wire import Killed, Sent

Promise: TypeAlias = Literal[
    "duplicates",
    "lost writes",
    "overwritten drafts",
    "called twice",
    "called against a guard",
    "started twice",
    "started otherwise than asked",
    "reported as called and not",
    "missing from its interval",
    "in two intervals",
    "half a file",
    "untyped errors",
    "untrue results",
    "needless requests",
]
PROMISES: tuple[Promise, ...] = get_args(Promise)

LISTS_BEFORE_CREATE = 3
LISTS_OF_INTENT = len(CONFIRM_AFTER) - 1
LISTS_OF_RETRY = len(RETRY_LOOKS_AFTER)
LISTS_OF_UPDATE = 1 + len(FIND_NAME_AFTER)
LISTS_OF_WRITE = len(CONFIRM_AFTER) + 1
"""The most lists that a try reads: before a create, for the agent of an intent, in a retry without a task state store,
for an agent to update, and for each write."""

_API_NAMES = {"action_ids": "actionIds"}

_SYMBOLS = {LIST_PHONE_AGENTS: "L", CREATE_PHONE_AGENT: "C", UPDATE_PHONE_AGENT: "U"}


@dataclass
class BrokenPromises:
    """What a run broke of what was promised, in sentences."""

    counted: Counter[str] = dataclass_field(default_factory=Counter)
    sentences: list[str] = dataclass_field(default_factory=list)

    def add(self, promise: Promise, sentence: str) -> None:
        """Note that a promise was broken."""
        self.counted[promise] += 1
        self.sentences.append(f"{promise}: {sentence}")


class Observer:
    """Sees all agents after each exchange, as nobody outside of a simulator could.

    :param simulator: the service.
    :param stored_names: of each declared name, the name under which the service stores it.
    """

    def __init__(self, simulator: Simulator, stored_names: Mapping[str, str]) -> None:
        self._simulator = simulator
        self._declared_names = {stored: declared for declared, stored in stored_names.items()}
        self.most_of_a_name: Counter[str] = Counter()
        self.ids: set[str] = set()
        self.numbers: defaultdict[str, set[str]] = defaultdict(set)

    def observe(self) -> None:
        """Note how many agents there are for each name, and every agent and number that there ever was."""
        names: Counter[str] = Counter()
        for agent in self._simulator.agents():
            names[self._declared_name_of(agent)] += 1
            self.ids.add(str(agent["id"]))
            if agent["phone_number"]:
                self.numbers[str(agent["id"])].add(str(agent["phone_number"]))
        self.most_of_a_name |= names

    def agents_of(self, name: str) -> list[dict[str, Any]]:
        """Return the agents that are there for a declared name, whatever the service calls them."""
        return [agent for agent in self._simulator.agents() if self._declared_name_of(agent) == name]

    def agents_named(self, name: str) -> list[dict[str, Any]]:
        """Return the agents that have a declared name."""
        return [agent for agent in self._simulator.agents() if _has_name(agent, name)]

    def _declared_name_of(self, agent: Mapping[str, object]) -> str:
        return self._declared_names.get(str(agent["name"]), str(agent["name"]))


class Checker:
    """Checks one run, task by task and at its end."""

    def __init__(self, scenario: Scenario, observer: Observer, api_key: str) -> None:
        self.broken = BrokenPromises()
        self._scenario = scenario
        self._observer = observer
        self._api_key = api_key
        self._declared: defaultdict[str, dict[str, list[object]]] = defaultdict(dict)
        """Of each agent and field, the values that it may have: the last of a success, and any of a failure since."""
        self._maybe_created: set[str] = set()
        """The names of which a try may have left a create without a result."""

    def check_task(self, task: Task, attempts: Sequence[Attempt]) -> None:
        """Check a task that has ended, before anybody else acts."""
        for attempt in attempts:
            self._check_requests(task, attempt, attempts[: attempt.number - 1])
            if attempt.error is not None and not isinstance(attempt.error, Killed):
                self._check_error(task, attempt, attempt.error)
            if _may_have_created([attempt]):
                self._maybe_created.add(task.agent_name)
        self._keep_declared(task, attempts)
        if attempts[-1].result is not None:
            self._check_result(task, attempts)

    def expect_success(self, task: Task, attempt: Attempt) -> None:
        """Check a try of an upsert that nothing stood in the way of, but agents that were there before.

        An agent that the service calls otherwise than it was declared is in the way of all that follow.
        """
        if attempt.result is not None:
            return
        several = len(attempt.existing) > 1
        inbound = any(agent["type"] == "inbound" for agent in attempt.existing)
        called_otherwise = any(not _has_name(agent, task.agent_name) for agent in attempt.existing)
        if called_otherwise and isinstance(attempt.error, exceptions.OpenCXNearNameError):
            return
        if not several and not inbound:
            self.broken.add(
                "untrue results", f"an upsert that nothing stood in the way of raised {_described(attempt.error)}"
            )

    def close(self) -> None:
        """Check what is there at the end."""
        for name in self._scenario.names:
            had = self._scenario.existing_of(name)
            if (most := self._observer.most_of_a_name[name]) > max(1, had):
                self.broken.add("duplicates", f"there were {most} agents of {name!r}")
            if had > 1:  # a list may have hidden one of them, so that the other was taken
                continue
            for agent in self._observer.agents_of(name):
                for field, values in self._declared[name].items():
                    if not any(is_as_declared(field, value, agent) for value in values):
                        self.broken.add(
                            "lost writes", f"{field} of {name!r} is {agent[_api_name(field)]!r} and none of {values}"
                        )

    def _keep_declared(self, task: Task, attempts: Sequence[Attempt]) -> None:
        if task.action == "wait":
            return
        declared = self._declared[task.agent_name]
        if not all(attempt.existing for attempt in attempts):
            declared.clear()  # there was no agent, or it vanished: what comes now is another one
        if self._may_adopt(task, attempts):
            return
        for field, value in task.fields.items():
            if attempts[-1].result is not None:
                declared[field] = [value]
            elif field in declared:
                declared[field].append(value)

    def _check_result(self, task: Task, attempts: Sequence[Attempt]) -> None:
        result = attempts[-1].result or {}
        agents = self._observer.agents_of(task.agent_name)
        described = f"{task.action} of {task.agent_name!r} returned {result.get('id')!r}"
        ids = [agent["id"] for agent in agents]
        is_gone = "gone" in self._scenario.provision_after and result["id"] in self._observer.ids
        if is_gone and (not ids or self._scenario.service.stale_list is not None):
            return
        if self._scenario.existing_of(task.agent_name) > 1 and result["id"] in ids and _hides_any(attempts[-1].sent):
            return
        if ids != [result["id"]]:
            self.broken.add("untrue results", f"{described}, and there are {ids}")
            return
        is_sound = attempts[-1].is_sound and not self._scenario.is_shared
        if is_sound and (differing := _untrue_fields(result, agents[0])):
            self.broken.add("untrue results", f"{described} with {differing}, which it does not have so")
        if task.waits and result["phone_number"] not in self._observer.numbers[result["id"]]:
            self.broken.add(
                "untrue results", f"{described} with the number {result['phone_number']!r}, which it never had"
            )
        if task.action != "wait" and not self._may_adopt(task, attempts):
            for field, value in task.fields.items():
                if not is_as_declared(field, value, agents[0]):
                    self.broken.add(
                        "lost writes", f"{described}, and its {field} is {agents[0][_api_name(field)]!r}, not {value!r}"
                    )

    def _check_error(self, task: Task, attempt: Attempt, error: BaseException) -> None:
        described = f"{task.action} of {task.agent_name!r} raised {_described(error)}"
        if not isinstance(error, exceptions.OpenCXError | AirflowSensorTimeout) or not str(error).strip():
            self.broken.add("untyped errors", described)
        if self._api_key in f"{error!r} {error} {vars(error)}":
            self.broken.add("untyped errors", f"{type(error).__name__} holds the API key")
        if isinstance(error, exceptions.OpenCXConfigError):
            self.broken.add("untyped errors", f"{described}, though nothing is wrong with the connection")
        self._check_permanence(described, attempt, error)
        self._check_said_of_writes(described, task, attempt, error)
        self._check_said_of_agents(described, task, attempt, error)

    def _check_permanence(self, described: str, attempt: Attempt, error: BaseException) -> None:
        """Check that a refusal fails a task for good only where the service itself said it, of a read three times."""
        if not isinstance(error, exceptions.OpenCXAPIError) or not error.is_permanent:
            return
        refused = [sent for sent in attempt.sent if sent.status == error.status_code and sent.fault != "ProxyPage"]
        if all(sent.operation.is_read for sent in refused) and len(refused) < REFUSALS_TO_BELIEVE:
            self.broken.add("untrue results", f"{described} for good, and the service said so {len(refused)} times")

    def _check_said_of_writes(self, described: str, task: Task, attempt: Attempt, error: BaseException) -> None:
        writes = [sent for sent in attempt.sent if not sent.operation.is_read]
        of_a_write = exceptions.OpenCXMismatchError | exceptions.OpenCXUnconfirmedError
        if isinstance(error, of_a_write) and not writes:
            self.broken.add("untrue results", f"{described}, though it wrote nothing")
        has_intent = task.agent_name in self._maybe_created or self._scenario.is_shared
        if isinstance(error, exceptions.OpenCXUnknownOutcomeError) and not writes and not has_intent:
            self.broken.add("untrue results", f"{described}, though nobody wrote anything")
        if "othing was sent" in str(error) and writes:
            self.broken.add("untrue results", f"{described}, though it sent {_ids(_operations(writes))}")
        created = any(sent.operation == CREATE_PHONE_AGENT and _may_have_been_handled(sent) for sent in writes)
        if created and task.agent_name.strip() not in str(error):
            self.broken.add("untrue results", f"{described}, and does not say of which agent the create may be done")

    def _check_said_of_agents(self, described: str, task: Task, attempt: Attempt, error: BaseException) -> None:
        agents = self._observer.agents_named(task.agent_name)
        were_there = sum(_has_name(agent, task.agent_name) for agent in attempt.existing)
        is_not_found = isinstance(error, exceptions.OpenCXAgentNotFoundError)
        if is_not_found and agents and were_there:
            self.broken.add("untrue results", f"{described}, though there is one")
        # Agents may be gone since it saw them.
        if isinstance(error, exceptions.OpenCXAmbiguousNameError) and max(len(agents), were_there) < 2:
            self.broken.add("untrue results", f"{described}, though there are not several")

    def _check_requests(self, task: Task, attempt: Attempt, before: Sequence[Attempt]) -> None:
        operations = _operations(sent for sent in attempt.sent if sent.is_first_page)
        described = f"try {attempt.number} of {task.action} of {task.agent_name!r} sent {_ids(operations)}"
        self._check_creates(described, attempt)
        polls = 2 + attempt.seconds / POKE_INTERVAL + 2 * attempt.restarts if task.waits else 0
        if task.action == "wait":
            if len(attempt.sent) > (polls + _repeated_reads(attempt)) * self._pages:
                self.broken.add("needless requests", f"{described} in {attempt.seconds:.0f} s")
            return
        late = any(sent.fault == "HandleLate" for earlier in before for sent in earlier.sent)
        limited = any(sent.status == 429 for sent in attempt.sent)
        if attempt.is_sound and not (late or limited or task.waits or self._scenario.is_shared):
            has_intent = task.agent_name in self._maybe_created or _may_have_created(before)
            needed = needed_requests(task, attempt, self._scenario.service.generation, has_intent=has_intent)
            if not re.fullmatch(needed, "".join(_SYMBOLS[operation] for operation in operations)):
                self.broken.add("needless requests", f"{described}, and needed {needed}")
        elif len(attempt.sent) > (most := self._most_requests(attempt, polls)):
            self.broken.add(
                "needless requests", f"{described}: {len(attempt.sent)}, more than the {most:.0f} that faults explain"
            )

    def _check_creates(self, described: str, attempt: Attempt) -> None:
        """Check that no create follows another that may have been handled."""
        unanswered = False
        for sent in attempt.sent:
            if sent.operation != CREATE_PHONE_AGENT:
                continue
            if unanswered:
                self.broken.add("needless requests", f"{described}: a create after one that may have been handled")
            unanswered = unanswered or _may_have_been_handled(sent)

    def _most_requests(self, attempt: Attempt, polls: float) -> float:
        """Return the most requests of a try that met faults, or waited for others."""
        writes = sum(not sent.operation.is_read for sent in attempt.sent)
        delays = sum(sent.status in (429, 503) for sent in attempt.sent)
        lists = LISTS_OF_UPDATE + (1 + delays) * (LISTS_BEFORE_CREATE + LISTS_OF_INTENT) + polls
        lists += LISTS_OF_RETRY if attempt.number > 1 else 0
        lists += (LISTS_OF_WRITE + len(READ_AFTER_REFUSAL)) * writes
        return lists * self._pages + writes + _repeated_reads(attempt)

    @property
    def _pages(self) -> int:
        return 1 + sum(self._observer.most_of_a_name.values()) // self._scenario.page_size

    def _may_adopt(self, task: Task, attempts: Sequence[Attempt]) -> bool:
        """Return whether a task may rightly have taken an agent as it is.

        That is what a create does with one that it finds: one from before, one of another worker, or one that the
        service made otherwise than asked for a try that did not live to see it.
        """
        made_otherwise = any(sent.fault == "IgnoreFields" for attempt in attempts for sent in attempt.sent)
        found = bool(attempts[0].existing) or self._scenario.is_shared or (made_otherwise and len(attempts) > 1)
        return task.action == "create" and found


def needed_requests(task: Task, attempt: Attempt, generation: str, *, has_intent: bool) -> str:
    """Return what a try has to send to a sound service, worked out from what is declared and what exists.

    It is a pattern of one letter for each list (however many pages it has), create and update. Before 2026 a language
    has another form, which is found out by a refusal. A third list before a create is for one that is empty, or
    contradicts the other.

    :param has_intent: whether an earlier try may have left a create without a result.
    """
    forms_differ = generation != "2026" and "language" in task.fields
    if not attempt.existing:
        if task.action == "update":
            return f"L{{{LISTS_OF_UPDATE}}}"
        more = LISTS_OF_RETRY if attempt.number > 1 and not task.has_state_store else 0
        more += LISTS_OF_INTENT if has_intent else 0
        refused = f"(CL{{1,{len(READ_AFTER_REFUSAL)}}})?" if forms_differ else ""
        create = f"L{{2,{LISTS_BEFORE_CREATE + more}}}{refused}CL"
        return f"{create}|L{{2,{LISTS_BEFORE_CREATE + more}}}" if has_intent else create
    agent = attempt.existing[0]
    differing = [field for field, value in task.fields.items() if not is_as_declared(field, value, agent)]
    called_otherwise = not _has_name(agent, task.agent_name)
    if task.action == "update" and called_otherwise:
        return f"L{{{LISTS_OF_UPDATE}}}"
    refused_plan = len(attempt.existing) > 1 or (task.action != "update" and agent["type"] == "inbound")
    if task.action == "create" or refused_plan or called_otherwise:
        more = LISTS_OF_RETRY if called_otherwise and attempt.number > 1 and not task.has_state_store else 0
        return f"L{{1,{1 + more}}}"
    if not differing:
        return "L"
    return "LU?UL" if forms_differ and "language" in differing else "LUL"


def is_as_declared(field: str, value: object, agent: Mapping[str, object]) -> bool:
    """Return whether an agent of any generation has a field as a scenario declares it."""
    stored = agent[_api_name(field)]
    if field == "language":
        return _codes(value) == _codes(stored)
    if field == "handoff_phone_number":
        return str(value).replace(" ", "") == str(stored)
    if field == "action_ids" and isinstance(value, list) and isinstance(stored, list):
        return sorted(value) == sorted(stored)
    return value == stored


def _untrue_fields(result: Mapping[str, Any], agent: Mapping[str, Any]) -> list[str]:
    """Return the fields that a task returned otherwise than they are, but for those that change by themselves."""
    return [
        field
        for field, value in agent.items()
        if field not in ("phone_number", "updated_at", "language") and result[field] != value
    ]


def _hides_any(sent: Iterable[Sent]) -> bool:
    """Return whether a list of a try hid agents."""
    return any(each.fault in HIDING for each in sent)


def _repeated_reads(attempt: Attempt) -> int:
    """Return how many reads of a try may be for others that were refused, or failed, or are pages moved."""
    return (REFUSALS_TO_BELIEVE - 1) * sum(not sent.is_sound for sent in attempt.sent)


def _may_have_created(attempts: Iterable[Attempt]) -> bool:
    return any(
        isinstance(attempt.error, Killed) or CREATE_PHONE_AGENT in _operations(attempt.sent) for attempt in attempts
    )


def _may_have_been_handled(sent: Sent) -> bool:
    if sent.status is None:
        return sent.fault != "RefuseConnections"
    return sent.status < 300 or sent.status >= 500 or sent.status == 408


def _operations(sent: Iterable[Sent]) -> list[Operation]:
    return [each.operation for each in sent]


def _ids(operations: Iterable[Operation]) -> list[str]:
    return [operation.id for operation in operations]


def _described(error: BaseException | None) -> str:
    return f"{type(error).__name__}({error})"


def _has_name(agent: Mapping[str, object], name: str) -> bool:
    """Return whether an agent has a declared name; white space at its ends makes no difference."""
    return str(agent["name"]).strip() == name.strip()


def _codes(language: object) -> object:
    return [language] if isinstance(language, str) else language


def _api_name(field: str) -> str:
    return _API_NAMES.get(field, field)
