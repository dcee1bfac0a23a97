"""Finds the connection of a command: one of Airflow, or an API key in the environment without Airflow."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Generator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_opencx.cli.command import Argument
from airflow_provider_opencx.cli.output import say
from airflow_provider_opencx.connection.form import DEFAULT_BASE_URL, DEFAULT_CONN_ID

if TYPE_CHECKING:
    from airflow_provider_opencx.client.client import OpenCXClient

API_KEY_VARIABLE = "OPENCX_API_KEY"
"""The environment variable that holds an API key, which is used where no connection is named."""

API_URL_VARIABLE = "OPENCX_API_URL"
"""The environment variable that holds the base URL for that key."""

_FINGERPRINT = 8  # characters

CONNECTION_ARGUMENTS = (
    Argument(
        ("--conn-id",),
        {
            "metavar": "ID",
            "help": f"the Airflow connection (AIRFLOW_CONN_..., a secrets backend, or Airflow's database). Default: the"
            f" key in the environment variable {API_KEY_VARIABLE}, with the base URL in {API_URL_VARIABLE}"
            f" ({DEFAULT_BASE_URL}); without it, {DEFAULT_CONN_ID}",
        },
    ),
)
"""The arguments of a command that needs the service; :func:`open_client` reads them."""


@dataclass(frozen=True)
class ConnectedClient:
    """A client, and over which connection it sends.

    :param client: the client.
    :param connection: the id of the Airflow connection; of a key from the environment, the variable and a fingerprint
        of the key, which distinguishes two keys and shows neither.
    :param key_from: where the key comes from, in words.
    """

    client: OpenCXClient
    connection: str
    key_from: str


@contextmanager
def open_client(options: Namespace) -> Generator[ConnectedClient]:
    """Open the client that the options of a command name, and say on stderr which connection it has.

    :param options: those of :data:`CONNECTION_ARGUMENTS`.
    :raises OpenCXConnectionNotFoundError: if there is no such connection; the message names all ways to give one.
    :raises OpenCXConfigError: if a field of it is wrong.
    """
    if options.conn_id is None and _api_key_is_set():
        connected = _client_of_environment()
    else:
        connected = _client_of_airflow(options.conn_id or DEFAULT_CONN_ID)
    with connected.client:
        yield connected


def _api_key_is_set() -> bool:
    return bool(os.environ.get(API_KEY_VARIABLE, "").strip())


def _client_of_environment() -> ConnectedClient:
    from airflow_provider_opencx import __version__
    from airflow_provider_opencx.cli.secrets import keep_out_of_output
    from airflow_provider_opencx.client.client import OpenCXClient
    from airflow_provider_opencx.client.coordination import digest
    from airflow_provider_opencx.connection.settings import settings_of_environment

    settings = settings_of_environment(
        API_KEY_VARIABLE, API_URL_VARIABLE, user_agent=f"airflow-provider-opencx/{__version__}"
    )
    keep_out_of_output(settings.secrets)
    say(f"Using the key in {API_KEY_VARIABLE}, at {settings.base_url}.")
    # An organization without agents has no id, so its plan is bound to the API key of that organization.
    fingerprint = digest("connection", settings.base_url, settings.api_key.reveal())[:_FINGERPRINT]
    return ConnectedClient(
        OpenCXClient(settings), f"{API_KEY_VARIABLE} {fingerprint}", f"environment variable {API_KEY_VARIABLE}"
    )


def _client_of_airflow(conn_id: str) -> ConnectedClient:
    from airflow_provider_opencx.cli.secrets import keep_out_of_output
    from airflow_provider_opencx.client.client import OpenCXClient
    from airflow_provider_opencx.visible_text import in_quotes

    with redirect_stdout(sys.stderr):  # Airflow may log to stdout, which is for results
        from airflow_provider_opencx.cli.airflow_connections import settings_of_connection

        settings = settings_of_connection(conn_id, _other_ways(conn_id))
    keep_out_of_output(settings.secrets)
    say(f"Using {settings.name}, at {settings.base_url}.")
    return ConnectedClient(OpenCXClient(settings), conn_id, f"connection {in_quotes(conn_id)}")


def _other_ways(conn_id: str) -> str:
    """Return how to give a connection, for the message that there is none."""
    from airflow_provider_opencx.visible_text import identifier

    variable = f"AIRFLOW_CONN_{conn_id.upper()}"
    unread = " (which is set, but is not a connection as JSON or as a URI)" if variable in os.environ else ""
    empty = " (which is set, and empty)" if API_KEY_VARIABLE in os.environ and not _api_key_is_set() else ""
    return (
        f"There are four ways to give one: the environment variable {identifier(variable)}{unread}; a secrets backend"
        f" of Airflow; Airflow's database (airflow connections add {identifier(conn_id)} --conn-type opencx"
        " --conn-password ...); or, without Airflow and without --conn-id, the key in the environment variable"
        f" {API_KEY_VARIABLE}{empty}."
    )
