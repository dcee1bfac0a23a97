"""Tests that a task that the service asks to wait leaves its worker, and retries when the time is over."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from airflow_standalone import AirflowStandalone, wait_for

pytest.importorskip("airflow.sdk.definitions.retry_policy", reason="tasks take a retry_policy since Airflow 3.3")
from airflow.sdk import RetryAction

from airflow_provider_opencx.simulator import Simulator, TooManyRequests

# A Retry-After of up to a minute would be slept through by the client, within the try.
ASKED = timedelta(seconds=61)

TAKES_A_RETRY = not hasattr(RetryAction, "RESCHEDULE")  # Airflow 3.3


def test_retry_after_frees_worker_for_long_wait(airflow: AirflowStandalone, simulator: Simulator) -> None:
    simulator.fail("listPhoneAgents", TooManyRequests(ASKED.total_seconds()))
    run_id = airflow.start_dag("asked_to_wait")

    def left() -> dict[str, str] | None:
        [instance] = airflow.task_instances("asked_to_wait", run_id)
        away = "up_for_retry" if TAKES_A_RETRY else "up_for_reschedule"
        return instance if instance["state"] == away else None

    first = wait_for("task that has left its worker", left, within=240)
    assert airflow.end_state("asked_to_wait", run_id, within=240) == "success"
    [second] = airflow.task_instances("asked_to_wait", run_id)
    assert second["try_number"] == (2 if TAKES_A_RETRY else 1)
    waited = datetime.fromisoformat(second["end_date"]) - datetime.fromisoformat(first["end_date"])
    assert ASKED <= waited < timedelta(minutes=30), "the task's own delay is an hour"
    assert len(simulator.agents()) == 1

    log = airflow.task_log("asked_to_wait", run_id, "agent", try_number=1)
    decisions = [line for line in log if "Retry policy" in line]
    assert decisions
    print(f"Away for {waited.total_seconds():.0f} s.", *decisions, sep="\n")
