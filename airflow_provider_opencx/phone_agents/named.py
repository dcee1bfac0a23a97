"""Finds the ids of training scenarios, actions and voices that declarations name. Pure.

An id is another one in each organization, so that a declaration by name alone serves two.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property

from airflow_provider_opencx.exceptions import OpenCXPlanRefusedError, OpenCXResponseError
from airflow_provider_opencx.normalization import normalized
from airflow_provider_opencx.resources.actions import PHONE_CHANNEL, Action
from airflow_provider_opencx.resources.phone_agents import IDS_BY_NAMES
from airflow_provider_opencx.resources.training import TrainingScenario
from airflow_provider_opencx.resources.voices import Voice
from airflow_provider_opencx.text import listed
from airflow_provider_opencx.visible_text import identifier, in_quotes

_MOST_NAMED = 20
_LEAST_SIMILAR = 0.5
_MOST_COMPARED = 2_000

NOUNS: Mapping[str, str] = {"training_scenarios": "training scenario", "actions": "action", "voice": "voice"}
"""The noun for the objects that each field names."""


@dataclass(frozen=True)
class Named:
    """Something that has a name.

    :param name: its name; ``None`` if it has none that can be read.
    :param id: its id; ``None`` if it has none that can be read.
    :param doubt: why an agent may not use it as its name suggests; empty if nothing is known.
    """

    name: str | None
    id: str | None
    doubt: str = ""


def named_scenario(scenario: TrainingScenario) -> Named:
    """Return a training scenario by its title: a draft is used by no agent, and others may be for other channels."""
    channels = scenario.restricted_to_channels or []
    doubt = ""
    if scenario.is_draft:
        doubt = "is a draft, which no agent uses"
    elif channels and PHONE_CHANNEL not in channels:
        doubt = f"is restricted to {listed([*map(identifier, channels)], _MOST_NAMED)}, and not for calls"
    return Named(scenario.current_title, scenario.id, doubt)


def named_action(action: Action) -> Named:
    """Return an action by its name: a new one is enabled only on the web, until somebody changes that."""
    channels = action.channels
    is_enabled = channels is None or PHONE_CHANNEL in channels
    return Named(action.name, action.id, "" if is_enabled else "is not enabled on the channel of calls, phone_voice")


def named_voice(voice: Voice) -> Named:
    """Return a voice by its name."""
    return Named(voice.name, voice.voice_id)


class Names:
    """The objects that one field of declarations can name.

    :param field: the field, such as ``training_scenarios``.
    :param items: all that it can name, as listed.
    :param unreadable: what is wrong with items of the list that cannot be read.
    """

    def __init__(self, field: str, items: Iterable[Named], unreadable: Sequence[str] = ()) -> None:
        self._field = field
        self._noun = NOUNS[field]
        self._by_name: dict[str, list[Named]] = {}
        self._is_whole = not unreadable
        for item in items:
            if item.name is None or item.id is None:
                self._is_whole = False
            else:
                self._by_name.setdefault(form_of(item.name), []).append(item)

    def know(self, names: Collection[str]) -> bool:
        """Return whether all of some names are names of something."""
        return all(form_of(name) in self._by_name for name in names)

    @cached_property
    def by_id(self) -> dict[str, str]:
        """The names of all by their ids."""
        return {item.id or "": item.name or "" for items in self._by_name.values() for item in items}

    def name_of(self, item_id: str) -> str | None:
        """Return the name by which :meth:`one` finds an id; ``None`` if it has none, or others have it as well."""
        name = self.by_id.get(item_id)
        same = () if name is None else self._by_name[form_of(name)]
        return name if {item.id for item in same} == {item_id} else None

    def one(self, name: str) -> Named:
        """Return what has a name.

        :raises OpenCXPlanRefusedError: if nothing has the name, or several have it.
        :raises OpenCXResponseError: if the list holds what cannot be read, and may be it.
        """
        found = {item.id: item for item in self._by_name.get(form_of(name), ())}
        if len(found) == 1:
            return next(iter(found.values()))
        by_id = IDS_BY_NAMES[self._field]
        if found:
            ids = listed([identifier(item_id or "") for item_id in found], _MOST_NAMED)
            raise OpenCXPlanRefusedError(
                f"{len(found)} {self._noun}s are named {in_quotes(name)}: {ids}. Write {by_id}, and which of them,"
                f" instead of {self._field}."
            )
        if not self._by_name or not self._is_whole:
            raise OpenCXResponseError(
                f"Whether any {self._noun} is named {in_quotes(name)} is not known, because the list of"
                f" {self._noun}s is empty, or holds what cannot be read. Another try reads it again; {by_id} needs no"
                " list."
            )
        known = [*self._by_name][:_MOST_COMPARED]
        similar = get_close_matches(form_of(name), known, n=_MOST_NAMED, cutoff=_LEAST_SIMILAR)
        names = [*similar, *(other for other in sorted(self._by_name) if other not in similar)]
        raise OpenCXPlanRefusedError(
            f"No {self._noun} is named {in_quotes(name)}. There are {listed([*map(in_quotes, names)], _MOST_NAMED)}."
        )


def form_of(name: str) -> str:
    """Return the form of a name in which two are compared."""
    return normalized(name.strip())
