"""Reads the history of each conversation. A retry keeps the histories that an earlier try has read."""

from __future__ import annotations

import gzip
import json
import logging
import time
import uuid
import zlib
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_opencx.client.pagination import list_items
from airflow_provider_opencx.exceptions import OpenCXNotFoundPermanentError
from airflow_provider_opencx.extraction.sources import as_line
from airflow_provider_opencx.resources.conversations import history_request
from airflow_provider_opencx.visible_text import identifier

if TYPE_CHECKING:
    from pydantic import JsonValue

    from airflow_provider_opencx.client.client import OpenCXClient
    from airflow_provider_opencx.extraction.progress import Progress
    from airflow_provider_opencx.extraction.spool import Spool
    from airflow_provider_opencx.extraction.storage import Target

KEPT_EVERY = 60.0
"""Seconds after which the histories that were read are put aside for another try."""

MOST_KEPT_AT_ONCE = 1000
"""Histories that are put aside together."""

_BEGINNING = "histories-"

log = logging.getLogger(__name__)


def read_histories(client: OpenCXClient, spool: Spool, target: Target, folder: Path, progress: Progress) -> None:
    """Read the history of each conversation in the interval, unless an earlier try has.

    :param folder: a folder of the worker for files.
    :raises OpenCXError: if one cannot be read. Those that were read are put aside.
    """
    kept = _add_kept(spool, target, folder)
    total = spool.count_without_history()
    if kept:
        log.info("An earlier try has read %s histories. %s are left to read.", f"{kept:,}", f"{total:,}")
    done, began = 0, time.monotonic()
    while some := spool.without_history(MOST_KEPT_AT_ONCE):
        file = folder / f"{_BEGINNING}{uuid.uuid4().hex}.jsonl.gz"
        done_before, kept_at = done, time.monotonic()
        try:
            with gzip.open(file, "wt", encoding="utf-8") as lines:
                for item_id, changed_at in some:
                    history = as_line(_history(client, item_id))
                    spool.add_history(item_id, changed_at, history)
                    lines.write(f"{as_line([item_id, changed_at])}\t{history}\n")
                    done += 1
                    progress.histories(done, total, began)
                    if time.monotonic() - kept_at > KEPT_EVERY:
                        break
        finally:
            # Also if the task ends with an error, so that the next try need not read this again.
            if done > done_before:
                target.keep(file, file.name)
            file.unlink()


def _history(client: OpenCXClient, conversation_id: str) -> JsonValue:
    """Return the history of a conversation as the service sent it, ``None`` if it is gone.

    That it is gone is believed where the service itself says so, again and again; not where a proxy does.
    """
    try:
        return [*list_items(client, history_request(conversation_id), lambda item: item)]
    except OpenCXNotFoundPermanentError:
        log.warning("Conversation %s has no history any more: the history is null.", identifier(conversation_id))
        return None


def _add_kept(spool: Spool, target: Target, folder: Path) -> int:
    """Add what earlier tries have put aside, and return how many histories that are.

    Those of an older state of a conversation are read again.
    """
    number = 0
    for file in target.kept(folder, _BEGINNING):
        for line in _whole_lines(file):
            item, _, history = line.rstrip("\n").partition("\t")
            item_id, changed_at = json.loads(item)
            spool.add_history(item_id, changed_at, history)
            number += 1
    return number


def _whole_lines(file: Path) -> Generator[str]:
    """Yield the lines of a file, as far as it can be read: what is missing in it is read from the service."""
    try:
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            yield from (line for line in lines if line.endswith("\n"))
    except (EOFError, OSError, zlib.error, UnicodeDecodeError):
        log.warning("A file of histories that an earlier try has put aside ends too early. The rest is read again.")
