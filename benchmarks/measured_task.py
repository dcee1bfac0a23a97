"""Runs the task of an operator in this process, and prints what it cost: seconds, requests, memory, and its result."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from simulated_service import SimulatedService

HEADER = f"{'':40} {'seconds':>8} {'requests':>9} {'MiB more':>9}  result"


def run_measured(service: SimulatedService, step: str, operator: Any, said: Callable[[Any], object]) -> Any:
    """Run the first try of a task, print a row, and return its result.

    :param step: what the row is called.
    :param said: returns what the row says of the result.
    """
    from airflow.sdk.bases.operator import ExecutorSafeguard

    ExecutorSafeguard.tracker.set(operator)  # as Airflow's task runner does
    service.forget_requests()
    instance = SimpleNamespace(
        try_number=1,
        map_index=-1,
        dag_id="d",
        run_id="r",
        task_id=operator.task_id,
        xcom_push=lambda key, value: None,
    )
    before, began = _memory(), time.monotonic()
    result = operator.execute({"ti": instance})
    seconds = time.monotonic() - began
    requests = sum((service.responses() or {}).values())
    print(f"{step:40} {seconds:8.1f} {requests:9} {_memory() - before:9.1f}  {said(result)}", flush=True)
    return result


def _memory() -> float:
    """Return the most memory that this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
