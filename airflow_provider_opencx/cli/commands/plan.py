"""``plan``: shows what ``apply`` would do."""

from __future__ import annotations

from argparse import Namespace

from airflow_provider_opencx.cli.command import Command, ExitCode
from airflow_provider_opencx.cli.connections import CONNECTION_ARGUMENTS, open_client
from airflow_provider_opencx.cli.fleet import FILES, PLAN_OF_FLEET_ARGUMENTS, make_plan
from airflow_provider_opencx.cli.planning import GUARD_ARGUMENTS, PLAN_ARGUMENTS, show_plan_only
from airflow_provider_opencx.cli.variables import VARIABLE_ARGUMENTS


def run(options: Namespace) -> ExitCode:
    """Show the plan, and write it to a file if one is named."""
    with open_client(options) as connected:
        plan = make_plan(options, connected)
    return show_plan_only(options, plan)


COMMAND = Command(
    name="plan",
    help="Show what apply would do: agents to create, fields to change, lines of long texts. Writes nothing.",
    example="python -m airflow_provider_opencx plan fleet.yaml\n"
    "python -m airflow_provider_opencx plan fleet.yaml --detailed-exitcode --out plan.json",
    arguments=(
        FILES,
        *VARIABLE_ARGUMENTS,
        *CONNECTION_ARGUMENTS,
        *PLAN_OF_FLEET_ARGUMENTS,
        *GUARD_ARGUMENTS,
        *PLAN_ARGUMENTS,
    ),
    run=run,
)
