"""Interprets one response: what it says about the operation, about the key, and who responded. Pure."""

from __future__ import annotations

import re
from enum import StrEnum

from airflow_provider_opencx.client.errors import is_from_service, message_of
from airflow_provider_opencx.client.operation import Response
from airflow_provider_opencx.doctor.readings import FailureKind, Reading
from airflow_provider_opencx.exceptions import OpenCXResponseError

_MISSING_ROUTE = re.compile(r"Route\b.*\bnot found", re.IGNORECASE | re.DOTALL)
_PAGE = re.compile(rb"\s*(<!doctype|<html|<\?xml|<[a-z])", re.IGNORECASE)


class Outcome(StrEnum):
    """The meaning of one response."""

    ALLOWED = "exists, allowed"
    NO_OBJECT = "exists (no such object)"
    REFUSED = "exists (the request is refused)"
    FORBIDDEN = "forbidden to this key"
    REJECTED = "key rejected"
    MISSING = "missing"
    WRONG_METHOD = "no GET"
    NOT_IMPLEMENTED = "not implemented"
    LIMITED = "asked to wait"
    SERVER_ERROR = "server error"
    REDIRECT = "redirect"
    WEB_PAGE = "a web page"
    NO_JSON = "no JSON"
    FOREIGN = "not the service's own response"
    NO_RESPONSE = "no response"
    NOT_SENT = "not sent"


EXISTING = frozenset({Outcome.ALLOWED, Outcome.NO_OBJECT, Outcome.REFUSED})
"""The operation is there."""

ABSENT = frozenset({Outcome.MISSING, Outcome.WRONG_METHOD, Outcome.NOT_IMPLEMENTED})
"""The operation is not there."""

OWN = EXISTING | {Outcome.FORBIDDEN, Outcome.REJECTED, Outcome.MISSING}
"""The service itself says it, and not a proxy in front of it."""

_REFUSALS = {
    401: Outcome.REJECTED,
    403: Outcome.FORBIDDEN,
    405: Outcome.WRONG_METHOD,
    429: Outcome.LIMITED,
    501: Outcome.NOT_IMPLEMENTED,
}
_SAID_BY_ANYONE = frozenset({405, 429, 501})


def outcome_of(reading: Reading) -> Outcome:
    """Return what a reading says."""
    if reading.response is None:
        was_sent = reading.failure is not None and reading.failure.kind is not FailureKind.NOT_SENT
        return Outcome.NO_RESPONSE if was_sent else Outcome.NOT_SENT
    return _outcome_of_response(reading.response)


def _outcome_of_response(response: Response) -> Outcome:
    status = response.status_code
    if 300 <= status < 400:
        return Outcome.REDIRECT
    if _is_page(response):
        return Outcome.WEB_PAGE
    if response.is_success:
        return Outcome.ALLOWED if _is_json(response) else Outcome.NO_JSON
    if status in _SAID_BY_ANYONE or is_from_service(response):
        return _outcome_of_refusal(status, response)
    return Outcome.SERVER_ERROR if _is_server_error(status) else Outcome.FOREIGN


def _outcome_of_refusal(status: int, response: Response) -> Outcome:
    if status == 404:
        return Outcome.MISSING if _MISSING_ROUTE.match(message_of(response)) else Outcome.NO_OBJECT
    return _REFUSALS.get(status, Outcome.SERVER_ERROR if _is_server_error(status) else Outcome.REFUSED)


def _is_server_error(status: int) -> bool:
    return status >= 500 or status == 408


def _is_page(response: Response) -> bool:
    is_html = "html" in response.headers.get("content-type", "").lower()
    return is_html or bool(_PAGE.match(response.body[:200]))


def _is_json(response: Response) -> bool:
    try:
        response.decoded()
    except OpenCXResponseError:
        return False
    return True
