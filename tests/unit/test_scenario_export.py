"""Tests that existing training scenarios become files whose plan changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_opencx.knowledge.declarations import parse_scenarios
from airflow_provider_opencx.knowledge.declared import DeclaredScenario
from airflow_provider_opencx.knowledge.export import Export, export_scenarios
from airflow_provider_opencx.knowledge.plan import Rules
from airflow_provider_opencx.knowledge.scenario_files import read_scenarios
from airflow_provider_opencx.knowledge.scenarios import Scenarios
from airflow_provider_opencx.knowledge.training_plan import plan_scenarios
from airflow_provider_opencx.resources.training import TrainingScenario

OURS = {"airflow_key": "billing/refunds", "airflow_collection": "support"}


def scenario(
    number: int = 1, title: object = "Refund policy", content: object = "Refund.", **fields: object
) -> TrainingScenario:
    stored = {"id": f"tr_{number}", "title": title, "content": content, "is_draft": False, "metadata": {}, **fields}
    return TrainingScenario.from_response(stored)


def changes_of(export: Export, scenarios: list[TrainingScenario], folder: Path) -> set[str]:
    """Return the fields in which a plan of an export differs."""
    for name, text in export.files.items():
        (folder / name).write_text(text, encoding="utf-8")
    declared = [DeclaredScenario.of(spec, "support") for spec in parse_scenarios(read_scenarios(folder))]
    plan = plan_scenarios(declared, Scenarios(scenarios), Rules(adopt="by_title"), "support")
    assert [step.action for step in plan.steps if step.action not in ("update", "unchanged")] == []
    assert len(plan.steps) == len(export.files)
    return {difference.field for step in plan.steps for difference in step.plan.differences}


KEY_AND_COLLECTION = {"metadata.airflow_key", "metadata.airflow_collection"}


@pytest.mark.parametrize(
    ("fields", "changes"),
    [
        ({"metadata": OURS}, set()),
        ({}, KEY_AND_COLLECTION),
        ({"title": "2026", "content": "---\nx\n---", "type": "BEHAVIORAL"}, KEY_AND_COLLECTION),
        ({"title": "Größe: 'on' # no", "content": "Pay ${AMOUNT} {{ x }}\r\n\r\n  y"}, KEY_AND_COLLECTION),
        ({"restricted_to_channels": ["sms", "phone_voice"], "restricted_to_segments": ["s"]}, KEY_AND_COLLECTION),
        ({"is_draft": True, "draft_title": "New", "draft_content": "New text."}, KEY_AND_COLLECTION),
        ({"start_time": "2026-01-01T00:00:00Z", "end_time": "2026-02-01T00:00:00.000Z"}, KEY_AND_COLLECTION),
        ({"directory_id": "dir_1", "metadata": {**OURS, "team": {"n": [1, "on"]}, "n": 1.5}}, set()),
    ],
)
def test_plan_of_an_export_changes_nothing(fields: dict[str, object], changes: set[str], tmp_path: Path) -> None:
    scenarios = [scenario(**fields)]
    export = export_scenarios(scenarios, "support")
    assert export.notes == []
    assert changes_of(export, scenarios, tmp_path) == changes


def test_file_reads_as_a_person_would_write_it() -> None:
    stored = scenario(content="# Refunds\n\nWithin 30 days.\n", restricted_to_channels=["phone_voice"], metadata=OURS)
    export = export_scenarios([stored], "support")
    assert export.files == {
        "refund-policy.md": (
            "---\ntitle: Refund policy\nkey: billing/refunds\nchannels: [phone_voice]\n---\n"
            "\n# Refunds\n\nWithin 30 days.\n"
        )
    }


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"title": None}, "title: "),
        ({"content": " "}, "is empty"),
        ({"type": "OTHER"}, "type: "),
        ({"restricted_to_channels": ["fax"]}, "'fax' is not a channel"),
        ({"metadata": {**OURS, "airflow_collection": "other"}}, "belongs to the collection 'other'"),
        ({"title": 5}, "title: must be text"),
        ({"content": "a\x00b"}, "cannot be stored"),
        ({"title": "two\nlines"}, "must be one line"),
    ],
)
def test_what_cannot_be_declared_is_left_out_with_the_reason(fields: dict[str, object], reason: str) -> None:
    export = export_scenarios([scenario(**fields)], "support")
    assert export.files == {}
    assert [reason in note for note in export.notes] == [True], export.notes


def test_two_of_one_title_are_left_out_and_an_edit_is_noted() -> None:
    edited = scenario(3, "Edited", draft_content="Not yet.")
    export = export_scenarios([scenario(1), scenario(2), edited], "support")
    assert {*export.files} == {"edited.md"}
    assert "Not yet" not in export.files["edited.md"]
    assert [note.rpartition(" is not exported: ")[2] for note in export.notes[:2]] == [
        "others have the same title."
    ] * 2
    assert export.notes[2].endswith("has an edit that is not published, which is not exported.")


def of_key(key: str) -> dict[str, object]:
    return {"metadata": {"airflow_key": key, "airflow_collection": "support"}}


@pytest.mark.parametrize(
    ("scenarios", "files"),
    [
        ([scenario(1, "README"), scenario(2, "Read me")], {"readme-2.md", "read-me.md"}),
        ([scenario(1, "Readme", **of_key("k"))], {"readme-2.md"}),
        ([scenario(1, "Refunds"), scenario(2, "Other", **of_key("refunds"))], {"refunds-2.md", "other.md"}),
        ([scenario(1, "Refunds"), scenario(2, "Other", type="NEW", **of_key("Refunds"))], {"refunds-2.md"}),
        ([scenario(1, "Refunds"), scenario(2, "refunds", **of_key("refunds"))], {"refunds-2.md", "refunds.md"}),
        ([scenario(1, "A", **of_key("k")), scenario(2, "B", **of_key("K")), scenario(3, "C")], {"c.md"}),
    ],
    ids=[
        "readme",
        "readme of ours",
        "key of another",
        "key of one left out",
        "titles in two cases",
        "keys of two cases",
    ],
)
def test_files_of_one_folder_are_each_the_scenario_they_were_made_from(
    scenarios: list[TrainingScenario], files: set[str], tmp_path: Path
) -> None:
    export = export_scenarios(scenarios, "support")
    assert {*export.files} == files
    assert len(export.files) + len(export.notes) == len(scenarios)
    assert changes_of(export, scenarios, tmp_path) <= KEY_AND_COLLECTION


OF_ONE_FOLDER = st.sampled_from(["Refunds", "refunds", "Refunds 2", "README", "readme-2", "日本", "scenario", "A"])
KEYS = st.sampled_from([None, "refunds", "Refunds", "refunds-2", "readme", "scenario", "a"])


@settings(max_examples=60, deadline=None)
@given(stored=st.lists(st.tuples(OF_ONE_FOLDER, KEYS, st.sampled_from(["x", ""])), min_size=1, max_size=5))
def test_no_scenario_is_taken_for_another(
    stored: list[tuple[str, str | None, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    scenarios = [
        scenario(number, title, content, **(of_key(key) if key else {}))
        for number, (title, key, content) in enumerate(stored)
    ]
    export = export_scenarios(scenarios, "support")
    if export.files:
        assert changes_of(export, scenarios, tmp_path_factory.mktemp("export")) <= KEY_AND_COLLECTION


PIECES = st.sampled_from(
    ["${", "$", "{", "}", "X", "---", "\n", "\r\n", " ", "#", ": ", "'", '"', "\\", "{{ x }}", "é"]
)
TITLES = st.text(min_size=1, max_size=20) | st.lists(PIECES, min_size=1, max_size=8).map("".join)
CONTENTS = st.text(min_size=1, max_size=80) | st.lists(PIECES, min_size=1, max_size=20).map("".join)


@settings(max_examples=100, deadline=None)
@given(title=TITLES, content=CONTENTS)
def test_every_text_is_exported_exactly_or_left_out(
    title: str, content: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    scenarios = [scenario(title=title, content=content)]
    export = export_scenarios(scenarios, "support")
    assert len(export.files) + len(export.notes) == 1
    if export.files:
        assert changes_of(export, scenarios, tmp_path_factory.mktemp("export")) == KEY_AND_COLLECTION
