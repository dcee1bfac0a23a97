"""Every operation of the API, written once for the sync and the async client.

An operation is a *flow*: a generator that yields what is to be done (a :class:`Request` to send, a
:class:`Pause` to make) and is sent the :class:`Response`. The clients only send; what is sent and what an answer
means is decided here, and longer procedures are built from these flows with ``yield from``.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Literal, NoReturn, TypeAlias, TypeVar
from urllib.parse import quote

from pydantic import JsonValue

from airflow_provider_opencx.exceptions import (
    OpenCXAPIError,
    OpenCXAuthenticationError,
    OpenCXError,
    OpenCXNotFoundError,
    OpenCXPermissionError,
    OpenCXRateLimitError,
    OpenCXRedirectError,
    OpenCXRequestRefusedError,
    OpenCXResponseError,
    OpenCXServerError,
)
from airflow_provider_opencx.resources.phone_agents import (
    UNSTORABLE,
    PhoneAgent,
    PhoneAgentChanges,
    PhoneAgentSpec,
    Voice,
    shortened,
)

MAX_PAGES = 1000
"""A list of more pages than this is taken for one that does not end."""

MAX_LIST_BYTES = 128 * 1024 * 1024
"""A list whose pages are larger than this together is taken for one that does not end, too."""

MAX_RETRY_AFTER = 60.0
"""A Retry-After of up to so many seconds is slept through; a longer one is raised, and frees the worker."""

_LONGEST_RETRY_AFTER = 86_400.0
_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")  # whole by the standard, and not so by every service
_MAX_QUOTED = 300
_LONGEST_CURSOR = 2000
_LONGEST_REQUEST_ID = 200
_UNSTORABLE_ESCAPE = re.compile(r"\\u(0000|[dD][89a-fA-F])")
_ARRAY_BEGINS = re.compile(r"[ \t\n\r]*\[[ \t\n\r]*")
_ARRAY_ENDS = re.compile(r"[ \t\n\r]*\][ \t\n\r]*\Z")
_COMMA = re.compile(r"[ \t\n\r]*,[ \t\n\r]*")
_KNOWN_ERRORS: dict[int, tuple[type[OpenCXAPIError], str]] = {
    401: (OpenCXAuthenticationError, "The API key was rejected: check the connection's password."),
    403: (OpenCXPermissionError, "The API key lacks the scope: phone:read to read, phone:write to write."),
    404: (OpenCXNotFoundError, "No such agent, or the connection's Base URL is not that of the API."),
    408: (OpenCXServerError, "The service could not answer in time; another try may succeed."),
    429: (OpenCXRateLimitError, "The organization has sent too many requests; another try later may succeed."),
}
_REQUEST_ID_HEADERS = ("x-request-id", "request-id", "cf-ray")


@dataclass(frozen=True)
class Request:
    """One HTTP request, without the parts every request has (base URL, key, timeouts).

    :param operation: the API's name of what it does.
    :param about: the agent it is about, for messages.
    """

    operation: Literal["listPhoneAgents", "listPhoneVoices", "createPhoneAgent", "updatePhoneAgent"]
    method: Literal["GET", "POST", "PATCH"]
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, JsonValue] | None = None
    about: str = ""

    def __str__(self) -> str:
        return f"{self.method} {self.path}{f' for {self.about}' if self.about else ''}"


_LIST_AGENTS = Request("listPhoneAgents", "GET", "/phone")


@dataclass(frozen=True)
class Pause:
    """A wait between two requests.

    :param seconds: how long.
    """

    seconds: float


@dataclass(frozen=True)
class Response:
    """One HTTP answer with its whole body.

    :param headers: found in lower case.
    :param over: what it came over, such as ``connection 'opencx_default'``, for messages.
    :param secret: what no message may quote from it: an error may repeat the request, the key in it.
    """

    status_code: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)
    over: str = ""
    secret: str = field(default="", repr=False)

    @property
    def successful(self) -> bool:
        """Any 2xx: which one differs by generation."""
        return 200 <= self.status_code < 300


_Result = TypeVar("_Result")
Flow: TypeAlias = Generator[Request | Pause, Response | None, _Result]
"""A flow that ends in a ``_Result``; an :class:`Response` is sent for a request, ``None`` for a pause."""


def list_phone_agents() -> Flow[list[PhoneAgent]]:
    """List all agents: ``GET /phone``, followed through every page where the service sends pages (2024).

    An agent that two pages show, because the list moved between them, is one agent.
    """
    agents = yield from _list(_LIST_AGENTS, PhoneAgent.from_response)
    return list({agent.id: agent for agent in agents}.values())


def list_phone_agents_as(read: Callable[[object], _Result]) -> Flow[list[_Result]]:
    """List all agents as :func:`list_phone_agents` does, each read in a way of one's own as soon as it is decoded.

    An agent that two pages show is returned twice.

    :param read: is given an agent as decoded JSON; raises ``OpenCXResponseError`` for what is none.
    """
    return (yield from _list(_LIST_AGENTS, read))


def list_voices() -> Flow[list[Voice]]:
    """List the voices that can be given as ``voice_id``: ``GET /phone/voices``."""
    return (yield from _list(Request("listPhoneVoices", "GET", "/phone/voices"), Voice.from_response))


def create_phone_agent(spec: PhoneAgentSpec) -> Flow[PhoneAgent | None]:
    """Create an agent, once and without looking: ``POST /phone``. Returns ``None`` if the answer has no body."""
    about = f"phone agent {shortened(spec.agent_name)!r}"
    body = spec.for_creation().body()
    return (yield from _write(Request("createPhoneAgent", "POST", "/phone", body=body, about=about)))


def update_phone_agent(agent_id: str, changes: PhoneAgentChanges) -> Flow[PhoneAgent | None]:
    """Change an agent: ``PATCH /phone/{id}``. Returns ``None`` if the answer has no body (2024, 2025)."""
    path = f"/phone/{quote(agent_id, safe='')}"
    return (yield from _write(Request("updatePhoneAgent", "PATCH", path, body=changes.body())))


def ping() -> Flow[None]:
    """Send one authenticated request that changes nothing: the first page of the list of agents."""
    answer = yield from _send(_LIST_AGENTS)
    with _naming(_LIST_AGENTS, answer):
        for item in _page(answer)[0]:
            PhoneAgent.from_response(item)


def exchange(request: Request, over: str) -> str:
    """Return how messages call the sending of a request: what, about which agent, over which connection."""
    return f"{request} over {over}" if over else str(request)


def retry_after(answer: Response) -> float | None:
    """Return the seconds that Retry-After asks for, given in seconds or as a date; ``None`` if it asks nothing.

    Nobody waits longer than a day on a header's word.
    """
    return retry_after_seconds(answer.headers.get("retry-after", ""))


def retry_after_seconds(header: str) -> float | None:
    """Return the seconds that the text of a Retry-After asks for, as :func:`retry_after` does."""
    value = header.strip()
    if _SECONDS.fullmatch(value):
        return min(float(value), _LONGEST_RETRY_AFTER)
    try:
        date = parsedate_to_datetime(value)
        seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return min(max(0.0, seconds), _LONGEST_RETRY_AFTER)


def asked_to_wait(error: OpenCXError | None) -> float | None:
    """Return the seconds that an error says to wait, if they are more than a client sleeps through itself."""
    seconds = getattr(error, "retry_after", None)
    return seconds if isinstance(seconds, int | float) and seconds > MAX_RETRY_AFTER else None


def _list(request: Request, read: Callable[[object], _Result]) -> Flow[list[_Result]]:
    items: list[_Result] = []
    seen: set[str] = set()
    received = 0
    for _ in range(MAX_PAGES):
        answer = yield from _send(request)
        with _naming(request, answer):
            received += len(answer.body)
            if received > MAX_LIST_BYTES:
                raise OpenCXResponseError(f"the service's list does not end: over {MAX_LIST_BYTES >> 20} MiB.")
            page, cursor = _page(answer)
            items += [read(item) for item in page]
            if cursor is None:
                return items
            if cursor in seen:
                raise OpenCXResponseError("the service's list does not end: it repeats a cursor.")
        seen.add(cursor)
        request = replace(request, query={"cursor": cursor})
    raise OpenCXResponseError(f"{request}: the service's list does not end: over {MAX_PAGES} pages.")


def _page(answer: Response) -> tuple[Iterable[object], str | None]:
    try:
        text = _text(answer.body)
    except ValueError:
        raise _no_json(answer) from None
    if begin := _ARRAY_BEGINS.match(text):
        return _elements(answer, text, begin.end()), None
    decoded = _json(answer)
    if isinstance(decoded, dict) and isinstance(decoded.get("items"), list):
        return decoded["items"], _cursor(decoded.get("next"))
    raise OpenCXResponseError("the service's answer is neither a list nor a page of one.")


def _cursor(value: object) -> str | None:
    if not value:
        return None
    cursor = str(value) if isinstance(value, str | int) else ""
    if not 0 < len(cursor) <= _LONGEST_CURSOR:
        raise OpenCXResponseError("the service's list cannot be followed: what it gives as its cursor is none.")
    return cursor


def _write(request: Request) -> Flow[PhoneAgent | None]:
    try:
        answer = yield from _send(request)
    except OpenCXRequestRefusedError as refused:
        older = _in_the_form_before_2026(request)
        if refused.status_code not in (400, 422) or older is None:
            raise
        answer = yield from _send_instead(older, refused)
    with _naming(request, answer):
        return PhoneAgent.from_response(_json(answer)) if answer.body.strip() else None


def _send_instead(older: Request, refused: OpenCXRequestRefusedError) -> Flow[Response]:
    answer = yield from _ask(older)
    if answer.successful:
        return answer
    error = _error(older, answer)
    if not isinstance(error, OpenCXRequestRefusedError):
        raise error
    # Which of the two refusals is about more than the form of the language is for the reader to see.
    raise refused.saying(
        f"{refused} With the language as a string, as before 2026: {answer.status_code} {_said(answer)!r}."
    ) from None


def _in_the_form_before_2026(request: Request) -> Request | None:
    """Return a write with its one language as a string, as it was before 2026; ``None`` if that is no other form.

    A refused write changed nothing, so it may be sent again in this form.
    """
    language = (request.body or {}).get("language")
    if not isinstance(language, list) or len(language) != 1:
        return None
    return replace(request, body={**(request.body or {}), "language": language[0]})


def _send(request: Request) -> Flow[Response]:
    answer = yield from _ask(request)
    if not answer.successful:
        raise _error(request, answer)
    return answer


def _ask(request: Request) -> Flow[Response]:
    answer = yield request
    if answer is None:
        raise TypeError(f"{request} was resumed without its answer")
    return answer


@contextmanager
def _naming(request: Request, answer: Response) -> Generator[None]:
    """Say of an answer that cannot be read to which request, and over which connection, it came."""
    try:
        yield
    except OpenCXResponseError as wrong:
        raise wrong.saying(f"{exchange(request, answer.over)}: {wrong}") from None


def _json(answer: Response) -> object:
    try:
        return _decode(answer.body)
    except ValueError:
        raise _no_json(answer) from None


def _no_json(answer: Response) -> OpenCXResponseError:
    return OpenCXResponseError(
        f"the service answered {answer.status_code} with a body that is not JSON (does a proxy answer in its place?).",
        status_code=answer.status_code,
        request_id=_request_id(answer),
    )


def _elements(answer: Response, text: str, position: int) -> Iterator[object]:
    """Decode the elements of an array one by one, from the first on.

    Decoding all at once is one call that no thread can interrupt: an event loop beside it would stand still.
    """
    end = _ARRAY_ENDS.match(text, position)
    unstorable = _UNSTORABLE_ESCAPE.search(text) is not None
    while end is None:
        try:
            decoded, position = _DECODER.raw_decode(text, position)
            element = _storable(decoded) if unstorable else decoded
        except (ValueError, RecursionError):
            raise _no_json(answer) from None
        yield element
        end = _ARRAY_ENDS.match(text, position)
        if end is None:
            comma = _COMMA.match(text, position)
            if comma is None:
                raise _no_json(answer)
            position = comma.end()


def _text(body: bytes) -> str:
    return body.decode("utf-8-sig")


def _decode(body: bytes) -> object:
    """Decode JSON into values that every part on their way to the next task can store.

    Python alone would take more, and hand it on to a database that does not: NaN, numbers beyond every bound, and
    halves of characters, which a service leaves behind where it cuts a text in the middle of an emoji.

    :raises ValueError: for what is no JSON.
    """
    text = _text(body)
    try:
        decoded = _DECODER.decode(text)
        return _storable(decoded) if _UNSTORABLE_ESCAPE.search(text) else decoded
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _refuse(number: str) -> NoReturn:
    raise ValueError(f"{number[:20]} is no number that JSON can hold")


def _finite(number: str) -> float:
    value = float(number)
    return value if math.isfinite(value) else _refuse(number)


def _whole(number: str) -> int | float:
    """Return a whole number; one of more than 64 bits as most languages read it, as a float."""
    value = int(number)
    return value if -(2**63) <= value < 2**64 else _finite(number)


_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite, parse_int=_whole)


def _storable(value: object) -> object:
    """Return a decoded value with the replacement character for each that cannot be stored."""
    if isinstance(value, str):
        return UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, list):
        return [_storable(part) for part in value]
    if isinstance(value, dict):
        return {_storable(name): _storable(part) for name, part in value.items()}
    return value


def _error(request: Request, answer: Response) -> OpenCXAPIError:
    error_class, advice = _kind_of_error(answer.status_code)
    said = _said(answer)
    wait = retry_after(answer)
    asked = "" if wait is None else f" The service asks to wait {wait:.0f} s."
    return error_class(
        f"{exchange(request, answer.over)}: {answer.status_code}{f' {said!r}' if said else ''}. {advice}{asked}",
        status_code=answer.status_code,
        request_id=_request_id(answer),
        retry_after=wait,
    )


def _kind_of_error(status: int) -> tuple[type[OpenCXAPIError], str]:
    if status in _KNOWN_ERRORS:
        return _KNOWN_ERRORS[status]
    if status >= 500:
        return OpenCXServerError, "The service could not answer now; another try may succeed."
    if status >= 400:
        return OpenCXRequestRefusedError, "The service refuses the request, and would refuse it again."
    return OpenCXRedirectError, "Redirects are not followed: set the connection's Base URL to the API itself."


def _said(answer: Response) -> str:
    """Return the message of an error body, shortened; nothing of a body that has none, such as a proxy's HTML."""
    try:
        decoded = _decode(answer.body)
    except ValueError:
        return ""
    message = decoded.get("message") or decoded.get("error") if isinstance(decoded, dict) else None
    if isinstance(message, list):
        message = "; ".join(str(part) for part in message[:_MAX_QUOTED])
    text = message if isinstance(message, str) else ""
    return shortened(_without_secret(answer, text), _MAX_QUOTED)


def _request_id(answer: Response) -> str | None:
    named = (answer.headers[name] for name in _REQUEST_ID_HEADERS if name in answer.headers)
    return next((_without_secret(answer, name)[:_LONGEST_REQUEST_ID] for name in named), None)


def _without_secret(answer: Response, text: str) -> str:
    return text.replace(answer.secret, "***") if answer.secret else text
