"""Runs an operator as Airflow's task runner does, but in this process."""

from __future__ import annotations

import os
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.bases.operator import ExecutorSafeguard
from simulated_service import SimulatedService


def connect(service: SimulatedService, *, paced: bool = False) -> None:
    """Let this process reach a service by the default connections of both providers."""
    os.environ.update(service.connections(paced=paced))


def execute(operator: BaseOperator) -> Any:
    """Execute an operator and return its result."""
    ExecutorSafeguard.tracker.set(operator)  # says that it is the task runner who calls
    return operator.execute({})
