"""The sensor that waits until people may be called, in their time zones. It sends nothing to OpenCX."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, ClassVar, Unpack

from airflow.providers.common.compat.sdk import conf

from airflow_provider_opencx.arguments import check_boolean
from airflow_provider_opencx.campaigns.calling_hours import (
    DEFAULT_HOURS,
    CallingHours,
    check_zone,
    checked_zones,
    zones_of,
)
from airflow_provider_opencx.deferral import deferral_timeout
from airflow_provider_opencx.exceptions import OpenCXArgumentError, OpenCXCallRefusedError, derive_from_airflow
from airflow_provider_opencx.kinds import Kind
from airflow_provider_opencx.sensors.base import BaseOpenCXSensor
from airflow_provider_opencx.templates import task_named
from airflow_provider_opencx.text import listed

# Large modules are imported where they are used, so that parsing a Dag stays fast.
if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg

    from airflow_provider_opencx.airflow_arguments import BaseSensorArguments

__all__ = ["OpenCXCallingHoursSensor"]

derive_from_airflow()

_MOST_NAMED = 5


class OpenCXCallingHoursSensor(BaseOpenCXSensor):
    """Wait until all people of a list or a sequence may be called at once, by the clocks in their time zones.

    Put it before a batch: then the tasks behind it need not wait for the hours, each in a separate worker.
    :class:`.operators.call.OpenCXPlaceCallOperator` checks the hours again before each call, and
    :class:`.operators.sequence.OpenCXStartSequenceOperator` before the start. Before a sequence, give ``zones``: the
    create may have left people of the list out.

    The modes poke, reschedule and deferrable work as in Airflow. In mode deferrable, one trigger waits for the moment,
    which is known from the start. ``timeout``, ``soft_fail`` and ``execution_timeout`` are Airflow's.

    :param contacts: the people: a list of numbers, or of mappings with ``phone_number``; or the path of a file of them,
        as for the operator. (templated)
    :param zones: instead of ``contacts``: the time zones, as :class:`.operators.sequence.OpenCXCreateSequenceOperator`
        returns those of its people (``zones=sequence.output["zones"]``). The list is empty if the service selects the
        people. Then the sensor waits for the hours of ``unknown_zone``, or does not wait without it. (templated)
    :param calling_hours: when people may be called, as for the operator. Default ``"09:00-20:00"``, every day.
    :param unknown_zone: the time zone of people whose numbers do not show one. Default ``None``: they are an error,
        because there is no moment to wait for. With ``zones``, it is used if the list is empty.
    :param default_region: the country whose national numbers are read, such as ``"US"``. Default ``None``.
    :param deferrable: wait in the triggerer. Default: ``[operators] default_deferrable``.
    :raises OpenCXCallRefusedError: if there is no moment in two weeks at which all may be called.
    :raises OpenCXArgumentError: if somebody cannot be read, or has no number or no known time zone; or if both of
        ``contacts`` and ``zones`` are given, or none.
    """

    template_fields: Sequence[str] = ("contacts", "zones")
    kinds_of_fields: ClassVar[Mapping[str, Kind]] = {"contacts": Kind.TEXTS, "zones": Kind.TEXTS}

    def __init__(
        self,
        *,
        contacts: Sequence[str | Mapping[str, object]] | str | XComArg | None = None,
        zones: Sequence[str] | XComArg | None = None,
        calling_hours: str | Mapping[str, str] = DEFAULT_HOURS,
        unknown_zone: str | None = None,
        default_region: str | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Unpack[BaseSensorArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.contacts = contacts
        self.zones = zones
        self.calling_hours = calling_hours
        self.unknown_zone = unknown_zone
        self.default_region = default_region
        self.deferrable = deferrable
        with task_named(self.task_id):
            from airflow_provider_opencx.phone_numbers import check_region

            check_boolean("deferrable", deferrable)
            self._check_templates()
            self._check_one_source()
            if self._has_no_template(zones) and zones is not None:
                checked_zones("zones", zones)
            CallingHours.parse(calling_hours)
            check_zone("unknown_zone", unknown_zone)
            check_region("default_region", default_region)

    def execute(self, context: Context) -> None:
        """Wait until all may be called."""
        opens_at = self._opens_at()
        if not context.get("task_reschedule_count"):
            self._log_wait(opens_at)
        if not self.deferrable or opens_at <= _now():
            super().execute(context)
            return
        from airflow.providers.standard.triggers.temporal import DateTimeTrigger

        self.defer(
            trigger=DateTimeTrigger(moment=opens_at),
            method_name=self.execute_complete.__name__,
            timeout=deferral_timeout(self.timeout, self.execution_timeout),
        )

    def execute_complete(self, context: Context, event: object = None) -> None:
        """Go on when the moment has come."""
        self.log.info("Everybody may be called now.")

    def poke(self, context: Context) -> bool:
        """Return whether all may be called now."""
        return self._opens_at() <= _now()

    def _opens_at(self) -> datetime:
        """Return the first moment at which all may be called."""
        zones = self._zones_to_wait_for()
        opens_at = CallingHours.parse(self.calling_hours).next_opening(zones, _now()) if zones else _now()
        if opens_at is None:
            raise OpenCXCallRefusedError(
                f"There is no moment in two weeks at which people in all of {listed(zones, _MOST_NAMED)} may be called."
                " Make a batch, or a sequence, for each time zone."
            )
        return opens_at

    def _log_wait(self, opens_at: datetime) -> None:
        seconds = round((opens_at - _now()).total_seconds())
        if seconds > 0:
            until, left = opens_at.isoformat(timespec="minutes"), timedelta(seconds=seconds)
            self.log.info("Waiting for the calling hours of all: until %s, which is in %s.", until, left)
        elif not self._zones_to_wait_for():
            self.log.info("There is no time zone to wait for, so nothing is waited for.")

    def _check_one_source(self) -> None:
        if (self.contacts is None) == (self.zones is None):
            raise OpenCXArgumentError(
                "give contacts, or zones; one that was given is None where the task that should have returned it was"
                " skipped, or pushes no result"
            )

    def _zones_to_wait_for(self) -> list[str]:
        self._check_one_source()
        if self.zones is None:
            return self._zones_of_contacts()
        return checked_zones("zones", self.zones) or [zone for zone in [self.unknown_zone] if zone]

    def _zones_of_contacts(self) -> list[str]:
        from airflow_provider_opencx.contact_files import people_in

        people = people_in(self.contacts, self.get_dag(), "contacts", default_region=self.default_region)
        found: dict[str, None] = {}
        for callee in people:
            zones = zones_of(callee.phone_number, self.unknown_zone)
            if not zones:
                raise OpenCXArgumentError(
                    f"contacts: {callee.label} is in a time zone that is not known, so there is no moment to wait for;"
                    " say with unknown_zone which one to assume"
                )
            found |= dict.fromkeys(zones)
        return list(found)


def _now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)
