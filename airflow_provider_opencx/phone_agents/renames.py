"""Finds existing agents that may be agents of the fleet under another name. Pure.

A declaration that was renamed in its file looks like a new agent, and its agent like one that nobody declares. Nothing
is decided here: the pairs are shown to the person who reads the plan.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from airflow_provider_opencx.phone_agents.names import NearNames, near_form
from airflow_provider_opencx.resources.phone_agents import PhoneAgent

LEAST_SIMILAR = 0.5
"""The share of neighboring character pairs, from 0 to 1, that a name and its possible rename have in common."""

_MOST_COMPARED = 100_000
_LONGEST_COMPARED = 100


@dataclass(frozen=True)
class PossibleRename:
    """An agent that would be created, and one that exists and may be the same.

    :param name: the declared name.
    :param agent: the agent that is not declared.
    """

    name: str
    agent: PhoneAgent


def possible_renames(created: Sequence[str], undeclared: Sequence[PhoneAgent]) -> tuple[PossibleRename, ...]:
    """Pair names that would be created with undeclared agents of similar names, each at most once, the best first.

    Where there are more than 100,000 combinations, only names that are near each other are paired.

    :param created: the names, in the declared order.
    :param undeclared: the agents.
    :return: the pairs, in the order of the names.
    """
    pairs: dict[str, PhoneAgent] = {}
    taken: set[str] = set()
    for _, name, agent in sorted(_similar(created, undeclared), key=lambda found: -found[0]):
        if name not in pairs and agent.id not in taken:
            pairs[name] = agent
            taken.add(agent.id)
    return tuple(PossibleRename(name, pairs[name]) for name in created if name in pairs)


def _similar(created: Sequence[str], undeclared: Sequence[PhoneAgent]) -> Iterator[tuple[float, str, PhoneAgent]]:
    """Return which names are similar, and how much."""
    near = NearNames((agent.name or "", agent) for agent in undeclared)
    for name in created:
        yield from ((1.0, name, agent) for agent in near.of(name))
    if len(created) * len(undeclared) > _MOST_COMPARED:
        return
    pairs_of_agents = [(_pairs(agent.name or ""), agent) for agent in undeclared]
    for name in created:
        pairs = _pairs(name)
        for others, agent in pairs_of_agents:
            similarity = 2 * len(pairs & others) / (len(pairs) + len(others))
            if similarity >= LEAST_SIMILAR:
                yield similarity, name, agent


def _pairs(name: str) -> frozenset[str]:
    """Return the pairs of neighbouring characters of a name, its ends among them: they compare fast, and in order."""
    form = f" {near_form(name[:_LONGEST_COMPARED])} "
    return frozenset(map("".join, pairwise(form)))
