"""Tests the settings of the pages for operators: metrics reach a statsd, and the page of agents is on."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from page_examples import DOCS, blocks, examples_folder

from airflow_provider_opencx.plugins.addresses import is_page_on
from airflow_provider_opencx.simulator import Simulator

EXAMPLES = examples_folder()
CREATE = """
from airflow_provider_opencx.hooks.opencx import OpenCXHook
from airflow_provider_opencx.resources.phone_agents import PhoneAgentSpec
OpenCXHook().upsert_phone_agent(PhoneAgentSpec(name="Appointment reminder"))
"""

Shell = Callable[[str, str], None]


@pytest.fixture
def shell(airflow_database: None) -> Shell:
    """Runs the lines of a page, and then a Python program."""

    def run(lines: str, python: str) -> None:
        done = subprocess.run(
            ["bash", "-euc", f'{lines}\nexec "$PYTHON" -c "$PROGRAM"'],
            env={**os.environ, "PYTHON": sys.executable, "PROGRAM": python},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]

    return run


def test_docs_metrics_reach_statsd_with_tags(shell: Shell, opencx_default: Simulator) -> None:
    lines = (EXAMPLES / "metrics" / "statsd.sh").read_text()
    shown = next(block.text for block in blocks(DOCS / "operate" / "metrics.md") if block.language == "text")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as statsd:
        statsd.bind(("127.0.0.1", 0))
        statsd.settimeout(30)
        assert "=8125" in lines
        shell(lines.replace("=8125", f"={statsd.getsockname()[1]}"), CREATE)
        missing = set(shown.splitlines())
        while missing:  # a metric that does not come ends this by a TimeoutError
            missing -= set(statsd.recv(65536).decode().splitlines())
    assert len(opencx_default.agents()) == 1


def test_docs_setting_switches_page_on(
    shell: Shell, airflow_version: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIRFLOW__OPENCX__AGENTS_PAGE", raising=False)
    assert not is_page_on()
    expected = airflow_version >= (3, 1)
    program = f"from {is_page_on.__module__} import is_page_on\nassert is_page_on() is {expected}"
    shell((EXAMPLES / "agents_page" / "switch_on.sh").read_text(), program)


@pytest.mark.parametrize(("folder", "files"), [("metrics", {"statsd.sh"}), ("agents_page", {"switch_on.sh"})])
def test_docs_operate_examples_are_all_tested(folder: str, files: set[str]) -> None:
    assert {file.name for file in Path(EXAMPLES / folder).iterdir()} == files
