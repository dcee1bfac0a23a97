"""Models of HTTP: an operation of the API, a request for it, and the response."""

from __future__ import annotations

import json as json_library
import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, cast, get_args
from urllib.parse import quote, unquote

from pydantic import JsonValue

from airflow_provider_opencx.client import decoding
from airflow_provider_opencx.exceptions import OpenCXArgumentError, OpenCXResponseError
from airflow_provider_opencx.secret import Secret
from airflow_provider_opencx.visible_text import visible

Method: TypeAlias = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]

Confidence: TypeAlias = Literal["confirmed", "inferred"]
"""How sure an operation is: on a page of the vendor's documentation, or inferred from other sources."""

_LONGEST_PATH = 200

OTHER_REQUEST = "request"
"""The id, and so the label of the metrics, of every request that is not for an operation of this package."""


@dataclass(frozen=True)
class Operation:
    """One operation of the API, declared once: messages, metrics, retries, tests and the documentation derive from it.

    :param id: the API's own name of the operation, its ``operationId``; the label ``operation`` of the metrics.
    :param method: the HTTP method.
    :param path: the path, with its parameters in braces: ``/phone/{phone_agent_id}``.
    :param scope: the scope that the API key needs, such as ``phone:read``.
    :param noun: what the operation is about, for messages, such as ``phone agent``.
    :param summary: what the operation does, in a sentence for the documentation.
    :param repeatable: whether it may be sent again where the first request may have been handled: true of reads, and of
        writes that come to the same when they are done twice. An operation that may start a call must not be.
    :param confidence: whether the operation is ``"confirmed"`` by a page of the vendor, or ``"inferred"``.
    :param places_calls: whether people may be called because of it. Such a request is sent only where the connection
        allows calls, and never sent again by the client, no matter how it ends.
    """

    id: str
    method: Method
    path: str
    scope: str
    noun: str
    summary: str
    repeatable: bool
    confidence: Confidence = "confirmed"
    places_calls: bool = False

    @property
    def is_read(self) -> bool:
        """Whether it changes nothing."""
        return self.method == "GET"

    def request(
        self,
        *,
        path_parameters: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        body: JsonValue = None,
        about: str = "",
    ) -> Request:
        """Return a request for this operation.

        :param path_parameters: the values of the parameters in the path.
        :param query: the parameters of the query.
        :param body: the JSON body; ``None`` sends none.
        :param about: which object it is about, for messages; a path that names the object says it already.
        :raises OpenCXArgumentError: if a parameter of the path is dots alone: no way of writing them keeps a client, or
            a proxy, from taking them for the folder above, and the key would travel to another path.
        """
        for name, value in (path_parameters or {}).items():
            if value in (".", ".."):
                raise OpenCXArgumentError(f"{name}: must not be dots alone, because it is a part of the path")
        values = {name: quote(value, safe="") for name, value in (path_parameters or {}).items()}
        return Request(self, self.path.format(**values), query or {}, body, about)

    def matches(self, method: str, path: str) -> bool:
        """Return whether a request of this method and path is one for this operation."""
        wanted, given = self.path.split("/"), path.split("/")
        return (
            method == self.method
            and len(wanted) == len(given)
            and all(part == other or part.startswith("{") for part, other in zip(wanted, given, strict=True))
        )


@dataclass(frozen=True)
class Request:
    """One request for an operation, without what every request has: base URL, key and timeouts.

    :param operation: the operation.
    :param path: its path, with the parameters filled in.
    :param query: the parameters of the query.
    :param body: the JSON body; ``None`` sends none.
    :param about: which object it is about, for messages.
    """

    operation: Operation
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: JsonValue = None
    about: str = ""

    def __str__(self) -> str:
        about = f" for {self.about}" if self.about else ""
        return f"{self.operation.method} {visible(self.path, _LONGEST_PATH)}{about}"

    def over(self, connection: str) -> str:
        """Describe the request for messages: method, path, object and connection."""
        return f"{self} over {connection}" if connection else str(self)


