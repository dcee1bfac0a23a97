"""Decides what a poll means for a task that waits for numbers. Pure, so every mode of the sensor shares it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

from pydantic import JsonValue

from airflow_provider_opencx.exceptions import OpenCXArgumentError, OpenCXError
from airflow_provider_opencx.phone_agents.plan import (
    PhoneAgents,
    agent_named,
    checked_selector,
    describe_selector,
    has_number,
    near_described,
    not_found,
)
from airflow_provider_opencx.phone_numbers import normalize_phone_number
from airflow_provider_opencx.resources.phone_agents import PhoneAgent, agent_label
from airflow_provider_opencx.text import listed
from airflow_provider_opencx.visible_text import identifier, in_quotes, name_and_id
from airflow_provider_opencx.waiting import FailedPolls, MissingItems

_MOST_HINTS = 3
_MOST_WARNINGS = 20
_MOST_COMPARED = 200  # comparing with these names takes milliseconds, and a thousand waits may ask for it
_LONGEST_COMPARED = 100


class Wait:
    """One agent that is waited for, or several of which all must have a number in one poll, and the polls so far.

    :param agent_id: the agent or agents, by id: one that stays missing for ``LAGS_FOR`` seconds is an error.
    :param agent_name: the agent or agents, by name: one that does not exist yet is waited for. Give one of the two.
    :raises OpenCXArgumentError: if there is not exactly one of the two, or it is neither a string that is not empty
        nor a sequence of such strings.

    Of the last poll, ``not_listed`` is who is certainly not in the list, ``made_progress`` whether it has changed that
    or who has a number, and ``warnings`` what to log of it, each once: who has no agent of that name yet, with the
    names that are near; and each number that is not a telephone number, or cannot be read.
    """

    def __init__(self, agent_id: object = None, agent_name: object = None) -> None:
        self.agent_id, self.agent_name = checked_selectors(agent_id, agent_name)
        given = self.agent_id if self.agent_name is None else self.agent_name
        self.is_for_one = isinstance(given, str)
        self._wanted: list[str] = [given] if isinstance(given, str) else given or []
        self._by_id = self.agent_name is None
        self._failed_polls = FailedPolls()
        self._missing = MissingItems()
        self._without_number = self._wanted
        self._named: dict[str, str] = {}
        self.not_listed: list[str] = []
        self._warned_of: set[str] = set()
        self._warned_of_unreadable: set[str] = set()
        self._warned_of_missing: set[str] = set()
        self.made_progress = False
        self.warnings: list[str] = []

    def __str__(self) -> str:
        return self._described(self._wanted[0]) if self.is_for_one else f"{len(self._wanted)} phone agents"

    @property
    def is_for_none(self) -> bool:
        """Whether the sequence is empty, so that there is nothing to poll for."""
        return not self._wanted

    @property
    def is_counting_errors(self) -> bool:
        """Whether the last poll failed or did not show an agent by its id, so that the next may be decisive."""
        return self._failed_polls.in_a_row > 0 or bool(self._missing)

    @property
    def without_number(self) -> int:
        """How many are without a number."""
        return len(self._without_number)

    @property
    def goal(self) -> str:
        """The goal of the wait, for messages."""
        return f"the {'number' if self.is_for_one else 'numbers'} of {self}"

    @property
    def described(self) -> str:
        """All that is waited for by name or id, for a timeout of which the progress is not known."""
        return self.goal if self.is_for_one else f"{self.goal} ({_names(self._wanted)})"

    @property
    def progress(self) -> str:
        """The progress of the wait, for the log and for a timeout: who has no number, and who is not in the list."""
        if self.is_for_one:
            wanted = self._named.get(self._wanted[0])
            one = f"phone agent {wanted}" if wanted else str(self)
            return f"No number yet for {one}{', which is not in the list' if self.not_listed else ''}."
        are = "is" if self.without_number == 1 else "are"
        without = listed([self._named.get(wanted) or in_quotes(wanted) for wanted in self._without_number])
        not_listed = f"; not in the list: {_names(self.not_listed)}" if self.not_listed else ""
        return f"{self.without_number} of {self} {are} still without a number: {without}{not_listed}."

    def will_warn_of_missing(self, poll: PhoneAgents | OpenCXError) -> bool:
        """Return whether near names are looked for in a poll, which takes a while where there are many agents."""
        return (
            not self._by_id
            and isinstance(poll, PhoneAgents)
            and any(not poll.named(name) and name not in self._warned_of_missing for name in self._wanted)
        )

    def evaluate(self, poll: PhoneAgents | OpenCXError, at: float) -> list[PhoneAgent] | None:
        """Return the agents, in the order given, if all have numbers; ``None`` if the wait continues.

        :param poll: all agents of the organization, or the error for which they could not be read.
        :param at: when they were asked for, by ``time.monotonic()``.
        :raises OpenCXError: if the wait must stop.
        """
        self.made_progress, self.warnings = False, []
        if isinstance(poll, OpenCXError):
            self._failed_polls.count(poll, self.goal)
            return None
        self._failed_polls.end()
        before = self._without_number, self.not_listed
        found = {wanted: self._pick(poll, wanted) for wanted in dict.fromkeys(self._wanted)}
        missing = [wanted for wanted, agent in found.items() if agent is None]
        # One that is missing may be an item that cannot be read.
        is_certain = not (poll.unreadable if self._by_id else poll.of_unknown_name)
        self.not_listed = missing if is_certain else [wanted for wanted in self.not_listed if wanted in missing]
        if self._by_id:
            self._time_missing(missing if is_certain else [], at)
        elif is_certain:
            self._warn_of_missing(poll)
        ready = {wanted: agent for wanted, agent in found.items() if agent is not None and has_number(agent)}
        self._without_number = [wanted for wanted in self._wanted if wanted not in ready]
        self._keep_names(found)
        self.made_progress = before != (self._without_number, self.not_listed)
        self._warn_of(agent for agent in found.values() if agent is not None and not has_number(agent))
        return None if self._without_number else [ready[wanted] for wanted in self._wanted]

    def result(self, agents: Sequence[PhoneAgent]) -> JsonValue:
        """Return the agents as the task's result, plain JSON: one agent, or the list of them."""
        results: list[JsonValue] = [agent.as_dict() for agent in agents]
        return results[0] if self.is_for_one else results

    def _pick(self, poll: PhoneAgents, wanted: str) -> PhoneAgent | None:
        return poll.with_id(wanted) if self._by_id else agent_named(poll, wanted)

    def _described(self, wanted: str) -> str:
        return describe_selector(wanted, None) if self._by_id else describe_selector(None, wanted)

    def _keep_names(self, found: Mapping[str, PhoneAgent | None]) -> None:
        """Keep how messages name the agents that are waited for by id: a person knows them by their names."""
        if self._by_id:
            for wanted, agent in found.items():
                if agent is not None and agent.name:
                    self._named[wanted] = name_and_id(agent.name, wanted)

    def _time_missing(self, missing: Iterable[str], at: float) -> None:
        self._missing.note(missing, at)
        if gone := self._missing.gone(at):
            described = f"phone agent {listed([*map(identifier, gone)], separator=' or ')}"
            raise not_found(described, gone, f": {self._missing.observed(gone, at)}")

    def _warn_of_missing(self, agents: PhoneAgents) -> None:
        """Warn of each name that no agent has yet, once: one that is misspelt would be waited for in silence."""
        missing = [name for name in self.not_listed if name not in self._warned_of_missing]
        if not missing:
            return
        self._warned_of_missing.update(missing)
        there_are = list(filter(None, (self._near(name, agents) for name in missing[:_MOST_HINTS])))
        hint = f" (there is {'; '.join(there_are)})" if there_are else ""
        self.warnings.append(f"No phone agent is named {_names(missing, ' or ')} yet{hint}. The wait goes on.")

    def _near(self, name: str, agents: PhoneAgents) -> str:
        """Return the agents whose names are near one, or spelled nearly like it, that are not waited for as well."""
        if near := agents.near(name):
            return near_described(name, near)
        return _names([like for like in _spelled_like(name, agents) if like not in self._wanted], " and ")

    def _warn_of(self, without_number: Iterable[PhoneAgent]) -> None:
        """Warn of each value that is not a number, such as "pending"."""
        for agent in without_number:
            if problem := agent.unreadable.get("phone_number"):
                self._warn_of_unreadable(agent, problem)
            value = in_quotes(agent.phone_number or "")
            is_new = value not in self._warned_of and len(self._warned_of) < _MOST_WARNINGS
            if (agent.phone_number or "").strip() and is_new:
                self._warned_of.add(value)
                self.warnings.append(
                    f"The {agent.label} has the phone_number {value}, which is not a telephone number. The wait goes"
                    " on."
                )

    def _warn_of_unreadable(self, agent: PhoneAgent, problem: str) -> None:
        if agent.id not in self._warned_of_unreadable:
            self._warned_of_unreadable.add(agent.id)
            self.warnings.append(f"The {agent.label} has a number that cannot be read ({problem}). The wait goes on.")


