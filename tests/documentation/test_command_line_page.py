"""Tests docs/operate/command_line.md: its lines and CI jobs run, and it names every command and option."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from page_examples import DOCS, examples_folder

from airflow_provider_opencx.cli.parser import commands
from airflow_provider_opencx.simulator import Simulator

EXAMPLES = examples_folder() / "command_line"
PAGE = (DOCS / "operate" / "command_line.md").read_text()

Shell = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def service() -> Iterator[Simulator]:
    with Simulator(api_keys=("demo-key",), requests_per_minute=None) as simulator:
        yield simulator


@pytest.fixture
def shell(service: Simulator, tmp_path: Path) -> Shell:
    """Runs lines beside the files of the page, with the key of the page."""
    folder = shutil.copytree(EXAMPLES, tmp_path / "work")
    key = (EXAMPLES / "key.sh").read_text().replace("http://127.0.0.1:8010", service.url)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    def run(lines: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-euc", f"{key}\n{lines}"],
            cwd=folder,
            env={**os.environ, "PATH": path, **variables},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.mark.parametrize("file", ["session.sh", "approved.sh", "programs.sh"])
def test_docs_lines_run(file: str, shell: Shell) -> None:
    done = shell((EXAMPLES / file).read_text())
    assert done.returncode == 0, done.stdout + done.stderr


def test_docs_lines_create_the_agents_of_the_page(shell: Shell, service: Simulator) -> None:
    shell((EXAMPLES / "session.sh").read_text())
    shell((EXAMPLES / "approved.sh").read_text())
    names = [f"{name} {region}" for region in ("emea", "us") for name in ("Spring offer", "Appointment reminder")]
    assert [agent["name"] for agent in service.agents()] == names


def test_docs_line_runs_in_airflow(
    shell: Shell, airflow_database: None, airflow_version: tuple[int, ...], service: Simulator
) -> None:
    if airflow_version < (3, 2):
        pytest.skip("Airflow knows commands of providers from 3.2 on")
    connection = f"opencx://:demo-key@{service.url.replace(':', '%3A').replace('/', '%2F')}"
    done = shell((EXAMPLES / "airflow.sh").read_text(), AIRFLOW_CONN_OPENCX_DEFAULT=connection)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "“Spring offer emea” will be created" in done.stdout


def scripts_of_github(job: str) -> list[str]:
    steps = yaml.safe_load((EXAMPLES / "github.yaml").read_text())["jobs"][job]["steps"]
    return [step["run"] for step in steps if "run" in step and not step["run"].startswith("pip ")]


def test_docs_github_jobs_plan_and_apply(shell: Shell, service: Simulator, tmp_path: Path) -> None:
    files: dict[str, str] = {name: str(tmp_path / name) for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT")}
    validate, plan = scripts_of_github("plan")
    [apply] = scripts_of_github("apply")
    for script in (validate, plan, apply, plan):
        done = shell(script, **files)
        assert done.returncode == 0, done.stdout + done.stderr
    codes = re.findall(r"code=(\d)", Path(files["GITHUB_OUTPUT"]).read_text())
    assert codes == ["2", "0"]
    assert "will be created" in Path(files["GITHUB_STEP_SUMMARY"]).read_text()
    assert len(service.agents()) == 2
    broken = shell(f"echo 'agents: [{{nam: x}}]' > fleet.yaml\n{plan}", **files)
    assert broken.returncode == 1


def test_docs_gitlab_jobs_plan_and_apply(shell: Shell, service: Simulator) -> None:
    jobs: dict[str, Any] = yaml.safe_load((EXAMPLES / "gitlab.yaml").read_text())
    planned = shell("\n".join(jobs["plan"]["script"]))
    assert planned.returncode in jobs["plan"]["allow_failure"]["exit_codes"], planned.stderr
    applied = shell("\n".join(jobs["apply"]["script"]))
    assert applied.returncode == 0, applied.stderr
    assert len(service.agents()) == 2
    assert shell("\n".join(jobs["plan"]["script"])).returncode == 0


def test_docs_name_every_command_and_option() -> None:
    for command in commands():
        assert f"| `{command.name}" in PAGE
        if command.name == "simulate":
            continue
        for argument in command.arguments:
            flag = argument.flags[-1]
            assert not flag.startswith("-") or f"`{flag}" in PAGE or f"{flag} " in PAGE, (command.name, flag)


def test_docs_command_line_examples_are_all_tested() -> None:
    assert {file.name for file in EXAMPLES.iterdir()} == {
        "airflow.sh",
        "approved.sh",
        "fleet.yaml",
        "github.yaml",
        "gitlab.yaml",
        "key.sh",
        "production.env",
        "programs.sh",
        "session.sh",
    }
