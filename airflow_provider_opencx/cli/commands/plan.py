"""``plan``: what ``apply`` would do."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_opencx.cli.command import Argument, Command, ExitCode
from airflow_provider_opencx.cli.connections import CONNECTION_ARGUMENTS, open_client
from airflow_provider_opencx.cli.fleet import FILES, VARIABLE_ARGUMENTS
from airflow_provider_opencx.cli.output import say, write_value
from airflow_provider_opencx.cli.planning import PLAN_ARGUMENTS, guards_of, make_plan, show_plan

if TYPE_CHECKING:
    from airflow_provider_opencx.phone_agents.fleet import FleetPlan


def run(options: Namespace) -> ExitCode:
    """Show the plan, and write it to a file if one is named."""
    with open_client(options) as connected:
        plan = make_plan(options, connected)
    if options.output == "table":
        show_plan(plan)
    else:
        write_value(plan.as_dict(), options.output)
    _check(plan, options)
    if options.out:
        _write(plan, Path(options.out))
    return ExitCode.DIFFERS if options.detailed_exitcode and plan.changes else ExitCode.DONE


def _check(plan: FleetPlan, options: Namespace) -> None:
    """Check that the plan could be applied, and that all that it needs could be read."""
    from airflow_provider_opencx.reconciliation.plans import Refuse

    plan.check(None, guards_of(options))
    for step in plan.steps:
        if isinstance(step.plan, Refuse):
            raise step.plan.error


def _write(plan: FleetPlan, file: Path) -> None:
    from airflow_provider_opencx.exceptions import OpenCXArgumentError
    from airflow_provider_opencx.visible_text import in_quotes

    try:
        file.write_text(json.dumps(plan.as_dict(), indent=2), encoding="utf-8")
    except OSError as error:
        raise OpenCXArgumentError(f"--out {in_quotes(str(file))}: cannot be written: {error.strerror}.") from None
    say(f"The plan is in {in_quotes(str(file))}: apply --plan applies this plan and no other.")


COMMAND = Command(
    name="plan",
    help="Show what apply would do: agents to create, fields to change, lines of long texts. Writes nothing.",
    example="python -m airflow_provider_opencx plan fleet.yaml\n"
    "python -m airflow_provider_opencx plan fleet.yaml --detailed-exitcode --out plan.json",
    arguments=(
        FILES,
        *VARIABLE_ARGUMENTS,
        *CONNECTION_ARGUMENTS,
        *PLAN_ARGUMENTS,
        Argument(("--out",), {"metavar": "PLAN.json", "help": "write the plan to this file, for apply --plan"}),
        Argument(
            ("--detailed-exitcode",),
            {"action": "store_true", "help": "exit with 2 if something would change, with 0 only if nothing would"},
        ),
    ),
    run=run,
)
