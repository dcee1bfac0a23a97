"""Turns error responses into this package's errors, with the scope and noun of the operation in the message.

A refusal is a status that another try of the same request should meet again: 3xx, and 4xx except 408 and 429. Whether
it is believed depends on who says it: a proxy, or a gateway in front of the service, responds with the same statuses.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pydantic import JsonValue

from airflow_provider_opencx.client import decoding
from airflow_provider_opencx.client.operation import OTHER_REQUEST, Operation, Request, Response
from airflow_provider_opencx.client.retry_after import RetryAfter
from airflow_provider_opencx.exceptions import (
    OpenCXAPIError,
    OpenCXAuthenticationError,
    OpenCXAuthenticationPermanentError,
    OpenCXNoSuchOperationError,
    OpenCXNoSuchOperationPermanentError,
    OpenCXNotFoundError,
    OpenCXNotFoundPermanentError,
    OpenCXPermissionError,
    OpenCXPermissionPermanentError,
    OpenCXRateLimitError,
    OpenCXRedirectError,
    OpenCXRedirectPermanentError,
    OpenCXRequestRefusedError,
    OpenCXRequestRefusedPermanentError,
    OpenCXServerError,
)
from airflow_provider_opencx.visible_text import in_quotes

TRY_AGAIN = " Check the network and the Base URL; another try may succeed."
"""What to do if there is no response, unless the request must not be sent again."""

_MAX_QUOTED = 300

_LONGEST_ERROR = 1024 * 1024
"""Bytes of the body of an error response; what is longer is not the service's own, and not read."""

_MOST_VALUES = 10_000
"""Values in the body of an error response; the service's own has a handful."""


def error_of(request: Request, response: Response) -> OpenCXAPIError:
    """Return the error for an unsuccessful response.

    The refusal of a write is permanent where the service itself says it. That of a read is not, however it is said: one
    response may be wrong, and a read can be sent again.
    """
    error = _retryable_error_of(request, response)
    if not request.operation.is_read and is_refused_by_service(response):
        return permanent(error, "Another try would be refused as well.")
    return error


def checked(request: Request, response: Response) -> Response:
    """Return a successful response; raises the error for an unsuccessful one."""
    if not response.is_success:
        raise error_of(request, response)
    return response


def is_refused_by_service(response: Response) -> bool:
    """Return whether a response is a refusal, and the service's own."""
    return _kind_of(response).error_class in _PERMANENT and is_from_service(response)


def is_from_service(response: Response) -> bool:
    """Return whether an error response is the service's own: a JSON object whose ``statusCode`` is the status."""
    status_code = _error_body(response).get("statusCode")
    return type(status_code) is int and status_code == response.status_code


def is_missing_operation(response: Response) -> bool:
    """Return whether the service says that it has no such operation: ``Route GET:/sequences/1 not found``.

    The words are those of its framework (inferred), and are not said of an object that does not exist.
    """
    return response.status_code == 404 and is_from_service(response) and message_of(response).startswith(_NO_SUCH_ROUTE)


def _error_body(response: Response) -> dict[str, JsonValue]:
    """Return the body of an error response; an empty one where it is not a JSON object."""
    if len(response.body) > _LONGEST_ERROR:
        return {}
    try:
        decoded = decoding.decode(response.body, _MOST_VALUES)
    except ValueError:
        return {}
    return decoded if isinstance(decoded, dict) else {}


def permanent(error: OpenCXAPIError, reason: str) -> OpenCXAPIError:
    """Return the permanent form of a refusal.

    :param error: the refusal, as an error that is retried.
    :param reason: why it is not retried, in a sentence that is added to the message.
    """
    return _PERMANENT[type(error)](
        f"{error} {reason}",
        status_code=error.status_code,
        request_id=error.request_id,
        retry_after=error.retry_after,
    )


_PERMANENT: Mapping[type[OpenCXAPIError], type[OpenCXAPIError]] = {
    OpenCXAuthenticationError: OpenCXAuthenticationPermanentError,
    OpenCXPermissionError: OpenCXPermissionPermanentError,
    OpenCXNotFoundError: OpenCXNotFoundPermanentError,
    OpenCXNoSuchOperationError: OpenCXNoSuchOperationPermanentError,
    OpenCXRequestRefusedError: OpenCXRequestRefusedPermanentError,
    OpenCXRedirectError: OpenCXRedirectPermanentError,
}
"""The classes of the refusals, each with its permanent form."""


