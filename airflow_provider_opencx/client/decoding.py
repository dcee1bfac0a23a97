"""Decodes JSON into values that every part on their way to the next task can store."""

from __future__ import annotations

import json
import math
import re
from typing import NoReturn

from pydantic import JsonValue

from airflow_provider_opencx.text import UNSTORABLE

_UNSTORABLE_ESCAPE = re.compile(r"\\u(0000|[dD][89a-fA-F])")


def decode(body: bytes) -> JsonValue:
    """Decode a JSON body.

    Python alone would take more, and hand it on to a database that does not: NaN, numbers beyond every bound, and
    halves of characters, which a service leaves behind where it cuts a text in the middle of an emoji.

    :raises ValueError: if it is not JSON.
    """
    text = body.decode("utf-8-sig")
    try:
        decoded: JsonValue = _DECODER.decode(text)
        return _storable(decoded) if _UNSTORABLE_ESCAPE.search(text) else decoded
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _refuse(number: str) -> NoReturn:
    raise ValueError(f"{number[:20]} is not a number that JSON can hold")


def _finite(number: str) -> float:
    value = float(number)
    return value if math.isfinite(value) else _refuse(number)


def _whole(number: str) -> int | float:
    """Return a whole number; one of more than 64 bits as a float, as most languages read it."""
    value = int(number)
    return value if -(2**63) <= value < 2**64 else _finite(number)


_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite, parse_int=_whole)


def _storable(value: JsonValue) -> JsonValue:
    """Return a decoded value with the replacement character for each that cannot be stored."""
    if isinstance(value, str):
        return UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, list):
        return [_storable(part) for part in value]
    if isinstance(value, dict):
        return {UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", name): _storable(part) for name, part in value.items()}
    return value
