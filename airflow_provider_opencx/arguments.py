"""Checks of arguments that operators and sensors share: which were given, and which values they may have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Final

from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.visible_text import identifier, visible_repr


class LeftOut(Enum):
    """The type of :data:`LEFT_OUT`."""

    LEFT_OUT = "left out"

    def __repr__(self) -> str:
        return "LEFT_OUT"


LEFT_OUT: Final = LeftOut.LEFT_OUT
"""An argument that was not written. ``None`` is written, and sent as null."""


_LONGEST_VALUE = 60

_MOST_SECONDS = timedelta.max.total_seconds()


def written(**arguments: object) -> dict[str, object]:
    """Return the arguments that were written, by their names."""
    return {name: value for name, value in arguments.items() if not isinstance(value, LeftOut)}


def given(**arguments: object) -> list[str]:
    """Return the names of optional arguments that are not ``None``, for :func:`check_still_given`."""
    return [name for name, value in arguments.items() if value is not None]


def check_still_given(task: object, arguments: Iterable[str]) -> None:
    """Check that no argument that was given has become ``None``, which means the default.

    :param task: the operator, whose templates are rendered.
    :param arguments: their names.
    :raises OpenCXArgumentError: if one has.
    """
    for argument in arguments:
        if getattr(task, argument) is None:
            raise OpenCXArgumentError(
                f"{argument}: has become None: the task that should have returned it was skipped, or pushes no result"
            )


def check_choice(argument: str, value: object, choices: tuple[object, ...]) -> None:
    """Raise an ``OpenCXArgumentError`` if the value of an argument is not one of its choices."""
    if value not in choices:
        raise OpenCXArgumentError(f"{argument}: must be {' or '.join(map(repr, choices))}")


def check_boolean(argument: str, value: object) -> None:
    """Raise an ``OpenCXArgumentError`` if the value of an argument is not a boolean. Any text would count as true."""
    if not isinstance(value, bool):
        raise OpenCXArgumentError(f"{argument}: must be True or False")


def texts(argument: str, value: object) -> list[str]:
    """Return a list of texts; one text is a list of one.

    :param argument: the name of the argument, for the message.
    :param value: a text, a sequence of texts, or ``None``, which is an empty list.
    :raises OpenCXArgumentError: if it is something else.
    """
    found = [] if value is None else [value] if isinstance(value, str) else value
    if isinstance(found, Sequence) and all(isinstance(text, str) for text in found):
        return [str(text) for text in found]
    raise OpenCXArgumentError(f"{argument}: must be a text, or a list of texts")


def texts_by_name(argument: str, value: object) -> dict[str, str]:
    """Return a mapping of names to texts; a number is its text, true and false are ``"true"`` and ``"false"``.

    :param argument: the name of the argument, for the message.
    :param value: the mapping, or ``None``, which is an empty one.
    :raises OpenCXArgumentError: if it is something else.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise OpenCXArgumentError(f"{argument}: must be a mapping of names to texts")
    wrong = [name for name, text in value.items() if not isinstance(text, str | int | float)]
    if wrong:
        raise OpenCXArgumentError(f"{argument}: {identifier(wrong[0])} must be text")
    return {name: str(text).lower() if isinstance(text, bool) else str(text) for name, text in value.items()}


def whole_number(argument: str, value: object) -> int | None:
    """Return a whole number that is not negative, also where a template made text of it; ``None`` if it is ``None``.

    :param argument: the name of the argument, for the message.
    :raises OpenCXArgumentError: if it is something else.
    """
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        value = int(value)
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    raise OpenCXArgumentError(f"{argument}: must be a whole number, 0 or more")


def seconds(argument: str, value: object) -> float:
    """Return a duration in seconds.

    :param argument: the name of the argument, for the message.
    :param value: a ``timedelta``, or a number of seconds, zero or more.
    :raises OpenCXArgumentError: if it is neither.
    """
    duration = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(duration, int | float) and not isinstance(duration, bool) and 0 <= duration <= _MOST_SECONDS:
        return float(duration)
    raise OpenCXArgumentError(f"{argument}: must be a timedelta, or a number of seconds, zero or more")


def time_with_zone(argument: str, value: object) -> datetime:
    """Return a time in UTC, also where a template made text of it.

    :param argument: the name of the argument, for the message.
    :param value: a ``datetime``, or a text in ISO 8601, with a time zone.
    :raises OpenCXArgumentError: if it is neither, or has no time zone.
    """
    try:
        time = datetime.fromisoformat(value.strip()) if isinstance(value, str) else value
        if isinstance(time, datetime) and time.utcoffset() is not None:
            # Airflow uses pendulum times, which lose Python's time zones in additions.
            return datetime.fromisoformat(time.isoformat()).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise OpenCXArgumentError(
        f"{argument}: must be a datetime with a time zone, or such a text, as '2026-03-01T00:00:00+00:00', and is"
        f" {visible_repr(str(value), _LONGEST_VALUE)}"
    )
