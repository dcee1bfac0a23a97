"""Reads the memory of this process, in MiB, on Linux.

Not ``ru_maxrss``, which begins with what the process had that started this one.
"""

from __future__ import annotations

from pathlib import Path


def now() -> float:
    """Return what it has."""
    return _field("VmRSS")


def at_the_most() -> float:
    """Return the most that it has had."""
    return _field("VmHWM")


def _field(name: str) -> float:
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[name].removesuffix("kB")) / 1024
