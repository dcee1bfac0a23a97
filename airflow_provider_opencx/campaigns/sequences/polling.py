"""Polls for sequences in a worker."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeAlias

from airflow_provider_opencx.campaigns.sequences.waiting import SequenceWaits
from airflow_provider_opencx.exceptions import OpenCXError
from airflow_provider_opencx.resources.sequences import OutboundSequence
from airflow_provider_opencx.waiting import Poll, log_poll

ReadSequence: TypeAlias = Callable[[str], OutboundSequence | None]

log = logging.getLogger(__name__)


def poll_once(read_sequence: ReadSequence, waits: SequenceWaits) -> Poll[None]:
    """Read each sequence that is not there yet, and evaluate what it is.

    The first that cannot be read ends the poll; the next one begins with it.

    :param read_sequence: reads one by a client with ``max_retries=0``, because the next poll is the retry.
    :param waits: what is waited for.
    :raises OpenCXError: if the wait must stop.
    """
    for wait in waits.open:
        response: OutboundSequence | OpenCXError | None
        at = time.monotonic()
        try:
            response = read_sequence(wait.sequence_id)
        except OpenCXError as error:
            log.warning("Polling for %s failed: %s", wait, error)
            response = error
        is_reached = wait.evaluate(response, at) is not None
        log_poll(log, wait, None if is_reached and waits.is_over else waits.progress)
        if isinstance(response, OpenCXError):
            return Poll(response, None)
    return Poll(None, waits.result)
