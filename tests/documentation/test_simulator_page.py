"""Tests docs/test/simulator.md: its examples run, and it names every fault and every option."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from page_examples import DOCS, PROJECT, blocks, examples_folder, write_examples

from airflow_provider_opencx.simulator import __all__ as public_names

CONSOLE = examples_folder() / "console"
PAGE = (DOCS / "test" / "simulator.md").read_text()
KEY = {"Authorization": "Bearer demo-key"}
ADDRESS = "http://127.0.0.1:8010"

SHORT_PAUSE = """
import pytest

@pytest.fixture(autouse=True)
def short_pause(monkeypatch):
    monkeypatch.setattr("airflow_provider_opencx.reconciliation.listing.READ_AGAIN_AFTER", 0)
"""
"""A ``conftest.py`` without which each test would take the five seconds before a create."""


@pytest.fixture
def documented_simulator() -> Iterator[str]:
    """The address of a simulator that was started by the line in the documentation, but on a free port."""
    [line] = (CONSOLE / "simulator.sh").read_text().splitlines()
    _, *arguments = shlex.split(line.replace("--port 8010", "--port 0"))
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:[0-9]+", process.stdout.readline())
        assert found
        yield found[0]
    finally:
        process.kill()
        process.communicate()


def test_docs_curl_commands_drive_simulator(documented_simulator: str, program: Callable[[str], Path]) -> None:
    program("curl")
    answers = []
    for line in (CONSOLE / "drive_simulator.sh").read_text().splitlines():
        command = shlex.split(line.replace(ADDRESS, documented_simulator))
        if "--json" in command:  # curl had no --json before 7.82
            place = command.index("--json")
            command[place : place + 1] = ["--header", "Content-Type: application/json", "--data"]
        done = subprocess.run(
            [*command, "--fail-with-body", "--silent", "--noproxy", "*"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (line, done.stdout)
        answers.append(done.stdout)
    # The agent that was seeded, changed, and left when the clock was moved; its fellow vanished.
    [agent] = json.loads(answers[-3])["agents"]
    assert (agent["name"], agent["first_message"], agent["phone_number"]) == ("Support", "Hallo!", "+15550123")
    assert json.loads(answers[-2]) == {"requests": [], "faults_met": {}}
    assert httpx.get(f"{documented_simulator}/phone", headers=KEY, trust_env=False).json() == [agent]


def test_docs_example_tests_pass_with_provider_alone(tmp_path: Path) -> None:
    home = write_examples(tmp_path / "examples")
    (home / "conftest.py").write_text(SHORT_PAUSE)
    [command] = (CONSOLE / "test_dags.sh").read_text().splitlines()
    done = subprocess.run(
        [sys.executable, "-m", *shlex.split(command), "-q"], cwd=home, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-5000:]
    assert "7 passed" in done.stdout


def test_readme_test_passes_alone_in_empty_folder(tmp_path: Path) -> None:
    [test] = [block.text for block in blocks(PROJECT / "README.md") if "def test_" in block.text]
    folder = tmp_path / "empty"
    folder.mkdir()
    (folder / "test_it.py").write_text(test)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q"],
        cwd=folder,
        env=environment | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:]
    assert "1 passed" in done.stdout


def test_docs_name_every_fault_and_option() -> None:
    faults = [name for name in public_names if name not in ("Fault", "Simulator")]
    command = [sys.executable, "-m", "airflow_provider_opencx.simulator", "--help"]
    usage = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    options = set(re.findall(r"--[a-z-]+", usage)) - {"--help"}
    assert [name for name in faults if f"`{name}(" not in PAGE] == []
    assert [option for option in options if f"| `{option}` |" not in PAGE] == []
