"""Controls contacts over HTTP, under ``/_simulator/contacts``."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from airflow_provider_opencx.simulator.admin_forms import Form, read_form
from airflow_provider_opencx.simulator.admin_keys import key_in
from airflow_provider_opencx.simulator.handler import AdminRoutes
from airflow_provider_opencx.simulator.json_values import Json, JsonObject
from airflow_provider_opencx.simulator.resources.contacts.controls import ContactControls
from airflow_provider_opencx.simulator.responses import json_response


class _ContactForm(Form):
    phone_number: str | None = None
    name: str | None = None
    email: str | None = None
    custom_data: JsonObject | None = None


class _ContactsForm(Form):
    contacts: list[_ContactForm]


async def read_contacts(service: ContactControls, request: Request) -> Response:
    """Return the contacts of an organization."""
    return json_response({"contacts": list[Json](service.contacts(key_in(service, request)))})


async def add_contacts(service: ContactControls, request: Request) -> Response:
    """Add contacts, and return them."""
    api_key, form = key_in(service, request), await read_form(request, _ContactsForm)
    added = [
        service.add_contact(
            each.phone_number, name=each.name, email=each.email, custom_data=each.custom_data, api_key=api_key
        )
        for each in form.contacts
    ]
    return json_response({"contacts": list[Json](added)}, 201)


ADMIN_ROUTES: AdminRoutes[ContactControls] = [("GET", "/contacts", read_contacts), ("POST", "/contacts", add_contacts)]
