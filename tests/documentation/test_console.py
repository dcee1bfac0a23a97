"""The lines that the documentation tells a user to type do what it says of them."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from importlib.metadata import metadata
from pathlib import Path

import httpx
import pytest
from packaging.requirements import Requirement
from page_examples import PROJECT, examples_folder

CONSOLE = examples_folder() / "console"
ENVIRONMENT = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def commands(file: str) -> list[list[str]]:
    return [shlex.split(line) for line in (CONSOLE / file).read_text().splitlines()]


@pytest.mark.parametrize("file", ["install.sh", "install_simulator.sh"])
def test_docs_install_commands_name_known_extras(file: str) -> None:
    told = metadata("airflow-provider-opencx")
    pip, install, clone, *_ = commands(file)[-1]
    assert (pip, install) == ("pip", "install")
    requirement = Requirement(clone.removeprefix("./"))
    assert requirement.name == told["Name"]
    assert requirement.extras <= set(told.get_all("Provides-Extra"))


def test_docs_make_targets_exist() -> None:
    for make, target in commands("make.sh"):
        done = subprocess.run([make, "--dry-run", target], cwd=PROJECT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_docs_quick_start_runs_dag(tmp_path: Path) -> None:
    simulator = (CONSOLE / "simulator.sh").read_text().replace("--port 8010", "--port 0")
    process = subprocess.Popen(shlex.split(simulator), env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:[0-9]+", process.stdout.readline())
        assert found
        connection = (CONSOLE.parent / "connections" / "simulator.sh").read_text()
        script = connection.replace("http://127.0.0.1:8010", found[0]) + (CONSOLE / "run_dag.sh").read_text()
        environment = {
            **ENVIRONMENT,
            "AIRFLOW_HOME": str(tmp_path / "airflow"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(CONSOLE.parent / "dags"),
        }
        done = subprocess.run(
            ["bash", "-euc", script], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        [agent] = httpx.get(f"{found[0]}/phone", headers={"Authorization": "Bearer demo-key"}, trust_env=False).json()
        assert agent["name"] == "Appointment reminder"
        assert agent["phone_number"]
    finally:
        process.kill()
        process.communicate()


def test_docs_pool_has_one_slot(airflow_database: None) -> None:
    from airflow.models import Pool

    [command] = commands("pool.sh")
    subprocess.run(command, env=os.environ | {"PATH": ENVIRONMENT["PATH"]}, check=True, capture_output=True)
    assert Pool.get_pool("opencx_reminders").slots == 1


def test_docs_console_examples_are_all_tested() -> None:
    elsewhere = {"drive_simulator.sh", "test_dags.sh"}  # in test_simulator_page.py
    elsewhere |= {"doctor.sh"}  # in tests/integration/test_doctor.py
    here = {"install.sh", "install_simulator.sh", "make.sh", "pool.sh", "run_dag.sh", "simulator.sh"}
    assert {file.name for file in CONSOLE.iterdir()} == here | elsewhere
