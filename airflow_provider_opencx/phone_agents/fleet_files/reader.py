"""Reads the declarations of a fleet from a YAML or JSON file, which may stand in a zip file beside its Dag."""

from __future__ import annotations

import json
import logging
import os
import re
import stat
import sys
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING

import yaml

from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.phone_agents.fleet_files.places import (
    FileDeclarations,
    Place,
    file_message,
    place_in,
    shown_path,
)
from airflow_provider_opencx.phone_agents.fleet_files.yaml_document import (
    FleetYaml,
    check_number_of_values,
    json_as_yaml,
    syntax_problem,
)
from airflow_provider_opencx.resources.phone_agents import PhoneAgentChanges
from airflow_provider_opencx.text import listed
from airflow_provider_opencx.visible_text import in_quotes, visible_repr

if TYPE_CHECKING:
    from airflow.sdk import DAG

log = logging.getLogger(__name__)

MAX_FILE_BYTES = 10_000_000
"""Bytes of the largest file that is read: a thousand agents with instructions of 10,000 characters each."""

_MOST_WARNINGS = 20
_JSON_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_MEANINGS_OF_NULL = {
    "action_ids": "which means every action; for no action, write []",
    "handoff_phone_number": "which means no handoff",
}


def check_path(path: Path) -> None:
    """Raise an ``OpenCXArgumentError`` if a path is not that of a file that can be read, by its suffix."""
    if path.suffix.lower() not in _READERS:
        raise OpenCXArgumentError(
            f"agents: {in_quotes(str(path))} is not the path of a .yaml, .yml or .json file. A list that another task"
            " returned is handed over as the output of that task, and not as a template."
        )


def fleet_file_path(path: str, dag: DAG | None) -> Path:
    """Return where a fleet file is: a relative path begins at the folder of the Dag file, in a zip file as well.

    The Dag file is the one that holds the Dag, as in a worker. ``dag.test()`` in a script is not told which that is,
    and a Dag that a function of another module makes names the file of that function: then the module that holds the
    Dag is looked for.

    :param path: the path as it was written.
    :param dag: the Dag of the task; ``None`` if it has none.
    :raises OpenCXArgumentError: if several Dag files hold the Dag, and each has such a file beside it.
    """
    if dag is None:
        return Path(path)
    if getattr(dag, "relative_fileloc", None) is not None:  # Airflow loaded the Dag, and knows its file
        return Path(dag.folder) / path
    folders = list(dict.fromkeys(_folders_of_modules_with(dag))) or [Path(dag.folder)]
    candidates = list(dict.fromkeys(folder / path for folder in folders))
    found = [file for file in candidates if _exists(file)]
    if len(found) > 1:
        files = listed([shown_path(file) for file in found], separator=" or ")
        raise OpenCXArgumentError(
            f"agents: {shown_path(path)} may be {files}, because the Dag is imported in both places"
        )
    return (found or candidates)[0]


def read_fleet_file(path: Path) -> list[object]:
    """Return the declarations in a file: a list of them, or a mapping that holds the list as ``agents``.

    What is probably not meant, such as a null, is logged as a warning.

    :param path: a file that ends in ``.yaml``, ``.yml`` or ``.json``. No template in it is rendered. It may stand in a
        zip file: ``dags.zip/fleet.yaml``.
    :return: the declarations, which know where they stand:
        :func:`~airflow_provider_opencx.phone_agents.declarations.parse_fleet` names the line of what is wrong.
    :raises OpenCXArgumentError: if it cannot be read, or holds something else.
    """
    check_path(path)
    try:
        text = _text_of(path)
    except OSError as error:
        reason = error.strerror or ("No such file" if isinstance(error, FileNotFoundError) else type(error).__name__)
        raise OpenCXArgumentError(f"agents: {shown_path(path)} cannot be read: {reason}") from None
    except UnicodeDecodeError:
        raise OpenCXArgumentError(f"agents: {shown_path(path)} is not text in UTF-8") from None
    except _TooLargeError:
        raise OpenCXArgumentError(
            f"agents: {shown_path(path)} is larger than {MAX_FILE_BYTES // 1_000_000} MB; split it into several files,"
            " each with a task of its own"
        ) from None
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError):  # the last for encryption and odd compression
        raise OpenCXArgumentError(f"agents: {shown_path(path)} cannot be read: the zip file is damaged") from None
    try:
        content, document, warnings = _READERS[path.suffix.lower()](text)
    except _ProblemsError as wrong:
        raise OpenCXArgumentError(file_message(str(path), wrong.problems)) from None
    except OpenCXArgumentError as wrong:
        raise OpenCXArgumentError(file_message(str(path), [(None, str(wrong))])) from None
    except yaml.MarkedYAMLError as error:
        raise OpenCXArgumentError(file_message(str(path), [syntax_problem(error)])) from None
    except RecursionError:
        raise OpenCXArgumentError(f"agents: {shown_path(path)} is nested too deeply") from None
    except Exception as error:  # a parser fails on what it did not expect
        raise OpenCXArgumentError(f"agents: {shown_path(path)} cannot be read: {type(error).__name__}") from None
    if content is None:
        raise OpenCXArgumentError(
            f"agents: {shown_path(path)} must hold a list of declarations, alone or under the key 'agents'"
        )
    declarations = FileDeclarations(content, str(path), document)
    _warn(path.name, [*warnings, *_warnings_of_nulls(declarations)])
    return declarations


