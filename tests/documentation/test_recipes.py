"""Tests that each recipe does its job. The tests of other pages run the recipes that are there, too."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from page_examples import DOCS, PROJECT, blocks

from airflow_provider_opencx.simulator import Simulator

RUN_HERE = {
    "recipes/rename.yaml",
    "recipes/rename.py",
    "recipes/retire.py",
    "recipes/alert_on_drift.py",
    "recipes/alert_without_number.py",
}
RUN_BY = {
    "dags/environments.yaml": "documentation/test_dags.py",
    "dags/environments.py": "documentation/test_dags.py",
    "adopting/in_short.sh": "documentation/test_adopting.py",
    "dags/fleet_from_file.py": "documentation/test_dags.py",
    "example_dags/opencx_published_number.py": "system/test_assets.py",
    "example_dags/opencx_follow_up_calls.py": "integration/test_example_dags.py",
    "example_dags/opencx_conversations_to_storage.py": "integration/test_conversation_examples.py",
    "example_dags/opencx_conversations_in_duckdb.py": "integration/test_conversation_examples.py",
}


@pytest.fixture
def load(examples: Path, read_dag: Callable[[Path], Any], tmp_path: Path) -> Callable[[str], Any]:
    """Parses a recipe beside the fleet of the pages, and returns its Dag, whose tasks are tried once."""
    shutil.copytree(examples / "recipes", tmp_path / "recipes")
    shutil.copy(examples / "dags" / "fleet.yaml", tmp_path / "recipes")

    def load(dag_id: str) -> Any:
        dag = read_dag(tmp_path / "recipes" / f"{dag_id}.py")
        for task in dag.tasks:
            task.retries = 0
        return dag

    return load


def test_every_recipe_is_run() -> None:
    shown = {block.example or block.piece_of for block in blocks(DOCS / "get_started" / "recipes.md")}
    assert shown == RUN_HERE | RUN_BY.keys()
    for name, test in RUN_BY.items():
        source = PROJECT / name
        dag_ids = re.findall(r'dag_id="(\w+)"', source.read_text()) if source.exists() else []
        run = (PROJECT / "tests" / test).read_text()
        assert any(word in run for word in (dag_ids or [Path(name).stem])), name


@pytest.mark.parametrize(
    ("recipe", "name", "renamed"),
    [("rename", "Renewal", "Membership renewal"), ("retire", "Spring offer", "Retired: Spring offer")],
)
def test_recipe_gives_another_name_and_keeps_the_number(
    recipe: str,
    name: str,
    renamed: str,
    load: Callable[[str], Any],
    run_dag: Callable[..., Any],
    opencx_default: Simulator,
) -> None:
    before = opencx_default.add_agent(name, type="outbound", phone_number="+15550123")
    for _ in range(2):
        assert str(run_dag(load(recipe)).state) == "success"
    [agent] = opencx_default.agents()
    assert (agent["id"], agent["name"], agent["phone_number"]) == (before["id"], renamed, "+15550123")
    assert len(opencx_default.writes) == 1


def test_recipe_alerts_on_drift(
    load: Callable[[str], Any],
    run_dag: Callable[..., Any],
    opencx_default: Simulator,
    capsys: pytest.CaptureFixture[str],
) -> None:
    opencx_default.add_agent("Reminder, Norwegian", type="outbound", language=["sv"])
    opencx_default.forget_requests()
    assert str(run_dag(load("alert_on_drift")).state) == "failed"
    printed = capsys.readouterr().out
    assert "Phone agents differ from their declaration: " in printed
    assert "Reminder, Norwegian" in printed
    assert opencx_default.writes == []


def test_recipe_alerts_when_a_number_does_not_come(
    load: Callable[[str], Any],
    run_dag: Callable[..., Any],
    opencx_default: Simulator,
    capsys: pytest.CaptureFixture[str],
) -> None:
    opencx_default.add_agent("Appointment reminder", type="outbound", progression="never")
    dag = load("alert_without_number")
    dag.get_task("number").poke_interval = 0.1
    dag.get_task("number").timeout = 1
    assert str(run_dag(dag).state) == "failed"
    printed = capsys.readouterr().out
    assert "A phone agent is not ready: " in printed
    assert "Appointment reminder" in printed.split("A phone agent is not ready: ")[1].splitlines()[0]
