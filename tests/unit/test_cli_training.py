"""Tests the commands for training scenarios, against the simulator."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from airflow_provider_opencx.__main__ import main
from airflow_provider_opencx.simulator import Simulator

FILES = {
    "refund.md": "---\ntitle: Refund policy\nchannels: [phone_voice]\n---\nWithin ${DAYS} days.\n",
    "orders/late.md": "---\ntitle: Late order\n---\nSay sorry.\n",
}

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    with Simulator(requests_per_minute=None) as simulator:
        monkeypatch.setenv("OPENCX_API_KEY", "test-key")
        monkeypatch.setenv("OPENCX_API_URL", simulator.url)
        yield simulator


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / "training" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "training" / name).write_text(text)
    return tmp_path / "training"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: object) -> tuple[int, str, str]:
        code = main([*map(str, arguments)])
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run


DAYS = ("--var", "DAYS=30")


def test_folder_is_validated_planned_and_applied(simulator: Simulator, folder: Path, run: Run, tmp_path: Path) -> None:
    code, shown, _ = run("training", "validate", folder, "-o", "json")
    assert code == 1
    [problem] = json.loads(shown)
    assert (Path(problem["file"]).name, problem["line"], problem["field"]) == ("refund.md", 5, "content")
    assert run("training", "validate", folder, *DAYS)[::2] == (0, "2 training scenarios, no problems.\n")

    saved = tmp_path / "plan.json"
    code, shown, _ = run("training", "plan", folder, *DAYS, "--detailed-exitcode", "--out", saved)
    assert (code, simulator.writes) == (2, [])
    assert "“Refund policy” will be created" in shown
    assert shown.endswith(
        "Plan: 2 to create, 0 to update, 0 unchanged; 0 of the collection not declared and left alone.\n"
    )

    code, shown, said = run("training", "apply", folder, *DAYS, "--plan", saved)
    assert (code, len(simulator.training())) == (0, 2)
    assert [line.split()[0] for line in shown.splitlines()[-2:]] == ["Late", "Refund"]
    assert run("training", "plan", folder, *DAYS, "--detailed-exitcode")[0] == 0
    code, _, said = run("training", "apply", folder, "--var", "DAYS=14")
    assert (code, "nobody can be asked" in said) == (1, True)
    code, shown, _ = run("training", "apply", folder, "--var", "DAYS=14", "--yes", "-o", "json")
    assert [scenario["content"] for scenario in json.loads(shown)] == ["Say sorry.", "Within 14 days."]
    assert "Nothing to do." in run("training", "apply", folder, "--var", "DAYS=14")[2]


def test_export_of_what_the_dashboard_made_is_planned_without_changes(
    simulator: Simulator, run: Run, tmp_path: Path
) -> None:
    made = simulator.create_training("Größe ${X}", "# A\n\n---\n${Y}", restricted_to_channels=["sms"], is_draft=True)
    simulator.create_training("Refund policy", "x", metadata={"crm": 1}, type="BEHAVIORAL")
    simulator.create_training("Edited", "x")
    simulator.edit_training(str(simulator.training()[2]["id"]), content="Not yet.")
    code, _, said = run("training", "export", tmp_path / "out")
    assert code == 0
    assert "an edit that is not published, which is not exported" in said
    assert "Exported 3 of 3 training scenarios." in said
    code, _, said = run("training", "plan", tmp_path / "out")
    assert (code, "take it over with adopt='by_title'" in said) == (1, True)
    adopting = ("--adopt", "by_title", "--on-draft", "overwrite")
    code, shown, _ = run("training", "plan", tmp_path / "out", *adopting, "-o", "json")
    changes = {change["field"] for step in json.loads(shown)["training_scenarios"] for change in step["changes"]}
    assert (code, changes) == (0, {"metadata.airflow_key", "metadata.airflow_collection"})
    assert run("training", "apply", tmp_path / "out", *adopting, "--yes")[0] == 0
    assert run("training", "plan", tmp_path / "out", "--detailed-exitcode")[0] == 0
    kept = {**made, "metadata": {"airflow_key": "groe-x", "airflow_collection": "default"}}
    assert simulator.training()[0] == {**kept, "updated_at": simulator.training()[0]["updated_at"]}
    code, _, said = run("training", "export", tmp_path / "out")
    assert (code, "holds" in said) == (1, True)
    assert run("training", "export", tmp_path / "out", "--force")[0] == 0
    assert run("training", "plan", tmp_path / "out", "--detailed-exitcode")[0] == 0


def test_lists_show_what_a_declaration_can_name(simulator: Simulator, run: Run) -> None:
    simulator.create_training("Refund policy", "x", metadata={"airflow_key": "k", "airflow_collection": "c"})
    simulator.set_actions([{"name": "Look up order", "id": "act_1"}])
    [scenario] = json.loads(run("training", "list", "-o", "json")[1])
    assert (scenario["title"], scenario["key"], scenario["collection"]) == ("Refund policy", "k", "c")
    assert "Refund policy" in run("training", "list")[1]
    [action] = json.loads(run("actions", "-o", "json")[1])
    assert (action["name"], action["channels"]) == ("Look up order", "web")


def test_guards_and_collections_hold_in_the_command_line(simulator: Simulator, folder: Path, run: Run) -> None:
    code, _, said = run("training", "apply", folder, *DAYS, "--yes", "--max-creates", "1")
    assert (code, "max_creates allows 1" in said) == (1, True)
    code, _, said = run("training", "apply", folder, *DAYS, "--yes", "--expected-org-id", "org_1")
    assert (code, "organization 'org_1' is expected" in said) == (1, True)
    assert simulator.writes == []
    assert run("training", "apply", folder, *DAYS, "--yes", "--collection", "a")[0] == 0
    assert {each["metadata"]["airflow_collection"] for each in simulator.training()} == {"a"}  # type: ignore[index,call-overload]
