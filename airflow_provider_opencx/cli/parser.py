"""All commands, and the parser of ``python -m airflow_provider_opencx``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import NoReturn

from airflow_provider_opencx.cli.command import Argument, Command, ExitCode

PROGRAM = "python -m airflow_provider_opencx"
"""The name of the program in the examples of the commands."""

COMMAND_MODULES = (
    "validate",
    "plan",
    "apply",
    "export",
    "agents",
    "voices",
    "actions",
    "training_validate",
    "training_plan",
    "training_apply",
    "training_export",
    "training_list",
    "doctor",
    "simulate",
)
"""The modules in ``cli/commands``, each with one ``COMMAND`` of the same name, in the order of ``--help``."""

GROUPS: Mapping[str, str] = {
    "training": "Training scenarios, which are what agents know: validate, plan, apply, export"
}
"""The help of each group of commands."""

_DESCRIPTION = (
    "OpenCX phone agents and what they know, from the command line. Results are written to stdout, everything else to"
    " stderr. Exit codes: 0 done or nothing to do, 1 error, 2 differs (plan --detailed-exitcode), 130 interrupted."
)

_OUTPUT = Argument(
    ("-o", "--output"),
    {"choices": ("table", "json", "yaml"), "default": "table", "help": "the form of the results. Default: table"},
)

_DEBUG = Argument(
    ("--debug",),
    {
        "action": "store_true",
        "help": "show each request (method, path, status, milliseconds), and of an error where it was raised",
    },
)


def commands() -> list[Command]:
    """Return all commands; what they need is imported when they run."""
    return [import_module(f"airflow_provider_opencx.cli.commands.{name}").COMMAND for name in COMMAND_MODULES]


def arguments_of(command: Command) -> tuple[Argument, ...]:
    """Return the arguments of a command, those that all have among them."""
    return (*command.arguments, *([_OUTPUT] if command.has_output else []), _DEBUG)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser; the parsed options have the ``Command`` as ``options.command``."""
    parser = _Parser(prog=PROGRAM, description=_DESCRIPTION)
    parsers = parser.add_subparsers(metavar="COMMAND", required=True)
    in_groups: dict[str, argparse._SubParsersAction[_Parser]] = {}
    for command in commands():
        group, _, name = command.name.rpartition(" ")
        if group and group not in in_groups:
            of_group = parsers.add_parser(group, help=GROUPS[group], description=GROUPS[group])
            in_groups[group] = of_group.add_subparsers(metavar="COMMAND", required=True)
        _add(in_groups.get(group, parsers), command, name)
    return parser


class _Parser(argparse.ArgumentParser):
    """A parser whose exit code for wrong usage is that of an error: argparse's own, 2, says that something differs."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(ExitCode.ERROR, f"Error: {message}\n")


def _add(parsers: argparse._SubParsersAction[_Parser], command: Command, name: str) -> None:
    parser = parsers.add_parser(
        name,
        help=command.help,
        description=command.help,
        epilog=f"Example:\n{_indented(command.example)}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for argument in arguments_of(command):
        parser.add_argument(*argument.flags, **argument.options)  # type: ignore[arg-type]  # what argparse takes
    parser.set_defaults(command=command)


def _indented(lines: str) -> str:
    return "\n".join(f"  {line}" for line in lines.splitlines())
