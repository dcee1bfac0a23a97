"""JSON as it travels: its type, and a strict reader and writer."""

from __future__ import annotations

import json
import math
from typing import NoReturn, TypeAlias

from pydantic import JsonValue

Json: TypeAlias = JsonValue
JsonObject: TypeAlias = dict[str, Json]


def read_json(text: bytes | str) -> Json:
    """Parse JSON, refusing with a ValueError what Python would let pass: NaN, infinities and bottomless nesting."""
    try:
        value: Json = json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value


def write_json(value: Json) -> str:
    """Write a value as JSON in plain ASCII, so that every string that JSON can hold comes through."""
    return json.dumps(value, allow_nan=False)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits} is too large a number")
    return number
