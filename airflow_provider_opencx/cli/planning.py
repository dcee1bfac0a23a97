"""What ``plan`` and ``apply`` have in common: their arguments, making the plan, and showing it."""

from __future__ import annotations

import sys
from argparse import ArgumentTypeError, Namespace
from typing import TYPE_CHECKING

from airflow_provider_opencx.cli.command import Argument
from airflow_provider_opencx.cli.fleet import read_entries
from airflow_provider_opencx.cli.output import is_plain, say, write_text

if TYPE_CHECKING:
    from airflow_provider_opencx.cli.connections import ConnectedClient
    from airflow_provider_opencx.phone_agents.fleet import FleetPlan
    from airflow_provider_opencx.reconciliation.guards import Guards

_ADDED = "        added: "
_REMOVED = "        removed: "


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ArgumentTypeError("must be a whole number, zero or more")
    return int(text)


PLAN_ARGUMENTS = (
    Argument(
        ("--allow-near-name",),
        {
            "action": "store_true",
            "help": "create an agent also beside one whose name differs only in case, blanks, dashes or the like",
        },
    ),
    Argument(
        ("--max-creates",),
        {"metavar": "N", "type": _number, "help": "refuse a plan that creates more agents than this"},
    ),
    Argument(
        ("--max-updates",),
        {"metavar": "N", "type": _number, "help": "refuse a plan that updates more agents than this"},
    ),
    Argument(("--expected-org-id",), {"metavar": "ID", "help": "refuse a plan for another organization than this"}),
)
"""The arguments that say which plan is made, and which is refused."""


def make_plan(options: Namespace, connected: ConnectedClient) -> FleetPlan:
    """Read the fleet files, list the agents, and return the plan; writes nothing.

    :param options: those of ``FILES``, ``VARIABLE_ARGUMENTS`` and :data:`PLAN_ARGUMENTS`.
    """
    from airflow_provider_opencx.phone_agents.reconcile import plan_fleet

    entries, declarations = read_entries(options)
    return plan_fleet(
        connected.client,
        entries,
        connection=connected.connection,
        allow_near_name=options.allow_near_name,
        ignore=declarations.ignore,
    )


def guards_of(options: Namespace) -> Guards:
    """Return the limits that the options set for a plan."""
    from airflow_provider_opencx.reconciliation.guards import Guards

    return Guards(options.max_creates, options.max_updates, options.expected_org_id)


def show_plan(plan: FleetPlan, *, on_stderr: bool = False) -> None:
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