class _TooLargeError(ValueError):
    """A file is larger than what is read."""


class _ProblemsError(ValueError):
    """A file holds what cannot be read."""

    def __init__(self, problems: Sequence[tuple[Place | None, str]]) -> None:
        self.problems = problems


_PlaceOf = Callable[[Sequence[str | int], bool], Place | None]
_Content = tuple[list[object] | None, _PlaceOf, Sequence[tuple[Place, str]]]


def _read_yaml(text: str) -> _Content:
    document = FleetYaml(text)
    declarations = document.declarations()
    if document.problems:
        raise _ProblemsError(document.problems)
    return declarations, document.place_of, document.warnings


def _read_json(text: str) -> _Content:
    places = _JsonPlaces(text)
    check_number_of_values(_most_values_in_json(text))
    try:
        content = json.loads(text, object_pairs_hook=_without_duplicate_keys)
    except json.JSONDecodeError as error:
        raise _ProblemsError([(Place(error.lineno, error.colno), f"invalid JSON: {visible_repr(error.msg)}")]) from None
    except _DuplicateKeyError as duplicate:
        raise _ProblemsError(places.problems or [(None, str(duplicate))]) from None
    except ValueError:  # a whole number of thousands of digits
        raise _ProblemsError([(None, "holds a number that cannot be read")]) from None
    agents = content.get("agents") if isinstance(content, dict) else content
    return agents if isinstance(agents, list) else None, places.place_of, []


def _most_values_in_json(text: str) -> int:
    """Return how many values a JSON text holds at most: each stands after one of these characters."""
    without_strings = _JSON_STRING.sub("", text)
    return sum(without_strings.count(character) for character in "[{,")


class _DuplicateKeyError(ValueError):
    """A key stands twice in one object; the parser would silently take the last value."""


def _without_duplicate_keys(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise _DuplicateKeyError(f"duplicate key {in_quotes(twice)}")
    return found


class _JsonPlaces:
    """Where the values of a JSON text stand: read as YAML, and only if somebody asks."""

    def __init__(self, text: str) -> None:
        self._text = text

    @cached_property
    def _document(self) -> FleetYaml | None:
        try:
            return FleetYaml(json_as_yaml(self._text), written=self._text)
        except (yaml.YAMLError, OpenCXArgumentError):  # not all JSON is YAML: then the places are not known
            return None

    @property
    def problems(self) -> list[tuple[Place, str]]:
        """Return what is wrong with the text, such as a key that stands twice."""
        if self._document is None:
            return []
        self._document.declarations()
        return self._document.problems

    def place_of(self, path: Sequence[str | int], is_of_key: bool) -> Place | None:
        """Return the place of the value at a path, or of its key; ``None`` if it is not known."""
        return self._document.place_of(path, is_of_key) if self._document else None


_READERS: dict[str, Callable[[str], _Content]] = {".json": _read_json, ".yaml": _read_yaml, ".yml": _read_yaml}


def _warnings_of_nulls(declarations: FileDeclarations) -> list[tuple[Place | None, str]]:
    """Return a warning for each null: most come from a list whose lines were commented out."""
    warnings = []
    for index, declaration in enumerate(declarations):
        if not isinstance(declaration, Mapping):
            continue
        for name, value in declaration.items():
            field = "action_ids" if name == "actionIds" else name
            if value is not None or field not in PhoneAgentChanges.model_fields or field in {"name", "type"}:
                continue
            meaning = _MEANINGS_OF_NULL.get(field, "and is sent as null: the service's own default")
            agent = in_quotes(str(declaration.get("name")))
            sentence = f"agent {agent}: {name} is null, {meaning}. To leave the field as it is, leave it out."
            warnings.append((declarations.place_of((index, name), False), sentence))
    return warnings


def _warn(file: str, warnings: Sequence[tuple[Place | None, str]]) -> None:
    for place, sentence in warnings[:_MOST_WARNINGS]:
        log.warning("%s: %s", place_in(file, place), sentence)
    if len(warnings) > _MOST_WARNINGS:
        log.warning("%s: %d more warnings", shown_path(file), len(warnings) - _MOST_WARNINGS)


def _folders_of_modules_with(dag: DAG) -> list[Path]:
    """Return the folders of the modules that hold a Dag: from one of them, Airflow would load it."""
    modules = [module for module in list(sys.modules.values()) if isinstance(getattr(module, "__file__", None), str)]
    return [
        Path(str(module.__file__)).absolute().parent
        for module in modules
        if any(value is dag for value in list(vars(module).values()))
    ]


def _in_zip(path: Path) -> zipfile.Path | None:
    """Return the part of a zip file that a path names, ``None`` if none of its folders is a zip file."""
    for folder in path.parents:
        if folder.is_file() and zipfile.is_zipfile(folder):
            return zipfile.Path(folder, path.relative_to(folder).as_posix())
    return None


def _exists(path: Path) -> bool:
    zipped = _in_zip(path)
    return zipped.exists() if zipped else path.exists()


def _text_of(path: Path) -> str:
    zipped = _in_zip(path)
    with zipped.open("rb") if zipped is not None else _opened(path) as file:
        content = file.read(MAX_FILE_BYTES + 1)  # it may grow meanwhile
    if len(content) > MAX_FILE_BYTES:
        raise _TooLargeError
    return content.decode("utf-8-sig")


def _opened(path: Path) -> IO[bytes]:
    """Open a file, and no pipe or device, of which the end may never come."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(0, "it is not a file")
    return open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))
