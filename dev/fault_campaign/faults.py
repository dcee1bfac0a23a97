"""Draws from the seed of a run what kind of service it has, and which faults its requests get."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeAlias

from starlette.responses import Response

from airflow_provider_opencx.client.operation import Operation
from airflow_provider_opencx.resources.calls import MAKE_OUTBOUND_CALL
from airflow_provider_opencx.resources.contacts import LIST_CONTACTS
from airflow_provider_opencx.resources.conversations import LIST_CONVERSATIONS, LIST_HISTORY
from airflow_provider_opencx.resources.phone_agents import CREATE_PHONE_AGENT, LIST_PHONE_AGENTS
from airflow_provider_opencx.resources.sequences import (
    ADD_CONTACTS_TO_SEQUENCE,
    CREATE_SEQUENCE,
    START_SEQUENCE,
    UPDATE_SEQUENCE,
)
from airflow_provider_opencx.resources.training import CREATE_TRAINING, LIST_TRAININGS
from airflow_provider_opencx.simulator import (
    CloseBeforeHandling,
    EmptyList,
    EmptyResponse,
    ErrorResponse,
    Fault,
    HandleLate,
    IgnoreFields,
    IncompleteList,
    LoseResponse,
    MalformedResponse,
    MovedPages,
    PlaceholderNumber,
    ProxyPage,
    RefuseAfterHandling,
    RepeatedIds,
    Respond,
    RespondInGeneration,
    RespondWithAnotherId,
    SlowBody,
    SlowResponse,
    StaleList,
    TidyText,
    TooManyRequests,
    TruncateResponse,
)
from airflow_provider_opencx.simulator.call import Call
from airflow_provider_opencx.simulator.faults import AlteringFault, Handle
from fault_campaign.wire import NamedFault, Sent

TIMEOUT = 2.0
"""Seconds that a request waits for its response; the only time of a run that really passes."""

LATEST = 14.0
"""Seconds after which a late create is carried out, at the most."""

LONGEST_LAG = 40.0
"""Seconds by which a list is behind, at the most."""

GENERATIONS = ("2024", "2025", "2026")

HIDING = ("EmptyList", "IncompleteList", "MovedPages")
"""The faults that hide agents which have been there for long."""

_LISTS = (LIST_PHONE_AGENTS, LIST_TRAININGS, LIST_CONTACTS, LIST_CONVERSATIONS)


@dataclass(frozen=True)
class ServiceKind:
    """What is so for a whole run.

    :param generation: of the API.
    :param stale_list: how a list is behind, ``None`` if none is.
    :param stale_share: the share of the reads that are: all of them where the list lags, some where one replica does.
    :param tidies: how texts are stored, ``None`` for as they are sent.
    :param placeholder: what stands for a number that is not there yet, ``None`` for null.
    """

    generation: str
    stale_list: StaleList | None = None
    stale_share: float = 1.0
    tidies: TidyText | None = None
    placeholder: PlaceholderNumber | None = None

    def stored_name(self, name: str) -> str:
        """Return the name under which an agent is stored."""
        return name if self.tidies is None else str(self.tidies.tidy(name))


def draw_service(draws: Random) -> ServiceKind:
    """Draw what kind of service a run has; most are sound."""
    stale_list = StaleList(draws.uniform(0.0, LONGEST_LAG), draws.choice(("creates", "updates", "both")))
    is_stale = draws.random() < 0.3
    tidies = draws.choices((None, "escape", "collapse", "cut", "nfkc", "trim"), weights=(20, 1, 1, 1, 1, 1))[0]
    placeholder = draws.choice(("pending", "", "+10000000000000000", "N/A", "+0000000000"))
    return ServiceKind(
        generation=draws.choice(GENERATIONS),
        stale_list=stale_list if is_stale else None,
        stale_share=draws.choice((1.0, 0.3, 0.6)),
        tidies=None if tidies is None else TidyText(tidies),
        placeholder=PlaceholderNumber(placeholder) if draws.random() < 0.2 else None,
    )


class DrawnFaults:
    """Draws the fault that each request meets, and counts it.

    :param draws: where chance comes from.
    :param rate: how probable it is that a read meets a fault; a write meets one twice as often.
    :param service: what is so for the whole run.
    """

    def __init__(self, draws: Random, rate: float, service: ServiceKind) -> None:
        self.counted: Counter[str] = Counter()
        self._draws = draws
        self._rate = rate
        self._service = service

    def fault(self, sent: Sent, before: Sequence[Sent]) -> NamedFault | None:
        """Return what the service does to this request: its kind, and the fault that was drawn on the way to it."""
        kind = self._kind_of(sent.operation)
        drawn = self._drawn(sent, before)
        names = [type(fault).__name__ for fault in (*kind, drawn) if fault is not None]
        if not names:
            return None
        self.counted.update(names)
        # A number that is not there yet is no reason for another request.
        faults = [name for name in names if name != PlaceholderNumber.__name__]
        return NamedFault(faults[-1] if faults else names[-1], _OfKind(kind, drawn))

    def outage(self) -> float | None:
        """Return for how many seconds nobody listens from now on."""
        if self._draws.random() >= self._rate / 30:
            return None
        self.counted["RefuseConnections"] += 1
        return self._draws.uniform(0.1, 90.0)

    def kills(self, operation: Operation) -> bool:
        """Return whether the worker's process ends here."""
        killed = self._draws.random() < self._rate / (15 if operation.is_read else 2)
        self.counted["worker killed"] += killed
        return killed

    def _kind_of(self, operation: Operation) -> list[AlteringFault]:
        """Return what the kind of the service does to this request."""
        service = self._service
        kind: list[AlteringFault | None] = [service.placeholder]
        if operation not in _LISTS:
            kind.append(service.tidies)
        elif self._draws.random() < service.stale_share:
            kind.append(service.stale_list)
        return [fault for fault in kind if fault is not None]

    def _drawn(self, sent: Sent, before: Sequence[Sent]) -> Fault | None:
        operation = sent.operation
        rate = self._rate if operation.is_read else min(0.8, 2 * self._rate)
        if self._draws.random() >= rate:
            return None
        faults = {**_FAULTS, **(_FAULTS_OF_READS if operation.is_read else _FAULTS_OF_WRITES)}
        faults |= _FAULTS_OF_OPERATIONS.get(operation.id, {})
        make = self._draws.choices(list(faults), weights=list(faults.values()))[0]
        fault = make(self._draws, self._service.generation)
        return None if _is_hidden_again(fault, sent, before) else fault


