"""Calling hours: decides when a person may be called, in the time zone of the person. Pure.

The country and the area code of a number say in which time zones it is used; Google's libphonenumber knows them. A
mobile number may be far from home, and some numbers are used in many zones: all of those must allow the call.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Self
from zoneinfo import ZoneInfo

from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.visible_text import in_quotes

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

DEFAULT_HOURS = "09:00-20:00"
"""Every day from 9 to 20: inside what the laws of most countries allow."""

_SPAN = re.compile(r"([01][0-9]|2[0-4]):([0-5][0-9])-([01][0-9]|2[0-4]):([0-5][0-9])")
_MINUTES_A_DAY = 24 * 60
_DAYS_AHEAD = 15

Span = tuple[int, int]
"""From a minute of the day until before another one."""


@dataclass(frozen=True)
class CallingHours:
    """When people may be called, by their own clocks.

    :param by_day: the spans of each day of the week, from Monday on.
    """

    by_day: tuple[tuple[Span, ...], ...]

    @classmethod
    def parse(cls, written: object) -> Self:
        """Read calling hours.

        :param written: a text such as ``"09:00-20:00"`` or ``"09:00-12:00, 14:00-18:00"``, for every day; or a mapping
            of days to such texts, such as ``{"mon-fri": "09:00-20:00", "sat": "10:00-14:00"}``: on a day that is not
            named, nobody is called.
        :raises OpenCXArgumentError: if it is something else.
        """
        if isinstance(written, str):
            return cls((_spans(written),) * len(DAYS))
        if not isinstance(written, Mapping) or not written:
            raise OpenCXArgumentError(
                "calling_hours: must be a text such as '09:00-20:00', a mapping of days such as"
                " {'mon-fri': '09:00-20:00'}, or None for any time"
            )
        by_day: dict[int, tuple[Span, ...]] = {}
        for days, text in written.items():
            for day in _days(days):
                if day in by_day:
                    raise OpenCXArgumentError(f"calling_hours: {DAYS[day]} is named twice")
                by_day[day] = _spans(text)
        return cls(tuple(by_day.get(day, ()) for day in range(len(DAYS))))

    def allow(self, zones: Iterable[str], now: datetime) -> bool:
        """Return whether people in all of some time zones may be called.

        :param zones: IANA names, one at least.
        :param now: the time, with its time zone.
        """
        return all(self._allows(now.astimezone(ZoneInfo(zone))) for zone in zones)

    def next_opening(self, zones: Iterable[str], now: datetime) -> datetime | None:
        """Return the first moment from now on at which :meth:`allow` is true; ``None`` if there is none in two weeks.

        :param zones: IANA names, one at least.
        :param now: the time, with its time zone.
        """
        zones = list(zones)
        openings = sorted({opening for zone in zones for opening in self._openings(zone, now)})
        return next((opening for opening in [now, *openings] if self.allow(zones, opening)), None)

    def _allows(self, local: datetime) -> bool:
        minute = local.hour * 60 + local.minute
        return any(begin <= minute < end for begin, end in self.by_day[local.weekday()])

    def _openings(self, zone: str, now: datetime) -> list[datetime]:
        today = now.astimezone(ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0)
        starts = [
            start
            for ahead in range(_DAYS_AHEAD)
            for begin, _ in self.by_day[(today + timedelta(days=ahead)).weekday()]
            for start in _moments((today + timedelta(days=ahead)).replace(hour=begin // 60, minute=begin % 60))
        ]
        return [start for start in starts if start >= now]


def _moments(local: datetime) -> list[datetime]:
    """Return when a clock shows a time; where clocks are changed over it, each minute of the change as well."""
    first, last = sorted(local.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    return [first + timedelta(minutes=minute) for minute in range((last - first) // timedelta(minutes=1) + 1)]


def zones_of(phone_number: str | None, unknown_zone: str | None = None) -> Sequence[str]:
    """Return the time zones in which a person may be; none if they are not known.

    :param phone_number: the number in E.164; ``None`` where a person has none.
    :param unknown_zone: the time zone to assume where the number does not show one; ``None`` (default) assumes none.
    """
    zones = _zones_of_number(phone_number) if phone_number else ()
    return zones or ((unknown_zone,) if unknown_zone else ())


@lru_cache(maxsize=10_000)
def _zones_of_number(phone_number: str) -> Sequence[str]:
    from phonenumbers import parse
    from phonenumbers.timezone import time_zones_for_number

    zones = tuple(time_zones_for_number(parse(phone_number)))
    return zones if all(map(is_zone, zones)) else ()


def is_zone(name: object) -> bool:
    """Return whether a text is the IANA name of a time zone."""
    try:
        ZoneInfo(str(name))
    except (OSError, ValueError, LookupError):
        return False
    return name != "Etc/Unknown"


def check_zone(argument: str, name: object) -> None:
    """Raise an ``OpenCXArgumentError`` if an argument is neither ``None`` nor the name of a time zone."""
    if name is not None and not (isinstance(name, str) and is_zone(name)):
        raise OpenCXArgumentError(f"{argument}: must be the IANA name of a time zone, such as 'America/New_York'")


def checked_zones(argument: str, names: object) -> list[str]:
    """Return a list of time zones; raises an ``OpenCXArgumentError`` if it is none."""
    if isinstance(names, Sequence) and not isinstance(names, str):
        zones = [name for name in names if isinstance(name, str) and is_zone(name)]
        if len(zones) == len(names):
            return zones
    raise OpenCXArgumentError(
        f"{argument}: must be a list of the IANA names of time zones, such as ['America/New_York']"
    )


def _spans(written: object) -> tuple[Span, ...]:
    texts = [text.strip() for text in written.split(",")] if isinstance(written, str) else [""]
    return tuple(_span(text, written) for text in texts)


def _span(text: str, written: object) -> Span:
    found = _SPAN.fullmatch(text)
    if found is not None:
        hours = [int(part) for part in found.groups()]
        begin, end = hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]
        if begin < end <= _MINUTES_A_DAY:
            return begin, end
    shown = in_quotes(written) if isinstance(written, str) else type(written).__name__
    raise OpenCXArgumentError(
        f"calling_hours: {shown} must be hours of a day such as '09:00-20:00', the first before the second; what"
        " reaches over midnight is written as two"
    )


def _days(written: object) -> list[int]:
    days: list[int] = []
    for part in str(written).lower().split(","):
        first, _, last = (name.strip() for name in part.partition("-"))
        if first not in DAYS or (last and last not in DAYS) or (last and DAYS.index(last) < DAYS.index(first)):
            raise OpenCXArgumentError(
                f"calling_hours: {in_quotes(str(written))} must be days such as 'mon', 'mon-fri' or 'sat,sun'"
            )
        days += range(DAYS.index(first), DAYS.index(last or first) + 1)
    return days
