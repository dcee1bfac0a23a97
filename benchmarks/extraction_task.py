"""Extracts conversations to a file, as one task in a process of its own, and prints its cost, as JSON.

``python extraction_task.py opencx|http PATH AFTER BEFORE``; with ``--history`` their histories as well.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import process_memory


def main() -> None:
    """Execute the task."""
    who, path, after, before, *more = sys.argv[1:]
    # Airflow and what else logs do so to the error output.
    output = os.dup(1)
    os.dup2(2, 1)
    operator = _operator(who, path, after, before, include_history="--history" in more)
    from airflow.sdk.bases.operator import ExecutorSafeguard

    ExecutorSafeguard.tracker.set(operator)  # as Airflow's task runner does
    memory, began, cpu_before = process_memory.now(), time.monotonic(), time.process_time()
    operator.execute({})
    cost = {
        "seconds": time.monotonic() - began,
        "cpu": time.process_time() - cpu_before,
        "memory_before": memory,
        "memory": process_memory.at_the_most(),
    }
    with os.fdopen(output, "w") as printed:
        json.dump(cost, printed)


def _operator(who: str, path: str, after: str, before: str, *, include_history: bool) -> Any:
    if who == "http":
        import http_tasks

        return http_tasks.extract_conversations(path, after, before)
    from airflow_provider_opencx.transfers.opencx_to_object_storage import OpenCXToObjectStorageOperator

    return OpenCXToObjectStorageOperator(
        task_id="extract",
        resource="conversations",
        object_storage_path=path,
        updated_after=after,
        updated_before=before,
        include_history=include_history,
    )


if __name__ == "__main__":
    main()
