"""``actions``: lists the actions that an agent can call."""

from __future__ import annotations

from argparse import Namespace

from airflow_provider_opencx.cli.command import Command, ExitCode
from airflow_provider_opencx.cli.connections import CONNECTION_ARGUMENTS, open_client
from airflow_provider_opencx.cli.output import write

_COLUMNS = {"name": "Name", "id": "Id", "status": "Status", "channels": "Channels"}


def run(options: Namespace) -> ExitCode:
    """List the actions."""
    from airflow_provider_opencx.resources.actions import list_actions

    with open_client(options) as connected:
        actions = list_actions(connected.client)
    rows = [{**action.as_dict(), "channels": ", ".join(action.channels or ())} for action in actions]
    write(rows, _COLUMNS, options.output)
    return ExitCode.DONE


COMMAND = Command(
    name="actions",
    help="List the actions that an agent can call: name, id, and the channels on which it is enabled.",
    example="python -m airflow_provider_opencx actions",
    arguments=CONNECTION_ARGUMENTS,
    run=run,
)
