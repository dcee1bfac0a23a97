"""Reads the declarations of a fleet from a YAML or JSON file."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path

import yaml

from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.text import shortened


def _without_duplicate_keys(pairs: Sequence[tuple[object, object]]) -> dict[object, object]:
    """Return the pairs of a mapping; of a duplicate key, the parsers would silently take the last value."""
    found: dict[object, object] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"duplicate key {key!r}")
        found[key] = value
    return found


class _Loader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:
        keys = [(self.construct_object(key, deep=True), None) for key, _ in node.value if key.tag != _MERGE]
        _without_duplicate_keys(keys)
        return super().construct_mapping(node, deep)


_MERGE = "tag:yaml.org,2002:merge"


def _read_json(text: str) -> object:
    return json.loads(text, object_pairs_hook=_without_duplicate_keys)


def _read_yaml(text: str) -> object:
    return yaml.load(text, _Loader)  # noqa: S506 - it is a SafeLoader


_READERS: dict[str, Callable[[str], object]] = {".json": _read_json, ".yaml": _read_yaml, ".yml": _read_yaml}


def check_path(path: Path) -> None:
    """Raise an ``OpenCXArgumentError`` if a path is not that of a file that can be read, by its suffix."""
    if path.suffix.lower() not in _READERS:
        raise OpenCXArgumentError(
            f"agents: {shortened(str(path))!r} is not the path of a .yaml, .yml or .json file. A list that another task"
            " returned is handed over as the output of that task, and not as a template."
        )


def read_fleet_file(path: Path) -> list[object]:
    """Return the declarations in a file: a list of them, or a mapping that holds the list as ``agents``.

    :param path: a file that ends in ``.yaml``, ``.yml`` or ``.json``. No template in it is rendered.
    :raises OpenCXArgumentError: if it cannot be read, or holds something else.
    """
    check_path(path)
    try:
        content = _READERS[path.suffix.lower()](path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise OpenCXArgumentError(f"agents: {path} cannot be read: {error.strerror or type(error).__name__}") from None
    except yaml.MarkedYAMLError as error:
        line = f" at line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise OpenCXArgumentError(f"agents: {path}: invalid YAML{line}: {error.problem}") from None
    except UnicodeDecodeError:
        raise OpenCXArgumentError(f"agents: {path} is not text in UTF-8") from None
    except ValueError as error:
        raise OpenCXArgumentError(f"agents: {path}: {shortened(str(error), 200)}") from None
    except Exception as error:  # a parser fails on what it did not expect, such as a value that does not fit its tag
        raise OpenCXArgumentError(f"agents: {path} cannot be read: {type(error).__name__}") from None
    agents = content.get("agents") if isinstance(content, dict) else content
    if not isinstance(agents, list):
        raise OpenCXArgumentError(f"agents: {path} must hold a list of declarations, alone or under the key 'agents'")
    return agents
