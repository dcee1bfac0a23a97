"""Declares a sequence, passes the declaration to its start, and compares it with the stored sequence. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from pydantic import JsonValue

from airflow_provider_opencx.campaigns.sequences.filters import digest_of, people_of, selects_everybody
from airflow_provider_opencx.campaigns.sequences.steps import differing_steps, with_stored_actions
from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.resources.models import unsendable
from airflow_provider_opencx.resources.sequences import LONGEST_CUSTOM_ID, OutboundSequence
from airflow_provider_opencx.visible_text import identifier, in_quotes

LONGEST_NAME = 1000

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True)
class AskedSequence:
    """The declaration of a sequence in its result: with a digest of the filter, and without numbers of people.

    :param filter_digest: see :func:`.filters.digest_of`.
    :param steps: the steps; once the sequence is confirmed, with their actions as the service stores them.
    :param people: how many people the filter lists; ``None`` if it selects otherwise.
    """

    filter_digest: str
    steps: Sequence[Mapping[str, JsonValue]]
    people: int | None

    @classmethod
    def from_result(cls, result: Mapping[str, object]) -> Self | None:
        """Return what a result of the create operator says, ``None`` if it is not one.

        :raises OpenCXArgumentError: if it was one, and has been changed so that nothing can be compared with it.
        """
        if "asked" not in result:
            return None
        match result["asked"]:
            case {"filter_digest": str() as digest, "steps": list() as steps, "people": int() | None as people}:
                if all(isinstance(step, dict) for step in steps):
                    return cls(digest, steps, people)
        raise OpenCXArgumentError(
            "asked: must be as OpenCXCreateSequenceOperator returned it, so that the sequence can be compared with it;"
            " to start a sequence that nothing is compared with, give its id alone"
        )

    def as_json(self) -> dict[str, JsonValue]:
        """Return it as plain JSON."""
        steps: list[JsonValue] = [dict(step) for step in self.steps]
        return {"filter_digest": self.filter_digest, "steps": steps, "people": self.people}

    def as_confirmed(self, stored: OutboundSequence) -> Self:
        """Return it with the actions of the steps as they are stored, with what the service has added to them.

        :param stored: a sequence that does not differ.
        """
        return replace(self, steps=with_stored_actions(self.steps, stored.steps or ()))

    def differences(self, stored: OutboundSequence, *, actions_exactly: bool = False) -> dict[str, str]:
        """Return how a stored sequence differs, by its fields: those that decide who is called, by whom and when.

        :param actions_exactly: whether what is added to the action of a step is a difference.
        """
        found: dict[str, str] = {}
        if stored.is_continuous is not False:
            found["is_continuous"] = "is not stored as false, so that the sequence may call by itself"
        if digest_of(stored.filter) != self.filter_digest:
            found["filter"] = f"is not stored as asked: {self._people_differ(stored)}"
        steps = differing_steps(self.steps, stored.steps, actions_exactly=actions_exactly)
        if steps is not None:
            found["steps"] = steps
        return found

    def _people_differ(self, stored: OutboundSequence) -> str:
        asked = "others" if self.people is None else _people(self.people)
        if selects_everybody(stored.filter):
            return f"it was to select {asked}, and selects every contact of the organization"
        people = people_of(stored.filter)
        selected = None if people is None else len(people)
        if selected == self.people:
            return "it selects others" if selected is None else f"it selects {_people(selected)}, but not the same"
        return f"it was to select {asked}, and selects {'others' if selected is None else _people(selected)}"


@dataclass(frozen=True)
class SequenceDeclaration:
    """A one-off sequence as it should be.

    :param name: its name.
    :param custom_id: by what it is found again; up to 50 characters.
    :param filter: whom it selects, see :mod:`.filters`.
    :param steps: its steps, see :mod:`.steps`.
    :raises OpenCXArgumentError: if the name or the custom id is not as it must be.
    """

    name: str
    custom_id: str
    filter: Mapping[str, JsonValue]
    steps: Sequence[Mapping[str, JsonValue]]

    def __post_init__(self) -> None:
        for argument, value, most in (
            ("name", self.name, LONGEST_NAME),
            ("custom_id", self.custom_id, LONGEST_CUSTOM_ID),
        ):
            if not isinstance(value, str) or not value.strip():
                raise OpenCXArgumentError(f"{argument}: must be a text that is not empty")
            if len(value) > most:
                raise OpenCXArgumentError(f"{argument}: has {len(value)} characters, and may have {most}")
            if reason := unsendable(value):
                raise OpenCXArgumentError(f"{argument}: {reason}")
        if "/" in self.custom_id or self.custom_id in (".", ".."):
            raise OpenCXArgumentError(
                "custom_id: is a part of the path by which the sequence is read, so it must not hold a slash, nor be"
                " dots alone"
            )

    @property
    def label(self) -> str:
        """The sequence in messages: its name and custom id."""
        return f"sequence {in_quotes(self.name)} (custom id {identifier(self.custom_id)})"

    @property
    def asked(self) -> AskedSequence:
        """The declaration that is passed to the start."""
        people = people_of(dict(self.filter))
        return AskedSequence(digest_of(dict(self.filter)), self.steps, None if people is None else len(people))

    def changes(self) -> dict[str, JsonValue]:
        """Return the fields that may be written while the sequence has not begun."""
        steps: list[JsonValue] = [dict(step) for step in self.steps]
        return {"name": self.name, "filter": dict(self.filter), "steps": steps, "is_continuous": False}

    def body(self) -> dict[str, JsonValue]:
        """Return the body of the request that creates it."""
        return {**self.changes(), "custom_id": self.custom_id}


def custom_id_of(*names: str) -> str:
    """Return a custom id for a task of a run: readable at its beginning, no two alike, 50 characters at most.

    :param names: what it is made of: the Dag, the task, the run, the map index.
    """
    digest = hashlib.sha256("\0".join(names).encode()).hexdigest()[:16]
    readable = _UNSAFE.sub("-", "-".join(names[:2])).strip("-")
    return f"{readable[: LONGEST_CUSTOM_ID - len(digest) - 1]}-{digest}"


def _people(count: int) -> str:
    return "1 person" if count == 1 else f"{count:,} people"
