"""Reads a sequence until it shows an expected state, because a read may lag behind a write, or fail."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from airflow_provider_opencx.exceptions import OpenCXError
from airflow_provider_opencx.resources.sequences import OutboundSequence, find_sequence

if TYPE_CHECKING:
    from airflow_provider_opencx.client.client import OpenCXClient

PAUSES: Sequence[float] = (1, 2, 4, 8, 15, 30, 60)
"""Seconds before each further read: two minutes together."""

log = logging.getLogger(__name__)


def read_until(
    client: OpenCXClient,
    sequence_id: str,
    shows: Callable[[OutboundSequence], object],
    pauses: Sequence[float] = PAUSES,
) -> OutboundSequence | None:
    """Read a sequence until it shows what is looked for, or was read once after each pause; return the last one.

    :param sequence_id: its id or custom id.
    :param shows: whether a sequence shows it.
    :param pauses: seconds before each further read.
    :return: ``None`` if no read shows the sequence.
    :raises OpenCXError: if it cannot be read at all: the error of the last read, if none before succeeded.
    """
    seen: OutboundSequence | None = None
    failure: OpenCXError | None = None
    for pause in (0.0, *pauses):
        time.sleep(pause)
        try:
            found = find_sequence(client, sequence_id)
        except OpenCXError as error:  # also of a key or a path that is refused: one response may be wrong
            log.warning("%s", error)
            failure = error
            continue
        failure, seen = None, found or seen
        if seen is not None and shows(seen):
            break
    if seen is None and failure is not None:
        raise failure
    return seen
