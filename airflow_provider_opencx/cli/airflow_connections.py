"""Reads a connection of Airflow in a process that runs no Airflow task. Imports Airflow."""

from __future__ import annotations

from airflow.models.connection import Connection

from airflow_provider_opencx.client.settings import ClientSettings
from airflow_provider_opencx.hooks.opencx import OpenCXHook, connection_not_found
from airflow_provider_opencx.masking import mask_secrets
from airflow_provider_opencx.secret import forgets_locals


@forgets_locals
def settings_of_connection(conn_id: str, other_ways: str) -> ClientSettings:
    """Return the settings of the client of a connection.

    The connection is read by the function of ``airflow.models``. That of ``airflow.sdk``, which the hook calls in a
    task, asks Airflow's API server from 3.1 on, or finds none: outside a task it does not read the database.

    :param conn_id: the id of the connection.
    :param other_ways: what a message that there is no such connection says of other ways to give one.
    :raises OpenCXConnectionNotFoundError: if there is none, or it cannot be read.
    :raises OpenCXConfigError: if one of its fields is wrong.
    """
    try:
        connection = Connection.get_connection_from_secrets(conn_id)
    except Exception as error:
        not_found = connection_not_found(conn_id, error)
        raise not_found.with_message(f"{not_found} {other_ways}") from None
    settings = OpenCXHook(conn_id).settings_of(connection)
    mask_secrets(settings.secrets)
    return settings
