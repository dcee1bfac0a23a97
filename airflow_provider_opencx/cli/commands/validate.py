"""``validate``: checks fleet files, without the network and without Airflow."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, cast

from airflow_provider_opencx.cli.command import Command, ExitCode
from airflow_provider_opencx.cli.fleet import FILES, VARIABLE_ARGUMENTS, read_declarations
from airflow_provider_opencx.cli.output import say, write

if TYPE_CHECKING:
    from airflow_provider_opencx.cli.output import Row

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


def run(options: Namespace) -> ExitCode:
    """Check the files."""
    from airflow_provider_opencx.exceptions import OpenCXFleetFileError
    from airflow_provider_opencx.phone_agents.declarations import parse_fleet

    problems: list[Row] = []
    warnings: list[Row] = []
    agents = 0
    try:
        declarations = read_declarations(options)
        warnings = [{"severity": "warning", **warning.as_dict()} for warning in declarations.warnings]
        agents = len(parse_fleet(declarations))
    except OpenCXFleetFileError as error:
        problems = [cast("Row", {"severity": "error", **problem}) for problem in error.problems]
    if options.output != "table":
        write([*problems, *warnings], _COLUMNS, options.output)
    elif problems:
        write(problems, _COLUMNS, options.output)
    say(f"{_counted(len(problems), 'problem')}." if problems else f"{_counted(agents, 'agent')}, no problems.")
    return ExitCode.ERROR if problems else ExitCode.DONE


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


COMMAND = Command(
    name="validate",
    help="Check fleet files without network: all problems, each with its file, line, column and remedy.",
    example="python -m airflow_provider_opencx validate fleet.yaml\n"
    "python -m airflow_provider_opencx validate fleets/ --vars-file staging.env -o json",
    arguments=(
        FILES,
        *VARIABLE_ARGUMENTS,
    ),
    run=run,
)
