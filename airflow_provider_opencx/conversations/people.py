"""The names by which the person of a conversation is known: the number and the contact."""

from __future__ import annotations

from airflow_provider_opencx.phone_numbers import possible_numbers
from airflow_provider_opencx.resources.calls import Callee
from airflow_provider_opencx.resources.conversations import Conversation


def names_of(conversation: Conversation, default_region: str | None = None) -> list[str]:
    """Return what the person of a conversation is known by, as :attr:`.Callee.names` has it.

    :param default_region: the country of national numbers of contacts, such as ``"US"``; ``None`` reads none.
    """
    number, contact_id = conversation.phone_number, conversation.contact_id
    numbers = [possible_numbers(number, default_region)[0]] if isinstance(number, str) and number.strip() else []
    contacts = Callee(contact_id=contact_id.strip()).names if isinstance(contact_id, str) and contact_id.strip() else []
    return [*numbers, *contacts]
