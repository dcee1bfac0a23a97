"""Reads the declarations of a fleet from YAML and JSON files: one file, several, a folder, or a glob."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from airflow_provider_opencx.declared_files.documents import Document, DocumentError
from airflow_provider_opencx.declared_files.files import (
    Files,
    UnusableFileError,
    identity,
    is_inside,
    root_of,
)
from airflow_provider_opencx.declared_files.limits import TOO_DEEP, Budget, FleetLimitError
from airflow_provider_opencx.declared_files.places import FileDeclarations
from airflow_provider_opencx.declared_files.problems import (
    FileProblem,
    file_error,
    log_warnings,
    shown_path,
)
from airflow_provider_opencx.declared_files.variables import checked_variables
from airflow_provider_opencx.declared_files.yaml_document import yaml_document
from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.phone_agents.declarations import problems_of_fleet
from airflow_provider_opencx.phone_agents.fleet_files.fleet_file import FleetFile, read_document
from airflow_provider_opencx.phone_agents.fleet_files.json_document import json_document
from airflow_provider_opencx.phone_agents.fleet_files.texts import Texts
from airflow_provider_opencx.secret import forgets_locals

log = logging.getLogger(__name__)

FleetPath = str | os.PathLike[str]


@forgets_locals
def read_fleet(
    agents: FleetPath | Sequence[FleetPath],
    *,
    variables: Mapping[str, str] | None = None,
    root: Path | None = None,
) -> FileDeclarations:
    """Return the declarations in files: with their defaults, their variables filled and their text files read.

    What is probably not meant, such as a null, is logged as a warning. No template in a file is rendered.

    :param agents: a file that ends in ``.yaml``, ``.yml`` or ``.json``; a folder, of which all such files are read,
        those in folders below as well, in the order of their paths, without those that begin with a dot; a glob; or a
        list of these. A path may lead into a zip file: ``dags.zip/fleet.yaml``.
    :param variables: values of variables, which are written ``${NAME}`` in the files. They override the ``variables``
        of a file.
    :param root: the folder that text files, and files found in a folder, never leave. By default the current directory;
        for a fleet file outside of it, the folder of this file. In a zip file, it is the zip file.
    :return: the declarations, which know their places in the files:
        :func:`~airflow_provider_opencx.phone_agents.declarations.parse_fleet` names the line of what is wrong.
    :raises OpenCXFleetFileError: naming all that is wrong with the files and what they declare.
    :raises OpenCXArgumentError: if an argument is wrong.
    """
    given = checked_variables(variables)
    paths = _checked_paths(agents)
    budget = Budget()
    with Files(budget) as files:
        reading = _Reading(files, root, given, budget)
        reading.find(paths)
        reading.read()
    fleet = reading.fleet()
    if reading.problems:
        raise file_error([*reading.problems, *problems_of_fleet(fleet)], [str(path) for path in fleet.files])
    log_warnings(log, fleet.warnings)
    if fleet.unused_variables:
        log.warning("No file of the fleet uses the variables %s", ", ".join(fleet.unused_variables))
    return fleet


class _Reading:
    """The reading of the files of a fleet."""

    def __init__(self, files: Files, root: Path | None, variables: Mapping[str, str], budget: Budget) -> None:
        self.problems: list[FileProblem] = []
        self._files = files
        self._root = root
        self._variables = variables
        self._budget = budget
        self._texts = Texts(files, root, budget)
        self._paths: list[Path] = []
        self._read: list[FleetFile] = []

    def find(self, paths: Sequence[str]) -> None:
        """Find the files that paths name."""
        named: dict[str, str] = {}
        for path in paths:
            try:
                found = self._files.find(path)
            except UnusableFileError as wrong:
                self._refuse(path, str(wrong))
                continue
            for file in found:
                same = identity(file)
                if same in named:
                    self._refuse(str(file), _named_twice(named[same], path))
                elif file != Path(path) and not is_inside(file, root_of(file, self._root)):
                    self._refuse(str(file), "is a link that leads out of the folder; put the file into the folder")
                else:
                    self._paths.append(file)
                named.setdefault(same, path)

    def read(self) -> None:
        """Read the files that were found, all of them even if one is wrong."""
        entries = 0
        for path in self._paths:
            try:
                read = self._read_file(path, entries)
            except FleetLimitError as wrong:
                self._refuse(str(path), str(wrong))
                return
            entries += len(read.entries)
            self.problems += read.problems
            self._read.append(read)

    def fleet(self) -> FileDeclarations:
        """Return what was read."""
        used = set().union(*(read.used_variables for read in self._read))
        return FileDeclarations(
            [entry for read in self._read for entry in read.entries],
            defaults=[read.defaults for read in self._read if read.defaults is not None],
            ignore=list(dict.fromkeys(name for read in self._read for name in read.ignore)),
            warnings=[warning for read in self._read for warning in read.warnings],
            files=self._paths,
            unused_variables=[name for name in self._variables if name not in used],
        )

    def _read_file(self, path: Path, first: int) -> FleetFile:
        try:
            document = _document(path, self._files.text(path))
        except UnusableFileError as wrong:
            return FleetFile(problems=[_problem(path, str(wrong))])
        except DocumentError as wrong:
            return FleetFile(
                problems=[_problem(path, issue.message, issue.line, issue.column) for issue in wrong.issues]
            )
        except FleetLimitError as wrong:
            return FleetFile(problems=[_problem(path, str(wrong))])
        except RecursionError:
            return FleetFile(problems=[_problem(path, TOO_DEEP)])
        except Exception as error:  # a parser fails on what it did not expect
            return FleetFile(problems=[_problem(path, f"cannot be read: {type(error).__name__}")])
        return read_document(path, document, self._variables, texts=self._texts, budget=self._budget, first=first)

    def _refuse(self, file: str, message: str) -> None:
        self.problems.append(_problem(file, message))


def _checked_paths(agents: FleetPath | Sequence[FleetPath]) -> list[str]:
    given = [agents] if isinstance(agents, str | os.PathLike) else agents
    if not isinstance(given, Sequence) or isinstance(given, bytes) or not given:
        raise OpenCXArgumentError(
            "agents: must be the path of a YAML or JSON file, a folder, a glob, or a list of them"
        )
    paths = [os.fspath(path) if isinstance(path, str | os.PathLike) else "" for path in given]
    if not all(isinstance(path, str) and path.strip() for path in paths):
        raise OpenCXArgumentError("agents: each path must be text that is not empty")
    return paths


def _document(path: Path, text: str) -> Document:
    return json_document(text) if path.suffix.lower() == ".json" else yaml_document(text)


def _named_twice(first: str, second: str) -> str:
    by = f"by {shown_path(first)} and by {shown_path(second)}" if first != second else "by links, or in a list"
    return f"is named twice, {by}; name it once"


def _problem(path: Path | str, message: str, line: int | None = None, column: int | None = None) -> FileProblem:
    return FileProblem(str(path), line, column, None, "", message)
