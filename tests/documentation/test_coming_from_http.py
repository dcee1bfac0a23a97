"""Tests the page for users of HttpOperator: it shows one job both ways, and what it says of both is true."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_opencx.simulator import LoseResponse, Simulator

pytest.importorskip("airflow.providers.http", reason="the dependency group dev is not installed")


@pytest.fixture
def run(
    examples: Path,
    read_dag: Callable[[Path], Any],
    run_dag: Callable[..., Any],
    opencx_default: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[str], str]:
    """Runs a Dag of the page, and returns how the run ends."""
    extra = {"Authorization": "Bearer test-key"}
    connection = {"conn_type": "http", "host": opencx_default.url, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_OPENCX_HTTP", json.dumps(connection))

    def run(file: str) -> str:
        dag = read_dag(examples / file)
        for task in dag.tasks:
            task.retry_delay /= 600
            if hasattr(task, "poke_interval"):
                task.poke_interval = 0.1
        return str(run_dag(dag).state)

    return run


HTTP, PROVIDER = "coming_from_http/agent_over_http.py", "dags/one_task.py"


def test_docs_job_gets_a_number_both_ways(run: Callable[[str], str], opencx_default: Simulator) -> None:
    assert [run(file) for file in (HTTP, PROVIDER, PROVIDER)] == ["success"] * 3
    [agent] = opencx_default.agents()  # moved by its name, and not created again
    assert agent["phone_number"]
    assert run(HTTP) == "success"
    assert len(opencx_default.agents()) == 2


@pytest.mark.parametrize(("file", "agents"), [(HTTP, 2), (PROVIDER, 1)])
def test_docs_say_what_a_retry_does_after_a_lost_response(
    file: str, agents: int, run: Callable[[str], str], opencx_default: Simulator
) -> None:
    opencx_default.fail("createPhoneAgent", LoseResponse())
    assert run(file) == "success"
    assert len(opencx_default.agents()) == agents
