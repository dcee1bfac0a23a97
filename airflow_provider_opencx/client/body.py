"""Reads the body of a response within a size limit, before and after decompression."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Protocol, cast

import httpx

from airflow_provider_opencx.client.transport import RequestContext
from airflow_provider_opencx.exceptions import OpenCXResponseError

MAX_BODY_BYTES = 32 * 1024 * 1024
"""The largest body that is read, in bytes after decompression."""

_BODY = "opencx_body"


def body_of(response: httpx.Response) -> bytes:
    """Return the body that was read, empty if none was."""
    body: bytes = response.extensions.get(_BODY, b"")
    return body


def read_body(response: httpx.Response) -> None:
    """Read the body of a response, once; :func:`body_of` returns it.

    :raises OpenCXResponseError: if it is too large, or compressed in another way than was asked for, or badly.
    """
    if _BODY in response.extensions:
        return
    try:
        with RequestContext.of(response.request).reading(response):
            response.extensions[_BODY] = _read(response)
    finally:
        response.close()


class _Decoder(Protocol):
    """Undoes the Content-Encoding of a body, piece by piece."""

    def decode(self, piece: bytes, most: int) -> bytes:
        """Return what a piece decompresses to; if that is more than ``most`` bytes, a part that is longer than that."""

    def end(self) -> None:
        """Raise an ``OpenCXResponseError`` if there should have been more pieces."""


def _read(response: httpx.Response) -> bytes:
    decoder = _decoder_of(response)
    body = bytearray()
    for piece in cast(Iterable[bytes], response.stream):
        body += decoder.decode(piece, MAX_BODY_BYTES - len(body))
        if len(body) > MAX_BODY_BYTES:
            raise OpenCXResponseError(f"the service's response is over {MAX_BODY_BYTES >> 20} MiB and was not read.")
    decoder.end()
    return bytes(body)


def _decoder_of(response: httpx.Response) -> _Decoder:
    """Return the decoder of a body; httpx's own would undo any number of codings, however much comes of it."""
    codings = [coding.strip().lower() for coding in response.headers.get("content-encoding", "").split(",")]
    match [coding for coding in codings if coding not in ("", "identity")]:
        case []:
            return _Identity()
        case ["gzip" | "x-gzip"]:
            return _Gzip()
    raise OpenCXResponseError("the service's response is compressed in another way than gzip, and was not read.")


class _Identity:
    def decode(self, piece: bytes, most: int) -> bytes:
        return piece

    def end(self) -> None:
        pass


class _Gzip:
    def __init__(self) -> None:
        self._gzip = zlib.decompressobj(zlib.MAX_WBITS | 16)
        self._is_empty = True

    def decode(self, piece: bytes, most: int) -> bytes:
        self._is_empty = False
        try:
            decoded = self._gzip.decompress(piece, most + 1)
        except zlib.error:
            raise _broken("it is not gzip") from None
        if self._gzip.unused_data:
            raise _broken("there is more after its end")
        return decoded

    def end(self) -> None:
        if not (self._gzip.eof or self._is_empty):
            raise _broken("its end is missing")


def _broken(reason: str) -> OpenCXResponseError:
    return OpenCXResponseError(f"the service's response cannot be decompressed: {reason}.")
