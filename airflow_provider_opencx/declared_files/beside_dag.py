"""Finds fleet files by a path relative to their Dag, and keeps them inside one folder."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_opencx.declared_files.files import FLEET_FILES, FileKind, Files
from airflow_provider_opencx.declared_files.limits import Budget
from airflow_provider_opencx.declared_files.problems import shown_path
from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.text import listed
from airflow_provider_opencx.visible_text import in_quotes

if TYPE_CHECKING:
    from airflow.sdk import DAG


@dataclass(frozen=True)
class FleetPaths:
    """The paths of the files of a fleet.

    :param paths: the paths of files, folders and globs.
    :param root: the folder that they do not leave; ``None`` where no Dag says it.
    """

    paths: tuple[str, ...]
    root: Path | None


def check_path(path: str, kind: FileKind = FLEET_FILES, *, argument: str = "agents") -> None:
    """Check what can be checked of a path while a Dag is parsed: how it is written.

    :param kind: which files are meant. Default: those of a fleet.
    :param argument: the argument that names the files. Default ``agents``.
    :raises OpenCXArgumentError: if it is the path of no such file, no folder and no glob.
    """
    if not kind.may_be_found(path):
        raise OpenCXArgumentError(
            f"{argument}: {in_quotes(path)} is not the path of a {kind.called} file, a glob, or a folder (which ends"
            " in / where its name has a dot). A list that another task returned is handed over as the output of that"
            " task, and not as a template."
        )


def fleet_paths(
    agents: str | Sequence[str], dag: DAG | None, kind: FileKind = FLEET_FILES, *, argument: str = "agents"
) -> FleetPaths:
    """Return where the files of a fleet are: a relative path begins at the folder of the Dag file, in a zip file too.

    The Dag file is the one that holds the Dag, as in a worker. ``dag.test()`` in a script does not say which that is,
    and a Dag that a function of another module makes names the file of that function: then the module that holds the
    Dag is looked for.

    :param agents: the path of a file, a folder or a glob, or several of them, as they were written.
    :param dag: the Dag of the task; ``None`` if it has none.
    :param kind: which files are meant. Default: those of a fleet.
    :param argument: the argument that names the files. Default ``agents``.
    :return: the paths, and the root: the folder of the Dag bundle, or where Airflow does not say it, the Dags folder
        that it is configured with if the Dag file is inside, or else the folder of the Dag file.
    :raises OpenCXArgumentError: if several Dag files hold the Dag, and each has such a file beside it.
    """
    written = [agents] if isinstance(agents, str) else agents
    if dag is None:
        return FleetPaths(tuple(written), None)
    relative = getattr(dag, "relative_fileloc", None)
    if relative is not None:  # Airflow loaded the Dag, and knows its file
        folder = Path(dag.folder)
        return FleetPaths(tuple(_joined(folder, path) for path in written), _bundle(Path(dag.fileloc), Path(relative)))
    folders = list(dict.fromkeys(_folders_of_modules_with(dag))) or [Path(dag.folder)]
    with Files(Budget(), kind) as files:
        found = [_one_of(path, folders, files, argument) for path in written]
    paths = tuple(_joined(folder, path) for folder, path in zip(found, written, strict=True))
    return FleetPaths(paths, _dags_folder(found[0]))


def _one_of(path: str, folders: Sequence[Path], files: Files, argument: str) -> Path:
    """Return the folder at which a path begins: the one where it leads to something."""
    leads_to = {_joined(folder, path): folder for folder in reversed(folders) if files.exists(_joined(folder, path))}
    if len(leads_to) > 1:
        found = listed([shown_path(file) for file in reversed(leads_to)], separator=" or ")
        raise OpenCXArgumentError(
            f"{argument}: {shown_path(path)} may be {found}, because the Dag is imported in both places"
        )
    return next(iter(leads_to.values()), folders[0])


def _joined(folder: Path, path: str) -> str:
    return str(folder / path)


def _bundle(file: Path, relative: Path) -> Path:
    """Return the folder of a Dag bundle, from the path of a Dag file and its path in the bundle."""
    parts = relative.parts
    is_end = bool(parts) and file.parts[-len(parts) :] == parts
    return Path(*file.parts[: -len(parts)]) if is_end else file.parent


def _dags_folder(folder: Path) -> Path:
    from airflow.providers.common.compat.sdk import conf

    dags = Path(conf.get("core", "dags_folder", fallback="") or folder)
    return dags if folder.resolve().is_relative_to(dags.resolve()) else folder


def _folders_of_modules_with(dag: DAG) -> list[Path]:
    """Return the folders of the modules that hold a Dag: from one of them, Airflow would load it."""
    modules = [module for module in list(sys.modules.values()) if isinstance(getattr(module, "__file__", None), str)]
    return [
        Path(str(module.__file__)).absolute().parent
        for module in modules
        if any(value is dag for value in list(vars(module).values()))
    ]
