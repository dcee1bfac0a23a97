"""Sends each request of ``doctor`` once. It is the only module of ``doctor`` that sends, and it sends only GET."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import replace

from airflow_provider_opencx.client.client import OpenCXClient
from airflow_provider_opencx.client.exchange import at_most, seconds_left
from airflow_provider_opencx.client.operation import Request
from airflow_provider_opencx.client.settings import ClientSettings
from airflow_provider_opencx.client.transport import Attempt
from airflow_provider_opencx.doctor.listing import ListPage, read_page
from airflow_provider_opencx.doctor.probes import AGENTS, PROBES, VOICES, Probe
from airflow_provider_opencx.doctor.readings import Failure, FailureKind, Reading, Readings
from airflow_provider_opencx.exceptions import (
    OpenCXError,
    OpenCXRateLimitError,
    OpenCXResponseError,
    OpenCXUnreachableError,
)

TOTAL_SECONDS = 60.0
"""Seconds after which nothing more is read, by default."""

LONGEST_TIMEOUT = 10.0
"""Seconds that one request waits for each piece of its response, where the connection's timeout is longer."""

MOST_SILENT = 2
"""Requests without any response after which no others are sent, if none had one."""

MAX_PAGES = 1000
"""Pages of the list of agents that are read at most."""

_UNTRUSTED = " is not trusted: "
_PROXY_REFUSAL = re.compile(r"ProxyError \(([0-9]{3})?")


def read_service(
    settings: ClientSettings,
    seconds: float = TOTAL_SECONDS,
    on_progress: Callable[[int, int], None] = lambda done, of: None,
) -> Readings:
    """Send each probe once, then read the list of agents to its end; keep to the rate limit.

    Nothing is sent again, and no failure of one request prevents another one, with two exceptions: a service that
    asks to wait (429) is asked nothing more, and neither is one that does not respond at all.

    :param settings: the connection's; its retries and its timeout are shortened.
    :param seconds: after which nothing more is read.
    :param on_progress: called after each probe with how many were sent, and of how many.
    :raises OpenCXConfigError: if the environment names certificates or a proxy that cannot be used.
    """
    attempts: list[Attempt] = []
    once = replace(settings, max_retries=0, timeout=min(settings.timeout, LONGEST_TIMEOUT), name="")
    with at_most(seconds), OpenCXClient(once, attempts.append) as client:
        readings: list[Reading] = []
        for probe in PROBES:
            readings.append(_read(client, probe, _reason_to_stop(readings), attempts))
            on_progress(len(readings), len(PROBES))
        first = Readings(readings)
        agents, agents_end = _pages(client, first.of(AGENTS), attempts, MAX_PAGES)
        voices, voices_end = _pages(client, first.of(VOICES), attempts, 1)
        return Readings(readings, agents, agents_end, voices, voices_end)


def _reason_to_stop(readings: list[Reading]) -> str:
    """Return why nothing more is sent; empty if more is."""
    if any(reading.response is not None and reading.response.status_code == 429 for reading in readings):
        return "the service asked to wait (429)"
    if len(readings) >= MOST_SILENT and all(_is_silent(reading) for reading in readings):
        return f"the first {MOST_SILENT} requests had no response"
    return "the time was over" if seconds_left() <= 0 else ""


def _is_silent(reading: Reading) -> bool:
    return reading.failure is not None and reading.failure.kind is not FailureKind.UNREADABLE


def _read(client: OpenCXClient, probe: Probe, reason_to_stop: str, attempts: list[Attempt]) -> Reading:
    if reason_to_stop:
        return Reading(probe, failure=Failure(FailureKind.NOT_SENT, reason_to_stop))
    return _sent(client, probe, probe.request(), attempts)


def _sent(client: OpenCXClient, probe: Probe, request: Request, attempts: list[Attempt]) -> Reading:
    """Send one request; every failure becomes its reading."""
    attempts.clear()
    try:
        response = client.send_unchecked(request)
    except OpenCXError as error:
        failure = _failure(error, attempts)
        # The base URL is in some reasons, and the key may have been put into it as well.
        failure = replace(failure, reason=client.settings.api_key.masked(failure.reason))
        return Reading(probe, failure=failure, seconds=_seconds(attempts), received_at=time.time())
    except Exception as error:  # a server can send what no library expects
        failure = Failure(FailureKind.UNREADABLE, f"it could not be handled ({type(error).__name__})")
        return Reading(probe, failure=failure, seconds=_seconds(attempts), received_at=time.time())
    return Reading(probe, response, seconds=_seconds(attempts), received_at=time.time())


def _seconds(attempts: list[Attempt]) -> float | None:
    return attempts[-1].seconds if attempts else None


def _failure(error: OpenCXError, attempts: list[Attempt]) -> Failure:
    """Return a failure without what the server wrote: an error may quote it."""
    message = str(error).partition(": ")[2] or str(error)
    if isinstance(error, OpenCXUnreachableError):
        return _unreachable(error, message, attempts[-1].outcome if attempts else "")
    if isinstance(error, OpenCXRateLimitError):
        return Failure(FailureKind.NOT_SENT, "the time was over before the rate limit left a request")
    return Failure(FailureKind.UNREADABLE if isinstance(error, OpenCXResponseError) else FailureKind.NOT_SENT, message)


def _unreachable(error: OpenCXUnreachableError, message: str, outcome: str) -> Failure:
    """Return why there is no response: the error's message, if it cannot contain received text."""
    if proxy := _PROXY_REFUSAL.search(message):
        return Failure(FailureKind.UNREACHABLE, f"the proxy does not connect{f' ({proxy[1]})' if proxy[1] else ''}")
    if _UNTRUSTED in message:
        return Failure(FailureKind.UNTRUSTED, message)
    if outcome == "timeout":
        return Failure(FailureKind.TIMEOUT, "no response came in time")
    if not error.request_sent:
        reason = message.partition(": ")[2].partition(". Check the network")[0]
        return Failure(FailureKind.UNREACHABLE, reason or message)
    if outcome == "broken_response":
        return Failure(FailureKind.BROKEN, "the response ended too soon")
    return Failure(FailureKind.BROKEN, "the connection was closed, or the response was not HTTP")


def _pages(client: OpenCXClient, reading: Reading, attempts: list[Attempt], most: int) -> tuple[list[ListPage], str]:
    """Return the pages of a list, followed from its first one, and why not more was read; empty if all was."""
    pages: list[ListPage] = []
    seen: set[str] = set()
    while True:
        response = reading.response
        if response is None or not response.is_success:
            reason = reading.failure.reason if reading.failure else f"status {response.status_code if response else 0}"
            return pages, reason
        try:
            pages.append(read_page(response))
        except OpenCXResponseError as error:
            return pages, str(error)
        cursor = pages[-1].cursor
        if cursor is None:
            return pages, ""
        if cursor in seen:
            return pages, "it repeats a cursor"
        if len(pages) == most:
            return pages, f"only {most} {'page was' if most == 1 else 'pages were'} read"
        if seconds_left() <= 0:
            return pages, "the time was over"
        seen.add(cursor)
        request = replace(reading.probe.request(), query={**reading.probe.query, "cursor": cursor})
        reading = _sent(client, reading.probe, request, attempts)
