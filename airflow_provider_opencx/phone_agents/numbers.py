"""Finds agents that have lost their phone number. Pure.

The service never says that a number is gone: its field is null again, as if it were still to come. So the numbers that
were seen are kept by the caller, such as a task in its XCom, and compared with the next list.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from airflow_provider_opencx.phone_agents.plan import has_number
from airflow_provider_opencx.phone_numbers import normalize_phone_number
from airflow_provider_opencx.resources.phone_agents import PhoneAgent
from airflow_provider_opencx.visible_text import in_quotes


@dataclass(frozen=True)
class LostNumber:
    """An agent that had a phone number, and has none now, or another one.

    :param agent: the agent as it is.
    :param number: the number that it had.
    """

    agent: PhoneAgent
    number: str

    @property
    def is_replaced(self) -> bool:
        """Whether the agent has another number now."""
        return has_number(self.agent)

    def __str__(self) -> str:
        now = f"is {in_quotes(self.agent.phone_number or '')} now" if self.is_replaced else "is gone"
        return f"{self.agent.label}: its phone number {in_quotes(self.number)} {now}"


def lost_numbers(agents: Iterable[PhoneAgent], known: Mapping[str, str]) -> tuple[LostNumber, ...]:
    """Return which agents have lost their numbers.

    :param agents: the agents as they are.
    :param known: the numbers that were seen, by the ids of their agents.
    """
    return tuple(
        LostNumber(agent, known[agent.id])
        for agent in agents
        if agent.id in known and "phone_number" not in agent.unreadable and not _is_still(agent, known[agent.id])
    )


def numbers_seen(agents: Iterable[PhoneAgent], known: Mapping[str, str]) -> dict[str, str]:
    """Return the numbers to keep for the next comparison: as they are, and of lost ones as they were.

    That of an agent that is not among the agents is kept: a list may lack it once, or the plan refuse it.

    :param agents: the agents as they are.
    :param known: the numbers that were seen before, by the ids of their agents.
    """
    return {**known, **{agent.id: agent.phone_number or "" for agent in agents if has_number(agent)}}


def _is_still(agent: PhoneAgent, number: str) -> bool:
    return has_number(agent) and normalize_phone_number(agent.phone_number or "") == normalize_phone_number(number)
