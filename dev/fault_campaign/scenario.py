"""What a run is about: the service, the workers with their tasks, and how much goes wrong. All drawn from one seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal, TypeAlias

from airflow_provider_opencx.client.operation import Operation
from airflow_provider_opencx.resources.phone_agents import CREATE_PHONE_AGENT
from airflow_provider_opencx.simulator import (
    CloseBeforeHandling,
    EmptyResponse,
    Fault,
    HandleLate,
    IgnoreFields,
    LoseResponse,
    MalformedResponse,
    ProxyPage,
    Respond,
    RespondInGeneration,
    SlowBody,
    SlowResponse,
    TooManyRequests,
    TruncateResponse,
)

Fields: TypeAlias = Mapping[str, object]
Verb: TypeAlias = Literal["create", "upsert", "upsert_and_wait", "update", "wait", "sync"]

TIMEOUT = 2.0
"""Seconds that a request waits for its response; the only time of a run that really passes."""

LATEST = 14.0
"""So many seconds after its connection was dropped, at the most, a late create is carried out."""

SECONDS_BETWEEN_TASKS = 60.0
"""So long after the end of a task the next one on the same agent begins: what is promised needs more than LATEST."""

GENERATIONS = ("2024", "2025", "2026")

_PROGRESSIONS = (
    "now",
    "20s",
    "90s",
    "2reads",
    "never",
    "now, lost after 60s",
    "20s, changed after 1reads",
    "20s, lost after 1reads, given after 90s",
    "60s, gone after 60s",
)

_VALUES: Mapping[str, Sequence[object]] = {
    "first_message": ("Hello, this is Aria.", "Guten Tag", ""),
    "language": ("fr", "tr", ["es"]),
    "handoff_phone_number": ("+14155550100", "+44 20 7946 0000", None),
    "instructions": ([], ["Be brief."], ["Be brief.", "Say goodbye."]),
    "voice_id": ("voice_bruno", "voice_celia"),
    "action_ids": (None, [], ["book", "cancel"]),
}


@dataclass(frozen=True)
class Task:
    """One task, with the settings that Airflow would find on it.

    :param fields: what is declared, but for the name; of a ``sync``, the ``agents`` of the fleet.
    :param deferrable: of a task that waits: whether it waits in the triggerer.
    :param retry_delay: seconds.
    """

    verb: Verb
    agent_name: str
    fields: Fields
    deferrable: bool
    retries: int
    retry_delay: float

    @property
    def waits(self) -> bool:
        """Whether the task ends with a number."""
        return self.verb in ("wait", "upsert_and_wait")


@dataclass(frozen=True)
class Scenario:
    """One run.

    :param scripts: of each worker, its tasks in their order. No two workers have an agent in common.
    :param existing: the agents that are there before: name and fields.
    :param trouble: how probable it is that a read goes wrong; a write goes wrong twice as often.
    """

    generation: str
    page_size: int
    provision_after: str
    requests_per_minute: int | None
    scripts: Mapping[str, Sequence[Task]]
    existing: Sequence[Fields]
    trouble: float


def draw_scenario(draws: Random) -> Scenario:
    """Draw what a run is about."""
    scripts = {
        f"worker {number}": _draw_script(draws, f"agent of worker {number}")
        for number in range(1, draws.randint(2, 3) + 1)
    }
    return Scenario(
        generation=draws.choice(GENERATIONS),
        page_size=draws.randint(1, 5),
        provision_after=draws.choice(_PROGRESSIONS),
        requests_per_minute=draws.choice((None, None, 100, 10)),
        scripts=scripts,
        existing=_draw_existing(draws, sorted({task.agent_name for script in scripts.values() for task in script})),
        trouble=draws.choice((0.0, 0.05, 0.15, 0.3, 0.5)),
    )


def _draw_script(draws: Random, agent_name: str) -> list[Task]:
    verbs: list[Verb] = draws.choices(
        ("upsert", "upsert_and_wait", "create", "update", "wait"), weights=(4, 2, 3, 2, 3), k=draws.randint(2, 4)
    )
    return [
        Task(
            verb=verb,
            agent_name=agent_name,
            fields=_draw_fields(draws, at_least=1 if verb == "update" else 0),
            deferrable=draws.random() < 0.5,
            retries=draws.randint(0, 4),
            retry_delay=draws.choice((0.0, 5.0, 300.0)),
        )
        for verb in verbs
    ]


def _draw_fields(draws: Random, *, at_least: int) -> Fields:
    chosen = draws.sample(sorted(_VALUES), draws.randint(at_least, len(_VALUES)))
    return {field: draws.choice(_VALUES[field]) for field in chosen}


def _draw_existing(draws: Random, names: Sequence[str]) -> list[Fields]:
    """Draw agents of other names, and now and then one of a declared name, or an inbound one, or two."""
    existing: list[Fields] = [{"name": f"another {number}"} for number in range(draws.randint(0, 4))]
    for name in names:
        kind = draws.choices(("none", "one", "inbound", "two"), weights=(80, 12, 4, 4))[0]
        own = {"name": name, "type": "inbound" if kind == "inbound" else "outbound", "first_message": "Hi"}
        existing += [own] * {"none": 0, "two": 2}.get(kind, 1)
    draws.shuffle(existing)
    return existing


class DrawnMischief:
    """Draws what goes wrong with each request, and counts it.

    :param draws: where chance comes from.
    :param trouble: how probable it is that a read goes wrong.
    :param generation: the service's own.
    """

    def __init__(self, draws: Random, trouble: float, generation: str) -> None:
        self.counted: Counter[str] = Counter()
        self._draws = draws
        self._trouble = trouble
        self._generation = generation

    def fault(self, operation: Operation) -> Fault | None:
        """Return what the service does to this request."""
        is_read = operation.method == "GET"
        trouble = self._trouble if is_read else min(0.8, 2 * self._trouble)
        if self._draws.random() >= trouble:
            return None
        kinds = {**_FAULTS, **_FAULTS_OF_OPERATIONS.get(operation.id, {})}
        if is_read:
            kinds = {kind: weight for kind, weight in kinds.items() if kind not in _FAULTS_OF_WRITES}
        make = self._draws.choices(list(kinds), weights=list(kinds.values()))[0]
        fault = make(self._draws, self._generation)
        self.counted[type(fault).__name__] += 1
        return fault

    def outage(self) -> float | None:
        """Return for how many seconds nobody listens from now on."""
        if self._draws.random() >= self._trouble / 30:
            return None
        self.counted["RefuseConnections"] += 1
        return self._draws.uniform(0.1, 90.0)

    def kills(self, operation: Operation) -> bool:
        """Return whether the worker's process ends here."""
        killed = self._draws.random() < self._trouble / (15 if operation.method == "GET" else 2)
        self.counted["worker killed"] += killed
        return killed


