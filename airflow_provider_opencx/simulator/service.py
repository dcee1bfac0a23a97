"""The simulated service: its settings and parts, and what a test may do to it and learn from it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from airflow_provider_opencx.simulator.clock import Clock, duration
from airflow_provider_opencx.simulator.contract import OPERATIONS, Contract, ContractError, load_contract
from airflow_provider_opencx.simulator.fault_plan import FaultPlan
from airflow_provider_opencx.simulator.faults import Fault
from airflow_provider_opencx.simulator.journal import Journal, Record
from airflow_provider_opencx.simulator.json_values import Json, JsonObject
from airflow_provider_opencx.simulator.rate_limit import RateLimit
from airflow_provider_opencx.simulator.resources.phone_agents.progression import Progression
from airflow_provider_opencx.simulator.resources.phone_agents.store import Agent, Store


@dataclass(frozen=True)
class _Settings:
    """What a service begins with."""

    provision_after: str
    generation: str
    page_size: int
    requests_per_minute: int | None
    clock: Callable[[], float]


class Service:
    """An OpenCX without a network.

    :param api_keys: the keys that are admitted; each is of an organization of its own
    :param provision_after: when a new agent gets its phone number: ``now``, ``5s``, ``500ms``, ``2m``,
        ``3reads`` (three reads of the list do not show it, the fourth does) or ``never``; and what becomes of it:
        ``now, lost after 10s``, ``5s, changed after 3reads``, ``never, gone after 1m`` (the agent itself)
    :param generation: which generation of the API is spoken: ``2024``, ``2025`` or ``2026``
    :param page_size: how many agents a page of the list holds, in the generations that have pages
    :param requests_per_minute: past how many an organization gets 429; None is without limit
    :param clock: counts seconds; a test passes its own so as not to wait
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
        """What the simulator itself got wrong: there should be none, and a test in which there are fails."""
        self._organizations = {key: f"org_{number:06d}" for number, key in enumerate(api_keys, start=1)}
        self._settings = _Settings(provision_after, generation, page_size, requests_per_minute, clock)
        self._begin()

    @property
    def contract(self) -> Contract:
        """The contract of the generation that is spoken."""
        return self._contract

    @property
    def generation(self) -> str:
        """Which generation of the API is spoken; it may be switched while the simulator runs."""
        return self._contract.generation

    @generation.setter
    def generation(self, generation: str) -> None:
        self._contract = load_contract(generation)

    @property
    def provision_after(self) -> str:
        """What becomes of phone numbers; set, it holds for the agents that wait for theirs already, too."""
        return self._provision_after

    @provision_after.setter
    def provision_after(self, provision_after: str) -> None:
        self.store.progression = Progression.parse(provision_after)
        self._provision_after = provision_after

    @property
    def page_size(self) -> int:
        """How many agents a page of the list holds, in the generations that have pages."""
        return self._page_size

    @page_size.setter
    def page_size(self, page_size: int) -> None:
        if page_size < 1:
            raise ValueError(f"A page holds one agent or more, not {page_size}.")
        self._page_size = page_size

    @property
    def requests_per_minute(self) -> int | None:
        """Past how many requests of one minute an organization gets 429; None is without limit."""
        return self.rate_limit.requests_per_minute

    @requests_per_minute.setter
    def requests_per_minute(self, requests_per_minute: int | None) -> None:
        if requests_per_minute is not None and requests_per_minute < 1:
            raise ValueError(f"requests_per_minute is 1 or more, not {requests_per_minute}; None is without limit.")
        self.rate_limit.requests_per_minute = requests_per_minute

    def organization_of(self, api_key: str) -> str | None:
        """Return the id of the organization that a key is of, or None for a key that nobody has."""
        return self._organizations.get(api_key)

    def agents(self, api_key: str | None = None) -> list[JsonObject]:
        """Return the agents of an organization (the first, if no key is given) as they are answered just now."""
        self.clock.catch_up()
        return [self._contract.agent_members(agent) for agent in self.store.agents(self._organization(api_key))]

    def add_agent(
        self, name: str, *, api_key: str | None = None, progression: str | None = None, **members: Json
    ) -> JsonObject:
        """Add an agent behind the client's back.

        ``phone_number`` may be given with the other members; None is an agent that gets one by ``give_number``
        or ``progress`` alone. Left out, the agent waits for its number as any other does.

        :param progression: what becomes of the number of this agent, in place of ``provision_after``
        """
        self.clock.catch_up()
        own = None if progression is None else Progression.parse(progression)
        agent = self.store.create(self._organization(api_key), {"name": name, **members}, own)
        try:
            return self._shown(agent)
        except ContractError:
            self.store.remove(agent.id)
            raise

    def change_agent(self, agent_id: str, **members: Json) -> JsonObject:
        """Change an agent behind the client's back."""
        self.clock.catch_up()
        before = self.store.find(agent_id)
        try:
            return self._shown(self.store.change(agent_id, members))
        except ContractError:
            self.store.put(before)
            raise

    def remove_agent(self, agent_id: str) -> None:
        """Take an agent away, as somebody with the dashboard might."""
        self.clock.catch_up()
        self.store.remove(agent_id)

    def give_number(self, agent_id: str, number: str | None = None) -> JsonObject:
        """Give an agent its phone number now, this one or a new one. Its progression is over."""
        self.clock.catch_up()
        return self._shown(self.store.give_number(agent_id, number))

    def take_number(self, agent_id: str) -> JsonObject:
        """Take an agent's phone number away now. Its progression is over."""
        self.clock.catch_up()
        return self._shown(self.store.take_number(agent_id))

    def progress(self, agent_id: str, progression: str) -> JsonObject:
        """Let an agent begin a progression of its own now, as it is written for ``provision_after``."""
        self.clock.catch_up()
        return self._shown(self.store.progress(agent_id, Progression.parse(progression)))

    def fail(
        self,
        operation: str,
        fault: Fault,
        times: int | None = 1,
        *,
        probability: float | None = None,
        seed: int | None = None,
    ) -> None:
        """Let requests for an operation (its ``operationId``) meet a fault.

        Without a probability the next requests meet it. Such faults of one operation happen one after the other,
        in the order in which they were asked for. With one, each request that none of those waits for meets it by
        chance; several such faults stand side by side, and the first that hits is the one that happens.

        :param times: how often the fault happens; None is until ``heal()``
        :param probability: how likely a request is to meet it, more than 0 and at most 1
        :param seed: makes the dice of the probability fall the same way every time
        """
        if operation not in OPERATIONS:
            raise ValueError(f"There is no operation {operation!r}, only {', '.join(OPERATIONS)}.")
        self.fault_plan.add(operation, fault, times, probability, seed)

    def heal(self) -> None:
        """Let everything work again. A request that was put off is still carried out when its time comes."""
        self.fault_plan.heal()

    def advance(self, by: str | float) -> None:
        """Move the simulator's clock on, by seconds or by a text such as ``90s`` or ``10m``."""
        self.clock.advance(duration(by))

    def reset(self) -> None:
        """Begin anew, with the settings of the start.

        Gone are the agents, their numbers, the faults, what was put off, the requests in the journal and in the count
        of the last minute, and by how much the clock was moved. ``bugs`` stay.
        """
        self._begin()

    @property
    def requests(self) -> list[Record]:
        """Every request so far, in the order of arrival."""
        return self.journal.records()

    @property
    def writes(self) -> list[Record]:
        """The requests that were to create or change something."""
        return [record for record in self.requests if record.method in ("POST", "PATCH")]

    def count(self, operation: str) -> int:
        """Count the requests for an operation."""
        return sum(record.operation == operation for record in self.requests)

    def faults_met(self) -> Counter[str]:
        """Count the faults that happened, by the name of their class, since the journal was last forgotten."""
        return Counter(record.fault for record in self.requests if record.fault)

    def forget_requests(self) -> None:
        """Count from here."""
        self.journal.forget()

    def _begin(self) -> None:
        settings = self._settings
        self.clock = Clock(settings.clock)
        self.store = Store(self.clock, Progression.parse(settings.provision_after))
        self.fault_plan = FaultPlan()
        self.journal = Journal()
        self.rate_limit = RateLimit(self.clock)
        self.requests_per_minute = settings.requests_per_minute
        self.page_size = settings.page_size
        self._provision_after = settings.provision_after
        self._contract = load_contract(settings.generation)

    def _shown(self, agent: Agent) -> JsonObject:
        # Spelled only to be checked: what the generation has no form for is to fail here, not in a later answer.
        self._contract.spell_agent(agent)
        return self._contract.agent_members(agent)

    def _organization(self, api_key: str | None) -> str:
        if api_key is None:
            return next(iter(self._organizations.values()))
        organization = self.organization_of(api_key)
        if organization is None:
            raise ValueError("That API key is none of the simulator's.")
        return organization
