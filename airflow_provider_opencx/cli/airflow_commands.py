"""The commands for Airflow: ``airflow opencx COMMAND``, in Airflow 3.2 and later.

Airflow calls :func:`airflow_commands` whenever ``airflow ...`` is started, so nothing heavy is imported here.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable

from airflow.cli.cli_config import ActionCommand, Arg, GroupCommand

from airflow_provider_opencx.cli.command import Argument, Command
from airflow_provider_opencx.cli.parser import GROUPS, PROGRAM, arguments_of, commands
from airflow_provider_opencx.cli.session import run_command


def airflow_commands() -> list[GroupCommand]:
    """Return the group ``opencx`` of Airflow's command line."""
    return [
        GroupCommand(
            name="opencx",
            help="OpenCX phone agents: validate, plan and apply fleets and training scenarios, list agents and voices",
            subcommands=[
                *(_action(command, command.name) for command in commands() if " " not in command.name),
                *(_group(name, text) for name, text in GROUPS.items()),
            ],
        )
    ]


def _group(name: str, text: str) -> GroupCommand:
    found = [command for command in commands() if command.name.startswith(f"{name} ")]
    actions = [_action(command, command.name.removeprefix(f"{name} ")) for command in found]
    return GroupCommand(name=name, help=text, subcommands=actions)


def _action(command: Command, name: str) -> ActionCommand:
    return ActionCommand(
        name=name,
        help=command.help,
        func=_ending_with_exit_code(command),
        args=[_argument(argument) for argument in arguments_of(command)],
        epilog=f"Example:\n{command.example.replace(PROGRAM, 'airflow opencx')}",
    )


def _argument(argument: Argument) -> Arg:
    return Arg(argument.flags, **argument.options)  # type: ignore[no-untyped-call]  # it has no types


def _ending_with_exit_code(command: Command) -> Callable[[Namespace], None]:
    def run(options: Namespace) -> None:
        sys.exit(run_command(command, options))

    return run
