"""The names of the events of phone agents. It imports quickly, because Dag files import it."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

AgentEvent: TypeAlias = Literal[
    "number_assigned", "number_lost", "number_changed", "agent_created", "agent_removed", "agent_changed"
]

AGENT_EVENTS: tuple[AgentEvent, ...] = get_args(AgentEvent)
"""All of them."""
