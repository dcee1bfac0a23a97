"""The base class of operators that call people: guards, time, backfills, and records."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn

from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_opencx.arguments import LeftOut, check_choice
from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.operators.base import BaseOpenCXOperator
from airflow_provider_opencx.storage_paths import checked_storage_path
from airflow_provider_opencx.visible_text import in_quotes

# Large modules are imported where they are used, so that parsing a Dag stays fast.
if TYPE_CHECKING:
    from datetime import datetime

    from airflow.sdk import Context, XComArg

    from airflow_provider_opencx.campaigns.guards import DoNotCall, Guards
    from airflow_provider_opencx.resources.calls import Callee

DEFAULT_MAX_CONTACTS = 100

_LIST_SEPARATORS = re.compile(r"[\n,;]+")


class BaseCallingOperator(BaseOpenCXOperator):
    """Base of the operators by which people are called.

    Each operator writes its arguments out, and hands the values of these on:

    :param do_not_call: who must not be called; ``LEFT_OUT`` means no list.
    :param calling_hours: when people may be called; ``None`` means any time.
    :param unknown_zone: the time zone of people whose numbers do not show one.
    :param default_region: the country whose national numbers are read.
    :param unchecked: whether people may be called about whom nothing can be checked.
    :param ledger_path: where records are kept; ``None`` is Airflow's task state store.
    :param allow_backfill: whether backfill runs call as well.
    """

    def _set_guards(
        self,
        *,
        do_not_call: Sequence[str | Mapping[str, object]] | str | XComArg | LeftOut,
        calling_hours: str | Mapping[str, str] | None,
        unknown_zone: str | None,
        default_region: str | None,
        unchecked: bool,
        ledger_path: str | XComArg | None,
        allow_backfill: bool,
    ) -> None:
        self.do_not_call = None if isinstance(do_not_call, LeftOut) else do_not_call
        self._needs_do_not_call = not isinstance(do_not_call, LeftOut)
        self.calling_hours = calling_hours
        self.unknown_zone = unknown_zone
        self.default_region = default_region
        self.unchecked = unchecked
        self.ledger_path = ledger_path
        self._needs_ledger_path = ledger_path is not None
        self.allow_backfill = allow_backfill

    def _skip_backfill(self, context: Context) -> None:
        """Skip the task in a backfill run, unless that is meant to call."""
        if not self.allow_backfill and is_backfill(context):
            raise AirflowSkipException(
                "Nobody is called: this is a backfill run, and allow_backfill is off. People are called for today, not"
                " for days that are over."
            )

    def _checked_ledger_path(self) -> str | None:
        """Return where records are kept; a path that has become ``None`` does not stand for the default.

        A path that means another folder for another process would hide the records of an earlier try.
        """
        path: object = self.ledger_path
        if path is None and not self._needs_ledger_path:
            return None
        return checked_storage_path("ledger_path", path, "the path of a folder", "s3://conn@bucket/calls")

    def _people_in(self, contacts: object, most: int | None, argument: str) -> list[Callee]:
        """Return the people of a list, or of a file, each once; one more than ``most`` ends the reading."""
        from airflow_provider_opencx.contact_files import people_in

        return people_in(contacts, self.get_dag(), argument, default_region=self.default_region, most=most)

    def _listed_people(self, context: Context, contacts: object, most: int | None) -> list[Callee]:
        """Return who is to be called, unless these are more than expected, all mapped tasks together."""
        from airflow_provider_opencx.campaigns.guards import check_count

        people = self._people_in(contacts, most, "contacts")
        check_count(len(people), most, "contacts holds")
        self._check_mapped_count(context, len(people), most)
        return people

    @staticmethod
    def _check_mapped_count(context: Context, people: int, most: int | None) -> None:
        """Check that the mapped tasks together are not for more people than expected.

        :param people: for how many this one is.
        """
        from airflow_provider_opencx.call_ledgers import is_mapped
        from airflow_provider_opencx.campaigns.guards import check_count

        if most is None or not is_mapped(context):
            return
        instance = context["ti"]
        tasks = instance.get_ti_count(dag_id=instance.dag_id, task_ids=[instance.task_id], run_ids=[instance.run_id])
        check_count(tasks * people, most, f"the {tasks} mapped tasks are for")

    def _guards(self) -> Guards:
        from airflow_provider_opencx.campaigns.calling_hours import CallingHours
        from airflow_provider_opencx.campaigns.guards import Guards

        hours = None if self.calling_hours is None else CallingHours.parse(self.calling_hours)
        return Guards(self._do_not_call(), hours, self.unknown_zone, self.unchecked)

    def _do_not_call(self) -> DoNotCall | None:
        from airflow_provider_opencx.campaigns.contacts import is_file_name, rows_of
        from airflow_provider_opencx.campaigns.guards import DoNotCall
        from airflow_provider_opencx.contact_files import readable, source_of

        if self.do_not_call is None and not self._needs_do_not_call:
            return None
        written: object = self.do_not_call
        if isinstance(written, str) and not is_file_name(written):
            written = _numbers_in(written)
        if written is None or written == "":
            raise OpenCXArgumentError(
                "do_not_call: is missing, so nobody is called: the task or the Variable that should hold the list has"
                " none. If there is no list, leave the argument out."
            )
        with readable("do_not_call"):
            rows = rows_of(written, lambda path: source_of(path, self.get_dag()), "do_not_call")
            do_not_call = DoNotCall.of(rows, default_region=self.default_region)
        if not do_not_call.names and isinstance(written, str):
            self.log.warning("do_not_call: %s holds nobody, so nobody is left out.", in_quotes(written))
        return do_not_call

    def _come_back(self, opens_at: datetime) -> NoReturn:
        """Leave the worker until somebody may be called."""
        from airflow.sdk.exceptions import AirflowRescheduleException

        self.log.info("Nobody else may be called before %s. The task comes back then.", opens_at.isoformat())
        raise AirflowRescheduleException(opens_at)  # type: ignore[no-untyped-call]  # as Airflow has it

    def _check_records(self, once_per: str, outside_hours: str) -> None:
        """Check what is said of records and of the hours, while the Dag is parsed."""
        check_choice("once_per", once_per, ("run", "ever"))
        if once_per == "ever" and self.ledger_path is None:
            raise OpenCXArgumentError(
                'ledger_path: once_per="ever" needs a place that outlasts the Dag run, such as "s3://conn@bucket/calls"'
            )
        if outside_hours == "reschedule" and not has_task_state_store():
            raise OpenCXArgumentError(
                'outside_hours: "reschedule" needs Airflow 3.3; put an OpenCXCallingHoursSensor before this task'
            )
        if self._has_no_template(self.ledger_path):
            self._checked_ledger_path()
        self._check_hours_and_region()

    def _check_hours_and_region(self) -> None:
        from airflow_provider_opencx.campaigns.calling_hours import CallingHours, check_zone
        from airflow_provider_opencx.phone_numbers import check_region

        if self.calling_hours is not None:
            CallingHours.parse(self.calling_hours)
        check_zone("unknown_zone", self.unknown_zone)
        check_region("default_region", self.default_region)


def has_task_state_store() -> bool:
    """Return whether this Airflow keeps the state of tasks, and so a ledger of calls: 3.3 and later do."""
    import airflow.sdk

    return "NEVER_EXPIRE" in airflow.sdk.__all__


def is_backfill(context: Context) -> bool:
    """Return whether a task runs in a backfill."""
    run = context.get("dag_run")
    return run is not None and str(getattr(run.run_type, "value", run.run_type)) == "backfill"


def described(context: Context) -> str:
    """Return which try of which task this is, for records and messages."""
    instance = context.get("ti")
    if instance is None:
        return "a task without Airflow"
    mapped = "" if instance.map_index is None or instance.map_index < 0 else f"[{instance.map_index}]"
    return f"try {instance.try_number} of {instance.task_id}{mapped} in the run {in_quotes(instance.run_id)}"


def _numbers_in(text: str) -> object:
    """Return the numbers in a text, such as a Variable: a JSON list, or numbers on lines or between commas."""
    if text.lstrip().startswith("["):
        try:
            decoded: object = json.loads(text)
        except ValueError:
            raise OpenCXArgumentError("do_not_call: is not a JSON list, so nobody is called") from None
        return decoded
    return [number.strip() for number in _LIST_SEPARATORS.split(text) if number.strip()] or None
