"""Replaces names in declarations by ids: reads each needed list once per run, before the first write."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from airflow_provider_opencx.client.client import OpenCXClient
from airflow_provider_opencx.client.pagination import Listed
from airflow_provider_opencx.exceptions import (
    OpenCXNotFoundError,
    OpenCXPermissionError,
    OpenCXPlanRefusedError,
    OpenCXResponseError,
)
from airflow_provider_opencx.phone_agents.named import (
    NOUNS,
    Named,
    Names,
    named_action,
    named_scenario,
    named_voice,
)
from airflow_provider_opencx.resources.actions import list_actions
from airflow_provider_opencx.resources.models import ResourceModel
from airflow_provider_opencx.resources.phone_agents import IDS_BY_NAMES, PhoneAgentChanges
from airflow_provider_opencx.resources.training import list_training_scenarios
from airflow_provider_opencx.resources.voices import list_voices
from airflow_provider_opencx.text import listed
from airflow_provider_opencx.visible_text import in_quotes, name_and_id

FIND_NAMES_AFTER: Sequence[float] = (5, 5)
"""Seconds before each further read of a list for a name that it does not show: another task may just have made it."""

_MOST_NAMED = 20

log = logging.getLogger(__name__)

ChangesT = TypeVar("ChangesT", bound=PhoneAgentChanges)
_ResourceT = TypeVar("_ResourceT", bound=ResourceModel)


@dataclass(frozen=True)
class Resolved(Generic[ChangesT]):
    """Declarations with ids instead of names.

    :param specs: the declarations.
    :param names: the names of what was listed, by ids.
    :param warnings: what a person should know of what is named, in sentences.
    """

    specs: Sequence[ChangesT]
    names: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def with_ids(client: OpenCXClient, specs: Sequence[ChangesT]) -> Resolved[ChangesT]:
    """Return declarations with the ids of what they name. A list is read only where a declaration names something.

    A name that a list does not show is looked for in two more, five seconds apart.

    :raises OpenCXPlanRefusedError: naming each declaration with a name that is missing or ambiguous.
    :raises OpenCXResponseError: if that is not known of one, and the others are right.
    :raises OpenCXPermissionError: if the key may not read a list.
    """
    fields = {name: _names_in(name, specs) for name in IDS_BY_NAMES}
    known = {name: _listed(client, name, names) for name, names in fields.items() if names}
    if not known and not any(name in spec.model_fields_set for spec in specs for name in IDS_BY_NAMES):
        return Resolved(specs)
    return with_ids_of(known, specs)


def with_ids_of(known: Mapping[str, Names], specs: Sequence[ChangesT]) -> Resolved[ChangesT]:
    """Return declarations with the ids of what they name, from lists that were read before.

    :param known: what each field can name; of each field that names something.
    :param specs: the declarations.
    :raises OpenCXPlanRefusedError: naming each declaration with a name that is missing or ambiguous.
    :raises OpenCXResponseError: if that is not known of one, and the others are right.
    """
    resolving = _Resolving(known)
    resolved = [resolving.resolve(spec) for spec in specs]
    resolving.raise_problems()
    names = {item_id: name for each in known.values() for item_id, name in each.by_id.items()}
    return Resolved(resolved, names, tuple(dict.fromkeys(resolving.warnings)))


def one_with_ids(client: OpenCXClient, changes: ChangesT) -> ChangesT:
    """Return one declaration with the ids of what it names, and log what a person should know of that."""
    resolved = with_ids(client, [changes])
    for warning in resolved.warnings:
        log.warning(warning)
    [changes] = resolved.specs
    return changes


class _Resolving:
    """The replacing of names, declaration by declaration.

    :param known: what each field can name.
    """

    def __init__(self, known: Mapping[str, Names]) -> None:
        self.warnings: list[str] = []
        self._known = known
        self._refusals: list[str] = []
        self._unknown: list[OpenCXResponseError] = []

    def resolve(self, spec: ChangesT) -> ChangesT:
        """Return a declaration with ids; problems are kept for :meth:`raise_problems`."""
        ids: dict[str, object] = {}
        for by_name, by_id in IDS_BY_NAMES.items():
            if by_name not in spec.model_fields_set:
                continue
            names = getattr(spec, by_name)
            if isinstance(names, str):
                ids[by_id] = next(iter(self._ids(by_name, [names], spec)), None)
            else:
                ids[by_id] = None if names is None else self._ids(by_name, names, spec)
        return spec.model_copy(update=ids) if ids else spec

    def raise_problems(self) -> None:
        """Raise the problems."""
        if self._refusals:
            reasons = listed(self._refusals, _MOST_NAMED, separator=" ", more=" And {} more.")
            raise OpenCXPlanRefusedError(f"Nothing was sent, because what agents name is not known. {reasons}")
        if self._unknown:
            raise self._unknown[0]

    def _ids(self, by_name: str, names: Sequence[str], spec: PhoneAgentChanges) -> list[str]:
        of_agent = f"{in_quotes(spec.name)}: " if spec.name else ""
        ids = []
        for name in names:
            try:
                found = self._known[by_name].one(name)
            except OpenCXPlanRefusedError as refusal:
                self._refusals.append(f"{of_agent}{refusal}")
            except OpenCXResponseError as error:
                self._unknown.append(error)
            else:
                ids.append(found.id or "")
                if found.doubt:
                    called = f"{NOUNS[by_name]} {name_and_id(name, found.id or '')}"
                    self.warnings.append(f"The {called} {found.doubt}; change that in the OpenCX dashboard.")
        return ids


def _names_in(field: str, specs: Sequence[PhoneAgentChanges]) -> list[str]:
    """Return the names in a field of all declarations."""
    names: dict[str, None] = {}
    for spec in specs:
        value = getattr(spec, field)
        names.update(dict.fromkeys([value] if isinstance(value, str) else value or []))
    return list(names)


def _listed(client: OpenCXClient, field: str, names: Sequence[str]) -> Names:
    """Return what a field can name, listed again while it does not show all that is named."""
    known = read_names(client, field)
    for seconds in FIND_NAMES_AFTER:
        if known.know(names):
            break
        time.sleep(seconds)
        known = read_names(client, field)
    return known


def read_names(client: OpenCXClient, field: str) -> Names:
    """Return what a field of declarations can name, as one list shows it.

    :param field: the field, such as ``training_scenarios``.
    :raises OpenCXNotFoundError: if the service has no such list, saying what needs it.
    :raises OpenCXPermissionError: if the key may not read it, saying what needs it.
    """
    try:
        items, problems = _READERS[field](client)
    except (OpenCXNotFoundError, OpenCXPermissionError) as error:
        raise error.with_message(
            f"{field} needs the list of {NOUNS[field]}s, which could not be read: {error} {IDS_BY_NAMES[field]}, with"
            " ids, needs no list."
        ) from None
    return Names(field, items, problems)


_Reader = Callable[[OpenCXClient], tuple[Sequence[Named], Sequence[str]]]


def _reader(read_list: Callable[[OpenCXClient], Listed[_ResourceT]], named: Callable[[_ResourceT], Named]) -> _Reader:
    def read(client: OpenCXClient) -> tuple[Sequence[Named], Sequence[str]]:
        items = read_list(client)
        return [*map(named, items)], items.problems

    return read


_READERS: Mapping[str, _Reader] = {
    "training_scenarios": _reader(list_training_scenarios, named_scenario),
    "actions": _reader(list_actions, named_action),
    "voice": _reader(list_voices, named_voice),
}
