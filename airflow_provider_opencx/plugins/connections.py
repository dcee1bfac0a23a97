"""Finds the connections that the page can show, in Airflow's API server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from airflow.models.connection import Connection
from airflow.providers.common.compat.sdk import AirflowNotFoundException, conf
from airflow.utils.session import create_session
from sqlalchemy import select

from airflow_provider_opencx.client.coordination import digest
from airflow_provider_opencx.client.settings import ClientSettings
from airflow_provider_opencx.connection import form
from airflow_provider_opencx.exceptions import OpenCXError
from airflow_provider_opencx.hooks.opencx import OpenCXHook, connection_not_found
from airflow_provider_opencx.masking import mask_secrets
from airflow_provider_opencx.secret import forgets_locals

if TYPE_CHECKING:
    from airflow.sdk import Connection as SDKConnection

MOST_LISTED = 1000
"""Connections that the page lists."""


class NoSuchConnectionError(OpenCXError):
    """There is no such connection, or none for OpenCX: the page says the same of both."""


@dataclass(frozen=True)
class StoredConnection:
    """A connection in Airflow's database.

    :param conn_id: its id.
    :param description: what somebody wrote about it.
    """

    conn_id: str
    description: str


def stored_connections() -> Sequence[StoredConnection]:
    """Return the connections of type ``opencx`` in Airflow's database, for every user, by their ids."""
    with create_session() as session:
        query = (
            select(Connection.conn_id, Connection.description)
            .where(Connection.conn_type == form.CONN_TYPE)
            .order_by(Connection.conn_id)
            .limit(MOST_LISTED)
        )
        return [StoredConnection(conn_id, description or "") for conn_id, description in session.execute(query)]


def version_of(conn_id: str) -> str | None:
    """Return a text that is another one when the stored connection has changed; ``None`` if none is stored.

    It is a digest of the row, in which the key is encrypted.
    """
    table = Connection.__table__
    with create_session() as session:
        row = session.execute(select(table).where(table.c.conn_id == conn_id)).first()
    return None if row is None else digest("connection", repr(tuple(row)))


@forgets_locals
def settings_of(conn_id: str) -> ClientSettings:
    """Return the settings of a connection, wherever Airflow finds it: a secrets backend, the environment, its database.

    :raises NoSuchConnectionError: if there is none, or it is for another service.
    :raises OpenCXError: if it cannot be read, or one of its fields is wrong.
    """
    try:
        connection = _read(conn_id)
    except (AirflowNotFoundException, NoSuchConnectionError):
        raise _no_such_connection() from None
    except Exception as error:
        raise connection_not_found(conn_id, error) from None
    if connection.conn_type != form.CONN_TYPE:
        raise _no_such_connection()
    settings = OpenCXHook(conn_id).settings_of(cast("SDKConnection", connection))
    mask_secrets(settings.secrets)
    return settings


def _read(conn_id: str) -> Connection:
    if not conf.getboolean("core", "multi_team", fallback=False):
        return Connection.get_connection_from_secrets(conn_id)
    # Airflow knows the team only of connections in its database, so no other connection is shown to a team.
    if version_of(conn_id) is None:
        raise _no_such_connection()
    return Connection.get_connection_from_secrets(conn_id, team_name=Connection.get_team_name(conn_id))


def _no_such_connection() -> NoSuchConnectionError:
    return NoSuchConnectionError("There is no connection of type OpenCX with this id.")
