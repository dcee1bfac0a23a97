"""Tells Hypothesis which responses to draw: those that a service should send, nearly should, and never should."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

from hypothesis import strategies as st

from fuzz.actions import ACTIONS
from fuzz.replies import Coding, Example, Reply, Text, Times
from fuzz.secrecy import SPELLINGS
from fuzz.server import End

BLANKS = 100
"""Megabytes of blanks after a body: more than is read of one."""

_STATUS_LINES = [
    *(b"HTTP/1.1 %d Status" % status for status in (200, 200, 200, 200, 201, 204, 205, 206, 304, 301, 302, 307, 400)),
    *(b"HTTP/1.1 %d Status" % status for status in (401, 403, 404, 408, 409, 413, 418, 422, 429, 429, 431, 451, 499)),
    *(b"HTTP/1.1 %d Status" % status for status in (500, 501, 502, 503, 503, 504, 505, 507, 511, 520, 599, 600, 999)),
    *(b"HTTP/1.1 %d Status" % status for status in (100, 101, 102, 103, 199)),
    b"HTTP/1.0 200 OK",
    b"HTTP/1.1 200",
    b"HTTP/1.1 200 ",
    b"HTTP/1.1  200 OK",
    b"HTTP/1.1 200 \xff\xfe\x01",
    b"HTTP/1.1 200 OK Bearer @KEY@",
    b"HTTP/2 200",
    b"HTTP/1.2 200 OK",
    b"HTTP/9.9 200 OK",
    b"http/1.1 200 OK",
    b"HTTP/1.1 20 OK",
    b"HTTP/1.1 2000 OK",
    b"HTTP/1.1 -20 OK",
    b"HTTP/1.1 \xb2\xb0\xb0 OK",
    b"ICY 200 OK",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n",
    b"<html>HTTP/0.9",
    b"Authorization: Bearer @KEY@",
    b"GET /phone HTTP/1.1",
    b"\x16\x03\x01\x02\x00\x01\x00",
    b"",
]

_HEADERS: list[Text] = [
    b"Content-Type: application/json",
    b"Content-Type: text/html; charset=@KEY@",
    b"Content-Type: application/json; charset=utf-16",
    b"Connection: close",
    b"Connection: keep-alive",
    b"Connection: upgrade",
    b"Keep-Alive: timeout=0",
    b"Content-Length: 0",
    b"Content-Length: 2",
    b"Content-Length: 2, 2",
    b"Content-Length: -1",
    b"Content-Length: +5",
    b"Content-Length: 99999999999999999999999999",
    b"Content-Length: 0x10",
    b"Content-Length: @KEY@",
    b"Content-Length:",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: Chunked",
    b"Transfer-Encoding: chunked, chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: identity",
    b"Transfer-Encoding : chunked",
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding:\x0bchunked",
    b"Transfer-Encoding: @KEY@",
    *(b"Content-Encoding: " + coding for coding in (b"gzip", b"deflate", b"br", b"zstd", b"identity", b"compress")),
    b"Content-Encoding: GZIP",
    b"Content-Encoding: gzip, gzip",
    b"Content-Encoding: gzip, deflate, br, zstd",
    b"Content-Encoding: , ,",
    Times(b"Content-Encoding: gzip\r\n", 30),
    *(
        b"Retry-After: " + value
        for value in (
            *(b"0", b"1", b"30", b"61", b"86400", b"999999999999", b"-1", b"1.5", b"1e3", b"NaN", b"inf", b"", b"soon"),
            *(b"\xc2\xb2", b"Wed, 21 Oct 2015 07:28:00 GMT", b"Fri, 31 Dec 9999 23:59:59 GMT", b"@KEY@"),
            *(b"Fri, 31 Dec 9999 23:59:59 -2359", b"Mon, 01 Jan 0001 00:00:00 +2359", b"Thu, 01 Jan 1970 00:00:00"),
            b"Sun, 06 Nov 99999999999 08:49:37 GMT",
        )
    ),
    Times(b"Retry-After: 1\r\n", 50),
    b"Location: http://127.0.0.1:1/",
    b"Location: https://example.com/\r\n /folded",
    b"Location: //@KEY@/",
    b"Location: http://[",
    b"Set-Cookie: session=@KEY@; Path=/; Domain=.",
    b"Set-Cookie: a=b; Expires=Wed, 99 Foo 2026 99:99:99 GMT",
    b"X-Request-Id: 7f9c-Bearer @KEY@",
    b"X-Request-Id: \x1b[31mred\x1b[0m",
    b"X-Request-Id: one\x00two",
    b"X-Request-Id: \xe2\x80\xae\xe2\x80\xa8",
    b"X-Request-Id: a\tb",
    b"X-Request-Id: one\r\n two",
    b"CF-Ray: \xff\xfe\x80",
    Times(b"X-Request-Id: id\r\n", 60),
    b"WWW-Authenticate: Bearer realm=@KEY@",
    b"Authorization: Bearer @KEY@",
    b"\x00: nul",
    b"No colon at all",
    b" Folded: at the first line",
    b"\xff\xfe: not ASCII",
    b": no name",
    b"Na me: blank",
    b"@KEY@: name",
    b"X: \r\nY: bare line break\nZ: 1",
    b"Upgrade: websocket",
    b"Trailer: X-Request-Id",
]

_SIZES = st.sampled_from([1, 50, 5000, 70_000, 300_000])
_MANY_HEADERS = st.sampled_from(
    [(b"X: ", b"x"), (b"X-Request-Id: ", b"9"), (b"", b"A: b\r\n"), (b"Set-Cookie: ", b"a;")]
)

_BEFORE: list[tuple[Text, ...]] = [
    (b"HTTP/1.1 100 Continue\r\n\r\n",),
    (b"HTTP/1.1 103 Early Hints\r\nLink: </@KEY@>\r\n\r\n",),
    (Times(b"HTTP/1.1 102 Processing\r\n\r\n", 30),),
    (Times(b"HTTP/1.1 102 Processing\r\n\r\n", 20_000),),
    (b"HTTP/1.1 101 Switching Protocols\r\n\r\n",),
    (b"\r\n",),
    (b"\r\n\r\n\r\n",),
    (b"garbage\r\n",),
]

_FOREIGN = b'[{"id": "foreign", "name": "foreign", "phone_number": "+14155550199"}]'
_LEFTOVERS: list[tuple[Text, ...]] = [
    (b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(_FOREIGN), _FOREIGN),
    (b'HTTP/1.1 201 Created\r\nContent-Length: 33\r\n\r\n{"id": "foreign", "name": "a fz"}\n',),
    (b"HTTP/1.1 204 No Content\r\n\r\n",),
    (b"HTTP/1.1 100 Continue\r\n\r\n",),
    (b'HTTP/1.1 401 Unauthorized\r\nContent-Length: 18\r\n\r\n{"statusCode": 401}',),
    (b"HTTP/1.1 200 OK\r\nContent-Le",),
    (b"\r\n",),
    (b"0\r\n\r\n",),
    (b"garbage Bearer @KEY@\r\n\r\n",),
    (Times(b"x", 100_000),),
]

_ODD_TEXTS = [
    "",
    "a",
    " ",
    "+14155550100",
    "+1 415 555 0100",
    "pending",
    "+99999999999999999999",
    "null",
    "Bearer @KEY@",
    "line\nbreak\r\u2028",
    "\x1b[31mred",
    "\u202eright to left",
    "\ud800",
    "\x00",
    "x" * 5000,
    "x" * 290 + " @KEY@",
    "{{ conn.opencx_default.password }}",
    "%s%d{}",
]

_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, 1, -1, 2**63, 2**64, 10**30, 1.5, 1e308, -0.0]),
    st.sampled_from(_ODD_TEXTS),
    st.text(max_size=8),
)
_values = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "a", "items", ""]), inner, max_size=3)
    ),
    max_leaves=6,
)
_FIELDS = [
    "id",
    "name",
    "phone_number",
    "type",
    "language",
    "org_id",
    "actionIds",
    "action_ids",
    "instructions",
    "handoff_phone_number",
    "speed",
    "model",
    "voice_id",
    "first_message",
    "created_at",
    "updated_at",
    "additional_fields",
    "model_extra",
    "unknown",
    "@KEY@",
]


@st.composite
def _agents(draw: st.DrawFn) -> dict[str, object]:
    """Draw an agent as the service shows it, with some fields as it should not."""
    agent: dict[str, object] = {
        "id": draw(st.sampled_from(["1", "2", "3"])),
        "name": draw(st.sampled_from(["a fz", "b fz", "A FZ", " a fz", "a fz ", "other"])),
        "type": "outbound",
        "phone_number": draw(st.sampled_from([None, "", "+14155550100", "pending"])),
        "language": draw(st.sampled_from([["en"], "en", None])),
    }
    agent.update(draw(st.dictionaries(st.sampled_from(_FIELDS), _values, max_size=2)))
    for field in draw(st.lists(st.sampled_from(["id", "name", "phone_number"]), max_size=1)):
        del agent[field]
    return agent


@st.composite
def _errors(draw: st.DrawFn) -> object:
    """Draw an error object, the service's own or nearly."""
    texts = st.sampled_from(["Unauthorized", *_ODD_TEXTS])
    message = st.one_of(texts, st.lists(texts, max_size=3), st.dictionaries(texts, texts, max_size=2), _values)
    status = st.sampled_from([400, 401, 403, 404, 422, 429, 500, 200, "401", True, 401.0, None])
    return {"statusCode": draw(status), draw(st.sampled_from(["message", "error"])): draw(message)}


