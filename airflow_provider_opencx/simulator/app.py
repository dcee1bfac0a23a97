"""The HTTP application: routes each request to its operation, by way of the journal and the faults."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from airflow_provider_opencx.simulator.call import Call
from airflow_provider_opencx.simulator.delivery import DroppedConnection
from airflow_provider_opencx.simulator.journal import Record, without_secrets
from airflow_provider_opencx.simulator.json_values import read_json
from airflow_provider_opencx.simulator.operations import Operations, refuse
from airflow_provider_opencx.simulator.service import Service


def create_app(service: Service, admin: ASGIApp) -> FastAPI:
    """Make the application of a simulated service. Every generation has the same paths and methods.

    :param admin: the application that drives the service, under ``/_simulator/``
    """
    app = FastAPI(title="OpenCX simulator", openapi_url=None, redirect_slashes=False)
    methods_of_paths: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for operation in service.contract.operations.values():
        methods_of_paths[operation.path][operation.method] = operation.id
    # A path that is written out goes before one that stands for many, as OpenAPI has it.
    for path, operations in sorted(methods_of_paths.items(), key=lambda item: "{" in item[0]):
        app.add_api_route(path, _endpoint(service, operations), methods=list(operations), response_model=None)

    app.mount("/_simulator", admin)

    async def refuse_route(request: Request, problem: Exception) -> Response:
        if not isinstance(problem, HTTPException):
            raise problem
        record = service.journal.write(_record(service, request, None, b""))
        record.status = problem.status_code
        return refuse(problem.status_code, f"{request.method} {request.url.path}: {problem.detail}", problem.headers)

    app.add_exception_handler(HTTPException, refuse_route)
    return app


def _endpoint(service: Service, operations: dict[str, str]) -> Callable[[Request], Awaitable[Response]]:
    handle = Operations(service)

    async def answer(request: Request) -> Response:
        operation = operations[request.method]
        body = await request.body()
        service.clock.catch_up()
        record = service.journal.write(_record(service, request, operation, body))
        call = Call(
            operation=operation,
            query=request.query_params,
            path_parameters=request.path_params,
            authorization=request.headers.get("authorization", ""),
            body=body,
        )
        fault = service.fault_plan.take(operation)
        record.fault = type(fault).__name__ if fault else None
        try:
            response = await fault.respond(call, handle) if fault else handle(call)
        except Exception as mistake:  # in a fault of a test's own, which would otherwise never hear of it
            service.bugs.append(f"{record.fault}: {mistake!r}")
            raise
        record.status = None if isinstance(response, DroppedConnection) else response.status_code
        return response

    return answer


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
