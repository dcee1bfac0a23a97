"""Tests that the files of the page about fleet files are read as the page says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from page_examples import DOCS

from airflow_provider_opencx.declared_files import limits
from airflow_provider_opencx.phone_agents.declarations import parse_fleet
from airflow_provider_opencx.phone_agents.fleet_files.keys import FILE_KEYS, TEXT_FILES
from airflow_provider_opencx.phone_agents.fleet_files.reader import read_fleet


def test_docs_campaign_has_its_defaults_texts_and_variables(examples: Path) -> None:
    fleet = read_fleet(examples / "fleets" / "campaign")
    rules = "Never give medical advice.\nHand over to a person on +14155550100 if the caller asks for one."
    greeting = "Hello, I am calling from Clinic of Boston about your appointment.\nIs this a good moment?"
    assert [agent.declared_fields for agent in parse_fleet(fleet)] == [
        {
            "name": "Reminder, Clinic of Boston",
            "language": ["en"],
            "handoff_phone_number": "+14155550100",
            "first_message": greeting,
            "instructions": [rules],
        },
        {
            "name": "Reminder, Spanish",
            "language": ["es"],
            "handoff_phone_number": "+14155550100",
            "first_message": "Hola, le llamo de Clinic of Boston.",
            "instructions": [rules],
        },
        {
            "name": "Front desk",
            "type": "inbound",
            "language": ["en"],
            "handoff_phone_number": "+14155550100",
            "instructions": [rules, "Find out who is calling, and what about."],
        },
    ]
    assert fleet.ignore == ("Test *",)


def test_docs_one_file_an_agent_and_anchors_are_read(examples: Path) -> None:
    fleet = read_fleet([examples / "fleets/one_file_an_agent", examples / "fleets/anchors.yaml"])
    assert [agent.name for agent in parse_fleet(fleet)] == ["Front desk", "Renewal, German", "Reminder, German"]


def test_docs_environment_fills_variables(examples: Path) -> None:
    fleets = examples / "fleets"
    command = [sys.executable, fleets / "production.py"]
    printed = subprocess.run(command, cwd=fleets, env=os.environ, capture_output=True, text=True, check=True).stdout
    assert printed.splitlines() == [
        "Reminder, Clinic of Austin +15125550100",
        "Reminder, Spanish +15125550100",
        "Front desk +15125550100",
    ]


def test_docs_fleet_files_page_names_every_key_and_limit() -> None:
    page = (DOCS / "agents" / "fleet_files.md").read_text()
    assert {*FILE_KEYS, *TEXT_FILES, "id", "previous_name"} <= {*re.findall(r"^\| `(\w+)` \|", page, re.M)}
    assert (limits.MAX_FILE_BYTES, limits.MAX_FLEET_BYTES) == (10_000_000, 100_000_000)
    for limit in (limits.MAX_VALUES, limits.MAX_FILES, limits.MAX_DEPTH):
        assert f"{limit:,}" in page
