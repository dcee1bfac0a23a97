"""The simulated service: its settings and parts, and what a test may do to it and learn from it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from airflow_provider_opencx.simulator.contract import OPERATIONS, Contract, load_contract
from airflow_provider_opencx.simulator.faults import Fault, FaultPlan
from airflow_provider_opencx.simulator.journal import Journal, Record
from airflow_provider_opencx.simulator.json_values import Json, JsonObject
from airflow_provider_opencx.simulator.provisioning import Provisioning
from airflow_provider_opencx.simulator.rate_limit import RateLimit
from airflow_provider_opencx.simulator.store import Agent, Store


class Service:
    """An OpenCX without a network.

    :param api_keys: the keys that are admitted; each is of an organization of its own
    :param provision_after: when a new agent gets its phone number: ``now``, ``5s``, ``500ms``, ``2m``,
        ``3reads`` (three reads of the list do not show it, the fourth does) or ``never``
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
        requests_per_minute: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if isinstance(api_keys, str) or not api_keys or not all(api_keys):
            raise ValueError("api_keys are one or more keys, none of them empty.")
        if page_size < 1:
            raise ValueError(f"A page holds one agent or more, not {page_size}.")
        if requests_per_minute is not None and requests_per_minute < 1:
            raise ValueError(f"requests_per_minute is 1 or more, not {requests_per_minute}; None is without limit.")
        self.page_size = page_size
        self.clock = clock
        self.store = Store(clock, Provisioning.parse(provision_after))
        self.fault_plan = FaultPlan()
        self.journal = Journal()
        self.rate_limit = RateLimit(requests_per_minute, clock)
        self.bugs: list[str] = []
        """What the simulator itself got wrong: there should be none, and a test in which there are fails."""
        self._organizations = {key: f"org_{number:06d}" for number, key in enumerate(api_keys, start=1)}
        self._provision_after = provision_after
        self._contract = load_contract(generation)

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
        """When agents get their phone numbers; set, it holds for those that wait already, too."""
        return self._provision_after

    @provision_after.setter
    def provision_after(self, provision_after: str) -> None:
        self.store.provisioning = Provisioning.parse(provision_after)
        self._provision_after = provision_after

    def organization_of(self, api_key: str) -> str | None:
        """Return the id of the organization that a key is of, or None for a key that nobody has."""
        return self._organizations.get(api_key)

    def agents(self, api_key: str | None = None) -> list[JsonObject]:
        """Return the agents of an organization (the first, if no key is given) as they are answered just now."""
        return [self._contract.agent_members(agent) for agent in self.store.agents(self._organization(api_key))]

    def add_agent(self, name: str, *, api_key: str | None = None, **members: Json) -> JsonObject:
        """Add an agent behind the client's back.

        ``phone_number`` may be given with the other members; None is an agent that gets one by ``give_number``
        alone. Left out, the agent waits for its number as any other does.
        """
        return self._shown(self.store.create(self._organization(api_key), {"name": name, **members}))

    def change_agent(self, agent_id: str, **members: Json) -> JsonObject:
        """Change an agent behind the client's back."""
        return self._shown(self.store.change(agent_id, members))

    def remove_agent(self, agent_id: str) -> None:
        """Take an agent away, as somebody with the dashboard might."""
        self.store.remove(agent_id)

    def give_number(self, agent_id: str, number: str | None = None) -> JsonObject:
        """Give an agent its phone number now: this one, or a new one."""
        return self._shown(self.store.give_number(agent_id, number))

    def fail(self, operation: str, fault: Fault, times: int | None = 1) -> None:
        """Let the next requests for an operation (its ``operationId``) meet a fault.

        Faults of one operation happen one after the other, in the order in which they were asked for. Where
        ``times`` is None the fault stays until ``heal()``.
        """
        if operation not in OPERATIONS:
            raise ValueError(f"There is no operation {operation!r}, only {', '.join(OPERATIONS)}.")
        self.fault_plan.order(operation, fault, times)

    def heal(self) -> None:
        """Let everything work again."""
        self.fault_plan.heal()

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

    def forget_requests(self) -> None:
        """Count from here."""
        self.journal.forget()

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
