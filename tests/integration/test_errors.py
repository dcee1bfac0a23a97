"""Airflow retries this package's errors in a task of the user's own as in an operator: permanent ones never."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG, task

from airflow_provider_opencx.hooks.opencx import OpenCXHook
from airflow_provider_opencx.resources.phone_agents import PhoneAgentSpec
from airflow_provider_opencx.simulator import Respond, Simulator


def wrong_argument() -> None:
    PhoneAgentSpec.parse({"name": 5})


def rejected_key() -> None:
    OpenCXHook().list_phone_agents()


def other_request() -> None:
    OpenCXHook().get_conn().request("GET", "/phone")


@pytest.mark.parametrize(
    ("work", "status", "tries"),
    [
        (wrong_argument, 200, 1),
        (rejected_key, 401, 1),
        (other_request, 403, 1),
        (rejected_key, 501, 3),
        (other_request, 501, 3),
    ],
)
def test_error_of_a_users_task_is_retried_only_if_transient(
    work: Callable[[], None], status: int, tries: int, dag: DAG, run_dag: Callable[..., Any], simulator: Simulator
) -> None:
    simulator.fail("listPhoneAgents", Respond(status), times=None)
    with dag:
        task(work, task_id="work", retries=2, retry_delay=timedelta(0))()
    run = run_dag(dag)
    assert (run.state, run.tries("work")) == ("failed", tries)
