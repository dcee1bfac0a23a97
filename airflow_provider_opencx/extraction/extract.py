"""Extracts a list into object storage: reads the list and the histories, and writes the file."""

from __future__ import annotations

import logging
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_opencx.exceptions import OpenCXStorageError
from airflow_provider_opencx.extraction.files import Form, Written, write_rows
from airflow_provider_opencx.extraction.histories import read_histories
from airflow_provider_opencx.extraction.interval import Interval
from airflow_provider_opencx.extraction.parts import MANIFEST, write_parts
from airflow_provider_opencx.extraction.progress import Progress
from airflow_provider_opencx.extraction.reading import Reading, read_all, read_interval
from airflow_provider_opencx.extraction.sources import SOURCES, Resource
from airflow_provider_opencx.extraction.spool import Spool
from airflow_provider_opencx.storage_paths import error_name

if TYPE_CHECKING:
    from pydantic import JsonValue

    from airflow_provider_opencx.client.client import OpenCXClient
    from airflow_provider_opencx.extraction.storage import Target

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Extraction:
    """The parameters of an extraction.

    :param resource: which list.
    :param interval: the interval in which items were changed; ``None`` is all items.
    :param channel_type: only those of this channel; ``None`` means every channel.
    :param include_history: whether the history of each item is read as well.
    :param is_gzip: whether the files are compressed.
    :param part_size: the most rows of a part, where the target is a folder.
    :param writes_empty: whether something is written where nothing is found.
    """

    resource: Resource
    interval: Interval | None
    channel_type: str | None
    include_history: bool
    is_gzip: bool
    part_size: int
    writes_empty: bool

    @property
    def about(self) -> dict[str, JsonValue]:
        """The description of the extraction in a result and a manifest."""
        return {
            "resource": self.resource,
            "updated_after": None if self.interval is None else self.interval.start.isoformat(),
            "updated_before": None if self.interval is None else self.interval.end.isoformat(),
        }


def extract(client: OpenCXClient, extraction: Extraction, target: Target) -> dict[str, JsonValue] | None:
    """Read a list, and write it.

    :return: plain JSON: ``path``, ``manifest`` (its path, where ``path`` is a folder), ``resource``,
        ``updated_after``, ``updated_before``, ``count``, ``bytes``, ``first_updated_at`` and ``last_updated_at``;
        ``None`` if nothing was found, and nothing written.
    :raises OpenCXError: if it cannot be read or written. What was there before is as it was.
    """
    try:
        return _extract(client, extraction, target)
    except (OSError, sqlite3.Error) as error:
        raise OpenCXStorageError(
            f"the temporary folder of the worker cannot be used ({error_name(error)}): is its disk full? Another try,"
            " on another worker, may succeed."
        ) from error


def _extract(client: OpenCXClient, extraction: Extraction, target: Target) -> dict[str, JsonValue] | None:
    source = SOURCES[extraction.resource]
    progress = Progress(source.noun)
    with tempfile.TemporaryDirectory(prefix="opencx-") as name, Spool(Path(name), extraction.interval) as spool:
        reading = Reading(client, source, spool, progress)
        if extraction.interval is None:
            read_all(reading)
        else:
            read_interval(reading, extraction.interval, extraction.channel_type)
        _warn(spool, source.noun, progress)
        if not spool.count() and not extraction.writes_empty:
            return None
        if extraction.include_history:
            read_histories(client, spool, target, Path(name), progress)
        written = _write(spool, extraction, target, Path(name))
    manifest = f"{target.label.rstrip('/')}/{MANIFEST}" if target.is_folder else None
    return {"path": target.label, "manifest": manifest, **extraction.about, **written.as_dict()}


def _write(spool: Spool, extraction: Extraction, target: Target, folder: Path) -> Written:
    form = Form(extraction.is_gzip, extraction.include_history)
    # Close it here even if the storage fails: later, the database would be gone.
    with closing(spool.rows()) as rows:
        if target.is_folder:
            size, about = extraction.part_size, extraction.about
            return write_parts(rows, target, folder, form=form, part_size=size, about=about)
        file = folder / "rows"
        written = write_rows(rows, file, form)
        target.put(file)
        target.clean()
        return written


def _warn(spool: Spool, noun: str, progress: Progress) -> None:
    if progress.unreadable:
        log.warning("%s %s cannot be read, and are in no file.", f"{progress.unreadable:,}", noun)
    if without := spool.count_without_time():
        log.warning(
            "%s %s do not say when they were changed. They are in the file of each interval for which the service"
            " lists them.",
            f"{without:,}",
            noun,
        )
