"""Reads a response without the provider's code: with the standard library's HTTP, and a decoder of its own."""

from __future__ import annotations

import http.client
import io
import json
import re
import zlib
from collections.abc import Mapping
from typing import Any, cast

# Limits that the provider's HTTP has otherwise.
http.client._MAXHEADERS = 10**6  # type: ignore[attr-defined]
http.client._MAXLINE = 10**8  # type: ignore[attr-defined]

_INFORMATION = re.compile(rb"(?:\r?\n)*HTTP/1\.[01] 1[0-9][0-9][^\r\n]*\r?\n(?:[^\r\n]+\r?\n)*\r?\n")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class UnreadableError(Exception):
    """The response holds nothing complete that can be read."""


class _Socket:
    def __init__(self, sent: bytes) -> None:
        self._sent = sent

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._sent)


def items_of(sent: bytes) -> tuple[list[object], object]:
    """Return the items that a response shows, and the cursor of the next page.

    :param sent: all bytes that were sent for one request.
    :raises UnreadableError: if it shows none, or not all of it arrived.
    """
    value = value_of(sent)
    if isinstance(value, dict) and isinstance(value.get("items"), list):
        return value["items"], value.get("next")
    return (value, None) if isinstance(value, list) else ([value], None)


def value_of(sent: bytes) -> object:
    """Return the JSON value of a successful response.

    :raises UnreadableError: if there is none, or not all of it arrived.
    """
    place = 0
    while information := _INFORMATION.match(sent, place):
        place = information.end()
    response = http.client.HTTPResponse(cast(Any, _Socket(sent[place:].lstrip(b"\r\n"))))
    try:
        response.begin()
        body = response.read()
        for coding in reversed(",".join(response.headers.get_all("Content-Encoding", [])).lower().split(",")):
            body = _decoded(body, coding.strip())
        if not 200 <= response.status < 300:
            raise UnreadableError(f"status {response.status}")
        return _storable(json.loads(body.decode("utf-8-sig")))
    except (http.client.HTTPException, OSError, ValueError, zlib.error, RecursionError, OverflowError) as error:
        raise UnreadableError(f"{type(error).__name__}: {str(error)[:100]}") from None


def _decoded(body: bytes, coding: str) -> bytes:
    if coding not in ("gzip", "deflate"):
        return body
    wbits = zlib.MAX_WBITS | 16 if coding == "gzip" else zlib.MAX_WBITS
    try:
        return _inflated(body, wbits)
    except zlib.error:
        if coding == "gzip":
            raise
        return _inflated(body, -zlib.MAX_WBITS)


def _inflated(body: bytes, wbits: int) -> bytes:
    # JSON that is complete needs no end of its compression.
    decompress = zlib.decompressobj(wbits)
    return decompress.decompress(body) + decompress.flush()


def _storable(value: object) -> object:
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_storable(part) for part in value]
    if isinstance(value, dict):
        return {_storable(name): _storable(part) for name, part in value.items()}
    return value


def is_shown(agent: Mapping[str, object], items: list[object]) -> bool:
    """Return whether one of these items is an agent, as far as it says who the agent is and which number it has."""
    return any(isinstance(item, dict) and _is_same(agent, item) for item in items)


def _is_same(agent: Mapping[str, object], item: Mapping[str, object]) -> bool:
    return str(agent.get("id")) == str(item.get("id")) and all(
        agent.get(field) == item[field] for field in ("name", "phone_number") if isinstance(item.get(field), str)
    )
