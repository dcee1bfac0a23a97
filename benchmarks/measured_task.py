"""Runs the task of an operator in this process, and measures what it costs: seconds, requests and memory."""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from simulated_service import SimulatedService


@dataclass(frozen=True)
class MeasuredTask:
    """What the first try of a task returned, and what it cost.

    :param result: what the task returned.
    :param seconds: how long it took.
    :param requests: how many requests it sent.
    :param memory: by how many MiB this process grew.
    """

    result: Any
    seconds: float
    requests: int
    memory: float


def run_measured(service: SimulatedService, operator: Any) -> MeasuredTask:
    """Run the first try of a task against a service."""
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
    took = time.monotonic() - began
    return MeasuredTask(result, took, sum((service.responses() or {}).values()), _memory() - before)


def _memory() -> float:
    """Return the most memory that this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
