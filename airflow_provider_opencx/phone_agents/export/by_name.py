"""Writes names instead of ids, so that the files work for several organizations. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pydantic import JsonValue, ValidationError

from airflow_provider_opencx.phone_agents.export.declarable import Entry, Fleet, are_texts
from airflow_provider_opencx.phone_agents.named import Names
from airflow_provider_opencx.resources.phone_agents import IDS_BY_NAMES, PhoneAgentChanges
from airflow_provider_opencx.text import listed
from airflow_provider_opencx.visible_text import identifier

_NAMES_BY_IDS = {by_id: by_name for by_name, by_id in IDS_BY_NAMES.items()}
_MOST_NAMED = 20


@dataclass(frozen=True)
class NamesInUse:
    """The objects of an organization that its agents can refer to by name.

    :param known: what each field of declarations can name, of the fields whose list could be read.
    :param remarks: a sentence for each list that could not be read.
    """

    known: Mapping[str, Names] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


def with_names(fleet: Fleet, names: NamesInUse) -> Fleet:
    """Return a fleet whose entries hold names where they can, and not the ids of their agents.

    A field keeps its ids where one of them has no name of its own, and a note says so.
    """
    entries = tuple(_entry_with_names(entry, names.known) for entry in fleet.entries)
    return replace(fleet, entries=entries, remarks=(*fleet.remarks, *names.remarks))


def _entry_with_names(entry: Entry, known: Mapping[str, Names]) -> Entry:
    fields: dict[str, JsonValue] = {}
    notes: list[str] = []
    for name, value in entry.fields.items():
        by_name = _NAMES_BY_IDS.get(name, "")
        ids = _ids_in(name, value)
        if name == "id":
            continue
        if not ids or by_name not in known:
            fields[name] = value
            continue
        names = {item_id: _name_of(item_id, by_name, known[by_name]) for item_id in ids}
        if nameless := [identifier(item_id) for item_id in ids if names[item_id] is None]:
            fields[name] = value
            each = f"{listed(nameless, _MOST_NAMED)}: no name, or one that others have as well"
            notes.append(f"its {name} cannot be written by name. {each}.")
        else:
            fields[by_name] = names[ids[0]] if isinstance(value, str) else [names[item_id] for item_id in ids]
    return replace(entry, fields=fields, notes=(*entry.notes, *notes))


def _ids_in(name: str, value: JsonValue) -> list[str]:
    """Return the ids that a field holds: instructions of earlier generations are texts."""
    if not isinstance(value, list):
        return [value] if isinstance(value, str) else []
    return [] if name == "instructions" and are_texts(value) else [str(item_id) for item_id in value]


def _name_of(item_id: str, by_name: str, names: Names) -> str | None:
    """Return the name of an id that a declaration can hold in a field, if there is one."""
    name = names.name_of(item_id)
    try:
        PhoneAgentChanges.model_validate({by_name: name if by_name == "voice" else [name]})
    except ValidationError:
        return None
    return name
