"""Creates a conversation some time after a call, and closes it later."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial

from airflow_provider_opencx.simulator.json_values import JsonObject
from airflow_provider_opencx.simulator.resources.contacts.store import Contacts, UnknownContactError
from airflow_provider_opencx.simulator.resources.conversations.conversation import (
    Conversation,
    UnknownConversationError,
)
from airflow_provider_opencx.simulator.resources.conversations.outcomes import ending
from airflow_provider_opencx.simulator.resources.conversations.store import Conversations
from airflow_provider_opencx.simulator.service import Service


@dataclass(frozen=True)
class CallSettings:
    """Which conversations calls create.

    :param after: how many seconds after the call its conversation is there
    :param closed_after: how many seconds later it is closed; None is never
    :param missed_every: one of how many calls is missed and leaves nothing: 5 is the fifth, the tenth; None means no
        call
    :param missed_numbers: the numbers whose calls are all missed
    """

    after: float = 5.0
    closed_after: float | None = 30.0
    missed_every: int | None = 5
    missed_numbers: Collection[str] = frozenset()


class AfterCalls:
    """Leaves conversations behind.

    :param service: the service whose state it is
    """

    def __init__(self, service: Service) -> None:
        self.settings = CallSettings()
        self._clock = service.clock
        self._contacts = service.state(Contacts)
        self._conversations = service.state(Conversations)

    def called(self, organization: str, number: int, phone_number: str | None, contact_id: str | None) -> None:
        """Leave the conversation of a call behind, unless the call is missed.

        :param number: the number of the call
        :param phone_number: the number that was called, if that is known
        :param contact_id: the contact that was called; None is a number that need not be that of a contact
        """
        settings = self.settings
        contact = self._contact(organization, phone_number, contact_id)
        is_missed = settings.missed_every is not None and number % settings.missed_every == 0
        if is_missed or contact.get("phone_number") in settings.missed_numbers:
            return
        self._clock.after(settings.after, partial(self._begin, organization, number, contact, settings.closed_after))

    def _begin(self, organization: str, number: int, contact: JsonObject, closed_after: float | None) -> None:
        now = self._conversations.now()
        fields = {"language": ending(number)["language"]}
        [begun] = self._conversations.add(
            lambda conversation_id, own: Conversation(conversation_id, organization, own, now, now, fields, contact)
        )
        if closed_after is not None:
            self._clock.after(closed_after, partial(self._close, begun.id, number))

    def _close(self, conversation_id: str, number: int) -> None:
        try:
            if self._conversations.find(conversation_id).field("status") == "open":
                self._conversations.change(conversation_id, ending(number))
        except UnknownConversationError:  # somebody removed it
            pass

    def _contact(self, organization: str, phone_number: str | None, contact_id: str | None) -> JsonObject:
        if contact_id is None:
            return {"phone_number": phone_number}
        try:
            contact = self._contacts.find(contact_id, organization).all_fields()
        except UnknownContactError:
            return {"id": contact_id, "phone_number": phone_number}
        return {name: contact[name] for name in ("id", "email", "phone_number", "name", "custom_data")}