@dataclass(frozen=True)
class Response:
    """One HTTP response with its whole body.

    :param status_code: the HTTP status.
    :param headers: the headers, by their names in lower case.
    :param body: the body, decompressed.
    :param label: the request for messages, such as ``GET /phone over connection 'opencx_default'``.
    :param secret: what no message may quote from the response: an error may repeat the request with the key in it.
    """

    status_code: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)
    label: str = ""
    secret: Secret | None = None

    @property
    def is_success(self) -> bool:
        """Whether the status is a 2xx; which one differs by generation of the API."""
        return 200 <= self.status_code < 300

    def json(self) -> JsonValue:
        """Return the decoded body.

        :raises OpenCXResponseError: if the body is not JSON.
        """
        with self.named():
            return self.decoded()

    @contextmanager
    def named(self) -> Generator[None]:
        """Name the request and the connection in the error of a response that cannot be read."""
        try:
            yield
        except OpenCXResponseError as error:
            raise error.with_message(f"{self.label}: {error}") from None

    def decoded(self) -> JsonValue:
        """Return the decoded body, as :meth:`json` does; the error does not name the request."""
        try:
            decoded = decoding.decode(self.body)
            if self.secret is not None and self._spells(self.secret):
                return decoding.with_texts(decoded, self.secret.masking())
            return decoded
        except decoding.TooManyValuesError as error:
            raise self._not_read(f"a body of {error}, which was not read") from None
        except ValueError:
            raise self._not_read("a body that is not JSON (is it from a proxy?)") from None

    def _spells(self, secret: Secret) -> bool:
        """Return whether the body holds the key, spelled with escapes that its characters do not need."""
        if not _ESCAPED_ASCII.search(self.body):
            return False
        plain = _ESCAPED_ASCII.sub(lambda escape: bytes.fromhex(escape[1].decode()), self.body)
        return secret.masked_body(plain) != plain

    def _not_read(self, body: str) -> OpenCXResponseError:
        return OpenCXResponseError(
            f"the service returned {self.status_code} with {body}.",
            status_code=self.status_code,
            request_id=self.request_id,
        )

    @property
    def request_id(self) -> str | None:
        """The request id from the headers, for OpenCX support; ``None`` if there is none."""
        named = (self.headers[name] for name in _REQUEST_ID_HEADERS if name in self.headers)
        return next((visible(self.without_secret(name), _LONGEST_REQUEST_ID) for name in named), None)

    def without_secret(self, text: str) -> str:
        """Return a text of this response with the key masked."""
        return self.secret.masked(text) if self.secret else text


_REQUEST_ID_HEADERS = ("x-request-id", "request-id", "cf-ray")
_LONGEST_REQUEST_ID = 200
_ESCAPED_ASCII = re.compile(rb"\\u00([2-7][0-9a-fA-F])")
"""The JSON of what needs no escape: a key that is spelled so was not seen when the response arrived."""


def other_request(method: str, path: str, params: Mapping[str, str] | None, json: JsonValue) -> Request:
    """Return a request that is not for an operation of this package.

    :param method: the HTTP method.
    :param path: the path below the connection's base URL, beginning with a slash.
    :param params: the parameters of the query.
    :param json: the JSON body; ``None`` sends none.
    :raises OpenCXArgumentError: if one of them cannot be sent unchanged.
    """
    if method not in get_args(Method):
        raise OpenCXArgumentError(f"method: must be one of {', '.join(get_args(Method))}, in capital letters")
    if not _is_below_base_url(path):
        raise OpenCXArgumentError(
            "path: must be a path below the connection's Base URL such as '/phone', without '..', '?' and '#'; give a"
            " query as params"
        )
    try:
        for text in (path, *(params or {}), *(params or {}).values()):
            text.encode()
        json_library.dumps(json, allow_nan=False, ensure_ascii=False).encode()
    except (AttributeError, TypeError, ValueError, RecursionError):
        raise OpenCXArgumentError("path, params or json: cannot be sent as text in UTF-8 and as JSON") from None
    operation = Operation(
        id=OTHER_REQUEST,
        method=cast(Method, method),
        path=path,
        scope="",
        noun="",
        summary="Any other request.",
        repeatable=method == "GET",
        places_calls=method != "GET",  # what it does is not known here
    )
    return Request(operation, path, params or {}, json)


def _is_below_base_url(path: object) -> bool:
    """Return whether a path leads nowhere else: the key must not travel to another host, or another application."""
    return (
        isinstance(path, str)
        and path.startswith("/")
        and not path.startswith("//")
        and not {"?", "#", "\\"} & {*path}
        and not {".", ".."} & {*unquote(path).split("/")}
    )
