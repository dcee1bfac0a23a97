"""The contacts of every organization, in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import count
from threading import RLock

from airflow_provider_opencx.simulator.json_values import Json, JsonObject
from airflow_provider_opencx.simulator.list_view import History
from airflow_provider_opencx.simulator.service import Service
from airflow_provider_opencx.simulator.timestamps import Calendar

_INPUT_NAMES: Mapping[str, str] = {
    "email": "email",
    "phone": "phone_number",
    "name": "name",
    "custom_data": "custom_data",
}
"""The fields that a request sets, each with its name in what is read."""

_EMPTY: Mapping[str, Json] = dict.fromkeys(_INPUT_NAMES.values())


class UnknownContactError(LookupError):
    """There is no such contact."""


@dataclass(frozen=True, eq=False)
class Contact:
    """A contact at one moment. It is immutable: a changed one is another object with the same id."""

    id: str
    org_id: str
    number: int
    fields: Mapping[str, Json]
    created_at: str
    updated_at: str

    @property
    def phone_number(self) -> str | None:
        """The number; None if there is none that could be called."""
        return str(self.fields["phone_number"]) if self.fields["phone_number"] else None

    def all_fields(self) -> JsonObject:
        """Return what the API shows."""
        return {"id": self.id, **self.fields, "created_at": self.created_at, "updated_at": self.updated_at}


class Contacts:
    """Keeps the contacts in the order of their creation. Several may have the same number, address and name.

    :param service: the service whose state it is
    """

    def __init__(self, service: Service) -> None:
        self._clock = service.clock
        self._calendar = service.state(Calendar)
        self._histories: dict[str, History[Contact]] = {}
        self._numbers = count(1)
        self._lock = RLock()

    def histories(self, organization: str) -> list[History[Contact]]:
        """Return what the contacts of an organization are and were."""
        with self._lock:
            return [history for history in self._histories.values() if history.latest.org_id == organization]

    def of(self, organization: str) -> list[Contact]:
        """Return the contacts of an organization."""
        return [history.latest for history in self.histories(organization)]

    def find(self, contact_id: str, organization: str) -> Contact:
        """Return a contact of an organization, or raise an UnknownContactError."""
        with self._lock:
            history = self._histories.get(contact_id)
            if history is None or history.latest.org_id != organization:
                raise UnknownContactError(contact_id)
            return history.latest

    def create(self, organization: str, given: Mapping[str, Json]) -> Contact:
        """Add a contact.

        :param given: its fields as a request names them
        """
        now = self._calendar.timestamp()
        with self._lock:
            number = next(self._numbers)
            contact = Contact(
                id=f"con_{number:06d}",
                org_id=organization,
                number=number,
                fields={**_EMPTY, **_known(given)},
                created_at=now,
                updated_at=now,
            )
            self._histories[contact.id] = History(((self._clock(), contact),))
        return contact

    def change(self, contact_id: str, organization: str, given: Mapping[str, Json]) -> Contact:
        """Change some fields of a contact.

        :param given: the fields as a request names them
        """
        with self._lock:
            contact = self.find(contact_id, organization)
            updated_at = self._calendar.timestamp(contact.updated_at)
            changed = replace(contact, fields={**contact.fields, **_known(given)}, updated_at=updated_at)
            self._histories[contact_id] = self._histories[contact_id].followed_by(self._clock(), changed)
            return changed


def _known(given: Mapping[str, Json]) -> JsonObject:
    """Return the fields that the service knows, by their names in what is read; it drops others silently."""
    return {_INPUT_NAMES[name]: value for name, value in given.items() if name in _INPUT_NAMES}
