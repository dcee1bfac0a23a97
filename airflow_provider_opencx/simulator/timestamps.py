"""The times that the service writes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def timestamp(before: str | None = None) -> str:
    """Return the time, always later than that of the change before: of two states of an item, one is the newer."""
    now = datetime.now(UTC)
    if before is not None:
        now = max(now, datetime.fromisoformat(before) + timedelta(milliseconds=1))
    return now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
