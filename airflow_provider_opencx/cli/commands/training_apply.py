"""``training apply``: brings the training scenarios to their declarations."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from airflow_provider_opencx.cli.applying import APPLY_ARGUMENTS, approval_of, plan_from_file, shown_progress
from airflow_provider_opencx.cli.command import Command, ExitCode
from airflow_provider_opencx.cli.connections import CONNECTION_ARGUMENTS, open_client
from airflow_provider_opencx.cli.output import write, write_value
from airflow_provider_opencx.cli.planning import GUARD_ARGUMENTS, guards_of
from airflow_provider_opencx.cli.training import SCENARIO_FILES, TRAINING_ARGUMENTS, make_training_plan
from airflow_provider_opencx.cli.variables import VARIABLE_ARGUMENTS

if TYPE_CHECKING:
    from airflow_provider_opencx.knowledge.training_plan import TrainingPlan
    from airflow_provider_opencx.resources.training import TrainingScenario

_COLUMNS = {"title": "Title", "key": "Key", "id": "Id", "action": "Action"}


def run(options: Namespace) -> ExitCode:
    """Show the plan, ask if nobody has approved it, apply it, and show the scenarios."""
    from airflow_provider_opencx.knowledge.reconcile import apply_training
    from airflow_provider_opencx.knowledge.training_plan import TrainingPlan

    approved = plan_from_file(options, TrainingPlan.checked_plan)
    with open_client(options) as connected:
        plan = make_training_plan(options, connected)
        approved = approval_of(options, plan, approved)
        with shown_progress(plan, connected) as on_result:
            scenarios = apply_training(
                connected.client,
                plan,
                connection=connected.connection,
                approved=approved,
                guards=guards_of(options),
                on_mismatch=options.on_mismatch,
                on_result=on_result,
            )
    _show(plan, scenarios, options.output)
    return ExitCode.DONE


def _show(plan: TrainingPlan, scenarios: list[TrainingScenario], output: str) -> None:
    if output != "table":
        write_value([scenario.as_dict() for scenario in scenarios], output)
        return
    actions = {step.spec.key: step.action for step in plan.steps}
    rows = [
        {"title": each.current_title, "key": each.key, "id": each.id, "action": actions[each.key or ""]}
        for each in scenarios
    ]
    write(rows, _COLUMNS, output)


COMMAND = Command(
    name="training apply",
    help="Bring the training scenarios to their declarations: shows the plan, asks, writes what differs.",
    example="python -m airflow_provider_opencx training apply training/\n"
    "python -m airflow_provider_opencx training apply training/ --plan plan.json",
    arguments=(
        SCENARIO_FILES,
        *VARIABLE_ARGUMENTS,
        *CONNECTION_ARGUMENTS,
        *TRAINING_ARGUMENTS,
        *GUARD_ARGUMENTS,
        *APPLY_ARGUMENTS,
    ),
    run=run,
)
