"""``validate``: checks fleet files, without the network and without Airflow."""

from __future__ import annotations

from argparse import Namespace

from airflow_provider_opencx.cli.command import Argument, Command, ExitCode
from airflow_provider_opencx.cli.fleet import FILES, read_declarations
from airflow_provider_opencx.cli.output import write_value
from airflow_provider_opencx.cli.validation import validate
from airflow_provider_opencx.cli.variables import VARIABLE_ARGUMENTS


def run(options: Namespace) -> ExitCode:
    """Check the files, or print the schema for editors."""
    if options.schema:
        return _print_schema(options.output)
    if not options.files:
        from airflow_provider_opencx.exceptions import OpenCXArgumentError

        raise OpenCXArgumentError("validate: needs a FILE, or --schema.")
    from airflow_provider_opencx.phone_agents.declarations import parse_fleet

    return validate(options, read_declarations, parse_fleet, "agent")


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
