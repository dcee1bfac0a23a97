"""Reads dates in HTTP headers."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def http_date(header: str | None) -> datetime | None:
    """Return the date that a header holds, such as ``Date`` or ``Retry-After``; ``None`` if it holds none."""
    try:
        date = parsedate_to_datetime(header or "")
        return date if date.tzinfo else date.replace(tzinfo=UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
