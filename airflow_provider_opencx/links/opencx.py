"""Links from a task to its agent or its sequence: on Airflow's page of them, or in the dashboard of OpenCX.

Airflow asks for a link in the worker, after the task has ended, and keeps it as an XCom. A task that ends in the
triggerer has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from airflow.providers.common.compat.sdk import BaseOperatorLink

from airflow_provider_opencx.exceptions import OpenCXError
from airflow_provider_opencx.plugins.addresses import page_url, sequences_url
from airflow_provider_opencx.templates import has_no_template

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

    from airflow_provider_opencx.hook_mixin import OpenCXHookMixin


class OpenCXPhoneAgentLink(BaseOperatorLink):
    """Links a task to its agent: on the page of agents, where that is on; else in the dashboard.

    A task for several agents, and one that failed before it knew its agent, is linked to the page of all agents. The
    dashboard's address is the connection's extra ``dashboard_url``. Where there is neither, there is no link.
    """

    name = "OpenCX agent"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the address, or an empty text; Airflow calls this after the task has ended.

        :param operator: the task's operator or sensor, as it ended.
        :param ti_key: the task instance.
        """
        task = cast("OpenCXHookMixin", operator)
        conn_id, agent_id = _conn_id(task), _id(task, "agent_id")
        if conn_id is None:
            return ""
        return page_url(conn_id, agent_id) or _dashboard_url(task, agent_id) or ""


class OpenCXSequenceLink(BaseOperatorLink):
    """Links a task to its sequence on the page of sequences. Where the page is off, there is no link."""

    name = "OpenCX sequence"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the address, or an empty text; Airflow calls this after the task has ended.

        :param operator: the task's operator or sensor, as it ended.
        :param ti_key: the task instance.
        """
        task = cast("OpenCXHookMixin", operator)
        conn_id = _conn_id(task)
        return "" if conn_id is None else sequences_url(conn_id, _id(task, "sequence_id")) or ""


def _conn_id(task: OpenCXHookMixin) -> str | None:
    """Return the connection of a task; ``None`` if it ended before its templates were rendered."""
    conn_id = task.opencx_conn_id
    return conn_id if isinstance(conn_id, str) and has_no_template(conn_id) else None


def _id(task: OpenCXHookMixin, argument: str) -> str | None:
    """Return the id of what a task was about, or was to be about; ``None`` if it is not known, or there are several."""
    if task.linked_id is not None:
        return task.linked_id
    given = getattr(task, argument, None)
    given = given.get("id") if isinstance(given, Mapping) else given
    return given if isinstance(given, str) and has_no_template(given) else None


def _dashboard_url(task: OpenCXHookMixin, agent_id: str | None) -> str | None:
    try:
        return task.hook.dashboard_url(agent_id) if agent_id else None
    except OpenCXError:
        return None  # what is wrong with the connection, the task has said
