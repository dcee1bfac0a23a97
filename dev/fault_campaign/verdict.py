"""Judges a run: what was promised, held against what was sent, what was told, and what exists."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any, Literal, TypeAlias

from airflow.sdk.exceptions import AirflowSensorTimeout

from airflow_provider_opencx import exceptions
from airflow_provider_opencx.client.operation import Operation
from airflow_provider_opencx.phone_agents.apply import LIST_AGAIN_AFTER
from airflow_provider_opencx.resources.phone_agents import (
    CREATE_PHONE_AGENT,
    LIST_PHONE_AGENTS,
    UPDATE_PHONE_AGENT,
)
from airflow_provider_opencx.simulator import Simulator
from fault_campaign.attempts import POKE_INTERVAL, Attempt
from fault_campaign.scenario import Scenario, Task
from fault_campaign.wire import Killed, Sent

Promise: TypeAlias = Literal["duplicates", "lost writes", "untyped errors", "untrue results", "needless requests"]
PROMISES: tuple[Promise, ...] = ("duplicates", "lost writes", "untyped errors", "untrue results", "needless requests")

_API_NAMES = {"action_ids": "actionIds"}


@dataclass
class Verdict:
    """What a run broke of what was promised, in sentences."""

    broken: Counter[str] = dataclass_field(default_factory=Counter)
    sentences: list[str] = dataclass_field(default_factory=list)

    def add(self, promise: Promise, sentence: str) -> None:
        """Note that a promise was broken."""
        self.broken[promise] += 1
        self.sentences.append(f"{promise}: {sentence}")


class Witness:
    """Sees all agents after each exchange, as nobody outside of a simulator could.

    :param simulator: the service.
    """

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self.most_of_a_name: Counter[str] = Counter()
        self.ids: set[str] = set()
        self.numbers: defaultdict[str, set[str]] = defaultdict(set)

    def look(self) -> None:
        """Note how many agents have each name, and every agent and number that there ever was."""
        names: Counter[str] = Counter()
        for agent in self._simulator.agents():
            names[str(agent["name"])] += 1
            self.ids.add(str(agent["id"]))
            if agent["phone_number"]:
                self.numbers[str(agent["id"])].add(str(agent["phone_number"]))
        self.most_of_a_name |= names

    def agents_of(self, name: str) -> list[dict[str, Any]]:
        """Return the agents of a name, as they are now."""
        return [agent for agent in self._simulator.agents() if agent["name"] == name]


class Judge:
    """Judges one run, task by task and at its end."""

    def __init__(self, scenario: Scenario, witness: Witness, api_key: str) -> None:
        self.verdict = Verdict()
        self._scenario = scenario
        self._witness = witness
        self._api_key = api_key
        self._declared: defaultdict[str, dict[str, list[object]]] = defaultdict(dict)
        """Of each agent and field, the values that it may have: the last of a success, and any of a failure since."""

    def hear(self, task: Task, attempts: Sequence[Attempt]) -> None:
        """Judge a task that has ended, before anybody else acts."""
        for attempt in attempts:
            self._judge_requests(task, attempt, attempts[: attempt.number - 1])
            if attempt.error is not None and not isinstance(attempt.error, Killed):
                self._judge_error(task, attempt, attempt.error)
        self._keep_declared(task, attempts)
        if attempts[-1].result is not None:
            self._judge_result(task, attempts)

    def expect_success(self, attempt: Attempt) -> None:
        """Judge a try of an upsert that nothing stood in the way of, but agents that were there before."""
        in_the_way = len(attempt.existing) > 1 or any(agent["type"] == "inbound" for agent in attempt.existing)
        if attempt.result is None and not in_the_way:
            self.verdict.add("untrue results", f"an upsert that nothing stood in the way of raised {attempt.error!r}")

    def close(self) -> None:
        """Judge what is there at the end."""
        had = Counter(str(agent["name"]) for agent in self._scenario.existing)
        for name in self._own_names():
            if self._witness.most_of_a_name[name] > max(1, had[name]):
                self.verdict.add("duplicates", f"{self._witness.most_of_a_name[name]} agents were named {name!r}")
            for agent in self._witness.agents_of(name):
                for field, values in self._declared[name].items():
                    if not any(is_as_declared(field, value, agent) for value in values):
                        self.verdict.add(
                            "lost writes", f"{field} of {name!r} is {agent[_api_name(field)]!r} and none of {values}"
                        )

    def _own_names(self) -> list[str]:
        return sorted({task.agent_name for script in self._scenario.scripts.values() for task in script})

    def _keep_declared(self, task: Task, attempts: Sequence[Attempt]) -> None:
        if task.verb == "wait":
            return
        declared = self._declared[task.agent_name]
        if not all(attempt.existing for attempt in attempts):
            declared.clear()  # there was no agent, or it vanished: what comes now is another one
        if _may_adopt(task, attempts):
            return
        for field, value in task.fields.items():
            if attempts[-1].result is not None:
                declared[field] = [value]
            elif field in declared:
                declared[field].append(value)

    def _judge_result(self, task: Task, attempts: Sequence[Attempt]) -> None:
        result = attempts[-1].result or {}
        agents = self._witness.agents_of(task.agent_name)
        told = f"{task.verb} of {task.agent_name!r} returned {result.get('id')!r}"
        if not agents and "gone" in self._scenario.provision_after and result["id"] in self._witness.ids:
            return
        if [agent["id"] for agent in agents] != [result["id"]]:
            self.verdict.add("untrue results", f"{told}, and there are {[agent['id'] for agent in agents]}")
            return
        if attempts[-1].is_sound and (differing := _untrue_fields(result, agents[0])):
            self.verdict.add("untrue results", f"{told} with {differing}, which it does not have so")
        if task.waits and result["phone_number"] not in self._witness.numbers[result["id"]]:
            self.verdict.add("untrue results", f"{told} with the number {result['phone_number']!r}, which it never had")
        if task.verb != "wait" and not _may_adopt(task, attempts):
            for field, value in task.fields.items():
                if not is_as_declared(field, value, agents[0]):
                    self.verdict.add(
                        "lost writes", f"{told}, and its {field} is {agents[0][_api_name(field)]!r}, not {value!r}"
                    )

    def _judge_error(self, task: Task, attempt: Attempt, error: BaseException) -> None:
        told = f"{task.verb} of {task.agent_name!r} raised {error!r}"
        if not isinstance(error, exceptions.OpenCXError | AirflowSensorTimeout) or not str(error).strip():
            self.verdict.add("untyped errors", told)
        if self._api_key in f"{error!r} {error} {vars(error)}":
            self.verdict.add("untyped errors", f"{type(error).__name__} holds the API key")
        writes = [sent for sent in attempt.sent if sent.operation.method != "GET"]
        if isinstance(error, exceptions.OpenCXUnknownOutcomeError | exceptions.OpenCXMismatchError) and not writes:
            self.verdict.add("untrue results", f"{told}, though it wrote nothing")
        if "othing was sent" in str(error) and writes:
            self.verdict.add("untrue results", f"{told}, though it sent {[sent.operation.id for sent in writes]}")
        created = any(sent.operation == CREATE_PHONE_AGENT and _may_have_been_handled(sent) for sent in writes)
        if created and task.agent_name not in str(error):
            self.verdict.add("untrue results", f"{told}, and does not say of which agent the create may be done")
        agents = self._witness.agents_of(task.agent_name)
        if isinstance(error, exceptions.OpenCXAgentNotFoundError) and agents:
            self.verdict.add("untrue results", f"{told}, though there is one")
        several = len(agents) > 1
        if isinstance(error, exceptions.OpenCXAmbiguousNameError) and not several:
            self.verdict.add("untrue results", f"{told}, though there are not several")

    def _judge_requests(self, task: Task, attempt: Attempt, before: Sequence[Attempt]) -> None:
        operations = [sent.operation for sent in attempt.sent if sent.is_first_page]
        told = f"try {attempt.number} of {task.verb} of {task.agent_name!r} sent {_ids(operations)}"
        unanswered = False
        for sent in attempt.sent:
            if sent.operation != CREATE_PHONE_AGENT:
                continue
            if unanswered:
                self.verdict.add("needless requests", f"{told}: a create after one that may have been handled")
            unanswered = unanswered or _may_have_been_handled(sent)
        polls = 2 + attempt.seconds / POKE_INTERVAL + 2 * attempt.restarts if task.waits else 0
        if task.verb == "wait":
            if operations.count(LIST_PHONE_AGENTS) > polls:
                self.verdict.add("needless requests", f"{told} in {attempt.seconds:.0f} s")
            return
        late = any(sent.fault == "HandleLate" for earlier in before for sent in earlier.sent)
        is_sound = attempt.is_sound and not late and not any(sent.status == 429 for sent in attempt.sent)
        if is_sound and not task.waits:
            needed = needed_requests(task, attempt, self._scenario.generation)
            if operations != needed:
                self.verdict.add("needless requests", f"{told}, and needed {_ids(needed)}")
        elif len(attempt.sent) > (most := self._most_requests(attempt, polls)):
            self.verdict.add("needless requests", f"{told}, more than the {most} that its faults explain")

    def _most_requests(self, attempt: Attempt, polls: float) -> float:
        pages = 1 + sum(self._witness.most_of_a_name.values()) // self._scenario.page_size
        lists = 2 + polls + (len(LIST_AGAIN_AFTER) - 1 if attempt.number > 1 else 0)
        writes = 2
        for sent in attempt.sent:
            if sent.operation == CREATE_PHONE_AGENT and not sent.is_sound:
                lists += len(LIST_AGAIN_AFTER)
                writes += 1
            elif not sent.is_sound:
                writes += 2
        return lists * pages + writes


def needed_requests(task: Task, attempt: Attempt, generation: str) -> list[Operation]:
    """Return what a try has to send to a sound service, worked out from what is declared and what exists.

    A list counts once, however many pages it has. Before 2026 a language has another form, which is found out by
    a refusal, and the response to an update has no agent.
    """
    read, create, update = LIST_PHONE_AGENTS, CREATE_PHONE_AGENT, UPDATE_PHONE_AGENT
    read_again = [read] * (len(LIST_AGAIN_AFTER) - 1) if attempt.number > 1 else []
    forms = 2 if generation != "2026" and "language" in task.fields else 1
    if not attempt.existing:
        return [read] if task.verb == "update" else [read, *read_again, *[create] * forms, read]
    agent = attempt.existing[0]
    differing = [field for field, value in task.fields.items() if not is_as_declared(field, value, agent)]
    refused = len(attempt.existing) > 1 or (task.verb != "update" and agent["type"] == "inbound")
    if task.verb == "create" or refused or not differing:
        return [read]
    forms = forms if "language" in differing else 1
    return [read, *[update] * forms, *([read] if generation != "2026" else [])]


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


def _may_adopt(task: Task, attempts: Sequence[Attempt]) -> bool:
    """Return whether a task may rightly have taken an agent as it is.

    That is what a create does with one that it finds: one from before, or one that the service made otherwise than
    asked for a try that did not live to see it.
    """
    made_otherwise = any(sent.fault == "IgnoreFields" for attempt in attempts for sent in attempt.sent)
    return task.verb == "create" and (bool(attempts[0].existing) or (made_otherwise and len(attempts) > 1))


def _ids(operations: Sequence[Operation]) -> list[str]:
    return [operation.id for operation in operations]


def _codes(language: object) -> object:
    return [language] if isinstance(language, str) else language


def _api_name(field: str) -> str:
    return _API_NAMES.get(field, field)


def _may_have_been_handled(sent: Sent) -> bool:
    if sent.status is None:
        return sent.fault != "RefuseConnections"
    return sent.status < 300 or sent.status >= 500 or sent.status == 408
