"""Reads the declarations of a fleet from a YAML or JSON file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import yaml

from airflow_provider_opencx.api.models import shortened
from airflow_provider_opencx.exceptions import OpenCXArgumentError

_READERS: dict[str, Callable[[str], object]] = {
    ".json": json.loads,
    ".yaml": yaml.safe_load,
    ".yml": yaml.safe_load,
}


def check_path(path: Path) -> None:
    """Raise an ``OpenCXArgumentError`` if a path is not that of a file that can be read, by its suffix."""
    if path.suffix.lower() not in _READERS:
        raise OpenCXArgumentError(
            f"agents: {shortened(str(path))!r} is not the path of a .yaml, .yml or .json file. A list that another task"
            " returned is handed over as the output of that task, and not as a template."
        )


def read_fleet_file(path: Path) -> list[object]:
    """Return the declarations in a file: a list of them, or a mapping that holds the list as ``agents``.

    :param path: a file that ends in ``.yaml``, ``.yml`` or ``.json``. It is read as it is: nothing in it is a template.
    :raises OpenCXArgumentError: if it cannot be read, or holds something else.
    """
    check_path(path)
    try:
        content = _READERS[path.suffix.lower()](path.read_text(encoding="utf-8"))
    except OSError as error:
        raise OpenCXArgumentError(f"agents: {path} cannot be read: {error.strerror or type(error).__name__}") from None
    except yaml.MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise OpenCXArgumentError(f"agents: {path} is no YAML{line}: {error.problem}") from None
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise OpenCXArgumentError(f"agents: {path} cannot be read: {type(error).__name__}") from None
    agents = content.get("agents") if isinstance(content, dict) else content
    if not isinstance(agents, list):
        raise OpenCXArgumentError(f"agents: {path} must hold a list of declarations, alone or under the key 'agents'")
    return agents
