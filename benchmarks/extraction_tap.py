"""Runs the Singer tap for OpenCX, and writes its cost to a file, as JSON.

``PYTHON extraction_tap.py PATH AFTER URL KEY``: the messages go to PATH, the cost to PATH.cost. It runs in an environment
of its own, in which nothing is but the tap. The tap has no setting for the service's address: that is replaced here.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import process_memory
from tap_opencx.client import OpenCXStream
from tap_opencx.tap import TapOpenCX


def main() -> None:
    """Read the stream of conversations, which the tap calls sessions."""
    path, after, url, key = sys.argv[1:]
    with open(path, "w") as messages:
        os.dup2(messages.fileno(), 1)
    OpenCXStream.url_base = url
    memory, began, cpu_before = process_memory.now(), time.monotonic(), time.process_time()
    tap = TapOpenCX(config={"access_token": key, "start_date": after})
    for name in set(tap.streams) - {"sessions"}:
        del tap.streams[name]
    tap.sync_all()
    sys.stdout.flush()
    cost = {
        "seconds": time.monotonic() - began,
        "cpu": time.process_time() - cpu_before,
        "memory_before": memory,
        "memory": process_memory.at_the_most(),
    }
    Path(f"{path}.cost").write_text(json.dumps(cost))


if __name__ == "__main__":
    main()