def _dumped(value: object) -> bytes:
    return json.dumps(value).encode()


_RAW: list[tuple[Text, ...]] = [
    (b"",),
    (b"[]",),
    (b"{}",),
    (b"null",),
    (b"[NaN]",),
    (b'{"items": [Infinity], "next": null}',),
    (b"[1e999]",),
    (Times(b"[", 100_000), Times(b"]", 100_000)),
    (Times(b'{"a":', 100_000), b"1", Times(b"}", 100_000)),
    (b'[{"id": "1", "a": ', Times(b"[", 500), Times(b"]", 500), b"}]"),
    (b'[{"id": "1", "a": ', Times(b"9", 5000), b"}]"),
    (b'[{"id": "1", "a": ', Times(b"9", 200_000), b".5}]"),
    (b'[{"id": "1", "id": "2", "name": "a fz", "name": "b fz"}]',),
    (b'\xef\xbb\xbf[{"id": "1", "name": "a fz"}]',),
    (b"\xff\xfe[\x00]\x00",),
    (b'[{"id": "\xff\xfe"}]',),
    (b'[{"id": "1", "name": "\\ud83d"}]',),
    (b'[{"id": "1"}] trailing',),
    (b'[{"id": "1"},]',),
    (b"<html><head><title>502</title></head>Bearer @KEY@</html>",),
    (b"[", Times(b'{"id": "1", "name": "a fz"},', 3000), b'{"id": "2"}]'),
    (b'{"statusCode": 400, "message": "', Times(b"y", 300_000), b'"}'),
    (b'{"message": [', Times(b'"z",', 100_000), b'"z"]}'),
    (b'{"', Times(b"k", 100_000), b'": 1}'),
    (b'[{"id": "1", "', Times(b"k", 100_000), b'": 1, "name": 1}]'),
    (Times(b" ", 300_000), b"[]"),
    (b'"Bearer @KEY@"',),
    (Times(b"\x00", 1000),),
]


