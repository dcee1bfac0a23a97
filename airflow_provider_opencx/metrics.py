"""Sends this provider's metrics to Airflow's metrics backend. Without Airflow, it sends nothing.

What a metric is about is in its tags. Airflow sends them to Datadog, to OpenTelemetry and, with ``[metrics]
statsd_influxdb_enabled``, to StatsD; to any other StatsD it sends only the name. Names and values are few: no agent,
person, key or address is in them.
"""

from __future__ import annotations

import logging
import socket
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Literal, TypeAlias

# Airflow's metrics are imported where they are used, so that parsing a Dag stays fast.
if TYPE_CHECKING:
    from airflow.sdk.observability.stats import Stats

    from airflow_provider_opencx.client.transport import Attempt

Decision: TypeAlias = Literal["created", "updated", "adopted", "unchanged", "refused", "failed"]

_DECIDED = {"phone agent": "opencx.agents", "training scenario": "opencx.training_scenarios"}
"""The metric of what was decided, by what it was decided for."""

log = logging.getLogger(__name__)


def prepare() -> None:
    """Let Airflow look up where metrics go, which may take a while: not to be called in an event loop."""
    _send(lambda stats: stats.timer())


def count_attempt(attempt: Attempt) -> None:
    """Count an attempt to send a request, and time it."""
    _count("opencx.requests", operation=attempt.operation, status=attempt.outcome)
    if attempt.is_retry:
        _count("opencx.retries", operation=attempt.operation)
    if attempt.outcome == "429":
        _count("opencx.rate_limited", operation=attempt.operation)
    _time("opencx.request_duration", attempt.seconds, operation=attempt.operation)


def count_decision(decision: Decision, items: int = 1, *, noun: str) -> None:
    """Count what was decided for an agent or another item, or for several.

    :param noun: what messages call such an item.
    """
    if items:
        _count(_DECIDED[noun], items, decision=decision)


def count_call(status: str) -> None:
    """Count a person of a batch of calls by the outcome of this try, such as ``"called"``."""
    _count("opencx.calls", status=status)


def time_to_number(seconds: float) -> None:
    """Record the seconds from the beginning of a wait to the poll that ended it."""
    _time("opencx.time_to_number", seconds)


def gauge_waiting_agents(conn_id: str, agents: int) -> None:
    """Record how many agents this triggerer waits for over a connection."""
    _gauge("opencx.waiting_agents", conn_id, agents)


def gauge_waiting_sequences(conn_id: str, sequences: int) -> None:
    """Record how many sequences this triggerer waits for over a connection, each once for each task."""
    _gauge("opencx.waiting_sequences", conn_id, sequences)


def gauge_waiting_conversations(conn_id: str, conversations: int) -> None:
    """Record how many conversations this triggerer waits for over a connection, each once for each task."""
    _gauge("opencx.waiting_conversations", conn_id, conversations)


def count_event(event: str) -> None:
    """Count an event that a watcher has fired, such as ``"number_lost"``."""
    _count("opencx.events", event=event)


def count_watch_error(cause: Literal["poll", "state", "organization", "evaluation"]) -> None:
    """Count a poll of a watcher that could not be used, or not be recorded."""
    _count("opencx.watch_errors", cause=cause)


def count_extraction(resource: str, rows: int, size: int, seconds: float) -> None:
    """Count the rows and the bytes that were written to object storage, and how long that took.

    :param resource: what was extracted, such as ``"conversations"``.
    :param size: the bytes.
    """
    _count("opencx.extracted_rows", rows, resource=resource)
    _count("opencx.extracted_bytes", size, resource=resource)
    _time("opencx.extraction_duration", seconds, resource=resource)


def _gauge(name: str, conn_id: str, value: int) -> None:
    tags = {"conn_id": conn_id, "hostname": _hostname()}
    _send(lambda stats: stats.gauge(name, value, tags=tags))


def _hostname() -> str:
    try:
        return socket.gethostname()
    except OSError:
        return "unknown"


def _count(name: str, count: int = 1, **tags: str) -> None:
    _send(lambda stats: stats.incr(name, count, tags=tags))


def _time(name: str, seconds: float, **tags: str) -> None:
    _send(lambda stats: stats.timing(name, timedelta(seconds=seconds), tags=tags))


def _send(send: Callable[[type[Stats]], object]) -> None:
    if "airflow" not in sys.modules:
        return
    try:
        from airflow.providers.common.compat.sdk import Stats

        send(Stats)
    except Exception:
        # No task may fail because of a problem with metrics.
        log.debug("A metric could not be sent.", exc_info=True)
