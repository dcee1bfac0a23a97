"""JSON: its types, and a strict reader and writer."""

from __future__ import annotations

import json
import math
from typing import NoReturn, TypeAlias

from pydantic import JsonValue

Json: TypeAlias = JsonValue
JsonObject: TypeAlias = dict[str, Json]


def read_json(text: bytes | str) -> Json:
    """Parse JSON. Unlike ``json.loads`` it raises a ValueError for NaN, infinities and nesting that is too deep."""
    try:
        value: Json = json.loads(text, parse_constant=_reject_constant, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value


def write_json(value: Json) -> str:
    """Write a value as ASCII JSON: lone surrogates, which JSON strings may hold, cannot be encoded in UTF-8."""
    return json.dumps(value, allow_nan=False)


def _reject_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits} is too large a number")
    return number
