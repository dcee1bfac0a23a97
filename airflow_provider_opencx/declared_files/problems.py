"""Describes problems of fleet files: one problem as data and as a sentence, and an error for all of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from logging import Logger
from pathlib import PurePath

from pydantic import JsonValue

from airflow_provider_opencx.exceptions import OpenCXFleetFileError
from airflow_provider_opencx.text import listed
from airflow_provider_opencx.visible_text import in_quotes, visible

MOST_PROBLEMS = 1_000
"""Problems of a fleet that are named; the rest is not checked before these are solved."""

_MOST_NAMED = 20
_MOST_WARNINGS = 20
_LONGEST_PATH = 1000


@dataclass(frozen=True)
class FileProblem:
    """One problem in the files of a fleet. All texts can be shown unchanged, except ``file`` and ``agent``.

    A message of two parts, ``what is wrong; what to do``, is taken apart where nothing was read and no remedy is given.

    :param file: the path of the file.
    :param line: counted from 1; ``None`` where the problem is of the file as a whole.
    :param column: counted from 1.
    :param agent: the name of the agent, ``None`` where it has none, or where it is not about an agent.
    :param field: the field, such as ``instructions.0``; empty where it is not about a field.
    :param message: what is wrong.
    :param read: the value as written in the file; ``None`` where it says nothing about the problem.
    :param remedy: what to change in the file; empty if nothing is known.
    :param entry: the position of the agent in the fleet, counted from 1; ``None`` where it is not about an agent.
    """

    file: str
    line: int | None
    column: int | None
    agent: str | None
    field: str
    message: str
    read: str | None = None
    remedy: str = ""
    entry: int | None = None

    def __post_init__(self) -> None:
        message, _, remedy = self.message.partition("; ")
        if remedy and self.read is None and not self.remedy:
            object.__setattr__(self, "message", message)
            object.__setattr__(self, "remedy", remedy)

    @property
    def sentence(self) -> str:
        """The problem without its place."""
        if self.agent is not None:
            named = f"agent {in_quotes(self.agent)}: "
        else:
            named = "" if self.entry is None else f"number {self.entry}: "
        field = f"{self.field}: " if self.field else ""
        sentence = f"{named}{field}{self.message}"
        if self.read is not None and not self.field.endswith(self.read or "\n"):  # a wrong key is said already
            sentence += f"{'' if sentence.endswith('?') else ';'} read {self.read or 'nothing'}"
        return f"{sentence}; {self.remedy}" if self.remedy else sentence

    def text(self, file: str) -> str:
        """Return the problem with its place.

        :param file: what the file is called.
        """
        place = "" if self.line is None else f", line {self.line}, column {self.column}"
        return f"{shown_path(file)}{place}: {self.sentence}"

    def __str__(self) -> str:
        return self.text(self.file)

    def as_dict(self) -> dict[str, JsonValue]:
        """Return the problem as plain JSON."""
        return asdict(self)


def file_error(
    problems: Iterable[FileProblem], order: Sequence[str] = (), *, argument: str = "agents"
) -> OpenCXFleetFileError:
    """Return the error of all problems, in the order of their places, each of them once.

    :param problems: the problems.
    :param order: the paths of the files in the order of the fleet; files that are not among them come last.
    :param argument: the argument that names the files. Default ``agents``.
    """
    found = sorted(without_repetitions(problems), key=lambda problem: _position(problem, _numbered(order)))
    found = found[:MOST_PROBLEMS]
    return OpenCXFleetFileError(f"{argument}: {_message(found)}", problems=[problem.as_dict() for problem in found])


def without_repetitions(problems: Iterable[FileProblem]) -> list[FileProblem]:
    """Return the problems, the first of those that say the same of the same place, such as a default of many agents."""
    return list({(each.file, each.line, each.column, each.message): each for each in reversed([*problems])}.values())[
        ::-1
    ]


def log_warnings(log: Logger, warnings: Iterable[FileProblem]) -> None:
    """Log what is right, and probably not meant: the first 20 warnings, and how many more there are."""
    found = list(warnings)
    names = short_names(warning.file for warning in found)
    for warning in found[:_MOST_WARNINGS]:
        log.warning("%s", warning.text(names[warning.file]))
    if len(found) > _MOST_WARNINGS:
        more = len(found) - _MOST_WARNINGS
        log.warning("%s: %d more warnings", ", ".join([shown_path(name) for name in names.values()][:3]), more)


def short_names(files: Iterable[str]) -> dict[str, str]:
    """Return what each file is called in a list: its path from the folder that all of them have in common."""
    paths = [*dict.fromkeys(files)]
    common = _common_folder(paths)
    return {path: os.path.relpath(path, common) if common else path for path in paths}


def shown_path(path: str | PurePath) -> str:
    """Return the path of a file as messages show it."""
    return visible(str(path), _LONGEST_PATH)


def _numbered(order: Sequence[str]) -> Mapping[str, int]:
    return {file: number for number, file in enumerate(order)}


def _position(problem: FileProblem, numbers: Mapping[str, int]) -> tuple[int, str, int, int]:
    number = numbers.get(problem.file, len(numbers))
    return number, problem.file, problem.line or 0, problem.column or 0


def _message(problems: Sequence[FileProblem]) -> str:
    if len(problems) == 1:
        return str(problems[0])
    names = short_names(problem.file for problem in problems)
    lines = [problem.text(names[problem.file]) for problem in problems]
    text = listed(lines, _MOST_NAMED, separator="\n", more="\nand {} more")
    number = str(len(lines)) if len(lines) < MOST_PROBLEMS else f"{MOST_PROBLEMS:,} or more"
    return f"{_called([*names])} cannot be used, because of {number} problems:\n{text}"


def _called(paths: Sequence[str]) -> str:
    if len(paths) == 1:
        return shown_path(paths[0])
    common = _common_folder(paths)
    return f"{len(paths)} files" + (f" in {shown_path(common)}" if common else "")


def _common_folder(paths: Sequence[str]) -> str:
    try:
        return os.path.commonpath([os.path.dirname(path) for path in paths])
    except ValueError:  # some are absolute, and some are not
        return ""
