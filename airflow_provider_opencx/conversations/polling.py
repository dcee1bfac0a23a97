"""Polls for conversations with one list request for all of them, and interprets it in a worker."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, TypeAlias

from airflow_provider_opencx.conversations.waiting import ConversationWait
from airflow_provider_opencx.conversations.wanted import ASKED_BEFORE, Found, WantedConversation, find
from airflow_provider_opencx.exceptions import OpenCXError
from airflow_provider_opencx.resources.conversations import conversations_request, iterate_conversations
from airflow_provider_opencx.waiting import Poll, log_poll

if TYPE_CHECKING:
    from airflow_provider_opencx.client.client import OpenCXClient

ReadConversations: TypeAlias = Callable[[Collection[WantedConversation]], Found]

log = logging.getLogger(__name__)


def read_conversations(client: OpenCXClient, wanted: Collection[WantedConversation]) -> Found:
    """Return which conversation each wanted one is: ``GET /chat/sessions``, all pages since the earliest of them.

    :param client: sends the requests.
    :param wanted: what is looked for, at least one. Where all have the same channel, the service is asked for it alone.
    :raises OpenCXError: if the list cannot be read to its end.
    """
    channels = {each.channel_type for each in wanted}
    request = conversations_request(
        channel_type=channels.pop() if len(channels) == 1 else None,
        created_after=min(each.since for each in wanted) - ASKED_BEFORE,
    )
    return find(wanted, iterate_conversations(client, request))


def poll_once(read: ReadConversations, wait: ConversationWait) -> Poll[None]:
    """Read the conversations, and evaluate which of them is the one that is waited for.

    :param read: reads them by a client with ``max_retries=0``, because the next poll is the retry.
    :param wait: what is waited for.
    :raises OpenCXError: if the wait must stop.
    """
    response: Found | OpenCXError
    try:
        response = read([wait.wanted])
    except OpenCXError as error:
        log.warning("Polling for %s failed: %s", wait.goal, error)
        response = error
    reached = wait.evaluate(response)
    log_poll(log, wait, wait.progress if reached is None else None)
    return Poll(response if isinstance(response, OpenCXError) else None, None if reached is None else reached.as_dict())