class _OfKind(Fault):
    """The fault that a request meets on the way to a service of some kind.

    :param kind: what the service itself does to a request, and to its response.
    :param drawn: the fault on the way; ``None`` if there is none.
    """

    def __init__(self, kind: Sequence[AlteringFault], drawn: Fault | None) -> None:
        self._kind = kind
        self._drawn = drawn

    async def respond(self, call: Call, handle: Handle) -> Response:
        """Let the service respond as is its kind, or the fault that is on the way to it."""
        for fault in self._kind:
            handle = _Altered(handle, fault)
        return handle(call) if self._drawn is None else await self._drawn.respond(call, handle)


@dataclass(frozen=True)
class _Altered:
    """Handles a request with one fault."""

    handle: Handle
    fault: AlteringFault

    def __call__(self, call: Call, *, generation: str | None = None) -> Response:
        return self.fault.alter_response(self.handle(self.fault.alter_request(call), generation=generation))

    def later(self, call: Call, seconds: float) -> None:
        self.handle.later(self.fault.alter_request(call), seconds)


def _is_hidden_again(fault: Fault, sent: Sent, before: Sequence[Sent]) -> bool:
    """Return whether a list would hide agents that the list before has hidden as well: nobody could find them then.

    Only two empty lists may follow one another, because everybody can see that they are empty.
    """
    if type(fault).__name__ not in HIDING:
        return False
    hidden = _hidden_before(before)
    is_empty_again = len(hidden) == 1 and hidden[0].fault == "EmptyList" and hidden[0].is_first_page
    return bool(hidden) and not (isinstance(fault, EmptyList) and sent.is_first_page and is_empty_again)


def _hidden_before(before: Sequence[Sent]) -> list[Sent]:
    """Return the requests for the newest two lists, or for parts of them, in whose responses agents were hidden."""
    hidden: list[Sent] = []
    lists = 0.0
    for sent in reversed(before):
        if sent.operation not in _LISTS or sent.status != 200:
            continue
        if sent.fault in HIDING:
            hidden.append(sent)
        # Training scenarios are read in two lists, one of them of the drafts.
        lists += sent.is_first_page / (2 if sent.operation == LIST_TRAININGS else 1)
        if lists == 2:
            break
    return hidden


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
    return ProxyPage(draws.choice((200, 301, 403, 404, 502)), handled=draws.random() < 0.5)


def _another_generation(draws: Random, generation: str) -> Fault:
    return RespondInGeneration(draws.choice([other for other in GENERATIONS if other != generation]))


def _slow_headers(draws: Random, generation: str) -> Fault:
    return SlowResponse(1.3 * TIMEOUT)


def _slow_body(draws: Random, generation: str) -> Fault:
    return SlowBody(0.3 * TIMEOUT)


def _empty_response(draws: Random, generation: str) -> Fault:
    return EmptyResponse()


