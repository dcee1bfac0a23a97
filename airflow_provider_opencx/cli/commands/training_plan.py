"""``training plan``: shows what ``training apply`` would do."""

from __future__ import annotations

from argparse import Namespace

from airflow_provider_opencx.cli.command import Command, ExitCode
from airflow_provider_opencx.cli.connections import CONNECTION_ARGUMENTS, open_client
from airflow_provider_opencx.cli.planning import GUARD_ARGUMENTS, PLAN_ARGUMENTS, show_plan_only
from airflow_provider_opencx.cli.training import SCENARIO_FILES, TRAINING_ARGUMENTS, make_training_plan
from airflow_provider_opencx.cli.variables import VARIABLE_ARGUMENTS


def run(options: Namespace) -> ExitCode:
    """Show the plan, and write it to a file if one is named."""
    with open_client(options) as connected:
        plan = make_training_plan(options, connected)
    return show_plan_only(options, plan)


COMMAND = Command(
    name="training plan",
    help="Show what training apply would do: scenarios to create, fields and lines to change. Writes nothing.",
    example="python -m airflow_provider_opencx training plan training/\n"
    "python -m airflow_provider_opencx training plan training/ --detailed-exitcode --out plan.json",
    arguments=(
        SCENARIO_FILES,
        *VARIABLE_ARGUMENTS,
        *CONNECTION_ARGUMENTS,
        *TRAINING_ARGUMENTS,
        *GUARD_ARGUMENTS,
        *PLAN_ARGUMENTS,
    ),
    run=run,
)
