"""Faults of the content coding of a response: unusual, wrong, or a small body that expands to a large one."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from starlette.responses import Response

from airflow_provider_opencx.simulator.call import Call
from airflow_provider_opencx.simulator.faults.fault import AlteringFault, Fault, Handle, check_header

_Coding = Literal["gzip", "deflate"]

_CODINGS: Mapping[_Coding, Callable[[bytes], bytes]] = {
    "gzip": lambda content: gzip.compress(content, mtime=0),
    "deflate": zlib.compress,
}
_MEGABYTE = 2**20


@dataclass(frozen=True)
class CompressedResponse(AlteringFault):
    """Handle the request and compress the body of the response, no matter what the client accepts.

    A response without a body stays unchanged.

    :param coding: ``gzip`` or ``deflate`` (in the format of zlib, as HTTP defines it)
    :param times: how often, one on top of the other; 0 leaves the body unchanged
    :param header: the header Content-Encoding, right or wrong; None is the right one: ``gzip, gzip`` for two times
    """

    coding: _Coding = "gzip"
    times: int = 1
    header: str | None = None

    def __post_init__(self) -> None:
        if self.coding not in _CODINGS:
            raise ValueError(f"A coding is one of {', '.join(_CODINGS)}, not {self.coding!r}.")
        if self.times < 0:
            raise ValueError(f"A body is compressed 0 times or more often, not {self.times} times.")
        check_header("Content-Encoding", self.header or "")

    def alter_response(self, response: Response) -> Response:
        """Compress the body."""
        if not response.body:
            return response
        body = bytes(response.body)
        for _ in range(self.times):
            body = _CODINGS[self.coding](body)
        return _encoded(response, body, ", ".join([self.coding] * self.times) if self.header is None else self.header)


@dataclass(frozen=True)
class DecompressionBomb(Fault):
    """Handle the request and respond with a body of a few hundred bytes that becomes a very large one.

    It is the body of the response after blanks, which JSON allows: a client that decompresses them all reads the
    response. A response without a body gets only the blanks.

    :param megabytes: how many MB of blanks; the simulator never has them in memory
    :param layers: how many times the body is compressed by gzip, one on top of the other; with one it is as large as a
        thousandth of what it becomes
    """

    megabytes: int
    layers: int = 3

    def __post_init__(self) -> None:
        if self.megabytes < 1 or self.layers < 1:
            raise ValueError("A bomb has a megabyte or more, in one layer or more.")

    async def respond(self, call: Call, handle: Handle) -> Response:
        """Handle the request, and put the blanks before the body."""
        response = handle(call)
        body = await asyncio.to_thread(_gzip_after_blanks, self.megabytes, bytes(response.body))
        for _ in range(self.layers - 1):
            body = gzip.compress(body, mtime=0)
        return _encoded(response, body, ", ".join(["gzip"] * self.layers))


def _encoded(response: Response, body: bytes, coding: str) -> Response:
    headers = {**response.headers, "content-length": str(len(body))}
    return Response(body, response.status_code, headers | ({"content-encoding": coding} if coding else {}))


def _gzip_after_blanks(megabytes: int, content: bytes) -> bytes:
    """Return the gzip of some megabytes of blanks and the content, in which a compressed megabyte is repeated."""
    blanks, checksum = _megabytes_of_blanks(megabytes)
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    end = deflate.compress(content) + deflate.flush()
    size = megabytes * _MEGABYTE + len(content)
    header = gzip.compress(b"", mtime=0)[:10]
    trailer = zlib.crc32(content, checksum).to_bytes(4, "little") + (size % 2**32).to_bytes(4, "little")
    return header + blanks + end + trailer


@cache
def _megabytes_of_blanks(megabytes: int) -> tuple[bytes, int]:
    """Return some megabytes of blanks as the beginning of a deflate stream, and their checksum."""
    blanks = b" " * _MEGABYTE
    deflate = zlib.compressobj(level=9, wbits=-zlib.MAX_WBITS)
    compressed = deflate.compress(blanks) + deflate.flush(zlib.Z_FULL_FLUSH)
    checksum = 0
    for _ in range(megabytes):
        checksum = zlib.crc32(blanks, checksum)
    return compressed * megabytes, checksum
