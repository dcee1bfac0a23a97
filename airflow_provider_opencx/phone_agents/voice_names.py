"""Replaces the names of voices by their ids, which are others in each organization. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from airflow_provider_opencx.exceptions import OpenCXPlanRefusedError, OpenCXResponseError
from airflow_provider_opencx.normalization import normalized
from airflow_provider_opencx.phone_agents.entry import FleetEntry
from airflow_provider_opencx.resources.phone_agents import PhoneAgentSpec
from airflow_provider_opencx.resources.voices import Voice
from airflow_provider_opencx.text import listed
from airflow_provider_opencx.visible_text import identifier, in_quotes

_MOST_NAMED = 20
_LEAST_SIMILAR = 0.5


class Voices:
    """The voices of an organization, by their names.

    :param voices: the voices, as listed.
    :param unreadable: what is wrong with items of the list that cannot be read.
    """

    def __init__(self, voices: Iterable[Voice], unreadable: Sequence[str] = ()) -> None:
        self._ids: dict[str, list[str]] = {}
        self._is_whole = not unreadable
        for voice in voices:
            if voice.name is None or voice.voice_id is None:
                self._is_whole = False
            else:
                self._ids.setdefault(_form(voice.name), []).append(voice.voice_id)

    def knows(self, name: str) -> bool:
        """Return whether a voice has the name."""
        return _form(name) in self._ids

    def id_of(self, name: str) -> str:
        """Return the id of the voice of a name.

        :raises OpenCXPlanRefusedError: if no voice has the name, or several have it.
        :raises OpenCXResponseError: if the list holds what cannot be read, and may be the voice.
        """
        ids = list(dict.fromkeys(self._ids.get(_form(name), ())))
        if len(ids) == 1:
            return ids[0]
        if ids:
            raise OpenCXPlanRefusedError(
                f"{len(ids)} voices are named {in_quotes(name)}: {listed([*map(identifier, ids)], _MOST_NAMED)}. Write"
                " voice_id, and which of them, instead of voice."
            )
        if not self._ids or not self._is_whole:
            raise OpenCXResponseError(
                f"Whether there is a voice named {in_quotes(name)} is not known, because the list of voices is empty,"
                " or holds what cannot be read. Another try reads it again; voice_id needs no list."
            )
        similar = get_close_matches(_form(name), self._ids, n=_MOST_NAMED, cutoff=_LEAST_SIMILAR)
        names = [*similar, *(other for other in sorted(self._ids) if other not in similar)]
        raise OpenCXPlanRefusedError(
            f"No voice is named {in_quotes(name)}. There are {listed([*map(in_quotes, names)], _MOST_NAMED)}."
        )


def names_of_voices(specs: Iterable[PhoneAgentSpec]) -> set[str]:
    """Return the names of voices that declarations use."""
    return {spec.voice for spec in specs if isinstance(spec, FleetEntry) and spec.voice is not None}


def with_voice_ids(specs: Iterable[PhoneAgentSpec], voices: Voices) -> list[PhoneAgentSpec]:
    """Return declarations with the ids of their voices.

    :raises OpenCXPlanRefusedError: naming each declaration whose voice is missing or ambiguous.
    :raises OpenCXResponseError: if that is not known of one, and the others are right.
    """
    resolved: list[PhoneAgentSpec] = []
    refusals: list[str] = []
    unknown: list[OpenCXResponseError] = []
    for spec in specs:
        if not isinstance(spec, FleetEntry) or spec.voice is None:
            resolved.append(spec)
            continue
        try:
            resolved.append(spec.model_copy(update={"voice_id": voices.id_of(spec.voice)}))
        except OpenCXPlanRefusedError as refusal:
            refusals.append(f"{in_quotes(spec.agent_name)}: {refusal}")
        except OpenCXResponseError as error:
            unknown.append(error)
    if refusals:
        reasons = listed(refusals, _MOST_NAMED, separator=" ", more=" And {} more.")
        raise OpenCXPlanRefusedError(f"Nothing was sent, because the voices of agents are not known. {reasons}")
    if unknown:
        raise unknown[0]
    return resolved


def _form(name: str) -> str:
    return normalized(name.strip())
