"""``voices``: lists the voices that an agent can have."""

from __future__ import annotations

from argparse import Namespace

from airflow_provider_opencx.cli.command import Command, ExitCode
from airflow_provider_opencx.cli.connections import CONNECTION_ARGUMENTS, open_client
from airflow_provider_opencx.cli.output import write

_COLUMNS = {"name": "Name", "voice_id": "Id", "labels": "Labels"}


def run(options: Namespace) -> ExitCode:
    """List the voices."""
    from airflow_provider_opencx.resources.voices import list_voices

    with open_client(options) as connected:
        voices = list_voices(connected.client)
    write([voice.as_dict() for voice in voices], _COLUMNS, options.output)
    return ExitCode.DONE


COMMAND = Command(
    name="voices",
    help="List the voices that an agent can have: name, id and labels.",
    example="python -m airflow_provider_opencx voices",
    arguments=CONNECTION_ARGUMENTS,
    run=run,
)
