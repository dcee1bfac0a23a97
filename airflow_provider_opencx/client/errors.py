"""Turns error responses into this package's errors, with the scope and the noun of the operation in the message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from airflow_provider_opencx.client import decoding
from airflow_provider_opencx.client.operation import OTHER_REQUEST, Operation, Request, Response
from airflow_provider_opencx.client.retry_after import RetryAfter
from airflow_provider_opencx.exceptions import (
    OpenCXAPIError,
    OpenCXAuthenticationError,
    OpenCXNotFoundError,
    OpenCXPermissionError,
    OpenCXRateLimitError,
    OpenCXRedirectError,
    OpenCXRequestRefusedError,
    OpenCXServerError,
)
from airflow_provider_opencx.text import shortened

_MAX_QUOTED = 300


def error_of(request: Request, response: Response) -> OpenCXAPIError:
    """Return the error that an unsuccessful response stands for."""
    error_class, advice = _kind_of(request.operation, response.status_code)
    message = message_of(response)
    wait = RetryAfter.parse(response.headers.get("retry-after"))
    asked = "" if wait is None else f" The service asks to wait {wait.seconds:.0f} s."
    quoted = f" {message!r}" if message else ""
    return error_class(
        f"{response.label or request}: {response.status_code}{quoted}. {advice}{asked}",
        status_code=response.status_code,
        request_id=response.request_id,
        retry_after=None if wait is None else wait.seconds,
    )


def message_of(response: Response) -> str:
    """Return the message of an error body, shortened; an empty text for a body without one, such as a proxy's HTML."""
    try:
        decoded = decoding.decode(response.body)
    except ValueError:
        return ""
    message = decoded.get("message") or decoded.get("error") if isinstance(decoded, dict) else None
    if isinstance(message, list):
        message = "; ".join(str(part) for part in message[:_MAX_QUOTED])
    text = message if isinstance(message, str) else ""
    return shortened(response.without_secret(text), _MAX_QUOTED)


def _kind_of(operation: Operation, status: int) -> tuple[type[OpenCXAPIError], str]:
    """Return the class of error that a status stands for, and what to do about it."""
    error_class, advice = _KINDS.get(status) or next(kind for least, kind in _OTHER_KINDS.items() if status >= least)
    scope = f"the scope {operation.scope}" if operation.scope else "the scope that this request needs"
    if operation.id == OTHER_REQUEST:
        missing = "The service does not know this path, or there is no such object"
    elif "{" in operation.path:
        missing = f"There is no such {operation.noun}"
    else:
        missing = "The service does not know this path"
    return error_class, advice.format(scope=scope, missing=missing)


_Kind: TypeAlias = tuple[type[OpenCXAPIError], str]

_KINDS: Mapping[int, _Kind] = {
    401: (OpenCXAuthenticationError, "The API key was rejected: check the connection's password."),
    403: (OpenCXPermissionError, "The API key lacks {scope}."),
    404: (OpenCXNotFoundError, "{missing}, or the connection's Base URL is not that of the API."),
    408: (OpenCXServerError, "The service could not respond in time; another try may succeed."),
    429: (OpenCXRateLimitError, "The organization has sent too many requests; another try later may succeed."),
}

_OTHER_KINDS: Mapping[int, _Kind] = {
    500: (OpenCXServerError, "The service could not respond now; another try may succeed."),
    400: (OpenCXRequestRefusedError, "The service refuses the request, and would refuse it again."),
    0: (OpenCXRedirectError, "Redirects are not followed: set the connection's Base URL to the API itself."),
}
"""Each from this status up, in descending order; the order matters."""
