"""Polls for phone numbers in a worker, for the sensor and for an upsert that waits."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

from pydantic import JsonValue

from airflow_provider_opencx.exceptions import OpenCXError
from airflow_provider_opencx.phone_agents.plan import PhoneAgents
from airflow_provider_opencx.phone_agents.waiting import Wait
from airflow_provider_opencx.resources.phone_agents import PhoneAgent
from airflow_provider_opencx.waiting import Poll, log_poll, next_poll_in

ListPhoneAgents: TypeAlias = Callable[[], Sequence[PhoneAgent]]

log = logging.getLogger(__name__)


def poll_once(list_phone_agents: ListPhoneAgents, wait: Wait) -> Poll[PhoneAgents]:
    """Poll once, and evaluate the response.

    :param list_phone_agents: the method of a hook with ``max_retries=0``, because the next poll is the retry.
    :param wait: what is waited for.
    :raises OpenCXError: if the wait must stop.
    """
    response: PhoneAgents | OpenCXError
    at = time.monotonic()
    try:
        response = PhoneAgents(list_phone_agents())
    except OpenCXError as error:
        log.warning("Polling for the number failed: %s", error)
        response = error
    agents = wait.evaluate(response, at)
    log_poll(log, wait, wait.progress if agents is None else None)
    return Poll(response, None if agents is None else wait.result(agents))


def poll_until(list_phone_agents: ListPhoneAgents, wait: Wait, *, poke_interval: float, timeout: float) -> JsonValue:
    """Poll until all agents have their numbers; return the result, ``None`` if the time is over before.

    :param list_phone_agents: the method of a hook with ``max_retries=0``, because the next poll is the retry.
    :param wait: what is waited for.
    :param poke_interval: seconds between two polls; a 429 stretches them.
    :param timeout: seconds after which the last poll is made.
    :raises OpenCXError: if the wait must stop.
    """
    ends_at = time.monotonic() + timeout
    while True:
        poll = poll_once(list_phone_agents, wait)
        remaining = ends_at - time.monotonic()
        if poll.result is not None or remaining <= 0:
            return poll.result
        time.sleep(min(next_poll_in(poke_interval, poll.response), remaining))
