"""``agents``: lists the agents of the organization."""

from __future__ import annotations

from argparse import Namespace

from airflow_provider_opencx.cli.command import Command, ExitCode
from airflow_provider_opencx.cli.connections import CONNECTION_ARGUMENTS, open_client
from airflow_provider_opencx.cli.names import NAMES
from airflow_provider_opencx.cli.output import write

_COLUMNS = {
    "name": "Name",
    "id": "Id",
    "type": "Type",
    "language": "Language",
    "phone_number": "Number",
    "updated_at": "Updated",
}


def run(options: Namespace) -> ExitCode:
    """List the agents."""
    from airflow_provider_opencx.phone_agents.names import name_fits
    from airflow_provider_opencx.resources.phone_agents import list_phone_agents

    with open_client(options) as connected:
        agents = list_phone_agents(connected.client)
    chosen = [agent for agent in agents if options.names is None or name_fits(agent.name, options.names)]
    write([agent.as_dict() for agent in chosen], _COLUMNS, options.output)
    return ExitCode.DONE


COMMAND = Command(
    name="agents",
    help="List the agents: name, id, type, language, number, and when they were updated.",
    example="python -m airflow_provider_opencx agents --names 'Spring *'\n"
    "python -m airflow_provider_opencx agents -o json",
    arguments=(
        *CONNECTION_ARGUMENTS,
        NAMES,
    ),
    run=run,
)
