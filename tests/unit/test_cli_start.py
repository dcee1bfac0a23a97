"""Tests that the command line starts quickly, and imports no Airflow where it needs none."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

FLEET = "agents:\n  - name: Spring offer\n    language: en\n"

HEAVY = {"airflow", "rich", "httpx", "sqlalchemy", "redis", "fastapi", "jsonschema"}
"""What neither ``--help`` nor ``validate`` needs."""

STARTS = {
    "help": (["--help"], HEAVY | {"pydantic", "yaml"}),
    "help of a command": (["plan", "--help"], HEAVY | {"pydantic", "yaml"}),
    "validate": (["validate", "fleet.yaml"], HEAVY),
    "agents": (["agents"], {"airflow", "sqlalchemy", "redis", "fastapi", "jsonschema"}),
    "plan": (["plan", "fleet.yaml"], {"airflow", "sqlalchemy", "redis", "fastapi", "jsonschema"}),
}


@pytest.fixture
def environment(tmp_path: Path, opencx_simulator: object) -> dict[str, str]:
    (tmp_path / "fleet.yaml").write_text(FLEET)
    address = {"OPENCX_API_KEY": "test-key", "OPENCX_API_URL": getattr(opencx_simulator, "url", "")}
    return {**os.environ, **address}


@pytest.mark.parametrize(("arguments", "unneeded"), STARTS.values(), ids=STARTS.keys())
def test_command_imports_only_what_it_needs(
    arguments: list[str], unneeded: set[str], environment: dict[str, str], tmp_path: Path
) -> None:
    program = (
        "import sys\n"
        "from airflow_provider_opencx.__main__ import main\n"
        "try:\n"
        f"    code = main({arguments!r})\n"
        "except SystemExit as ended:\n"
        "    code = ended.code\n"
        "print('imported', code, *{name.partition('.')[0] for name in sys.modules})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    _, code, *modules = done.stdout.splitlines()[-1].split()
    assert code == "0", done.stderr
    assert {*modules} & unneeded == set()


@pytest.mark.parametrize("arguments", [["--help"], ["validate", "fleet.yaml"]], ids=" ".join)
def test_command_starts_at_once(arguments: list[str], environment: dict[str, str], tmp_path: Path) -> None:
    """Half a second on a machine with nothing else to do; here others test at the same time."""

    def seconds() -> float:
        began = time.monotonic()
        command = [sys.executable, "-m", "airflow_provider_opencx", *arguments]
        subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, check=True)
        return time.monotonic() - began

    assert min(seconds() for _ in range(5)) < 2


def test_group_of_airflow_is_made_without_what_its_commands_need() -> None:
    program = (
        "import airflow.cli.cli_config, sys\n"
        "before = {*sys.modules}\n"
        "from airflow_provider_opencx.cli.airflow_commands import airflow_commands\n"
        "[group] = airflow_commands()\n"
        "assert group.name == 'opencx'\n"
        "print('imported', *{name for name in {*sys.modules} - before if not name.startswith('airflow_provider')})\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    _, *modules = done.stdout.splitlines()[-1].split()
    assert {name.partition(".")[0] for name in modules} <= sys.stdlib_module_names