def _names(wanted: Sequence[str], separator: str = ", ") -> str:
    return listed([in_quotes(name) for name in wanted], separator=separator)


def _spelled_like(name: str, agents: PhoneAgents) -> list[str]:
    """Return the names of agents that are spelled nearly like one that no agent has; none where there are many."""
    if len(agents) > _MOST_COMPARED or len(name) > _LONGEST_COMPARED:
        return []
    names = [agent.name for agent in agents if agent.name and len(agent.name) <= _LONGEST_COMPARED]
    folded = {each.casefold(): each for each in names}
    return [folded[near] for near in get_close_matches(name.casefold(), folded, cutoff=0.8)]


def success(result: JsonValue) -> str:
    """Return that the wait is over, in a sentence for the log.

    :param result: the agent that has its number, or the list of agents.
    """
    if isinstance(result, dict):
        return f"Number {_number(result)}: {_label(result)} has it."
    agents = [agent for agent in result if isinstance(agent, dict)] if isinstance(result, list) else []
    numbers = listed([f"{_label(agent)} {_number(agent)}" for agent in agents])
    return f"All {len(agents)} phone agents have their numbers{': ' if agents else ''}{numbers}."


def _label(agent: Mapping[str, JsonValue]) -> str:
    name = agent["name"]
    return agent_label(None if name is None else str(name), str(agent["id"]))


