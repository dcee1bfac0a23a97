"""Tests that Airflow retries this package's errors in a user's own task as in an operator: permanent ones never."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG, task

from airflow_provider_opencx.hooks.opencx import OpenCXHook
from airflow_provider_opencx.resources.phone_agents import PhoneAgentSpec
from airflow_provider_opencx.simulator import Fault, Respond, Simulator
from airflow_provider_opencx.simulator.responses import error_body


def wrong_argument() -> None:
    PhoneAgentSpec.parse({"name": 5})


def rejected_key() -> None:
    OpenCXHook().list_phone_agents()


def other_request() -> None:
    OpenCXHook().get_conn().request("GET", "/phone")


def refused_write() -> None:
    OpenCXHook().get_conn().request("POST", "/phone", json={"name": "a"})


def missing_connection() -> None:
    OpenCXHook("nobody_has_defined_it").list_phone_agents()


@pytest.mark.parametrize(
    ("work", "fault", "tries"),
    [
        (wrong_argument, Respond(200), 1),
        (missing_connection, Respond(200), 3),
        (rejected_key, Respond(401, error_body(401, "No")), 1),
        (other_request, Respond(403, error_body(403, "No")), 1),
        (refused_write, Respond(422, error_body(422, "No")), 1),
        (rejected_key, Respond(401, "<html>"), 3),
        (other_request, Respond(403, {"message": "No"}), 3),
        (refused_write, Respond(422, "<html>"), 3),
        (rejected_key, Respond(501, error_body(501, "No")), 3),
        (other_request, Respond(501), 3),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_error_of_a_users_task_is_retried_only_if_transient(
    work: Callable[[], None], fault: Fault, tries: int, dag: DAG, run_dag: Callable[..., Any], simulator: Simulator
) -> None:
    for operation in ("listPhoneAgents", "createPhoneAgent"):
        simulator.fail(operation, fault, times=None)
    with dag:
        task(work, task_id="work", retries=2, retry_delay=timedelta(0))()
    run = run_dag(dag)
    assert (run.state, run.tries("work")) == ("failed", tries)
