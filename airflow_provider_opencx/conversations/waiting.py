"""Decides what a poll means for a task that waits for a conversation. Pure, so every sensor mode shares it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, TypeAlias

from pydantic import JsonValue

from airflow_provider_opencx.arguments import check_choice
from airflow_provider_opencx.conversations.wanted import Found, began, checked_wanted
from airflow_provider_opencx.exceptions import OpenCXError
from airflow_provider_opencx.resources.conversations import Conversation
from airflow_provider_opencx.visible_text import identifier, in_quotes
from airflow_provider_opencx.waiting import FailedPolls

Until: TypeAlias = Literal["seen", "closed"]
"""The state to wait for."""

_NOT_A_MISSED_CALL = (
    "this is not the same as a missed call: the call may have been missed, which may leave no conversation; it may"
    " still be going on; or the service may show its conversation late"
)


class ConversationWait:
    """The conversation of one call that is waited for, and the polls so far.

    :param phone_number: the number of the person, in E.164, or ``None``.
    :param contact_id: the id of the contact, or ``None``. Give one of the two.
    :param since: when the call was made: a datetime with a time zone, or the same in ISO 8601.
    :param channel_type: its channel; ``None`` means any.
    :param until: what is waited for.
    :raises OpenCXArgumentError: if an argument is wrong.

    Of the last poll, ``made_progress`` is whether it has changed what is known, and ``warnings`` is what to log of it.
    """

    is_for_one = True
    is_for_none = False

    def __init__(
        self, *, phone_number: object, contact_id: object, since: object, channel_type: object, until: object
    ) -> None:
        self.until = checked_until(until)
        self.wanted = checked_wanted(phone_number, contact_id, since, channel_type)
        self.made_progress = False
        self.warnings: list[str] = []
        self._failed_polls = FailedPolls()
        self._is_read = False
        self._seen: Conversation | None = None

    @property
    def is_counting_errors(self) -> bool:
        """Whether the last poll failed, so that the next may be decisive."""
        return self._failed_polls.in_a_row > 0

    @property
    def goal(self) -> str:
        """The goal of the wait, for messages."""
        return f"a {'closed ' if self.until == 'closed' else ''}{self.wanted} since {_shown(self.wanted.since)}"

    @property
    def described(self) -> str:
        """The same, for a timeout of which the progress is not known."""
        none = "no conversation was seen since then"
        if self.until == "closed":
            none = "none that is closed was seen since then; the task's log says whether an open one was"
        return f"{self.goal} ({none}; {_NOT_A_MISSED_CALL})"

    @property
    def progress(self) -> str:
        """The progress in a sentence, for the log and for a timeout."""
        since = _shown(self.wanted.since)
        if self._seen is not None:
            status = "not shown" if self._seen.status is None else in_quotes(self._seen.status)
            return (
                f"The {self._seen.label} with {self.wanted.callee.label} was seen, and is not closed: its status is"
                f" {status}. The call may still be going on, or the service closes its conversation later."
            )
        if not self._is_read:
            return f"Whether there is a {self.wanted} since {since} is not known: no list of them could be read yet."
        return f"No {self.wanted} was seen since {since}; {_NOT_A_MISSED_CALL}."

    def evaluate(self, poll: Found | OpenCXError) -> Conversation | None:
        """Return the conversation, if it is there as it is waited for; ``None`` if the wait continues.

        :param poll: the conversations that were looked for, or the error for which they could not be read. One that did
            not look for this conversation says nothing.
        :raises OpenCXError: if the wait must stop.
        """
        self.made_progress, self.warnings = False, []
        if isinstance(poll, OpenCXError):
            self._failed_polls.count(poll, self.goal)
            return None
        self._failed_polls.end()
        if self.wanted not in poll:
            return None
        before = self.progress
        self._is_read = True
        self._seen = poll[self.wanted] or self._seen
        self.made_progress = self.progress != before
        if self._seen is None or (self.until == "closed" and not self._seen.is_closed):
            return None
        self._warn_of_time(self._seen)
        return self._seen

    def _warn_of_time(self, seen: Conversation) -> None:
        """Warn where the time of a conversation leaves a doubt whether it is the one of the call."""
        at = began(seen)
        if seen.created is None:
            self.warnings.append(f"When the {seen.label} was created cannot be read. It was changed at {_shown(at)}.")
        elif seen.created < self.wanted.since:
            seconds = (self.wanted.since - seen.created).total_seconds()
            self.warnings.append(
                f"The {seen.label} was created {seconds:.1f} s before {_shown(self.wanted.since)}. It counts, because"
                " the clocks may differ by that; if they do not, it is of something else."
            )


def success(result: JsonValue, until: Until) -> str:
    """Return that the wait is over, in a sentence for the log.

    :param result: the conversation, as the task returns it.
    :param until: what was waited for.
    """
    fields = result if isinstance(result, Mapping) else {}
    happened = "closed" if until == "closed" else "there"
    created = fields.get("created_at")
    return (
        f"Conversation {identifier(str(fields.get('id')))} is {happened}"
        f"{f', created at {identifier(str(created))}' if created else ''}."
    )


def checked_until(until: object) -> Until:
    """Return what is waited for; raises ``OpenCXArgumentError`` if it is not one of the choices."""
    check_choice("until", until, ("seen", "closed"))
    return "closed" if until == "closed" else "seen"


def _shown(time: datetime | None) -> str:
    return "a time that cannot be read" if time is None else time.isoformat(timespec="seconds")
