"""``validate``: checks fleet files, without the network and without Airflow."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, cast

from airflow_provider_opencx.cli.command import Argument, Command, ExitCode
from airflow_provider_opencx.cli.fleet import FILES, VARIABLE_ARGUMENTS, read_declarations
from airflow_provider_opencx.cli.output import say, write, write_value

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
    """Check the files, or print the schema for editors."""
    if options.schema:
        return _print_schema(options.output)
    if not options.files:
        from airflow_provider_opencx.exceptions import OpenCXArgumentError

        raise OpenCXArgumentError("validate: needs a FILE, or --schema.")
    return _validate(options)


def _validate(options: Namespace) -> ExitCode:
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


def _print_schema(output: str) -> ExitCode:
    from airflow_provider_opencx.phone_agents.fleet_files.schema import fleet_schema

    write_value(fleet_schema(), output)
    return ExitCode.DONE


COMMAND = Command(
    name="validate",
    help="Check fleet files without network: all problems, each with its file, line, column and remedy.",
    example="python -m airflow_provider_opencx validate fleet.yaml\n"
    "python -m airflow_provider_opencx validate fleets/ --vars-file staging.env -o json\n"
    "python -m airflow_provider_opencx validate --schema > fleet.schema.json",
    arguments=(
        Argument(FILES.flags, {**FILES.options, "nargs": "*"}),
        *VARIABLE_ARGUMENTS,
        Argument(("--schema",), {"action": "store_true", "help": "print the JSON schema of a fleet file, for editors"}),
    ),
    run=run,
)
