"""Tests the pytest fixtures that the provider gives to other projects."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

# The port of an earlier test's simulator comes again by chance; here it does so always.
TESTS_AT_ONE_PORT = """
import pytest
from airflow_provider_opencx.hooks.opencx import OpenCXHook
from airflow_provider_opencx.resources.phone_agents import PhoneAgentSpec
from airflow_provider_opencx.simulator import Simulator

PORTS = []

@pytest.fixture
def opencx_simulator():
    with Simulator(api_keys=("test-key",), port=next(iter(PORTS), 0)) as simulator:
        PORTS.append(int(simulator.url.rpartition(":")[2]))
        yield simulator

@pytest.mark.parametrize("run", range(2))
def test_create(run, opencx_default, monkeypatch):
    monkeypatch.setattr("airflow_provider_opencx.reconciliation.listing.READ_AGAIN_AFTER", 0)  # a pause of seconds
    OpenCXHook().create_phone_agent(PhoneAgentSpec(name="Reminder"))
    assert len(PORTS) == 1 or PORTS[0] == PORTS[1]
    assert [request.method for request in opencx_default.requests] == ["GET", "GET", "GET", "POST", "GET"]
"""


def test_agents_of_an_earlier_test_are_not_looked_for(tmp_path: Path) -> None:
    (tmp_path / "test_two_runs.py").write_text(TESTS_AT_ONE_PORT)
    environment = {**os.environ, "AIRFLOW_HOME": str(tmp_path), "PYTEST_ADDOPTS": ""}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert "2 passed" in ended.stdout, ended.stdout
