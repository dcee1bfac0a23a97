"""Reads the texts of a fleet that are in separate files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from airflow_provider_opencx.declared_files.documents import Issue
from airflow_provider_opencx.declared_files.files import Files, root_of, text_file
from airflow_provider_opencx.declared_files.limits import SIZE_OF_VALUE, Budget
from airflow_provider_opencx.declared_files.values import issue_at
from airflow_provider_opencx.declared_files.variables import fill
from airflow_provider_opencx.text import UNSTORABLE

_LAST_LINE_BREAK = re.compile(r"(\r\n|\n|\r)\Z")


@dataclass(frozen=True)
class FileText:
    """The text of a file.

    :param file: the path of the file.
    :param text: the text, with its variables filled, and without its last line break.
    :param used_variables: names of the variables in it.
    :param issues: what is wrong with it.
    """

    file: str
    text: str
    used_variables: frozenset[str]
    issues: tuple[Issue, ...]


class Texts:
    """Reads texts, each file once.

    :param files: reads the files.
    :param root: the folder that no text file leaves; by default see :func:`.files.root_of`.
    :param budget: what may be read still.
    """

    def __init__(self, files: Files, root: Path | None, budget: Budget) -> None:
        self._files = files
        self._root = root
        self._budget = budget
        self._read: dict[Path, str] = {}

    def read(self, named: str, file: Path, variables: Mapping[str, str]) -> FileText:
        """Return the text of a file.

        :param named: the path of the file, as the fleet file names it.
        :param file: the fleet file.
        :param variables: the values of the variables by their names.
        :raises UnusableFileError: if it cannot be read, or leaves the root.
        :raises FleetLimitError: if the fleet holds too many texts.
        """
        path = text_file(named, file, root_of(file, self._root))
        if path not in self._read:
            text = self._files.text(path, "a text of an agent is shorter")
            self._read[path] = _LAST_LINE_BREAK.sub("", text)
        text = self._read[path]
        self._budget.spend(SIZE_OF_VALUE + len(text))
        filled = fill(text, variables, self._budget.spend)
        issues = [issue_at(text, problem.position, problem.message) for problem in filled.problems]
        nul = UNSTORABLE.search(text)
        if nul:
            issues.append(issue_at(text, nul.start(), "holds a NUL, which cannot be stored"))
        return FileText(str(path), filled.text, filled.names, tuple(issues))
