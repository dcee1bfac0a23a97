"""Conversations of calls and chats, which the API calls chat sessions.

To list them, to read one and to read its history are on the vendor's pages. The order of the list and the size of its
pages are not, and neither is whether its bounds are inclusive. A conversation does not say whether a call was taken,
how long it was, or which agent and which sequence called: a contact, a number and a time are all that ties it to a
call. A call that nobody took may leave no conversation at all.
"""

from __future__ import annotations

from collections.abc import Generator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field, JsonValue

from airflow_provider_opencx.client.operation import Operation, Request
from airflow_provider_opencx.client.pagination import Listed, iterate_pages, list_items
from airflow_provider_opencx.exceptions import OpenCXArgumentError, OpenCXResponseError
from airflow_provider_opencx.resources.models import LONGEST_ID, ResourceModel
from airflow_provider_opencx.resources.odd_items import warn_of_odd_items
from airflow_provider_opencx.resources.times import query_of_times, time_in
from airflow_provider_opencx.visible_text import identifier

if TYPE_CHECKING:
    from airflow_provider_opencx.client.client import OpenCXClient

LIST_CONVERSATIONS = Operation(
    id="listChatSessions",
    method="GET",
    path="/chat/sessions",
    scope="chat-sessions:read",
    noun="conversation",
    summary="The conversations of the organization, page by page; by when they were created or changed.",
    repeatable=True,
)
GET_CONVERSATION = Operation(
    id="getChatSession",
    method="GET",
    path="/chat/sessions/{session_id}",
    scope="chat-sessions:read",
    noun="conversation",
    summary="One conversation.",
    repeatable=True,
)
LIST_HISTORY = Operation(
    id="listChatHistory",
    method="GET",
    path="/chat/sessions/{session_id}/history",
    scope="chat-sessions:read",
    noun="conversation",
    summary="What was said and done in a conversation, page by page; for a call, what was spoken.",
    repeatable=True,
)

PHONE_VOICE = "phone_voice"
"""The ``channel_type`` of calls; calls in a browser are ``web_voice``."""

_CLOSED = "closed"


class Conversation(ResourceModel):
    """A conversation as the service describes it; fields that it did not send are ``None``. Only ``id`` is required.

    ``status`` (``open``, ``closed_resolved`` and ``closed_unresolved`` are known), ``ai_closure_type`` and
    ``sentiment`` are open sets.
    """

    noun: ClassVar[str] = "a conversation"

    id: Annotated[str, Field(min_length=1, max_length=LONGEST_ID)]
    status: str | None = None
    ai_closure_type: str | None = None
    sentiment: str | None = None
    channel: dict[str, JsonValue] | None = None
    ticket_number: JsonValue = None
    created_at: JsonValue = None
    updated_at: JsonValue = None
    contact: dict[str, JsonValue] | None = None
    language: str | None = None
    assignee_id: JsonValue = None
    custom_data: JsonValue = None
    team: JsonValue = None
    handoff: JsonValue = None
    ticketing_system: JsonValue = None

    @property
    def label(self) -> str:
        """The conversation in messages: its id."""
        return f"conversation {identifier(self.id)}"

    @property
    def is_closed(self) -> bool:
        """Whether its status says that it is closed."""
        return (self.status or "").strip().lower().startswith(_CLOSED)

    @property
    def channel_type(self) -> JsonValue:
        """The channel, such as :data:`PHONE_VOICE`; ``None`` where the service did not say."""
        return (self.channel or {}).get("type")

    @property
    def contact_id(self) -> JsonValue:
        """The id of the contact; ``None`` where the service did not say."""
        return (self.contact or {}).get("id")

    @property
    def phone_number(self) -> JsonValue:
        """The number of the contact, as the service has it; ``None`` where it did not say."""
        return (self.contact or {}).get("phone_number")

    @property
    def created(self) -> datetime | None:
        """When it was created, in UTC; ``None`` where that cannot be read."""
        return time_in(self.created_at)

    @property
    def updated(self) -> datetime | None:
        """When it was changed for the last time, in UTC; ``None`` where that cannot be read."""
        return time_in(self.updated_at)


