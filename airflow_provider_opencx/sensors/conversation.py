"""The sensor that waits until the conversation of a call appears, or is closed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Unpack

from airflow.providers.common.compat.sdk import conf

from airflow_provider_opencx.arguments import check_boolean
from airflow_provider_opencx.connection.form import DEFAULT_CONN_ID
from airflow_provider_opencx.exceptions import OpenCXConversationTimeoutError, derive_from_airflow
from airflow_provider_opencx.kinds import Kind
from airflow_provider_opencx.sensors.waiting import WaitingSensor
from airflow_provider_opencx.templates import task_named
from airflow_provider_opencx.xcoms import CONVERSATION_KEYS

# The API's models, the hook and the trigger are imported where they are used, so that parsing a Dag stays fast.
if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow.sdk import XComArg
    from airflow.sdk.definitions.xcom_arg import PlainXComArg
    from airflow.triggers.base import BaseTrigger
    from pydantic import JsonValue

    from airflow_provider_opencx.airflow_arguments import BaseSensorArguments
    from airflow_provider_opencx.conversations.waiting import ConversationWait
    from airflow_provider_opencx.conversations.wanted import Found, WantedConversation
    from airflow_provider_opencx.waiting import Poll

__all__ = ["OpenCXConversationSensor"]

derive_from_airflow()


class OpenCXConversationSensor(WaitingSensor):
    """Wait until the conversation of a call appears, or is closed, by polling ``GET /chat/sessions``.

    A conversation does not say which call it belongs to. The sensor takes the conversation with this person, on this
    channel, that was **created** at ``since`` or later. An older conversation that changes late does not count. If
    there are several, it takes the first one. The clocks of the worker and of the service may differ: if there is no
    later conversation, one that was created in the 60 s before ``since`` counts, and the log has a warning.

    A missing conversation is not the same as a missed call. The call may have been missed, and a missed call may create
    no conversation; the call may still be in progress; or the service may be late. The error of a timeout says so. A
    conversation also does not say whether the person answered the call, or how long it took: no page of the API has
    that.

    The modes poke, reschedule and deferrable give the same result and the same errors:

    - Up to five consecutive failed polls are tolerated. After a 429, the next poll comes later. A rejected key, a
      missing scope, and a service without conversations fail at once.
    - ``timeout`` fails the task, or skips it with ``soft_fail``; so does ``execution_timeout``, after which the task is
      retried, and which Airflow applies to each poll in mode reschedule. Errors are never skipped by ``soft_fail``.

    In mode reschedule, the worker is kept while polls fail; ``poke_interval`` should be a minute or more, as Airflow
    advises. A poll reads the list since ``since``, page by page: in the modes poke and reschedule for each task.
    Deferrable, the worker sends nothing at all, and the triggerer reads one list an interval for all tasks that wait
    over the connection; ``exponential_backoff`` and ``silent_fail`` then have no effect, and no task resumes sooner
    than ten seconds after it deferred, because Airflow fails tasks that do.

    The list, its bounds by time, the fields of a conversation and the channel of calls are on the vendor's pages. No
    page says when the list shows the conversation of a call: during the call or after it.

    :param phone_number: the number of the person who was called, in E.164, such as ``"+14155550100"``. It is compared
        with the number of the conversation's contact. (templated)
    :param contact_id: the contact who was called, by its id. Give one of the two. (templated)
    :param since: when the call was made: a datetime with a time zone, or the same in ISO 8601, such as
        ``call.output["called_at"]``. (templated)
    :param channel_type: the channel of the conversation. Default ``"phone_voice"``; ``None`` means any, also e-mail.
        A conversation without a channel counts only with ``None``.
    :param until: what is waited for: ``"seen"`` (default), or ``"closed"``, after which its sentiment and its end are
        known.
    :param deferrable: wait in the triggerer. Default: ``[operators] default_deferrable``.
    :param opencx_conn_id: the connection. Default ``opencx_default``. (templated)
    :return: the conversation, as a dict with the API's field names. Its ``id`` and its ``status`` are XComs of their
        own as well.
    :raises OpenCXError: see :mod:`airflow_provider_opencx.exceptions`.
    """

    template_fields: Sequence[str] = ("phone_number", "contact_id", "since", "opencx_conn_id")
    kinds_of_fields: ClassVar[Mapping[str, Kind]] = dict.fromkeys(template_fields, Kind.TEXT)
    xcom_keys = CONVERSATION_KEYS
    plural = "conversations"
    _timeout_error = OpenCXConversationTimeoutError

    if TYPE_CHECKING:

        @property
        def output(self) -> PlainXComArg:
            """The output of the task. Airflow's own type does not have ``output["id"]``."""

    def __init__(
        self,
        *,
        phone_number: str | XComArg | None = None,
        contact_id: str | XComArg | None = None,
        since: datetime | str | XComArg,
        channel_type: str | None = "phone_voice",
        until: Literal["seen", "closed"] = "seen",
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        opencx_conn_id: str | XComArg = DEFAULT_CONN_ID,
        **kwargs: Unpack[BaseSensorArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.phone_number = phone_number
        self.contact_id = contact_id
        self.since = since
        self.channel_type = channel_type
        self.until = until
        self.deferrable = deferrable
        self.opencx_conn_id = opencx_conn_id
        with task_named(self.task_id):
            self._check_arguments()

    def _check_arguments(self) -> None:
        """Check what can be checked while the Dag is parsed."""
        from airflow_provider_opencx.conversations.waiting import checked_until
        from airflow_provider_opencx.conversations.wanted import checked_person, checked_since
        from airflow_provider_opencx.resources.conversations import checked_channel_type

        check_boolean("deferrable", self.deferrable)
        checked_until(self.until)
        checked_channel_type(self.channel_type)
        self._check_templates()
        self._check_literal_conn_id()
        if self._has_no_template([self.phone_number, self.contact_id]):
            checked_person(self.phone_number, self.contact_id)
        if self._has_no_template(self.since):
            checked_since(self.since)

    @cached_property
    def _waiting(self) -> ConversationWait:
        from airflow_provider_opencx.conversations.waiting import ConversationWait

        return ConversationWait(
            phone_number=self.phone_number,
            contact_id=self.contact_id,
            since=self.since,
            channel_type=self.channel_type,
            until=self.until,
        )

    def _poll_once(self) -> Poll[None]:
        from airflow_provider_opencx.conversations.polling import poll_once

        return poll_once(self._read, self._waiting)

    def _read(self, wanted: Collection[WantedConversation]) -> Found:
        from airflow_provider_opencx.conversations.polling import read_conversations

        return read_conversations(self.hook.get_conn(), wanted)

    def _result_of(self, event: Mapping[str, Any] | None) -> JsonValue:
        from airflow_provider_opencx.triggers.conversation import result_of

        return result_of(event)

    def _success(self, result: JsonValue) -> str:
        from airflow_provider_opencx.conversations.waiting import success

        return success(result, self.until)

    def _trigger(self) -> Callable[..., BaseTrigger]:
        from airflow_provider_opencx.triggers.conversation import OpenCXConversationTrigger

        wanted = self._waiting.wanted
        return partial(
            OpenCXConversationTrigger,
            opencx_conn_id=self._conn_id,
            phone_number=wanted.callee.phone_number,
            contact_id=wanted.callee.contact_id,
            since=wanted.since.isoformat(),
            channel_type=wanted.channel_type,
            until=self.until,
            poll_interval=self.poke_interval,
        )
