"""The declarations of a fleet from files, with the place in the file of each value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from airflow_provider_opencx.declared_files.problems import FileProblem


@dataclass(frozen=True)
class Place:
    """The place of a value in a file, and how the value is written there.

    :param file: the path of the file.
    :param line: counted from 1.
    :param column: counted from 1.
    :param text: the value as written, in a form that can be shown; empty if nothing is written.
    :param remedy: what to change in the file so that the value is read as meant; empty if nothing is known.
    """

    file: str
    line: int
    column: int
    text: str = ""
    remedy: str = ""


PlaceOf = Callable[[Sequence[str | int], bool], Place]
"""Returns the place of the value at a path of keys and positions: of its key, if the second argument is true."""


@dataclass(frozen=True)
class PlacedEntry:
    """The declaration of one agent, or the defaults of a file, with its place.

    :param declaration: the declaration: a mapping of fields, or another value in its place.
    :param place_of: returns the place of a value in it; the path ``()`` is the whole.
    :param defaults: the fields that it has from the defaults of its file.
    :param unreadable: the fields of which a problem was found already, and the value is not known.
    """

    declaration: object
    place_of: PlaceOf
    defaults: frozenset[str] = frozenset()
    unreadable: frozenset[str] = frozenset()


class FileDeclarations(list[object]):
    """The declarations of a fleet from its files: plain mappings, which know their places in the files.

    :param entries: the declarations, with their places.
    :param defaults: the defaults of each file that has some.
    :param ignore: names or globs of agents that exist and are not declared, and are not reported.
    :param warnings: what is right, and probably not meant.
    :param files: the files that declare agents, in their order; files of texts are not among them.
    :param unused_variables: names of the caller's variables that no file uses.
    """

    def __init__(
        self,
        entries: Sequence[PlacedEntry],
        *,
        defaults: Sequence[PlacedEntry] = (),
        ignore: Sequence[str] = (),
        warnings: Sequence[FileProblem] = (),
        files: Sequence[Path] = (),
        unused_variables: Sequence[str] = (),
    ) -> None:
        super().__init__(entry.declaration for entry in entries)
        self.entries = tuple(entries)
        self.defaults = tuple(defaults)
        self.ignore = tuple(ignore)
        self.warnings = tuple(warnings)
        self.files = tuple(files)
        self.unused_variables = tuple(unused_variables)

    def place_of(self, path: Sequence[str | int], is_of_key: bool = False) -> Place | None:
        """Return the place of a value, or of the innermost mapping or list around it that is found.

        :param path: the position of the agent, then keys and positions in lists, such as ``(0, "name")``.
        :param is_of_key: return the place of the key instead.
        :return: the place; ``None`` if there is no such agent.
        """
        index, *rest = path
        if not isinstance(index, int) or not 0 <= index < len(self.entries):
            return None
        return self.entries[index].place_of(rest, is_of_key)
