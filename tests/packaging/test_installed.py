"""The wheel, installed into an environment that has nothing else, keeps an agent as an example Dag declares it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from airflow_standalone import EXAMPLE_DAGS, airflow_environment, connection_json

from airflow_provider_opencx import __version__
from airflow_provider_opencx.simulator import Simulator

API_KEY = "key-of-the-packaging-tests"


@pytest.fixture(scope="module")
def environment(project: Path, built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel and what it says it needs."""
    home = tmp_path_factory.mktemp("empty") / "venv"
    uv = [sys.executable, "-m", "uv", "--quiet"]
    subprocess.run([*uv, "venv", "--python", sys.executable, str(home)], check=True)
    install = ["pip", "install", "--python", str(home), "--constraint", str(project / "constraints.txt")]
    subprocess.run([*uv, *install, str(built[0])], check=True)
    return home


def test_wheel_alone_runs_example_dag(environment: Path, tmp_path: Path) -> None:
    with Simulator(api_keys=(API_KEY,)) as simulator:
        connection = {"AIRFLOW_CONN_OPENCX_DEFAULT": connection_json(simulator.url, API_KEY)}
        variables = airflow_environment(tmp_path / "airflow", EXAMPLE_DAGS, connection)
        variables["PATH"] = f"{environment / 'bin'}:{variables['PATH']}"
        variables.pop("PYTHONPATH", None)

        def airflow(*arguments: str) -> str:
            command = [str(environment / "bin" / "airflow"), *arguments]
            done = subprocess.run(
                command, env=variables, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
            )
            assert done.returncode == 0, (arguments, done.stdout[-3000:], done.stderr[-3000:])
            return done.stdout

        provider = airflow("providers", "get", "airflow-provider-opencx", "--full", "--output", "plain")
        assert __version__ in provider
        airflow("db", "migrate")
        assert "success" in airflow("connections", "test", "opencx_default").lower()
        airflow("dags", "test", "opencx_outbound_agent")
        [agent] = simulator.agents()
    assert agent["phone_number"]