def _number(agent: Mapping[str, JsonValue]) -> str:
    return identifier(normalize_phone_number(str(agent["phone_number"])))


def checked_selectors(agent_id: object, agent_name: object) -> tuple[str | list[str] | None, str | list[str] | None]:
    """Return the ids or names of the agents to wait for, one or a list, and ``None`` for the other.

    :param agent_id: an id, or an agent as a task returns it, or a sequence of these.
    :param agent_name: a name, or a sequence of names.
    :raises OpenCXArgumentError: if there is not exactly one of the two, or it is neither a string that is not empty
        nor a sequence of such strings.
    """
    by_id = agent_name is None
    given = agent_id if by_id else agent_name
    both = agent_id is not None and agent_name is not None
    if both or isinstance(given, str | bytes) or not isinstance(given, Sequence):
        return checked_selector(agent_id, agent_name)
    wanted = [_checked_element(element, position, by_id) for position, element in enumerate(given)]
    return (wanted, None) if by_id else (None, wanted)


def _checked_element(element: object, position: int, by_id: bool) -> str:
    value = "" if element is None else element  # to checked_selector, None is an argument that was left out
    try:
        agent_id, agent_name = checked_selector(value if by_id else None, None if by_id else value)
    except OpenCXArgumentError as wrong:
        raise wrong.with_message(f"{wrong} (element {position} of the sequence)") from None
    return str(agent_id if by_id else agent_name)
