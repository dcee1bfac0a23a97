"""Gives a task its hook: one hook for the connection that the task names."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.templates import has_no_template
from airflow_provider_opencx.visible_text import LONGEST, visible_repr

# Imported where it is used, so that parsing a Dag stays fast.
if TYPE_CHECKING:
    from airflow.sdk import XComArg

    from airflow_provider_opencx.hooks.opencx import OpenCXHook


class OpenCXHookMixin:
    """Gives an operator or a sensor its hook. It comes after Airflow's class in the bases, and uses its ``__init__``.

    ``opencx_conn_id`` may be a template, so there is no hook before the task runs.
    """

    opencx_conn_id: str | XComArg
    linked_id: str | None = None
    """The id of what the task was about, for its link; ``None`` before that is known, and for several."""

    _max_retries: ClassVar[int | None] = None
    """Overrides the connection's extra ``max_retries``; ``None`` leaves it unchanged."""

    @cached_property
    def hook(self) -> OpenCXHook:
        """The hook for this task's connection.

        :raises OpenCXArgumentError: before the templates of the task are rendered, where its connection is one.
        """
        from airflow_provider_opencx.hooks.opencx import OpenCXHook

        return OpenCXHook(self._conn_id, max_retries=self._max_retries)

    @property
    def _conn_id(self) -> str:
        if not has_no_template(self.opencx_conn_id):
            raise OpenCXArgumentError(
                f"opencx_conn_id: {visible_repr(repr(self.opencx_conn_id), LONGEST)} is not rendered yet. Use the hook"
                " where the task runs, and not while the Dag is parsed."
            )
        return checked_conn_id(self.opencx_conn_id)

    def _check_literal_conn_id(self) -> None:
        if has_no_template(self.opencx_conn_id):
            checked_conn_id(self.opencx_conn_id)


def checked_conn_id(value: object) -> str:
    """Return the id of a connection; raises ``OpenCXArgumentError`` if the value is not text, or is blank."""
    if not isinstance(value, str) or not value.strip():
        raise OpenCXArgumentError("opencx_conn_id: must be the id of a connection, a string that is not empty")
    return value