@st.composite
def _entities(draw: st.DrawFn) -> tuple[Text, ...]:
    """Draw a body before it is coded."""
    lists = st.lists(_agents(), max_size=3)
    pages = st.fixed_dictionaries(
        {
            "items": lists | _values,
            "next": st.sampled_from([None, "", "2", "2", 3, "@KEY@", "c" * 3000, [], "\x00", "é/?&"]),
        }
    )
    kind = draw(st.sampled_from(["list", "list", "page", "agent", "error", "error", "value", "raw", "raw"]))
    if kind == "raw":
        return draw(st.sampled_from(_RAW))
    values: dict[str, st.SearchStrategy[object]] = {
        "list": lists,
        "page": pages,
        "agent": _agents(),
        "error": _errors(),
        "value": _values,
    }
    entity = _dumped(draw(values[kind]))
    if draw(st.integers(0, 9)) == 9 and entity:
        entity = entity[: draw(st.integers(0, len(entity) - 1))]
    return (entity,)


Change = Callable[[st.DrawFn, Reply], Reply]


def _odd_status(draw: st.DrawFn, reply: Reply) -> Reply:
    return replace(reply, status_line=draw(st.sampled_from(_STATUS_LINES)))


def _odd_headers(draw: st.DrawFn, reply: Reply) -> Reply:
    headers = draw(st.lists(st.sampled_from(_HEADERS), min_size=1, max_size=3))
    return replace(reply, headers=(*reply.headers, *headers))


