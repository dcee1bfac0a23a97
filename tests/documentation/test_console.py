"""Tests that the commands that the documentation tells a user to type do what it says."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from importlib.metadata import metadata
from pathlib import Path

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


def test_docs_pool_has_one_slot(airflow_database: None) -> None:
    from airflow.models import Pool

    [command] = commands("pool.sh")
    subprocess.run(command, env=os.environ | {"PATH": ENVIRONMENT["PATH"]}, check=True, capture_output=True)
    assert Pool.get_pool("opencx_reminders").slots == 1


def test_docs_console_examples_are_all_tested() -> None:
    elsewhere = {"drive_simulator.sh", "test_dags.sh"}  # in test_simulator_page.py
    elsewhere |= {"doctor.sh"}  # in tests/integration/test_doctor.py
    elsewhere |= {"run_dag.sh", "simulator.sh"}  # in tests/packaging/test_installed.py
    here = {"install.sh", "install_simulator.sh", "make.sh", "pool.sh"}
    assert {file.name for file in CONSOLE.iterdir()} == here | elsewhere
