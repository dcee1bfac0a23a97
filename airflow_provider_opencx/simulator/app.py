"""The HTTP application: routes each request to its operation, writes the journal, and injects the faults."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from email.utils import format_datetime

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from airflow_provider_opencx.simulator.call import Call
from airflow_provider_opencx.simulator.contract import Contract, load_contract
from airflow_provider_opencx.simulator.delivery import DroppedConnection
from airflow_provider_opencx.simulator.generations import GENERATIONS
from airflow_provider_opencx.simulator.handler import Handlers
from airflow_provider_opencx.simulator.journal import Record, without_secrets
from airflow_provider_opencx.simulator.json_values import read_json
from airflow_provider_opencx.simulator.operations import Operations
from airflow_provider_opencx.simulator.responses import route_not_found
from airflow_provider_opencx.simulator.service import Service
from airflow_provider_opencx.simulator.timestamps import Calendar


def create_app(service: Service, handlers: Handlers, admin: ASGIApp) -> FastAPI:
    """Create the application of a simulated service.

    A request is routed by the document of the generation that the service speaks when the request arrives.

    :param handlers: the handler of each operation
    :param admin: the application that controls the service, under ``/_simulator/``
    """
    operations = Operations(service, handlers)
    apis = {generation: _create_api(service, operations, load_contract(generation)) for generation in GENERATIONS}

    async def current_api(scope: Scope, receive: Receive, send: Send) -> None:
        await apis[service.contract.generation](scope, receive, send)

    app = FastAPI(title="OpenCX simulator", openapi_url=None)
    app.mount("/_simulator", admin)
    app.mount("/", current_api)
    return app


def _create_api(service: Service, operations: Operations, contract: Contract) -> FastAPI:
    api = FastAPI(openapi_url=None, redirect_slashes=False)
    # As OpenAPI has it, /phone/voices takes precedence over /phone/{phone_agent_id}.
    for operation in sorted(contract.operations.values(), key=lambda operation: operation.path.count("{")):
        endpoint = _endpoint(service, operations, operation.id)
        api.add_api_route(operation.path, endpoint, methods=[operation.method], response_model=None)

    async def not_found(request: Request, error: Exception) -> Response:
        """Respond to an unknown path, and alike to an unknown method, for which Starlette's error is a 405."""
        record = service.journal.write(_record(service, request, None, b""))
        query = f"?{request.url.query}" if request.url.query else ""
        response = route_not_found(request.method, f"{request.url.path}{query}")
        record.status = response.status_code
        return response

    api.add_exception_handler(HTTPException, not_found)
    return api


def _endpoint(service: Service, handle: Operations, operation: str) -> Callable[[Request], Awaitable[Response]]:
    async def respond(request: Request) -> Response:
        body = await request.body()
        service.clock.catch_up()
        record = service.journal.write(_record(service, request, operation, body))
        call = Call(
            operation=operation,
            method=request.method,
            path=request.url.path,
            query=request.query_params,
            path_parameters=request.path_params,
            authorization=request.headers.get("authorization", ""),
            body=body,
            content_type=request.headers.get("content-type", ""),
            idle_seconds=_idle_seconds(request),
        )
        fault = service.fault_plan.take(call)
        record.fault = type(fault).__name__ if fault else None
        try:
            response = await fault.respond(call, handle) if fault else handle(call)
        except Exception as error:  # a bug in a fault of the test's own, which the test would not notice otherwise
            service.bugs.append(f"{record.fault}: {error!r}")
            raise
        record.status = None if isinstance(response, DroppedConnection) else response.status_code
        response.headers.setdefault("date", format_datetime(service.state(Calendar).now(), usegmt=True))
        return response

    return respond


def _idle_seconds(request: Request) -> float | None:
    idle_since: float | None = request.scope["state"].get("idle_since")
    return None if idle_since is None else time.monotonic() - idle_since


def _record(service: Service, request: Request, operation: str | None, body: bytes) -> Record:
    try:
        parsed = read_json(body)
    except ValueError:
        parsed = None
    return Record(
        operation=operation,
        method=request.method,
        path=request.url.path,
        query=dict(request.query_params),
        headers=without_secrets(request.headers),
        body=parsed,
        time=service.clock(),
    )
