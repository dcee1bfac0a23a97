"""Reads the variables of a command, which replace ``${NAME}`` in files."""

from __future__ import annotations

import json
import re
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_opencx.cli.command import Argument

if TYPE_CHECKING:
    from airflow_provider_opencx.declared_files.places import FileDeclarations

VARIABLE_ARGUMENTS = (
    Argument(
        ("--var",),
        {
            "metavar": "NAME=VALUE",
            "action": "append",
            "default": [],
            "help": "a value for ${NAME} in the files; it overrides --vars-file; repeat it for several",
        },
    ),
    Argument(
        ("--vars-file",),
        {
            "metavar": "FILE",
            "action": "append",
            "default": [],
            "help": "values for many: a mapping in a .yaml, .yml or .json file, or NAME=VALUE lines in any other; later"
            " files override earlier ones",
        },
    ),
)
"""The arguments for variables; :func:`read_with_variables` reads them."""

_LINE = re.compile(r"(?:export\s+)?(?P<name>[^\s=#]+)\s*=\s*(?P<value>.*)")
_QUOTES = ("'", '"')


def read_with_variables(options: Namespace, read: Callable[..., FileDeclarations]) -> FileDeclarations:
    """Read files, with the variables that the options give.

    :param options: the files, and those of :data:`VARIABLE_ARGUMENTS`.
    :param read: reads files; takes them, and ``variables``.
    :raises OpenCXFleetFileError: naming each problem in the files.
    :raises OpenCXArgumentError: if a variable is not written as one, or no file uses one of ``--var``.
    """
    from airflow_provider_opencx.exceptions import OpenCXArgumentError
    from airflow_provider_opencx.text import listed
    from airflow_provider_opencx.visible_text import in_quotes

    typed = dict(map(_typed_variable, options.var))
    in_files = {name: value for file in options.vars_file for name, value in _variables_in(Path(file)).items()}
    files: Sequence[str] = options.files
    declarations = read(files, variables={**in_files, **typed})
    unused = sorted(typed.keys() & set(declarations.unused_variables))
    if unused:
        raise OpenCXArgumentError(f"--var: no file uses {listed([*map(in_quotes, unused)])}; check how it is spelled.")
    return declarations


def _typed_variable(typed: str) -> tuple[str, str]:
    from airflow_provider_opencx.exceptions import OpenCXArgumentError

    name, equals, value = typed.partition("=")
    if not equals:
        raise OpenCXArgumentError("--var: must be NAME=VALUE, such as --var REGION=emea.")
    return name.strip(), value


def _variables_in(file: Path) -> dict[str, str]:
    """Return the variables in a file; all values are text, as written."""
    from airflow_provider_opencx.exceptions import OpenCXArgumentError
    from airflow_provider_opencx.visible_text import in_quotes

    named = f"--vars-file {in_quotes(str(file))}"
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise OpenCXArgumentError(f"{named}: cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise OpenCXArgumentError(f"{named}: is not text in UTF-8.") from None
    if file.suffix not in (".yaml", ".yml", ".json"):
        return _variables_in_lines(text, named)
    variables = _mapping_in(text, is_json=file.suffix == ".json", named=named)
    if not isinstance(variables, dict) or not all(isinstance(value, str) for value in variables.values()):
        raise OpenCXArgumentError(f"{named}: must be a mapping of names to texts.")
    return variables


def _mapping_in(text: str, *, is_json: bool, named: str) -> object:
    from yaml import BaseLoader, YAMLError, load

    from airflow_provider_opencx.exceptions import OpenCXArgumentError

    try:
        if is_json:
            return json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
        return load(text, Loader=BaseLoader)  # noqa: S506  # it makes texts and nothing else
    except (ValueError, YAMLError, RecursionError):
        raise OpenCXArgumentError(f"{named}: is not {'JSON' if is_json else 'YAML'}.") from None


def _variables_in_lines(text: str, named: str) -> dict[str, str]:
    from airflow_provider_opencx.exceptions import OpenCXArgumentError

    variables = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _LINE.fullmatch(line.strip())
        if not found:
            raise OpenCXArgumentError(f"{named}, line {number}: must be NAME=VALUE, or a comment that begins with #.")
        variables[found["name"]] = _unquoted(found["value"])
    return variables


def _unquoted(value: str) -> str:
    is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in _QUOTES
    return value[1:-1] if is_quoted else value
