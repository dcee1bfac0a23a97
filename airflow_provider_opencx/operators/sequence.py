"""The operators for sequences: create, start and cancel one, and add people to a continuous one."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar, Literal, Unpack

from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_opencx.arguments import LEFT_OUT, LeftOut, check_boolean, check_choice, whole_number
from airflow_provider_opencx.asset_events import add_extra, extra_of
from airflow_provider_opencx.campaigns.calling_hours import DEFAULT_HOURS
from airflow_provider_opencx.campaigns.sequences.steps import phone_step
from airflow_provider_opencx.connection.form import DEFAULT_CONN_ID
from airflow_provider_opencx.exceptions import OpenCXArgumentError, OpenCXOutsideCallingHoursError, derive_from_airflow
from airflow_provider_opencx.kinds import Kind
from airflow_provider_opencx.links.opencx import OpenCXSequenceLink
from airflow_provider_opencx.operators.base import BaseOpenCXOperator
from airflow_provider_opencx.operators.calling import (
    DEFAULT_MAX_CONTACTS,
    BaseCallingOperator,
    described,
)
from airflow_provider_opencx.templates import task_named
from airflow_provider_opencx.xcoms import SEQUENCE_KEYS, push_xcoms, push_zones

# Large modules are imported where they are used, so that parsing a Dag stays fast.
if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg
    from pydantic import JsonValue

    from airflow_provider_opencx.airflow_arguments import BaseOperatorArguments
    from airflow_provider_opencx.campaigns.calls import CallsMade
    from airflow_provider_opencx.campaigns.guards import DoNotCall
    from airflow_provider_opencx.campaigns.sequences.declaration import AskedSequence, SequenceDeclaration
    from airflow_provider_opencx.campaigns.sequences.guards import StartGuards
    from airflow_provider_opencx.resources.calls import Callee
    from airflow_provider_opencx.resources.sequences import OutboundSequence

__all__ = [
    "OpenCXAddContactsToSequenceOperator",
    "OpenCXCancelSequenceOperator",
    "OpenCXCreateSequenceOperator",
    "OpenCXStartSequenceOperator",
    "phone_step",
]

derive_from_airflow()

DEFAULT_BATCH_SIZE = 100

_EVENT_KEYS = ("id", "custom_id", "name", "status")

People = Sequence[str | Mapping[str, object]] | str
"""People as written: a list of numbers and mappings, or the path of a file."""


class OpenCXCreateSequenceOperator(BaseCallingOperator):
    """Create a one-off sequence as declared, unless it exists. It calls nobody before it is started.

    The sequence is found again by its ``custom_id``, so a lost response or a second try creates no second sequence. If
    the service does not find sequences by ``custom_id``, this is logged after the first create. A sequence that is left
    over was never started. If a sequence has not begun, it is changed where its people or steps differ. If it has
    begun, it is not changed.

    **Whom it calls.** ``contacts_from`` lists people. They are compared with the do-not-call list, and each must be
    exactly one contact of the organization. With any other ``filter``, the service selects the people, so they cannot
    be checked: it needs ``unchecked=True``. A null or empty filter would select everybody, and is never sent.

    After a write, the sequence is read back and compared with the declaration, because the service silently drops
    fields that it does not know. A difference is an error that is not retried. If the service has made the sequence
    continuous, it may call by itself, and is canceled at once.

    ``POST /sequences`` and ``GET /sequences/{id}`` are confirmed; the step that calls, the condition on numbers and the
    change of steps and filter are inferred. The connection must allow calls.

    :param name: the name of the sequence. (templated)
    :param steps: the steps: ``[phone_step(agent.output)]``, or steps in the form of the API.
        (templated)
    :param contacts_from: the people to call: a list of numbers, or of mappings with ``phone_number`` or ``contact_id``;
        or the path of a file as for :class:`.operators.call.OpenCXPlaceCallOperator`. (templated)
    :param filter: whom the service selects, in the form of the API. Give one of the two. (templated)
    :param custom_id: the text by which the sequence is found again, 50 characters at most. Default ``None``: made from
        the Dag, the task, the run and the map index, so that each run has its own sequence. (templated)
    :param max_contacts: how many people ``contacts_from`` or the filter may list. It counts for each mapped task.
        Default 100; ``None`` means any number.
    :param do_not_call: who is left out, as for :class:`.operators.call.OpenCXPlaceCallOperator`. With
        ``check_contacts``, numbers and ids of contacts are compared with each other. A ``filter`` that lists a person
        on this list is refused, and so is a filter whose people the service selects. (templated)
    :param calling_hours: when it is to be started, as :class:`OpenCXStartSequenceOperator` takes it. Here, unless it is
        ``None``, people whose number shows no time zone are left out, and people who have no hour in common are
        refused. Default ``"09:00-20:00"``.
    :param unknown_zone: the time zone of people whose numbers do not show one, and of contacts without a number.
        Default ``None``: people with such numbers are left out.
    :param default_region: the country whose national numbers are read, such as ``"US"``: those of the lists, and those
        of contacts. Default ``None``.
    :param check_contacts: read the contacts of the organization, and compare the people with them. Default ``True``;
        ``False`` saves the requests where there are very many, and the scope ``contacts:read``. A contact on the
        do-not-call list is then not compared with numbers, which is logged as a warning.
    :param missing_contacts: what to do about people who are not contacts, whom a sequence does not reach: ``"fail"``
        (default) or ``"leave_out"``.
    :param unchecked: accept a filter whose people cannot be checked, and contacts without a number. Default ``False``.
    :param opencx_conn_id: the connection. Default ``opencx_default``. (templated)
    :return: a dict: ``id``, ``custom_id``, ``name``, ``status`` and ``started_at`` as the service has them; ``people``
        (how many are listed, null if the service selects them), ``left_out`` (how many, by the reason), ``zones`` (the
        time zones of the people) and ``asked`` (what the start compares with: the steps, with their actions as the
        service stores them, and a digest of the filter). It holds no number. The ``id``, the ``custom_id`` and the
        ``zones`` are also separate XComs.
    :raises OpenCXSequenceRefusedError: if the sequence has begun and differs, is canceled, or selects people who cannot
        be checked.
    :raises OpenCXSequenceMismatchError: if the service stores it differently.
    :raises OpenCXError: see :mod:`airflow_provider_opencx.exceptions`.
    """

    operator_extra_links = (OpenCXSequenceLink(),)
    template_fields: Sequence[str] = (
        "name",
        "steps",
        "contacts_from",
        "filter",
        "custom_id",
        "do_not_call",
        "opencx_conn_id",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "steps": "json",
        "contacts_from": "json",
        "filter": "json",
    }
    kinds_of_fields: ClassVar[Mapping[str, Kind]] = {
        "name": Kind.TEXT,
        "steps": Kind.JSON,
        "contacts_from": Kind.TEXTS,
        "filter": Kind.JSON,
        "custom_id": Kind.TEXT,
        "do_not_call": Kind.TEXTS,
        "opencx_conn_id": Kind.TEXT,
    }

    def __init__(
        self,
        *,
        name: str | XComArg,
        steps: Sequence[Mapping[str, object]] | XComArg,
        contacts_from: People | XComArg | None = None,
        filter: Mapping[str, JsonValue] | XComArg | None = None,
        custom_id: str | XComArg | None = None,
        max_contacts: int | None = DEFAULT_MAX_CONTACTS,
        do_not_call: People | XComArg | LeftOut = LEFT_OUT,
        calling_hours: str | Mapping[str, str] | None = DEFAULT_HOURS,
        unknown_zone: str | None = None,
        default_region: str | None = None,
        check_contacts: bool = True,
        missing_contacts: Literal["fail", "leave_out"] = "fail",
        unchecked: bool = False,
        opencx_conn_id: str | XComArg = DEFAULT_CONN_ID,
        **kwargs: Unpack[BaseOperatorArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.steps = steps
        self.contacts_from = contacts_from
        self.filter = filter
        self.custom_id = custom_id
        self._needs_custom_id = custom_id is not None
        self.max_contacts = max_contacts
        self._set_guards(
            do_not_call=do_not_call,
            calling_hours=calling_hours,
            unknown_zone=unknown_zone,
            default_region=default_region,
            unchecked=unchecked,
            ledger_path=None,
            allow_backfill=True,
        )
        self.check_contacts = check_contacts
        self.missing_contacts = missing_contacts
        self.opencx_conn_id = opencx_conn_id
        with task_named(self.task_id):
            self._check_arguments()

    def execute(self, context: Context) -> JsonValue:
        """Create the sequence, or bring it to its declaration, and return it."""
        from airflow_provider_opencx.call_ledgers import ledger_of
        from airflow_provider_opencx.campaigns.sequences.creation import make_sequence
        from airflow_provider_opencx.mapped_calls import check_other_tasks, keep_people, tell_other_tasks

        ledger, _ = ledger_of(context, ledger_path=None, once_per="run")
        tell_other_tasks(context, ledger)
        people, spellings, left_out = self._people()
        check = check_other_tasks(context, ledger, people or ())
        for callee in people or ():
            check(callee)
        declared = self._declared(context, people, spellings)
        keep_people(context, ledger, people or ())
        sequence = make_sequence(
            self.hook.get_conn(), declared, ledger, by=described(context), must_be_found=self._needs_custom_id
        )
        result = self._result(sequence, declared, people, left_out)
        push_xcoms(self, context, result, SEQUENCE_KEYS)
        push_zones(self, context, result["zones"])
        _report(self, context, sequence, people=result["people"])
        return result

    def _people(self) -> tuple[list[Callee] | None, Mapping[Callee, Sequence[str]], dict[str, int]]:
        """Return the people who are listed, ``None`` if the service selects them.

        Also how their contacts have their numbers, where that is not E.164; and how many are left out, by the reason.
        Nobody is left out silently: the log names them.
        """
        self._check_one_selection()
        if self.contacts_from is None:
            return None, {}, {}
        from airflow_provider_opencx.campaigns.guards import NEVER, check_count
        from airflow_provider_opencx.campaigns.sequences.guards import check_common_hours

        people = self._people_in(self.contacts_from, self.max_contacts, "contacts_from")
        check_count(len(people), self.max_contacts, "contacts_from holds")
        guards = self._guards()
        guards.check_known(people)
        verdicts = [(callee, guards.verdict(callee, datetime.fromtimestamp(time.time(), UTC))) for callee in people]
        left_out: Counter[str] = Counter()
        for callee, verdict in verdicts:
            if verdict.hindrance is not None and verdict.hindrance in NEVER:
                self.log.info("%s %s: left out.", callee.label, verdict.reason)
                left_out[verdict.hindrance] += 1
        people = [callee for callee, verdict in verdicts if verdict.hindrance not in NEVER]
        zones = {zone for _, verdict in verdicts if verdict.hindrance not in NEVER for zone in verdict.zones}
        check_common_hours(guards.hours, zones, datetime.fromtimestamp(time.time(), UTC))
        people, spellings = self._contacts_among(people, guards.do_not_call, left_out)
        if not people:
            raise AirflowSkipException("Nobody is left to be called, so no sequence is made.")
        return people, spellings, dict(left_out)

    def _contacts_among(
        self, people: list[Callee], do_not_call: DoNotCall | None, left_out: Counter[str]
    ) -> tuple[list[Callee], Mapping[Callee, Sequence[str]]]:
        """Return the people whom a sequence reaches, and how their contacts have their numbers; count the others."""
        from airflow_provider_opencx.campaigns.sequences.guards import KnownContacts, warn_of_contacts

        if not self.check_contacts:
            warn_of_contacts(
                do_not_call, people, "such a person is called if the filter lists the number (check_contacts)"
            )
            return people, {}
        if not people:
            return people, {}
        contacts = self.hook.list_contacts()
        known = KnownContacts.of(people, contacts, default_region=self.default_region)
        must_not = known.on(do_not_call)
        for callee in must_not:
            self.log.info("%s is a contact that is on the do-not-call list: left out.", callee.label)
            left_out["do_not_call"] += 1
        if must_not:
            people = [callee for callee in people if callee not in must_not]
            known = KnownContacts.of(people, contacts, default_region=self.default_region)
        known.check_repeated()
        if self.missing_contacts == "fail":
            known.check_missing()
        for callee in known.missing:
            self.log.info("%s is not a contact of the organization: left out.", callee.label)
            left_out["missing"] += 1
        return [callee for callee in people if callee not in known.missing], known.spellings

    def _declared(
        self, context: Context, people: list[Callee] | None, spellings: Mapping[Callee, Sequence[str]]
    ) -> SequenceDeclaration:
        from airflow_provider_opencx.campaigns.sequences.declaration import SequenceDeclaration
        from airflow_provider_opencx.campaigns.sequences.filters import checked_filter, filter_of
        from airflow_provider_opencx.campaigns.sequences.guards import check_do_not_call, check_selection
        from airflow_provider_opencx.campaigns.sequences.steps import checked_steps

        selection = checked_filter(self.filter) if people is None else filter_of(people, spellings)
        if people is None:
            check_do_not_call(selection, self._do_not_call())
        check_selection(selection, self.max_contacts, unchecked=self.unchecked)
        return SequenceDeclaration(str(self.name), self._custom_id(context), selection, checked_steps(self.steps))

    def _custom_id(self, context: Context) -> str:
        from airflow_provider_opencx.campaigns.sequences.declaration import custom_id_of

        if self._needs_custom_id:
            if not isinstance(self.custom_id, str):
                raise OpenCXArgumentError("custom_id: must be a text that is not empty")
            return self.custom_id
        instance = context.get("ti")
        if instance is None:
            raise OpenCXArgumentError("custom_id: must be given where there is no Dag run to make it from")
        return custom_id_of(instance.dag_id, instance.task_id, instance.run_id, str(instance.map_index))

    def _result(
        self,
        sequence: OutboundSequence,
        declared: SequenceDeclaration,
        people: list[Callee] | None,
        left_out: Mapping[str, int],
    ) -> dict[str, JsonValue]:
        from airflow_provider_opencx.campaigns.calling_hours import zones_of

        zones = {zone for callee in people or () for zone in zones_of(callee.phone_number, self.unknown_zone)}
        return {
            "id": sequence.id,
            "custom_id": sequence.custom_id,
            "name": sequence.name,
            "status": sequence.status,
            "started_at": sequence.started_at,
            "people": declared.asked.people,
            "left_out": dict(left_out),
            "zones": [*sorted(zones)],
            "asked": declared.asked.as_confirmed(sequence).as_json(),
        }

    def _check_one_selection(self) -> None:
        if (self.contacts_from is None) == (self.filter is None):
            raise OpenCXArgumentError(
                "give contacts_from, which lists people, or filter; one that was given is None where the task that"
                " should have returned it was skipped, or pushes no result. A filter that is None is never sent: it"
                " selects every contact of the organization."
            )

    def _check_arguments(self) -> None:
        """Check what can be checked while the Dag is parsed."""
        self._check_templates()
        self._check_literal_conn_id()
        check_choice("missing_contacts", self.missing_contacts, ("fail", "leave_out"))
        check_boolean("check_contacts", self.check_contacts)
        check_boolean("unchecked", self.unchecked)
        self.max_contacts = whole_number("max_contacts", self.max_contacts)
        self._check_hours_and_region()
        if self._has_no_template(self.contacts_from) and self._has_no_template(self.filter):
            self._check_one_selection()


class OpenCXStartSequenceOperator(BaseCallingOperator):
    """Start a one-off sequence, at most once: from then on the service calls its people, step by step.

    **Checks before the start.** The stored filter and steps are read back and compared with the declaration. The agents
    of the steps must be outbound and have numbers. Nobody among the people may be on the do-not-call list, or outside
    the calling hours. A difference is an error that is not retried, and nothing is started.

    **At most once.** The start is recorded before it is sent. If its outcome is not known, because a response was lost
    or a worker was killed, the sequence is read for two minutes, and the start is never sent again. A clear never
    starts a sequence again, and a backfill never starts one.

    **The hours hold at the start.** The service times the steps that follow: a step with a delay may call at another
    hour. Choose delays that keep to the hours, and see the docs.

    ``PUT /sequences/{id}/start`` is on the pages of 2024, and in the navigation of 2025.

    :param sequence_id: the sequence: what :class:`OpenCXCreateSequenceOperator` returned
        (``sequence_id=sequence.output``), or an id or custom id. With only an id, there is no declaration to compare
        with: the guards apply to the people whom the stored filter lists. (templated)
    :param max_contacts: if only an id is given: how many people it may select. Default 100; ``None`` means any number.
    :param do_not_call: who must not be called, as for :class:`.operators.call.OpenCXPlaceCallOperator`: read once more,
        because the create may have been days ago. If somebody on it is among the people, the sequence is not started.
        (templated)
    :param calling_hours: when it may be started, by the clocks of all its people: ``"09:00-20:00"`` (default) for every
        day, a mapping such as ``{"mon-fri": "09:00-20:00"}``, or ``None`` for any time.
    :param outside_hours: what to do at another time: ``"fail"`` (default), which is retried (before Airflow 3.3 only
        with a ``ledger_path``); or ``"reschedule"``: leave the worker and come back when it is time (Airflow 3.3 and
        later).
    :param unknown_zone: the time zone of people whose numbers do not show one, of contacts without a number, and of
        people whom the service selects. Default ``None``: with such numbers the sequence is not started; for people
        whom the service selects, the hours are not checked.
    :param default_region: the country of national numbers in ``do_not_call``. Default ``None``.
    :param unchecked: start a sequence whose people, or whose agent, cannot be checked. Default ``False``.
    :param ledger_path: where the start is recorded, as for :class:`.operators.call.OpenCXPlaceCallOperator`. Default
        ``None``: Airflow's task state store. (templated)
    :param allow_backfill: start in backfill runs as well. Default ``False``.
    :param opencx_conn_id: the connection. Default ``opencx_default``. (templated)
    :return: the sequence as the service shows it after the start, without its filter. The ``id`` and the ``custom_id``
        are also separate XComs.
    :raises OpenCXUnknownStartError: if it is not known whether the sequence has begun.
    :raises OpenCXError: see :mod:`airflow_provider_opencx.exceptions`.
    """

    operator_extra_links = (OpenCXSequenceLink(),)
    template_fields: Sequence[str] = ("sequence_id", "do_not_call", "ledger_path", "opencx_conn_id")
    kinds_of_fields: ClassVar[Mapping[str, Kind]] = {
        "sequence_id": Kind.TEXTS,
        "do_not_call": Kind.TEXTS,
        "ledger_path": Kind.TEXT,
        "opencx_conn_id": Kind.TEXT,
    }

    def __init__(
        self,
        *,
        sequence_id: str | Mapping[str, JsonValue] | XComArg,
        max_contacts: int | None = DEFAULT_MAX_CONTACTS,
        do_not_call: People | XComArg | LeftOut = LEFT_OUT,
        calling_hours: str | Mapping[str, str] | None = DEFAULT_HOURS,
        outside_hours: Literal["fail", "reschedule"] = "fail",
        unknown_zone: str | None = None,
        default_region: str | None = None,
        unchecked: bool = False,
        ledger_path: str | XComArg | None = None,
        allow_backfill: bool = False,
        opencx_conn_id: str | XComArg = DEFAULT_CONN_ID,
        **kwargs: Unpack[BaseOperatorArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.sequence_id = sequence_id
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
        self.opencx_conn_id = opencx_conn_id
        with task_named(self.task_id):
            self._check_arguments()

    def execute(self, context: Context) -> JsonValue:
        """Start the sequence, and return it as the service shows it then."""
        self._skip_backfill(context)
        from airflow_provider_opencx.call_ledgers import is_mapped, ledger_of
        from airflow_provider_opencx.campaigns.sequences.start import SLOT, start_once

        ledger, is_complete = ledger_of(context, ledger_path=self._checked_ledger_path(), once_per="run")
        guards = self._start_guards()
        try:
            sequence = start_once(
                self.hook.get_conn(),
                _id_of(self.sequence_id),
                ledger,
                lambda found: guards.check(found, datetime.fromtimestamp(time.time(), UTC)),
                prepare=self._check_agents,
                # With a ledger_path, tasks that are mapped over sequences share one folder.
                slot=f"{SLOT}.{context['ti'].map_index}" if is_mapped(context) else SLOT,
                by=described(context),
                no_record_means_nothing_sent=is_complete,
            )
        except OpenCXOutsideCallingHoursError as outside:
            if self.outside_hours == "reschedule" and outside.opens_at is not None:
                self._come_back(datetime.fromisoformat(outside.opens_at))
            raise
        result = sequence.as_result()
        push_xcoms(self, context, result, SEQUENCE_KEYS)
        _report(self, context, sequence)
        return result

    def _start_guards(self) -> StartGuards:
        from airflow_provider_opencx.campaigns.sequences.guards import StartGuards

        return StartGuards(self._guards(), self._asked(), self.max_contacts)

    def _asked(self) -> AskedSequence | None:
        from airflow_provider_opencx.campaigns.sequences.declaration import AskedSequence

        given = self.sequence_id
        return AskedSequence.from_result(given) if isinstance(given, Mapping) else None

    def _check_agents(self, sequence: OutboundSequence) -> None:
        _check_agents(self, sequence, is_asked=self._asked() is not None)

    def _check_arguments(self) -> None:
        """Check what can be checked while the Dag is parsed."""
        self._check_templates()
        self._check_literal_conn_id()
        check_choice("outside_hours", self.outside_hours, ("fail", "reschedule"))
        check_boolean("unchecked", self.unchecked)
        check_boolean("allow_backfill", self.allow_backfill)
        self.max_contacts = whole_number("max_contacts", self.max_contacts)
        self._check_records("run", self.outside_hours)
        if self._has_no_template(self.sequence_id):
            _id_of(self.sequence_id)


class OpenCXCancelSequenceOperator(BaseOpenCXOperator):
    """Cancel a sequence, and wait until the service shows it. A sequence that is over is left unchanged.

    It needs no connection that allows calls. As a teardown task, it cancels the sequence of a failed run: ``create >>
    start >> ended >> cancel.as_teardown(setups=create)``, where ``ended`` is an
    :class:`.sensors.sequence.OpenCXSequenceSensor`. Without the sensor, the campaign is canceled as soon as it has
    begun, even if nothing has failed.

    ``PUT /sequences/{id}/cancel`` is on the pages of 2024, and in the navigation of 2025.

    :param sequence_id: the sequence, as another operator returned it, or an id or custom id. If the task that should
        have returned it has not, this task is skipped. (templated)
    :param opencx_conn_id: the connection. Default ``opencx_default``. (templated)
    :return: the sequence as the service shows it then, without its filter.
    :raises OpenCXUnknownOutcomeError: if the service accepts it, and does not show that it is canceled. Retried.
    :raises OpenCXError: see :mod:`airflow_provider_opencx.exceptions`.
    """

    operator_extra_links = (OpenCXSequenceLink(),)
    template_fields: Sequence[str] = ("sequence_id", "opencx_conn_id")
    kinds_of_fields: ClassVar[Mapping[str, Kind]] = {"sequence_id": Kind.TEXTS, "opencx_conn_id": Kind.TEXT}

    def __init__(
        self,
        *,
        sequence_id: str | Mapping[str, JsonValue] | XComArg,
        opencx_conn_id: str | XComArg = DEFAULT_CONN_ID,
        **kwargs: Unpack[BaseOperatorArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.sequence_id = sequence_id
        self.opencx_conn_id = opencx_conn_id
        with task_named(self.task_id):
            self._check_templates()
            self._check_literal_conn_id()
            if self._has_no_template(sequence_id):
                _id_of(sequence_id)

    def execute(self, context: Context) -> JsonValue:
        """Cancel the sequence, and return it as the service shows it then."""
        from airflow_provider_opencx.campaigns.sequences.start import cancel

        given: object = self.sequence_id
        if given is None:
            raise AirflowSkipException("No sequence was made, so none is canceled.")
        sequence = cancel(self.hook.get_conn(), _id_of(given))
        _report(self, context, sequence)
        return sequence.as_result()


class OpenCXAddContactsToSequenceOperator(BaseCallingOperator):
    """Add people to a continuous sequence, each at most once: the service calls them, step by step, from then on.

    The people are added in slices, and each is recorded before its slice is sent, as
    :class:`.operators.call.OpenCXPlaceCallOperator` records calls. A retry or a clear adds the remaining people. If it
    is not known whether a person was added, that is an error that is not retried, or what ``on_unknown`` says.

    The filter of the sequence is read first. People whom it does not admit are named in the log and not added, because
    the service would skip them silently. A person who is not a contact yet becomes one.

    ``POST /sequences/{id}/contacts`` is confirmed.

    :param sequence_id: the sequence, by its id or custom id, or as another task returned it. (templated)
    :param contacts: the people, as for :class:`.operators.call.OpenCXPlaceCallOperator`. (templated)
    :param batch_size: how many people one request adds at the most. Default 100.
    :param max_contacts: the most people that may be added, all mapped tasks together. Default 100; ``None`` means any
        number.
    :param do_not_call: who must not be called. (templated)
    :param calling_hours: when people may be added, by the clocks of their numbers: the first step may call at once.
        Default ``"09:00-20:00"``; ``None`` means any time. Later steps are timed by the service.
    :param outside_hours: what to do about a person at another time: ``"skip"`` (default), ``"fail"`` or
        ``"reschedule"`` (Airflow 3.3 and later).
    :param unknown_zone: the time zone of people whose numbers do not show one, and of contacts without a number.
        Default ``None``: people with such numbers are not added.
    :param default_region: the country whose national numbers are read. Default ``None``.
    :param unchecked: add contacts without a number, or to a sequence whose agent cannot be determined. Default
        ``False``.
    :param on_unknown: what to do about people who may have been added by an earlier try: ``"fail"`` (default),
        ``"skip"`` or ``"repeat"``.
    :param once_per: how long a record counts: ``"run"`` (default), or ``"ever"`` with a ``ledger_path``: people
        who were called, or added to another sequence, with the same path are left out.
    :param ledger_path: where records are kept. Default ``None``: Airflow's task state store. (templated)
    :param allow_backfill: add people in backfill runs as well. Default ``False``.
    :param opencx_conn_id: the connection. Default ``opencx_default``. (templated)
    :return: a dict: ``sequence_id``, ``run_ids`` (one a slice), ``added`` and ``not_admitted`` (how many people), and
        ``contacts``, a list of the people with ``phone_number``, ``contact_id``, ``status`` (``added``,
        ``not_admitted``, ``reached_elsewhere``, ``unknown``, ``do_not_call``, ``unknown_zone`` or ``outside_hours``),
        ``sequence_id``, ``run_id``, ``added_at`` and ``reason``. The XCom ``added`` has it even if the task fails.
    :raises OpenCXSequenceRefusedError: if the sequence is not one to add people to, or an earlier try of the task has
        added people to another one.
    :raises OpenCXUnknownCallOutcomeError: if it is not known whether people were added.
    :raises OpenCXError: see :mod:`airflow_provider_opencx.exceptions`.
    """

    operator_extra_links = (OpenCXSequenceLink(),)
    template_fields: Sequence[str] = ("sequence_id", "contacts", "do_not_call", "ledger_path", "opencx_conn_id")
    template_fields_renderers: ClassVar[dict[str, str]] = {"contacts": "json"}
    kinds_of_fields: ClassVar[Mapping[str, Kind]] = {
        "sequence_id": Kind.TEXTS,
        "contacts": Kind.TEXTS,
        "do_not_call": Kind.TEXTS,
        "ledger_path": Kind.TEXT,
        "opencx_conn_id": Kind.TEXT,
    }

    def __init__(
        self,
        *,
        sequence_id: str | Mapping[str, JsonValue] | XComArg,
        contacts: People | XComArg,
        batch_size: int = DEFAULT_BATCH_SIZE,
        max_contacts: int | None = DEFAULT_MAX_CONTACTS,
        do_not_call: People | XComArg | LeftOut = LEFT_OUT,
        calling_hours: str | Mapping[str, str] | None = DEFAULT_HOURS,
        outside_hours: Literal["skip", "fail", "reschedule"] = "skip",
        unknown_zone: str | None = None,
        default_region: str | None = None,
        unchecked: bool = False,
        on_unknown: Literal["fail", "skip", "repeat"] = "fail",
        once_per: Literal["run", "ever"] = "run",
        ledger_path: str | XComArg | None = None,
        allow_backfill: bool = False,
        opencx_conn_id: str | XComArg = DEFAULT_CONN_ID,
        **kwargs: Unpack[BaseOperatorArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.sequence_id = sequence_id
        self.contacts = contacts
        self.batch_size = batch_size
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
        self.opencx_conn_id = opencx_conn_id
        with task_named(self.task_id):
            self._check_arguments()

    def execute(self, context: Context) -> JsonValue:
        """Add those who are to be added, and return the outcome of each."""
        self._skip_backfill(context)
        from airflow_provider_opencx.call_ledgers import ledger_of
        from airflow_provider_opencx.campaigns.calls import CallBatch, CallPolicy
        from airflow_provider_opencx.campaigns.ledger import slots_by_name
        from airflow_provider_opencx.campaigns.sequences.enrolment import EnrolmentSender, check_can_add, not_admitted
        from airflow_provider_opencx.mapped_calls import check_other_tasks, tell_other_tasks
        from airflow_provider_opencx.resources.sequences import get_sequence

        ledger, is_complete = ledger_of(context, ledger_path=self._checked_ledger_path(), once_per=self.once_per)
        tell_other_tasks(context, ledger)
        listed = self._listed_people(context, self.contacts, self.max_contacts)
        guards = self._guards()
        guards.check_known(listed)
        client = self.hook.get_conn()
        sequence = get_sequence(client, _id_of(self.sequence_id))
        check_can_add(sequence)
        # Check the record of a person first: the filter may have changed since the person was added.
        guards = replace(guards, not_admitted=not_admitted(sequence, listed))
        batch = CallBatch(
            client,
            ledger,
            slots_by_name,
            CallPolicy(guards, self.on_unknown, self.outside_hours, self.once_per, described(context)),
            EnrolmentSender(client, sequence, lambda: _check_agents(self, sequence, is_asked=False), self.batch_size),
            no_record_means_nothing_sent=is_complete,
        )
        made = batch.call(listed, check_other_tasks(context, ledger, listed))
        return self._concluded(context, sequence, made)

    def _concluded(self, context: Context, sequence: OutboundSequence, made: CallsMade) -> JsonValue:
        """Return the results, or end the task as they say."""
        from airflow_provider_opencx.campaigns.sequences.enrolment import enrolment_result, run_id_of

        results = made.in_order()
        run_ids = dict.fromkeys(filter(None, map(run_id_of, results)))
        result: dict[str, JsonValue] = {
            "sequence_id": sequence.id,
            "run_ids": [*run_ids],
            "added": made.called,
            "not_admitted": sum(result.status == "not_admitted" for result in results),
            "contacts": [*map(enrolment_result, results)],
        }
        if "ti" in context and self.do_xcom_push:
            context["ti"].xcom_push(key="added", value=result)
        if made.error is not None:
            raise made.error
        if made.opens_at is not None:
            self._come_back(made.opens_at)
        self.log.info("%d of %d people were added to %s.", made.called, len(made.people), sequence.label)
        _report(self, context, sequence, added=made.called)
        return result

    def _check_arguments(self) -> None:
        """Check what can be checked while the Dag is parsed."""
        self._check_templates()
        self._check_literal_conn_id()
        check_choice("outside_hours", self.outside_hours, ("skip", "fail", "reschedule"))
        check_choice("on_unknown", self.on_unknown, ("fail", "skip", "repeat"))
        check_boolean("unchecked", self.unchecked)
        check_boolean("allow_backfill", self.allow_backfill)
        self.max_contacts = whole_number("max_contacts", self.max_contacts)
        if not whole_number("batch_size", self.batch_size):
            raise OpenCXArgumentError("batch_size: must be a whole number, 1 or more")
        self._check_records(self.once_per, self.outside_hours)
        if self._has_no_template(self.sequence_id):
            _id_of(self.sequence_id)


def _id_of(sequence: object) -> str:
    from airflow_provider_opencx.campaigns.sequences.ids import checked_sequence_id

    return checked_sequence_id(sequence)


def _report(task: BaseOpenCXOperator, context: Context, sequence: OutboundSequence, **more: JsonValue) -> None:
    """Say which sequence a task was about, and more, in the events of assets; and in its link."""
    add_extra(task, context, {**extra_of(sequence.as_result(), _EVENT_KEYS, "sequences"), **more})
    task.linked_id = sequence.id


def _check_agents(
    task: OpenCXStartSequenceOperator | OpenCXAddContactsToSequenceOperator,
    sequence: OutboundSequence,
    *,
    is_asked: bool,
) -> None:
    """Check that the agents that are to call can, and say from which numbers they do.

    :param is_asked: whether the steps are compared with what was asked.
    """
    from airflow_provider_opencx.campaigns.sequences.guards import check_agents, check_steps_known
    from airflow_provider_opencx.campaigns.sequences.steps import agents_of

    if not is_asked:
        check_steps_known(sequence, unchecked=task.unchecked)
    if not agents_of(sequence.steps or ()):
        return
    for agent in check_agents(sequence.steps, task.hook.list_phone_agents(), unchecked=task.unchecked):
        task.log.info("%s calls, from %s.", agent.label, agent.phone_number)