class HistoryItem(ResourceModel):
    """One thing that was said or done in a conversation. Nothing is required, an id may be missing.

    ``event`` has ``type``, an open set, ``sender`` (``type``, ``name``), ``content`` (``type``, ``text``),
    ``attachments`` and ``context``.
    """

    noun: ClassVar[str] = "an item of a history"

    id: JsonValue = None
    created_at: JsonValue = None
    event: dict[str, JsonValue] | None = None

    @property
    def label(self) -> str:
        """The item in messages: its id."""
        return f"item {identifier(str(self.id))}"


def checked_channel_type(channel_type: object) -> str | None:
    """Return the channel of conversations; ``None`` means any.

    :raises OpenCXArgumentError: if it cannot be one.
    """
    if channel_type is None or (isinstance(channel_type, str) and channel_type.strip()):
        return channel_type
    raise OpenCXArgumentError("channel_type: must be a text that is not empty, or None for any channel")


def conversations_request(
    *,
    handed_off: bool | None = None,
    status: str | None = None,
    channel_type: str | None = None,
    created_after: datetime | None = None,
    created_before: datetime | None = None,
    updated_after: datetime | None = None,
    updated_before: datetime | None = None,
) -> Request:
    """Return the request for the first page of a list of conversations: ``GET /chat/sessions``.

    :param handed_off: only those that were, or were not, handed off to a person.
    :param status: those of this status.
    :param channel_type: those of this channel, such as :data:`PHONE_VOICE`.
    :param created_after: those that were created after this time; whether at it as well is not known.
    :param created_before: those that were created before this time.
    :param updated_after: those that were changed after this time.
    :param updated_before: those that were changed before this time.
    :raises OpenCXArgumentError: if a time has no time zone.
    """
    times = {
        "created_after": created_after,
        "created_before": created_before,
        "updated_after": updated_after,
        "updated_before": updated_before,
    }
    texts = {
        "handed_off": None if handed_off is None else str(handed_off).lower(),
        "status": status,
        "channel_type": channel_type,
    }
    query = {name: text for name, text in texts.items() if text is not None} | query_of_times(times)
    return LIST_CONVERSATIONS.request(query=query)


def iterate_conversations(client: OpenCXClient, request: Request) -> Generator[Conversation]:
    """Yield conversations, a page of them in memory at a time: ``GET /chat/sessions``.

    The list may move while it is read: one that changes meanwhile may come twice.

    :param request: which ones, as :func:`conversations_request` returns it.
    :raises OpenCXResponseError: if a page cannot be read, or the list does not end.
    """
    for page in iterate_pages(client, request, Conversation.from_response):
        warn_of_odd_items(LIST_CONVERSATIONS, page, lambda conversation: conversation.label)
        yield from page


def get_conversation(client: OpenCXClient, conversation_id: str) -> Conversation:
    """Return a conversation: ``GET /chat/sessions/{id}``.

    :raises OpenCXNotFoundError: if there is none.
    :raises OpenCXResponseError: if the response is not this conversation.
    """
    response = client.send(GET_CONVERSATION.request(path_parameters={"session_id": conversation_id}))
    with response.named():
        conversation = Conversation.from_response(response.decoded())
        if conversation.id != conversation_id:
            raise OpenCXResponseError(f"the service returned {conversation.label}, which was not asked for.")
    return conversation


def history_request(conversation_id: str) -> Request:
    """Return the request for the first page of the history of a conversation: ``GET /chat/sessions/{id}/history``."""
    return LIST_HISTORY.request(path_parameters={"session_id": conversation_id})


def list_history(client: OpenCXClient, conversation_id: str) -> Listed[HistoryItem]:
    """Return what was said and done in a conversation: ``GET /chat/sessions/{id}/history``, all pages.

    The order is the service's, which is in no page.

    :raises OpenCXNotFoundError: if there is no such conversation.
    :raises OpenCXResponseError: if a page cannot be read, or the list does not end.
    """
    history = list_items(client, history_request(conversation_id), HistoryItem.from_response)
    warn_of_odd_items(LIST_HISTORY, history, lambda item: item.label)
    return history
