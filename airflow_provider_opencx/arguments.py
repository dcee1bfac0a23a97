"""What arguments have in common: which of them were written, and which values they may have."""

from __future__ import annotations

from datetime import timedelta
from enum import Enum
from typing import Final

from airflow_provider_opencx.exceptions import OpenCXArgumentError


class LeftOut(Enum):
    """The type of :data:`LEFT_OUT`."""

    LEFT_OUT = "left out"

    def __repr__(self) -> str:
        return "LEFT_OUT"


LEFT_OUT: Final = LeftOut.LEFT_OUT
"""An argument that was not written. ``None`` is written, and sent as null."""


_MOST_SECONDS = timedelta.max.total_seconds()


def written(**arguments: object) -> dict[str, object]:
    """Return the arguments that were written, by their names."""
    return {name: value for name, value in arguments.items() if not isinstance(value, LeftOut)}


def check_choice(argument: str, value: object, choices: tuple[object, ...]) -> None:
    """Raise an ``OpenCXArgumentError`` if the value of an argument is none of its choices."""
    if value not in choices:
        raise OpenCXArgumentError(f"{argument}: must be {' or '.join(map(repr, choices))}")


def check_boolean(argument: str, value: object) -> None:
    """Raise an ``OpenCXArgumentError`` if the value of an argument is not a boolean: text is true, whatever it says."""
    if not isinstance(value, bool):
        raise OpenCXArgumentError(f"{argument}: must be True or False")


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
