"""Checks declaration files for a command, and shows the problems."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

from airflow_provider_opencx.cli.command import ExitCode
from airflow_provider_opencx.cli.output import say, write

if TYPE_CHECKING:
    from airflow_provider_opencx.cli.output import Row
    from airflow_provider_opencx.declared_files.places import FileDeclarations

_COLUMNS = {
    "file": "File",
    "line": "Line",
    "column": "Column",
    "agent": "Agent",
    "field": "Field",
    "message": "Message",
    "read": "Read",
    "remedy": "Remedy",
}


def validate(
    options: Namespace,
    read: Callable[[Namespace], FileDeclarations],
    parse: Callable[[object], Sequence[object]],
    noun: str,
) -> ExitCode:
    """Check files, and show all problems.

    :param read: reads the files that the options name.
    :param parse: checks what they declare.
    :param noun: what messages call one declaration.
    """
    from airflow_provider_opencx.exceptions import OpenCXFleetFileError

    problems: list[Row] = []
    warnings: list[Row] = []
    declared = 0
    try:
        declarations = read(options)
        warnings = [{"severity": "warning", **warning.as_dict()} for warning in declarations.warnings]
        declared = len(parse(declarations))
    except OpenCXFleetFileError as error:
        problems = [cast("Row", {"severity": "error", **problem}) for problem in error.problems]
    if options.output != "table":
        write([*problems, *warnings], _COLUMNS, options.output)
    elif problems:
        write(problems, _COLUMNS, options.output)
    say(f"{_counted(len(problems), 'problem')}." if problems else f"{_counted(declared, noun)}, no problems.")
    return ExitCode.ERROR if problems else ExitCode.DONE


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
