"""Faults that change the request before it is handled."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from airflow_provider_opencx.simulator.call import Call
from airflow_provider_opencx.simulator.faults.fault import AlteringFault
from airflow_provider_opencx.simulator.json_values import Json

_LONGEST_TEXT = 64

_TIDY: Mapping[str, Callable[[str], str]] = {
    "escape": html.escape,
    "collapse": lambda text: re.sub(r"\s+", " ", text),
    "trim": str.strip,
    "cut": lambda text: text[:_LONGEST_TEXT],
    "nfkc": lambda text: unicodedata.normalize("NFKC", text),
}


@dataclass(frozen=True, init=False)
class IgnoreFields(AlteringFault):
    """Handle the request without some fields of its body, and respond as if nothing were wrong.

    :param fields: the names of the ignored fields
    """

    fields: frozenset[str]

    def __init__(self, *fields: str) -> None:
        object.__setattr__(self, "fields", frozenset(fields))

    def alter_request(self, call: Call) -> Call:
        """Return the request without these fields."""
        return call.with_body(self._rest)

    def _rest(self, body: Json) -> Json:
        if not isinstance(body, dict):
            return body
        return {name: value for name, value in body.items() if name not in self.fields}


@dataclass(frozen=True)
class TidyText(AlteringFault):
    """Handle the request with every text in its body tidied, as some services store what they are sent.

    Codes, numbers and ids hold nothing that is tidied.

    :param way: ``escape`` (as in HTML), ``collapse`` (blanks in a row become one), ``trim``, ``cut`` (after 64
        characters) or ``nfkc`` (the normal form of Unicode in which a fullwidth letter is a plain one)
    """

    way: Literal["escape", "collapse", "trim", "cut", "nfkc"]

    def __post_init__(self) -> None:
        if self.way not in _TIDY:
            raise ValueError(f"Text is tidied in one of the ways {', '.join(_TIDY)}, not {self.way!r}.")

    def alter_request(self, call: Call) -> Call:
        """Return the request with its texts tidied."""
        return call.with_body(self.tidy)

    def tidy(self, value: Json) -> Json:
        """Return a value with its texts tidied."""
        match value:
            case str():
                return _TIDY[self.way](value)
            case list():
                return [self.tidy(item) for item in value]
            case dict():
                return {name: self.tidy(item) for name, item in value.items()}
            case _:
                return value
