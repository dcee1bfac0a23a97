"""The actions that agents can call. There are none until a test sets them for an organization."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import RLock
from uuid import uuid4

from jsonschema import Draft202012Validator
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from airflow_provider_opencx.simulator.admin_forms import Form, read_form
from airflow_provider_opencx.simulator.admin_keys import key_in
from airflow_provider_opencx.simulator.contract import validation_errors
from airflow_provider_opencx.simulator.handler import AcceptedRequest, AdminRoutes, Handlers
from airflow_provider_opencx.simulator.json_values import Json, JsonObject
from airflow_provider_opencx.simulator.responses import json_response
from airflow_provider_opencx.simulator.service import Service

_SCHEMA = "ActionDto"

_NEW: JsonObject = {
    "description": None,
    "api_endpoint": "https://example.com/action",
    "request_type": "POST",
    "operation_id": None,
    "status": "live",
    "pinned": False,
    "tags": [],
    "enabled_on_channel": {"channels": ["web"]},
}
"""The default fields of an action. A new one is enabled only on the web."""


class Actions:
    """Keeps the actions of each organization.

    :param service: the service whose state it is
    """

    def __init__(self, service: Service) -> None:
        self._of: dict[str, list[JsonObject]] = {}
        self._lock = RLock()

    def of(self, organization: str) -> list[JsonObject]:
        """Return the actions of an organization."""
        with self._lock:
            return list(self._of.get(organization, ()))

    def ids(self, organization: str) -> list[str]:
        """Return the ids of the actions of an organization: its agents can call no others."""
        return [str(action["id"]) for action in self.of(organization)]

    def set(self, organization: str, actions: list[JsonObject]) -> None:
        """Give an organization its actions."""
        with self._lock:
            self._of[organization] = actions


class ActionControls(Service):
    """A service whose actions can be set without a request."""

    def actions(self, api_key: str | None = None) -> list[JsonObject]:
        """Return the actions of an organization.

        :param api_key: the organization's key; None is the first one
        """
        return self.state(Actions).of(self._organization(api_key))

    def set_actions(self, actions: Sequence[Mapping[str, Json]], api_key: str | None = None) -> list[JsonObject]:
        """Give an organization its actions, instead of those that it has, and return them.

        A request cannot give its agents any other action. Agents that exist keep theirs.

        :param actions: actions in the form of the API; only ``name`` is required. One without an ``id`` gets a new one.
        :param api_key: the organization's key; None is the first one
        """
        organization = self._organization(api_key)
        validator = Draft202012Validator(self.newest_contract.schemas[_SCHEMA])
        checked: list[JsonObject] = []
        for number, action in enumerate(actions):
            checked.append({"id": str(uuid4()), **_NEW, **action})
            if errors := validation_errors(validator, checked[-1]):
                raise ValueError(f"actions.{number}: {'; '.join(errors)}")
        if len({str(action["id"]) for action in checked}) < len(checked):
            raise ValueError("actions: two of them have the same id")
        self.state(Actions).set(organization, checked)
        return checked


class _ActionsForm(Form):
    actions: list[JsonObject]


def list_actions(request: AcceptedRequest) -> Json:
    """Return the actions of the organization."""
    return list[Json](request.service.state(Actions).of(request.organization))


async def read_actions(service: ActionControls, request: Request) -> Response:
    """Return the actions of an organization."""
    return json_response({"actions": list[Json](service.actions(key_in(service, request)))})


async def set_actions(service: ActionControls, request: Request) -> Response:
    """Give an organization its actions, and return them."""
    api_key, form = key_in(service, request), await read_form(request, _ActionsForm)
    try:
        service.set_actions(form.actions, api_key)
    except ValueError as error:
        raise HTTPException(400, str(error)) from None
    return await read_actions(service, request)


HANDLERS: Handlers = {"listActions": list_actions}

ADMIN_ROUTES: AdminRoutes[ActionControls] = [("GET", "/actions", read_actions), ("PUT", "/actions", set_actions)]
