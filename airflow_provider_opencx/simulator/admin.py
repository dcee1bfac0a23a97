"""Controls a simulator that runs as a process, over HTTP, under ``/_simulator/``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, PositiveInt, TypeAdapter, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from airflow_provider_opencx.simulator.admin_forms import Form, error_message, read_form
from airflow_provider_opencx.simulator.clock import duration
from airflow_provider_opencx.simulator.faults import FAULTS, Fault
from airflow_provider_opencx.simulator.generations import Generation
from airflow_provider_opencx.simulator.handler import AdminHandler, AdminRoutes
from airflow_provider_opencx.simulator.json_values import Json, JsonObject, write_json
from airflow_provider_opencx.simulator.loopback import is_loopback
from airflow_provider_opencx.simulator.resources import find_resources
from airflow_provider_opencx.simulator.resources.phone_agents.controls import PhoneAgentControls
from airflow_provider_opencx.simulator.resources.phone_agents.progression import ProgressionText
from airflow_provider_opencx.simulator.responses import error_response, json_response
from airflow_provider_opencx.simulator.service import Service


class _EmptyForm(Form):
    """An empty object."""


class _FaultForm(Form):
    operation: str
    fault: JsonObject
    times: PositiveInt | None = 1
    probability: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: int | None = None


class _SettingsForm(Form):
    provision_after: ProgressionText | None = None
    generation: Generation | None = None
    page_size: PositiveInt | None = None
    requests_per_minute: PositiveInt | None = None


class _AdvanceForm(Form):
    advance: Annotated[float, BeforeValidator(duration)]


def create_admin(service: PhoneAgentControls, host: str, remote: bool) -> Starlette:
    """Create the application that controls a service: the routes below, and those of the resources.

    :param host: the address on which the simulator listens
    :param remote: whether other machines may use it
    """
    access = _Access(host, remote)
    routes = [*ROUTES, *(route for resource in find_resources() for route in getattr(resource, "ADMIN_ROUTES", ()))]
    return Starlette(
        routes=[Route(path, _endpoint(service, access, handler), methods=[method]) for method, path, handler in routes],
        exception_handlers={HTTPException: _error},
    )


async def reset(service: PhoneAgentControls, request: Request) -> Response:
    """Start over, and return the settings."""
    await read_form(request, _EmptyForm)
    service.reset()
    return await read_settings(service, request)


async def inject_fault(service: Service, request: Request) -> Response:
    """Plan a fault for upcoming requests."""
    form = await read_form(request, _FaultForm)
    try:
        fault = _fault(form.fault)
        service.fail(form.operation, fault, form.times, probability=form.probability, seed=form.seed)
    except ValueError as error:
        raise HTTPException(400, str(error)) from None
    return json_response({"operation": form.operation, "fault": repr(fault), "times": form.times}, 201)


async def heal(service: Service, request: Request) -> Response:
    """Remove all planned faults."""
    service.heal()
    return Response(status_code=204)


async def read_settings(service: PhoneAgentControls, request: Request) -> Response:
    """Return the settings."""
    return json_response({name: getattr(service, name) for name in _SettingsForm.model_fields})


async def change_settings(service: PhoneAgentControls, request: Request) -> Response:
    """Change all of the given settings, or none if one of them is not valid, and return the settings."""
    form = await read_form(request, _SettingsForm)
    for name in form.model_fields_set:
        if getattr(form, name) is None and name != "requests_per_minute":
            raise HTTPException(400, f"{name}: it cannot be null")
    for name in form.model_fields_set:
        setattr(service, name, getattr(form, name))
    return await read_settings(service, request)


async def read_clock(service: Service, request: Request) -> Response:
    """Return the time of the simulator's clock."""
    return json_response({"seconds": service.clock()})


async def advance_clock(service: Service, request: Request) -> Response:
    """Move the simulator's clock forward, and return its time."""
    form = await read_form(request, _AdvanceForm)
    service.advance(form.advance)
    return await read_clock(service, request)


async def read_journal(service: Service, request: Request) -> Response:
    """Return the requests so far, and how often each fault occurred."""
    records: list[Json] = [asdict(record) for record in service.requests]
    return json_response({"requests": records, "faults_met": dict(service.faults_met())})


async def forget_journal(service: Service, request: Request) -> Response:
    """Remove all requests from the journal."""
    service.forget_requests()
    return Response(status_code=204)


ROUTES: AdminRoutes[PhoneAgentControls] = [
    ("POST", "/reset", reset),
    ("POST", "/faults", inject_fault),
    ("DELETE", "/faults", heal),
    ("GET", "/settings", read_settings),
    ("PATCH", "/settings", change_settings),
    ("GET", "/clock", read_clock),
    ("POST", "/clock", advance_clock),
    ("GET", "/journal", read_journal),
    ("DELETE", "/journal", forget_journal),
]


@dataclass(frozen=True)
class _Access:
    """Restricts access to programs on this machine, and keeps out web pages in a browser on this machine.

    A page cannot send ``application/json`` to another origin without a preflight request, the browser sends the page's
    ``Origin``, and after DNS rebinding the ``Host`` is the page's.

    :param host: the address on which the simulator listens
    :param remote: whether other machines have access
    """

    host: str
    remote: bool

    def check(self, request: Request) -> None:
        """Raise an HTTPException if a request has no access."""
        if not self.remote:
            if request.client is None or not is_loopback(request.client.host):
                raise HTTPException(403, "Only this machine may control the simulator; see --allow-remote-admin")
            host = _host_name(request.headers.get("host", ""))
            if not (is_loopback(host) or host == self.host):
                raise HTTPException(403, "The header Host does not name this machine")
        if "origin" in request.headers:
            raise HTTPException(403, "A web page may not control the simulator")
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if request.method not in ("GET", "HEAD") and content_type != "application/json":
            raise HTTPException(415, f"{request.method} needs the header Content-Type: application/json")


def _endpoint(
    service: PhoneAgentControls, access: _Access, handler: AdminHandler[PhoneAgentControls]
) -> Callable[[Request], Awaitable[Response]]:
    async def respond(request: Request) -> Response:
        access.check(request)
        return await handler(service, request)

    return respond


def _fault(form: JsonObject) -> Fault:
    kind = form.get("type")
    if not isinstance(kind, str) or kind not in FAULTS:
        raise ValueError(f"fault.type: {kind!r} is not one of {', '.join(FAULTS)}")
    arguments = {name: value for name, value in form.items() if name != "type"}
    try:
        return TypeAdapter(FAULTS[kind]).validate_json(write_json(arguments), strict=True)
    except ValidationError as errors:
        raise ValueError(error_message(errors, "fault")) from None


def _host_name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


async def _error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    return error_response(error.status_code, error.detail, error.headers)
