"""Tests that each way to write the connection that the documentation shows makes the same connection."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from page_examples import examples_folder

from airflow_provider_opencx.simulator import Simulator

CONNECTIONS = examples_folder() / "connections"
WANTED = {"base_url": "https://api.open.cx", "api_key": "YOUR-KEY", "timeout": 60.0, "coordination": "machine"}
PRINT = """
import json
shown = {field: getattr(settings, field) for field in ("base_url", "timeout", "coordination")}
print(json.dumps({**shown, "api_key": settings.api_key.reveal()}))
"""
IMPORT_HOOK = "from airflow_provider_opencx.hooks.opencx import OpenCXHook"
READ = f"""
{IMPORT_HOOK}
settings = OpenCXHook("opencx_default").get_conn().settings
{PRINT}"""
TAKE_FROM_DATABASE = f"""
from airflow.models import Connection
from airflow.utils.session import create_session
from airflow_provider_opencx.connection.settings import client_settings
with create_session() as session:
    stored = session.query(Connection).filter_by(conn_id="opencx_default", conn_type="opencx").one()
    settings = client_settings(stored, user_agent="test")
    session.delete(stored)
{PRINT}"""

Shell = Callable[..., str]


@pytest.fixture
def shell(airflow_database: None) -> Shell:
    """Runs the lines of a file, and further ones, beside the files that they name; returns what they print."""

    def run(file: str, *lines: str, replace: dict[str, str] | None = None) -> str:
        script = (CONNECTIONS / file).read_text()
        for written, meant in (replace or {}).items():
            assert written in script
            script = script.replace(written, meant)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_CONN_")}
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
        done = subprocess.run(
            ["bash", "-euc", "\n".join([script, *lines])],
            cwd=CONNECTIONS,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def printed_by(python: str) -> str:
    """Return a line that runs a Python program."""
    return shlex.join(["python", "-c", python])


def settings_in(printed: str) -> object:
    return json.loads(printed.splitlines()[-1])


@pytest.mark.parametrize("file", ["environment_json.sh", "environment_uri.sh"])
def test_docs_environment_variable_defines_connection(file: str, shell: Shell) -> None:
    assert settings_in(shell(file, printed_by(READ))) == WANTED


def test_docs_secrets_backend_provides_connection(shell: Shell) -> None:
    replace = {"/opt/airflow/connections.yaml": str(CONNECTIONS / "connections.yaml")}
    assert settings_in(shell("secrets_backend.sh", printed_by(READ), replace=replace)) == WANTED


@pytest.mark.parametrize("file", ["command_line.sh", "command_line_fields.sh", "command_line_import.sh"])
def test_docs_command_line_stores_connection(file: str, shell: Shell) -> None:
    assert settings_in(shell(file, printed_by(TAKE_FROM_DATABASE))) == WANTED


def test_docs_simulator_connection_test_sends_one_get(shell: Shell) -> None:
    with Simulator(api_keys=("demo-key",)) as simulator:
        test = (CONNECTIONS / "test.sh").read_text()
        printed = shell("simulator.sh", test, replace={"http://127.0.0.1:8010": simulator.url})
        assert "Connection success!" in printed
        assert [(request.method, request.status) for request in simulator.requests] == [("GET", 200)]


def test_docs_connection_for_calls_allows_them(shell: Shell) -> None:
    read = f"{IMPORT_HOOK}\nprint(OpenCXHook().get_conn().settings.allow_calls)"
    assert shell("calls.sh", printed_by(read)).splitlines()[-1] == "True"
    assert shell("environment_json.sh", printed_by(read)).splitlines()[-1] == "False"


def test_docs_connection_coordinates_over_redis(shell: Shell) -> None:
    read = f"{IMPORT_HOOK}\nprint(OpenCXHook().get_conn().settings.coordination.reveal())"
    assert shell("redis.sh", printed_by(read)).splitlines()[-1] == "redis://redis:6379/1"


def test_docs_connection_examples_are_all_tested() -> None:
    assert {file.name for file in CONNECTIONS.iterdir()} == {
        "calls.sh",
        "command_line.sh",
        "command_line_fields.sh",
        "command_line_import.sh",
        "connections.yaml",
        "environment_json.sh",
        "environment_uri.sh",
        "opencx_default.json",
        "redis.sh",
        "secrets_backend.sh",
        "simulator.sh",
        "test.sh",
    }
