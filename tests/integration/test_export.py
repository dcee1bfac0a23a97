"""Tests how a team begins with forty agents from the dashboard: export, plan, edit, plan, apply, plan."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_opencx.__main__ import main
from airflow_provider_opencx.hooks.opencx import OpenCXHook
from airflow_provider_opencx.phone_agents.declarations import parse_fleet
from airflow_provider_opencx.phone_agents.fleet import FleetPlan
from airflow_provider_opencx.phone_agents.fleet_files.reader import read_fleet
from airflow_provider_opencx.simulator import Respond, Simulator
from airflow_provider_opencx.text import listed

GREETINGS = {
    "Latin": "Grüß Gott, schöne Österreicher",
    "Cyrillic": "Здравствуйте, это служба поддержки",
    "Greek": "Καλημέρα σας, πείτε μου",
    "Arabic": "مرحبا، كيف يمكنني مساعدتك",
    "Hebrew": "שלום, איך אפשר לעזור",
    "Devanagari": "नमस्ते, मैं आपकी कैसे मदद कर सकता हूँ",
    "Thai": "สวัสดี มีอะไรให้ช่วยไหม",
    "Han": "您好。请问有什么可以帮您",
}
FORMS: dict[str, Callable[[str], str]] = {
    "line": lambda text: text,
    "block": lambda text: f"{text}\n\n  - {text}: #1\n{{{{ name }}}} and ${{NAME}}",
    "odd": lambda text: f" {text} \r\n\t{text}\u200b\n\n",
    "long": lambda text: f"{text}. " * 30,
}
SPECIAL: list[dict[str, Any]] = [
    {"name": "no", "language": "no"},
    {"name": "Twice", "type": "outbound"},
    {"name": "Twice "},
    {"name": "National", "handoff_phone_number": "030 555010", "type": "inbound"},
    {"name": "Nulls", "first_message": None, "voice_id": None, "language": None, "actionIds": None},
    {"name": "12:30", "actionIds": [], "instructions": ["Be nice.\nBe brief.\n", "~"], "first_message": "0123"},
    {"name": "Line\nbreak", "handoff_phone_number": "+1 (415) 555-0100", "actionIds": ["action_1"]},
    {"name": "national", "voice_id": "voice_bruno", "use_org_knowledgebase": True},
]
EVERY_GENERATION = pytest.mark.parametrize("generation", ["2024", "2025", "2026"])


@pytest.fixture
def forty(simulator: Simulator, generation: str) -> Simulator:
    """Forty agents, as somebody has made them in the dashboard."""
    simulator.generation = generation
    for script, greeting in GREETINGS.items():
        for form, made in FORMS.items():
            simulator.add_agent(f"{script} {form} {greeting[:5]}", type="outbound", first_message=made(greeting))
    for fields in SPECIAL:
        simulator.add_agent(**fields)
    assert len(simulator.agents()) == 40
    simulator.forget_requests()
    return simulator


def planned(path: Path) -> FleetPlan:
    return OpenCXHook().plan_phone_agents(parse_fleet(read_fleet(path)))


def changes(plan: FleetPlan) -> list[tuple[str, tuple[str, ...]]]:
    return [(step.spec.agent_name, step.drift) for step in plan.steps if step.action != "unchanged"]


def assert_one_edit_is_one_change(simulator: Simulator, fleet: Path, edited: Path) -> None:
    """Check that the plan is empty, then one text after an edit, then empty when it was applied."""
    assert changes(planned(fleet)) == []
    before = {agent["id"]: agent for agent in simulator.agents()}
    text = edited.read_text(encoding="utf-8")
    assert text.count("service de nuit") == 1
    edited.write_text(text.replace("service de nuit", "service de jour"), encoding="utf-8")
    plan = planned(fleet)
    assert changes(plan) == [("Nuit", ("first_message",))]
    assert simulator.writes == []
    OpenCXHook().apply_plan(plan)
    [write] = simulator.writes
    assert write.method == "PATCH"
    assert write.body == {"first_message": "Bonjour,\nle service de jour"}
    assert changes(planned(fleet)) == []
    differs = [agent["name"] for agent in simulator.agents() if agent != before[agent["id"]]]
    assert differs == ["Nuit"]


@pytest.fixture
def with_one_to_edit(forty: Simulator) -> Simulator:
    """Those forty, of which one is replaced by an agent whose greeting is edited."""
    forty.remove_agent(str(forty.agents()[0]["id"]))
    forty.add_agent("Nuit", type="outbound", first_message="Bonjour,\nle service de nuit")
    return forty


@EVERY_GENERATION
def test_forty_agents_are_adopted_with_one_file(
    generation: str, with_one_to_edit: Simulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export"]) == 0
    stdout, stderr = capsys.readouterr()
    assert "Exported 38 of 40 agents" in stderr
    assert "2 agents are named 'Twice' and are not exported" in stderr
    assert "phone agent 'National' (pa_000036): handoff_phone_number is left out: '030 555010' must begin" in stderr
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text(stdout, encoding="utf-8")
    assert_one_edit_is_one_change(with_one_to_edit, fleet, fleet)


@EVERY_GENERATION
def test_forty_agents_are_adopted_with_a_file_each(
    generation: str, with_one_to_edit: Simulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet = tmp_path / "fleet"
    assert main(["export", "--split", str(fleet)]) == 0
    stdout, stderr = capsys.readouterr()
    assert stdout == ""
    assert "Exported 38 of 40 agents" in stderr
    assert len([*fleet.glob("*.yaml")]) == 38
    assert_one_edit_is_one_change(with_one_to_edit, fleet, fleet / "nuit.first_message.txt")


@EVERY_GENERATION
def test_forty_agents_are_adopted_as_json(
    generation: str, forty: Simulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "-o", "json"]) == 0
    fleet = tmp_path / "fleet.json"
    fleet.write_text(capsys.readouterr().out, encoding="utf-8")
    assert changes(planned(fleet)) == []
    assert len(json.loads(fleet.read_text())["agents"]) == 38


@pytest.mark.parametrize("generation", ["2026"])
def test_second_export_into_a_folder_needs_force(
    generation: str, forty: Simulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "--split", str(tmp_path)]) == 0
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert main(["export", "--split", str(tmp_path)]) == 1
    assert "already, so nothing was written" in capsys.readouterr().err
    assert main(["export", "--split", str(tmp_path), "--force"]) == 0
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    (tmp_path / "old.yaml").write_text("name: Old\n")
    assert main(["export", "--split", str(tmp_path), "--force"]) == 0
    assert "holds other fleet files as well: old.yaml." in capsys.readouterr().err


@pytest.mark.parametrize("generation", ["2026"])
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--names", "Greek *", "--names", "no"], 0, "Exported 5 of 5 agents"),
        (["--names", "greek *"], 1, "Error: --names: none of 40 agents has a name that fits 'greek *'."),
        (["--force"], 1, "Error: --force replaces existing files of --split, so it needs --split"),
        (["--split", "x", "-o", "json"], 1, "Error: --split writes YAML files: leave out -o json"),
    ],
    ids=lambda value: listed(value, separator=" ") if isinstance(value, list) else None,
)
def test_arguments(
    arguments: list[str],
    code: int,
    message: str,
    generation: str,
    forty: Simulator,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["export", *arguments]) == code
    stdout, stderr = capsys.readouterr()
    assert message in stderr
    assert bool(stdout) is (code == 0)
    assert [*tmp_path.iterdir()] == []
    assert forty.writes == []


@pytest.mark.parametrize("generation", ["2026"])
def test_export_by_name_without_the_scope_of_a_list_keeps_its_ids(
    generation: str, forty: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    forty.fail(
        "listActions", Respond(403, {"statusCode": 403, "message": "No scope", "error": "Forbidden"}), times=None
    )
    assert main(["export", "--by-name", "--names", "national", "--names", "Line*"]) == 0
    stdout, stderr = capsys.readouterr()
    assert "voice: Bruno" in stdout
    assert "action_ids: [action_1]" in stdout
    assert "id: pa_" not in stdout
    assert "# action_ids is not written by name." in stdout
    assert "actions needs the list of actions, which could not be read" in stderr