def _refused(draws: Random, generation: str) -> Fault:
    return ErrorResponse(draws.choice((301, 302, 307, 400, 401, 403, 404)))


def _empty_list(draws: Random, generation: str) -> Fault:
    return EmptyList()


def _incomplete_list(draws: Random, generation: str) -> Fault:
    return IncompleteList(share=draws.uniform(0.01, 1.0))


def _repeated_ids(draws: Random, generation: str) -> Fault:
    return RepeatedIds()


def _moved_pages(draws: Random, generation: str) -> Fault:
    return MovedPages(draws.choice((1, 2, -1, -2)))


def _repeated_pages(draws: Random, generation: str) -> Fault:
    return MovedPages(draws.choice((1, 2)))


def _ignore_fields(draws: Random, generation: str) -> Fault:
    names = ("first_message", "language", "handoff_phone_number", "instructions", "voice_id", "actionIds")
    return IgnoreFields(*draws.sample(names, 2))


def _ignore_fields_of_sequence(draws: Random, generation: str) -> Fault:
    return IgnoreFields(*draws.sample(("is_continuous", "custom_id", "name"), draws.randint(1, 2)))


def _ignore_changes_of_sequence(draws: Random, generation: str) -> Fault:
    return IgnoreFields(*draws.sample(("is_continuous", "filter", "steps", "name"), draws.randint(1, 2)))


def _refuse_after_handling(draws: Random, generation: str) -> Fault:
    return RefuseAfterHandling(draws.choice((400, 401, 403, 404, 409, 422)))


def _refuse_call_after_handling(draws: Random, generation: str) -> Fault:
    return RefuseAfterHandling(draws.choice((400, 404, 409, 422)))


def _invalid(draws: Random, generation: str) -> Fault:
    body = {"statusCode": 400, "code": "FST_ERR_VALIDATION", "message": "body/contact Invalid input"}
    return Respond(400, body)


def _respond_with_another_id(draws: Random, generation: str) -> Fault:
    return RespondWithAnotherId()


def _handle_late(draws: Random, generation: str) -> Fault:
    return HandleLate(draws.uniform(0.0, LATEST))


_FAULTS: Mapping[_Make, float] = {
    _any_status: 6,
    _too_many_requests: 3,
    _close_before_handling: 3,
    _lose_response: 6,
    _truncate_response: 3,
    _malformed_response: 2,
    _proxy_page: 3,
    _another_generation: 2,
    _slow_headers: 0.03,  # these two cost real seconds
    _slow_body: 0.05,
    _empty_response: 2,
}
_FAULTS_OF_READS: Mapping[_Make, float] = {
    _refused: 4,
    _empty_list: 5,
    _incomplete_list: 5,
    _repeated_ids: 2,
    _moved_pages: 3,
}
_FAULTS_OF_WRITES: Mapping[_Make, float] = {
    _ignore_fields: 2,
    _refuse_after_handling: 2,
    _respond_with_another_id: 2,
}
# Nobody could tell a service that calls, and then says that it rejects the key, from one that rejects the key.
_FAULTS_OF_CALLS: Mapping[_Make, float] = {
    _refuse_after_handling: 0,
    _refuse_call_after_handling: 4,
    _invalid: 2,
    _handle_late: 4,
    _ignore_fields: 0,
}
# Nobody could tell a list that leaves somebody out, though nothing has changed, from one that is whole.
_FAULTS_OF_CONVERSATIONS: Mapping[_Make, float] = {
    _empty_list: 0,
    _incomplete_list: 0,
    _moved_pages: 0,
    _repeated_pages: 3,
}
_FAULTS_OF_OPERATIONS: Mapping[str, Mapping[_Make, float]] = {
    CREATE_PHONE_AGENT.id: {_handle_late: 25},
    CREATE_TRAINING.id: {_handle_late: 25},
    MAKE_OUTBOUND_CALL.id: _FAULTS_OF_CALLS,
    CREATE_SEQUENCE.id: {**_FAULTS_OF_CALLS, _ignore_fields_of_sequence: 4, _handle_late: 12},
    UPDATE_SEQUENCE.id: {**_FAULTS_OF_CALLS, _ignore_changes_of_sequence: 4},
    START_SEQUENCE.id: {**_FAULTS_OF_CALLS, _handle_late: 8},
    ADD_CONTACTS_TO_SEQUENCE.id: _FAULTS_OF_CALLS,
    LIST_CONVERSATIONS.id: _FAULTS_OF_CONVERSATIONS,
    LIST_HISTORY.id: {**_FAULTS_OF_CONVERSATIONS, _repeated_ids: 0, _repeated_pages: 0},
}
