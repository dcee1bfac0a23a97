"""Intents: what a process is about to send and must not send twice, recorded where it survives the process.

An intent is recorded before the request. Whoever finds one knows that the request may have been handled.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Intent:
    """A create that was about to be sent.

    :param sent_at: when, in seconds since the epoch.
    :param agent_id: the id under which a list has shown the agent since; ``None`` while its result is not known.
    """

    sent_at: float
    agent_id: str | None = None


class IntentStore(Protocol):
    """Where intents survive the process that has them. Each is about a name."""

    def read(self, names: Collection[str]) -> Mapping[str, Intent]:
        """Return the intents of these names, as far as there are any."""

    def write(self, intents: Mapping[str, Intent]) -> None:
        """Record intents, in place of earlier ones of their names; the others stay."""

    def delete(self, names: Collection[str]) -> None:
        """Delete the intents of these names; there may be none."""
