"""Decides which contacts a filter selects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from airflow_provider_opencx.simulator.json_values import Json
from airflow_provider_opencx.simulator.resources.contacts.store import Contact
from airflow_provider_opencx.simulator.timestamps import read_time

Selects: TypeAlias = Callable[[Contact], bool]
"""Returns whether a contact is selected."""

VALUES: Mapping[str, frozenset[str]] = {
    "all_contacts": frozenset(),
    "contact_id_in": frozenset({"contact_ids"}),
    "contacts_phone_number_in": frozenset({"phone_number_in"}),
    "contacts_email_in": frozenset({"email_in"}),
    "contacts_name_in": frozenset({"name_in"}),
    "contacts_email_domain_name_in": frozenset({"domain_name_in"}),
    "contacts_created_at_between": frozenset({"after", "before"}),
}
"""The values of each type of filter that the simulator carries out."""

_SHOWN: Mapping[str, Callable[[Contact], Json]] = {
    "contact_id_in": lambda contact: contact.id,
    "contacts_phone_number_in": lambda contact: contact.phone_number,
    "contacts_email_in": lambda contact: contact.fields["email"],
    "contacts_name_in": lambda contact: contact.fields["name"],
    "contacts_email_domain_name_in": lambda contact: str(contact.fields["email"] or "").rpartition("@")[2],
}
"""The field of a contact that the values of a filter are compared with."""


def selection(composite: Json) -> Selects:
    """Return which contacts a filter selects: those that all filters of at least one ``and`` select.

    Nothing where a filter, a list of filters or their values would be is no restriction: null selects everybody, and so
    does a filter of numbers whose numbers the service dropped. That is the worst that it can mean.
    """
    if not isinstance(composite, dict) or not isinstance(alternatives := composite.get("or"), list):
        return _everybody
    all_of = [_all_of(alternative) for alternative in alternatives]
    return lambda contact: any(selects(contact) for selects in all_of)


def _all_of(alternative: Json) -> Selects:
    if not isinstance(alternative, dict) or not isinstance(filters := alternative.get("and"), list):
        return _everybody
    each = [_one(single) for single in filters]
    return lambda contact: all(selects(contact) for selects in each)


def _one(single: Json) -> Selects:
    kind = single.get("type") if isinstance(single, dict) else None
    if not isinstance(single, dict) or not isinstance(kind, str) or kind not in VALUES:
        return _nobody
    if kind == "contacts_created_at_between":
        return _created_between(single.get("after"), single.get("before"))
    values = next((single.get(name) for name in VALUES[kind]), None)
    if not isinstance(values, list):
        return _everybody
    wanted, shown = frozenset(map(str, values)), _SHOWN[kind]
    return lambda contact: shown(contact) in wanted


def _created_between(after: Json, before: Json) -> Selects:
    """Return which contacts were created between two times, each of which may be null. What is not a time is never."""
    earliest, latest = (None if bound is None else read_time(str(bound)) for bound in (after, before))
    if (earliest is None) != (after is None) or (latest is None) != (before is None):
        return _nobody

    def selects(contact: Contact) -> bool:
        created_at = read_time(contact.created_at)
        return created_at is not None and (
            (earliest is None or earliest <= created_at) and (latest is None or created_at <= latest)
        )

    return selects


def _everybody(contact: Contact) -> bool:
    return True


def _nobody(contact: Contact) -> bool:
    return False
