"""The filter of a sequence: which contacts of the organization it selects. Pure.

A filter is ``{"or": [{"and": [{"type": ...}, ...]}, ...]}``: a contact matches where all conditions of one ``and`` do.
Null means all contacts, as the vendor's page says, so it is never sent. The condition ``contacts_phone_number_in`` is
inferred, ``contact_id_in`` is on the pages of 2024.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from airflow_provider_opencx.campaigns.contacts import contact_id_of
from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.phone_numbers import as_compared
from airflow_provider_opencx.resources.calls import Callee
from airflow_provider_opencx.resources.models import unsendable
from airflow_provider_opencx.visible_text import in_quotes

ALL_CONTACTS: Mapping[str, JsonValue] = {"or": [{"and": [{"type": "all_contacts"}]}]}
"""The filter that selects every contact of the organization."""

_UNREADABLE: Mapping[str, JsonValue] = {"unreadable": True}
"""Stands for what cannot be read in a stored filter: a condition of which nobody knows whom it selects."""

_NUMBERS = ("contacts_phone_number_in", "phone_number_in")
_CONTACTS = ("contact_id_in", "contact_ids")


def filter_of(
    people: Sequence[Callee], spellings: Mapping[Callee, Sequence[str]] | None = None
) -> dict[str, JsonValue]:
    """Return the filter that selects some people: by the number, or by the contact where no number is known.

    :param people: one at least.
    :param spellings: how the contacts of people have their numbers, where that is not E.164: whether the service
        compares numbers or texts is not known, so that both are asked for.
    """
    numbers: list[JsonValue] = []
    for each in people:
        if each.phone_number:
            numbers += [each.phone_number, *(spellings or {}).get(each, ())]
    contacts: list[JsonValue] = [each.contact_id for each in people if not each.phone_number]
    found = ((_NUMBERS, numbers), (_CONTACTS, contacts))
    return {"or": [{"and": [{"type": kind, key: values}]} for (kind, key), values in found if values]}


def people_of(stored: JsonValue) -> list[Callee] | None:
    """Return the people whom a filter lists; ``None`` if it may select others.

    Where a list is one of several conditions, fewer people may match; nobody who is not listed does.
    """
    people: list[Callee] = []
    for conditions in _alternatives(stored) or [[]]:
        listed = next((each for each in map(_listed, conditions) if each is not None), None)
        if listed is None:
            return None
        people += listed
    return list({tuple(each.names): each for each in reversed(people)}.values())[::-1]


def selects_everybody(stored: JsonValue) -> bool:
    """Return whether a filter selects every contact: ``all_contacts`` alone, conditions without a value, or nothing.

    Of a filter that cannot be read, it is not known whom it selects.
    """
    alternatives = _alternatives(stored) or [[]]
    return any(all(map(_limits_nobody, conditions)) for conditions in alternatives)


def admits(stored: JsonValue, callee: Callee) -> bool | None:
    """Return whether a filter selects a person; ``None`` if the number and the contact do not show it."""
    verdicts = [_admits_all(conditions, callee) for conditions in _alternatives(stored) or [[]]]
    if True in verdicts:
        return True
    return None if None in verdicts else False


def checked_filter(written: object) -> dict[str, JsonValue]:
    """Return a filter as plain JSON.

    :raises OpenCXArgumentError: if it is not one, or selects everybody without saying so.
    """
    try:
        decoded = json.loads(json.dumps(written, allow_nan=False))
        problem = unsendable(decoded)
    except (TypeError, ValueError, RecursionError):
        raise OpenCXArgumentError("filter: cannot be sent as JSON") from None
    if problem:
        raise OpenCXArgumentError(f"filter: {problem}")
    alternatives = decoded.get("or") if isinstance(decoded, dict) else None
    if not isinstance(alternatives, list) or not alternatives or not all(map(_is_alternative, alternatives)):
        raise OpenCXArgumentError(
            "filter: must be {'or': [{'and': [{'type': ...}]}]}, with a condition in each 'and'. A null or empty filter"
            " selects every contact of the organization, and is never sent: where that is meant, write"
            " {'or': [{'and': [{'type': 'all_contacts'}]}]}"
        )
    conditions = [condition for alternative in alternatives for condition in alternative["and"]]
    empty = next((key for key in (_empty_key(decoded), *map(_valueless_key, conditions)) if key is not None), None)
    if empty is not None:
        raise OpenCXArgumentError(
            f"filter: {in_quotes(empty)} has an empty value, which selects nobody, or everybody; it is empty where the"
            " task that should have returned it was skipped, or pushes no result"
        )
    return dict(decoded)


def is_empty(value: JsonValue) -> bool:
    """Return whether a value says nothing: null, a blank text, or a list or a mapping of nothing else."""
    if isinstance(value, dict | list):
        return all(map(is_empty, value.values() if isinstance(value, dict) else value))
    return value is None or (isinstance(value, str) and not value.strip())


def digest_of(stored: JsonValue) -> str:
    """Return a digest of what a filter means: order, spacing in numbers and nulls do not count."""
    text = json.dumps(_meaning(stored), sort_keys=True)
    return hashlib.sha256(f"opencx:{text}".encode()).hexdigest()[:32]


def _alternatives(stored: JsonValue) -> list[list[Mapping[str, JsonValue]]]:
    """Return the conditions of each ``and``; none where the filter says nothing."""
    if is_empty(stored):
        return []
    found = _only(stored, "or")
    return [_conditions(alternative) for alternative in found] if isinstance(found, list) else [[_UNREADABLE]]


def _conditions(alternative: JsonValue) -> list[Mapping[str, JsonValue]]:
    """Return the conditions of an ``and``; none where it says nothing."""
    if is_empty(alternative):
        return []
    found = _only(alternative, "and")
    conditions = [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
    is_readable = isinstance(found, list) and len(conditions) == len(found)
    return [*conditions] if is_readable else [_UNREADABLE]


def _only(value: JsonValue, key: str) -> JsonValue:
    """Return the value of a key, ``None`` where there is another value beside it: it may mean anything."""
    if not isinstance(value, dict) or any(each is not None for name, each in value.items() if name != key):
        return None
    return value.get(key)


def _listed(condition: Mapping[str, JsonValue]) -> list[Callee] | None:
    """Return the people whom a condition lists; ``None`` if it does not list people.

    A value that no page shows may turn the list around, to everybody but these.
    """
    for kind, key in (_NUMBERS, _CONTACTS):
        values = condition.get(key)
        is_plain = all(value is None or name in ("type", key) for name, value in condition.items())
        if condition.get("type") == kind and is_plain and isinstance(values, list) and values:
            try:
                return [_callee(value, is_number=kind == _NUMBERS[0]) for value in values]
            except (ValueError, OpenCXArgumentError):
                return None
    return None


def _callee(value: JsonValue, *, is_number: bool) -> Callee:
    text = value if isinstance(value, str) else ""
    return Callee(phone_number=as_compared(text)) if is_number else Callee(contact_id=contact_id_of(text))


def _limits_nobody(condition: Mapping[str, JsonValue]) -> bool:
    return condition.get("type") == "all_contacts" or not condition or _valueless_key(condition) is not None


def _valueless_key(condition: Mapping[str, JsonValue]) -> str | None:
    """Return a key of a condition that has keys beside its type, and a value for none of them."""
    keys = [key for key in condition if key != "type"]
    return keys[0] if keys and all(is_empty(condition[key]) for key in keys) else None


def _empty_key(value: JsonValue, key: str = "filter") -> str | None:
    """Return the key of the first list or mapping that is empty, or list with an empty part, at any depth."""
    if not isinstance(value, dict | list):
        return None
    if not value or (isinstance(value, list) and any(map(is_empty, value))):
        return key
    parts = value.items() if isinstance(value, dict) else ((key, part) for part in value)
    return next((found for name, part in parts if (found := _empty_key(part, name)) is not None), None)


def _admits_all(conditions: Sequence[Mapping[str, JsonValue]], callee: Callee) -> bool | None:
    verdicts = [_admits(condition, callee) for condition in conditions]
    if False in verdicts:
        return False
    return None if None in verdicts else True


def _admits(condition: Mapping[str, JsonValue], callee: Callee) -> bool | None:
    if condition.get("type") == "all_contacts":
        return True
    listed = _listed(condition)
    if listed is None:
        return None
    names = {name for each in listed for name in each.names}
    if not names.isdisjoint(callee.names):
        return True
    # A person of a number may be one of the listed contacts, and a contact may have one of the listed numbers.
    is_comparable = callee.contact_id if condition["type"] == _CONTACTS[0] else callee.phone_number
    return False if is_comparable else None


def _is_alternative(value: object) -> bool:
    conditions = value.get("and") if isinstance(value, dict) else None
    return isinstance(conditions, list) and bool(conditions) and all(map(_is_condition, conditions))


def _is_condition(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("type"), str) and bool(value["type"].strip())


def _meaning(value: JsonValue, key: str = "") -> JsonValue:
    if isinstance(value, dict):
        return {name: _meaning(each, name) for name, each in value.items() if each is not None}
    if isinstance(value, list):
        # Each part once: a contact that is listed twice is selected once.
        parts = {json.dumps(part, sort_keys=True): part for part in (_meaning(each, key) for each in value)}
        return [parts[text] for text in sorted(parts)]
    if key == _NUMBERS[1] and isinstance(value, str):
        return as_compared(value)
    return value
