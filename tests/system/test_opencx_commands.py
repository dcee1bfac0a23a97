"""Tests ``airflow opencx``: the commands in Airflow's own command line, with its database."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_provider_opencx.simulator import Simulator

Airflow = Callable[..., subprocess.CompletedProcess[str]]

FLEET = "agents:\n  - name: Spring offer\n    language: en\n"


@pytest.fixture
def fleet(tmp_path: Path, airflow_version: tuple[int, ...]) -> str:
    """The path of a fleet file."""
    if airflow_version < (3, 2):
        pytest.skip("Airflow knows commands of providers from 3.2 on")
    file = tmp_path / "fleet.yaml"
    file.write_text(FLEET)
    return str(file)


def test_airflow_commands_end_with_their_exit_codes(fleet: str, airflow_command: Airflow, simulator: Simulator) -> None:
    plan = ("opencx", "plan", fleet, "--detailed-exitcode")
    planned = airflow_command(*plan)
    assert planned.returncode == 2, planned.stderr
    assert "“Spring offer” will be created" in planned.stdout
    applied = airflow_command("opencx", "apply", fleet, "--yes", "-o", "json")
    assert applied.returncode == 0, applied.stderr
    assert [agent["name"] for agent in json.loads(applied.stdout)] == ["Spring offer"]
    assert airflow_command(*plan).returncode == 0
    assert [write.method for write in simulator.writes] == ["POST"]


def test_airflow_commands_write_results_alone_to_stdout(
    fleet: str, airflow_command: Airflow, simulator: Simulator
) -> None:
    listed = airflow_command("opencx", "voices", "-o", "json")
    assert listed.returncode == 0, listed.stderr
    assert [voice["voice_id"] for voice in json.loads(listed.stdout)] == ["voice_aria", "voice_bruno", "voice_celia"]


def test_airflow_commands_find_connections_in_the_database(
    fleet: str, airflow_command: Airflow, simulator: Simulator, connections: dict[str, str]
) -> None:
    stored = ("connections", "add", "stored", "--conn-json", connections["AIRFLOW_CONN_OPENCX_DEFAULT"])
    assert airflow_command(*stored).returncode == 0
    listed = airflow_command("opencx", "voices", "--conn-id", "stored", "-o", "json")
    assert listed.returncode == 0, listed.stderr
    assert len(json.loads(listed.stdout)) == 3


@pytest.mark.parametrize("debug", [(), ("--debug",)], ids=["", "debug"])
@pytest.mark.parametrize(
    ("conn_id", "says"),
    [
        ("opencx_unreachable", "no response from http://127.0.0.1:1"),
        ("opencx_broken", "the extra timeout must be a number"),
        ("opencx_nowhere", "AIRFLOW_CONN_OPENCX_NOWHERE"),
    ],
)
def test_airflow_commands_say_what_is_wrong_without_the_key(
    conn_id: str, says: str, debug: tuple[str, ...], fleet: str, airflow_command: Airflow, simulator: Simulator
) -> None:
    listed = airflow_command("opencx", "agents", "--conn-id", conn_id, *debug)
    assert (listed.returncode, listed.stdout) == (1, "")
    assert says in listed.stderr
    assert ("Traceback" in listed.stderr) == bool(debug)
    assert "s3cret" not in listed.stderr


def test_airflow_ends_with_2_after_wrong_usage(fleet: str, airflow_command: Airflow) -> None:
    assert airflow_command("opencx", "plan", fleet, "--unheard").returncode == 2
