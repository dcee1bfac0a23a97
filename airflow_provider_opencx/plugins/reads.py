"""Reads what the page shows from the service: one list of agents, or one sequence."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from airflow_provider_opencx import metrics
from airflow_provider_opencx.client.client import OpenCXClient
from airflow_provider_opencx.client.errors import checked
from airflow_provider_opencx.client.exchange import at_most
from airflow_provider_opencx.client.operation import Request, Response
from airflow_provider_opencx.exceptions import OpenCXError
from airflow_provider_opencx.phone_agents.plan import PhoneAgents
from airflow_provider_opencx.plugins.connections import settings_of
from airflow_provider_opencx.reconciliation.organization import Organization
from airflow_provider_opencx.resources.phone_agents import PhoneAgent, list_phone_agents
from airflow_provider_opencx.resources.sequences import OutboundSequence, get_sequence
from airflow_provider_opencx.secret import forgets_locals

READ_ENDS_AFTER = 120.0
"""Seconds after which a read ends, with its retries and its waits for the rate limit."""

log = logging.getLogger(__name__)

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class ListedAgents:
    """The agents of an organization.

    :param agents: those that can be read.
    :param unreadable: how many items of the list could not be read.
    :param organization: the organization, as the list shows it.
    """

    agents: tuple[PhoneAgent, ...]
    unreadable: int
    organization: Organization


class _BelievingClient(OpenCXClient):
    """A client that takes a refusal for what it is at once: it is shown, and the next read is seconds away."""

    def believed(self, request: Request, response: Response) -> Response:
        return checked(request, response)


def read_agents(conn_id: str) -> ListedAgents:
    """Return the agents behind a connection: one request, or one for each page of the list.

    :raises OpenCXError: if the connection or the list cannot be read.
    """

    def read(client: OpenCXClient) -> ListedAgents:
        agents = list_phone_agents(client).checked()
        here = Organization(client.settings.base_url, conn_id, PhoneAgents(agents).org_id)
        return ListedAgents(tuple(agents), agents.unreadable, here)

    return _read(conn_id, read)


def read_sequence(conn_id: str, sequence_id: str) -> OutboundSequence:
    """Return a sequence as it is now.

    :raises OpenCXError: if the connection or the sequence cannot be read.
    """
    return _read(conn_id, lambda client: get_sequence(client, sequence_id).without_filter())


@forgets_locals
def _read(conn_id: str, read: Callable[[OpenCXClient], _Result]) -> _Result:
    try:
        with at_most(READ_ENDS_AFTER), _BelievingClient(settings_of(conn_id), metrics.count_attempt) as client:
            return read(client)
    except OpenCXError:
        raise
    except Exception as error:
        log.debug("The page of agents could not read over a connection", exc_info=True)
        raise OpenCXError(
            f"Reading failed with {type(error).__name__}. The log of Airflow's API server at level DEBUG has the"
            " details."
        ) from None
