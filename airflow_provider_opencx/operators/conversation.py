"""The operator that reports on conversations, such as those of the calls of a campaign."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar, Unpack

from airflow_provider_opencx.arguments import check_still_given, given, time_with_zone
from airflow_provider_opencx.asset_events import add_extra
from airflow_provider_opencx.connection.form import DEFAULT_CONN_ID
from airflow_provider_opencx.exceptions import OpenCXArgumentError, derive_from_airflow
from airflow_provider_opencx.kinds import Kind
from airflow_provider_opencx.operators.base import BaseOpenCXOperator
from airflow_provider_opencx.templates import task_named
from airflow_provider_opencx.xcoms import push_report

# Large modules are imported where they are used, so that parsing a Dag stays fast.
if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg
    from airflow.sdk.definitions.xcom_arg import PlainXComArg
    from pydantic import JsonValue

    from airflow_provider_opencx.airflow_arguments import BaseOperatorArguments
    from airflow_provider_opencx.conversations.report import Scope
    from airflow_provider_opencx.resources.calls import Callee

__all__ = ["OpenCXConversationReportOperator"]

derive_from_airflow()


class OpenCXConversationReportOperator(BaseOpenCXOperator):
    """Count conversations by status, closure, sentiment, language and day: as JSON, and as a table in Markdown.

    A call creates a conversation (``GET /chat/sessions``, confirmed). The conversation says neither whether the call
    was answered nor which agent or sequence called: only the time, the channel and the contact connect it to a
    campaign. The report shows the state when the task runs; an open conversation may be closed later.

    The operator writes nothing in OpenCX. It reads the list until nothing can be missing, even if the list moves
    meanwhile. Of each conversation, it keeps only the id and the counted values in memory.

    :param created_after: count the conversations that were created at this time or later: a ``datetime`` with a time
        zone, or such a text in ISO 8601. (templated)
    :param created_before: count those that were created before this time. Default ``None``: now. (templated)
    :param channel_type: count those of this channel, which the service selects. Default ``"phone_voice"``, which is
        calls; calls in a browser are ``"web_voice"``. ``None`` means any channel. (templated)
    :param contacts: the people of the campaign; only their conversations are counted: a list of numbers, or of
        mappings with ``phone_number`` or ``contact_id``; the path of a file of them, as
        :class:`.operators.call.OpenCXPlaceCallOperator` takes it; or what that operator returned, including people
        who were not called. Default ``None``: anybody. (templated)
    :param default_region: the country whose national numbers are read, such as ``"US"``. Default ``None``: a number
        begins with ``+``.
    :param timezone: the IANA name of the time zone in which a day begins. Default ``"UTC"``.
    :param opencx_conn_id: the connection. Default ``opencx_default``. (templated)
    :return: a dict of ``conversations`` (how many), ``created_after``, ``created_before``, ``timezone``,
        ``channel_type``, ``without_created_at`` (how many are not counted, because their time of creation cannot
        be read), ``people`` (``people``, ``with_conversation`` and ``without_conversation``; null without
        ``contacts``), ``by_status``, ``by_closure``, ``by_sentiment``, ``by_language`` and ``by_day`` (each a mapping
        of values to numbers), and ``markdown``. The XComs ``markdown`` and ``conversations`` have only these:
        ``report.output["markdown"]``.
    :raises OpenCXArgumentError: if a time has no zone, the times are in the wrong order, or somebody cannot be read.
    :raises OpenCXError: see :mod:`airflow_provider_opencx.exceptions`.
    """

    template_fields: Sequence[str] = ("created_after", "created_before", "channel_type", "contacts", "opencx_conn_id")
    template_fields_renderers: ClassVar[dict[str, str]] = {"contacts": "json"}
    kinds_of_fields: ClassVar[Mapping[str, Kind]] = {
        "created_after": Kind.TEXT,
        "created_before": Kind.TEXT,
        "channel_type": Kind.TEXT,
        "contacts": Kind.TEXTS,
        "opencx_conn_id": Kind.TEXT,
    }

    if TYPE_CHECKING:

        @property
        def output(self) -> PlainXComArg:
            """The output of the task. Airflow's own type does not have ``output["markdown"]``."""

    def __init__(
        self,
        *,
        created_after: datetime | str | XComArg,
        created_before: datetime | str | XComArg | None = None,
        channel_type: str | XComArg | None = "phone_voice",
        contacts: Sequence[str | Mapping[str, object]] | Mapping[str, object] | str | XComArg | None = None,
        default_region: str | None = None,
        timezone: str = "UTC",
        opencx_conn_id: str | XComArg = DEFAULT_CONN_ID,
        **kwargs: Unpack[BaseOperatorArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.created_after = created_after
        self.created_before = created_before
        self.channel_type = channel_type
        self.contacts = contacts
        self._given = given(created_before=created_before, channel_type=channel_type, contacts=contacts)
        self.default_region = default_region
        self.timezone = timezone
        self.opencx_conn_id = opencx_conn_id
        with task_named(self.task_id):
            self._check_arguments()

    def execute(self, context: Context) -> dict[str, JsonValue]:
        """Read the conversations, count them, log the report and return it."""
        from airflow_provider_opencx.conversations.report import count_conversations
        from airflow_provider_opencx.extraction.complete import complete_conversations

        scope = self._scope()
        people = self._people()
        conversations = complete_conversations(self.hook.get_conn(), scope.asked)
        report = count_conversations(conversations, scope, people=people, default_region=self.default_region)
        self.log.info("The report:\n%s", report.markdown)
        result = report.as_dict()
        push_report(self, context, result)
        add_extra(self, context, {"conversations": result["conversations"]})
        return result

    def _scope(self) -> Scope:
        from airflow_provider_opencx.conversations.report import Scope
        from airflow_provider_opencx.resources.conversations import checked_channel_type

        check_still_given(self, self._given)
        before = self.created_before
        return Scope(
            time_with_zone("created_after", self.created_after),
            datetime.now(UTC) if before is None else time_with_zone("created_before", before),
            self.timezone,
            checked_channel_type(self.channel_type),
        )

    def _people(self) -> list[Callee] | None:
        from airflow_provider_opencx.contact_files import people_in

        if self.contacts is None:
            return None
        contacts = [self.contacts] if isinstance(self.contacts, Mapping) else self.contacts
        return people_in(contacts, self.get_dag(), "contacts", default_region=self.default_region)

    def _check_arguments(self) -> None:
        """Check what can be checked while the Dag is parsed."""
        from airflow_provider_opencx.campaigns.calling_hours import check_zone
        from airflow_provider_opencx.phone_numbers import check_region
        from airflow_provider_opencx.resources.conversations import checked_channel_type

        self._check_templates()
        self._check_literal_conn_id()
        if self.timezone is None:
            raise OpenCXArgumentError("timezone: must be the IANA name of a time zone, such as 'UTC'")
        check_zone("timezone", self.timezone)
        check_region("default_region", self.default_region)
        if self._has_no_template(self.channel_type):
            checked_channel_type(self.channel_type)
        times = {"created_after": self.created_after, "created_before": self.created_before}
        for argument, time in times.items():
            if self._has_no_template(time) and argument in {"created_after", *self._given}:
                time_with_zone(argument, time)
