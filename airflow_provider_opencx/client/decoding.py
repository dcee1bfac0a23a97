"""Decodes JSON in limited time and memory into values that Airflow and databases can store."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import NoReturn

from pydantic import JsonValue

from airflow_provider_opencx.text import UNSTORABLE

MAX_VALUES = 750_000
"""Values that are decoded of one response, or of all pages of one list: some 18,000 agents have as many.

A value takes up to a hundred times the memory of its JSON, and one C function makes all of them.
"""

_LONGEST_NUMBER = 1000
"""Characters of a number; the time to convert one grows with their square."""

_AT_ONCE = 100_000
"""Characters that are looked through at once, so that other threads run in between."""

_UNSTORABLE_ESCAPE = re.compile(r"\\u(0000|[dD][89a-fA-F])")


class TooManyValuesError(ValueError):
    """The JSON holds more values than are decoded."""


def decode(body: bytes, most_values: int = MAX_VALUES) -> JsonValue:
    """Decode a JSON body.

    Python alone would take more, and hand it on to a database that does not: NaN, numbers beyond every bound, and
    halves of characters, which a service leaves behind where it cuts a text in the middle of an emoji.

    :param body: the body.
    :param most_values: how many values it may hold. Default :data:`MAX_VALUES`.
    :raises TooManyValuesError: if it holds more.
    :raises ValueError: if it is not JSON.
    """
    if has_more_values(body, most_values):
        raise TooManyValuesError(f"over {most_values:,} values")
    text = body.decode("utf-8-sig")
    try:
        decoded: JsonValue = _DECODER.decode(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return with_texts(decoded, _storable) if _UNSTORABLE_ESCAPE.search(text) else decoded


def has_more_values(body: bytes, most: int) -> bool:
    """Return whether a JSON body holds more values than a number, see :func:`number_of_values`."""
    # First count characters that may also be within texts: this is cheap, and enough for most bodies.
    return _marks(body) > most and number_of_values(body, most) > most


def number_of_values(body: bytes, most: int = MAX_VALUES) -> int:
    """Return how many values a JSON body holds, without decoding it: the commas and brackets outside of texts.

    :param most: counting ends when it has counted more.
    """
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    number = 0
    within_text = 0
    for start in range(0, len(body), _AT_ONCE):
        parts = body[start : start + _AT_ONCE].split(b'"')
        number += _marks(b"".join(parts[within_text::2]))
        if number > most:
            break
        within_text = (within_text + len(parts) - 1) % 2
    return number


def _marks(body: bytes) -> int:
    return body.count(b",") + body.count(b"[") + body.count(b"{")


def _refuse(number: str) -> NoReturn:
    raise ValueError(f"{number[:20]} is not a number that JSON can hold")


def _finite(number: str) -> float:
    value = math.inf if len(number) > _LONGEST_NUMBER else float(number)
    return value if math.isfinite(value) else _refuse(number)


def _whole(number: str) -> int | float:
    """Return a whole number; one of more than 64 bits as a float, as most languages read it."""
    value = int(number) if len(number) <= _LONGEST_NUMBER else 2**64
    return value if -(2**63) <= value < 2**64 else _finite(number)


def _mapping(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    # Other threads can run during a call of a Python function, but not within the decoding C functions.
    return dict(pairs)


_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite, parse_int=_whole, object_pairs_hook=_mapping)


def with_texts(value: JsonValue, change: Callable[[str], str]) -> JsonValue:
    """Return a decoded value with each text in it, names among them, changed.

    :raises ValueError: if it is nested too deeply: what C decodes may be too deep for Python to walk.
    """
    try:
        return _with_texts(value, change)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _with_texts(value: JsonValue, change: Callable[[str], str]) -> JsonValue:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_with_texts(part, change) for part in value]
    if isinstance(value, dict):
        return {change(name): _with_texts(part, change) for name, part in value.items()}
    return value


def _storable(text: str) -> str:
    """Return a text with the replacement character for each that cannot be stored."""
    parts = (text[start : start + _AT_ONCE] for start in range(0, len(text), _AT_ONCE))
    return "".join(UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", part) for part in parts)
