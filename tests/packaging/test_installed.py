"""Tests the wheel in an otherwise empty environment: an example and the quick start do what they say."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from airflow_standalone import EXAMPLE_DAGS, airflow_environment, connection_json
from page_examples import DOCS, blocks

from airflow_provider_opencx import __version__
from airflow_provider_opencx.simulator import Simulator

API_KEY = "key-of-the-packaging-tests"


def installed(wheel: Path, extra: str, project: Path, home: Path) -> Path:
    """Make a virtual environment with the wheel, what it says it needs, and what an extra needs."""
    uv = [sys.executable, "-m", "uv", "--quiet"]
    subprocess.run([*uv, "venv", "--python", sys.executable, str(home)], check=True)
    install = ["pip", "install", "--python", str(home), "--constraint", str(project / "constraints.txt")]
    subprocess.run([*uv, *install, f"{wheel}{extra}"], check=True)
    return home


@pytest.fixture(scope="module")
def environment(project: Path, built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the provider alone."""
    return installed(built[0], "", project, tmp_path_factory.mktemp("empty") / "venv")


@pytest.fixture(scope="module")
def environment_with_simulator(
    project: Path, built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """An environment as the quick start installs it, from the wheel."""
    return installed(built[0], "[simulator]", project, tmp_path_factory.mktemp("empty") / "venv")


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


@contextmanager
def in_background(command: str, environment: dict[str, str], folder: Path) -> Iterator[str]:
    """Run a command as long as the block, and give the first line that it prints."""
    process = subprocess.Popen(
        ["bash", "-c", f"exec {command}"], env=environment, cwd=folder, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline()
    finally:
        process.kill()
        process.communicate()


def test_quick_start_works_in_an_environment_that_has_nothing_else(
    environment_with_simulator: Path, tmp_path: Path
) -> None:
    shown = {block.example: block.text for block in blocks(DOCS / "get_started" / "quickstart.md") if block.example}
    dags = tmp_path / "airflow" / "dags"
    dags.mkdir(parents=True)
    (dags / "reminders.py").write_text(shown["dags/reminders.py"])
    variables = {
        "PATH": f"{environment_with_simulator / 'bin'}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    any_port = shown["console/simulator.sh"].strip().replace("--port 8010", "--port 0")
    with in_background(any_port, variables, tmp_path) as line:
        [url] = re.findall(r"http://127\.0\.0\.1:[0-9]+", line)
        connection = shown["connections/simulator.sh"].replace("http://127.0.0.1:8010", url)
        done = subprocess.run(
            ["bash", "-euc", connection + shown["console/run_dag.sh"]],
            env=variables,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        [agent] = httpx.get(f"{url}/phone", headers={"Authorization": "Bearer demo-key"}, trust_env=False).json()
    assert agent["name"] == "Appointment reminder"
    assert agent["phone_number"]
