"""Guards that keep a person from being called: the do-not-call list, calling hours, missing data. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from airflow_provider_opencx.campaigns.calling_hours import CallingHours, zones_of
from airflow_provider_opencx.campaigns.contacts import Row, callees_of_rows
from airflow_provider_opencx.exceptions import OpenCXArgumentError, OpenCXCallRefusedError
from airflow_provider_opencx.resources.calls import Callee
from airflow_provider_opencx.text import listed

Hindrance: TypeAlias = Literal["do_not_call", "not_admitted", "unknown_zone", "outside_hours"]
"""Why a person is not called: on the do-not-call list; not selected by the sequence that is to call; in a time zone
that is not known; outside the hours."""

NEVER: Sequence[Hindrance] = ("do_not_call", "unknown_zone")
"""Reasons not to call a person that do not depend on the time."""

_MOST_NAMED = 5


@dataclass(frozen=True)
class DoNotCall:
    """The people who must not be called.

    :param names: what they are known by, see :class:`.resources.calls.Callee`.
    :param contacts: how many of them are contacts without a number.
    """

    names: frozenset[str]
    contacts: int = 0

    @classmethod
    def of(cls, rows: Iterable[Row], *, default_region: str | None) -> DoNotCall:
        """Return the list that some rows make.

        :param default_region: the country of national numbers, ``None`` takes none.
        :raises OpenCXArgumentError: if one of them cannot be read: then nobody can be called.
        """
        people = list(callees_of_rows(rows, default_region=default_region))
        names = frozenset(name for each in people for name in each.names)
        return cls(names, sum(each.phone_number is None for each in people))

    def has(self, callee: Callee) -> bool:
        """Return whether a person is on the list."""
        return not self.names.isdisjoint(callee.names)


@dataclass(frozen=True)
class Verdict:
    """Whether a person may be called.

    :param hindrance: why not; ``None`` if so.
    :param opens_at: when the person may be called, where that is only a question of the time; ``None`` if it is not
        known.
    :param zones: the time zones that were asked.
    """

    hindrance: Hindrance | None = None
    opens_at: datetime | None = None
    zones: Sequence[str] = ()

    @property
    def reason(self) -> str:
        """Why the person is not called, for logs; empty if there is no reason."""
        if self.hindrance == "do_not_call":
            return "is on the do-not-call list"
        if self.hindrance == "not_admitted":
            return "is not selected by the filter of the sequence"
        if self.hindrance == "unknown_zone":
            return "is in an unknown time zone, because the number does not show it (set unknown_zone)"
        if self.hindrance == "outside_hours":
            again = "" if self.opens_at is None else f", until {self.opens_at.isoformat(timespec='minutes')}"
            return f"is outside the calling hours in {listed(self.zones, _MOST_NAMED)}{again}"
        return ""


@dataclass(frozen=True)
class Guards:
    """The checks of each person before a call.

    :param do_not_call: who is not to be called; ``None`` means no list.
    :param hours: when people may be called; ``None`` means any time.
    :param unknown_zone: the time zone of a person whose number does not show one, and of a contact without a number;
        ``None``: a person with such a number is not called.
    :param unchecked: whether a contact without a number may be called: it is not compared with numbers, and no hours
        hold for it unless ``unknown_zone`` is given.
    :param not_admitted: whom the sequence does not admit to which people are added.
    """

    do_not_call: DoNotCall | None = None
    hours: CallingHours | None = None
    unknown_zone: str | None = None
    unchecked: bool = False
    not_admitted: frozenset[Callee] = frozenset()

    def check_known(self, people: Sequence[Callee]) -> None:
        """Check that all can be checked.

        :raises OpenCXArgumentError: if there are contacts without a number, and nobody said that this is meant.
        """
        if self.unchecked:
            return
        unknown = [callee.label for callee in people if callee.phone_number is None]
        if unknown:
            raise OpenCXArgumentError(
                f"contact_id: {listed(unknown, _MOST_NAMED)} cannot be checked without a number, neither for the"
                " do-not-call list nor for calling hours. Give a phone_number beside it, or unchecked=True."
            )

    def verdict(self, callee: Callee, now: datetime) -> Verdict:
        """Return whether a person may be called at a time."""
        if self.do_not_call is not None and self.do_not_call.has(callee):
            return Verdict("do_not_call")
        if callee in self.not_admitted:
            return Verdict("not_admitted")
        if self.hours is None:
            return Verdict()
        zones = zones_of(callee.phone_number, self.unknown_zone)
        if not zones:
            return Verdict() if callee.phone_number is None and self.unchecked else Verdict("unknown_zone")
        if self.hours.allow(zones, now):
            return Verdict(zones=zones)
        return Verdict("outside_hours", self.hours.next_opening(zones, now), zones)


def check_count(people: int, max_contacts: int | None, source: str) -> None:
    """Check that no more people would be called than expected.

    :param people: how many; the reading of a list may have stopped at one more than allowed.
    :param max_contacts: how many there may be; ``None`` means any number.
    :param source: where they come from, for the message.
    :raises OpenCXCallRefusedError: if there are more.
    """
    if max_contacts is not None and people > max_contacts:
        raise OpenCXCallRefusedError(
            f"Nobody is called: {source} more than max_contacts={max_contacts} people. If that is intended, give a"
            " larger max_contacts, or None."
        )
