"""JSON responses, and errors in the API's form."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from starlette.responses import Response

from airflow_provider_opencx.simulator.json_values import Json, JsonObject, write_json


def json_response(body: Json, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response with a body of JSON."""
    return Response(write_json(body), status, headers, media_type="application/json")


def error_body(status: int, message: str) -> JsonObject:
    """Return the body of an error response."""
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Unknown Error"
    return {"statusCode": status, "message": message, "error": phrase}


def error_response(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return an error response."""
    return json_response(error_body(status, message), status, headers)


def route_not_found(method: str, path: str) -> Response:
    """Return what Fastify, the service's framework, responds to a path or method that the API does not have."""
    return error_response(404, f"Route {method}:{path} not found")
