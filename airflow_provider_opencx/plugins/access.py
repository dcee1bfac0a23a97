"""Asks Airflow's auth manager who may see what, for each request."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import ConnectionDetails, DagAccessEntity, DagDetails
from airflow.models.connection import Connection
from airflow.models.dag import DagModel
from airflow.providers.common.compat.sdk import conf

from airflow_provider_opencx.connection import form
from airflow_provider_opencx.plugins.connections import StoredConnection, stored_connections

if TYPE_CHECKING:
    from airflow.api_fastapi.auth.managers.models.base_user import BaseUser


def readable_connections(user: BaseUser) -> Sequence[StoredConnection]:
    """Return the connections of type ``opencx`` that a user may read.

    Those that Airflow's database has, and ``opencx_default`` where it is in the environment. What a secrets backend
    has, Airflow cannot list.
    """
    connections = list(stored_connections())
    default = form.DEFAULT_CONN_ID
    is_in_environment = f"AIRFLOW_CONN_{default.upper()}" in os.environ
    if is_in_environment and default not in {each.conn_id for each in connections} and not _is_multi_team():
        connections.append(StoredConnection(default, "in the environment of Airflow"))
    return [each for each in connections if _is_authorized(user, each.conn_id, "GET")]


def may_edit(user: BaseUser, conn_id: str) -> bool:
    """Return whether a user may edit a connection."""
    return _is_authorized(user, conn_id, "PUT")


def may_read_xcoms(user: BaseUser, dag_id: str) -> bool:
    """Return whether a user may read what the tasks of a Dag have left."""
    return get_auth_manager().is_authorized_dag(
        method="GET",
        access_entity=DagAccessEntity.XCOM,
        details=DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id)),
        user=user,
    )


def _is_authorized(user: BaseUser, conn_id: str, method: Literal["GET", "PUT"]) -> bool:
    details = ConnectionDetails(conn_id=conn_id, team_name=Connection.get_team_name(conn_id))
    return get_auth_manager().is_authorized_connection(method=method, details=details, user=user)


def _is_multi_team() -> bool:
    return bool(conf.getboolean("core", "multi_team", fallback=False))
