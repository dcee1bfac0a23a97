"""Lets tests read and add contacts without a request."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_provider_opencx.simulator.json_values import Json, JsonObject
from airflow_provider_opencx.simulator.resources.contacts.store import Contacts
from airflow_provider_opencx.simulator.service import Service


class ContactControls(Service):
    """A service whose contacts can be read and added without a request."""

    def contacts(self, api_key: str | None = None) -> list[JsonObject]:
        """Return the contacts of an organization.

        :param api_key: the organization's key; None is the first one
        """
        self.clock.catch_up()
        return [contact.all_fields() for contact in self.state(Contacts).of(self._organization(api_key))]

    def add_contact(
        self,
        phone_number: str | None = None,
        *,
        name: str | None = None,
        email: str | None = None,
        custom_data: Mapping[str, Json] | None = None,
        api_key: str | None = None,
    ) -> JsonObject:
        """Add a contact, and return it. Nothing keeps several from having the same number.

        :param api_key: the organization's key; None is the first one
        """
        self.clock.catch_up()
        data = None if custom_data is None else dict(custom_data)
        given: JsonObject = {"phone": phone_number, "name": name, "email": email, "custom_data": data}
        return self.state(Contacts).create(self._organization(api_key), given).all_fields()
