"""Tests that the steps that adopt agents from the dashboard do what their page says."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from page_examples import examples_folder

from airflow_provider_opencx.simulator import Simulator

EXAMPLES = examples_folder() / "adopting"
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def dashboard(opencx_simulator: Simulator) -> Simulator:
    """The agents of the page, as somebody has made them in the dashboard."""
    opencx_simulator.add_agent(
        "Spring offer",
        type="outbound",
        language=["en", "es"],
        voice_id="voice_bruno",
        first_message="Hi {{ name }},\nthis is Bruno of Spring & Co.",
        actionIds=[],
    )
    opencx_simulator.add_agent("Support", language=["no"], handoff_phone_number="030 555010")
    opencx_simulator.add_agent("Test")
    opencx_simulator.add_agent("Test")
    return opencx_simulator


@pytest.fixture
def run(dashboard: Simulator, tmp_path: Path) -> Run:
    """Runs the lines of a file of the page in a shell."""

    def run(file: str, more: str = "") -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PATH": PATH, "OPENCX_API_KEY": "test-key", "OPENCX_API_URL": dashboard.url}
        script = (EXAMPLES / file).read_text().rstrip("\n") + more
        return subprocess.run(
            ["bash", "-euc", script], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
        )

    return run


def test_docs_export_is_what_the_page_shows(run: Run, tmp_path: Path) -> None:
    assert run("export.sh").returncode == 0
    assert (tmp_path / "fleet.yaml").read_text() == (EXAMPLES / "fleet.yaml").read_text()


def test_docs_steps_adopt_the_agents(run: Run, dashboard: Simulator, tmp_path: Path) -> None:
    agents = run("agents.sh")
    assert agents.returncode == 0, agents.stderr
    assert "Spring offer" in agents.stdout
    assert run("export.sh").returncode == 0
    assert run("plan.sh").returncode == 0
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text(fleet.read_text().replace("Spring & Co.", "Summer & Co."))
    assert run("plan.sh").returncode == 2
    assert dashboard.writes == []
    applied = run("apply.sh", " --yes")
    assert applied.returncode == 0, applied.stderr
    assert [write.body for write in dashboard.writes] == [
        {"first_message": "Hi {{ name }},\nthis is Bruno of Summer & Co."}
    ]
    assert run("plan.sh").returncode == 0


def test_docs_export_by_name_holds_no_ids_and_changes_nothing(run: Run, tmp_path: Path) -> None:
    exported = run("by_name.sh")
    assert exported.returncode == 0, exported.stderr
    assert "voice: Bruno" in (tmp_path / "fleet.yaml").read_text()
    assert "  id: " not in (tmp_path / "fleet.yaml").read_text()
    assert run("plan.sh").returncode == 0


def test_docs_steps_in_short_change_nothing(run: Run, dashboard: Simulator) -> None:
    done = run("in_short.sh")
    assert done.returncode == 0, done.stderr
    assert "OpenCX doctor" in done.stdout
    assert "2 agents of this fleet stay as they are" in done.stdout
    assert dashboard.writes == []


def test_docs_agents_are_adopted_with_a_file_each(run: Run, tmp_path: Path) -> None:
    done = run("split.sh")
    assert done.returncode == 0, done.stderr
    assert {file.name for file in (tmp_path / "fleet").iterdir()} == {
        "spring-offer.yaml",
        "spring-offer.first_message.txt",
        "support.yaml",
        "EXPORT.txt",
    }


def test_docs_part_of_the_agents_is_exported(run: Run, tmp_path: Path) -> None:
    assert run("names.sh").returncode == 0
    assert "Exported 2 of 2 agents" in run("names.sh").stderr
    assert "name: Support" in (tmp_path / "campaign.yaml").read_text()


def test_docs_adopting_examples_are_all_tested() -> None:
    tested = {
        "agents.sh",
        "apply.sh",
        "export.sh",
        "in_short.sh",
        "by_name.sh",
        "names.sh",
        "plan.sh",
        "split.sh",
        "fleet.yaml",
    }
    assert {file.name for file in EXAMPLES.iterdir()} == tested
