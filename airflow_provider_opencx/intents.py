"""Intents: records of requests that must not be sent twice, kept where they survive the process.

An intent is recorded before the request. A process that finds one knows that the request may have been handled.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from pydantic import JsonValue


@dataclass(frozen=True)
class Intent:
    """A create that was about to be sent.

    :param sent_at: when, in seconds since the epoch.
    :param agent_id: the id under which a list has shown the agent since; ``None`` while its result is not known.
    """

    sent_at: float
    agent_id: str | None = None

    def as_json(self) -> dict[str, JsonValue]:
        """Return the intent as plain JSON, the form in which every store keeps it."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: JsonValue, otherwise_sent_at: float) -> Self:
        """Return a stored intent. One that cannot be read counts: its create may still be on the way.

        :param value: what :meth:`as_json` returned, or what is left of it.
        :param otherwise_sent_at: when the create was sent, at the latest, if the value does not say it.
        """
        match value:
            case {"sent_at": int() | float() as sent_at, "agent_id": str() | None as agent_id} if math.isfinite(
                sent_at
            ) and not isinstance(sent_at, bool):
                return cls(sent_at, agent_id)
        return cls(otherwise_sent_at)


class IntentStore(Protocol):
    """A store in which intents survive the process. Each intent is for one name."""

    def read(self, names: Collection[str]) -> Mapping[str, Intent]:
        """Return the intents of these names, as far as there are any."""

    def write(self, intents: Mapping[str, Intent]) -> None:
        """Record intents. They replace earlier ones of the same names; the others stay."""

    def delete(self, names: Collection[str]) -> None:
        """Delete the intents of these names; there may be none."""
