"""Finds which fields and types the items of a list have: names, types and counts, never values. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue


def type_name(value: JsonValue) -> str:
    """Return what a value is called in a report."""
    if isinstance(value, list):
        if not value:
            return "empty list"
        return "list of texts" if all(isinstance(part, str) for part in value) else "list"
    return _NAMES[type(value)]


_NAMES: Mapping[type, str] = {
    type(None): "null",
    bool: "true or false",
    int: "whole number",
    float: "number",
    str: "text",
    dict: "object",
}


@dataclass(frozen=True)
class Shape:
    """The fields of some objects.

    :param total: how many objects there are.
    :param fields: each field, with how many objects have it in which type.
    """

    total: int
    fields: Mapping[str, Counter[str]]

    @classmethod
    def of(cls, objects: Sequence[Mapping[str, JsonValue]]) -> Shape:
        """Return the shape of some objects."""
        fields: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for each in objects:
            for name, value in each.items():
                fields[name][type_name(value)] += 1
        return cls(len(objects), fields)

    def missing(self, names: Sequence[str]) -> dict[str, int]:
        """Return which of some fields are missing, each in how many objects."""
        lacking = {name: self.total - self.fields.get(name, Counter()).total() for name in names}
        return {name: number for name, number in lacking.items() if number}

    def other_types(self, expected: Mapping[str, frozenset[str] | None]) -> dict[str, dict[str, int]]:
        """Return the fields that have another type than expected, with these types and how many objects have them.

        :param expected: the types of each field, ``None`` for any.
        """
        others: dict[str, dict[str, int]] = {}
        for name, types in self.fields.items():
            accepted = expected.get(name)
            if accepted is not None and (found := {kind: n for kind, n in types.items() if kind not in accepted}):
                others[name] = found
        return others
