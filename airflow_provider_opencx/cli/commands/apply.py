"""``apply``: brings the agents to their declarations."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from airflow_provider_opencx.cli.applying import APPLY_ARGUMENTS, approval_of, plan_from_file, shown_progress
from airflow_provider_opencx.cli.command import Command, ExitCode
from airflow_provider_opencx.cli.connections import CONNECTION_ARGUMENTS, open_client
from airflow_provider_opencx.cli.fleet import FILES, PLAN_OF_FLEET_ARGUMENTS, make_plan
from airflow_provider_opencx.cli.output import write, write_value
from airflow_provider_opencx.cli.planning import GUARD_ARGUMENTS, guards_of
from airflow_provider_opencx.cli.variables import VARIABLE_ARGUMENTS

if TYPE_CHECKING:
    from airflow_provider_opencx.phone_agents.fleet import FleetPlan
    from airflow_provider_opencx.resources.phone_agents import PhoneAgent

_COLUMNS = {"name": "Name", "id": "Id", "phone_number": "Number", "action": "Action"}


def run(options: Namespace) -> ExitCode:
    """Show the plan, ask if nobody has approved it, apply it, and show the agents."""
    from airflow_provider_opencx.phone_agents.fleet import FleetPlan
    from airflow_provider_opencx.phone_agents.reconcile import apply_fleet

    approved = plan_from_file(options, FleetPlan.checked_plan)
    with open_client(options) as connected:
        plan = make_plan(options, connected)
        approved = approval_of(options, plan, approved)
        with shown_progress(plan, connected) as on_result:
            agents = apply_fleet(
                connected.client,
                plan,
                connection=connected.connection,
                approved=approved,
                guards=guards_of(options),
                on_mismatch=options.on_mismatch,
                on_result=on_result,
            )
    _show(plan, agents, options.output)
    return ExitCode.DONE


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
        *PLAN_OF_FLEET_ARGUMENTS,
        *GUARD_ARGUMENTS,
        *APPLY_ARGUMENTS,
    ),
    run=run,
)
