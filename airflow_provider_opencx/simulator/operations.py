"""Handles requests without faults: authenticates, limits, validates, and calls the handler of the resource."""

from __future__ import annotations

import logging
from functools import partial

from starlette.responses import Response

from airflow_provider_opencx.simulator.call import Call, bearer_key
from airflow_provider_opencx.simulator.contract import Contract, Operation, load_contract
from airflow_provider_opencx.simulator.handler import AcceptedRequest, Handlers, HTTPError, ValidatedJson
from airflow_provider_opencx.simulator.json_values import Json, JsonObject, read_json, write_json
from airflow_provider_opencx.simulator.responses import error_body, error_response, route_not_found
from airflow_provider_opencx.simulator.service import Service

_logger = logging.getLogger(__name__)


class Operations:
    """Handles the requests of a service.

    :param handlers: the handler of each operation
    """

    def __init__(self, service: Service, handlers: Handlers) -> None:
        self._service = service
        self._handlers = handlers

    def __call__(self, call: Call, *, generation: str | None = None) -> Response:
        """Return the response to a request. A bug of the simulator is logged, added to ``bugs``, and returned as 500.

        :param generation: the generation of the response; None is the one that the service speaks
        """
        try:
            return self._respond(call, load_contract(generation) if generation else self._service.contract)
        except Exception as bug:
            _logger.exception("The simulator failed to handle %s", call.operation)
            self._service.bugs.append(f"{call.operation}: {bug!r}")
            return error_response(500, f"The simulator has a bug: {bug}")

    def later(self, call: Call, seconds: float) -> None:
        """Handle a request after some seconds of the clock; nobody gets the response."""
        self._service.clock.after(seconds, partial(self, call))

    def _respond(self, call: Call, contract: Contract) -> Response:
        if not (call.operation in contract.operations and call.operation in self._service.contract.operations):
            # A fault chose another generation, or the generation was switched before a late request is handled.
            return route_not_found(call.method, call.path)
        operation = contract.operations[call.operation]
        try:
            body = self._handlers[operation.id](self._accept(call, contract))
        except HTTPError as error:
            operation.check_response(error.status, error_body(error.status, error.message, error.code))
            return error_response(error.status, error.message, error.headers, error.code)
        text = _success_text(operation, body)
        return Response(text, operation.success, media_type="application/json" if text else None)

    def _accept(self, call: Call, contract: Contract) -> AcceptedRequest:
        api_key = bearer_key(call.authorization)
        organization = self._service.organization_of(api_key)
        if organization is None:
            raise HTTPError(401, "Unauthorized")
        if self._service.lacks_scope(api_key, contract.operations[call.operation].scopes):
            raise HTTPError(403, "The API key does not have the scope of this operation")
        if seconds := self._service.rate_limit.accept(organization):
            raise HTTPError(429, "Too many requests in this minute", {"Retry-After": str(seconds)})
        operation = contract.operations[call.operation]
        if errors := operation.query_errors(call.query):
            raise HTTPError(400, "; ".join(errors), code=contract.validation_code)
        return AcceptedRequest(
            service=self._service,
            organization=organization,
            contract=contract,
            operation=operation,
            query=call.query,
            path_parameters=call.path_parameters,
            body=_valid_body(self._service.contract, call),
            views=call.views,
        )


def _valid_body(contract: Contract, call: Call) -> JsonObject:
    # The framework reads no body of a GET, no matter what its headers announce.
    if contract.empty_json_code and call.method != "GET" and not call.body and _announces_json(call):
        raise HTTPError(
            400, "Body cannot be empty when content-type is set to 'application/json'", code=contract.empty_json_code
        )
    operation = contract.operations[call.operation]
    if operation.body is None:
        return {}
    try:
        body = read_json(call.body)
    except ValueError as error:
        raise HTTPError(400, f"The body is not JSON: {error}") from None
    errors = operation.body_errors(body)
    if errors or not isinstance(body, dict):
        raise HTTPError(400, "; ".join(errors), code=contract.validation_code)
    return body


def _announces_json(call: Call) -> bool:
    return call.content_type.partition(";")[0].strip().lower() == "application/json"


def _success_text(operation: Operation, body: Json | ValidatedJson) -> str:
    if operation.responses[operation.success] is None:
        return ""
    if isinstance(body, ValidatedJson):
        return body.text
    operation.check_response(operation.success, body)
    return write_json(body)
