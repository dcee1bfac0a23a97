"""Shared by the commands that plan: arguments, and how a plan is shown, checked and written."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentTypeError, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from airflow_provider_opencx.cli.command import Argument, ExitCode
from airflow_provider_opencx.cli.output import is_plain, say, write_text, write_value

if TYPE_CHECKING:
    from airflow_provider_opencx.knowledge.training_plan import TrainingPlan
    from airflow_provider_opencx.phone_agents.fleet import FleetPlan
    from airflow_provider_opencx.reconciliation.guards import Guards

    AnyPlan: TypeAlias = FleetPlan | TrainingPlan

_ADDED = "        added: "
_REMOVED = "        removed: "


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ArgumentTypeError("must be a whole number, zero or more")
    return int(text)


GUARD_ARGUMENTS = (
    Argument(
        ("--max-creates",), {"metavar": "N", "type": _number, "help": "refuse a plan that creates more than this"}
    ),
    Argument(
        ("--max-updates",), {"metavar": "N", "type": _number, "help": "refuse a plan that updates more than this"}
    ),
    Argument(("--expected-org-id",), {"metavar": "ID", "help": "refuse a plan for another organization than this"}),
)
"""The arguments that say which plan is refused; :func:`guards_of` reads them."""

PLAN_ARGUMENTS = (
    Argument(("--out",), {"metavar": "PLAN.json", "help": "write the plan to this file, for apply --plan"}),
    Argument(
        ("--detailed-exitcode",),
        {"action": "store_true", "help": "exit with 2 if something would change, with 0 only if nothing would"},
    ),
)
"""The arguments of a command that shows a plan; :func:`show_plan_only` reads them."""


def guards_of(options: Namespace) -> Guards:
    """Return the limits that the options set for a plan."""
    from airflow_provider_opencx.reconciliation.guards import Guards

    return Guards(options.max_creates, options.max_updates, options.expected_org_id)


def show_plan(plan: AnyPlan, *, on_stderr: bool = False) -> None:
    """Show a plan to people: with colours on a terminal, as plain text elsewhere.

    :param on_stderr: whether stdout is for something else. Default ``False``.
    """
    text = f"{plan.text}\n\nPlan: {plan.summary}"
    stream = sys.stderr if on_stderr else sys.stdout
    if not is_plain(stream):
        _show_in_colours(text, on_stderr)
    elif on_stderr:
        say(text)
    else:
        write_text(text)


def _show_in_colours(text: str, on_stderr: bool) -> None:
    from rich.console import Console
    from rich.text import Text

    from airflow_provider_opencx.cli.secrets import without_secrets

    console = Console(stderr=on_stderr, highlight=False)
    for line in text.splitlines():
        console.print(Text(*_styled(without_secrets(line))), soft_wrap=True)


def _styled(line: str) -> tuple[str, str]:
    """Return a line of a plan as a terminal shows it, and its style. What others wrote begins no line."""
    if line.startswith(_ADDED):
        return f"      + {line.removeprefix(_ADDED)}", "green"
    if line.startswith(_REMOVED):
        return f"      - {line.removeprefix(_REMOVED)}", "red"
    return line, "" if line.startswith(" ") else "bold"


def show_plan_only(options: Namespace, plan: AnyPlan) -> ExitCode:
    """Show a plan, check that it could be applied, and write it to a file if one is named.

    :param options: those of :data:`PLAN_ARGUMENTS` and :data:`GUARD_ARGUMENTS`.
    """
    if options.output == "table":
        show_plan(plan)
    else:
        write_value(plan.as_dict(), options.output)
    _check(plan, options)
    if options.out:
        _write(plan, Path(options.out))
    return ExitCode.DIFFERS if options.detailed_exitcode and plan.changes else ExitCode.DONE


def _check(plan: AnyPlan, options: Namespace) -> None:
    """Check that the plan could be applied, and that all that it needs could be read."""
    from airflow_provider_opencx.reconciliation.plans import Refuse

    plan.check(None, guards_of(options))
    for step in plan.steps:
        if isinstance(step.plan, Refuse):
            raise step.plan.error


def _write(plan: AnyPlan, file: Path) -> None:
    from airflow_provider_opencx.exceptions import OpenCXArgumentError
    from airflow_provider_opencx.visible_text import in_quotes

    try:
        file.write_text(json.dumps(plan.as_dict(), indent=2), encoding="utf-8")
    except OSError as error:
        raise OpenCXArgumentError(f"--out {in_quotes(str(file))}: cannot be written: {error.strerror}.") from None
    say(f"The plan is in {in_quotes(str(file))}: apply --plan applies this plan and no other.")
