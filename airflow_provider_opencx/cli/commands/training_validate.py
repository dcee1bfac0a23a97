"""``training validate``: checks files of training scenarios, without the network and without Airflow."""

from __future__ import annotations

from argparse import Namespace

from airflow_provider_opencx.cli.command import Command, ExitCode
from airflow_provider_opencx.cli.training import SCENARIO_FILES, read_scenario_declarations
from airflow_provider_opencx.cli.validation import validate
from airflow_provider_opencx.cli.variables import VARIABLE_ARGUMENTS


def run(options: Namespace) -> ExitCode:
    """Check the files."""
    from airflow_provider_opencx.knowledge.declarations import parse_scenarios

    return validate(options, read_scenario_declarations, parse_scenarios, "training scenario")


COMMAND = Command(
    name="training validate",
    help="Check files of training scenarios without network: all problems, each with its file, line and remedy.",
    example="python -m airflow_provider_opencx training validate training/",
    arguments=(SCENARIO_FILES, *VARIABLE_ARGUMENTS),
    run=run,
)
