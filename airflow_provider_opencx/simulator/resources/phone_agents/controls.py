"""Lets tests read and change phone agents without a request."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_opencx.simulator.contract import ContractError
from airflow_provider_opencx.simulator.json_values import Json, JsonObject
from airflow_provider_opencx.simulator.resources.phone_agents.progression import Progression
from airflow_provider_opencx.simulator.resources.phone_agents.serialization import agent_fields, agent_json
from airflow_provider_opencx.simulator.resources.phone_agents.store import Agent, Store
from airflow_provider_opencx.simulator.service import Service, Settings


class PhoneAgentControls(Service):
    """A service whose phone agents can be added, changed and removed without a request.

    :param provision_after: when agents get their phone numbers, as ``Progression.parse()`` reads it
    """

    def __init__(self, api_keys: Sequence[str], settings: Settings, *, provision_after: str) -> None:
        super().__init__(api_keys, settings)
        self._original_provision_after = provision_after
        self.provision_after = provision_after

    @property
    def provision_after(self) -> str:
        """When agents get their phone numbers; a new value also applies to agents that wait for theirs."""
        return self._provision_after

    @provision_after.setter
    def provision_after(self, provision_after: str) -> None:
        self.state(Store).progression = Progression.parse(provision_after)
        self._provision_after = provision_after

    def reset(self) -> None:
        """Start over, also with the original ``provision_after``."""
        # No request may create an agent in between, which would follow another progression.
        with self._lock:
            super().reset()
            self.provision_after = self._original_provision_after

    def agents(self, api_key: str | None = None) -> list[JsonObject]:
        """Return the agents of an organization, in the form of the current generation.

        :param api_key: the organization's key; None is the first one
        """
        self.clock.catch_up()
        return [agent_fields(agent, self.contract) for agent in self.state(Store).agents(self._organization(api_key))]

    def add_agent(
        self, name: str, *, api_key: str | None = None, progression: str | None = None, **fields: Json
    ) -> JsonObject:
        """Add an agent without a request.

        :param api_key: the organization's key; None is the first one
        :param progression: when this agent gets its phone number, instead of ``provision_after``
        :param fields: its other fields; with ``phone_number=None`` it gets a number only by ``give_number`` or
            ``progress``
        """
        self.clock.catch_up()
        parsed = None if progression is None else Progression.parse(progression)
        store = self.state(Store)
        agent = store.create(self._organization(api_key), {"name": name, **fields}, parsed)
        try:
            return self._valid_fields(agent)
        except ContractError:
            store.undo(agent.id)
            raise

    def change_agent(self, agent_id: str, **fields: Json) -> JsonObject:
        """Change fields of an agent without a request."""
        self.clock.catch_up()
        store = self.state(Store)
        agent = store.change(agent_id, fields)
        try:
            return self._valid_fields(agent)
        except ContractError:
            store.undo(agent_id)
            raise

    def remove_agent(self, agent_id: str) -> None:
        """Remove an agent, as somebody could do in the dashboard."""
        self.clock.catch_up()
        self.state(Store).remove(agent_id)

    def give_number(self, agent_id: str, number: str | None = None) -> JsonObject:
        """Give an agent a phone number now, and end its progression.

        :param number: None is the next free number
        """
        self.clock.catch_up()
        return self._valid_fields(self.state(Store).give_number(agent_id, number))

    def take_number(self, agent_id: str) -> JsonObject:
        """Take an agent's phone number away now, and end its progression."""
        self.clock.catch_up()
        return self._valid_fields(self.state(Store).take_number(agent_id))

    def progress(self, agent_id: str, progression: str) -> JsonObject:
        """Start a progression of an agent's own now.

        :param progression: written as for ``provision_after``
        """
        self.clock.catch_up()
        return self._valid_fields(self.state(Store).progress(agent_id, Progression.parse(progression)))

    def _valid_fields(self, agent: Agent) -> JsonObject:
        # Serialized to validate it: an agent that is not valid should fail here, not in a later response.
        agent_json(agent, self.contract)
        return agent_fields(agent, self.contract)
