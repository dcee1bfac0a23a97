"""Yields the conversations of a completely read list, with one page in memory at a time."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_opencx.extraction.progress import Progress
from airflow_provider_opencx.extraction.reading import Reading, read_until_complete
from airflow_provider_opencx.extraction.sources import SOURCES, Filters
from airflow_provider_opencx.extraction.spool import Spool
from airflow_provider_opencx.resources.conversations import Conversation

if TYPE_CHECKING:
    from airflow_provider_opencx.client.client import OpenCXClient


def complete_conversations(client: OpenCXClient, filters: Filters) -> Generator[Conversation]:
    """Yield conversations, each once and as the list showed it last, by when they were changed.

    :raises OpenCXError: if the list cannot be read, before the first conversation.
    """
    source = SOURCES["conversations"]
    with tempfile.TemporaryDirectory(prefix="opencx-") as folder, Spool(Path(folder), None) as spool:
        read_until_complete(Reading(client, source, spool, Progress(source.noun)), filters)
        for row in spool.rows():
            yield Conversation.from_response(json.loads(row.text))
