"""Builds a response from its parts, so that a response that breaks something can be made simpler."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Literal, TypeAlias

from fuzz.secrecy import SPELLINGS
from fuzz.server import End, Step

KEY = b"@KEY@"
"""Stands in a response for the key of its request."""

MOST_SECONDS = 3.5
"""Seconds that the pauses of one response may last together."""


@dataclass(frozen=True)
class Times:
    """Bytes, many times over: its repr is short."""

    piece: bytes
    times: int


Text: TypeAlias = "bytes | Times"

Framing: TypeAlias = Literal["length", "chunked", "close", "none"]
"""How the client is told where the body ends: ``close`` says nothing and closes, ``none`` says nothing at all."""

Coding: TypeAlias = Literal["gzip", "deflate", "raw deflate"]


def written(texts: Sequence[Text]) -> bytes:
    """Return texts as bytes."""
    return b"".join(text if isinstance(text, bytes) else text.piece * text.times for text in texts)


@dataclass(frozen=True, repr=False)
class Reply:
    """One response.

    :param before: what comes before the status line, such as informational responses.
    :param status_line: without its line break.
    :param headers: beside those of the framing; each a line, without its line break.
    :param entity: the body before it is coded.
    :param blanks: megabytes of blanks after the entity.
    :param codings: the codings of the body, in the order in which they are done.
    :param after_coded: what follows the coded body within it.
    :param framing: how the client is told where the body ends.
    :param length_error: is added to the Content-Length.
    :param chunk: the size of a chunk.
    :param chunk_extension: after the size of each chunk.
    :param trailers: after the last chunk; each a line.
    :param after: what follows the response on its connection.
    :param cut: how many bytes are sent; ``None`` for all.
    :param piece: how many bytes are sent at once.
    :param pause: seconds between two pieces.
    :param key: how the key is spelled where the response repeats it; see ``SPELLINGS``.
    :param end: what becomes of the connection.
    """

    before: tuple[Text, ...] = ()
    status_line: bytes = b"HTTP/1.1 200 OK"
    headers: tuple[Text, ...] = ()
    entity: tuple[Text, ...] = (b"[]",)
    blanks: int = 0
    codings: tuple[Coding, ...] = ()
    after_coded: bytes = b""
    framing: Framing = "length"
    length_error: int = 0
    chunk: int = 1000
    chunk_extension: bytes = b""
    trailers: tuple[Text, ...] = ()
    after: tuple[Text, ...] = ()
    cut: int | None = None
    piece: int = 65536
    pause: float = 0.0
    key: str = "as it is"
    end: End = End.KEEP

    def __repr__(self) -> str:
        """Return what differs from a sound response."""
        changed = [field.name for field in fields(self) if getattr(self, field.name) != field.default]
        return f"Reply({', '.join(f'{name}={getattr(self, name)!r}' for name in changed)})"

    @property
    def status(self) -> int | None:
        """The status, ``None`` if the status line has none."""
        parts = self.status_line.split()
        return int(parts[1]) if len(parts) > 1 and parts[1].isdigit() and len(parts[1]) == 3 else None

    def raw(self) -> bytes:
        """Return the whole response, before it is cut."""
        return _raw(self)

    def _put_together(self) -> bytes:
        body = self._body()
        head = [self._with_key(self.status_line), *(self._with_key(written([header])) for header in self.headers)]
        if self.framing == "length":
            head.append(b"Content-Length: %d" % (len(body) + self.length_error))
        elif self.framing == "chunked":
            head.append(b"Transfer-Encoding: chunked")
            body = self._chunked(body)
        return (
            self._with_key(written(self.before))
            + b"\r\n".join([*head, b"", b""])
            + body
            + self._with_key(written(self.after))
        )

    def sent(self) -> bytes:
        """Return what is sent of the response."""
        return self.raw()[: self.cut]

    def steps(self) -> list[Step]:
        """Return what the server does."""
        sent = self.sent()
        if not self.pause:
            return [sent, self._end]
        steps: list[Step] = []
        pauses = int(MOST_SECONDS / self.pause)
        for start in range(0, min(len(sent), pauses * self.piece), self.piece):
            steps += [sent[start : start + self.piece], self.pause]
        return [*steps, sent[pauses * self.piece :], self._end]

    @property
    def _end(self) -> End:
        return End.CLOSE if self.end is End.KEEP and (self.cut is not None or self.framing == "close") else self.end

    def _body(self) -> bytes:
        entity = self._with_key(written(self.entity))
        return _coded(entity, self.blanks, self.codings) + self.after_coded

    def _chunked(self, body: bytes) -> bytes:
        chunks = [body[start : start + self.chunk] for start in range(0, len(body), self.chunk)]
        lines = [b"%x%s\r\n%s\r\n" % (len(chunk), self.chunk_extension, chunk) for chunk in chunks]
        return b"".join([*lines, b"0", self.chunk_extension, b"\r\n", *self._trailer_lines(), b"\r\n"])

    def _trailer_lines(self) -> list[bytes]:
        return [self._with_key(written([trailer])) + b"\r\n" for trailer in self.trailers]

    def _with_key(self, text: bytes) -> bytes:
        return text.replace(KEY, SPELLINGS[self.key].encode())


@lru_cache(maxsize=4)
def _raw(reply: Reply) -> bytes:
    return reply._put_together()


def _coded(entity: bytes, blanks: int, codings: tuple[Coding, ...]) -> bytes:
    body = entity + b" " * (blanks << 20)
    for coding in codings:
        if coding == "gzip":
            body = gzip.compress(body, 6, mtime=0)
        else:
            compress = zlib.compressobj(6, zlib.DEFLATED, zlib.MAX_WBITS if coding == "deflate" else -zlib.MAX_WBITS)
            body = compress.compress(body) + compress.flush()
    return body


@dataclass(frozen=True)
class Example:
    """What is tried once.

    :param action: what the provider does; see ``ACTIONS``.
    :param replies: the responses to its first requests; a sound service responds to the others.
    :param max_retries: the setting of the client.
    :param then: the request that follows over the same client, to a sound service: ``list`` or ``create``.
    """

    action: str
    replies: tuple[Reply, ...] = ()
    max_retries: int = 0
    then: Literal["list", "create"] = "list"