def _retryable_error_of(request: Request, response: Response) -> OpenCXAPIError:
    kind = _kind_of(response)
    is_foreign = kind.error_class in _PERMANENT and not is_from_service(response)
    advice = _for_operation(f"{_FOREIGN} {kind.advice_if_foreign}" if is_foreign else kind.advice, request.operation)
    message = message_of(response)
    wait = RetryAfter.parse(response.headers.get("retry-after"))
    asked = "" if wait is None else f" The service asks to wait {wait.seconds:.0f} s."
    quoted = f" {in_quotes(message, _MAX_QUOTED)}" if message else ""
    return kind.error_class(
        f"{response.label or request}: {response.status_code}{quoted}. {advice}{asked}",
        status_code=response.status_code,
        request_id=response.request_id,
        retry_after=None if wait is None else wait.seconds,
    )


def message_of(response: Response) -> str:
    """Return the message of an error body; an empty text for a body without one, such as a proxy's HTML."""
    body = _error_body(response)
    message = body.get("message") or body.get("error")
    if isinstance(message, list):
        message = "; ".join(str(part) for part in message[:_MAX_QUOTED])
    text = message if isinstance(message, str) else ""
    return response.without_secret(text)


def code_of(response: Response) -> str:
    """Return the code of an error body, in which the service's framework says what is wrong; empty without one."""
    code = _error_body(response).get("code")
    return code if isinstance(code, str) else ""


def _for_operation(advice: str, operation: Operation) -> str:
    """Return an advice with the scope and the noun of an operation."""
    scope = f"the scope {operation.scope}" if operation.scope else "the scope that this request needs"
    if operation.id == OTHER_REQUEST:
        missing = "The service does not know this path, or there is no such object"
    elif "{" in operation.path:
        missing = f"There is no such {operation.noun}"
    else:
        missing = "The service does not know this path"
    return advice.format(scope=scope, missing=missing)


class _Kind(NamedTuple):
    """The meaning of a status.

    :param error_class: the class of its error.
    :param advice: what it means, and what to do.
    :param advice_if_foreign: what to do about a refusal that is not the service's own.
    """

    error_class: type[OpenCXAPIError]
    advice: str
    advice_if_foreign: str = ""


def _kind_of(response: Response) -> _Kind:
    status = response.status_code
    if is_missing_operation(response):
        return _MISSING_OPERATION
    return _KINDS.get(status) or next(kind for least, kind in _OTHER_KINDS.items() if status >= least)


_FOREIGN = (
    "This is not the service's own response: it may be from a proxy or a gateway in front of it, and another try may"
    " succeed."
)

_NO_SUCH_ROUTE = "Route "

_MISSING_OPERATION = _Kind(
    OpenCXNoSuchOperationError,
    "The service of this organization has no such operation, or the connection's Base URL is not that of the API.",
)

_KINDS: Mapping[int, _Kind] = {
    401: _Kind(
        OpenCXAuthenticationError,
        "The API key was rejected: check it. In Airflow, it is the connection's password.",
        "Check the Base URL and the API key. In Airflow, the key is the connection's password.",
    ),
    403: _Kind(
        OpenCXPermissionError,
        "The API key lacks {scope}.",
        "Check the connection's Base URL, and that the API key has {scope}.",
    ),
    404: _Kind(
        OpenCXNotFoundError,
        "{missing}, or the connection's Base URL is not that of the API.",
        "Check the connection's Base URL.",
    ),
    408: _Kind(OpenCXServerError, "The service could not respond in time; another try may succeed."),
    429: _Kind(OpenCXRateLimitError, "The organization has sent too many requests; another try later may succeed."),
}

_REDIRECT_ADVICE = "Redirects are not followed: set the connection's Base URL to the API itself."

_OTHER_KINDS: Mapping[int, _Kind] = {
    500: _Kind(OpenCXServerError, "The service could not respond now; another try may succeed."),
    400: _Kind(
        OpenCXRequestRefusedError,
        "The service refuses the request.",
        "Check the connection's Base URL, and what a proxy on the way refuses.",
    ),
    0: _Kind(OpenCXRedirectError, _REDIRECT_ADVICE, _REDIRECT_ADVICE),
}
"""Each from this status up, in descending order; the order matters."""
