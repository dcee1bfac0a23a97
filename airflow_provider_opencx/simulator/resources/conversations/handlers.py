"""Lists and reads conversations, and lists what was said in them."""

from __future__ import annotations

from airflow_provider_opencx.simulator.handler import AcceptedRequest, Handlers, HTTPError, ValidatedJson
from airflow_provider_opencx.simulator.json_values import Json, write_json
from airflow_provider_opencx.simulator.list_view import listed_by, page_by, shown_by
from airflow_provider_opencx.simulator.resources.conversations.between_pages import BetweenPages
from airflow_provider_opencx.simulator.resources.conversations.conversation import (
    Conversation,
    UnknownConversationError,
)
from airflow_provider_opencx.simulator.resources.conversations.outcomes import events_of
from airflow_provider_opencx.simulator.resources.conversations.pages import read_query
from airflow_provider_opencx.simulator.resources.conversations.store import Conversations


def list_chat_sessions(request: AcceptedRequest) -> ValidatedJson:
    """Return one page of the conversations that the query asks for."""
    conversations, cursor = request.service.state(Conversations), request.query.get("cursor")
    if cursor:
        request.service.state(BetweenPages).turn()
    query = read_query(request.query, conversations.settings.bounds)
    page, following = conversations.page(request.organization, query, cursor, request.service.page_size, request.views)
    items = list[Json](each.all_fields(conversations.settings.precision) for each in page)
    # Each was validated when it was added or changed, so one of them is enough to validate a long page.
    request.operation.check_response(request.operation.success, {"items": items[:1], "next": following})
    return ValidatedJson(write_json({"items": items, "next": following}))


def get_chat_session(request: AcceptedRequest) -> Json:
    """Return a conversation."""
    return _found(request).all_fields(request.service.state(Conversations).settings.precision)


def list_chat_history(request: AcceptedRequest) -> Json:
    """Return one page of what was said and done in a conversation, oldest first."""
    conversations = request.service.state(Conversations)
    events = events_of(conversations.history(_found(request).id), conversations.settings.precision)
    page, following = page_by(
        request.views,
        listed_by(request.views, events, request.service.clock()),
        request.query.get("cursor"),
        request.service.page_size,
        lambda event: event[0],
    )
    return {"items": [event for _, event in shown_by(request.views, page)], "next": following}


HANDLERS: Handlers = {
    "listChatSessions": list_chat_sessions,
    "getChatSession": get_chat_session,
    "listChatHistory": list_chat_history,
}


def _found(request: AcceptedRequest) -> Conversation:
    session_id = request.path_parameters["session_id"]
    try:
        return request.service.state(Conversations).find(session_id, request.organization)
    except UnknownConversationError:
        raise HTTPError(404, f"There is no chat session {session_id}") from None
