"""The trigger that waits for conversations. All triggers of a connection share one list request per interval."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias
from weakref import WeakValueDictionary

from pydantic import JsonValue

from airflow_provider_opencx import metrics
from airflow_provider_opencx.conversations.polling import read_conversations
from airflow_provider_opencx.conversations.waiting import ConversationWait, Until
from airflow_provider_opencx.conversations.wanted import Found, WantedConversation
from airflow_provider_opencx.exceptions import OpenCXConversationTimeoutError
from airflow_provider_opencx.resources.conversations import PHONE_VOICE, Conversation
from airflow_provider_opencx.triggers.polling import Snapshot
from airflow_provider_opencx.triggers.waiting import WaitTrigger, result_in
from airflow_provider_opencx.waiting import log_poll

if TYPE_CHECKING:
    from airflow_provider_opencx.client.client import OpenCXClient

log = logging.getLogger(__name__)


class PolledConversations:
    """Polls for the conversations that all who share these polls want, in one list."""

    kind: ClassVar[str] = "conversations"

    def __init__(self) -> None:
        self._wanted: Counter[WantedConversation] = Counter()

    def __str__(self) -> str:
        return self.kind

    @classmethod
    def over(cls, conn_id: str, interval: float) -> PolledConversations:
        """Return the one that all share who wait over a connection, at an interval, in this event loop.

        :param conn_id: the connection.
        :param interval: seconds between two polls.
        """
        key = asyncio.get_running_loop(), conn_id, float(interval)
        polled = _polled.get(key)
        if polled is None:
            polled = _polled[key] = cls()
        return polled

    @contextmanager
    def looking_for(self, wanted: WantedConversation) -> Generator[None]:
        """Let each poll that begins look for a conversation as well."""
        self._wanted[wanted] += 1
        try:
            yield
        finally:
            self._wanted[wanted] -= 1
            if not self._wanted[wanted]:
                del self._wanted[wanted]

    def read(self, client: OpenCXClient) -> Found:
        """Read which conversation each wanted one is, in a thread."""
        wanted = tuple(self._wanted)  # others may come and go meanwhile
        return read_conversations(client, wanted) if wanted else {}

    def report_waiting(self, conn_id: str, waiting: int) -> None:
        """Report how many conversations are waited for."""
        metrics.gauge_waiting_conversations(conn_id, waiting)


_Key: TypeAlias = tuple[asyncio.AbstractEventLoop, str, float]

_polled: WeakValueDictionary[_Key, PolledConversations] = WeakValueDictionary()


class OpenCXConversationTrigger(WaitTrigger[ConversationWait]):
    """Fires once, when the conversation of a call is seen or closed, or when the wait must stop.

    All triggers of one connection and interval in a triggerer share their polls: one list, ``GET /chat/sessions``, an
    interval, since the earliest time of all that wait. A result is always of a poll that began after the trigger was
    made.

    The event is plain JSON: ``{"status": "success", "conversation": {...}}``, or ``{"status": "error", ...}`` with the
    error, or ``{"status": "timeout", ...}`` with the progress. It never holds the key.

    :param opencx_conn_id: the connection.
    :param since: when the call was made, in ISO 8601 with a time zone.
    :param phone_number: the number of the person who was called, in E.164.
    :param contact_id: the contact who was called, by its id. Give one of the two.
    :param channel_type: the channel of the conversation. Default ``"phone_voice"``; ``None`` means any.
    :param until: what is waited for: ``"seen"`` (default) or ``"closed"``.
    :param poll_interval: seconds between two polls. Default 60.
    :param waiting_since: when the task began to wait, in seconds since the epoch; by default now.
    :param timeout: seconds after ``waiting_since`` after which the trigger ends the wait in ``dag.test()``, where
        nothing else does. In the triggerer Airflow ends it, by the timeout of the deferral. Default ``None``: no limit.
    """

    result_keys = ("conversation", "conversations")

    def __init__(
        self,
        opencx_conn_id: str,
        *,
        since: str,
        phone_number: str | None = None,
        contact_id: str | None = None,
        channel_type: str | None = PHONE_VOICE,
        until: Until = "seen",
        poll_interval: float = 60.0,
        waiting_since: float | None = None,
        timeout: float | None = None,
    ) -> None:
        super().__init__(
            opencx_conn_id, poll_interval, started_by_worker=True, waiting_since=waiting_since, timeout=timeout
        )
        self.phone_number = phone_number
        self.contact_id = contact_id
        self.since = since
        self.channel_type = channel_type
        self.until = until

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what Airflow makes this trigger again from."""
        return (
            f"{OpenCXConversationTrigger.__module__}.{OpenCXConversationTrigger.__qualname__}",
            {
                "opencx_conn_id": self.opencx_conn_id,
                "phone_number": self.phone_number,
                "contact_id": self.contact_id,
                "since": self.since,
                "channel_type": self.channel_type,
                "until": self.until,
                "poll_interval": self.poll_interval,
                "waiting_since": self.waiting_since,
                "timeout": self.timeout,
            },
        )

    def _new_wait(self) -> ConversationWait:
        return ConversationWait(
            phone_number=self.phone_number,
            contact_id=self.contact_id,
            since=self.since,
            channel_type=self.channel_type,
            until=self.until,
        )

    async def _result(self, wait: ConversationWait) -> JsonValue:
        async def evaluate(snapshot: Snapshot[Found]) -> Conversation | None:
            reached = wait.evaluate(snapshot.poll)
            log_poll(log, wait, wait.progress if reached is None else None)
            return reached

        polled = PolledConversations.over(self.opencx_conn_id, self.poll_interval)
        with polled.looking_for(wait.wanted):
            return (await self._follow(polled, evaluate)).as_dict()


def result_of(event: Mapping[str, Any] | None) -> JsonValue:
    """Return the conversation of an event, or raise its error as it would have been raised in the worker.

    :raises OpenCXConversationTimeoutError: if the time was over; the message says what was seen, and what it can mean.
    :raises OpenCXError: the error of the event, or one that says that the event is not this trigger's.
    """
    return result_in(event, OpenCXConversationTrigger, _is_conversation, OpenCXConversationTimeoutError)


def _is_conversation(value: object) -> bool:
    return isinstance(value, dict) and "id" in value
