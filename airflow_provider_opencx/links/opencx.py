"""Links from a task to its agent or sequence: to Airflow's page of agents, or to the OpenCX dashboard.

Airflow asks for a link in the worker, after the task has ended, and keeps it as an XCom. A task that ends in the
triggerer has none.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import BaseOperatorLink

from airflow_provider_opencx.hook_mixin import OpenCXHookMixin
from airflow_provider_opencx.plugins.addresses import page_url, sequences_url
from airflow_provider_opencx.templates import has_no_template

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

log = logging.getLogger(__name__)


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
        return _link(operator, _address_of_agent)


class OpenCXSequenceLink(BaseOperatorLink):
    """Links a task to its sequence on the page of sequences. Where the page is off, there is no link."""

    name = "OpenCX sequence"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the address, or an empty text; Airflow calls this after the task has ended.

        :param operator: the task's operator or sensor, as it ended.
        :param ti_key: the task instance.
        """
        return _link(operator, _address_of_sequence)


def _address_of_agent(task: OpenCXHookMixin, conn_id: str) -> str | None:
    agent_id = _id(task, "agent_id")
    return page_url(conn_id, agent_id) or (task.hook.dashboard_url(agent_id) if agent_id else None)


def _address_of_sequence(task: OpenCXHookMixin, conn_id: str) -> str | None:
    return sequences_url(conn_id, _id(task, "sequence_id"))


def _link(task: object, address_of: Callable[[OpenCXHookMixin, str], str | None]) -> str:
    """Return the address for a task that has ended, an empty text where there is none.

    A mapped task that failed before Airflow knew its arguments is none of ours yet, and one may have ended before its
    templates were rendered. Nothing is raised: on Airflow 3.0 the end of the task would fail with it, and what is wrong
    with its connection, the task has said.
    """
    if not isinstance(task, OpenCXHookMixin):
        return ""
    conn_id: object = task.opencx_conn_id
    if not isinstance(conn_id, str) or not has_no_template(conn_id):
        return ""
    try:
        return address_of(task, conn_id) or ""
    except Exception:
        log.debug("There is no link to what a task was about.", exc_info=True)
        return ""


def _id(task: OpenCXHookMixin, argument: str) -> str | None:
    """Return the id of what a task was about, or was to be about; ``None`` if it is not known, or there are several."""
    if task.linked_id is not None:
        return task.linked_id
    given = getattr(task, argument, None)
    given = given.get("id") if isinstance(given, Mapping) else given
    return given if isinstance(given, str) and has_no_template(given) else None
