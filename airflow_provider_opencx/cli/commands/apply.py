"""``apply``: brings the agents to their declarations."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_opencx.cli.command import Argument, Command, ExitCode
from airflow_provider_opencx.cli.connections import CONNECTION_ARGUMENTS, open_client
from airflow_provider_opencx.cli.fleet import FILES, VARIABLE_ARGUMENTS
from airflow_provider_opencx.cli.output import say, write, write_value
from airflow_provider_opencx.cli.planning import PLAN_ARGUMENTS, guards_of, make_plan, show_plan
from airflow_provider_opencx.cli.progress import progress_bar

if TYPE_CHECKING:
    from pydantic import JsonValue

    from airflow_provider_opencx.cli.connections import ConnectedClient
    from airflow_provider_opencx.phone_agents.fleet import FleetPlan
    from airflow_provider_opencx.resources.phone_agents import PhoneAgent

_COLUMNS = {"name": "Name", "id": "Id", "phone_number": "Number", "action": "Action"}


def run(options: Namespace) -> ExitCode:
    """Show the plan, ask if nobody has approved it, apply it, and show the agents."""
    approved = _approved_plan(Path(options.plan)) if options.plan else None
    with open_client(options) as connected:
        plan = make_plan(options, connected)
        show_plan(plan, on_stderr=options.output != "table")
        plan.check(approved, guards_of(options))
        if not plan.changes:
            say("Nothing to do.")
        elif approved is None and not options.yes:
            _ask(plan.changes)
            approved = plan.as_dict()  # what was shown, also if the agents have changed since
        agents = _apply(plan, approved, connected, options)
    _show(plan, agents, options.output)
    return ExitCode.DONE


def _approved_plan(file: Path) -> Mapping[str, JsonValue]:
    from airflow_provider_opencx.exceptions import OpenCXArgumentError
    from airflow_provider_opencx.phone_agents.fleet import FleetPlan
    from airflow_provider_opencx.visible_text import in_quotes

    named = f"--plan {in_quotes(str(file))}"
    try:
        return FleetPlan.checked_plan(json.loads(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise OpenCXArgumentError(f"{named}: cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError):
        raise OpenCXArgumentError(f"{named}: is not a plan; plan --out writes one.") from None


def _ask(changes: int) -> None:
    """Ask on the terminal whether to go on.

    :raises OpenCXPlanRefusedError: if the user does not want it, or cannot be asked.
    """
    from airflow_provider_opencx.exceptions import OpenCXPlanRefusedError

    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise OpenCXPlanRefusedError(
            "Nothing was sent, because nobody can be asked: this is no terminal. Add --plan PLAN.json to apply a plan"
            " that somebody has approved, or --yes to apply any."
        )
    what = "this change" if changes == 1 else f"these {changes} changes"
    print(f"Apply {what}? Type yes: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != "yes":
        raise OpenCXPlanRefusedError("Nothing was sent, because the answer was not yes.")


def _apply(
    plan: FleetPlan, approved: Mapping[str, JsonValue] | None, connected: ConnectedClient, options: Namespace
) -> list[PhoneAgent]:
    from airflow_provider_opencx.exceptions import OpenCXFleetError
    from airflow_provider_opencx.phone_agents.reconcile import apply_fleet

    client = connected.client
    try:
        with progress_bar(plan.changes, client.settings.requests_per_minute) as on_result:
            return apply_fleet(
                client,
                plan,
                connection=connected.connection,
                approved=approved,
                guards=guards_of(options),
                on_mismatch=options.on_mismatch,
                on_result=on_result,
            )
    except KeyboardInterrupt:
        say("What was sent stays. Run the command again: it does what is left, and creates nothing twice.")
        raise
    except OpenCXFleetError as error:
        raise error.with_message(f"{error} Run the command again: it does what is left.") from None


def _show(plan: FleetPlan, agents: list[PhoneAgent], output: str) -> None:
    if output != "table":
        write_value([agent.as_dict() for agent in agents], output)
        return
    rows = [
        {"name": agent.name, "id": agent.id, "phone_number": agent.phone_number or "pending", "action": step.action}
        for step, agent in zip(plan.steps, agents, strict=True)
    ]
    write(rows, _COLUMNS, output)


COMMAND = Command(
    name="apply",
    help="Bring the agents to their declarations: shows the plan, asks, writes what differs, and nothing twice.",
    example="python -m airflow_provider_opencx apply fleet.yaml\n"
    "python -m airflow_provider_opencx apply fleet.yaml --plan plan.json",
    arguments=(
        FILES,
        *VARIABLE_ARGUMENTS,
        *CONNECTION_ARGUMENTS,
        *PLAN_ARGUMENTS,
        Argument(("--yes",), {"action": "store_true", "help": "do not ask"}),
        Argument(
            ("--plan",),
            {"metavar": "PLAN.json", "help": "apply this plan of plan --out without asking, and refuse any other"},
        ),
        Argument(
            ("--on-mismatch",),
            {
                "choices": ("fail", "warn"),
                "default": "fail",
                "help": "what to do if the service stores another value than declared. Default: fail",
            },
        ),
    ),
    run=run,
)
