"""Tests the schema of fleet files: it accepts every example, refuses mistakes, and agrees with the models."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from page_examples import PROJECT, examples_folder

from airflow_provider_opencx.phone_agents.declarations import parse_fleet
from airflow_provider_opencx.phone_agents.fleet_files.keys import key_kinds
from airflow_provider_opencx.phone_agents.fleet_files.reader import read_fleet
from airflow_provider_opencx.phone_agents.fleet_files.schema import SCHEMA_FILE, fleet_schema, schema_text

SHOWN = sorted(
    path
    for folder in (PROJECT / "example_dags", examples_folder() / "dags", examples_folder() / "fleets")
    for path in folder.rglob("*")
    if path.suffix in {".yaml", ".json"}
)


@cache
def validator() -> Any:
    schema = fleet_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def is_valid(text: str) -> bool:
    return bool(validator().is_valid(yaml.safe_load(text)))


def test_published_schema_is_what_the_models_make_of_it() -> None:
    assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_text(), "run: make schema"
    assert json.loads(schema_text()) == fleet_schema()


def test_every_field_is_described() -> None:
    definitions: Any = fleet_schema()["$defs"]
    fields = definitions["agent"]["properties"]
    assert fields.keys() == key_kinds().keys()
    assert all(len(field["description"]) > 10 for field in fields.values())


@pytest.mark.parametrize("path", SHOWN, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_shown_fleet_is_valid(path: Path) -> None:
    validator().validate(yaml.safe_load(path.read_text()))
    assert parse_fleet(read_fleet(path, variables={"HANDOFF": "+14155550100"}))  # what one of them leaves open


RIGHT = [
    "[]",
    "- {name: A, language: no, speed: 1.5, interruptible: yes, flow: {a: [1]}, action_ids: null}",
    "- {name: 2026, id: 7, type: outbound, action_ids: [1, b], additional_fields: {a: b}}",
    "- {name: A, speed: '${A}', interruptible: '${A}', type: '${A}', handoff_phone_number: '${A}'}",
    "{agents: [], defaults: {language: [en]}, variables: {A: 1}, ignore: [a], x-a: 1, _b: 2, $schema: a}",
    "{agents: [], defaults: null, variables: null, ignore: null}",
    "{name: A, variables: {A: b}, x-a: 1, first_message_file: a.md, instructions_files: a.md}",
    "ignore: Test *",
]
WRONG = [
    "5",
    "a: b",
    "{agents: {a: b}}",
    "{agents: [], dry_run: true}",
    "{agents: [], default: {}}",
    "- A",
    "- {voice_id: a}",
    "- {name: null}",
    "- {name: A, firstMessage: a}",
    "- {name: A, type: both}",
    "- {name: A, speed: fast}",
    "- {name: A, interruptible: maybe}",
    "- {name: A, instructions: a}",
    "- {name: A, action_ids: a}",
    "- {name: A, first_message: {a: b}}",
    "- {name: A, first_message: a, first_message_file: b}",
    "- {name: A, voice: a, voice_id: b}",
    "- {name: A, id: a, previous_name: b}",
    "- {name: A, first_message_file: [a]}",
    "- {name: A, additional_fields: a}",
    "{agents: [], defaults: {name: A}}",
    "{agents: [], variables: {A: [b]}}",
    "{agents: [], variables: {a b: c}}",
    "{agents: [], ignore: {a: b}}",
    "{name: A, defaults: {}}",
]


@pytest.mark.parametrize("text", RIGHT)
def test_schema_takes_what_is_right(text: str, tmp_path: Path) -> None:
    assert is_valid(text)
    for name in ("fleet.yaml", "a.md"):
        (tmp_path / name).write_text(text)
    parse_fleet(read_fleet(tmp_path / "fleet.yaml", variables={"A": "+14155550100"})) if "${" not in text else None


@pytest.mark.parametrize("text", WRONG)
def test_schema_refuses_mistakes(text: str, tmp_path: Path) -> None:
    assert not is_valid(text)
    (tmp_path / "fleet.yaml").write_text(text)
    with pytest.raises(ValueError, match="agents: "):
        parse_fleet(read_fleet(tmp_path / "fleet.yaml"))
