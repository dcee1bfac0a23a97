"""Reads the fleet files of a command, and makes the plan for them."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from airflow_provider_opencx.cli.command import Argument
from airflow_provider_opencx.cli.variables import read_with_variables

if TYPE_CHECKING:
    from airflow_provider_opencx.cli.connections import ConnectedClient
    from airflow_provider_opencx.declared_files.places import FileDeclarations
    from airflow_provider_opencx.phone_agents.entry import FleetEntry
    from airflow_provider_opencx.phone_agents.fleet import FleetPlan

FILES = Argument(
    ("files",), {"metavar": "FILE", "nargs": "+", "help": "a fleet file, a folder of them, or a glob in quotes"}
)
"""The files of a fleet."""


def read_declarations(options: Namespace) -> FileDeclarations:
    """Read the files of a fleet, with the variables that the options give.

    :param options: those of :data:`FILES` and of ``VARIABLE_ARGUMENTS``.
    :raises OpenCXFleetFileError: naming each problem in the files.
    :raises OpenCXArgumentError: if a variable is not written as one, or no file uses one of ``--var``.
    """
    from airflow_provider_opencx.phone_agents.fleet_files.reader import read_fleet

    return read_with_variables(options, read_fleet)


def read_entries(options: Namespace) -> tuple[list[FleetEntry], FileDeclarations]:
    """Read the files of a fleet, and check all that they declare.

    :raises OpenCXFleetFileError: naming each problem.
    """
    from airflow_provider_opencx.phone_agents.declarations import parse_fleet

    declarations = read_declarations(options)
    return parse_fleet(declarations), declarations


PLAN_OF_FLEET_ARGUMENTS = (
    Argument(
        ("--allow-near-name",),
        {
            "action": "store_true",
            "help": "create an agent also beside one whose name differs only in case, blanks, dashes or the like",
        },
    ),
)
"""The arguments that say which plan for a fleet is made."""


def make_plan(options: Namespace, connected: ConnectedClient) -> FleetPlan:
    """Read the fleet files, list the agents, and return the plan; writes nothing.

    :param options: those of ``FILES``, ``VARIABLE_ARGUMENTS`` and :data:`PLAN_OF_FLEET_ARGUMENTS`.
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
