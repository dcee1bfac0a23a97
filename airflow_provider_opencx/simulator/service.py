"""The simulated service: its settings, its state, and the interface for tests."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import RLock
from typing import TypeVar, cast

from airflow_provider_opencx.simulator.clock import Clock, duration
from airflow_provider_opencx.simulator.contract import Contract, ContractError, load_contract, operation_ids
from airflow_provider_opencx.simulator.fault_plan import FaultPlan
from airflow_provider_opencx.simulator.faults import Fault
from airflow_provider_opencx.simulator.journal import Journal, Record
from airflow_provider_opencx.simulator.json_values import Json, JsonObject
from airflow_provider_opencx.simulator.rate_limit import RateLimit
from airflow_provider_opencx.simulator.resources.phone_agents.progression import Progression
from airflow_provider_opencx.simulator.resources.phone_agents.serialization import agent_fields, agent_json
from airflow_provider_opencx.simulator.resources.phone_agents.store import Agent, Store

_State = TypeVar("_State")


@dataclass(frozen=True)
class _Settings:
    """The settings that ``reset()`` restores."""

    provision_after: str
    generation: str
    page_size: int
    requests_per_minute: int | None
    clock: Callable[[], float]


class Service:
    """An OpenCX without a network.

    :param api_keys: the accepted keys, each of an organization of its own
    :param provision_after: when a new agent gets its phone number: ``now``, ``5s``, ``500ms``, ``2m``,
        ``3reads`` (three reads of the list do not show it, the fourth does) or ``never``; and what happens to it later:
        ``now, lost after 10s``, ``5s, changed after 3reads``, ``never, gone after 1m`` (the agent itself)
    :param generation: the generation of the API: ``2024``, ``2025`` or ``2026``
    :param page_size: how many items a page of a list has, in the generations with pages
    :param requests_per_minute: the rate limit of each organization, past which it gets 429; None is no limit
    :param clock: returns seconds; a test passes its own so as not to wait
    """

    def __init__(
        self,
        api_keys: Sequence[str] = ("test-key",),
        *,
        provision_after: str = "now",
        generation: str = "2026",
        page_size: int = 100,
        requests_per_minute: int | None = 100,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if isinstance(api_keys, str) or not api_keys or not all(api_keys):
            raise ValueError("api_keys are one or more keys, none of them empty.")
        self.bugs: list[str] = []
        """Errors of the simulator itself; a ``with`` block in which there are any raises an AssertionError."""
        self._organizations = {key: f"org_{number:06d}" for number, key in enumerate(api_keys, start=1)}
        self._settings = _Settings(provision_after, generation, page_size, requests_per_minute, clock)
        self._lock = RLock()
        self._start_over()

    @property
    def contract(self) -> Contract:
        """The contract of the current generation."""
        return self._contract

    @property
    def generation(self) -> str:
        """The generation of the API; it can be switched while the simulator runs."""
        return self._contract.generation

    @generation.setter
    def generation(self, generation: str) -> None:
        self._contract = load_contract(generation)

    @property
    def provision_after(self) -> str:
        """When agents get their phone numbers; a new value also applies to agents that wait for theirs."""
        return self._provision_after

    @provision_after.setter
    def provision_after(self, provision_after: str) -> None:
        self.store.progression = Progression.parse(provision_after)
        self._provision_after = provision_after

    @property
    def page_size(self) -> int:
        """How many items a page of a list has, in the generations with pages."""
        return self._page_size

    @page_size.setter
    def page_size(self, page_size: int) -> None:
        if page_size < 1:
            raise ValueError(f"page_size is 1 or more, not {page_size}.")
        self._page_size = page_size

    @property
    def requests_per_minute(self) -> int | None:
        """The rate limit of each organization, past which it gets 429; None is no limit."""
        return self.rate_limit.requests_per_minute

    @requests_per_minute.setter
    def requests_per_minute(self, requests_per_minute: int | None) -> None:
        if requests_per_minute is not None and requests_per_minute < 1:
            raise ValueError(f"requests_per_minute is 1 or more, not {requests_per_minute}; None is no limit.")
        self.rate_limit.requests_per_minute = requests_per_minute

    def organization_of(self, api_key: str) -> str | None:
        """Return the id of the organization of a key, or None if the key is unknown."""
        return self._organizations.get(api_key)

    def state(self, factory: Callable[[Service], _State]) -> _State:
        """Return the state that a resource keeps in this service: made on first use, and anew after each ``reset()``.

        Requests run in the server's thread, and tests call from theirs, so the state has to be safe for both.

        :param factory: the class of the state, or a function that returns it; the same one gets the same state
        """
        with self._lock:
            if factory not in self._states:
                self._states[factory] = factory(self)
            return cast(_State, self._states[factory])

    def agents(self, api_key: str | None = None) -> list[JsonObject]:
        """Return the agents of an organization, in the form of the current generation.

        :param api_key: the organization's key; None is the first one
        """
        self.clock.catch_up()
        return [agent_fields(agent, self._contract) for agent in self.store.agents(self._organization(api_key))]

    def add_agent(
        self, name: str, *, api_key: str | None = None, progression: str | None = None, **fields: Json
    ) -> JsonObject:
        """Add an agent without a request.

        :param api_key: the organization's key; None is the first one
        :param progression: when this agent gets its phone number, in place of ``provision_after``
        :param fields: its other fields; with ``phone_number=None`` it gets a number only by ``give_number`` or
            ``progress``
        """
        self.clock.catch_up()
        parsed = None if progression is None else Progression.parse(progression)
        agent = self.store.create(self._organization(api_key), {"name": name, **fields}, parsed)
        try:
            return self._valid_fields(agent)
        except ContractError:
            self.store.remove(agent.id)
            raise

    def change_agent(self, agent_id: str, **fields: Json) -> JsonObject:
        """Change fields of an agent without a request."""
        self.clock.catch_up()
        before = self.store.find(agent_id)
        try:
            return self._valid_fields(self.store.change(agent_id, fields))
        except ContractError:
            self.store.put(before)
            raise

    def remove_agent(self, agent_id: str) -> None:
        """Remove an agent, as somebody could do in the dashboard."""
        self.clock.catch_up()
        self.store.remove(agent_id)

    def give_number(self, agent_id: str, number: str | None = None) -> JsonObject:
        """Give an agent a phone number now, and end its progression.

        :param number: None is the next free number
        """
        self.clock.catch_up()
        return self._valid_fields(self.store.give_number(agent_id, number))

    def take_number(self, agent_id: str) -> JsonObject:
        """Take an agent's phone number away now, and end its progression."""
        self.clock.catch_up()
        return self._valid_fields(self.store.take_number(agent_id))

    def progress(self, agent_id: str, progression: str) -> JsonObject:
        """Start a progression of an agent's own now.

        :param progression: written as for ``provision_after``
        """
        self.clock.catch_up()
        return self._valid_fields(self.store.progress(agent_id, Progression.parse(progression)))

    def fail(
        self,
        operation: str,
        fault: Fault,
        times: int | None = 1,
        *,
        probability: float | None = None,
        seed: int | None = None,
    ) -> None:
        """Inject a fault into upcoming requests of an operation.

        Without a probability, the next requests meet the fault; several faults of an operation occur one after the
        other, in the order in which they were injected. With a probability, each request that meets none of those may
        meet the fault; if several such faults occur, it is the one that was injected first.

        :param operation: an ``operationId`` of the OpenAPI documents
        :param times: how often the fault occurs; None is until ``heal()``
        :param probability: how likely it is for a request, more than 0 and at most 1
        :param seed: the seed of the random generator, for the same requests to meet the fault each time
        """
        if operation not in operation_ids():
            raise ValueError(f"There is no operation {operation!r}, only {', '.join(operation_ids())}.")
        self.fault_plan.add(operation, fault, times, probability, seed)

    def heal(self) -> None:
        """Remove all planned faults. Requests that ``HandleLate`` put off are still handled at their time."""
        self.fault_plan.heal()

    def advance(self, by: str | float) -> None:
        """Move the simulator's clock forward.

        :param by: seconds, or a text such as ``90s`` or ``10m``
        """
        self.clock.advance(duration(by))

    def reset(self) -> None:
        """Start over with the original settings: without agents, faults, late requests and journal.

        The rate limit counts from 0 and the clock is not advanced any more. Only ``bugs`` stay.
        """
        with self._lock:
            self._start_over()

    @property
    def requests(self) -> list[Record]:
        """All requests so far, in the order of arrival."""
        return self.journal.records()

    @property
    def writes(self) -> list[Record]:
        """The requests that create or change something."""
        return [record for record in self.requests if record.method in ("POST", "PUT", "PATCH", "DELETE")]

    def count(self, operation: str) -> int:
        """Return the number of requests of an operation."""
        return sum(record.operation == operation for record in self.requests)

    def faults_met(self) -> Counter[str]:
        """Return how often each fault occurred, by class name, according to the journal."""
        return Counter(record.fault for record in self.requests if record.fault)

    def forget_requests(self) -> None:
        """Remove all requests from the journal, so that ``count()`` starts from 0."""
        self.journal.forget()

    def _start_over(self) -> None:
        settings = self._settings
        self._states: dict[Callable[[Service], object], object] = {}
        self.clock = Clock(settings.clock)
        self.store = Store(self.clock, Progression.parse(settings.provision_after))
        self.fault_plan = FaultPlan()
        self.journal = Journal()
        self.rate_limit = RateLimit(self.clock)
        self.requests_per_minute = settings.requests_per_minute
        self.page_size = settings.page_size
        self._provision_after = settings.provision_after
        self._contract = load_contract(settings.generation)

    def _valid_fields(self, agent: Agent) -> JsonObject:
        # Serialized to validate it: an agent that is not valid should fail here, not in a later response.
        agent_json(agent, self._contract)
        return agent_fields(agent, self._contract)

    def _organization(self, api_key: str | None) -> str:
        if api_key is None:
            return next(iter(self._organizations.values()))
        organization = self.organization_of(api_key)
        if organization is None:
            raise ValueError("The simulator has no such API key.")
        return organization
