"""The result of one check in the report: what was found, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import JsonValue


class Status(StrEnum):
    """The result of a check."""

    OK = "ok"
    UNKNOWN = "unknown"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Check:
    """The result of one check.

    :param name: its stable short name, such as ``clock``.
    :param status: what it says.
    :param summary: what was found and what to do, in a sentence or two.
    :param details: names and values to look at, without any text of agents, ids, telephone numbers and secrets.
    """

    name: str
    status: Status
    summary: str
    details: Mapping[str, JsonValue] = field(default_factory=dict)

    def as_dict(self) -> dict[str, JsonValue]:
        """Return it as plain JSON."""
        return {
            "name": self.name,
            "status": self.status.value,
            "summary": self.summary,
            "details": dict(self.details),
        }
