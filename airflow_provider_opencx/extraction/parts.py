"""Writes a folder of parts with a manifest that lists them, so that a reader always sees a complete set."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import uuid
from collections.abc import Generator, Iterable, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_opencx.exceptions import OpenCXStorageError
from airflow_provider_opencx.extraction.files import Form, Written, write_rows
from airflow_provider_opencx.visible_text import in_quotes

if TYPE_CHECKING:
    from pydantic import JsonValue

    from airflow_provider_opencx.extraction.spool import SpooledRow
    from airflow_provider_opencx.extraction.storage import Target

MANIFEST = "manifest.json"
"""The name of the file that lists the parts of a folder. It is written last."""

_AT_ONCE = 1024 * 1024

_PART_NAME = re.compile(r"part-[0-9]{5,}-[0-9a-f]{12}\.jsonl(\.gz)?")

_REPLACED = "replaced-"

log = logging.getLogger(__name__)


def write_parts(
    rows: Iterable[SpooledRow],
    target: Target,
    folder: Path,
    *,
    form: Form,
    part_size: int,
    about: Mapping[str, JsonValue],
) -> Written:
    """Write rows as parts of a folder, then the manifest, then delete the parts of earlier extractions.

    The name of a part holds a digest of what is in it: until the manifest is replaced, an earlier extraction stays
    whole, because no part of it is written over.

    :param folder: a folder of the worker, where each part is written first.
    :param part_size: the most rows of a part.
    :param about: what the manifest says beside the parts.
    """
    replaced = _parts_before(target, folder, about)
    parts = _put_parts(rows, target, folder, form, part_size)
    total = _total([part.written for part in parts])
    _put_manifest(target, folder, {**about, **total.as_dict(), "parts": [part.as_dict() for part in parts]})
    names = {part.name for part in parts}
    if gone := names - {*target.names()}:
        raise OpenCXStorageError(
            f"object_storage_path: {len(gone):,} of the parts of {in_quotes(target.label)} are not there any more:"
            " another task writes to this folder. Another try may succeed; give each task a folder of its own."
        )
    target.clean(replaced - names)
    return total


class _Part(NamedTuple):
    """A part of a folder.

    :param name: its name.
    :param digest: the SHA-256 of it.
    :param written: what it holds.
    """

    name: str
    digest: str
    written: Written

    def as_dict(self) -> dict[str, JsonValue]:
        """Return what the manifest says of it."""
        return {"path": self.name, "sha256": self.digest, **self.written.as_dict()}


def _put_parts(rows: Iterable[SpooledRow], target: Target, folder: Path, form: Form, part_size: int) -> list[_Part]:
    parts: list[_Part] = []
    for some in _in_parts(rows, part_size):
        file = folder / "rows"
        written = write_rows(some, file, form)
        digest = _sha256(file)
        part = _Part(f"part-{len(parts):05d}-{digest[:12]}{form.suffix}", digest, written)
        target.put(file, part.name)
        parts.append(part)
    return parts


def _put_manifest(target: Target, folder: Path, content: Mapping[str, JsonValue]) -> None:
    file = folder / MANIFEST
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    target.put(file, MANIFEST)


def _parts_before(target: Target, folder: Path, about: Mapping[str, JsonValue]) -> set[str]:
    """Return the names of the parts that are to be deleted when the new manifest is there.

    They are kept aside as well: a try that is killed in between leaves them to the next one. What is in the folder and
    in no manifest is not ours.
    """
    names = {name for kept in target.kept(folder, _REPLACED) for name in kept.read_text("utf-8").split()}
    manifest = _read_manifest(target.existing(MANIFEST, folder))
    if manifest and any(manifest.get(name) != value for name, value in about.items()):
        log.warning(
            "%s holds an extraction of %s from %s to %s, which is replaced. If that is not intended, give each"
            " interval a folder of its own.",
            in_quotes(target.label),
            *(manifest.get(name) for name in about),
        )
    listed = manifest.get("parts")
    paths = [part.get("path") for part in listed if isinstance(part, dict)] if isinstance(listed, list) else []
    names |= {path for path in paths if isinstance(path, str)}
    names = {name for name in names if _PART_NAME.fullmatch(name)}
    if names:
        file = folder / f"{_REPLACED}{uuid.uuid4().hex}.txt"
        file.write_text("\n".join(sorted(names)), encoding="utf-8")
        target.keep(file, file.name)
    return names


def _read_manifest(content: bytes | None) -> dict[str, JsonValue]:
    try:
        manifest = json.loads(content or b"{}")
    except ValueError:
        return {}
    return manifest if isinstance(manifest, dict) else {}


def _in_parts(rows: Iterable[SpooledRow], size: int) -> Generator[Iterable[SpooledRow]]:
    """Yield the rows of each part; each must be used up before the next."""
    left = iter(rows)
    for first in left:
        yield chain([first], islice(left, size - 1))


def _total(parts: list[Written]) -> Written:
    firsts = [part.first_updated_at for part in parts if part.first_updated_at]
    lasts = [part.last_updated_at for part in parts if part.last_updated_at]
    count, size = sum(part.count for part in parts), sum(part.bytes for part in parts)
    return Written(count, size, min(firsts, default=None), max(lasts, default=None))


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while some := content.read(_AT_ONCE):
            digest.update(some)
    return digest.hexdigest()
