"""Shared by the commands that apply plans: asking for approval, applying with a progress bar, arguments."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_opencx.cli.command import Argument
from airflow_provider_opencx.cli.output import say
from airflow_provider_opencx.cli.planning import guards_of, show_plan
from airflow_provider_opencx.cli.progress import progress_bar

if TYPE_CHECKING:
    from pydantic import JsonValue

    from airflow_provider_opencx.cli.connections import ConnectedClient
    from airflow_provider_opencx.cli.planning import AnyPlan
    from airflow_provider_opencx.reconciliation.progress import OnResult

APPLY_ARGUMENTS = (
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
)
"""The arguments of a command that applies a plan."""

CheckedPlan = Callable[[object], "Mapping[str, JsonValue]"]
"""Returns an approved plan if it is the JSON of a plan of the right kind."""


def plan_from_file(options: Namespace, checked_plan: CheckedPlan) -> Mapping[str, JsonValue] | None:
    """Return the approved plan that ``--plan`` names, ``None`` if it names none."""
    return _approved_plan(Path(options.plan), checked_plan) if options.plan else None


def approval_of(
    options: Namespace, plan: AnyPlan, approved: Mapping[str, JsonValue] | None
) -> Mapping[str, JsonValue] | None:
    """Show a plan, check it, and ask if nobody has approved it; return what is approved.

    :param approved: the plan that ``--plan`` names.
    :raises OpenCXPlanRefusedError: if it must not be applied, or the user does not want it.
    """
    show_plan(plan, on_stderr=options.output != "table")
    plan.check(approved, guards_of(options))
    if not plan.changes:
        say("Nothing to do.")
    elif approved is None and not options.yes:
        _ask(plan.changes)
        return plan.as_dict()  # what was shown, also if something has changed since
    return approved


@contextmanager
def shown_progress(plan: AnyPlan, connected: ConnectedClient) -> Generator[OnResult]:
    """Show a progress bar while a plan is applied, and say what to do if that ends early."""
    from airflow_provider_opencx.exceptions import OpenCXFleetError

    try:
        with progress_bar(plan.changes, connected.client.settings.requests_per_minute) as on_result:
            yield on_result
    except KeyboardInterrupt:
        say("What was sent stays. Run the command again: it does what is left, and creates nothing twice.")
        raise
    except OpenCXFleetError as error:
        raise error.with_message(f"{error} Run the command again: it does what is left.") from None


def _approved_plan(file: Path, checked_plan: CheckedPlan) -> Mapping[str, JsonValue]:
    from airflow_provider_opencx.exceptions import OpenCXArgumentError
    from airflow_provider_opencx.visible_text import in_quotes

    named = f"--plan {in_quotes(str(file))}"
    try:
        return checked_plan(json.loads(file.read_text(encoding="utf-8")))
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
            "Nothing was sent, because nobody can be asked: this is not a terminal. Add --plan PLAN.json to apply a"
            " plan that somebody has approved, or --yes to apply any."
        )
    what = "this change" if changes == 1 else f"these {changes} changes"
    print(f"Apply {what}? Type yes: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != "yes":
        raise OpenCXPlanRefusedError("Nothing was sent, because the answer was not yes.")
