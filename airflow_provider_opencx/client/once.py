"""Sends a request once, and says what its response proves. For requests that must not be repeated.

No source knows a key by which the service recognizes a request that it has handled already.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pydantic import JsonValue

from airflow_provider_opencx.client.errors import (
    TRY_AGAIN,
    code_of,
    error_of,
    is_from_service,
    is_missing_operation,
    message_of,
)
from airflow_provider_opencx.client.operation import Request, Response
from airflow_provider_opencx.exceptions import (
    OpenCXError,
    OpenCXResponseError,
    OpenCXUnknownOutcomeError,
    OpenCXUnreachableError,
)
from airflow_provider_opencx.visible_text import in_quotes

if TYPE_CHECKING:
    from airflow_provider_opencx.client.client import OpenCXClient

_MAX_QUOTED = 300

_BEFORE_HANDLING = ("FST_ERR_VALIDATION", "FST_ERR_CTP_")
"""The prefixes of the codes with which the service's framework refuses a request before the service handles it."""


@dataclass(frozen=True)
class Handled:
    """A request that the service has handled.

    :param sent_at: when it was sent, in ISO 8601.
    :param body: the decoded body of the response; ``None`` for an empty one.
    """

    sent_at: str
    body: JsonValue


def send_once(
    client: OpenCXClient,
    request: Request,
    *,
    before_sending: Callable[[], None] = lambda: None,
    has_body: bool = True,
) -> Handled:
    """Send a request once.

    :param request: one for an operation that is not repeatable.
    :param before_sending: called when the request is about to be sent, after the wait for the rate limit; an error that
        it raises keeps it from being sent.
    :param has_body: whether a successful response has a body; where it need not, an empty one is a success as well.
    :raises OpenCXUnknownOutcomeError: if it is not known whether the request was handled. The message is the reason.
    :raises OpenCXError: any other error says that it was not: the service refused it before it handled it, or never got
        it, or the connection does not allow calls.
    """
    sent_at = now()
    try:
        response = client.send_unchecked(request, before_sending)
    except OpenCXUnreachableError as error:
        if not error.request_sent:
            raise
        raise OpenCXUnknownOutcomeError(str(error).removesuffix(TRY_AGAIN), sent_at=sent_at) from None
    except OpenCXResponseError as error:
        raise OpenCXUnknownOutcomeError(str(error), sent_at=sent_at) from None
    said = f" {in_quotes(message_of(response), _MAX_QUOTED)}" if message_of(response) else ""
    if not response.is_success:
        if proves_not_handled(response):
            raise error_of(request, response)
        raise OpenCXUnknownOutcomeError(f"{response.label}: {response.status_code}{said}.", sent_at=sent_at)
    if not response.body and not has_body:
        return Handled(sent_at, None)
    try:
        body = response.json()
    except OpenCXError as error:
        raise OpenCXUnknownOutcomeError(str(error), sent_at=sent_at) from None
    if isinstance(body, dict) and body.get("success") is False:
        reason = f"{response.label}: {response.status_code}{said}, but the body reports a failure."
        raise OpenCXUnknownOutcomeError(reason, sent_at=sent_at)
    return Handled(sent_at, body)


def proves_not_handled(response: Response) -> bool:
    """Return whether an error response shows that the service did not begin to handle the request.

    These are a rejected key, a missing scope, too many requests, a path that the service does not have, and a body that
    its framework refuses (inferred from the framework, which has every mark of Fastify). Any other may be said of a
    request that was handled.
    """
    if response.status_code == 429:
        return True
    if not is_from_service(response):
        return False
    match response.status_code:
        case 401 | 403:
            return True
        case 404:
            return is_missing_operation(response)
        case 400:
            return code_of(response).startswith(_BEFORE_HANDLING)
    return False


def now() -> str:
    """Return the time in ISO 8601, in UTC."""
    return datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds")
