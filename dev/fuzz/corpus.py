"""The examples that once found a bug. Every run tries them first."""

from __future__ import annotations

from collections.abc import Mapping

from fuzz.replies import Coding, Example, Reply, Times
from fuzz.secrecy import SPELLINGS
from fuzz.strategies import BLANKS

_FOREIGN = b'[{"id": "foreign", "name": "foreign", "phone_number": "+14155550199"}]'
_CREATED = b'{"id": "foreign", "name": "own"}'


def _refused(key: str) -> Reply:
    message = b'{"statusCode": 401, "message": "Bearer @KEY@ is not valid"}'
    return Reply(status_line=b"HTTP/1.1 401 Unauthorized", entity=(message,), key=key)


def _bomb(*codings: Coding) -> Reply:
    return Reply(headers=(b"Content-Encoding: " + ", ".join(codings).encode(),), codings=codings, blanks=BLANKS)


def _agents(agent: bytes) -> Reply:
    return Reply(entity=(b"[" + agent + b"]",))


_NAMED = b'"id": "s0", "name": "a fz", "type": "outbound", "language": ["en"]'

CORPUS: Mapping[str, Example] = {
    "the response to a read is followed by another one": Example(
        "ping", (Reply(after=(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(_FOREIGN), _FOREIGN)),)
    ),
    "the response to a read is followed by that to a create": Example(
        "ping",
        (Reply(after=(b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n" % len(_CREATED), _CREATED)),),
        then="create",
    ),
    "a response is followed by garbage": Example("ping", (Reply(after=(b"garbage\r\n\r\n",)),)),
    "a response is longer than it says": Example("ping", (Reply(length_error=-1, entity=(b"[] ",)),)),
    "informational responses, slowly": Example(
        "ping", (Reply(before=(Times(b"HTTP/1.1 102 Processing\r\n\r\n", 100),), piece=27, pause=0.25),)
    ),
    "headers, slowly": Example("ping", (Reply(headers=(Times(b"A: b\r\n", 100),), piece=6, pause=0.25),)),
    "trailers, slowly": Example(
        "ping", (Reply(framing="chunked", trailers=(Times(b"A: b\r\n", 100),), piece=6, pause=0.25),)
    ),
    "a bomb": Example("list", (_bomb("gzip"),)),
    "a bomb in a bomb": Example("list", (_bomb("gzip", "gzip"),)),
    "a bomb in a refusal": Example("post", (Reply(**{**vars(_bomb("gzip")), "status_line": b"HTTP/1.1 400 Bad"}),)),
    "a request id in colours": Example(
        "list", (Reply(status_line=b"HTTP/1.1 500 Error", headers=(b"X-Request-Id: \x1b[31mred",)),)
    ),
    "the key in the field of an agent, which a message compares": Example(
        "upsert", (_agents(b"{" + _NAMED + b', "first_message": "Bearer @KEY@"}'),) * 4
    ),
    "the key in the field of an agent, which a plan shows": Example(
        "plan", (_agents(b"{" + _NAMED + b', "first_message": "Bearer @KEY@"}'),)
    ),
    "the key in the place of a number": Example("poll", (_agents(b"{" + _NAMED + b', "phone_number": "@KEY@"}'),)),
    "the key in a cursor": Example("list", (Reply(entity=(b'{"items": [], "next": "@KEY@"}',)),)),
    "the key after the status": Example("list", (Reply(status_line=b"HTTP/1.1 200 OK @KEY@"),)),
    **{
        name: example
        for key in SPELLINGS
        for name, example in {
            f"the key in an error, {key}": Example("list", (_refused(key),) * 3),
            f"the key in an error of a trigger, {key}": Example("trigger", (_refused(key),) * 3),
            f"the key in a request id, {key}": Example(
                "ping", (Reply(status_line=b"HTTP/1.1 500 Error", headers=(b"X-Request-Id: @KEY@",), key=key),)
            ),
            f"the key in the place of HTTP, {key}": Example("ping", (Reply(status_line=b"Bearer @KEY@", key=key),)),
        }.items()
    },
}
"""Each with what it found."""