def _huge_headers(draw: st.DrawFn, reply: Reply) -> Reply:
    name, piece = draw(_MANY_HEADERS)
    lines = (Times(piece, draw(_SIZES)),) if not name else (name + piece * draw(_SIZES),)
    return replace(reply, headers=(*reply.headers, *lines))


def _coded(draw: st.DrawFn, reply: Reply) -> Reply:
    kinds: list[Coding] = ["gzip", "gzip", "deflate", "raw deflate"]
    codings = draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=3))
    named = b", ".join(coding.removeprefix("raw ").encode() for coding in codings)
    bomb = draw(st.sampled_from([0] * 19 + [BLANKS]))
    after = draw(st.sampled_from([b"", b"", b"", b"garbage", b"\x1f\x8b", b"\x00" * 100]))
    header = b"Content-Encoding: " + (named if draw(st.integers(0, 9)) else b"gzip")
    return replace(reply, codings=tuple(codings), headers=(*reply.headers, header), blanks=bomb, after_coded=after)


def _framed(draw: st.DrawFn, reply: Reply) -> Reply:
    return replace(
        reply,
        framing=draw(st.sampled_from(["chunked", "chunked", "close", "none", "length"])),
        length_error=draw(st.sampled_from([0, 0, -1, 1, 100])),
        chunk=draw(st.sampled_from([1, 7, 1000, 100_000])),
        chunk_extension=draw(st.sampled_from([b"", b";a=b", b";" + b"x" * 300, b" ", b"\x00", b";@KEY@", b"zz"])),
        trailers=tuple(draw(st.lists(st.sampled_from(_HEADERS), max_size=1))),
    )


def _preceded(draw: st.DrawFn, reply: Reply) -> Reply:
    return replace(reply, before=draw(st.sampled_from(_BEFORE)))


def _followed(draw: st.DrawFn, reply: Reply) -> Reply:
    return replace(reply, after=draw(st.sampled_from(_LEFTOVERS)))


def _cut(draw: st.DrawFn, reply: Reply) -> Reply:
    cut = draw(st.integers(0, 400)) if draw(st.booleans()) else draw(st.integers(0, max(0, len(reply.raw()) - 1)))
    return replace(reply, cut=cut, end=draw(st.sampled_from([End.CLOSE, End.RESET])))


def _slow(draw: st.DrawFn, reply: Reply) -> Reply:
    pause = draw(st.sampled_from([0.001, 0.001, 0.005, 0.02, 0.25]))
    return replace(reply, pause=pause, piece=draw(st.sampled_from([1, 3, 30, 400])))


def _ended(draw: st.DrawFn, reply: Reply) -> Reply:
    return replace(reply, end=draw(st.sampled_from([End.CLOSE, End.RESET, End.KEEP])))


_CHANGES: list[Change] = [
    _odd_status,
    _odd_status,
    _odd_status,
    _odd_headers,
    _odd_headers,
    _huge_headers,
    _coded,
    _coded,
    _framed,
    _framed,
    _preceded,
    _followed,
    _followed,
    _cut,
    _slow,
    _ended,
]


@st.composite
def replies(draw: st.DrawFn) -> Reply:
    """Draw one response: a sound frame with some entity, changed in up to three ways."""
    reply = Reply(entity=draw(_entities()), key=draw(st.sampled_from(list(SPELLINGS))))
    for change in draw(st.lists(st.sampled_from(_CHANGES), max_size=3)):
        reply = change(draw, reply)
    return reply


@st.composite
def examples(draw: st.DrawFn) -> Example:
    """Draw what is tried once."""
    return Example(
        action=draw(st.sampled_from(list(ACTIONS))),
        replies=tuple(draw(st.lists(replies(), min_size=1, max_size=4))),
        max_retries=draw(st.sampled_from([0, 0, 1])),
        then=draw(st.sampled_from(["list", "create"])),
    )