_Make: TypeAlias = Callable[[Random, str], Fault]


def _any_status(draws: Random, generation: str) -> Fault:
    status = draws.choice((302, 400, 401, 403, 404, 408, 409, 422, 500, 500, 502, 503, 503, 504, 599))
    retry_after = draws.choice(({}, {}, {"Retry-After": "30"}, {"Retry-After": "900"}))
    body = draws.choice(({"statusCode": status, "message": "no"}, "", "<html>", [], {"message": ["a"]}))
    return Respond(status, body, retry_after)


def _too_many_requests(draws: Random, generation: str) -> Fault:
    if draws.random() < 0.3:
        return TooManyRequests(draws.choice((1, 30, 600)), as_date=True)
    return TooManyRequests(draws.choice((None, 1, 30, 600, 10**12, "soon", "Wed, 21 Oct 2999 07:28:00 GMT")))


def _close_before_handling(draws: Random, generation: str) -> Fault:
    return CloseBeforeHandling()


def _lose_response(draws: Random, generation: str) -> Fault:
    return LoseResponse()


def _truncate_response(draws: Random, generation: str) -> Fault:
    return TruncateResponse()


def _malformed_response(draws: Random, generation: str) -> Fault:
    return MalformedResponse()


def _proxy_page(draws: Random, generation: str) -> Fault:
    return ProxyPage(draws.choice((200, 502)), handled=draws.random() < 0.5)


def _another_generation(draws: Random, generation: str) -> Fault:
    return RespondInGeneration(draws.choice([other for other in GENERATIONS if other != generation]))


def _slow_headers(draws: Random, generation: str) -> Fault:
    return SlowResponse(1.3 * TIMEOUT)


def _slow_body(draws: Random, generation: str) -> Fault:
    return SlowBody(0.3 * TIMEOUT)


def _empty_response(draws: Random, generation: str) -> Fault:
    return EmptyResponse()


def _ignore_fields(draws: Random, generation: str) -> Fault:
    names = ("first_message", "language", "handoff_phone_number", "instructions", "voice_id", "actionIds")
    return IgnoreFields(*draws.sample(names, 2))


def _handle_late(draws: Random, generation: str) -> Fault:
    return HandleLate(draws.uniform(0.0, LATEST))


_FAULTS: Mapping[_Make, float] = {
    _any_status: 6,
    _too_many_requests: 3,
    _close_before_handling: 3,
    _lose_response: 6,
    _truncate_response: 3,
    _malformed_response: 2,
    _proxy_page: 2,
    _another_generation: 2,
    _slow_headers: 0.03,  # these two cost real seconds
    _slow_body: 0.05,
    _empty_response: 2,
    _ignore_fields: 2,
}
_FAULTS_OF_WRITES = {_ignore_fields}
_FAULTS_OF_OPERATIONS: Mapping[str, Mapping[_Make, float]] = {CREATE_PHONE_AGENT.id: {_handle_late: 25}}
