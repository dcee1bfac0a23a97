"""Lists, creates and changes contacts."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_provider_opencx.simulator.handler import AcceptedRequest, Handlers, HTTPError
from airflow_provider_opencx.simulator.json_values import Json, JsonObject
from airflow_provider_opencx.simulator.list_view import listed_by, page_by, shown_by
from airflow_provider_opencx.simulator.resources.contacts.store import Contact, Contacts, UnknownContactError
from airflow_provider_opencx.simulator.timestamps import read_time

_TIMES = ("created", "updated")


def list_contacts(request: AcceptedRequest) -> Json:
    """Return one page of the contacts that the query asks for, oldest first."""
    histories = request.service.state(Contacts).histories(request.organization)
    listed = [
        history
        for history in listed_by(request.views, histories, request.service.clock())
        if _fits(history.latest, request.query)
    ]
    page, following = page_by(
        request.views, listed, request.query.get("cursor"), request.service.page_size, lambda contact: contact.number
    )
    return {"items": [contact.all_fields() for contact in shown_by(request.views, page)], "next": following}


def create_contact(request: AcceptedRequest) -> Json:
    """Create a contact, and return its id."""
    return {"id": request.service.state(Contacts).create(request.organization, _given(request)).id}


def update_contact(request: AcceptedRequest) -> Json:
    """Change a contact."""
    contact_id = request.path_parameters["contact_id"]
    try:
        request.service.state(Contacts).change(contact_id, request.organization, _given(request))
    except UnknownContactError:
        raise HTTPError(404, f"There is no contact {contact_id}") from None
    return None


HANDLERS: Handlers = {
    "listContacts": list_contacts,
    "createContact": create_contact,
    "updateContact": update_contact,
}


def _given(request: AcceptedRequest) -> JsonObject:
    contact = request.body["contact"]
    return contact if isinstance(contact, dict) else {}


def _fits(contact: Contact, query: Mapping[str, str]) -> bool:
    """Return whether a contact is one that a query asks for. No contact is before or after what is not a time."""
    fields = contact.all_fields()
    for name in _TIMES:
        time = read_time(str(fields[f"{name}_at"]))
        after, before = (read_time(query[key]) if key in query else time for key in (f"{name}_after", f"{name}_before"))
        if time is None or after is None or before is None or not after <= time <= before:
            return False
    return True
