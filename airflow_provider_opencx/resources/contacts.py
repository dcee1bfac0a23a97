"""Contacts: the people that the organization knows. The filter of a sequence selects among them.

To list them is on the vendor's pages, and so is to change one; to create one is on those of 2024. No page shows how to
read one contact, or to find one by its number. Note ``phone`` in a request, and ``phone_number`` in a response. Whether
a create merges with a contact of the same number is not known: it may leave two.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field, JsonValue

from airflow_provider_opencx.client.once import send_once
from airflow_provider_opencx.client.operation import Operation, Request
from airflow_provider_opencx.client.pagination import Listed, list_items
from airflow_provider_opencx.exceptions import OpenCXArgumentError, OpenCXUnknownOutcomeError
from airflow_provider_opencx.phone_numbers import e164
from airflow_provider_opencx.resources.models import LONGEST_ID, ResourceModel, unsendable
from airflow_provider_opencx.resources.odd_items import warn_of_odd_items
from airflow_provider_opencx.resources.times import query_of_times
from airflow_provider_opencx.visible_text import identifier

if TYPE_CHECKING:
    from airflow_provider_opencx.client.client import OpenCXClient

LIST_CONTACTS = Operation(
    id="listContacts",
    method="GET",
    path="/contacts",
    scope="contacts:read",
    noun="contact",
    summary="The contacts of the organization, page by page; by when they were created or changed.",
    repeatable=True,
)
CREATE_CONTACT = Operation(
    id="createContact",
    method="POST",
    path="/contacts",
    scope="contacts:write",
    noun="contact",
    summary="Creates a contact; the response is that of 2024.",
    repeatable=False,
)
UPDATE_CONTACT = Operation(
    id="updateContact",
    method="PATCH",
    path="/contacts/{contact_id}",
    scope="contacts:write",
    noun="contact",
    summary="Changes a contact.",
    repeatable=True,
)


class Contact(ResourceModel):
    """A contact as the service describes it; fields that it did not send are ``None``. Only ``id`` is required."""

    noun: ClassVar[str] = "a contact"

    id: Annotated[str, Field(min_length=1, max_length=LONGEST_ID)]
    email: str | None = None
    phone_number: str | None = None
    name: str | None = None
    custom_data: JsonValue = None
    created_at: JsonValue = None
    updated_at: JsonValue = None

    @property
    def label(self) -> str:
        """The contact in messages: its id."""
        return f"contact {identifier(self.id)}"


def contacts_request(
    *,
    created_after: datetime | None = None,
    created_before: datetime | None = None,
    updated_after: datetime | None = None,
    updated_before: datetime | None = None,
) -> Request:
    """Return the request for the first page of a list of contacts: ``GET /contacts``.

    :raises OpenCXArgumentError: if a time has no time zone.
    """
    times = {
        "created_after": created_after,
        "created_before": created_before,
        "updated_after": updated_after,
        "updated_before": updated_before,
    }
    return LIST_CONTACTS.request(query=query_of_times(times))


def list_contacts(
    client: OpenCXClient,
    *,
    created_after: datetime | None = None,
    created_before: datetime | None = None,
    updated_after: datetime | None = None,
    updated_before: datetime | None = None,
) -> Listed[Contact]:
    """List contacts, all pages: ``GET /contacts``. The times are confirmed; whether they are inclusive is not known.

    :raises OpenCXArgumentError: if a time has no time zone.
    """
    request = contacts_request(
        created_after=created_after,
        created_before=created_before,
        updated_after=updated_after,
        updated_before=updated_before,
    )
    contacts = list_items(client, request, Contact.from_response)
    warn_of_odd_items(LIST_CONTACTS, contacts, lambda contact: contact.label)
    return contacts


def create_contact(
    client: OpenCXClient,
    *,
    phone_number: str | None = None,
    email: str | None = None,
    name: str | None = None,
    custom_data: Mapping[str, JsonValue] | None = None,
) -> str:
    """Create a contact, once: ``POST /contacts``. Return its id.

    :param phone_number: its number, in E.164.
    :raises OpenCXUnknownOutcomeError: if it is not known whether the contact was created.
    :raises OpenCXArgumentError: if it has neither a number nor an e-mail address, or cannot be sent.
    """
    fields = _fields(phone_number, email, name, custom_data)
    if not {"phone", "email"} & fields.keys():
        raise OpenCXArgumentError("phone_number, email: give one of the two, by which the contact is known")
    handled = send_once(client, CREATE_CONTACT.request(body={"contact": fields}))
    created = handled.body.get("id") if isinstance(handled.body, dict) else None
    if not isinstance(created, str) or not 0 < len(created) <= LONGEST_ID:
        raise OpenCXUnknownOutcomeError("the service's response has no id of a new contact.", sent_at=handled.sent_at)
    return created


def update_contact(
    client: OpenCXClient,
    contact_id: str,
    *,
    phone_number: str | None = None,
    email: str | None = None,
    name: str | None = None,
    custom_data: Mapping[str, JsonValue] | None = None,
) -> None:
    """Change fields of a contact: ``PATCH /contacts/{id}``. What is left out stays.

    :raises OpenCXArgumentError: if nothing is given, or it cannot be sent.
    """
    fields = _fields(phone_number, email, name, custom_data)
    if not fields:
        raise OpenCXArgumentError("phone_number, email, name, custom_data: give one of them")
    client.send(UPDATE_CONTACT.request(path_parameters={"contact_id": contact_id}, body={"contact": fields}))


def _fields(
    phone_number: str | None, email: str | None, name: str | None, custom_data: Mapping[str, JsonValue] | None
) -> dict[str, JsonValue]:
    try:
        phone = None if phone_number is None else e164(phone_number)
    except ValueError as problem:
        raise OpenCXArgumentError(f"phone_number: {problem}") from None
    given = {
        "phone": phone,
        "email": email,
        "name": name,
        "custom_data": None if custom_data is None else dict(custom_data),
    }
    fields: dict[str, JsonValue] = {field: value for field, value in given.items() if value is not None}
    for field, value in fields.items():
        if reason := unsendable(value):
            raise OpenCXArgumentError(f"{field}: {reason}")
    return fields
