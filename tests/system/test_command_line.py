"""Tests what a user types on Airflow's command line: the connection test, and the weekly example."""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_provider_opencx.simulator import Simulator

Airflow = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.parametrize(
    ("conn_id", "status", "says"),
    [
        ("opencx_default", 0, "Connection success!"),
        ("opencx_rejected", 1, "rejected"),
        ("opencx_unreachable", 1, "no response from http://127.0.0.1:1"),
        ("opencx_broken", 1, "the extra timeout must be a number"),
        ("opencx_nowhere", 1, "Connection not found"),
    ],
)
def test_connection_test_command_reports_result(
    conn_id: str, status: int, says: str, airflow_command: Airflow, simulator: Simulator
) -> None:
    tested = airflow_command("connections", "test", conn_id)
    printed = tested.stdout + tested.stderr
    assert (tested.returncode, says in " ".join(printed.split())) == (status, True), printed
    assert "s3cret" not in printed
    assert simulator.writes == []
    assert len(simulator.requests) <= 1


def test_example_dags_weekly_campaign_creates_once(
    airflow_command: Airflow, simulator: Simulator, tmp_path: Path
) -> None:
    simulator.provision_after = "2s"
    call_list = tmp_path / "call_list.csv"
    weekly = ("dags", "test", "opencx_weekly_campaign", "--conf", json.dumps({"call_list": str(call_list)}))
    first = airflow_command(*weekly)
    assert first.returncode == 0, first.stdout + first.stderr
    assert [write.method for write in simulator.writes] == ["POST"] * 3
    assert len({write.body["name"] for write in simulator.writes}) == 3
    listed = list(csv.DictReader(call_list.open()))
    assert {row["name"]: row["phone_number"] for row in listed} == {
        agent["name"]: agent["phone_number"] for agent in simulator.agents()
    }
    assert all(row["phone_number"] for row in listed)

    simulator.forget_requests()
    call_list.unlink()
    second = airflow_command(*weekly)
    assert second.returncode == 0, second.stdout + second.stderr
    assert simulator.writes == []
    assert list(csv.DictReader(call_list.open())) == listed
