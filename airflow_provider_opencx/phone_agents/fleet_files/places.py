"""Where the values of a fleet stand in its files, and how messages name the places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from airflow_provider_opencx.text import listed
from airflow_provider_opencx.visible_text import visible

MOST_PROBLEMS = 1_000
"""Problems of a fleet that are named; the rest is not checked before these are solved."""

_MOST_NAMED = 20
_LONGEST_PATH = 1000


@dataclass(frozen=True)
class Place:
    """Where a value stands in a file, and how it is written there.

    :param line: counted from 1.
    :param column: counted from 1.
    :param text: the value as it is written, in a form that can be shown; empty if nothing is written.
    :param remedy: what to change in the file so that the value is read as meant; empty if nothing is known.
    """

    line: int
    column: int
    text: str = ""
    remedy: str = ""


class FileDeclarations(list[object]):
    """The declarations in a file, which know where they stand in it.

    :param declarations: the declarations.
    :param path: the path of the file.
    :param place_of: returns the place of the value at a path of keys and positions, such as ``(0, "name")``: of its
        key, if the second argument is true. ``None`` if it is not known.
    """

    def __init__(
        self,
        declarations: Sequence[object],
        path: str,
        place_of: Callable[[Sequence[str | int], bool], Place | None],
    ) -> None:
        super().__init__(declarations)
        self.path = path
        self.place_of = place_of


def file_message(path: str, problems: Sequence[tuple[Place | None, str]]) -> str:
    """Return the message of an error about a file: each problem on a line of its own, with its place.

    :param path: the path of the file.
    :param problems: the place of each problem, if it is known, and a sentence about it.
    """
    ordered = sorted(problems, key=lambda item: (item[0].line, item[0].column) if item[0] else (0, 0))
    if len(ordered) == 1:
        [(place, sentence)] = ordered
        return f"agents: {place_in(path, place)}: {sentence}"
    lines = [f"{place_in(PurePath(path).name, place)}: {sentence}" for place, sentence in ordered]
    text = listed(lines, _MOST_NAMED, separator="\n", more="\nand {} more")
    number = str(len(lines)) if len(lines) < MOST_PROBLEMS else f"{MOST_PROBLEMS:,} or more"
    return f"agents: {shown_path(path)} cannot be used, because of {number} problems:\n{text}"


def shown_path(path: str | PurePath) -> str:
    """Return the path of a file as messages show it."""
    return visible(str(path), _LONGEST_PATH)


def place_in(file: str, place: Place | None) -> str:
    """Return the place in a file as messages show it."""
    return f"{shown_path(file)}, line {place.line}, column {place.column}" if place else shown_path(file)
