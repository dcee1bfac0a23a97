"""``training list``: lists the training scenarios of the organization."""

from __future__ import annotations

from argparse import Namespace

from airflow_provider_opencx.cli.command import Command, ExitCode
from airflow_provider_opencx.cli.connections import CONNECTION_ARGUMENTS, open_client
from airflow_provider_opencx.cli.output import write

_COLUMNS = {"title": "Title", "id": "Id", "is_draft": "Draft", "collection": "Collection", "key": "Key"}


def run(options: Namespace) -> ExitCode:
    """List the training scenarios."""
    from airflow_provider_opencx.resources.training import list_training_scenarios

    with open_client(options) as connected:
        scenarios = list_training_scenarios(connected.client)
    rows = [{**each.as_dict(), "collection": each.collection, "key": each.key} for each in scenarios]
    write(rows, _COLUMNS, options.output)
    return ExitCode.DONE


COMMAND = Command(
    name="training list",
    help="List the training scenarios: title, id, whether it is a draft, and the collection and key of declared ones.",
    example="python -m airflow_provider_opencx training list",
    arguments=CONNECTION_ARGUMENTS,
    run=run,
)
