"""JSON responses, and errors in the API's form."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from starlette.responses import Response

from airflow_provider_opencx.simulator.json_values import Json, JsonObject, write_json

VALIDATION_FAILED = "FST_ERR_VALIDATION"
"""The code of Fastify, the service's framework, for a request that it refuses before the service sees it."""

EMPTY_JSON_BODY = "FST_ERR_CTP_EMPTY_JSON_BODY"
"""Its code for a request that announces JSON and has an empty body."""


def json_response(body: Json, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response with a body of JSON."""
    return Response(write_json(body), status, headers, media_type="application/json")


def error_body(status: int, message: str, code: str | None = None) -> JsonObject:
    """Return the body of an error response.

    :param code: the code of the framework; None if the error is not the framework's
    """
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Unknown Error"
    return {"statusCode": status, **({"code": code} if code else {}), "message": message, "error": phrase}


def error_response(
    status: int, message: str, headers: Mapping[str, str] | None = None, code: str | None = None
) -> Response:
    """Return an error response, see :func:`error_body`."""
    return json_response(error_body(status, message, code), status, headers)


def route_not_found(method: str, path: str) -> Response:
    """Return what Fastify, the service's framework, responds to a path or method that the API does not have."""
    return error_response(404, f"Route {method}:{path} not found")
