"""Waits as long as the service asks to, after a request that was certainly not handled."""

from __future__ import annotations

import logging
import time

from airflow_provider_opencx.client.retry_after import MAX_RETRY_AFTER
from airflow_provider_opencx.exceptions import OpenCXRateLimitError

MOST_RATE_LIMITED = 5
"""Consecutive 429 responses that are tolerated before the task frees its worker."""

_PAUSE_AFTER_429 = 5.0

log = logging.getLogger(__name__)


def wait_for_rate_limit(error: OpenCXRateLimitError, attempt: int, nothing_done: str) -> None:
    """Wait until the request may be sent again.

    :param error: what the service said.
    :param attempt: how often the request was sent.
    :param nothing_done: what did not happen because of it, in a sentence such as "Nobody was called."
    :raises OpenCXRateLimitError: if the service asks to wait for longer than a minute, or has said it too often.
    """
    pause = _PAUSE_AFTER_429 if error.retry_after is None else error.retry_after
    if pause > MAX_RETRY_AFTER or attempt >= MOST_RATE_LIMITED:
        raise error
    log.info("%s %s Sent again in %.0f s.", error, nothing_done, pause)
    time.sleep(pause)
