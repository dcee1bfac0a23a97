"""Says whether Airflow's UI has the page of agents, and its address. Imports quickly, because tasks import it."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, urlencode

from airflow import __version__ as airflow_version
from airflow.providers.common.compat.sdk import conf

SECTION: Final = "opencx"
"""The section of Airflow's configuration."""

OPTION: Final = "agents_page"
"""The option that switches the page on."""

PREFIX: Final = "/opencx"
"""The path below which the page answers."""

EXISTS: Final = not airflow_version.startswith("3.0.")
"""Whether this Airflow can show the page: 3.0 has no views of plugins."""


def is_page_on() -> bool:
    """Return whether the page is switched on: ``[opencx] agents_page``, by default off. Airflow 3.1 and later."""
    return EXISTS and conf.getboolean(SECTION, OPTION, fallback=False)


def page_url(conn_id: str, agent_id: str | None = None) -> str | None:
    """Return the address of the page of a connection; ``None`` where the page is off.

    :param conn_id: the connection.
    :param agent_id: the agent that the page shows. Default: all.
    """
    return _url(conn_id, f"agents?{urlencode({'agent_id': agent_id})}" if agent_id else "agents")


def sequences_url(conn_id: str, sequence_id: str | None = None) -> str | None:
    """Return the address of the page of a connection's sequences; ``None`` where the page is off.

    :param conn_id: the connection.
    :param sequence_id: the sequence that the page shows. Default: all.
    """
    return _url(conn_id, f"sequences/{quote(sequence_id, safe='')}" if sequence_id else "sequences")


def _url(conn_id: str, view: str) -> str | None:
    if not is_page_on():
        return None
    base_url = conf.get("api", "base_url", fallback="").rstrip("/")
    return f"{base_url}{PREFIX}/connections/{quote(conn_id, safe='')}/{view}"
