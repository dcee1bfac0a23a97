"""The simulated service: its settings, the state of its resources, its faults and its journal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from threading import RLock
from typing import TypeVar, cast

from airflow_provider_opencx.simulator.clock import Clock, duration
from airflow_provider_opencx.simulator.contract import Contract, load_contract, operation_ids
from airflow_provider_opencx.simulator.fault_plan import FaultPlan
from airflow_provider_opencx.simulator.faults import Fault
from airflow_provider_opencx.simulator.generations import GENERATIONS
from airflow_provider_opencx.simulator.journal import Journal, Record
from airflow_provider_opencx.simulator.rate_limit import RateLimit

_State = TypeVar("_State")


@dataclass(frozen=True)
class Settings:
    """The settings that a service starts with, and that ``reset()`` restores.

    :param page_size: how many items a page of a list has, in the generations with pages
    :param requests_per_minute: the rate limit of each organization; None means no limit
    :param clock: returns seconds
    :param scopes: the scopes of a key; a key that is not in it has all
    """

    generation: str
    page_size: int
    requests_per_minute: int | None
    clock: Callable[[], float]
    scopes: Mapping[str, Collection[str]] = field(default_factory=dict)


class Service:
    """An OpenCX without a network and without resources, which keep their state in it.

    :param api_keys: the accepted keys, each for a separate organization
    """

    def __init__(self, api_keys: Sequence[str], settings: Settings) -> None:
        if isinstance(api_keys, str) or not api_keys or not all(api_keys):
            raise ValueError("api_keys are one or more keys, none of them empty.")
        if not {*settings.scopes} <= {*api_keys}:
            raise ValueError(
                "scopes are of a key that is not accepted: its keys must be among the api_keys (--api-key)."
            )
        if any(isinstance(scopes, str) for scopes in settings.scopes.values()):
            raise ValueError("scopes are a list for each key.")
        self.bugs: list[str] = []
        """Errors of the simulator itself; a ``with`` block in which there are any raises an AssertionError."""
        self._organizations = {key: f"org_{number:06d}" for number, key in enumerate(api_keys, start=1)}
        self._settings = settings
        self._lock = RLock()
        self._start_over()

    @property
    def contract(self) -> Contract:
        """The contract of the current generation."""
        return self._contract

    @property
    def newest_contract(self) -> Contract:
        """The contract of the newest generation, which has every resource."""
        return load_contract(GENERATIONS[-1])

    @property
    def generation(self) -> str:
        """The generation of the API; it can be switched while the simulator runs."""
        return self._contract.generation

    @generation.setter
    def generation(self, generation: str) -> None:
        self._contract = load_contract(generation)

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
        """The rate limit of each organization, past which it gets 429; None means no limit."""
        return self.rate_limit.requests_per_minute

    @requests_per_minute.setter
    def requests_per_minute(self, requests_per_minute: int | None) -> None:
        if requests_per_minute is not None and requests_per_minute < 1:
            raise ValueError(f"requests_per_minute is 1 or more, not {requests_per_minute}; None means no limit.")
        self.rate_limit.requests_per_minute = requests_per_minute

    def organization_of(self, api_key: str) -> str | None:
        """Return the id of the organization of a key, or None if the key is unknown."""
        return self._organizations.get(api_key)

    def lacks_scope(self, api_key: str, scopes: Collection[str]) -> bool:
        """Return whether a key lacks one of some scopes."""
        held = self._settings.scopes.get(api_key)
        return held is not None and not {*scopes} <= {*held}

    def state(self, factory: Callable[[Service], _State]) -> _State:
        """Return the state that a resource keeps in this service: made on first use, and again after each ``reset()``.

        Requests run in the server's thread and tests in theirs, so the state has to be safe for several threads.

        :param factory: the class of the state, or a function that returns it; the same one gets the same state
        """
        with self._lock:
            if factory not in self._states:
                self._states[factory] = factory(self)
            return cast(_State, self._states[factory])

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
        """Start over with the original settings: without the resources' state, faults, late requests and journal.

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
        self.clock = Clock(settings.clock)
        self._states: dict[Callable[[Service], object], object] = {}
        self.fault_plan = FaultPlan()
        self.journal = Journal()
        self.rate_limit = RateLimit(self.clock)
        self.requests_per_minute = settings.requests_per_minute
        self.page_size = settings.page_size
        self.generation = settings.generation

    def _organization(self, api_key: str | None) -> str:
        if api_key is None:
            return next(iter(self._organizations.values()))
        organization = self.organization_of(api_key)
        if organization is None:
            raise ValueError("The simulator has no such API key.")
        return organization
