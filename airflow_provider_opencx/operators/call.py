"""The operator that lets an agent call people: each at most once, and only if and when it may."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, Unpack

from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_opencx.arguments import LEFT_OUT, LeftOut, check_boolean, check_choice, whole_number
from airflow_provider_opencx.asset_events import add_extra
from airflow_provider_opencx.campaigns.calling_hours import DEFAULT_HOURS
from airflow_provider_opencx.connection.form import DEFAULT_CONN_ID
from airflow_provider_opencx.exceptions import (
    OpenCXArgumentError,
    derive_from_airflow,
)
from airflow_provider_opencx.kinds import Kind
from airflow_provider_opencx.links.opencx import OpenCXPhoneAgentLink
from airflow_provider_opencx.operators.calling import (
    DEFAULT_MAX_CONTACTS,
    BaseCallingOperator,
    described,
)
from airflow_provider_opencx.templates import task_named
from airflow_provider_opencx.xcoms import CALL_KEYS, push_xcoms

# Large modules are imported where they are used, so that parsing a Dag stays fast.
if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg
    from pydantic import JsonValue

    from airflow_provider_opencx.airflow_arguments import BaseOperatorArguments
    from airflow_provider_opencx.campaigns.calls import CallsMade
    from airflow_provider_opencx.resources.calls import Callee

__all__ = ["OpenCXPlaceCallOperator"]

derive_from_airflow()


class OpenCXPlaceCallOperator(BaseCallingOperator):
    """Let an agent call a person, or each person of a list; nobody twice because something failed.

    Calls are placed only over a connection whose extra ``allow_calls`` is on. It is read again before each call.

    **At most once.** The intent is recorded before the request, and the outcome after it. A retry, a clear, or a task
    that another worker takes over, finds the record: a person who was called is not called again, and the result is
    that of the first call. If a person may have been called, because a response was lost or a worker was killed, that
    is an error that is not retried, or what ``on_unknown`` says. A new Dag run calls again. Records are kept in
    Airflow's task state store (3.3 and later) or under ``ledger_path`` (every Airflow); with neither, a second try is
    refused.

    **Whom and when.** At most ``max_contacts`` people are called, nobody on the do-not-call list, and nobody outside
    the calling hours in the person's time zone. These guards are checked before the first request, and once more before
    each. A backfill calls nobody. Consent, and the law where the people are, remain your duty.

    ``POST /phone/outbound-call`` is confirmed; the keys of its body are inferred, see ``body_style``.

    Give ``phone_number`` or ``contact_id`` to call one person, or ``contacts`` to call several in one task. Mapped over
    ``phone_number``, each person has a separate task. If a guard keeps a person from being called, the mapped task is
    skipped; in a list, the result of the person has the reason.

    :param agent_id: the agent that calls, by its id, or as another task returned it: ``agent_id=agent.output``. It must
        be outbound and have a phone number. (templated)
    :param agent_name: the agent, by its name. Give one of the two. (templated)
    :param phone_number: the number to call, in E.164 such as ``"+14155550100"``. (templated)
    :param contact_id: the contact to call, by its id in OpenCX. With a ``phone_number`` beside it, the guards check
        that number, and the contact is called; without one nothing can be checked, see ``unchecked``. (templated)
    :param contacts: the people to call: a list of numbers, or of mappings with ``phone_number`` or ``contact_id``; or
        the path of a CSV file with these columns, of a JSON list or of JSON lines, local or in Airflow's object
        storage. A person who is in it twice is called once. (templated)
    :param max_contacts: the most people that may be called, all mapped tasks together. Default 100; ``None`` means any
        number.
    :param do_not_call: who must not be called: a list of numbers, the path of a file as for ``contacts``, or a text of
        numbers such as ``"{{ var.value.do_not_call }}"``. They are compared as numbers. If the list cannot be read,
        nobody is called. Without this argument, there is no list. (templated)
    :param calling_hours: when people may be called, by the clock in the time zones of their numbers:
        ``"09:00-20:00"`` (default) for every day, a mapping such as ``{"mon-fri": "09:00-20:00"}``, or ``None`` for any
        time. If a number is used in several zones, all must allow it.
    :param outside_hours: what to do about a person at another time: ``"skip"`` (default), ``"fail"``, which is retried,
        or ``"reschedule"``: leave the worker and come back when it is time (Airflow 3.3 and later).
    :param unknown_zone: the time zone of people whose numbers do not show one, and of contacts without a number.
        Default ``None``: people with such numbers are not called.
    :param default_region: the country whose national numbers are read, such as ``"US"``. Default ``None``: a number
        begins with ``+``.
    :param unchecked: call contacts without a number, which cannot be compared with the numbers of the list, and show no
        time zone. Default ``False``.
    :param on_unknown: what to do about a person who may have been called by an earlier try: ``"fail"`` (default), which
        calls the others first, ``"skip"``, or ``"repeat"``, which calls if that was at least ten minutes ago.
    :param once_per: how long a record counts: ``"run"`` (default), or ``"ever"``, for every run and every task with the
        same ``ledger_path``.
    :param ledger_path: a folder in Airflow's object storage, or the absolute path of a local one that all workers
        share, for the records. Default ``None``: Airflow's task state store. (templated)
    :param allow_backfill: call in backfill runs as well. Default ``False``.
    :param body_style: how the keys of the body are written: ``"camel"``, ``"snake"`` or ``"both"``. Default ``None``:
        as the connection's extra ``call_body_style`` says, which is ``"camel"``.
    :param body: the whole JSON body, sent unchanged; for one person only. It must name the agent and the person.
        (templated)
    :param opencx_conn_id: the connection. Default ``opencx_default``. (templated)
    :return: of one person a dict, of ``contacts`` a list of such dicts: ``phone_number``, ``contact_id``, ``status``
        (``called``, ``unknown``, ``do_not_call``, ``unknown_zone`` or ``outside_hours``), ``agent_id``, ``called_at``,
        ``response`` (as the service returned it; whether it holds an id of the call is not known) and ``reason``. The
        XCom ``calls`` has this list even if the task fails. The ``phone_number``, the ``contact_id`` and the
        ``called_at`` of one person are also separate XComs.
    :raises OpenCXUnknownCallOutcomeError: if it is not known whether somebody was called.
    :raises OpenCXError: see :mod:`airflow_provider_opencx.exceptions`.
    """

    operator_extra_links = (OpenCXPhoneAgentLink(),)
    template_fields: Sequence[str] = (
        "agent_id",
        "agent_name",
        "phone_number",
        "contact_id",
        "contacts",
        "do_not_call",
        "ledger_path",
        "body",
        "opencx_conn_id",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"contacts": "json", "body": "json"}
    kinds_of_fields: ClassVar[Mapping[str, Kind]] = {
        "agent_id": Kind.TEXTS,
        "agent_name": Kind.TEXT,
        "phone_number": Kind.TEXT,
        "contact_id": Kind.TEXT,
        "contacts": Kind.TEXTS,
        "do_not_call": Kind.TEXTS,
        "ledger_path": Kind.TEXT,
        "body": Kind.JSON,
        "opencx_conn_id": Kind.TEXT,
    }

    def __init__(
        self,
        *,
        agent_id: str | Mapping[str, JsonValue] | XComArg | None = None,
        agent_name: str | XComArg | None = None,
        phone_number: str | XComArg | None = None,
        contact_id: str | XComArg | None = None,
        contacts: Sequence[str | Mapping[str, object]] | str | XComArg | None = None,
        max_contacts: int | None = DEFAULT_MAX_CONTACTS,
        do_not_call: Sequence[str | Mapping[str, object]] | str | XComArg | LeftOut = LEFT_OUT,
        calling_hours: str | Mapping[str, str] | None = DEFAULT_HOURS,
        outside_hours: Literal["skip", "fail", "reschedule"] = "skip",
        unknown_zone: str | None = None,
        default_region: str | None = None,
        unchecked: bool = False,
        on_unknown: Literal["fail", "skip", "repeat"] = "fail",
        once_per: Literal["run", "ever"] = "run",
        ledger_path: str | XComArg | None = None,
        allow_backfill: bool = False,
        body_style: Literal["camel", "snake", "both"] | None = None,
        body: Mapping[str, JsonValue] | XComArg | None = None,
        opencx_conn_id: str | XComArg = DEFAULT_CONN_ID,
        **kwargs: Unpack[BaseOperatorArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.agent_id = agent_id
        self.agent_name = agent_name
        self.phone_number = phone_number
        self.contact_id = contact_id
        self.contacts = contacts
        self.max_contacts = max_contacts
        self._set_guards(
            do_not_call=do_not_call,
            calling_hours=calling_hours,
            unknown_zone=unknown_zone,
            default_region=default_region,
            unchecked=unchecked,
            ledger_path=ledger_path,
            allow_backfill=allow_backfill,
        )
        self.outside_hours = outside_hours
        self.on_unknown = on_unknown
        self.once_per = once_per
        self.body_style = body_style
        self.body = body
        self._needs_body = body is not None
        self.opencx_conn_id = opencx_conn_id
        with task_named(self.task_id):
            self._check_arguments()

    def execute(self, context: Context) -> JsonValue:
        """Call who is to be called, and return the outcome of each."""
        self._skip_backfill(context)
        from airflow_provider_opencx.call_ledgers import ledger_of
        from airflow_provider_opencx.campaigns.calls import CallBatch, CallPolicy, CallSender
        from airflow_provider_opencx.mapped_calls import check_other_tasks, tell_other_tasks

        ledger, is_complete = ledger_of(context, ledger_path=self._checked_ledger_path(), once_per=self.once_per)
        tell_other_tasks(context, ledger)
        people = self._people(context)
        guards = self._guards()
        guards.check_known(people)
        client = self.hook.get_conn()
        batch = CallBatch(
            client,
            ledger,
            self._slots,
            CallPolicy(guards, self.on_unknown, self.outside_hours, self.once_per, described(context)),
            CallSender(client, self._find_agent, self._body_for),
            no_record_means_nothing_sent=is_complete,
        )
        made = batch.call(people, check_other_tasks(context, ledger, people))
        return self._concluded(context, made)

    def _people(self, context: Context) -> list[Callee]:
        """Return who is to be called, unless these are more than expected."""
        self._check_one_kind()
        if self.contacts is not None:
            return self._listed_people(context, self.contacts, self.max_contacts)
        self._check_mapped_count(context, 1, self.max_contacts)
        return [self._callee()]

    def _callee(self) -> Callee:
        """Return the one person that the arguments name."""
        from airflow_provider_opencx.campaigns.contacts import contact_id_of, number_of
        from airflow_provider_opencx.resources.calls import Callee

        self._check_one_kind()
        for argument, value in (("phone_number", self.phone_number), ("contact_id", self.contact_id)):
            if value is not None and not (isinstance(value, str) and value.strip()):
                raise OpenCXArgumentError(f"{argument}: must be a text that is not empty")
        try:
            number = None if self.phone_number is None else number_of(self.phone_number, self.default_region)
        except ValueError as problem:
            raise OpenCXArgumentError(f"phone_number: {problem}") from None
        try:
            contact_id = None if self.contact_id is None else contact_id_of(self.contact_id)
        except ValueError as problem:
            raise OpenCXArgumentError(f"contact_id: {problem}") from None
        return Callee(number, contact_id)

    def _slots(self, callee: Callee) -> Mapping[str, str]:
        """Return where the ledger has a person: each has its own slots, by which a list finds them as well.

        A task for one person has one slot, so that a later try notices when the person has changed.
        """
        from airflow_provider_opencx.campaigns.ledger import digests, slots_by_name

        slots = slots_by_name(callee)
        if self.contacts is None and self.ledger_path is None:
            slots |= zip(("one", "one.contact"), digests(callee), strict=False)
        return slots

    def _find_agent(self) -> str:
        """Return the id of the agent, which exists, is outbound and has a number."""
        from airflow_provider_opencx.campaigns.agent import check_can_call
        from airflow_provider_opencx.phone_agents.plan import checked_selector, describe_selector, not_found

        agent_id, agent_name = checked_selector(self.agent_id, self.agent_name)
        if agent_id is not None:
            agent = self.hook.get_phone_agent(agent_id)
        else:
            found = self.hook.find_phone_agent(agent_name or "")
            if found is None:
                raise not_found(describe_selector(agent_id, agent_name), [])
            agent = found
        check_can_call(agent)
        self.log.info("%s calls, from %s.", agent.label, agent.phone_number)
        self.linked_id = agent.id
        return agent.id

    def _body_for(self, agent_id: str, callee: Callee) -> Mapping[str, JsonValue]:
        from airflow_provider_opencx.reconciliation.secrets import check_fields
        from airflow_provider_opencx.resources.calls import call_body, checked_body

        if self.body is None and not self._needs_body:
            style = self.body_style or self.hook.get_conn().settings.call_body_style
            return call_body(agent_id, callee, style)
        body = checked_body(self.body, agent_id, callee)
        check_fields(body, "the body of a call", self.hook.get_conn().settings)
        return body

    def _concluded(self, context: Context, made: CallsMade) -> JsonValue:
        """Return the results, or end the task as they say."""
        results: list[JsonValue] = [result.as_dict() for result in made.in_order()]
        if "ti" in context and self.do_xcom_push:
            context["ti"].xcom_push(key="calls", value=results)
        if made.error is not None:
            raise made.error
        if made.opens_at is not None:
            self._come_back(made.opens_at)
        add_extra(self, context, {"called": made.called, "people": len(made.people)})
        if self.contacts is not None:
            self.log.info("%d of %d people were called.", made.called, len(made.people))
            return results
        [result] = made.in_order()
        if result.status != "called":
            ending = "" if result.status == "unknown" else ": not called."
            raise AirflowSkipException(f"{result.callee.label} {result.reason}{ending}")
        push_xcoms(self, context, result.as_dict(), CALL_KEYS)
        return results[0]

    def _check_one_kind(self) -> None:
        """Check that one person is named, or several are."""
        names_one = self.phone_number is not None or self.contact_id is not None
        if names_one == (self.contacts is not None):
            raise OpenCXArgumentError(
                "give phone_number or contact_id for one person, or contacts for several; one that was given is None"
                " where the task that should have returned it was skipped, or pushes no result"
            )
        if self.contacts is not None and self.body is not None:
            raise OpenCXArgumentError("body: is for one person; leave it out with contacts, or map over people")

    def _check_arguments(self) -> None:
        """Check what can be checked while the Dag is parsed."""
        self._check_templates()
        self._check_literal_conn_id()
        check_choice("outside_hours", self.outside_hours, ("skip", "fail", "reschedule"))
        check_choice("on_unknown", self.on_unknown, ("fail", "skip", "repeat"))
        check_choice("body_style", self.body_style, (None, "camel", "snake", "both"))
        check_boolean("unchecked", self.unchecked)
        check_boolean("allow_backfill", self.allow_backfill)
        self.max_contacts = whole_number("max_contacts", self.max_contacts)
        self._check_records(self.once_per, self.outside_hours)
        self._check_literals()

    def _check_literals(self) -> None:
        """Check what is written in the Dag itself, and not in a template."""
        if self._has_no_template(self.agent_id) and self._has_no_template(self.agent_name):
            from airflow_provider_opencx.phone_agents.plan import checked_selector

            checked_selector(self.agent_id, self.agent_name)
        named = (self.phone_number, self.contact_id, self.contacts)
        if all(map(self._has_no_template, named)):
            self._check_one_kind()
            if self.contacts is None:
                self._callee()
