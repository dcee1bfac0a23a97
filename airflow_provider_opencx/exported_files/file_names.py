"""Makes file names from names and titles: unique in a folder, and valid on every file system. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from airflow_provider_opencx.text import without_invisible

_MOST_BYTES = 100
"""Bytes of a name in UTF-8. File systems allow 255; the rest is for the part that distinguishes files of one name."""

_MOST_CHARACTERS = 200
"""Characters of a name from which that of a file is made."""

_DEVICES = frozenset(
    {
        "con",
        "prn",
        "aux",
        "nul",
        "conin",
        "conout",
        *(f"{port}{number}" for port in ("com", "lpt") for number in range(10)),
    }
)
"""Names that Windows gives to devices, with any suffix."""


def unique_slugs(names: Iterable[str], prefix: str = "agent", taken: Iterable[str] = ()) -> list[str]:
    """Return a name of a file, without a suffix, for each name, in their order.

    It has small letters and digits of every script, and dashes for everything else. No two of them are the same on a
    file system that ignores letter case or the composition of characters.

    :param prefix: what a name of a file begins with where nothing else is left. Default ``agent``.
    :param taken: names that none of them gets. Default none.
    """
    not_free = {*map(folded, taken)}
    return [_free(_slug(name, prefix), not_free) for name in names]


def folded(name: str) -> str:
    """Return the form in which two names are the same to a file system that ignores case and composition."""
    return unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name).upper().casefold())


def _slug(name: str, prefix: str) -> str:
    name = unicodedata.normalize("NFKC", without_invisible(name[:_MOST_CHARACTERS]))
    name = unicodedata.normalize("NFKC", name.casefold())
    kept = "".join(character if unicodedata.category(character)[0] in "LMN" else " " for character in name)
    slug = _cut("-".join(kept.split()))
    has_no_beginning = not slug or unicodedata.category(slug[0])[0] == "M"
    return f"{prefix}-{slug}".rstrip("-") if has_no_beginning or slug in _DEVICES else slug


def _cut(slug: str) -> str:
    return slug.encode()[:_MOST_BYTES].decode(errors="ignore").strip("-")


def _free(slug: str, taken: set[str]) -> str:
    number = 1
    candidate = slug
    while folded(candidate) in taken:
        number += 1
        candidate = f"{slug}-{number}"
    taken.add(folded(candidate))
    return candidate
