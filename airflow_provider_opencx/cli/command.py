"""Defines a command of the command line, for Airflow's parser and for ours."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of a command."""

    DONE = 0
    ERROR = 1
    DIFFERS = 2


@dataclass(frozen=True)
class Argument:
    """One argument of a command.

    :param flags: its flags, such as ``("--out",)``; a name without dashes for a positional one.
    :param options: what ``argparse.ArgumentParser.add_argument`` takes beside them.
    """

    flags: tuple[str, ...]
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Command:
    """One command.

    :param name: as it is typed: one word, or the name of a group and one within it.
    :param help: what it does, in a line.
    :param example: lines that can be typed; shown by ``--help``.
    :param arguments: its arguments, those that all have left out.
    :param run: does it, and returns the exit code; what is heavy, it imports itself.
    :param has_output: whether it takes ``-o``, the form of its results. Default ``True``.
    """

    name: str
    help: str
    example: str
    arguments: tuple[Argument, ...]
    run: Callable[[Namespace], ExitCode]
    has_output: bool = True
