"""Tests that the examples of the page about training scenarios do what the page says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_opencx.simulator import Simulator

PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


@pytest.fixture
def load(examples: Path, read_dag: Callable[[Path], Any]) -> Callable[[str], Any]:
    """Parses the file of a Dag as Airflow does, and returns the Dag."""

    def load(dag_id: str) -> Any:
        return read_dag(examples / "dags" / f"{dag_id}.py")

    return load


def test_docs_dag_makes_knowledge_and_the_agent_that_names_it(
    load: Callable[[str], Any], run_dag: Callable[..., Any], opencx_default: Simulator
) -> None:
    for _ in range(2):
        assert str(run_dag(load("knowledge")).state) == "success"
    [agent] = opencx_default.agents()
    assert agent["instructions"] == [scenario["id"] for scenario in opencx_default.training()]
    assert [write.operation for write in opencx_default.writes] == ["createTraining"] * 2 + ["createPhoneAgent"]


def test_docs_alarm_goes_off_where_a_scenario_was_changed(
    load: Callable[[str], Any], run_dag: Callable[..., Any], opencx_default: Simulator
) -> None:
    assert str(run_dag(load("knowledge")).state) == "success"
    assert str(run_dag(load("knowledge_alarm")).state) == "success"
    opencx_default.update_training(str(opencx_default.training()[0]["id"]), content="Never refund.")
    assert str(run_dag(load("knowledge_alarm")).state) == "failed"


def test_docs_commands_run(examples: Path, opencx_simulator: Simulator, tmp_path: Path) -> None:
    shutil.copytree(examples / "knowledge/training", tmp_path / "training")
    opencx_simulator.create_training("Made by hand", "x")
    environment = {"OPENCX_API_KEY": "test-key", "OPENCX_API_URL": opencx_simulator.url, "HOME": str(tmp_path)}
    for file in ("session.sh", "export.sh"):
        done = subprocess.run(
            ["sh", "-e", examples / "knowledge" / file],
            cwd=tmp_path,
            env={**environment, "PATH": PATH},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    assert "Plan: 0 to create, 1 to update, 1 unchanged" in done.stdout
    assert [scenario["title"] for scenario in opencx_simulator.training()] == ["Made by hand", "Refund policy"]
